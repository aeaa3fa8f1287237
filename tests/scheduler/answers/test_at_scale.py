"""Answers about problems of the large-scale solver: small problems that are forced through it, beside what is proven of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.answers.pareto import carbon_prices, front
from scheduler.answers.values import Values, values
from scheduler.answers.values_at_scale import values_at_scale
from scheduler.answers.whatif import what_if
from scheduler.answers.why import why
from scheduler.optimiser import seam
from scheduler.optimiser.large import solve
from scheduler.optimiser.large.prepare import compile_kernels
from scheduler.optimiser.policy import MilpPolicy
from scheduler.problem import Problem
from scheduler.scenario import PlanningSettings
from tests.factory import job
from tests.scheduler.answers.hand import JOB_KW, one_site, problem_of
from tests.scheduler.checks import check_plan
from tests.scheduler.optimiser.large.random_problems import random_problem
from tests.scheduler.optimiser.large.rich_problems import rich_problem

QUICK = PlanningSettings(relative_gap=0.01, time_limit_s=3.0)
PROVEN = PlanningSettings(relative_gap=1e-6, time_limit_s=60.0)
SEEDS = (2, 5, 11)
ASSETS = ("heat", "charging", "wear", "window peak")


@pytest.fixture(autouse=True)
def at_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every problem is one for the large-scale solver, whose kernels are compiled before its time runs."""
    compile_kernels()
    monkeypatch.setattr(seam, "REFERENCE_COLUMNS", -1)


def optimum(problem: Problem) -> tuple[float, float]:
    """Bound and objective of the reference."""
    plan = MilpPolicy().plan(replace(problem, settings=PROVEN))
    assert plan.bound_eur is not None
    return plan.bound_eur, plan.objective_eur


@pytest.mark.parametrize("seed", SEEDS)
def test_what_if_is_planned_by_prices_and_encloses_the_truth(seed: int) -> None:
    """Half as dear again: both plans are feasible, and the optima differ by something between the two figures that are told."""
    base = random_problem(seed, QUICK)
    changed = replace(base, import_eur_per_kwh=1.5 * base.import_eur_per_kwh)
    found = what_if(base, changed)
    for problem, plan in ((base, found.base), (changed, found.changed)):
        assert plan.solver.startswith("price decomposition")
        check_plan(problem, plan)
    assert found.least_eur is not None
    assert found.most_eur is not None
    (low, high), (changed_low, changed_high) = optimum(base), optimum(changed)
    assert found.least_eur <= changed_high - low + 1e-5
    assert found.most_eur >= changed_low - high - 1e-5


def test_the_changed_plan_starts_from_the_prices_of_the_base_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second search gets the prices and places the first one ended with; one of another grid (a tenant more) begins anew."""
    got: list[Any] = []
    outcomes: list[Any] = []
    solver: Callable[..., Any] = solve.solve_case

    def watched(case: Any, limits: Any, progress: Any, stop: Any, warm: Any = None, **more: Any) -> Any:
        got.append(warm)
        outcomes.append(solver(case, limits, progress, stop, warm, **more))
        return outcomes[-1]

    monkeypatch.setattr(solve, "solve_case", watched)
    base = random_problem(3, QUICK)
    what_if(base, replace(base, fixed_kw=1.1 * base.fixed_kw))
    assert got[0] is None
    assert np.array_equal(got[1].lam, outcomes[0].dual.best[0])
    assert np.array_equal(got[1].run_slot, outcomes[0].solution.run_slot)
    got.clear()
    what_if(base, replace(base, capacity=base.capacity[:2], jobs=tuple(_fewer(task) for task in base.jobs)))
    assert got == [None, None]


def _fewer(task: Any) -> Any:
    """The job without its last resource."""
    return replace(task, resources=task.resources[:2])


def test_pareto_points_are_planned_by_prices_and_near_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three carbon prices: each weighted objective is within both gaps of the reference's at that price."""
    problem = random_problem(5, QUICK)
    prices = carbon_prices(problem, 3)
    ours = front(problem, prices)
    monkeypatch.setattr(seam, "REFERENCE_COLUMNS", 10**9)
    reference = front(replace(problem, settings=PROVEN), prices)
    for mine, other in zip(ours.points, reference.points, strict=True):
        assert mine.gap is not None
        assert mine.dropped == other.dropped
        weighted, best = (point.cost_eur + point.carbon_eur_per_kg * point.carbon_kg for point in (mine, other))
        assert weighted >= best - 1e-4 * abs(best)
        assert weighted <= best + 0.02 * abs(best) + 0.01


def test_why_tells_the_second_best_of_a_plan_by_prices() -> None:
    """Hours at 200, 100 and 150 EUR/MWh: the job runs in the second one, and the third costs 50 EUR/MWh more."""
    scenario = one_site([200.0, 100.0, 150.0], (job("a", duration_h=1, deadline_h=3),))
    problem = replace(problem_of(scenario), settings=QUICK)
    plan = seam.OptimiserPolicy().plan(problem)
    assert plan.solver.startswith("price decomposition")
    found = why(problem, plan, "a")
    assert found.place is not None
    assert found.place.slots == (1,)
    second = found.alternatives[0]
    assert second.place is not None
    assert second.place.slots == (2,)
    assert second.extra_eur == pytest.approx(JOB_KW * 0.05)


