"""The large-scale solver as a policy: ``Problem -> Plan`` with bound and gap."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from grid.errors import SolverError
from grid.horizon import FloatArray
from scheduler.in_force import schedule_in_force
from scheduler.optimiser.highs import StopAsked
from scheduler.optimiser.interrupt import Interruption
from scheduler.optimiser.memory import PriceMemory
from scheduler.optimiser.policy import MilpPolicy
from scheduler.optimiser.settle import settle
from scheduler.plan import BatteryControl, EnergySchedule, Plan, SolveStatus
from scheduler.policies import Progress, silent
from scheduler.policies.assemble import make_plan
from scheduler.policies.schedule import Schedule, it_power_kw
from scheduler.problem import Problem

if TYPE_CHECKING:
    from scheduler.optimiser.large.case import Case
    from scheduler.optimiser.large.energy import EnergyBlock
    from scheduler.optimiser.large.solve import Outcome
    from scheduler.optimiser.large.warm import Warm


@dataclass(frozen=True, slots=True, eq=False)
class LargeFound:
    """What a search found.

    Attributes:
        plan: the plan; schedule: its decisions.
        warm: prices and places, for the next search; None when the reference had to plan.
    """

    plan: Plan
    schedule: Schedule
    warm: Warm | None


@dataclass(frozen=True, slots=True, eq=False)
class PlacedJobs:
    """Where a search put the jobs.

    Attributes:
        outcome: of the search.
        schedule: its decisions; warm: its prices and places.
        built: when the search began, of ``time.perf_counter``; build_s: what it took to get there, s.
    """

    outcome: Outcome
    schedule: Schedule
    warm: Warm
    built: float
    build_s: float


@dataclass(frozen=True, slots=True)
class LargePolicy:
    """The policy ``milp`` at scale: price decomposition, for what ``translate.obstacles_to_scale`` names nothing of.

    Attributes:
        stop: asked again and again; True returns the incumbent. None: Ctrl-C asks.
        memory: prices from plan to plan.
    """

    stop: StopAsked | None = None
    memory: PriceMemory = field(default_factory=PriceMemory)

    @property
    def name(self) -> str:
        """``milp``: the same policy as the reference, for larger problems."""
        return "milp"

    def plan(self, problem: Problem, progress: Progress = silent) -> Plan:
        """The best plan found, with a proven bound.

        Raises:
            ValueError: the problem has something of ``obstacles_to_scale``.
            SolverError: the energy side could not be solved.
        """
        return self._remembered(problem, progress, None)

    def replan(self, problem: Problem, before: Plan, progress: Progress = silent) -> Plan:
        """As ``plan``, from the prices of the last plan (when there are any that fit) and the places of the plan in force.

        Raises:
            ValueError: the problem has something of ``obstacles_to_scale``.
            SolverError: the energy side could not be solved.
        """
        return self._remembered(problem, progress, before)

    def _remembered(self, problem: Problem, progress: Progress, before: Plan | None) -> Plan:
        """Plan with what is remembered of the plan ``before``, and remember what comes out."""
        with Interruption() as interruption:
            found = self.search(problem, progress, self.stop or interruption, before=before)
        if found.warm is not None:
            self.memory.keep(problem.horizon.start, found.warm)
        return found.plan

    def search(
        self, problem: Problem, progress: Progress, stop: StopAsked, warm: Warm | None = None, before: Plan | None = None
    ) -> LargeFound:
        """The best plan found with its decisions and prices, from ``warm`` where it is of the same grid.

        Args:
            problem: the problem.
            progress: told what happens.
            stop: asked often; True returns what there is. Ctrl-C is the caller's matter.
            warm: prices and places of an earlier search, or None.
            before: the plan in force, whose places are taken with the prices that are remembered; instead of ``warm``.

        Raises:
            ValueError: the problem has something of ``obstacles_to_scale``.
            SolverError: the energy side could not be solved.
        """
        from scheduler.optimiser.large.prepare import compile_kernels
        from scheduler.optimiser.large.site_part import beyond_a_case
        from scheduler.optimiser.large.translate import obstacles_to_scale

        obstacles = obstacles_to_scale(problem)
        if obstacles:
            raise ValueError(f"the large-scale solver does not know {'; '.join(obstacles)}")
        if not compile_kernels.cache_info().currsize:
            progress("loading compiled code; after an update it is compiled first, once, which takes a minute")
            compile_kernels()
        if problem.migrations:
            return self._staged(problem, progress, stop, warm, before)
        if beyond_a_case(problem):
            return self._in_turns(problem, progress, stop, warm, before)
        made = self._jobs(problem, progress, stop, warm, before)
        found, settings = made.outcome, problem.settings
        progress(f"reasons for {len(problem.jobs)} jobs")
        plan = make_plan(
            problem,
            made.schedule,
            _energy(problem, it_power_kw(problem, made.schedule), found.primal.blocks, found.primal.flows),
            policy=self.name,
            control=BatteryControl.FOLLOW_PLAN,
            status=SolveStatus.UNKNOWN,
            solver=f"price decomposition, {found.dual.sweeps} sweeps, {found.primal.rounds} rounds",
            solve_s=time.perf_counter() - made.built,
            bound_eur=found.bound,
            build_s=made.build_s + found.build_s,
        )
        status = found.status if plan.status is not SolveStatus.INFEASIBLE else SolveStatus.INFEASIBLE
        if status is SolveStatus.OPTIMAL and (plan.gap is None or plan.gap > max(settings.relative_gap, 1e-6)):
            status = SolveStatus.TIME_LIMIT
        solve_s = time.perf_counter() - made.built
        return LargeFound(replace(plan, status=status, solve_s=solve_s), made.schedule, made.warm)

    def _jobs(self, problem: Problem, progress: Progress, stop: StopAsked, warm: Warm | None, before: Plan | None) -> PlacedJobs:
        """What a search within the time limit of a problem without migrations found, without energy and reasons."""
        from scheduler.optimiser.large.coarse import solve_coarse_first
        from scheduler.optimiser.large.solve import LargeLimits, solve_case
        from scheduler.optimiser.large.translate import case_of, schedule_of
        from scheduler.optimiser.large.warm import warm_of

        begun = time.perf_counter()
        case = case_of(problem)
        progress(f"large: {case.J} jobs, {case.S} sites, {case.T} slots, {len(case.es)} places to be")
        built = time.perf_counter()
        settings = problem.settings
        limits = LargeLimits(max(0.0, settings.time_limit_s - (built - begun)), settings.relative_gap)
        names = tuple(task.name for task in problem.jobs)
        if before is not None:
            warm = self.memory.recall(problem, case, before)
            progress("prices of the last plan" if warm is not None else "no earlier prices that fit: planned from nothing")
        warm = warm if warm is not None and warm.fits(case) else None
        factor = None if warm is not None else settings.coarse_factor
        if factor is not None and case.T % factor:
            progress(f"coarse_factor {factor} does not divide {case.T} slots: planned on these slots alone")
            factor = None
        if factor is None:
            found = solve_case(case, limits, progress, stop, warm, names=names)
        else:
            found = solve_coarse_first(case, limits, factor, progress, stop, names=names)
        known = warm_of(case, found.dual, found.solution, names)
        return PlacedJobs(found, schedule_of(problem, found.solution), known, built, built - begun)

    def _staged(
        self, problem: Problem, progress: Progress, stop: StopAsked, warm: Warm | None, before: Plan | None
    ) -> LargeFound:
        """``search`` where transfers are planned slot by slot: jobs by prices, transfers and energy by the reference."""
        from scheduler.optimiser.large.staged import staged

        begun, made = time.perf_counter(), list[PlacedJobs]()

        def plan_jobs(part: Problem, number: int) -> PlacedJobs:
            found = self._jobs(part, progress, stop, made[-1].warm if made else warm, None if number else before)
            made.append(found)
            return found

        both = staged(problem, plan_jobs, progress, stop)
        progress(f"reasons for {len(problem.jobs)} jobs")
        flows = both.energy
        power = it_power_kw(problem, both.schedule)
        plan = make_plan(
            problem,
            both.schedule,
            settle(problem, power, flows.charge_kw, flows.discharge_kw, flows.renewable_used_kw, flows.unserved_kw),
            policy=self.name,
            control=BatteryControl.FOLLOW_PLAN,
            status=SolveStatus.UNKNOWN,
            solver=f"price decomposition for jobs, the reference for transfers and energy, {both.rounds} rounds"
            + (f"; {both.dropped} jobs dropped whose data would come too late" if both.dropped else ""),
            solve_s=time.perf_counter() - begun,
            bound_eur=both.bound_eur,
        )
        return LargeFound(_with_status(problem, plan, stop), both.schedule, made[-1].warm)

    def _in_turns(
        self, problem: Problem, progress: Progress, stop: StopAsked, warm: Warm | None, before: Plan | None
    ) -> LargeFound:
        """``search`` where the energy side has more than a case can say: jobs by prices, energy by the reference's rows."""
        from scheduler.optimiser.large.in_turns import in_turns

        begun = time.perf_counter()
        if problem.settings.coarse_factor is not None:
            progress("coarse_factor is not used beside assets")

        def recall(case: Case) -> Warm | None:
            known = warm if before is None else self.memory.recall(problem, case, before)
            return known if known is not None and known.fits(case) else None

        def plan_jobs(part: Problem, known: Warm) -> PlacedJobs:
            return self._jobs(part, progress, stop, known, None)

        try:
            turns = in_turns(problem, plan_jobs, recall, progress, stop)
        except SolverError as error:
            progress(f"{error}; the reference plans, and may be slow")
            alone = MilpPolicy().search(problem, progress, stop)
            return LargeFound(alone, schedule_in_force(problem, alone), None)
        progress(f"reasons for {len(problem.jobs)} jobs")
        plan = make_plan(
            problem,
            turns.schedule,
            turns.energy,
            policy=self.name,
            control=BatteryControl.FOLLOW_PLAN,
            status=SolveStatus.UNKNOWN,
            solver=f"price decomposition for jobs, the reference's rows for energy, in turns: {turns.number}",
            solve_s=time.perf_counter() - begun,
            bound_eur=turns.bound_eur,
            assets=turns.runs,
        )
        return LargeFound(_with_status(problem, plan, stop), turns.schedule, turns.warm)


