"""Several futures in the price decomposition, against the exact two-stage model of the reference."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.futures import Future
from scheduler.optimiser.large.case import Solution
from scheduler.optimiser.large.cells import cell, flexible, grid_of
from scheduler.optimiser.large.dual import Dual, event_grid
from scheduler.optimiser.large.energy import EnergyBlock, feeder_sites
from scheduler.optimiser.large.future_plan import mean_grid
from scheduler.optimiser.large.futures import FutureCases, FutureDual, future_cases, mean_blocks
from scheduler.optimiser.large.solve import LargeLimits, solve_case
from scheduler.optimiser.large.translate import case_of
from scheduler.optimiser.large.two_stage import LargeTwoStagePolicy
from scheduler.optimiser.large.warm import warm_of
from scheduler.optimiser.two_stage import TwoStagePolicy
from scheduler.plan import Plan, SolveStatus
from scheduler.problem import MigrationOption, MigrationTask, Problem
from scheduler.scenario import PlanningSettings
from sim.case_check import check_case
from tests.cases import tiny, with_jobs
from tests.scheduler.optimiser.large.random_problems import random_problem

NOTHING = Solution(
    np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
)
"""The plan of a case without jobs."""

EXACT = PlanningSettings(relative_gap=0.0, limit_margin=0.0, time_limit_s=60.0)


def uncertain(seed: int, planning: PlanningSettings = EXACT) -> Problem:
    """A random problem with two to four futures of sun and fixed load."""
    problem, rng = random_problem(seed, planning), np.random.default_rng(seed)
    count = int(rng.integers(2, 5))
    shares = rng.dirichlet(np.full(count, 3.0))
    futures = tuple(
        Future(
            float(share),
            problem.renewable_kw * rng.uniform(0.2, 1.8, problem.renewable_kw.shape),
            problem.fixed_kw * rng.uniform(0.7, 1.3, problem.fixed_kw.shape),
        )
        for share in shares
    )
    return replace(problem, futures=futures)


def cases_of(problem: Problem) -> FutureCases:
    """The futures of a problem as cases."""
    futures = problem.futures
    return future_cases(
        case_of(problem),
        np.stack([future.renewable_kw for future in futures]),
        np.stack([future.fixed_kw for future in futures]),
        np.array([future.probability for future in futures]),
    )


@lru_cache(maxsize=64)
def known(seed: int) -> tuple[Problem, Plan, float]:
    """A random uncertain problem, the reference's plan and its proven expected cost."""
    problem = uncertain(seed)
    plan = TwoStagePolicy().plan(problem)
    assert plan.expected is not None
    assert plan.expected.bound_eur is not None
    assert plan.expected.gap == pytest.approx(0.0, abs=1e-5)
    return problem, plan, plan.expected.objective_eur


@settings(max_examples=40, deadline=None)
@given(st.integers(2000, 2011), st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.1, 0.3, 1.0]))
def test_no_price_and_no_offset_prove_too_much(seed: int, draw: int, scale: float) -> None:
    """Random prices, and random offsets of every future: the bound stays at or below the exact expected cost."""
    problem, _, optimum = known(seed)
    dual, rng = FutureDual(cases_of(problem)), np.random.default_rng(draw)
    lam = scale * rng.exponential(1.0, dual.lam.shape)
    mu = 0.1 * scale * rng.exponential(1.0, dual.mu.shape) * (rng.random(dual.mu.shape) < 0.5)
    dual.mean_offset = scale * rng.normal(size=dual.offset.shape)
    assert dual.evaluate(lam, mu) <= optimum + 1e-6 * max(1.0, abs(optimum))


