"""The MILP against answers that are known: by hand, and by trying everything."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grid.assets.battery import Battery
from grid.response.event import CapacityEvent
from grid.series import Series
from scheduler.build import build_problem
from scheduler.optimiser.policy import MilpPolicy
from scheduler.plan import SolveStatus
from scheduler.policies.registry import BASELINES, POLICIES
from scheduler.problem import Problem
from scheduler.scenario import PlanningSettings, Scenario, Weights
from scheduler.workload import JobKind
from tests.factory import START, day_horizon, job, site, small_scenario
from tests.scheduler.checks import check_plan
from tests.scheduler.optimiser.reference import best_cost

EXACT = PlanningSettings(relative_gap=0.0, limit_margin=0.0, time_limit_s=60.0)


def tiny(seed: int) -> Problem:
    """Two sites, five slots, three jobs; battery, sun, peak charge and event by chance."""
    rng = np.random.default_rng(seed)
    horizon = day_horizon(5, 60)
    sites = []
    for name in ("a", "b"):
        unit = Battery(1.0, 0.5, 0.5, 0.9, 0.9, 0.4, 0.1, 0.02) if rng.random() < 0.5 else None
        made = site(horizon, name, nodes=int(rng.integers(1, 3)), battery=unit, peak_eur_per_kw=float(rng.choice([0.0, 0.5])))
        price = Series.on(horizon, rng.uniform(20, 300, 5).round(), "EUR/MWh")
        sun = Series.on(horizon, rng.choice([0.0, 0.3, 1.0], 5), "kW")
        tariff = replace(made.tariff, import_eur_per_mwh=price, export_eur_per_mwh=price.scaled(0.4))
        limit = Series.constant(float(rng.choice([0.6, 0.9, 5.0])), horizon, "kW")
        connection = replace(made.connection, import_limit_kw=limit, export_limit_kw=limit)
        sites.append(replace(made, solar_kw=sun, tariff=tariff, connection=connection))
    jobs = []
    for k in range(3):
        kind = JobKind.INTERRUPTIBLE if rng.random() < 0.5 else JobKind.RIGID
        release = int(rng.integers(0, 3))
        end = int(rng.integers(release + 2, 6))
        where = ("a", "b") if rng.random() < 0.6 else ("b",)
        jobs.append(
            job(
                f"job{k}",
                kind=kind,
                release_h=release,
                deadline_h=end,
                duration_h=int(rng.integers(1, 3)),
                sites=where,
                drop_eur=float(rng.choice([0.05, 10.0])),
            )
        )
    event = CapacityEvent("e", "a", START + timedelta(hours=2), START + timedelta(hours=4), 0.5, 2.0, START)
    events = (event,) if rng.random() < 0.5 else ()
    return build_problem(Scenario("tiny", "tiny", seed, horizon, tuple(sites), jobs=tuple(jobs), events=events, planning=EXACT))


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000))
def test_optimum_equals_trying_everything(seed: int) -> None:
    """On tiny problems the plan costs what the best of all placings costs, and its bound is never above that."""
    problem = tiny(seed)
    plan = MilpPolicy().plan(problem)
    best = best_cost(problem)
    check_plan(problem, plan)
    assert plan.objective_eur == pytest.approx(best, abs=1e-5)
    assert plan.bound_eur is not None
    assert plan.bound_eur <= best + 1e-6
    assert plan.status is SolveStatus.OPTIMAL


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000))
def test_never_dearer_than_a_baseline(seed: int) -> None:
    """The plan's objective is at most that of either baseline on the same problem; all three are sound plans."""
    problem = tiny(seed)
    plan = MilpPolicy().plan(problem)
    for name in BASELINES:
        other = POLICIES[name]().plan(problem)
        check_plan(problem, other)
        assert plan.objective_eur <= other.objective_eur + 1e-9


