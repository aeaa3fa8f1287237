"""Best responses in pieces against all sets of slots, and what follows from pieces elsewhere."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.optimiser.large.case import INTERRUPTIBLE, PIECED, Case
from scheduler.optimiser.large.coarse import coarsen, fine_places
from scheduler.optimiser.large.decisions import own_costs
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.pieces import pieced, tables_of
from scheduler.optimiser.large.respond import respond
from scheduler.optimiser.large.solve import LargeLimits, solve_case
from scheduler.optimiser.large.terms import terms_of
from scheduler.optimiser.large.warm import job_numbers, warm_of
from scheduler.optimiser.plain import solve_plain
from scheduler.plan import SolveStatus
from scheduler.policies.stretches import cheapest_pieces
from scheduler.workload import JobKind
from sim.case_check import check_case
from tests.cases import decided, tiny, with_jobs
from tests.scheduler.optimiser.large.windows import windows
from tests.scheduler.problems import task

Reals = npt.NDArray[np.float64]


def answer(kw: Reals, use: Reals, **job: Any) -> tuple[float, float, Reals, Reals]:
    """Cost, lateness with restarts, and shares of the compiled response, in just as much room as the case says."""
    size, first = len(kw), job["first"]
    of_job = {"typ": PIECED, "p": job["work"], "rel": first, "dl": first + size}
    terms = terms_of(_on_terms(with_jobs(tiny(slots=first + size), of_job), **job))
    share_kw, share_use = np.empty(size), np.empty(size)
    cost, own = pieced(
        kw, use, first, job["work"], job["soft"], job["late"], terms.run[0], terms.gap[0], terms.restart[0], share_kw, share_use,
        np.empty(size), tables_of(terms),
    )  # fmt: skip
    return float(cost), float(own), share_kw, share_use


def _on_terms(case: Case, **terms: Any) -> Case:
    """The case with the terms ``run``, ``gap`` and ``restart`` for all its jobs."""
    return replace(
        case,
        least_run=np.full(case.J, terms["run"]),
        least_gap=np.full(case.J, terms["gap"]),
        restart=np.full(case.J, float(terms["restart"])),
    )


def pieces_of(slots: tuple[int, ...]) -> list[list[int]]:
    """Slots in rows without a gap."""
    return [[t for _, t in row] for _, row in itertools.groupby(enumerate(slots), lambda item: item[1] - item[0])]


def legal(slots: tuple[int, ...], run: int, gap: int) -> bool:
    """Least lengths of pieces and pauses are kept."""
    found = pieces_of(slots)
    long_enough = all(len(piece) >= run for piece in found)
    return long_enough and all(later[0] - before[-1] - 1 >= gap for before, later in itertools.pairwise(found))


@st.composite
def pieced_windows(draw: st.DrawFn, most: int = 9) -> tuple[Reals, Reals, dict[str, Any]]:
    """Windows with terms of pieces."""
    kw, use, job = draw(windows(most))
    del job["limit"]  # a whole slot or none
    job["run"], job["gap"] = draw(st.integers(1, job["work"] + 1)), draw(st.integers(0, len(kw) + 1))
    return kw, use, job | {"restart": draw(st.sampled_from([0.0, 0.1, 0.7]))}


def priced(kw: Reals, use: Reals, job: dict[str, Any], slots: tuple[int, ...]) -> float:
    """What these slots cost: prices, lateness, restarts."""
    chosen = list(slots)
    late = sum(job["first"] + t >= job["soft"] for t in slots) * job["late"]
    return float(kw[chosen].sum() + use[chosen].sum() + late + job["restart"] * (len(pieces_of(slots)) - 1))


@given(pieced_windows())
@settings(max_examples=300)
def test_pieces_are_the_cheapest_of_all_that_are_legal(window: tuple[Reals, Reals, dict[str, Any]]) -> None:
    """The cheapest of all sets of slots in legal pieces, lateness and restarts included; infinite where there is none."""
    kw, use, job = window
    cost, own, share_kw, share_use = answer(kw, use, **job)
    sets = [s for s in itertools.combinations(range(len(kw)), job["work"]) if legal(s, job["run"], job["gap"])]
    best = min((priced(kw, use, job, slots) for slots in sets), default=np.inf)
    assert cost == pytest.approx(best, abs=1e-9)
    if np.isinf(cost):
        assert not share_kw.any()
        assert not share_use.any()
        return
    slots = tuple(np.flatnonzero(share_use).tolist())
    assert slots in sets
    assert np.array_equal(share_kw, share_use)
    assert priced(kw, use, job, slots) == pytest.approx(cost, abs=1e-9)
    assert own == pytest.approx(cost - kw[list(slots)].sum() - use[list(slots)].sum(), abs=1e-9)


@given(pieced_windows(most=60))
def test_pieces_of_long_windows_cost_what_the_baselines_programme_says(window: tuple[Reals, Reals, dict[str, Any]]) -> None:
    """Up to 60 slots: the cost of the programme in NumPy that the baselines use."""
    kw, use, job = window
    cost = answer(kw, use, **job)[0]
    price = np.where(np.isfinite(use), kw + use + job["late"] * (job["first"] + np.arange(len(kw)) >= job["soft"]), 0.0)
    terms = {"min_run": job["run"], "min_gap": job["gap"], "restart_eur": job["restart"]}
    said = cheapest_pieces(price, np.isfinite(use).astype(float), task("j", JobKind.INTERRUPTIBLE, work=job["work"], **terms))
    assert cost == pytest.approx(np.inf if said is None or job["run"] > job["work"] else said[1], abs=1e-9)


@given(pieced_windows(most=40))
def test_without_terms_it_is_an_interruptible_job(window: tuple[Reals, Reals, dict[str, Any]]) -> None:
    """Pieces of any length at no price: the cost of the cheapest slots."""
    kw, use, job = window
    job |= {"run": 1, "gap": 0, "restart": 0.0}
    size = len(kw)
    cheapest, _ = respond(
        INTERRUPTIBLE, kw, use, np.ones(size), size, job["first"], job["work"], job["soft"], job["late"], 0.7, 0.5,
        np.empty(size), np.empty(size), np.empty(2 * size), np.empty(2 * size),
    )  # fmt: skip
    assert answer(kw, use, **job)[0] == pytest.approx(cheapest, abs=1e-9)


def random_case(seed: int) -> Case:
    """Two to five jobs at two sites in eight slots of random prices, most of them in pieces, some of them equal."""
    rng = np.random.default_rng(seed)
    price = rng.uniform(0.05, 1.0, (2, 8))
    jobs = []
    for _ in range(int(rng.integers(2, 5))):
        work = int(rng.integers(1, 5))
        release = int(rng.integers(0, 8 - work + 1))
        job = {
            "typ": PIECED if rng.random() < 0.7 else int(rng.integers(0, 3)),
            "p": work,
            "rel": release,
            "dl": int(rng.integers(release + work, 9)),
            "soft": int(rng.integers(release, 9)),
            "wt": float(rng.choice([0.0, 0.2])),
            "pw": float(rng.uniform(0.5, 2.0)),
            "drop": 2.0 * work,
            "entries": [(s, float(rng.choice([0.0, 0.1])), release, -1) for s in range(2)],
        }
        terms = int(rng.integers(1, work + 1)), int(rng.integers(0, 4)), float(rng.choice([0.0, 0.1, 0.5]))
        jobs += [(job, terms)] * int(rng.integers(1, 3))
    case = with_jobs(tiny(sites=2, slots=8, pi=price, cap=rng.integers(1, 3, (1, 2, 8))), *[job for job, _ in jobs])
    run, gap, restart = zip(*[terms for _, terms in jobs], strict=True)
    return replace(case, least_run=np.array(run), least_gap=np.array(gap), restart=np.array(restart))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_bound_of_any_prices_is_below_the_optimum(seed: int) -> None:
    """Random prices of load and capacity: what they prove is at most what the exact model of the case costs."""
    case = random_case(seed)
    truth = solve_plain(case, 60.0)
    assert truth.status is SolveStatus.OPTIMAL
    assert truth.objective is not None
    assert truth.solution is not None
    verdict = check_case(case, truth.solution)
    assert verdict.feasible, verdict.findings
    assert verdict.objective_eur == pytest.approx(truth.objective, abs=1e-6)
    rng, dual = np.random.default_rng([seed, 1]), Dual(case)
    for _ in range(3):
        lam = rng.uniform(-0.1, 1.5, dual.lam.shape)
        assert dual.evaluate(lam, rng.uniform(0.0, 1.0, dual.mu.shape)) <= truth.objective + 1e-6
    for _ in range(30):
        dual.step()
    assert dual.evaluate(dual.lam, dual.mu) <= truth.objective + 1e-6


@pytest.mark.parametrize("seed", range(500, 512))
def test_plans_are_legal_and_near_the_optimum(seed: int) -> None:
    """Half a second each: legal at the cost that is claimed, at most 1 % above the optimum, the bound not above it."""
    case = random_case(seed)
    truth = solve_plain(case, 60.0)
    assert truth.objective is not None
    found = solve_case(case, LargeLimits(0.5, 1e-4))
    verdict = check_case(case, found.solution)
    assert verdict.feasible, verdict.findings
    assert verdict.objective_eur == pytest.approx(found.objective, rel=1e-6, abs=1e-6)
    assert found.bound <= truth.objective + 1e-5
    assert truth.objective - 1e-5 <= found.objective <= 1.01 * truth.objective + 1e-3


def test_own_costs_count_restarts() -> None:
    """Three pieces pay two restarts; an interruptible job beside it none, whatever its array says."""
    case = _on_terms(
        with_jobs(tiny(slots=6), {"typ": PIECED, "p": 3}, {"typ": INTERRUPTIBLE, "p": 3}), run=1, gap=1, restart=0.25
    )
    found = decided((0, [0, 2, 4]), (1, [0, 2, 4]))
    assert own_costs(case, found).tolist() == [0.5, 0.0]
    apart, together = (check_case(case, plan).objective_eur for plan in (found, decided((0, [0, 1, 2]), (1, [0, 1, 2]))))
    assert apart is not None
    assert together is not None
    assert apart == pytest.approx(together + 0.5)


@pytest.mark.parametrize(
    ("slots", "kept"),
    [([0, 1, 2, 3], True), ([0, 1, 4, 5], True), ([0, 3, 4, 5], False), ([0, 1, 3, 4], False), ([1, 2, 3, 5], False)],
)
def test_places_with_illegal_pieces_are_given_up(slots: list[int], kept: bool) -> None:
    """Pieces and pauses of two slots: a place of an earlier plan is kept only when it is legal, beside a job without terms."""
    case = with_jobs(tiny(slots=6), {"typ": PIECED, "p": 4}, {"typ": INTERRUPTIBLE, "p": 2})
    case = _on_terms(case, run=2, gap=2, restart=0.1)
    plan = decided((0, slots), (1, [0, 2]))
    placed = warm_of(case, Dual(case), plan).placed(case, job_numbers(case))
    assert (placed.choice >= 0).tolist() == [kept, True]
    assert check_case(case, plan).feasible == kept


@given(seed=st.integers(0, 10_000), factor=st.sampled_from([2, 4]))
@settings(max_examples=25, deadline=None)
def test_lifted_places_are_legal(seed: int, factor: int) -> None:
    """Of a plan on coarse slots: window, work and pieces of every job are legal on the fine ones."""
    case = random_case(seed)
    coarse = coarsen(case, factor)
    plan = solve_plain(coarse, 30.0).solution
    assert plan is not None
    made = fine_places(case, factor, coarse, plan, np.random.default_rng(seed).normal(0.1, 0.1, (case.S, case.T)))
    assert np.array_equal(made.choice, plan.choice)
    assert {finding.rule for finding in check_case(case, made).findings} <= {"capacity"}