@pytest.mark.parametrize("seed", range(2000, 2006))
def test_searched_prices_prove_nearly_all_and_not_too_much(seed: int) -> None:
    """After 60 sweeps the bound is true, better than the first, and offsets have mean 0 and helped."""
    problem, _, optimum = known(seed)
    dual = FutureDual(cases_of(problem))
    first = dual.evaluate(dual.lam, dual.mu)
    for _ in range(60):
        dual.step()
        dual.evaluate(dual.mean_lam, dual.mean_mu)
    assert first < dual.bound <= optimum + 1e-6 * max(1.0, abs(optimum))
    assert np.abs(dual.stack.mean(dual.best_offset)).max() < 1e-9
    searched, best = dual.bound, dual.best
    dual.bound, dual.mean_offset = -np.inf, np.zeros_like(dual.offset)
    assert dual.evaluate(best[0].copy(), best[1].copy()) <= searched + 1e-9


@pytest.mark.parametrize("seed", range(2000, 2012))
def test_plan_against_the_exact_two_stage_model(seed: int) -> None:
    """The plan keeps every rule, its costs are those of each future, none is below the optimum, most are near it."""
    problem, exact, optimum = known(seed)
    problem = replace(problem, settings=replace(EXACT, time_limit_s=2.0))
    plan = LargeTwoStagePolicy().plan(problem)
    expected = plan.expected
    assert expected is not None
    assert expected.bound_eur is not None
    assert expected.bound_eur <= optimum + 1e-6 * max(1.0, abs(optimum))
    assert expected.objective_eur >= optimum - 1e-5 * max(1.0, abs(optimum))
    assert expected.objective_eur <= expected.one_future_eur + 1e-9
    assert expected.objective_eur == pytest.approx(optimum, rel=0.1, abs=0.05)
    assert np.dot(expected.probabilities, expected.costs_eur) == pytest.approx(expected.objective_eur)
    assert plan.policy == exact.policy


def test_equal_futures_are_one() -> None:
    """Futures that are all the forecast: bound and objective of the case without futures, up to the search."""
    case = with_jobs(
        tiny(pi=[[0.4, 0.1, 0.2, 0.3]], ren=0.5, E=2.0, Pc=1.0, Pd=1.0, soc0=1.0),
        {"p": 2},
        {"typ": 1, "p": 2, "pw": 2.0},
    )
    futures = future_cases(case, np.stack([case.ren] * 3), np.stack([case.a] * 3), np.array([0.2, 0.3, 0.5]))
    one = solve_case(case, LargeLimits(1.0, 1e-4))
    many = solve_case(futures.mean, LargeLimits(1.0, 1e-4), futures=futures)
    assert many.objective == pytest.approx(one.objective, rel=1e-6)
    assert many.bound == pytest.approx(one.bound, rel=1e-3)
    assert check_case(case, many.solution).feasible


def test_expected_cost_is_the_mean_of_exact_costs() -> None:
    """The blocks of all futures give the probability-weighted sum of single ones."""
    futures = cases_of(uncertain(2003))
    load = np.random.default_rng(1).uniform(0.0, 2.0, futures.mean.a.shape)
    free = np.full(load.shape, np.inf)
    single = [
        sum(EnergyBlock(case, sites, free, feeders=True).fix_load(load)[0] for sites in feeder_sites(case))
        for case in futures.cases
    ]
    blocks = mean_blocks(futures, free)
    assert sum(block.fix_load(load)[0] for block in blocks) == pytest.approx(float(np.dot(futures.shares, single)))


def test_settled_energy_never_uses_a_battery_both_ways() -> None:
    """Paid for import, the programme charges and discharges at once; settled, no future does, and it earns less for it."""
    case = tiny(pi=-0.3, po=-0.5, gmax=9.0, E=2.0, Pc=2.0, Pd=2.0, soc0=1.0, eta_c=0.8, eta_d=0.8)
    futures = future_cases(case, np.stack([case.ren, case.ren]), np.stack([case.a, 2.0 * case.a]), np.array([0.25, 0.75]))
    load = np.ones_like(case.a)
    (block,) = mean_blocks(futures, np.full(load.shape, np.inf))
    value, flows = block.fix_load(load)
    assert any(part.both_ways(flow) for part, flow in zip(block.parts, flows, strict=True))
    exact, again = block.settled(load)
    assert exact > value + 1e-3
    assert len(again) == len(futures.cases)
    assert not any(part.both_ways(flow) for part, flow in zip(block.parts, again, strict=True))
    alone = [EnergyBlock(one, np.array([0]), np.full(load.shape, np.inf), feeders=True).settled(load)[0] for one in futures.cases]
    assert exact == pytest.approx(float(futures.shares @ alone), rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(2000, 2011), st.integers(0, 2**32 - 1))
