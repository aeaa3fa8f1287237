"""Coarse slots first: what merging keeps, places that are legal on the fine grid, and bounds that are those of the fine case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scheduler.optimiser.case_maker import make_case
from scheduler.optimiser.large.case import INTERRUPTIBLE, MALLEABLE, Case, Solution
from scheduler.optimiser.large.coarse import coarsen, fine_places, fine_prices, lifted, solve_coarse_first
from scheduler.optimiser.large.decisions import load_and_use
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.policy import LargePolicy
from scheduler.optimiser.large.solve import LargeLimits, solve_case
from scheduler.optimiser.large.translate import case_of
from scheduler.optimiser.large.warm import job_numbers
from scheduler.optimiser.plain import solve_plain
from scheduler.plan import SolveStatus
from scheduler.scenario import PlanningSettings
from sim.case_check import check_case
from tests.cases import decided, first_fit, tiny, with_jobs
from tests.scheduler.checks import check_plan
from tests.scheduler.optimiser.large.random_problems import random_problem
from tests.scheduler.optimiser.large.test_solve import MEDIUM

SEEDS = st.integers(0, 1000)
FACTORS = st.sampled_from([2, 3, 4, 6, 12])


def random_case(seed: int) -> Case:
    """40 jobs of all kinds on 4 sites in 48 half hours."""
    return make_case(replace(MEDIUM, jobs=40), seed)


@given(seed=SEEDS, factor=FACTORS)
@settings(max_examples=25, deadline=None)
def test_merging_keeps_energy(seed: int, factor: int) -> None:
    """Each job's energy, and the energies of fixed load, sun and wind, are those of the fine case; limits only shrink."""
    case = random_case(seed)
    coarse = coarsen(case, factor)
    assert coarse.T * factor == case.T
    assert np.allclose(coarse.pw * coarse.p * coarse.dt, case.pw * case.p * case.dt)
    assert (coarse.p * factor - case.p < factor).all()
    for name in ("a", "ren"):
        assert np.allclose(getattr(coarse, name).sum(axis=1) * coarse.dt, getattr(case, name).sum(axis=1) * case.dt)
    for name in ("cap", "gmax", "emax"):
        wide = np.repeat(getattr(coarse, name), factor, axis=-1)
        assert (wide <= getattr(case, name)).all()
        assert np.isclose(wide, getattr(case, name)).reshape(*wide.shape[:-1], -1, factor).any(axis=-1).all()


def _finer(case: Case, factor: int) -> Case:
    """The case with every slot cut into ``factor`` equal ones, and jobs of as much more slots."""
    grids: dict[str, Any] = {
        name: np.repeat(getattr(case, name), factor, axis=-1) for name in ("cap", "a", "pue", "ren", "gmax", "emax", "pi", "po")
    }
    times: dict[str, Any] = {
        name: factor * getattr(case, name) for name in ("dr_start", "dr_end", "p", "rel", "dl", "soft", "ea")
    }
    return replace(case, dt=case.dt / factor, wt=case.wt / factor, **grids, **times)


@given(seed=SEEDS, factor=FACTORS)
@settings(max_examples=25, deadline=None)
def test_merging_undoes_cutting(seed: int, factor: int) -> None:
    """A case whose slots were cut into equal ones is itself again: every array."""
    case = random_case(seed)
    assume((case.dl[np.repeat(np.arange(case.J), np.diff(case.ep))] - case.ea >= 0).all())
    again = coarsen(_finer(case, factor), factor)
    owner = np.repeat(np.arange(case.J), np.diff(case.ep))
    closed = case.dl[owner] - case.ea < case.p[owner]
    assert np.array_equal(again.ea[~closed], case.ea[~closed])
    for name in Case.__dataclass_fields__:
        if name == "rows":
            assert len(again.rows) == len(case.rows)
        elif name != "ea":
            found, expected = getattr(again, name), getattr(case, name)
            assert found == expected if isinstance(expected, str) else np.allclose(found, expected), name


