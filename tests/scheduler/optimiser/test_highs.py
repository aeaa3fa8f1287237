"""How HiGHS is spoken to: every way a solve can end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from scheduler.build import build_problem
from scheduler.optimiser.compiled import Compiled
from scheduler.optimiser.highs import STATUS, Limits, solve_integer, solve_linear
from scheduler.optimiser.policy import MilpPolicy
from scheduler.plan import SolveStatus
from tests.factory import small_scenario
from tests.scheduler.checks import check_plan


def knapsack(items: int, *, capacity: float = 0.5, offset: float = 3.0) -> Compiled:
    """Maximise value under several weights (as a minimum); ``capacity`` is a share of all weight."""
    rng = np.random.default_rng(5)
    weights = rng.integers(20, 60, (8, items)).astype(float)
    value = weights.mean(axis=0) + rng.uniform(0, 3, items)
    inf = np.full(8, np.inf)
    return Compiled(
        cost=-value,
        offset=offset,
        matrix=sparse.csc_array(weights),
        row_lower=-inf,
        row_upper=capacity * weights.sum(axis=1),
        lower=np.zeros(items),
        upper=np.ones(items),
        integer=np.ones(items, dtype=bool),
        columns={},
        rows={},
    )


def test_optimal_with_bound_and_offset() -> None:
    """A small knapsack is solved: objective and bound agree, both hold the offset, and the relaxation is below."""
    model = knapsack(12)
    answer, relaxed = solve_integer(model, Limits(30.0)), solve_linear(model, Limits(30.0))
    assert answer.status is relaxed.status is SolveStatus.OPTIMAL
    assert answer.values is not None
    assert answer.objective == pytest.approx(float(model.cost @ answer.values) + 3.0)
    assert answer.bound == pytest.approx(answer.objective)
    assert relaxed.objective is not None
    assert answer.objective is not None
    assert relaxed.objective <= answer.objective


def test_time_limit_returns_the_incumbent() -> None:
    """With no time at all the status says so, and a given starting point comes back as incumbent."""
    model = knapsack(200)
    start = np.zeros(200)
    start[0] = 1.0
    answer = solve_integer(model, Limits(0.2), start)
    assert answer.status is SolveStatus.TIME_LIMIT
    assert answer.objective is not None
    assert answer.objective <= float(model.cost @ start) + 3.0 + 1e-9
    assert answer.bound is not None
    assert answer.bound < answer.objective


def test_node_limit_is_no_success() -> None:
    """A node limit reports TIME_LIMIT (incumbent, gap above the asked one), never OPTIMAL."""
    assert solve_integer(knapsack(200), Limits(60.0, nodes=1)).status is SolveStatus.TIME_LIMIT


def test_infeasible() -> None:
    """Weights that must be negative: no values, no objective, no bound."""
    answer = solve_integer(knapsack(5, capacity=-0.1), Limits(30.0))
    assert answer.status is SolveStatus.INFEASIBLE
    assert answer.values is None
    assert (answer.objective, answer.bound) == (None, None)


def test_interrupted() -> None:
    """When somebody asks to stop, the solve ends as INTERRUPTED with the starting point as incumbent."""
    start = np.zeros(200)
    start[:3] = 1.0
    answer = solve_integer(knapsack(200), Limits(60.0), start, stop=lambda: True)
    assert answer.status is SolveStatus.INTERRUPTED
    assert answer.objective is not None
    assert answer.objective <= float(knapsack(200).cost @ start) + 3.0 + 1e-9


def test_unknown_statuses_are_unknown() -> None:
    """Statuses that say nothing good are not in the table, and what the table calls optimal is optimal."""
    for name in (
        "kNotset",
        "kLoadError",
        "kModelError",
        "kPresolveError",
        "kSolveError",
        "kUnbounded",
        "kUnknown",
        "kMemoryLimit",
    ):
        assert STATUS.get(name, SolveStatus.UNKNOWN) is SolveStatus.UNKNOWN
    assert {name for name, status in STATUS.items() if status is SolveStatus.OPTIMAL} == {
        "kOptimal",
        "kModelEmpty",
        "kObjectiveTarget",
    }


def test_interrupted_policy_keeps_a_sound_plan() -> None:
    """A policy that is stopped at once returns a whole, sound plan with status INTERRUPTED."""
    problem = build_problem(small_scenario())
    plan = MilpPolicy(stop=lambda: True).plan(problem)
    check_plan(problem, plan)
    assert plan.status is SolveStatus.INTERRUPTED


def test_policy_without_time_keeps_a_sound_plan() -> None:
    """A time limit of zero leaves the best baseline placing with optimised energy, status TIME_LIMIT, no bound claimed."""
    scenario = small_scenario()
    problem = build_problem(replace(scenario, planning=replace(scenario.planning, time_limit_s=0.0)))
    plan = MilpPolicy().plan(problem)
    check_plan(problem, plan)
    assert plan.status is SolveStatus.TIME_LIMIT
    assert plan.bound_eur is plan.gap is None


def test_empty_model() -> None:
    """A model without columns is its offset when its rows hold, and infeasible when one does not."""
    model = knapsack(0, offset=7.0)
    assert solve_linear(model, Limits(1.0)).objective == 7.0
    broken = replace(model, row_upper=np.full(8, -1.0))
    assert solve_integer(broken, Limits(1.0)).status is SolveStatus.INFEASIBLE
