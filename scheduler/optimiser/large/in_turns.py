"""A plan of thousands of jobs beside an energy side that a case cannot say, in turns: prices, jobs, energy, jobs again.

Prices are driven first, with the whole energy side in the bound (``full_dual``). Then jobs are planned with what stands beside
them as it was in the last answer, and the energy side is planned for their load with everything whole. What it does then is what
the jobs are planned beside in the next turn. The best of these plans is taken, as far as can be seen while nothing must be whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from grid.errors import SolverError
from grid.horizon import FloatArray
from scheduler.asset_runs import AssetRun, with_draw
from scheduler.optimiser.highs import Limits, StopAsked
from scheduler.optimiser.large.case import Case, Solution
from scheduler.optimiser.large.full_dual import READY, FullDual
from scheduler.optimiser.large.full_energy import FLOWS, Relaxed
from scheduler.optimiser.large.jobs_found import JobsFound
from scheduler.optimiser.large.meters import Meters
from scheduler.optimiser.large.replan import start_prices
from scheduler.optimiser.large.settling import Settling
from scheduler.optimiser.large.simpler import simplified, with_extra
from scheduler.optimiser.large.site_part import sites_beyond
from scheduler.optimiser.large.warm import Warm, warm_of
from scheduler.optimiser.settle import DUST_KW, settle
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
    end = begun + seconds
    dual, names = FullDual(problem), tuple(task.name for task in problem.jobs)
    end_of_turns = end - (WHOLE_SHARE if dual.meters.whole else ENERGY_SHARE) * seconds
    dual.meters.limit(end_of_turns, stop)
    final = _Final(problem, dual)
    known, places = recall(dual.case), _nobody(dual.case)
    if known is not None:
        places = known.placed(dual.case, names)
        start_prices(dual, known, places)
    dual.run(time.perf_counter() + PRICES_SHARE * _left(end_of_turns), Settling(dual, stop))
    progress(f"prices beside all assets: bound {dual.bound:.4f} EUR after {dual.sweeps} sweeps")
    warm, standing, more = warm_of(dual.case, dual, places, names), dual.standing, np.zeros(dual.lam.shape)
    made: list[Turn] = []
    for share in JOBS_SHARE:
        part = with_extra(simplified(problem, standing), standing)
        given = replace(warm, lam=warm.lam - standing.extra)
        jobs = plan_jobs(_within(part, max(LEAST_SECONDS, share * _left(end_of_turns))), given)
        warm = replace(jobs.warm, lam=jobs.warm.lam + standing.extra)
        made.append(final.look(jobs.schedule))
        dual.evaluate(warm.lam, warm.mu)
        progress(f"turn {len(made)}: {made[-1].words}, bound {dual.bound:.4f} EUR")
        best = min(made, key=lambda turn: turn.rank)
        near = best.eur - dual.bound <= GAP_SHARE * problem.settings.relative_gap * abs(best.eur)
        if (near and not best.rank[0]) or stop() or _left(end_of_turns) < LEAST_SECONDS:
            break
        try:
            standing = dual.meters.standing(it_power_kw(problem, jobs.schedule), warm.lam, READY)
        except SolverError as error:
            progress(f"no further turn: {error}")
            break
        more = more + made[-1].more_kw
        standing = replace(standing, other_kw=standing.other_kw + more)
    energy, runs, schedule = final.settled(made, _left(end), progress, stop)
    return Turns(schedule, energy, runs, dual.bound, len(made), warm)


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A plan of the jobs and what it costs when nothing of the energy side must be whole.

    Attributes:
        schedule: places of the jobs; eur: cost of all.
        energy: its energy side.
    """

    schedule: Schedule
    eur: float
    energy: Relaxed

    @property
    def rank(self) -> tuple[float, float]:
        """Less is better: first the load that goes unserved or is missing, then the cost."""
        wrong = self.energy.unserved_kw + self.energy.missing_kw
        return (float(wrong.sum()) if wrong.max(initial=0.0) > DUST_KW else 0.0, self.eur)

    @property
    def more_kw(self) -> FloatArray:
        """What the next turn takes to stand beside its jobs besides: what went unserved, less what was missing, ``[S, T]``."""
        return self.energy.unserved_kw - self.energy.missing_kw

    @property
    def words(self) -> str:
        """Figures for people."""
        short_kw = self.rank[0]
        return f"{self.eur:.4f} EUR with nothing whole" + (f", {short_kw:.4f} kW unserved or missing" if short_kw else "")


class _Final:
    """The energy side of finished plans: nodes rest there as the plan lets them, not as the rows of sleeping nodes say."""

    def __init__(self, problem: Problem, dual: FullDual) -> None:
        self._problem, self._meters = problem, dual.meters
        if problem.sleepers:
            awake = replace(problem, sleepers=())
            self._meters = Meters(awake, dual.case, dual.most, sites_beyond(problem))

    def look(self, schedule: Schedule) -> Turn:
        """What the plan costs when nothing must be whole.

        Raises:
            SolverError: no optimum, with the status of HiGHS.
        """
        problem = self._problem
        found = self._meters.relaxed(it_power_kw(problem, schedule), with_rest(problem, schedule).fixed_kw)
        return Turn(schedule, found.eur + sum(task_eur(problem, schedule).values()), found)

    def settled(
        self, made: list[Turn], seconds: float, progress: Progress, stop: StopAsked
    ) -> tuple[EnergySchedule, tuple[AssetRun, ...], Schedule]:
        """Energy, runs of assets and places of the best plan that has an energy side with everything whole that must be.

        Raises:
            SolverError: none has.
        """
        problem, trouble = self._problem, SolverError("no plan of the jobs")
        limits = Limits(seconds, GAP_SHARE * problem.settings.relative_gap)
        for turn in sorted(made, key=lambda turn: turn.rank):
            load, rest = it_power_kw(problem, turn.schedule), with_rest(problem, turn.schedule)
            try:
                flows, runs = self._meters.settled(load, limits, stop, rest.fixed_kw)
            except SolverError as error:
                progress(str(error))
                trouble = error
                continue
            powers = tuple(flows[name] for name in FLOWS)
            return settle(with_draw(rest, runs), load, *powers), runs, turn.schedule
        raise trouble


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
