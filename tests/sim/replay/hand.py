"""Small replays: hours from a round moment, one value an hour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grid.horizon import FloatArray
from sim.replay.batch import Batch, Runs
from sim.replay.signal import Signal

HOUR = 3600.0
ZERO = 1704067200.0
"""2024-01-01T00:00Z."""


def signal(values: Sequence[float], *, first_hour: float = 0.0, step_h: float = 1.0) -> Signal:
    """Values an hour (or ``step_h``) from ``first_hour`` on."""
    return Signal.of(ZERO + first_hour * HOUR, step_h * HOUR, values)


def batch(
    jobs: Sequence[tuple[float, float, float]],
    values: Sequence[float],
    *,
    price: Sequence[float] | None = None,
    cpus: Sequence[float] | None = None,
    machines: int | None = None,
    mean_h: float | None = None,
    past: int = 0,
) -> Batch:
    """Jobs as (arrival, length, wait) in hours; the first ``past`` values of the signal lie before hour 0."""
    table = np.array(jobs, dtype=np.float64).reshape(-1, 3) * HOUR
    return Batch(
        arrival_s=ZERO + table[:, 0],
        length_s=table[:, 1],
        wait_s=table[:, 2],
        mean_length_s=table[:, 1].copy() if mean_h is None else np.full(len(table), mean_h * HOUR),
        cpus=np.ones(len(table)) if cpus is None else np.array(cpus, dtype=np.float64),
        carbon=signal(values, first_hour=-past),
        price=None if price is None else signal(price, first_hour=-past),
        machines=machines,
        latitude=0.0,
        longitude=0.0,
    )


def hours(runs: Runs, job: int | None = None) -> list[tuple[float, ...]]:
    """Intervals in hours as (begin, end), with the scale where it is not 1."""
    found: list[tuple[float, ...]] = []
    for who, begin, end, scale in zip(runs.job, runs.begin_s, runs.end_s, runs.scale, strict=True):
        if job is None or who == job:
            interval = (round((begin - ZERO) / HOUR, 6), round((end - ZERO) / HOUR, 6))
            found.append(interval if scale == 1.0 else (*interval, float(scale)))
    return found


def begins(runs: Runs) -> list[float]:
    """First begin of each job, in hours."""
    count = int(runs.job.max()) + 1
    first: FloatArray = np.full(count, np.inf)
    np.minimum.at(first, runs.job, runs.begin_s)
    return [round((float(value) - ZERO) / HOUR, 6) for value in first]
