"""Limits that sites share, in the large-scale solver: translation, prices, bound and plan, against the reference."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.futures import Future
from scheduler.network_limits import ElementKind, NetworkCut, excess_kw
from scheduler.on_grid import net_import_kw
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.coarse import coarsen, solve_coarse_first
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.energy import EnergyBlock, feeder_sites
from scheduler.optimiser.large.policy import LargePolicy
from scheduler.optimiser.large.row_prices import answer_kw, driven, from_adders, limits_for_moves
from scheduler.optimiser.large.rows import RowList, SharedRows
from scheduler.optimiser.large.solve import LargeLimits, solve_case
from scheduler.optimiser.large.translate import case_of
from scheduler.optimiser.large.two_stage import LargeTwoStagePolicy
from scheduler.optimiser.large.warm import warm_of
from scheduler.optimiser.plain import solve_plain
from scheduler.optimiser.policy import MilpPolicy
from scheduler.optimiser.two_stage import TwoStagePolicy
from scheduler.plan import Plan
from scheduler.problem import Feeder, GroupLimit, Problem
from scheduler.scenario import PlanningSettings
from sim.case_check import check_case
from tests.cases import decided, tiny, with_jobs
from tests.scheduler.checks import check_feeders, check_plan
from tests.scheduler.optimiser.large.compared import NEAR, NEAR_EUR, compared, proven_case
from tests.scheduler.optimiser.large.tied_problems import tied_problem

PROVEN = PlanningSettings(relative_gap=1e-6, limit_margin=0.0, time_limit_s=60.0)
QUICK = PlanningSettings(relative_gap=0.003, limit_margin=0.0, time_limit_s=1.0)


def check_shared(problem: Problem, plan: Plan) -> None:
    """Every cut and every cap, added up from the plan's own energy."""
    energy = plan.energy
    assert excess_kw(problem.cuts, net_import_kw(plan)) <= 1e-5
    for group in problem.groups:
        for power, cap in ((energy.import_kw, group.import_kw), (energy.export_kw, group.export_kw)):
            assert (sum(power[site] for site in group.sites) <= cap + 1e-5).all()
    check_feeders(problem, plan)


def shortcoming(seed: int) -> str | None:
    """What is wrong with the large-scale solver's plan of a problem with shared limits, with figures; None when nothing is."""
    found = compared(tied_problem(seed, PROVEN), QUICK, check_shared)
    unserved = float(found.plan.energy.unserved_kw.sum() - found.best.energy.unserved_kw.sum())
    said = f"{unserved:.4f} kW more unserved: {found.figures}" if unserved > 1e-5 else found.shortcoming()
    return None if said is None else f"seed {seed}: {said}"


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("first", range(0, 40, 10))
def test_plan_keeps_what_is_shared_and_is_near_the_optimum(first: int) -> None:
    """Each plan keeps cuts, caps and feeders and costs at most 1 % more than the optimum; no bound is above it."""
    wrong = [said for seed in range(first, first + 10) if (said := shortcoming(seed)) is not None]
    assert not wrong, "\n".join(wrong)


@lru_cache(maxsize=64)
def known(seed: int) -> tuple[Case, float]:
    """The case of a problem with shared limits and its optimum."""
    return proven_case(tied_problem(seed, PROVEN))