def test_a_cell_of_many_futures_costs_their_mean(seed: int, draw: int) -> None:
    """Between any two loads the merged steps cost the mean of what the steps of every future cost, and import their mean."""
    futures, rng = cases_of(uncertain(seed)), np.random.default_rng(draw)
    case, events = futures.mean, event_grid(futures.mean)
    none = np.zeros((case.S, case.T))
    grids = []
    for one in futures.cases:
        battery = rng.uniform(-1.0, 1.0, none.shape) * np.where(one.E > 0, np.minimum(one.Pc, one.Pd), 0.0)[:, None]
        flex = flexible(one, battery, rng.uniform(0.0, 0.3, none.shape), 0.2)
        grids.append(grid_of(one, flex, events.limit, events.penalty, np.zeros_like(one.cap), none))
    merged = mean_grid(grids, futures.shares)
    s, t = int(rng.integers(case.S)), int(rng.integers(case.T))
    low, high = np.sort(rng.uniform(0.0, 8.0, 2))
    change = np.array([np.subtract(cell(grid, s, t, high), cell(grid, s, t, low)) for grid in grids])
    found = np.subtract(cell(merged, s, t, high), cell(merged, s, t, low))
    assert found == pytest.approx(futures.shares @ change, abs=1e-7)


def test_refusals() -> None:
    """Probabilities that are none, a warm start over futures, and what only the reference knows."""
    case = tiny()
    both = np.stack([case.ren] * 2)
    with pytest.raises(ValueError, match="must be above 0 and sum to 1"):
        future_cases(case, both, both, np.array([0.5, 0.6]))
    futures = future_cases(case, both, both, np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match="no warm start over futures"):
        solve_case(futures.mean, LargeLimits(0.1), warm=warm_of(case, Dual(case), NOTHING), futures=futures)
    problem = uncertain(2000)
    move = MigrationTask("m", "m", 0, 1.0, 0, 4, True, 10.0, (MigrationOption(1, (), 100.0, 0.1, 0.1),))
    with pytest.raises(ValueError, match="does not know transfers that are planned slot by slot"):
        LargeTwoStagePolicy().plan(replace(problem, migrations=(move,)))


def test_many_columns_go_to_the_large_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy takes the large solver where the reference would be slow, and the reference where only it knows everything."""
    problem = uncertain(2001, replace(EXACT, time_limit_s=1.0))
    monkeypatch.setattr("scheduler.optimiser.seam.REFERENCE_COLUMNS", 0)
    plan = TwoStagePolicy().plan(problem)
    assert plan.solver.startswith("price decomposition over")
    assert plan.status in {SolveStatus.OPTIMAL, SolveStatus.TIME_LIMIT}
    said: list[str] = []
    paid = replace(problem, export_eur_per_kwh=problem.import_weight_eur_per_kwh + 0.01)
    assert "price decomposition" not in TwoStagePolicy().plan(paid, said.append).solver
    assert any("exporting pays more than importing" in line for line in said)


def test_asked_to_stop_there_is_a_plan() -> None:
    """Somebody who asks to stop from the start still gets a placement, its expected cost, and that status."""
    plan = LargeTwoStagePolicy(lambda: True).plan(uncertain(2002))
    assert plan.status is SolveStatus.INTERRUPTED
    assert plan.expected is not None
