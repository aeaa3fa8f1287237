"""The acceptance test of the large-scale solver: 200 small problems whose optimum the reference proves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.optimiser.large.policy import LargePolicy
from scheduler.optimiser.large.translate import obstacles_to_scale
from scheduler.optimiser.policy import MilpPolicy
from scheduler.problem import Problem
from scheduler.scenario import PlanningSettings
from tests.scheduler.checks import check_feeders, check_plan
from tests.scheduler.optimiser.large.random_problems import random_problem, with_curves, with_pieces

PROVEN = PlanningSettings(relative_gap=1e-6, time_limit_s=60.0)
QUICK = PlanningSettings(relative_gap=0.003, time_limit_s=1.0)
THOROUGH = PlanningSettings(relative_gap=0.003, time_limit_s=3.0)
"""For problems whose plain model has several times as many columns and whole ones among them."""

NEAR = 0.01
"""How far from the optimum a plan may be, relative to it."""

NEAR_EUR = 0.003
"""The same for optima about zero, EUR."""

SEEDS, BATCH = 200, 20


def shortcoming(seed: int, problem: Problem, planning: PlanningSettings = QUICK) -> str | None:
    """What is wrong with the large-scale solver's answer to a problem, with figures; None when nothing is."""
    assert obstacles_to_scale(problem) == []
    reference = MilpPolicy().plan(problem)
    assert reference.bound_eur is not None
    proven = reference.objective_eur - reference.bound_eur <= 2e-6 * abs(reference.objective_eur) + 2e-6
    assert proven, f"seed {seed}: the reference proved nothing"
    plan = LargePolicy().plan(replace(problem, settings=planning))
    check_plan(problem, plan)
    check_feeders(problem, plan)
    assert plan.bound_eur is not None
    best = reference.objective_eur
    solver_eur = 2e-6 * abs(best) + 2e-6
    figures = f"seed {seed}: plan {plan.objective_eur:.6f}, bound {plan.bound_eur:.6f}, optimum {best:.6f} EUR"
    if plan.bound_eur > best + solver_eur:
        return f"false proof: {figures}"
    if plan.objective_eur < reference.bound_eur - solver_eur:
        return f"below what is possible: {figures}"
    if plan.objective_eur > best + NEAR * abs(best) + NEAR_EUR:
        return f"{100 * (plan.objective_eur - best) / abs(best):.2f} % dear: {figures}"
    return None


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_plan_is_near_the_proven_optimum_and_its_bound_is_true(first: int) -> None:
    """Each plan keeps every rule and costs at most 1 % more than the optimum; no bound is above it."""
    wrong = [
        said for seed in range(first, first + BATCH) if (said := shortcoming(seed, random_problem(seed, PROVEN))) is not None
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("seed", range(1000, 1012))
def test_plan_in_pieces_is_near_the_proven_optimum_and_its_bound_is_true(seed: int) -> None:
    """The same with most jobs in pieces of least lengths, with least pauses and prices of restarting."""
    assert shortcoming(seed, with_pieces(seed, random_problem(seed, PROVEN)), THOROUGH) is None


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("seed", range(2000, 2012))
def test_plan_on_curves_is_near_the_proven_optimum_and_its_bound_is_true(seed: int) -> None:
    """The same with most jobs on power-cap curves of one to five points."""
    assert shortcoming(seed, with_curves(seed, random_problem(seed, PROVEN)), THOROUGH) is None