def _with_status(problem: Problem, plan: Plan, stop: StopAsked) -> Plan:
    """``plan`` with how its search ended."""
    status = plan.status
    if stop():
        status = SolveStatus.INTERRUPTED
    elif status is not SolveStatus.INFEASIBLE:
        near = plan.gap is not None and plan.gap <= max(problem.settings.relative_gap, 1e-6)
        status = SolveStatus.OPTIMAL if near else SolveStatus.TIME_LIMIT
    return replace(plan, status=status)


def energy_of(problem: Problem, schedule: Schedule, case: Case) -> EnergySchedule:
    """Best energy of a schedule for the sun, wind and fixed load of ``case``.

    Raises:
        SolverError: the energy side could not be solved.
    """
    from scheduler.optimiser.large.energy import EnergyBlock, feeder_sites

    load = it_power_kw(problem, schedule)
    blocks = [EnergyBlock(case, sites, np.full(load.shape, np.inf), feeders=True) for sites in feeder_sites(case)]
    return _energy(problem, load, blocks, [block.settled(load)[1] for block in blocks])


def _energy(problem: Problem, it_kw: FloatArray, blocks: list[EnergyBlock], flows: list[dict[str, FloatArray]]) -> EnergySchedule:
    """Energy schedule from the flows of all blocks."""
    parts = {name: np.zeros_like(it_kw) for name in ("charge", "discharge", "renewable", "unserved")}
    for block, flow in zip(blocks, flows, strict=True):
        for name, array in parts.items():
            array[block.sites] = flow[name]
    return settle(problem, it_kw, parts["charge"], parts["discharge"], parts["renewable"], parts["unserved"])
