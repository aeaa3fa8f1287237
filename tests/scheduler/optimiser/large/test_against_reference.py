"""The acceptance test of the large-scale solver: 200 small problems whose optimum the reference proves."""

from __future__ import annotations

import pytest

from scheduler.problem import Problem
from scheduler.scenario import PlanningSettings
from tests.scheduler.optimiser.large.compared import compared
from tests.scheduler.optimiser.large.random_problems import random_problem, with_curves, with_pieces

PROVEN = PlanningSettings(relative_gap=1e-6, time_limit_s=60.0)
QUICK = PlanningSettings(relative_gap=0.003, time_limit_s=1.0)
THOROUGH = PlanningSettings(relative_gap=0.003, time_limit_s=3.0)
"""For problems whose plain model has several times as many columns and whole ones among them."""

SEEDS, BATCH = 200, 20


def shortcoming(seed: int, problem: Problem, planning: PlanningSettings = QUICK) -> str | None:
    """What is wrong with the large-scale solver's answer to a problem, with figures; None when nothing is."""
    said = compared(problem, planning).shortcoming()
    return None if said is None else f"seed {seed}: {said}"


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
