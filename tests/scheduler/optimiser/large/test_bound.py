"""Whatever the prices, what they prove is true: no price makes the bound exceed the optimum of the exact model."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.optimiser.large.bound import copies_bound
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.groups import classes_of
from scheduler.optimiser.large.size_bound import SizeDual
from scheduler.optimiser.large.solve import LargeLimits, solve_case
from scheduler.optimiser.large.translate import case_of
from scheduler.optimiser.plain import solve_plain
from scheduler.plan import SolveStatus
from scheduler.scenario import PlanningSettings
from sim.case_check import check_case
from tests.cases import tiny, with_jobs
from tests.scheduler.optimiser.large.compared import proven_case
from tests.scheduler.optimiser.large.random_problems import random_problem


@lru_cache(maxsize=64)
def known(seed: int) -> tuple[Case, float]:
    """A random case and its optimum."""
    return proven_case(random_problem(seed, PlanningSettings()))


@settings(max_examples=80)
@given(st.integers(1000, 1030), st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.1, 0.3, 1.0, 5.0]))
def test_no_price_proves_too_much(seed: int, draw: int, scale: float) -> None:
    """Random prices of power, capacity and volume, none from the search: the bound stays at or below the optimum."""
    case, optimum = known(seed)
    rng = np.random.default_rng(draw)
    dual = Dual(case)
    lam = scale * rng.exponential(1.0, (case.S, case.T))
    mu = 0.1 * scale * rng.exponential(1.0, case.cap.shape) * (rng.random(case.cap.shape) < 0.5)
    dual.nu = 0.01 * scale * rng.exponential(1.0, case.S) * (rng.random(case.S) < 0.5)
    assert dual.evaluate(lam, mu) <= optimum + 1e-6 * max(1.0, abs(optimum))


@settings(max_examples=40)
@given(st.integers(1000, 1030), st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.1, 1.0]))
def test_no_price_of_a_size_row_proves_too_much(seed: int, draw: int, scale: float) -> None:
    """Random prices of size rows beside searched prices of the rest: the bound stays at or below the optimum."""
    case, optimum = known(seed)
    rng = np.random.default_rng(draw)
    sized = SizeDual(_settled(case))
    mu = sized.mu.copy()
    mu[len(case.cap) :] = scale * rng.exponential(1.0, mu[len(case.cap) :].shape) * (rng.random(mu[len(case.cap) :].shape) < 0.3)
    assert sized.evaluate(sized.lam, mu) <= optimum + 1e-6 * max(1.0, abs(optimum))


@pytest.mark.parametrize("seed", range(1000, 1010))
def test_size_rows_go_on_from_the_prices_of_the_resources(seed: int) -> None:
    """The first bound with size rows is that of the same prices without; after 60 sweeps it is true, and the base has it."""
    case, optimum = known(seed)
    base = _settled(case)
    same = base.evaluate(base.mean_lam, base.mean_mu)
    sized = SizeDual(base)
    assert sized.evaluate(sized.mean_lam, sized.mean_mu) == pytest.approx(same, rel=1e-9, abs=1e-9)
    assert sized.use[: len(case.cap)] == pytest.approx(base.use, abs=1e-9)
    for _ in range(60):
        sized.step()
        sized.evaluate(sized.mean_lam, sized.mean_mu)
    assert sized.bound == base.bound >= same
    assert base.bound <= optimum + 1e-6 * max(1.0, abs(optimum))


def _settled(case: Case) -> Dual:
    """Prices of the resources after 20 sweeps."""
    base = Dual(case)
    for _ in range(20):
        base.step()
    base.evaluate(base.mean_lam, base.mean_mu)
    return base


def test_a_size_row_proves_what_prices_of_capacity_cannot() -> None:
    """Two jobs of two cores, three cores, one slot: fractions run 1.5 of them, a row for size 2 knows that one is dropped.

    0.1 EUR for the site and for each job that runs, 0.3 EUR for each that does not: 0.1 + 0.15 + 0.15 against 0.1 + 0.1 + 0.3.
    """
    case = with_jobs(tiny(slots=1, cap=3.0), *[{"res": 2.0, "drop": 0.3}] * 2)
    base = Dual(case)
    for _ in range(200):
        base.step()
    base.evaluate(base.mean_lam, base.mean_mu)
    assert base.bound == pytest.approx(0.4, abs=0.002)
    sized = SizeDual(base)
    assert sized.rows == 1
    for _ in range(200):
        sized.step()
        sized.evaluate(sized.mean_lam, sized.mean_mu)
    assert base.bound == pytest.approx(0.5, abs=0.002)
    assert base.bound <= 0.5 + 1e-9


@pytest.mark.parametrize("seed", range(1000, 1006))
def test_searched_prices_prove_nearly_all_and_not_too_much(seed: int) -> None:
    """After 60 sweeps the bound is true, and better than the one of the first prices."""
    case, optimum = known(seed)
    dual = Dual(case)
    first = dual.evaluate(dual.lam, dual.mu)
    for _ in range(60):
        dual.step()
        dual.evaluate(dual.mean_lam, dual.mean_mu)
    assert dual.bound <= optimum + 1e-6 * max(1.0, abs(optimum))
    assert dual.bound > first


@lru_cache(maxsize=64)
def paid_to_import(seed: int) -> tuple[Case, float]:
    """A random case with prices below zero in about a third of the slots, a site without capacity in some, and its optimum."""
    case = case_of(random_problem(seed, PlanningSettings()))
    rng = np.random.default_rng(seed)
    pi = np.where(rng.random(case.pi.shape) < 0.35, -rng.uniform(0.01, 0.4, case.pi.shape), case.pi)
    cap = case.cap.copy()
    if seed % 3 == 0:
        cap[:, int(rng.integers(case.S))] = 0.0
    changed = replace(case, pi=pi, po=np.minimum(case.po, pi), cap=cap)
    answer = solve_plain(changed, 60.0)
    assert answer.status is SolveStatus.OPTIMAL
    assert answer.objective is not None
    return changed, answer.objective


@settings(max_examples=60)
@given(st.integers(2000, 2023), st.integers(0, 2**32 - 1), st.sampled_from([-0.3, 0.1, 0.5, 2.0]))
def test_no_price_proves_too_much_where_importing_is_paid_for(seed: int, draw: int, scale: float) -> None:
    """Burning energy in a battery pays there, which binaries forbid and the bound allows: it stays at or below the optimum."""
    case, optimum = paid_to_import(seed)
    rng = np.random.default_rng(draw)
    dual = Dual(case)
    lam = scale * rng.exponential(1.0, (case.S, case.T)) + np.minimum(0.0, case.pi)
    mu = 0.1 * abs(scale) * rng.exponential(1.0, case.cap.shape) * (rng.random(case.cap.shape) < 0.5)
    assert dual.evaluate(lam, mu) <= optimum + 1e-6 * max(1.0, abs(optimum))


@pytest.mark.parametrize("seed", range(2000, 2024))
def test_plans_where_importing_is_paid_for_are_feasible_and_near_the_optimum(seed: int) -> None:
    """The independent check agrees with the objective; the bound is true, and the plan costs at most 2 % more than the best."""
    case, optimum = paid_to_import(seed)
    found = solve_case(case, LargeLimits(1.0, 1e-4))
    verdict = check_case(case, found.solution)
    assert verdict.feasible, verdict.findings
    assert verdict.objective_eur == pytest.approx(found.objective, rel=1e-4, abs=1e-4)
    assert found.bound <= optimum + 1e-6 * max(1.0, abs(optimum))
    assert optimum - 1e-5 * max(1.0, abs(optimum)) <= found.objective <= optimum + 0.02 * abs(optimum) + 0.003


def copies_by_hand(costs: list[list[float]], drops: list[float], price: list[float]) -> float:
    """Least of all sets of copies, each user of the dataset (one entry a copy) at its best; plain Python."""
    best = np.inf
    for mask in range(1 << len(price)):
        chosen = [c for c in range(len(price)) if mask >> c & 1]
        value = sum(price[c] for c in chosen)
        value += sum(min([drop, *(row[c] for c in chosen)]) for row, drop in zip(costs, drops, strict=True))
        best = min(best, value)
    return best


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 5))
def test_copies_are_bought_for_the_least_total(draw: int, copies: int, users: int) -> None:
    """Every set of copies is tried, also where a user earns money; more copies than the limit are a lower bound."""
    rng = np.random.default_rng(draw)
    cost = rng.uniform(-2.0, 2.0, (users, copies))
    drop, price = rng.uniform(0.0, 2.0, users), rng.uniform(0.0, 2.0, copies)
    entries = users * copies

    def value(most: int) -> float:
        return float(
            copies_bound(
                np.array([0, users]), np.arange(users), np.arange(0, entries + 1, copies), np.arange(entries),
                np.tile(np.arange(copies), users), cost.ravel(), drop, np.ones(users), np.arange(users),
                np.array([0, copies]), np.arange(copies), price, most,
            )
        )  # fmt: skip

    assert value(12) == pytest.approx(copies_by_hand(cost.tolist(), drop.tolist(), price.tolist()))
    assert value(0) <= value(12) + 1e-12


def test_malleable_job_may_take_part_of_a_slot_that_lacks_room_for_all_of_it() -> None:
    """Room for half the job in both slots: it runs at half of each, and no price says that it must be dropped."""
    case = with_jobs(
        tiny(slots=2, a=0.0, pi=0.1, cap=[[[1.0, 1.0]]]), {"typ": 2, "p": 1, "res": 2.0, "drop": 50.0, "speed2": 0.5}
    )
    optimum = solve_plain(case, 10.0).objective
    assert optimum == pytest.approx(0.1)
    dual = Dual(case)
    assert dual.evaluate(np.full((1, 2), 0.1), np.zeros((1, 1, 2))) == pytest.approx(0.1)


def test_merging_identical_jobs_is_exact() -> None:
    """Twelve jobs of three kinds: the same bound for the same prices, whether they are merged or not."""
    shapes: list[dict[str, Any]] = [{"typ": 0, "p": 2}, {"typ": 1, "p": 3, "soft": 2, "wt": 0.2}, {"typ": 2, "p": 2, "drop": 0.3}]
    case = with_jobs(tiny(pi=[[0.3, 0.1, 0.2, 0.4]], cap=5.0), *(shapes * 4))
    merged, single = Dual(case), Dual(case, classes_of(case, merge=False))
    assert len(merged.classes.first) == 3
    assert len(single.classes.first) == 12
    rng = np.random.default_rng(1)
    for _ in range(5):
        lam, mu = rng.uniform(0.0, 0.6, (1, 4)), rng.uniform(0.0, 0.3, (1, 1, 4))
        assert merged.evaluate(lam, mu) == pytest.approx(single.evaluate(lam, mu))
