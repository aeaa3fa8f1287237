"""The optimiser as a policy: ``Problem -> Plan`` with bound and gap."""

from __future__ import annotations

import time
from dataclasses import dataclass

from scheduler.optimiser.compiled import Compiled, compile_model
from scheduler.optimiser.highs import StopAsked
from scheduler.optimiser.interrupt import Interruption
from scheduler.optimiser.model import ModelParts, build_model
from scheduler.optimiser.search import Search
from scheduler.plan import BatteryControl, Plan, SolveStatus
from scheduler.policies import Progress, silent
from scheduler.policies.assemble import make_plan
from scheduler.policies.fifo import Fifo, fifo_schedule
from scheduler.policies.schedule import Schedule
from scheduler.policies.wait_for_sun import WaitForSun, wait_for_sun_schedule
from scheduler.problem import Problem


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
            return self._plan(problem, progress, self.stop or interruption)

    def _plan(self, problem: Problem, progress: Progress, stop: StopAsked) -> Plan:
        begun = time.perf_counter()
        parts, model = _compiled(problem)
        built = time.perf_counter()
        whole = int(model.integer.sum())
        progress(
            f"model: {len(model.row_lower)} rows, {len(model.cost)} columns ({whole} whole), {len(parts.classes)} job classes"
        )
        search = Search(parts, model, progress, stop, built + problem.settings.time_limit_s)
        starts = {"fifo": fifo_schedule(problem), "wait_for_sun": wait_for_sun_schedule(problem), "nothing": _nothing(problem)}
        status = search.run(starts)
        schedule = search.schedule()
        plan = make_plan(
            problem,
            schedule,
            search.energy(schedule),
            policy=self.name,
            control=BatteryControl.FOLLOW_PLAN,
            status=status,
            solver=f"{search.words}; best plan from: {search.origin}",
            solve_s=time.perf_counter() - built,
            bound_eur=search.bound if search.bound > float("-inf") else None,
            build_s=built - begun,
        )
        return _not_dearer(problem, plan)


def _compiled(problem: Problem) -> tuple[ModelParts, Compiled]:
    """The model as arrays; its Pyomo objects, of no use any more, are let go."""
    from pyomo.common.gc_manager import PauseGC

    with PauseGC():
        parts = build_model(problem)
        model = compile_model(parts)
        parts.model = None
    return parts, model


def _nothing(problem: Problem) -> Schedule:
    """Only what is already commanded: a schedule that is always possible."""
    from scheduler.policies.placing import Board

    board = Board(problem)
    board.put_pinned()
    return board.schedule


def _not_dearer(problem: Problem, plan: Plan) -> Plan:
    """``plan``, or a baseline's in its place should that cost less (then ``solver`` says so)."""
    from dataclasses import replace

    best = plan
    for rule in (Fifo(), WaitForSun()):
        other = rule.plan(problem)
        if other.objective_eur < best.objective_eur - 1e-9 * max(1.0, abs(best.objective_eur)):
            gap = None if plan.bound_eur is None else (other.objective_eur - plan.bound_eur) / max(abs(other.objective_eur), 1e-9)
            status = plan.status if plan.status is not SolveStatus.OPTIMAL else SolveStatus.UNKNOWN
            best = replace(
                other,
                policy=plan.policy,
                bound_eur=plan.bound_eur,
                gap=gap,
                status=status,
                solver=f"{plan.solver}; the baseline {rule.name} was better",
            )
    return best
