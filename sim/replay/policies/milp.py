"""Optimiser: jobs that share a machine, through the product's HiGHS seam; without a limit the optimum of every job alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from grid.horizon import FloatArray
from sim.replay.batch import Batch, IntArray, Runs, whole
from sim.replay.measure import best_contiguous
from sim.replay.policies.base import Knows
from sim.replay.policies.greenslot import empty_slots

if TYPE_CHECKING:
    from scheduler.optimiser.highs import Limits

SLOT_S = 300.0
BLOCK = 100
CHOICES = 30
WINDOW_S = 168 * 3600.0
NODES = 50
TIME_S = 60.0
GAP = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Jobs that are placed together: every way in which they may run, ``[m]`` each.

    Attributes:
        row: position of the job in the block.
        begin_s, cost: of the way.
        first, last: slots that it touches, half-open.
    """

    row: IntArray
    begin_s: FloatArray
    cost: FloatArray
    first: IntArray
    last: IntArray


@dataclass(frozen=True, slots=True)
class Milp:
    """The optimum of every job alone where that fits the machine, else blocks of jobs by a mixed-integer programme.

    Without a limit of processors jobs do not compete, and the optimum of each alone is that of all: it is taken, exactly. The
    same when they happen to fit the machine together. Otherwise blocks of jobs in order of arrival are placed (choose one
    begin a job, room in every slot), each around those before it, so the whole is a heuristic and the bound stays that of jobs
    alone. A job that no choice has room for is put at its cheapest begin that has, or after its time.

    Attributes:
        slot_s: length of a slot; a run holds every slot that it touches.
        window_s: jobs that arrive within so many seconds are known together; the longest of them are placed first.
        block: jobs of a block.
        choices: begins that a job may choose from: its cheapest ones with room.
        nodes: of branch and bound for a block; unlike a time limit it gives the same answer on every machine.
        time_s: seconds for a block, a safety.
        gap: relative gap of a block.
    """

    slot_s: float = SLOT_S
    window_s: float = WINDOW_S
    block: int = BLOCK
    choices: int = CHOICES
    nodes: int = NODES
    time_s: float = TIME_S
    gap: float = GAP

    name: ClassVar[str] = "milp"
    knows: ClassVar[Knows] = Knows.FUTURE
    knows_length: ClassVar[bool] = True
    follows: ClassVar[str] = "carbon"
    heeds_machines: ClassVar[bool] = True
    pauses: ClassVar[bool] = False
    source: ClassVar[str] = "ozzo's optimiser (scheduler/optimiser/highs.py); HiGHS: Huangfu, Hall, Math. Prog. Comp. 10, 2018"

    def runs(self, batch: Batch) -> Runs:
        """One run a job."""
        alone = best_contiguous(batch, batch.carbon)
        if batch.machines is None or alone.peak(batch.cpus) <= batch.machines:
            return alone
        from sim.replay.kernels_capacity import cheapest_fit

        zero = float(np.floor(batch.arrival_s[0] / self.slot_s)) * self.slot_s
        used = empty_slots(batch, zero, self.slot_s)
        begins = np.full(len(batch), np.nan)
        latest = batch.arrival_s + batch.wait_s
        for jobs in self._blocks(batch):
            ways = self._ways(batch, jobs, zero, used)
            self._place(batch, jobs, ways, used, begins)
            rest = jobs[np.isnan(begins[jobs])]
            begins[rest] = cheapest_fit(
                rest,
                batch.arrival_s,
                batch.length_s,
                latest,
                batch.cpus,
                float(batch.machines),
                zero,
                self.slot_s,
                used,
                *batch.carbon.arrays(),
            )
        return whole(batch, begins)

    def _blocks(self, batch: Batch) -> Iterator[IntArray]:
        """Jobs that are placed together: window after window of arrivals, in each the longest first."""
        window = ((batch.arrival_s - batch.arrival_s[0]) // self.window_s).astype(np.int64)
        order = np.lexsort((-batch.length_s, window))
        for first in range(0, len(order), self.block):
            yield np.sort(order[first : first + self.block])

    def _ways(self, batch: Batch, jobs: IntArray, zero: float, used: FloatArray) -> Block:
        """The cheapest begins of each job that have room now, among its arrival and the slot edges; those of a job by cost."""
        parts: list[tuple[FloatArray | IntArray, ...]] = []
        for row, job in enumerate(jobs):
            arrival, run, wait = batch.arrival_s[job], batch.length_s[job], batch.wait_s[job]
            edges = zero + self.slot_s * np.arange(
                np.ceil((arrival - zero) / self.slot_s), (arrival + wait - zero) // self.slot_s + 1
            )
            begin = np.unique(np.concatenate(([arrival], edges[(edges >= arrival) & (edges <= arrival + wait)])))
            first = ((begin - zero) // self.slot_s).astype(np.int64)
            last = np.ceil((begin + run - zero) / self.slot_s - 1e-9).astype(np.int64)
            busy = np.concatenate(
                ([0], np.cumsum(used[first[0] : last[-1]] + batch.cpus[job] > float(batch.machines or 0) + 1e-9))
            )
            room = busy[last - first[0]] == busy[first - first[0]]
            cost = (batch.carbon.integral(begin + run) - batch.carbon.integral(begin)) * batch.cpus[job]
            best = np.flatnonzero(room)[np.argsort(cost[room], kind="stable")[: self.choices]]
            parts.append((np.full(len(best), row), begin[best], cost[best], first[best], last[best]))
        rows, begins, costs, firsts, lasts = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Block(rows.astype(np.int64), begins, costs, firsts.astype(np.int64), lasts.astype(np.int64))

    def _place(self, batch: Batch, jobs: IntArray, ways: Block, used: FloatArray, begins: FloatArray) -> None:
        """Choose a way for each job; writes begins and takes the slots. Jobs that find no room keep their NaN."""
        from scheduler.optimiser.highs import Limits

        if not len(ways.row):
            return
        low, high = int(ways.first.min()), int(ways.last.max())
        room = float(batch.machines or 0) - used[low:high]
        limits = Limits(self.time_s, self.gap, self.nodes)
        for way in _chosen(ways, ways.first - low, ways.last - low, batch.cpus[jobs], room, limits):
            job = jobs[ways.row[way]]
            begins[job] = ways.begin_s[way]
            used[ways.first[way] : ways.last[way]] += batch.cpus[job]


def _chosen(ways: Block, first: IntArray, last: IntArray, width: FloatArray, room: FloatArray, limits: Limits) -> IntArray:
    """Positions of the ways taken: everyone's cheapest when they fit together (then it is the optimum), else the programme's."""
    from scheduler.optimiser.highs import solve_integer
    from sim.replay.block_model import block_model

    cheapest = np.unique(ways.row, return_index=True)[1]  # the ways of a job come in order of cost
    need = np.zeros(len(room) + 1)
    np.add.at(need, first[cheapest], width[ways.row[cheapest]])
    np.add.at(need, last[cheapest], -width[ways.row[cheapest]])
    if (np.cumsum(need)[:-1] <= room + 1e-9).all():
        return cheapest
    answer = solve_integer(block_model(ways.row, ways.cost, first, last, width, room), limits)
    if answer.values is None:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(answer.values[: len(ways.row)] > 0.5)
