"""Power-cap curves of any modes: responses against a linear programme, and shares of modes out of power and use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from scheduler.optimiser.large.case import MALLEABLE
from scheduler.optimiser.large.coarse import coarsen, fine_places
from scheduler.optimiser.large.curves import form_of, mode_shares, work_of
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.pieces import tables_of
from scheduler.optimiser.large.respond import respond
from scheduler.optimiser.large.solve import LargeLimits, solve_case
from scheduler.optimiser.large.special import curved
from scheduler.optimiser.large.terms import terms_of
from scheduler.optimiser.large.translate import case_of, obstacles_to_scale, run_of, schedule_of
from scheduler.optimiser.large.warm import job_numbers, warm_of
from scheduler.optimiser.plain import solve_plain
from scheduler.plan import SolveStatus
from scheduler.problem import Mode
from scheduler.scenario import PlanningSettings
from scheduler.workload import JobKind
from sim.case_check import check_case
from tests.cases import tiny, with_jobs
from tests.scheduler.optimiser.large.random_problems import random_problem, with_curves
from tests.scheduler.optimiser.large.windows import windows
from tests.scheduler.problems import flat_problem, task

Reals = npt.NDArray[np.float64]
POINT = st.tuples(st.floats(0.1, 1.0), st.floats(0.05, 1.0))
MODES = st.lists(POINT, min_size=1, max_size=6).map(lambda modes: np.array(sorted(modes)))


def answer(kw: Reals, use: Reals, modes: Reals, **job: Any) -> tuple[float, float, Reals, Reals]:
    """Cost, lateness and shares of the compiled response, in just as much room as the case says."""
    size, first = len(kw), job["first"]
    case = with_jobs(tiny(slots=first + size), {"typ": MALLEABLE, "p": job["work"], "rel": first})
    terms = terms_of(replace(case, curve_speed=modes[:, 0][None], curve_power=modes[:, 1][None]))
    assert terms.special.all()
    share_kw, share_use = np.empty(size), np.empty(size)
    cost, late = curved(
        kw, use, job["limit"], first, job["work"], job["soft"], job["late"], terms.speed[0], terms.power[0], share_kw, share_use,
        tables_of(terms),
    )  # fmt: skip
    return float(cost), float(late), share_kw, share_use


@given(windows(), MODES)
@settings(max_examples=120)
def test_shares_are_those_of_the_linear_programme(window: tuple[Reals, Reals, dict[str, Any]], modes: Reals) -> None:
    """Shares of all modes within each slot's limit that do at least the work: the cost is the optimum that scipy finds.

    And the power and use that come out are those of shares of modes that do the work.
    """
    kw, use, job = window
    cost, late, share_kw, share_use = answer(kw, use, modes, **job)
    free = np.flatnonzero(np.isfinite(use))
    most = float(job["limit"][free].sum()) * modes[:, 0].max()
    if most < job["work"] - 1e-9:
        assert np.isinf(cost)
        return
    base = use[free] + job["late"] * (job["first"] + free >= job["soft"])
    price = np.concatenate([power * kw[free] + base for _, power in modes])
    done = -np.repeat(modes[:, 0], len(free))
    within = np.tile(np.eye(len(free)), len(modes))
    best = linprog(price, np.vstack((done, within)), np.concatenate(([-float(job["work"])], job["limit"][free])))
    if best.status != 0:
        assert most < job["work"] + 1e-7  # so near to the most that can be done that scipy does not see it
        return
    assert cost == pytest.approx(best.fun, abs=1e-7)
    assert cost == pytest.approx(float(share_kw[free] @ kw[free] + share_use[free] @ use[free]) + late, abs=1e-9)
    assert (share_use <= job["limit"] + 1e-9).all()
    shares = np.array([mode_shares(modes[:, 0], modes[:, 1], *both) for both in zip(share_use, share_kw, strict=True)])
    assert shares.sum(axis=1) == pytest.approx(share_use)
    assert shares @ modes[:, 1] == pytest.approx(share_kw, abs=1e-9)
    assert float((shares @ modes[:, 0]).sum()) >= job["work"] - 1e-7


@given(windows(), st.floats(0.2, 0.99), st.floats(0.1, 0.99))
def test_two_modes_cost_what_they_did(window: tuple[Reals, Reals, dict[str, Any]], speed2: float, power2: float) -> None:
    """Full speed and a slower mode as a curve: the cost of the response of two modes."""
    kw, use, job = window
    size = len(kw)
    cost = respond(
        MALLEABLE, kw, use, job["limit"], size, job["first"], job["work"], job["soft"], job["late"], speed2, power2,
        np.empty(size), np.empty(size), np.empty(2 * size), np.empty(2 * size),
    )[0]  # fmt: skip
    assert answer(kw, use, np.array([[speed2, power2], [1.0, 1.0]]), **job)[0] == pytest.approx(cost, abs=1e-9)


@given(MODES, st.lists(st.floats(0.0, 1.0), min_size=6, max_size=6), st.floats(0.01, 1.0))
def test_shares_out_of_power_and_use_do_at_least_as_much(modes: Reals, weights: list[float], use: float) -> None:
    """Any mix of modes, kept as power and use, comes back as a mix of the same power and use that does no less."""
    mix = np.array(weights[: len(modes)]) + 1e-3
    mix *= use / mix.sum()
    found = np.array(mode_shares(modes[:, 0], modes[:, 1], use, float(mix @ modes[:, 1])))
    assert (found >= 0.0).all()
    assert found.sum() == pytest.approx(use)
    assert found @ modes[:, 1] == pytest.approx(mix @ modes[:, 1], abs=1e-9)
    assert found @ modes[:, 0] >= mix @ modes[:, 0] - 1e-9
    case = with_jobs(tiny(), {"typ": MALLEABLE, "power2": modes[:, 1].min()})
    case = replace(case, curve_speed=modes[:, 0][None], curve_power=modes[:, 1][None])
    full, eco = form_of(modes[:, 1].tolist(), found.tolist())
    done = work_of(case, np.zeros(1, dtype=np.int64), np.array([full]), np.array([eco]))
    assert done[0] == pytest.approx(found @ modes[:, 0], abs=1e-6)


@pytest.mark.parametrize("modes", [(Mode(1.0, 1.0),), (Mode(0.9, 0.8), Mode(0.5, 0.3)), (Mode(0.3, 0.2), Mode(1.0, 1.0))])
def test_any_curve_is_known(modes: tuple[Mode, ...]) -> None:
    """One mode, modes below full speed, modes in another order: no obstacle, and rising speeds in the case."""
    problem = flat_problem([100.0] * 4, task("a", JobKind.MALLEABLE, modes=modes))
    assert obstacles_to_scale(problem) == []
    case = case_of(problem)
    assert case.has_curve.all()
    assert case.curve_speed[0].tolist() == sorted(mode.speed for mode in modes)
    assert case.power2[0] == min(mode.power for mode in modes)


@pytest.mark.parametrize("seed", range(2100, 2110))
def test_solution_becomes_shares_and_comes_back(seed: int) -> None:
    """An optimal solution of the case: its shares of modes do the work, and give the same two numbers again; places are kept."""
    problem = with_curves(seed, random_problem(seed, PlanningSettings()))
    case = case_of(problem)
    found = solve_plain(case, 30.0).solution
    assert found is not None
    for j, place in schedule_of(problem, found).jobs.items():
        job = problem.jobs[j]
        if job.kind is not JobKind.MALLEABLE:
            continue
        assert all(len(share) == len(job.modes) and sum(share) <= 1.0 + 1e-6 for share in place.shares)
        assert place.speed(job).sum() >= job.work - 1e-4
        span = slice(found.run_ptr[j], found.run_ptr[j + 1])
        again = np.array([run_of(job, share) for share in place.shares])
        assert again == pytest.approx(np.column_stack((found.run_full[span], found.run_eco[span])), abs=1e-6)


@pytest.mark.parametrize("seed", range(2200, 2210))
def test_plans_and_bounds_against_the_exact_model(seed: int) -> None:
    """Plans are legal at the cost that is claimed and within 1 %; neither random prices nor driven ones prove too much."""
    case = case_of(with_curves(seed, random_problem(seed, PlanningSettings())))
    truth = solve_plain(case, 60.0)
    assert truth.status is SolveStatus.OPTIMAL
    assert truth.objective is not None
    slack = 1e-5 * max(1.0, abs(truth.objective))
    rng, dual = np.random.default_rng(seed), Dual(case)
    for _ in range(3):
        lam, mu = rng.uniform(-0.1, 1.5, dual.lam.shape), rng.uniform(0.0, 0.1, dual.mu.shape)
        assert dual.evaluate(lam, mu) <= truth.objective + slack
    found = solve_case(case, LargeLimits(0.5, 1e-4))
    verdict = check_case(case, found.solution)
    assert verdict.feasible, verdict.findings
    assert verdict.objective_eur == pytest.approx(found.objective, rel=1e-4, abs=1e-4)
    assert found.bound <= truth.objective + slack
    assert truth.objective - slack <= found.objective <= truth.objective + 0.01 * abs(truth.objective) + 3e-3
    placed = warm_of(case, found.dual, found.solution).placed(case, job_numbers(case))
    assert np.array_equal(placed.choice, found.solution.choice)


@pytest.mark.parametrize("seed", range(2300, 2310))
def test_places_on_coarse_slots_do_their_work_on_fine_ones(seed: int) -> None:
    """Of a plan on slots merged two at a time: window, work and pace of every job that the warm start keeps are legal."""
    case = case_of(with_curves(seed, random_problem(seed, PlanningSettings())))
    if case.T % 2:
        grids = ("cap", "a", "pue", "ren", "gmax", "emax", "pi", "po")
        case = replace(case, **{name: getattr(case, name)[..., :-1] for name in grids})
        ends = {name: np.minimum(getattr(case, name), case.T) for name in ("dl", "dr_end")}
        case = replace(case, dr_start=np.minimum(case.dr_start, case.T - 1), **ends)
    coarse = coarsen(case, 2)
    plan = solve_plain(coarse, 30.0).solution
    assert plan is not None
    made = fine_places(case, 2, coarse, plan, np.random.default_rng(seed).normal(0.1, 0.1, (case.S, case.T)))
    kept = warm_of(case, Dual(case), made).placed(case, job_numbers(case))
    assert {finding.rule for finding in check_case(case, kept).findings} <= {"capacity", "copies", "volume"}
    assert (kept.choice >= 0).sum() >= 0.8 * (plan.choice >= 0).sum()
