"""What an answer comes to: energy, carbon, cost, waiting, deadlines, and the bounds of perfect foresight.

Running at once means every job at its arrival, whatever the size of the machine. The bounds are the optimum of every job alone
when the whole signal is known and the machine has no limit, so no policy that runs jobs at their own width and in time is below
them: contiguous for one run a job, interruptible when it may pause. A policy that stretches jobs over more processors plays
another game.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.horizon import FloatArray
from sim.replay.batch import Batch, Runs, whole
from sim.replay.signal import Signal

HOUR_S = 3600.0
LATE_S = 1e-3
"""Seconds after which an end counts as late: less than this is rounding."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Energy in kWh and the integral of a signal over it (g, or a thousandth of the price unit)."""

    energy_kwh: float
    weighed: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one answer.

    Attributes:
        energy_kwh: electricity of the jobs.
        carbon_kg, carbon_relative: and as a multiple of running at once; None when that emits nothing.
        cost, cost_relative: in the price's currency; None without a price, or when running at once does not cost anything.
        mean_wait_h: end minus arrival minus length, mean over jobs.
        deadline_misses: jobs that end later than arrival + length + wait.
        peak_cpus: most processors in use at once.
        bound_contiguous, bound_interruptible: least possible ``carbon_relative``.
        cost_bound_contiguous, cost_bound_interruptible: the same for the cost.
    """

    energy_kwh: float
    carbon_kg: float
    carbon_relative: float | None
    cost: float | None
    cost_relative: float | None
    mean_wait_h: float
    deadline_misses: int
    peak_cpus: float
    bound_contiguous: float | None
    bound_interruptible: float | None
    cost_bound_contiguous: float | None
    cost_bound_interruptible: float | None


def weighed(runs: Runs, power_kw: FloatArray, signal: Signal) -> Totals:
    """Energy of the runs and the signal over it, exact for any begin and end."""
    kw = power_kw[runs.job] * runs.scale
    energy = float((kw * (runs.end_s - runs.begin_s)).sum()) / HOUR_S
    return Totals(energy, float((kw * (signal.integral(runs.end_s) - signal.integral(runs.begin_s))).sum()) / HOUR_S)


def best_contiguous(batch: Batch, signal: Signal) -> Runs:
    """Each job in its cheapest single run: the optimum without a limit of processors."""
    from sim.replay.kernels import CHEAPEST, best_begins

    begins = best_begins(batch.arrival_s, batch.length_s, batch.wait_s, 0.0, CHEAPEST, *signal.arrays())
    return whole(batch, begins)


def best_pieces(batch: Batch, signal: Signal, gains: FloatArray | None = None) -> Runs:
    """Each job in the cheapest pieces of its window: the optimum for jobs that may pause, without a limit of processors."""
    from sim.replay.kernels import cheapest_pieces

    start, step, values, _ = signal.arrays()
    speed = np.ones(1) if gains is None else gains
    return Runs(*cheapest_pieces(batch.arrival_s, batch.length_s, batch.wait_s, speed, start, step, values))


def measure(batch: Batch, runs: Runs, power_kw: FloatArray) -> Measured:
    """Figures of an answer to ``batch``; ``power_kw`` is the power of each job at scale 1, ``[n]``."""
    jobs = len(batch)
    at_once = whole(batch, batch.arrival_s)
    carbon = weighed(runs, power_kw, batch.carbon)
    base = weighed(at_once, power_kw, batch.carbon).weighed
    bounds = [weighed(best(batch, batch.carbon), power_kw, batch.carbon).weighed for best in (best_contiguous, best_pieces)]
    cost = cost_base = None
    cost_bounds: list[float | None] = [None, None]
    if batch.price is not None:
        cost = weighed(runs, power_kw, batch.price).weighed / 1000.0
        cost_base = weighed(at_once, power_kw, batch.price).weighed / 1000.0
        least = [weighed(best(batch, batch.price), power_kw, batch.price).weighed for best in (best_contiguous, best_pieces)]
        cost_bounds = [_ratio(value / 1000.0, cost_base) for value in least]
    finish = runs.finish_s(jobs)
    due = batch.arrival_s + batch.length_s + batch.wait_s
    return Measured(
        energy_kwh=carbon.energy_kwh,
        carbon_kg=carbon.weighed / 1000.0,
        carbon_relative=_ratio(carbon.weighed, base),
        cost=cost,
        cost_relative=_ratio(cost, cost_base),
        mean_wait_h=float((finish - batch.arrival_s - batch.length_s).mean()) / HOUR_S,
        deadline_misses=int((finish > due + LATE_S).sum()),
        peak_cpus=runs.peak(batch.cpus),
        bound_contiguous=_ratio(bounds[0], base),
        bound_interruptible=_ratio(bounds[1], base),
        cost_bound_contiguous=cost_bounds[0],
        cost_bound_interruptible=cost_bounds[1],
    )


def _ratio(value: float | None, base: float | None) -> float | None:
    """``value / base``; None when there is none, or the base is not above 0 (a ratio would say the opposite)."""
    return None if value is None or base is None or base <= 0 else value / base
