"""The exact polish: a plan gets cheaper or stays, keeps every rule, and what is claimed to be proven is true."""

from __future__ import annotations

import time

import numpy as np
import pytest

from scheduler.optimiser.case_maker import Size, make_case
from scheduler.optimiser.large import exact
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.exact import adopt, polish, time_for_polish
from scheduler.optimiser.large.primal import Primal
from scheduler.optimiser.plain import plain_size, solve_plain
from sim.case_check import check_case
from tests.cases import all_dropped

SMALL = Size("small", 25, 3, 24, 0.5, None, 10.0, 0)
TINY = Size("tiny", 10, 2, 16, 0.5, None, 10.0, 0)


def searched(case: Case) -> tuple[Primal, Dual]:
    """A first plan at the prices of 20 sweeps, without any search."""
    dual = Dual(case)
    for _ in range(20):
        dual.step()
    dual.evaluate(dual.mean_lam, dual.mean_mu)
    primal = Primal(case, dual)
    primal.start()
    primal.repair()
    primal.judge("first", None)
    return primal, dual


def never() -> bool:
    """Nobody asks to stop."""
    return False


@pytest.mark.parametrize("seed", range(3))
def test_small_case_is_solved_to_its_optimum(seed: int) -> None:
    """The whole model is solved: the plan has the optimum within the gap, and the bound is not above it."""
    case = make_case(TINY, seed)
    assert plain_size(case)[0] <= exact.WHOLE_COLUMNS
    primal, dual = searched(case)
    gained = polish(case, primal, dual, time.perf_counter() + 60.0, 1e-3, never)
    assert gained is not None
    assert gained.proven
    assert gained.after <= gained.before
    objective = primal.finish()
    verdict = check_case(case, primal.solution())
    assert verdict.feasible, verdict.findings
    assert verdict.objective_eur == pytest.approx(objective, abs=1e-5)
    optimum = solve_plain(case, 60.0, gap=1e-4).objective
    assert optimum is not None
    assert objective <= optimum + 1.2e-3 * abs(optimum)
    assert dual.bound <= optimum + 1e-6 * abs(optimum)


def test_pieces_never_make_a_plan_dearer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbourhoods only: cheaper than the first plan, which keeps every rule, at the cost that the check finds."""
    monkeypatch.setattr(exact, "WHOLE_COLUMNS", 0)
    case = make_case(SMALL, 7)
    primal, dual = searched(case)
    bound, first = dual.bound, primal.objective
    gained = polish(case, primal, dual, time.perf_counter() + 60.0, 0.0, lambda: primal.objective < first)
    assert gained is not None
    assert gained.rounds > 0
    assert not gained.proven
    assert gained.after < gained.before
    assert dual.bound == bound
    verdict = check_case(case, primal.solution())
    assert verdict.feasible, verdict.findings
    assert verdict.objective_eur == pytest.approx(primal.finish(), abs=1e-5)


def test_dearer_solution_is_not_adopted() -> None:
    """Everything dropped, against a plan that runs jobs: the plan stays as it is."""
    case = make_case(SMALL, 1)
    primal, _ = searched(case)
    before, choice = primal.objective, primal.solution().choice
    assert not adopt(case, primal, all_dropped(case))
    assert primal.objective == before
    assert np.array_equal(primal.solution().choice, choice)


def test_large_case_is_left_alone() -> None:
    """No time is kept for it, and nothing is done."""
    case = make_case(Size("large", 250, 5, 96, 0.25, None, 10.0, 0), 1)
    assert time_for_polish(case) == 0.0
    primal, dual = searched(case)
    assert polish(case, primal, dual, time.perf_counter() + 60.0, 0.0, never) is None


def test_asked_to_stop_nothing_is_polished() -> None:
    """Stop, or no time: the plan stays."""
    case = make_case(SMALL, 2)
    primal, dual = searched(case)
    assert polish(case, primal, dual, time.perf_counter() + 60.0, 0.0, lambda: True) is None
    assert polish(case, primal, dual, time.perf_counter() - 1.0, 0.0, never) is None