@settings(max_examples=60, deadline=None)
@given(st.integers(100, 119), st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.1, 0.3, 1.0, 5.0]))
def test_no_price_proves_too_much(seed: int, draw: int, scale: float) -> None:
    """Random prices of load and capacity, and of rows, which must not matter: the bound stays at or below the optimum."""
    case, optimum = known(seed)
    rng = np.random.default_rng(draw)
    dual = Dual(case)
    lam = scale * rng.exponential(1.0, (case.S, case.T))
    mu = 0.1 * scale * rng.exponential(1.0, case.cap.shape) * (rng.random(case.cap.shape) < 0.5)
    proven = dual.evaluate(lam, mu)
    assert proven <= optimum + 1e-6 * max(1.0, abs(optimum))
    dual.row_price = rng.exponential(1.0, len(case.rows))
    assert dual.evaluate(lam, mu) == pytest.approx(proven, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", range(100, 108))
def test_the_independent_check_and_the_exact_model_know_the_rows(seed: int) -> None:
    """The optimum of the exact model has the cost that the check finds for its decisions."""
    case, optimum = known(seed)
    assert len(case.rows)
    found = solve_plain(case, 60.0).solution
    assert found is not None
    verdict = check_case(case, found)
    assert verdict.feasible, verdict.findings
    assert verdict.objective_eur == pytest.approx(optimum, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("seed", range(100, 103))
def test_coarse_first_keeps_the_rows_of_the_fine_case(seed: int) -> None:
    """Rows are merged with their slots for the first look; plan and bound are those of the fine case."""
    case, optimum = known(seed)
    factor = next((n for n in (2, 3, 5, 7) if case.T % n == 0), None)
    assert factor is not None
    coarse = coarsen(case, factor)
    assert coarse.rows.slot.tolist() == [slot // factor for slot in case.rows.slot]
    found = solve_coarse_first(case, LargeLimits(1.5, 0.002), factor)
    verdict = check_case(case, found.solution)
    assert verdict.feasible, verdict.findings
    assert verdict.objective_eur == pytest.approx(found.objective, rel=1e-4, abs=1e-4)
    assert found.bound <= found.objective
    assert found.objective >= optimum - 1e-5 * max(1.0, abs(optimum))


@pytest.mark.parametrize("seed", range(200, 203))
def test_every_future_keeps_the_rows(seed: int) -> None:
    """Expected cost and bound against the exact two-stage model, with rows in every future."""
    problem, rng = tied_problem(seed, replace(PROVEN, relative_gap=0.0)), np.random.default_rng(seed)
    futures = tuple(
        Future(
            0.5,
            problem.renewable_kw * rng.uniform(0.3, 1.7, problem.renewable_kw.shape),
            problem.fixed_kw * rng.uniform(0.8, 1.1),
        )
        for _ in range(2)
    )
    problem = replace(problem, futures=futures)
    exact, plan = TwoStagePolicy().plan(problem).expected, LargeTwoStagePolicy().plan(replace(problem, settings=QUICK))
    assert exact is not None
    assert plan.expected is not None
    assert plan.expected.bound_eur is not None
    optimum = exact.objective_eur
    assert plan.expected.bound_eur <= optimum + 1e-6 * max(1.0, abs(optimum))
    check_shared(problem, plan)


def test_planning_again_under_new_cuts_keeps_them() -> None:
    """A plan in force that breaks a new cut: the warm plan keeps it and is near the optimum, and its bound is true."""
    problem = replace(tied_problem(1, PROVEN), cuts=(), groups=())
    policy = LargePolicy()
    before = policy.plan(replace(problem, settings=QUICK))
    net = net_import_kw(before)
    slot = int(np.argmax(net.sum(axis=0)))
    sites = tuple(range(len(problem.sites)))
    least = np.clip(problem.fixed_kw - problem.renewable_kw, 0.0, None)[:, slot].sum()
    limit = float(least + 0.5 * (net[:, slot].sum() - least))
    cut = NetworkCut(ElementKind.TRANSFORMER, "t", slot, sites, (1.0,) * len(sites), limit)
    changed = replace(problem, cuts=(cut,))
    assert excess_kw((cut,), net) > 0.1
    again = policy.replan(replace(changed, settings=QUICK), before)
    exact = MilpPolicy().plan(changed)
    check_plan(changed, again)
    check_shared(changed, again)
    assert again.bound_eur is not None
    assert again.bound_eur <= exact.objective_eur + 2e-6 * abs(exact.objective_eur)
    assert again.objective_eur <= exact.objective_eur * (1 + NEAR) + NEAR_EUR


def shared(*rows: tuple[int, float, list[int], list[float], list[float]]) -> SharedRows:
    """Rows that may all bind."""
    made = RowList()
    for row in rows:
        made.add(*row)
    return made.rows(np.full((9, 9), 1e6), np.full((9, 9), 1e6))


def test_sites_that_are_tied_are_one_part_of_the_energy_side() -> None:
    """A feeder of the sites 0 and 1, a row of 1 and 3, one of 4 alone: parts are 0, 1, 3; 2; and 4."""
    case = replace(tiny(sites=5), fid=np.array([0, 0, -1, -1, -1]), flim=np.array([50.0]))
    rows = shared((0, 1.0, [3, 1], [1.0, 1.0], [0.0, 0.0]), (1, 1.0, [4], [1.0], [0.0]))
    parts = sorted(part.tolist() for part in feeder_sites(replace(case, rows=rows)))
    assert parts == [[0, 1, 3], [2], [4]]


def test_a_row_binds_in_its_slot_and_nowhere_else() -> None:
    """Two sites of 1 kW each, 1.5 kW together in slot 1: half a kW goes unserved there, at the site where that is cheaper."""
    case = tiny(sites=2, unserved=[5.0, 4.0])
    case = replace(case, rows=shared((1, 1.5, [0, 1], [1.0, 1.0], [0.0, 0.0])))
    (sites,) = feeder_sites(case)
    block = EnergyBlock(case, sites, np.full((2, 4), np.inf), feeders=True)
    value, flows = block.fix_load(np.zeros((2, 4)))
    assert flows["unserved"] == pytest.approx(np.array([[0.0] * 4, [0.0, 0.5, 0.0, 0.0]]))
    assert value == pytest.approx(0.1 * 7.5 + 4.0 * 0.5)
    jobs = with_jobs(case, {"p": 1, "entries": [(0, 0.0, 0, -1)]})
    dear = check_case(jobs, decided((0, [1])))
    cheap = check_case(jobs, decided((0, [2])))
    assert dear.objective_eur == pytest.approx(0.1 * 7.5 + 4.0 * 1.0 + 5.0 * 0.5)
    assert cheap.objective_eur == pytest.approx(0.1 * 8.5 + 4.0 * 0.5)


def test_the_price_of_a_row_moves_jobs_to_other_slots() -> None:
    """Twenty jobs of 1 kW, cheapest in slot 1, where no more than 6 kW are left for them: prices say so, and the plan is optimal.

    Six in slot 1 at 0.05, the others at 0.1 EUR; the bound is that without whole jobs, which is the same.
    """
    price = [[0.1, 0.05, 0.1, 0.1]] * 2
    case = tiny(sites=2, pi=price, a=1.0, cap=100.0)
    case = with_jobs(case, *[{"p": 1, "entries": [(k % 2, 0.0, 0, -1)]} for k in range(20)])
    case = replace(case, must_serve=True, rows=shared((1, 8.0, [0, 1], [1.0, 1.0], [-1.0, -1.0])))
    dual = Dual(case)
    for _ in range(80):
        dual.step()
        dual.evaluate(dual.mean_lam, dual.mean_mu)
    optimum = 0.1 * 6 + 0.05 * 2 + 0.05 * 6 + 0.1 * 14
    assert optimum * 0.995 <= dual.bound <= optimum + 1e-9
    assert dual.mean_row_price == pytest.approx([0.05], abs=0.01)
    found = solve_case(case, LargeLimits(1.0))
    assert found.objective == pytest.approx(optimum)


def test_prices_of_rows_survive_a_shift_and_other_rows() -> None:
    """What rows add to prices is kept by site and slot; the rows of another case find their prices in it."""
    case = with_jobs(tiny(sites=2), {"p": 1})
    rows = shared((1, 1.0, [0, 1], [1.0, 0.5], [-1.0, -0.5]), (3, 1.0, [1], [0.0], [1.0]))
    dual = Dual(replace(case, rows=rows))
    dual.mean_row_price = np.array([0.2, 0.3])
    warm = warm_of(dual.case, dual, decided((-1, ())))
    assert warm.row_adder[:, :, 1] == pytest.approx(np.array([[0.2, 0.1], [0.2, 0.1]]))
    assert warm.row_adder[:, :, 3] == pytest.approx(np.array([[0.0, 0.0], [0.0, -0.3]]))
    assert from_adders(rows, warm.row_adder) == pytest.approx([0.2, 0.3])
    later = shared((0, 1.0, [0, 1], [2.0, 1.0], [-2.0, -1.0]), (0, 9.0, [0], [1.0], [-1.0]))
    assert from_adders(later, warm.shifted(1).row_adder) == pytest.approx([0.1, 0.0])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_limits_for_moves_keep_every_row_together(draw: int) -> None:
    """Sites that all import and export up to their parts keep every row whose weights are not negative, from any plan."""
    rng = np.random.default_rng(draw)
    sites, slots = int(rng.integers(2, 5)), 4
    case = tiny(sites=sites, a=rng.uniform(0.0, 2.0, (sites, slots)), ren=rng.uniform(0.0, 3.0, (sites, slots)), emax=5.0)
    made = RowList()
    for slot in range(slots):
        for _ in range(int(rng.integers(0, 3))):
            chosen = rng.permutation(sites)[: int(rng.integers(1, sites + 1))].tolist()
            weights, nothing = rng.uniform(0.2, 1.5, len(chosen)).tolist(), [0.0] * len(chosen)
            ways = (weights, nothing) if rng.random() < 0.7 else (nothing, weights)
            made.add(slot, float(rng.uniform(0.0, 8.0)), chosen, *ways)
    case = replace(case, rows=made.rows(case.gmax, case.emax))
    load, battery = rng.uniform(0.0, 4.0, (sites, slots)), rng.uniform(-1.0, 1.0, (sites, slots))
    most = limits_for_moves(case, load, battery, rng)
    assert (case.rows.left_side(*most) <= case.rows.limit + 1e-9).all()
    assert (most[0] <= case.gmax).all()
    assert (most[1] <= case.emax).all()


def test_the_answer_of_the_energy_side_is_taken_apart_into_import_and_export() -> None:
    """Sun first, then import; what is beyond the load is exported where that pays, and nothing at once."""
    case = tiny(sites=1, a=[[1.0, 4.0, 2.0, 2.0]], ren=[[3.0, 3.0, 0.0, 9.0]], emax=1.5, gmax=1.5, po=0.02)
    served, battery = np.zeros((1, 4)), np.array([[0.0, 0.0, 0.5, 0.0]])
    nobody = (np.full((1, 4), np.inf), np.zeros((1, 4)))
    grid = answer_kw(case, nobody, np.full(1, 1e9), np.zeros(1), np.zeros((2, 1, 4)), served, battery)
    assert grid[0] == pytest.approx(np.array([[0.0, 1.0, 1.5, 0.0]]))
    assert grid[1] == pytest.approx(np.array([[1.5, 0.0, 0.0, 1.5]]))


def test_the_price_of_a_row_rises_with_its_excess_and_is_never_negative() -> None:
    """1 kW too much: half of what would close it, at two sites of stiffness 0.1; room brings it down to 0."""
    rows = shared((0, 3.0, [0, 1], [1.0, 1.0], [0.0, 0.0]), (1, 3.0, [0], [1.0], [0.0]))
    grid = np.zeros((2, 2, 2))
    grid[0] = [[2.0, 1.0], [2.0, 0.0]]
    found = driven(rows, np.array([0.0, 0.01]), grid, np.ones((2, 2)), np.full(2, 0.1))
    assert found == pytest.approx([0.5 * 1.0 / 20.0, 0.0])


def group(sites: tuple[int, ...], cap: list[float], back: float = np.inf) -> GroupLimit:
    """A cap on imports by slot, and one on exports."""
    return GroupLimit("g", sites, np.array(cap), np.full(len(cap), back))


def test_translation_tells_feeders_from_rows() -> None:
    """A constant cap without exports is a feeder; one that changes, shares a member or has exports is rows."""
    problem = replace(tied_problem(0, PROVEN), cuts=(), groups=(), feeders=())
    slots = problem.horizon.slots
    limit = np.full_like(problem.import_limit_kw, 5.0)
    problem = replace(problem, import_limit_kw=limit, export_limit_kw=np.zeros_like(limit))
    same, rising = [6.0] * slots, [6.0, np.inf, 20.0] + [7.0] * (slots - 3)

    def case(*groups: GroupLimit) -> Case:
        return case_of(replace(problem, groups=groups))

    assert case(group((1, 0), same)).fid[:2].tolist() == [0, 0]
    assert len(case(group((1, 0), same)).rows) == 0
    assert case(group((0, 1), rising)).rows.slot.tolist() == [0, *range(3, slots)]
    twice = case(group((0, 1), same), group((1, 0), same))
    assert (len(twice.flim), len(twice.rows)) == (1, slots)
    selling = case_of(replace(problem, groups=(group((0, 1), same, 1.0),), export_limit_kw=limit))
    assert len(selling.flim) == 0
    assert len(selling.rows) == 2 * slots
    assert set(selling.rows.imports.tolist()) == set(selling.rows.exports.tolist()) == {0.0, 1.0}


def test_feeders_that_cross_are_rows_of_the_same_effect() -> None:
    """A chain against the order of the sites: the exact model has the reference's optimum."""
    problem = replace(tied_problem(3, PROVEN), cuts=(), groups=())
    sites = len(problem.sites)
    drop = (0.004,) * sites
    crossing = replace(problem, feeders=(Feeder("back", tuple(reversed(range(sites))), 5.0, drop, 0.03),))
    case = case_of(crossing)
    assert (case.fid < 0).all()
    assert len(case.rows)
    reference = MilpPolicy().plan(crossing)
    assert reference.energy.unserved_kw.max() == pytest.approx(0.0, abs=1e-6)
    assert solve_plain(case, 60.0).objective == pytest.approx(reference.objective_eur, rel=1e-5)


def test_a_cut_is_told_to_both_solvers_in_the_same_way() -> None:
    """In kW of the site that matters most, without a site whose effect is below a millionth of that."""
    cut = NetworkCut(ElementKind.LINE, "l", 0, (0, 1, 2), (0.2, -0.4, 1e-9), 3.0)
    scaled = cut.scaled()
    assert scaled.sites == (0, 1)
    assert scaled.per_kw == pytest.approx((0.5, -1.0))
    assert scaled.limit == pytest.approx(7.5)
