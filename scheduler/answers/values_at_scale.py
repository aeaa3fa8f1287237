"""Marginal values of problems with many jobs, from the prices that prove the bound of the decomposition.

Names and signs are those of ``scheduler.answers.values``. At the prices ``lam`` of load the energy side of every feeder is a
linear programme, whose duals price facility load, connection and battery. Capacity is priced by ``mu``, and by the dual of the
limit that it sets to the load (``dual.densest_load``). Together they are a dual solution of the whole problem, though not quite
the best one: prices are driven until the bound they prove hardly rises any more. What binds together shares its worth in one of
many ways.

What they say is proven in one direction. A changed problem keeps the same prices, so its bound is the old one plus value times
change: load that costs ``v`` EUR per kWh makes no plan cheaper than ``bound + v * kWh``, and a limit that saves ``v`` EUR per
unit lets no plan cost less than ``bound - v * units``, however large the change. Two things have no such value: capacity that
lets a job into a slot for which it was too large, and the layers of wear that grow with a battery.
"""

from __future__ import annotations

import time

import numpy as np

from grid.horizon import FloatArray
from scheduler.answers.values import Values
from scheduler.optimiser.interrupt import Interruption
from scheduler.optimiser.large.dual import Dual, densities
from scheduler.optimiser.large.full_dual import FullDual
from scheduler.optimiser.large.prepare import compile_kernels
from scheduler.optimiser.large.settling import Settling
from scheduler.optimiser.large.site_part import beyond_a_case
from scheduler.optimiser.large.transfers import as_copies
from scheduler.optimiser.large.translate import case_of
from scheduler.policies import Progress, silent
from scheduler.problem import RESOURCES, Problem


def values_at_scale(problem: Problem, progress: Progress = silent) -> Values:
    """Marginal values of a problem that the large-scale solver knows, within the scenario's time.

    Raises:
        SolverError: the energy side could not be solved.
    """
    compile_kernels()
    begun = time.perf_counter()
    with Interruption() as stop:
        dual = FullDual(problem) if beyond_a_case(problem) else Dual(case_of(as_copies(problem).problem))
        dual.run(begun + problem.settings.time_limit_s, Settling(dual, stop))
    progress(f"prices: bound {dual.bound:.4f} EUR after {dual.sweeps} sweeps")
    return _read(problem, dual)


def _read(problem: Problem, dual: Dual) -> Values:
    """Values from the best prices."""
    step_h = problem.horizon.step_h
    lam, mu = dual.best
    found = dual.marginals(lam)
    room = mu + _of_load_limits(dual, found["load"])
    room[RESOURCES.index("cores")] += found["core"]
    stored = np.array([unit is not None for unit in problem.batteries])
    return Values(
        objective_eur=dual.bound,
        facility_eur_per_kwh=found["balance"] / step_h,
        it_eur_per_kwh=found["balance"] / step_h * problem.pue,
        capacity_eur_per_h={name: room[r] / step_h for r, name in enumerate(RESOURCES)},
        import_eur_per_kwh=found["import"] / step_h,
        export_eur_per_kwh=found["export"] / step_h,
        battery_energy_eur_per_kwh=np.where(stored, found["soc"].sum(axis=1), 0.0),
        battery_power_eur_per_kw=np.where(stored, (found["charge"] + found["discharge"]).sum(axis=1), 0.0),
        source="decomposition",
    )


def _of_load_limits(dual: Dual, saved: FloatArray) -> FloatArray:
    """What one unit more of each resource would save because it lets the load be higher, ``[R, S, T]`` EUR a slot.

    Only the resource that limits the load most has such a worth, and none where all jobs together are the limit.
    """
    density = densities(dual.case, dual.classes)[:, :, None]
    with np.errstate(invalid="ignore"):
        limit = np.where(np.isfinite(density), density * dual.case.cap, np.inf)
    scarcest = np.argmin(limit, axis=0)
    binds = np.min(limit, axis=0) * (1 + 1e-9) + 1e-9 <= dual.most
    worth = np.where(np.isfinite(density), density, 0.0) * np.where(binds, saved, 0.0)
    only: FloatArray = np.where(np.arange(len(density))[:, None, None] == scarcest, worth, 0.0)
    return only
