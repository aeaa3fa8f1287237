"""The large-scale solver's plan of a small problem beside the reference's, whose optimum is proven."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.policy import LargePolicy
from scheduler.optimiser.large.translate import case_of, obstacles_to_scale
from scheduler.optimiser.plain import solve_plain
from scheduler.optimiser.policy import MilpPolicy
from scheduler.plan import Plan, SolveStatus
from scheduler.problem import Problem
from scheduler.scenario import PlanningSettings
from tests.scheduler.checks import check_feeders, check_plan

NEAR = 0.01
"""How far from the optimum a plan may be, relative to it."""

NEAR_EUR = 0.003
"""The same for optima about zero, EUR."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A plan, and the optimum beside it."""

    plan: Plan
    best: Plan

    @property
    def above(self) -> float:
        """What the plan costs more than the optimum, relative to that."""
        return (self.plan.objective_eur - self.best.objective_eur) / abs(self.best.objective_eur)

    def untrue(self) -> str | None:
        """What cannot be, with figures: a bound above the optimum, or a plan below it; None when nothing is wrong."""
        assert self.plan.bound_eur is not None
        assert self.best.bound_eur is not None
        solver_eur = 2e-6 * abs(self.best.objective_eur) + 2e-6
        if self.plan.bound_eur > self.best.objective_eur + solver_eur:
            return f"false proof: {self.figures}"
        if self.plan.objective_eur < self.best.bound_eur - solver_eur:
            return f"below what is possible: {self.figures}"
        return None

    def shortcoming(self) -> str | None:
        """That, or a plan that is not near the optimum."""
        best = self.best.objective_eur
        if self.plan.objective_eur > best + NEAR * abs(best) + NEAR_EUR:
            return f"{100 * self.above:.2f} % dear: {self.figures}"
        return self.untrue()

    @property
    def figures(self) -> str:
        """The figures."""
        plan, best = self.plan, self.best.objective_eur
        return f"plan {plan.objective_eur:.6f}, bound {plan.bound_eur:.6f}, optimum {best:.6f} EUR"


def compared(problem: Problem, planning: PlanningSettings, check: Callable[[Problem, Plan], None] = check_feeders) -> Compared:
    """Plan ``problem`` by the reference, which must prove its optimum, and by the large-scale solver with ``planning``.

    The plan keeps every rule by the tests' own checks.
    """
    assert obstacles_to_scale(problem) == []
    best = MilpPolicy().plan(problem)
    assert best.bound_eur is not None
    assert best.objective_eur - best.bound_eur <= 2e-6 * abs(best.objective_eur) + 2e-6, "the reference proved nothing"
    plan = LargePolicy().plan(replace(problem, settings=planning))
    check_plan(problem, plan)
    check(problem, plan)
    return Compared(plan, best)


def all_above(problems: Iterable[Problem], planning: PlanningSettings) -> list[float]:
    """How far above the optimum each plan is; every plan keeps every rule, and no bound is untrue."""
    found = [compared(problem, planning) for problem in problems]
    untrue = [said for one in found if (said := one.untrue()) is not None]
    assert not untrue, "\n".join(untrue)
    return [one.above for one in found]


def proven_case(problem: Problem) -> tuple[Case, float]:
    """The case of a problem and its optimum, by the exact model."""
    case = case_of(problem)
    answer = solve_plain(case, 60.0)
    assert answer.status is SolveStatus.OPTIMAL
    assert answer.objective is not None
    return case, answer.objective
