"""A relaxation that starts at the vertex of a similar one gives the same answer, in few iterations where little changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scheduler.build import build_problem
from scheduler.optimiser.basis import Vertex, carried_basis
from scheduler.optimiser.compiled import Compiled, compile_model
from scheduler.optimiser.highs import Limits, solve_linear
from scheduler.optimiser.model import ModelParts, build_model
from scheduler.plan import SolveStatus
from scheduler.problem import Problem
from tests.factory import job, small_scenario

MINUTE = Limits(60.0)


def busy() -> Problem:
    """The small scenario with eight jobs more, three kinds of them, so that the relaxation takes hundreds of iterations."""
    scenario = small_scenario()
    more = tuple(job(f"more-{k}", duration_h=2 + k % 3, nodes=1) for k in range(8))
    return build_problem(replace(scenario, jobs=scenario.jobs + more))


def model_of(problem: Problem) -> tuple[ModelParts, Compiled]:
    """Its model."""
    parts = build_model(problem)
    return parts, compile_model(parts)


@pytest.fixture(scope="module")
def solved() -> tuple[Problem, Vertex]:
    """The busy problem and the vertex of its relaxation."""
    problem = busy()
    parts, model = model_of(problem)
    return problem, Vertex(parts, model, solve_linear(model, MINUTE).basis)


def test_the_same_model_needs_no_iteration(solved: tuple[Problem, Vertex]) -> None:
    """One iteration is enough from its own vertex, and far too few from nothing."""
    _, vertex = solved
    again = solve_linear(vertex.model, MINUTE, method="simplex", basis=vertex.basis, iterations=1)
    assert again.status is SolveStatus.OPTIMAL
    assert solve_linear(vertex.model, MINUTE, method="simplex", iterations=1).status is SolveStatus.TIME_LIMIT


@pytest.mark.parametrize("what", ["prices", "battery", "fewer jobs", "more sites' capacity"])
def test_a_similar_model_has_its_own_optimum_and_needs_few_iterations(solved: tuple[Problem, Vertex], what: str) -> None:
    """The optimum is that of a cold solve; a tenth of the columns would be too many iterations for any of these changes."""
    problem, vertex = solved
    battery = problem.batteries[0]
    assert battery is not None
    changed = {
        "prices": replace(problem, import_eur_per_kwh=1.2 * problem.import_eur_per_kwh + 0.01),
        "battery": replace(problem, batteries=(replace(battery, energy_kwh=2 * battery.energy_kwh), *problem.batteries[1:])),
        "fewer jobs": replace(problem, jobs=problem.jobs[1:]),
        "more sites' capacity": replace(problem, capacity=problem.capacity * np.array([1.0, 1.5, 1.0])[None, :, None]),
    }[what]
    parts, model = model_of(changed)
    cold = solve_linear(model, MINUTE)
    few = len(model.cost) // 10
    warm = solve_linear(model, MINUTE, method="simplex", basis=carried_basis(vertex, parts, model), iterations=few)
    assert warm.status is SolveStatus.OPTIMAL
    assert warm.objective == pytest.approx(cold.objective, rel=1e-7)
    assert solve_linear(model, MINUTE, method="simplex", iterations=few).status is SolveStatus.TIME_LIMIT
