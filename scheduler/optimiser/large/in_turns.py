"""A plan of thousands of jobs beside an energy side that a case cannot say, in turns: prices, jobs, energy, jobs again.

Prices are driven first, with the whole energy side in the bound (``full_dual``). Then jobs are planned with what stands beside
them as it was in the last answer, and the energy side is planned for their load with everything whole. What it does then is what
the jobs are planned beside in the next turn. The best of these plans is taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from scheduler.asset_runs import AssetRun, with_draw
from scheduler.optimiser.highs import Limits, StopAsked
from scheduler.optimiser.large.case import Case, Solution
from scheduler.optimiser.large.full_dual import READY, FullDual, Meters, simplified, with_extra
from scheduler.optimiser.large.full_energy import FLOWS
from scheduler.optimiser.large.replan import start_prices
from scheduler.optimiser.large.settling import Settling
from scheduler.optimiser.large.warm import Warm, warm_of
from scheduler.optimiser.settle import settle, settle_with_room
from scheduler.plan import EnergySchedule
from scheduler.policies import Progress
from scheduler.policies.schedule import Schedule, it_power_kw, task_eur
from scheduler.problem import Problem
from scheduler.resting import with_rest

PRICES_SHARE = 0.4
"""Most of the time for prices; they have settled before that unless there are many sites."""

JOBS_SHARE = (0.5, 0.5, 0.8)
"""Share of the time that is left which the jobs have in each turn."""

WHOLE_SHARE, ENERGY_SHARE = 0.25, 0.05
"""Share of the time for the energy side in the end, with something that must be whole and without."""

GAP_SHARE = 0.2
"""Part of the asked gap that the jobs of a turn have for themselves."""

LEAST_SECONDS = 1.0
"""Least time for the jobs of a turn; with less no further turn is begun."""


class JobsFound(Protocol):
    """A plan of jobs: its decisions and its prices."""

    @property
    def schedule(self) -> Schedule:
        """Its decisions."""

    @property
    def warm(self) -> Warm:
        """Its prices."""


@dataclass(frozen=True, slots=True, eq=False)
class Turns:
    """What the turns found.

    Attributes:
        schedule: places of the jobs; energy: planned flows; runs: of the assets, in the order of the problem.
        bound_eur: proven lower bound of the problem.
        number: how often jobs were planned.
        warm: prices and places of the last turn.
    """

    schedule: Schedule
    energy: EnergySchedule
    runs: tuple[AssetRun, ...]
    bound_eur: float
    number: int
    warm: Warm


def in_turns(
    problem: Problem,
    plan_jobs: Callable[[Problem, Warm], JobsFound],
    recall: Callable[[Case], Warm | None],
    progress: Progress,
    stop: StopAsked,
) -> Turns:
    """Jobs and energy of ``problem``.

    Args:
        problem: without migrations.
        plan_jobs: plans a problem that a case can say within its time limit, from prices (and places, where there are any).
        recall: prices and places of an earlier plan for such a problem (as a case), or None.
        progress: told what happens.
        stop: asked often; True returns what there is.

    Raises:
        SolverError: the energy side could not be solved.
    """
    begun, seconds = time.perf_counter(), problem.settings.time_limit_s
    dual, names = FullDual(problem), tuple(task.name for task in problem.jobs)
    kept = (WHOLE_SHARE if any(part.whole for part in dual.meters.parts) else ENERGY_SHARE) * seconds
    end = begun + seconds
    known, places = recall(dual.case), _nobody(dual.case)
    if known is not None:
        places = known.placed(dual.case, names)
        start_prices(dual, known, places)
    dual.run(time.perf_counter() + PRICES_SHARE * _left(end - kept), Settling(dual, stop))
    progress(f"prices beside all assets: bound {dual.bound:.4f} EUR after {dual.sweeps} sweeps")
    warm, standing, found = warm_of(dual.case, dual, places, names), dual.standing, list[tuple[float, Schedule]]()
    for share in JOBS_SHARE:
        part = with_extra(simplified(problem, standing), standing)
        jobs = plan_jobs(_within(part, max(LEAST_SECONDS, share * _left(end - kept))), warm)
        warm, load = jobs.warm, it_power_kw(problem, jobs.schedule)
        dual.evaluate(warm.lam, warm.mu)
        relaxed = dual.meters.relaxed_eur(load) + sum(task_eur(problem, jobs.schedule).values())
        found.append((relaxed, jobs.schedule))
        progress(f"turn {len(found)}: {relaxed:.4f} EUR with nothing whole, bound {dual.bound:.4f} EUR")
        best, schedule = min(found, key=lambda made: made[0])
        near = best - dual.bound <= GAP_SHARE * problem.settings.relative_gap * abs(best)
        if near or stop() or _left(end - kept) < LEAST_SECONDS:
            break
        standing = dual.meters.standing(load, warm.lam, READY)
    energy, runs = _settled(problem, dual.meters, schedule, _left(end), stop)
    return Turns(schedule, energy, runs, dual.bound, len(found), warm)


def _settled(
    problem: Problem, meters: Meters, schedule: Schedule, seconds: float, stop: StopAsked
) -> tuple[EnergySchedule, tuple[AssetRun, ...]]:
    """The energy side for the jobs of ``schedule`` and the runs of assets, with everything whole that must be."""
    load = it_power_kw(problem, schedule)
    flows, runs = meters.settled(load, Limits(seconds, GAP_SHARE * problem.settings.relative_gap), stop)
    rest = with_draw(with_rest(problem, schedule), runs)
    charge, discharge, used, unserved = (flows[name] for name in FLOWS)
    if problem.sleepers:
        return settle_with_room(rest, load, (charge, discharge, used, unserved)), runs
    return settle(rest, load, charge, discharge, used, unserved), runs


def _within(problem: Problem, seconds: float) -> Problem:
    """``problem`` with that time, and a part of the asked gap."""
    settings = problem.settings
    return replace(problem, settings=replace(settings, time_limit_s=seconds, relative_gap=GAP_SHARE * settings.relative_gap))


def _left(end: float) -> float:
    return max(0.0, end - time.perf_counter())


def _nobody(case: Case) -> Solution:
    """No job has a place."""
    none = np.zeros(0)
    return Solution(np.full(case.J, -1, dtype=np.int64), np.zeros(case.J + 1, dtype=np.int64), none.astype(np.int64), none, none)
