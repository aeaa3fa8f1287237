"""The cluster and the week of work of GreenSlot (Goiri et al., SC 2011), in minutes from Monday 00:00.

28 workflows, one of each kind every half hour from Monday 9:30: a first job, in W1 one that splits, many jobs side by side, one
that collects. Every job takes one node of 16. The paper gives least, greatest and mean run times; ASSUMPTION: between them they
are drawn from a beta distribution with that mean and a + b = 4, rounded to minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt

from grid.chance import stream

IntArray = npt.NDArray[np.int64]

DAY_MIN, SLOT_MIN = 1440, 15
NODES = 16
COMPUTE_W, FIRST_W, SPLIT_W, COLLECT_W = 105.0, 140.0, 90.0, 102.0
SLEEP_W, ALWAYS_W = 8.6, 55.0 + 30.0
"""A sleeping node; the switch and the node that schedules."""
PV_KW = 2.3
DAY_USD, NIGHT_USD = 0.13, 0.08
"""USD/kWh from 9 to 23 h, and otherwise."""
FIRST_ARRIVAL, EVERY = 9 * 60 + 30, 30
SPREAD = 4.0
MORNING, NOON, EARLY, AFTERNOON = 9 * 60, 13 * 60, 14 * 60, 16 * 60


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of workflow: times in minutes.

    Attributes:
        number: of them in a week.
        before: run times and powers of the jobs before the wide stage.
        wide: number of jobs side by side.
        least, mean, most: their run times.
        due: minutes of the day of the deadlines, Tuesday to Friday.
    """

    number: int
    before: tuple[tuple[int, float], ...]
    wide: int
    least: float
    mean: float
    most: float
    due: tuple[int, ...]


KINDS = (
    Kind(8, ((8, FIRST_W), (1, SPLIT_W)), 16, 6, 2.4 * 60, 9 * 60, (MORNING, EARLY)),
    Kind(12, ((10, FIRST_W),), 8, 2 * 60, 4 * 60, 9 * 60, (MORNING, NOON, AFTERNOON)),
    Kind(8, ((10, FIRST_W),), 8, 1.25 * 60, 1.26 * 60, 2.27 * 60, (MORNING, EARLY)),
)
COLLECT_MIN = 5


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Jobs as arrays, in order of arrival, each after the jobs that it waits for.

    Attributes:
        flow: number of the workflow, ``[n]``.
        stage: position in it, ``[n]``; a job waits for all jobs of the stage before.
        arrival, length: minutes, ``[n]``.
        latest: latest begin with which the workflow can still be in time, minutes, ``[n]`` (later stages at their longest job).
        due: deadline of the workflow, minutes, ``[n]``.
        power_w: of the node while the job runs, ``[n]``.
    """

    flow: IntArray
    stage: IntArray
    arrival: IntArray
    length: IntArray
    latest: IntArray
    due: IntArray
    power_w: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.flow)


def week_of_work(seed: int) -> Work:
    """The 352 jobs of a week."""
    rng = stream(seed, "greenslot")
    rows: list[tuple[int, int, int, int, int, int, float]] = []
    flows = count()
    for kind in KINDS:
        deadlines = [day * DAY_MIN + minute for day in range(1, 5) for minute in kind.due]
        share = (kind.mean - kind.least) / (kind.most - kind.least)
        for position in range(kind.number):
            drawn = rng.beta(SPREAD * share, SPREAD * (1.0 - share), kind.wide)
            wide = np.maximum(1, np.rint(kind.least + (kind.most - kind.least) * drawn)).astype(np.int64)
            stages = [([minutes], watts) for minutes, watts in kind.before]
            stages += [(wide.tolist(), COMPUTE_W), ([COLLECT_MIN], COLLECT_W)]
            rows += _flow(next(flows), FIRST_ARRIVAL + EVERY * position, deadlines[position], stages)
    rows.sort(key=lambda row: (row[2], row[0], row[1]))
    flow, stage, arrival, length, latest, due, power = (np.array(column) for column in zip(*rows, strict=True))
    return Work(flow, stage, arrival, length, latest, due, power.astype(np.float64))


def _flow(
    number: int, arrival: int, due: int, stages: list[tuple[list[int], float]]
) -> list[tuple[int, int, int, int, int, int, float]]:
    rows = []
    after = 0
    for stage in range(len(stages) - 1, -1, -1):
        lengths, watts = stages[stage]
        rows += [(number, stage, arrival, length, due - after - length, due, watts) for length in lengths]
        after += max(lengths)
    return rows


def price_usd(minutes: int) -> npt.NDArray[np.float64]:
    """Price in USD/kWh of each of the first ``minutes`` minutes."""
    hour = np.arange(minutes) % DAY_MIN // 60
    return np.where((hour >= 9) & (hour < 23), DAY_USD, NIGHT_USD)