@given(seed=SEEDS, factor=FACTORS)
@settings(max_examples=25, deadline=None)
def test_a_job_fits_where_it_fitted(seed: int, factor: int) -> None:
    """An entry is open on the coarse grid exactly when it is on the fine one, and touches no slot outside the fine window."""
    case = random_case(seed)
    coarse = coarsen(case, factor)
    owner = np.repeat(np.arange(case.J), np.diff(case.ep))
    fits = case.dl[owner] - case.ea >= case.p[owner]
    assert np.array_equal(coarse.dl[owner] - coarse.ea >= coarse.p[owner], fits)
    assert (factor * (coarse.ea + 1) > case.ea)[fits].all()
    assert (factor * (coarse.dl[owner] - 1) < case.dl[owner])[fits].all()


@given(seed=SEEDS, factor=FACTORS, draw=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_lifted_places_are_legal(seed: int, factor: int, draw: int) -> None:
    """Window, work and kind of every job that has a coarse place, whatever the prices; malleable jobs also at a slower pace."""
    case = random_case(seed)
    coarse, rng = coarsen(case, factor), np.random.default_rng(draw)
    plan = _slower(coarse, first_fit(coarse))
    made = fine_places(case, factor, coarse, plan, rng.normal(0.1, 0.1, (case.S, case.T)))
    assert np.array_equal(made.choice, plan.choice)
    assert {finding.rule for finding in check_case(case, made).findings} <= {"capacity"}
    kept = lifted(case, factor, Dual(coarse), plan).placed(case, job_numbers(case)).choice >= 0
    owner = np.repeat(np.arange(case.J), np.diff(case.ep))
    alone = np.array([len({*case.es[owner == j]}) == (owner == j).sum() for j in range(case.J)])
    assert np.array_equal(kept[alone], (plan.choice >= 0)[alone])


def _slower(case: Case, plan: Solution) -> Solution:
    """The plan with the first slot of each malleable job in the second mode, and one more slot where the window has room."""
    jobs: list[Any] = []
    for j in range(case.J):
        slots = plan.run_slot[plan.run_ptr[j] : plan.run_ptr[j + 1]].tolist()
        full, eco = [1.0] * len(slots), [0.0] * len(slots)
        if slots and case.typ[j] == MALLEABLE and slots[-1] + 1 < case.dl[j]:
            full, eco, slots = [0.0, *full[1:], 1.0], [1.0, *eco[1:], 0.0], [*slots, slots[-1] + 1]
        jobs.append((int(plan.choice[j]), slots, full, eco))
    return decided(*jobs)


def test_a_rigid_job_starts_where_its_run_is_cheapest() -> None:
    """Two coarse slots of three hold four slots of work: three starts, or fewer where the window ends."""
    case = with_jobs(tiny(slots=9), {"p": 4}, {"p": 4, "dl": 8}, {"p": 4, "rel": 5})
    price = np.array([[9.0, 9, 9, 9, 3, 2, 1, 2, 2]])
    made = fine_places(case, 3, coarsen(case, 3), decided((0, [1, 2]), (1, [1, 2]), (2, [1, 2])), price)
    assert made.run_slot.reshape(3, 4)[:, 0].tolist() == [5, 4, 5]
    assert coarsen(case, 3).dl.tolist() == [3, 2, 3]


def test_an_interruptible_job_takes_the_cheapest_slots_of_its_coarse_ones() -> None:
    """Four of six slots; the earlier one where two cost the same."""
    case = with_jobs(tiny(slots=9), {"typ": 1, "p": 4})
    price = np.array([[0.0, 2, 5, 9, 9, 9, 2, 2, 2]])
    made = fine_places(case, 3, coarsen(case, 3), decided((0, [0, 2])), price)
    assert made.run_slot.tolist() == [0, 1, 6, 7]


def test_a_malleable_job_keeps_its_pace_less_what_rounding_added() -> None:
    """Four slots of work in two coarse ones of three: two thirds of each share, so the energy is that of the coarse plan."""
    case = with_jobs(tiny(slots=9), {"typ": 2, "p": 4})
    coarse = coarsen(case, 3)
    plan = decided((0, [0, 1, 2], [1.0, 0.3, 0.0], [0.0, 0.0, 1.0]))
    made = fine_places(case, 3, coarse, plan, np.zeros((1, 9)))
    assert np.allclose(made.run_full, np.repeat([2 / 3, 0.2, 0.0], 3))
    assert np.allclose(made.run_eco, np.repeat([0.0, 0.0, 2 / 3], 3))
    assert load_and_use(case, made)[0].sum() * case.dt == pytest.approx(load_and_use(coarse, plan)[0].sum() * coarse.dt)


@pytest.mark.parametrize(
    ("kind", "slots", "full"),
    [(0, [2, 3], [1.0, 1.0]), (1, [2, 3], [1.0, 1.0]), (2, [2, 3], [1.0, 1.0])],
    ids=["rigid", "interruptible", "malleable"],
)
def test_where_the_window_cuts_slots_off_the_nearest_others_are_taken(kind: int, slots: list[int], full: list[float]) -> None:
    """Slots 2 and 3 lie in two coarse slots of three; the job, planned in the first of them, has only one slot there."""
    case = with_jobs(tiny(slots=6), {"typ": kind, "p": 2, "rel": 2, "dl": 4})
    coarse = coarsen(case, 3)
    assert (coarse.p.tolist(), coarse.ea.tolist(), coarse.dl.tolist()) == ([1], [0], [2])
    made = fine_places(case, 3, coarse, decided((0, [0])), np.zeros((1, 6)))
    assert made.run_slot.tolist() == slots
    assert np.allclose(made.run_full, full)


def test_what_is_missing_goes_on_outwards_from_where_the_job_was() -> None:
    """Three slots of work, the window begins in the middle of the coarse slot: the two slots behind it follow."""
    case = with_jobs(tiny(slots=12, cap=1.0), {"typ": 1, "p": 3, "rel": 5, "dl": 9})
    coarse = coarsen(case, 4)
    made = fine_places(case, 4, coarse, decided((0, [1])), np.zeros((1, 12)))
    assert made.run_slot.tolist() == [5, 6, 7]
    late = with_jobs(tiny(slots=12, cap=1.0), {"typ": 1, "p": 3, "rel": 7, "dl": 12})
    shut = coarsen(late, 4)
    moved = fine_places(late, 4, shut, decided((0, [1])), np.zeros((1, 12)))
    assert moved.run_slot.tolist() == [7, 8, 9]


@given(seed=SEEDS, factor=FACTORS, draw=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_prices_are_shared_among_slots(seed: int, factor: int, draw: int) -> None:
    """The prices of the slots of a coarse slot sum up to its own, and differ as paid import does."""
    case = random_case(seed)
    coarse = np.random.default_rng(draw).exponential(0.1, (case.S, case.T // factor))
    parts = fine_prices(case, coarse, factor).reshape(case.S, -1, factor)
    paid = (case.pi * case.pue * case.dt).reshape(parts.shape)
    assert np.allclose(parts.sum(axis=2), coarse)
    assert np.allclose(np.diff(parts, axis=2), np.diff(paid, axis=2))


@pytest.mark.parametrize("seed", range(4))
def test_lifted_prices_prove_the_same_where_slots_are_equal(seed: int) -> None:
    """Slots cut into equal ones bring jobs that may pause nothing, so the coarse bound holds on the fine grid, to the cent."""
    case = random_case(seed)
    case = replace(case, typ=np.maximum(case.typ, INTERRUPTIBLE))
    fine = _finer(case, 3)
    coarse = coarsen(fine, 3)
    found = solve_case(coarse, LargeLimits(0.3))
    warm = lifted(fine, 3, found.dual, found.solution)
    before, after = Dual(coarse), Dual(fine)
    before.nu = after.nu = warm.nu
    assert after.evaluate(warm.lam, warm.mu) == pytest.approx(before.evaluate(*found.dual.best), rel=1e-6)


@pytest.mark.parametrize("seed", range(1000, 1024))
def test_bound_is_one_of_the_fine_case(seed: int) -> None:
    """Against the exact model: the plan is feasible at its claimed cost, the bound not above the optimum, the plan not below."""
    case = case_of(random_problem(seed, PlanningSettings()))
    factor = next((number for number in (3, 2, 5) if case.T % number == 0), None)
    if factor is None:
        with pytest.raises(ValueError, match="cannot be merged"):
            solve_coarse_first(case, LargeLimits(0.5), 3)
        return
    truth = solve_plain(case, 60.0)
    assert truth.status is SolveStatus.OPTIMAL
    assert truth.objective is not None
    found = solve_coarse_first(case, LargeLimits(0.5, 1e-4), factor)
    verdict = check_case(case, found.solution)
    assert verdict.feasible, verdict.findings
    assert verdict.objective_eur == pytest.approx(found.objective, rel=1e-4, abs=1e-4)
    slack = 1e-5 * max(1.0, abs(truth.objective))
    assert found.bound <= truth.objective + slack
    assert found.objective >= truth.objective - slack


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_in_no_time_at_all_there_is_a_valid_plan(seconds: float) -> None:
    """150 jobs: the plan keeps every rule and its bound is true."""
    case = make_case(MEDIUM, 1)
    found = solve_coarse_first(case, LargeLimits(seconds), 4)
    verdict = check_case(case, found.solution)
    assert verdict.feasible, verdict.findings
    assert found.bound <= found.objective
    assert found.status is SolveStatus.TIME_LIMIT


def test_stop_and_no_jobs() -> None:
    """Asked to stop at once there is a plan; a case without jobs has one too, proven."""
    case = make_case(MEDIUM, 2)
    stopped = solve_coarse_first(case, LargeLimits(60.0), 4, stop=lambda: True)
    assert stopped.status is SolveStatus.INTERRUPTED
    assert check_case(case, stopped.solution).feasible
    empty = solve_coarse_first(tiny(), LargeLimits(1.0, 1e-6), 2)
    assert empty.objective == pytest.approx(0.4)
    assert empty.status is SolveStatus.OPTIMAL


@pytest.mark.parametrize(
    ("factor", "words"),
    [(1, "at least 2 slots, not 1"), (-3, "at least 2"), (5, "48 slots cannot be merged 5 at a time: 3 would be left")],
)
def test_other_factors_are_refused(factor: int, words: str) -> None:
    """Merging nothing, or what does not come out even."""
    with pytest.raises(ValueError, match=words):
        coarsen(random_case(1), factor)


def test_names_twice_are_refused() -> None:
    """Names must be one a job, as for any warm start."""
    case = random_case(1)
    with pytest.raises(ValueError, match="names for 40 jobs"):
        solve_coarse_first(case, LargeLimits(0.1), 2, names=("a",) * case.J)


def test_policy_plans_coarse_first_only_where_it_can() -> None:
    """Six slots by threes; four by fours do not come out even, which is said; with a warm start nothing is coarse."""
    told: list[str] = []
    quick = PlanningSettings(time_limit_s=0.5, relative_gap=0.0, coarse_factor=3)
    problem = next(p for p in (random_problem(seed, quick) for seed in range(100)) if p.horizon.slots % 3 == 0)
    found = LargePolicy().search(problem, told.append, lambda: False)
    check_plan(problem, found.plan)
    assert f"coarse: {problem.horizon.slots // 3} slots of 180 min" in told
    told.clear()
    LargePolicy().search(problem, told.append, lambda: False, warm=found.warm)
    assert not [line for line in told if "coarse" in line]
    told.clear()
    odd = replace(problem, settings=replace(quick, coarse_factor=7))
    check_plan(odd, LargePolicy().search(odd, told.append, lambda: False).plan)
    assert f"coarse_factor 7 does not divide {problem.horizon.slots} slots: planned on these slots alone" in told