def test_one_job_takes_the_cheapest_hours() -> None:
    """A single rigid 2 h job of 0.4 kW (0.48 kW with PUE) runs in the two cheapest neighbouring hours; cost by hand."""
    horizon = day_horizon(6, 60)
    hall = site(horizon, "hall", nodes=1, peak_eur_per_kw=0.0)
    price = Series.on(horizon, [100, 90, 20, 40, 35, 90], "EUR/MWh")
    hall = replace(hall, tariff=replace(hall.tariff, import_eur_per_mwh=price))
    scenario = Scenario("one", "one", 1, horizon, (hall,), jobs=(job("j", deadline_h=6),), planning=EXACT)
    scenario = replace(scenario, weights=Weights(carbon_eur_per_kg=0.0))
    plan = MilpPolicy().plan(build_problem(scenario))
    assert [(run.start, run.end) for run in plan.runs] == [(2, 4)]
    fixed = 0.1 + 1.2 * 0.1  # overhead + PUE * idle of one node
    assert plan.objective_eur == pytest.approx(fixed * 0.375 + 0.48 * 0.060, abs=1e-9)


def test_battery_shifts_by_hand() -> None:
    """1 kWh bought at 50 and used at 200 EUR/MWh through 0.9 x 0.9 saves 0.2 * 0.9 - 0.05 / 0.9 EUR per kWh in the cells."""
    horizon = day_horizon(2, 60)
    unit = Battery(1.0, 5.0, 5.0, 0.9, 0.9, 0.0, 0.0, 0.0)
    hall = site(horizon, "hall", nodes=10, battery=unit, peak_eur_per_kw=0.0, export_limit_kw=0.0)
    price = Series.on(horizon, [50, 200], "EUR/MWh")
    hall = replace(hall, tariff=replace(hall.tariff, import_eur_per_mwh=price), overhead_kw=1.0)
    scenario = Scenario("b", "b", 1, horizon, (hall,), planning=EXACT, weights=Weights(carbon_eur_per_kg=0.0))
    plan = MilpPolicy().plan(build_problem(scenario))
    load = 1.0 + 1.2 * 10 * 0.1
    assert plan.objective_eur == pytest.approx(load * 0.25 - (0.2 * 0.9 - 0.05 / 0.9), abs=1e-9)


def test_negative_prices_do_not_burn_energy() -> None:
    """Where importing is paid for, the battery still never charges and discharges at once, nor do import and export mix."""
    horizon = day_horizon(4, 60)
    unit = Battery(1.0, 2.0, 2.0, 0.8, 0.8, 0.5)
    hall = site(horizon, "hall", nodes=1, battery=unit, solar_kw=1.0)
    tariff = replace(
        hall.tariff,
        import_eur_per_mwh=Series.on(horizon, [-300, -200, 50, 60], "EUR/MWh"),
        export_eur_per_mwh=Series.on(horizon, [-100, -100, 80, 90], "EUR/MWh"),
    )
    scenario = Scenario("n", "n", 1, horizon, (replace(hall, tariff=tariff),), planning=EXACT)
    problem = build_problem(replace(scenario, weights=Weights(carbon_eur_per_kg=0.0)))
    plan = MilpPolicy().plan(problem)
    check_plan(problem, plan)
    assert plan.status is SolveStatus.OPTIMAL
    assert plan.gap == pytest.approx(0.0, abs=1e-6)


def test_identical_jobs_are_counted_exactly() -> None:
    """Six identical interruptible jobs on two nodes: the counted model equals the one with each job told apart."""
    horizon = day_horizon(8, 60)
    hall = site(horizon, "hall", nodes=2, solar_kw=2.0)
    jobs = tuple(job(f"j{k}", kind=JobKind.INTERRUPTIBLE, deadline_h=8, duration_h=2, drop_eur=0.3) for k in range(6))
    scenario = Scenario("i", "i", 1, horizon, (hall,), jobs=jobs, planning=EXACT)
    apart = replace(scenario, jobs=tuple(replace(item, drop_eur=0.3 + k * 1e-9) for k, item in enumerate(jobs)))
    problem = build_problem(scenario)
    plan, other = MilpPolicy().plan(problem), MilpPolicy().plan(build_problem(apart))
    check_plan(problem, plan)
    assert plan.objective_eur == pytest.approx(other.objective_eur, abs=1e-6)


def test_same_problem_same_plan() -> None:
    """Two solves of the same problem give the same runs, transfers and objective."""
    problem = build_problem(small_scenario())
    one, two = MilpPolicy().plan(problem), MilpPolicy().plan(problem)
    assert (one.runs, one.transfers, one.objective_eur) == (two.runs, two.transfers, two.objective_eur)
    check_plan(problem, one)