def test_values_by_hand() -> None:
    """Two jobs want the one place of the cheap hour: room for one more there saves 200 EUR/MWh on a job.

    Load costs the price of its hour, and the wide connection is worth nothing. Cores and memory bind together, so they share it.
    """
    scenario = one_site([100.0, 300.0, 300.0], tuple(job(name, duration_h=1, deadline_h=3) for name in "ab"))
    problem = replace(problem_of(scenario), settings=QUICK)
    found = values(problem)
    assert found.source == "decomposition"
    assert found.facility_eur_per_kwh[0] == pytest.approx([0.1, 0.3, 0.3], abs=2e-3)
    assert found.it_eur_per_kwh[0] == pytest.approx(problem.pue[0] * found.facility_eur_per_kwh[0])
    room = sum(need * array[0] for need, array in zip(problem.jobs[0].resources, found.capacity_eur_per_h.values(), strict=True))
    assert room == pytest.approx([JOB_KW * 0.2, 0.0, 0.0], abs=2e-3)
    assert (found.import_eur_per_kwh == 0.0).all()


@lru_cache(maxsize=8)
def priced(seed: int) -> tuple[Problem, Values]:
    """A random problem (from seed 3000 on with assets beside its jobs) and its values by prices."""
    problem = random_problem(seed, QUICK) if seed < 3000 else rich_problem(seed, QUICK, ASSETS)
    return problem, values_at_scale(problem)


def more(problem: Problem, found: Values, what: str, site: int, slot: int, amount: float) -> tuple[Problem, float]:
    """The problem with ``amount`` more of something, and what the values say this changes the cost by, at least."""
    step_h = problem.horizon.step_h

    def with_more(array: Any) -> Any:
        grown = array.copy()
        grown[..., site, slot] += amount
        return grown

    if what == "load":
        value = amount * step_h * float(found.facility_eur_per_kwh[site, slot])
        return replace(problem, fixed_kw=with_more(problem.fixed_kw)), value
    if what == "import":
        value = -amount * step_h * float(found.import_eur_per_kwh[site, slot])
        return replace(problem, import_limit_kw=with_more(problem.import_limit_kw)), value
    if what == "export":
        value = -amount * step_h * float(found.export_eur_per_kwh[site, slot])
        return replace(problem, export_limit_kw=with_more(problem.export_limit_kw)), value
    if what == "capacity":
        value = -amount * step_h * sum(float(array[site, slot]) for array in found.capacity_eur_per_h.values())
        return replace(problem, capacity=with_more(problem.capacity)), value
    battery = problem.batteries[site]
    if battery is None or battery.wear is not None:  # layers of wear grow with the battery, too, and have no value of their own
        return problem, 0.0
    grown = (
        replace(battery, energy_kwh=battery.energy_kwh + amount)
        if what == "energy"
        else replace(battery, charge_kw=battery.charge_kw + amount, discharge_kw=battery.discharge_kw + amount)
    )
    worth = found.battery_energy_eur_per_kwh if what == "energy" else found.battery_power_eur_per_kw
    units = (*problem.batteries[:site], grown, *problem.batteries[site + 1 :])
    return replace(problem, batteries=units), -amount * float(worth[site])


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([1000, 1003, 1007, 1012, 3000, 3003]),
    st.sampled_from(["load", "import", "export", "capacity", "energy", "power"]),
    st.integers(0, 2**16),
    st.sampled_from([0.05, 0.5, 3.0]),
)
def test_values_prove_what_a_change_costs_at_least(seed: int, what: str, draw: int, amount: float) -> None:
    """Old bound plus value times change is a bound of the changed problem, for small changes and for large ones."""
    problem, found = priced(seed)
    plain = replace(problem, tenants=(), jobs=tuple(replace(task, tenant=-1) for task in problem.jobs))
    if what == "capacity" and problem.tenants:
        problem, found = plain, values_at_scale(plain)  # a tenant's share grows with the capacity, which has no price of its own
    site, slot = draw % len(problem.sites), (draw // 7) % problem.horizon.slots
    changed, least_eur = more(problem, found, what, site, slot, amount)
    _, cost = optimum(changed)
    assert cost >= found.objective_eur + least_eur - 1e-5 * max(1.0, abs(cost))


@pytest.mark.parametrize("seed", [1000, 1003, 1007, 1012])
def test_values_come_near_the_relaxation(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is between 98 % of the relaxation's and the optimum; a kWh costs the same on the mean, to a tenth."""
    problem, found = priced(seed)
    monkeypatch.setattr(seam, "REFERENCE_COLUMNS", 10**9)
    relaxed = values(problem)
    assert relaxed.source == "relaxation"
    assert found.objective_eur >= relaxed.objective_eur - 0.02 * abs(relaxed.objective_eur)
    assert found.objective_eur <= optimum(problem)[1] + 1e-5
    assert np.mean(found.facility_eur_per_kwh) == pytest.approx(np.mean(relaxed.facility_eur_per_kwh), rel=0.1)
