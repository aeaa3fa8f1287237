"""The optimiser as a policy: ``Problem -> Plan`` with bound and gap."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from grid.horizon import FloatArray
from scheduler.asset_runs import bill_of, rule_runs, with_draw
from scheduler.in_force import fitting, schedule_in_force
from scheduler.last_resort import serving, serving_extra_eur
from scheduler.objective import breakdown_eur
from scheduler.optimiser.compiled import Compiled, compile_model
from scheduler.optimiser.highs import StopAsked
from scheduler.optimiser.interrupt import Interruption
from scheduler.optimiser.model import ModelParts, build_model
from scheduler.optimiser.search import Search, enough_gap
from scheduler.optimiser.settle import DUST_KW
from scheduler.plan import BatteryControl, Plan, ReasonKind, SolveStatus
from scheduler.policies import Progress, silent
from scheduler.policies.assemble import make_plan
from scheduler.policies.dispatch import dispatch
from scheduler.policies.feeders import overload_kw
from scheduler.policies.fifo import fifo_schedule
from scheduler.policies.schedule import Schedule, it_power_kw, task_eur
from scheduler.policies.wait_for_sun import wait_for_sun_schedule
from scheduler.problem import Problem
from scheduler.resting import with_rest

KINDS = {"fifo": ReasonKind.RUN_AT_ONCE, "wait_for_sun": ReasonKind.WAIT_FOR_SUN}
"""Reason of everything in a plan of these baselines."""


@dataclass(frozen=True, slots=True)
class MilpPolicy:
    """The policy ``milp``: a Pyomo model solved by HiGHS, never dearer as planned than either baseline.

    Attributes:
        stop: asked again and again; True returns the incumbent. None: Ctrl-C asks.
    """

    stop: StopAsked | None = None

    @property
    def name(self) -> str:
        """``milp``."""
        return "milp"

    def plan(self, problem: Problem, progress: Progress = silent) -> Plan:
        """The best plan found, with a proven bound.

        Raises:
            SolverError: the solver failed in a way that leaves no plan at all.
        """
        with Interruption() as interruption:
            return self.search(problem, progress, self.stop or interruption)

    def replan(self, problem: Problem, before: Plan, progress: Progress = silent) -> Plan:
        """As ``plan``, with what the plan in force still holds as a further start of the search.

        Raises:
            SolverError: the solver failed in a way that leaves no plan at all.
        """
        with Interruption() as interruption:
            starts = {"plan in force": fitting(problem, schedule_in_force(problem, before))}
            return self.search(problem, progress, self.stop or interruption, starts)

    def search(self, problem: Problem, progress: Progress, stop: StopAsked, starts: dict[str, Schedule] | None = None) -> Plan:
        """The best plan found from ``starts`` and the baselines; Ctrl-C is the caller's matter, who says when to ``stop``.

        At the prices asked for; where that leaves load unserved, the best one found that leaves as little as it can.

        Raises:
            SolverError: the solver failed in a way that leaves no plan at all.
        """
        deadline = time.perf_counter() + problem.settings.time_limit_s
        plan, schedule = self._searched(problem, problem, progress, stop, starts or {}, deadline)
        if plan.energy.unserved_kw.max() > DUST_KW and time.perf_counter() < deadline and not stop():
            progress("load would go unserved: planned again with that as the last resort")
            again = self._searched(
                problem, serving(problem), progress, stop, {**(starts or {}), "first plan": schedule}, deadline
            )[0]
            if again.energy.unserved_kw.sum() < plan.energy.unserved_kw.sum() - DUST_KW:
                plan = replace(again, build_s=plan.build_s + again.build_s, solve_s=plan.solve_s + again.solve_s)
        return replace(plan, status=_status(problem, plan, stop))

    def _searched(
        self, problem: Problem, priced: Problem, progress: Progress, stop: StopAsked, starts: dict[str, Schedule], deadline: float
    ) -> tuple[Plan, Schedule]:
        """A plan of ``problem``, its status unknown, found at the prices of ``priced``; with what was decided on jobs."""
        begun = time.perf_counter()
        parts, model = compiled(priced)
        built = time.perf_counter()
        whole = int(model.integer.sum())
        progress(
            f"model: {len(model.row_lower)} rows, {len(model.cost)} columns ({whole} whole), {len(parts.classes)} job classes"
        )
        search = Search(parts, model, progress, stop, deadline)
        baselines = {"fifo": fifo_schedule(problem), "wait_for_sun": wait_for_sun_schedule(problem)}
        search.run({**starts, **baselines, "nothing": nothing(problem)})
        schedule = search.schedule()
        energy = search.energy(schedule)
        extra_eur = 0.0 if priced is problem else serving_extra_eur(problem, energy.unserved_kw)
        plan = make_plan(
            problem,
            schedule,
            energy,
            assets=search.asset_runs(schedule),
            policy=self.name,
            control=BatteryControl.FOLLOW_PLAN,
            status=SolveStatus.UNKNOWN,
            solver=f"{search.words}; best plan from: {search.origin}",
            solve_s=time.perf_counter() - built,
            bound_eur=search.bound - extra_eur if search.bound > float("-inf") else None,
            build_s=built - begun,
        )
        if priced is problem:
            plan = _not_dearer(problem, plan, baselines)
        return replace(plan, solve_s=time.perf_counter() - built), schedule


def _status(problem: Problem, plan: Plan, stop: StopAsked) -> SolveStatus:
    """How the solve of the finished plan ended: a person's wish to stop first, then what cannot be, then its own gap."""
    if stop():
        return SolveStatus.INTERRUPTED
    if plan.status is SolveStatus.INFEASIBLE:
        return SolveStatus.INFEASIBLE
    proven = plan.gap is not None and plan.gap <= enough_gap(problem.settings)
    return SolveStatus.OPTIMAL if proven else SolveStatus.TIME_LIMIT


def compiled(problem: Problem, dearest_core_kw: FloatArray | None = None) -> tuple[ModelParts, Compiled]:
    """The model as arrays (arguments as of ``build_model``); its Pyomo objects, of no use any more, are let go."""
    from pyomo.common.gc_manager import PauseGC

    with PauseGC():
        parts = build_model(problem, dearest_core_kw)
        model = compile_model(parts)
        parts.model = None
    return parts, model


def nothing(problem: Problem) -> Schedule:
    """Only what is already commanded: a schedule that is always possible."""
    from scheduler.policies.placing import Board

    board = Board(problem)
    board.put_pinned()
    return board.schedule


def _not_dearer(problem: Problem, plan: Plan, baselines: dict[str, Schedule]) -> Plan:
    """``plan``, or a baseline's in its place should that cost less (then ``solver`` says so)."""
    best = plan
    for name, schedule in baselines.items():
        power = it_power_kw(problem, schedule)
        runs = rule_runs(problem, power)
        energy = dispatch(with_draw(with_rest(problem, schedule), runs), power)
        if overload_kw(problem, energy) > DUST_KW or (energy.export_kw > problem.export_limit_kw + DUST_KW).any():
            continue  # the rule knows no feeder and no export limit of assets: what breaks one is no plan
        priced = breakdown_eur(problem, energy, assets=bill_of(runs), **task_eur(problem, schedule))
        if sum(priced.values()) < best.objective_eur - 1e-9 * max(1.0, abs(best.objective_eur)):
            best = make_plan(
                problem,
                schedule,
                energy,
                assets=runs,
                policy=plan.policy,
                control=BatteryControl.SELF_CONSUMPTION,
                status=SolveStatus.UNKNOWN,
                solver=f"{plan.solver}; the baseline {name} was better",
                solve_s=plan.solve_s,
                kind=KINDS[name],
                bound_eur=plan.bound_eur,
                build_s=plan.build_s,
            )
    return best
