"""Without any error the simulated world does what the optimiser planned: same battery, same flows, same objective."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from grid.assets.battery import Battery
from grid.horizon import Horizon
from grid.response.event import CapacityEvent
from grid.series import Series
from grid.tariff import Tariff
from scheduler.build import build_problem
from scheduler.facility import FeederLine, Site
from scheduler.optimiser.policy import MilpPolicy
from scheduler.placement import assign_nodes
from scheduler.plan import Plan
from scheduler.scenario import PlanningSettings, Scenario
from scheduler.workload import Job, JobKind, PowerCap, Tenant
from sim.plan_check import check_plan
from sim.rehearsal import realise
from tests.factory import START, job, small_scenario
from tests.sim.hand import exact

HOURS = 12
MARGINLESS = PlanningSettings(relative_gap=1e-4, time_limit_s=20.0, limit_margin=0.0)
FLOWS = {
    "it_kwh": "it_kw",
    "load_kwh": "load_kw",
    "import_kwh": "import_kw",
    "export_kwh": "export_kw",
    "renewable_used_kwh": "renewable_used_kw",
    "charge_kwh": "charge_kw",
    "discharge_kwh": "discharge_kw",
    "unserved_kwh": "unserved_kw",
}
"""Metered energy and the planned power that it must equal."""


def planned(scenario: Scenario) -> Plan:
    """The optimiser's plan with nodes assigned."""
    return assign_nodes(scenario, MilpPolicy().plan(build_problem(scenario)))


def assert_comes_true(scenario: Scenario, plan: Plan) -> None:
    """Every flow of every slot and the objective, part by part, are realised as planned."""
    outcome = realise(scenario, plan, scenario.seed)
    assert outcome.violations == ()
    assert np.allclose(outcome.energy.soc_kwh, plan.energy.soc_kwh, rtol=0, atol=1e-6)
    for metered, power in FLOWS.items():
        expected = getattr(plan.energy, power) * scenario.horizon.step_h
        assert np.allclose(getattr(outcome.energy, metered), expected, rtol=0, atol=1e-6), metered
    assert outcome.totals.breakdown_eur == pytest.approx(plan.breakdown_eur, rel=1e-6, abs=1e-6)
    assert outcome.totals.objective_eur == pytest.approx(plan.objective_eur, rel=1e-6, abs=1e-6)


def test_the_small_scenario_comes_true() -> None:
    """A whole day on three sites with sun, a battery, a migration and six jobs."""
    scenario = replace(exact(small_scenario()), planning=MARGINLESS)
    plan = planned(scenario)
    assert check_plan(scenario, plan) == ()
    assert_comes_true(scenario, plan)


def random_scenario(seed: int) -> Scenario:
    """Random sun, batteries, prices of both signs, limits, fees, jobs and events; nothing differs from the forecast."""
    rng = np.random.default_rng(seed)
    minutes = int(rng.choice([15, 60]))
    base = small_scenario(HOURS * 60 // minutes, minutes, jobs=(), datasets=(), links=())
    sites = tuple(random_site(site, base.horizon, rng) for site in base.sites)
    jobs = []
    for i in range(rng.integers(0, 5)):
        kind = JobKind.RIGID if rng.uniform() < 0.5 else JobKind.INTERRUPTIBLE
        places = ("cabinet",) if rng.uniform() < 0.3 else ("cabinet", "hall")
        jobs.append(job(f"job-{i}", duration_h=float(rng.integers(1, 4)), deadline_h=HOURS, kind=kind, sites=places))
    begin_h, length_h = int(rng.integers(0, HOURS - 2)), int(rng.integers(1, 3))
    start = START + timedelta(hours=begin_h)
    penalty = float(rng.choice([0.01, 2.0]))
    event = CapacityEvent("peak", "hall", start, start + timedelta(hours=length_h), float(rng.uniform(-1, 2)), penalty, START)
    events = (event,) if rng.uniform() < 0.6 else ()
    return replace(exact(base), sites=sites, jobs=tuple(jobs), events=events, planning=MARGINLESS)


def random_terms(seed: int) -> Scenario:
    """A random scenario whose jobs have every kind, soft deadlines, pieces, power caps, an order, a tenant and a feeder."""
    rng = np.random.default_rng(seed)
    scenario = random_scenario(seed)
    jobs: list[Job] = []
    for i in range(4):
        kind = JobKind(rng.choice([*JobKind]))
        places = ("hall",) if rng.uniform() < 0.5 else ("cabinet", "hall")
        made = job(f"term-{i}", duration_h=float(rng.integers(1, 4)), deadline_h=HOURS, kind=kind, sites=places)
        if kind is JobKind.INTERRUPTIBLE:
            run, gap = timedelta(hours=int(rng.integers(0, 2))), timedelta(hours=int(rng.integers(0, 3)))
            made = replace(made, min_run=run, min_gap=gap, restart_eur=float(rng.choice([0.0, 0.05])))
        if kind is JobKind.MALLEABLE:
            made = replace(made, power_caps=(PowerCap(0.7, 0.55), PowerCap(0.4, 0.3)))
        due = START + timedelta(hours=int(rng.integers(0, HOURS)))
        after = (jobs[int(rng.integers(0, i))].name,) if i and rng.uniform() < 0.5 else ()
        tenant = "t" if rng.uniform() < 0.5 else None
        jobs.append(replace(made, due=due, late_eur_per_h=float(rng.choice([0.0, 0.05])), after=after, tenant=tenant))
    feeder = FeederLine(
        "street", ("hall", "vault"), float(rng.uniform(2.0, 12.0)), (0.002, 0.001), float(rng.uniform(0.02, 0.05))
    )
    sites = tuple(replace(site, tariff=without_negative_prices(site.tariff)) for site in scenario.sites)
    return replace(scenario, sites=sites, jobs=tuple(jobs), tenants=(Tenant("t", 0.5),), feeders=(feeder,))


def without_negative_prices(tariff: Tariff) -> Tariff:
    """The tariff with prices above 0: below, a plan may have a malleable job work on for the energy alone, the world does not."""
    dear, cheap = tariff.import_eur_per_mwh, tariff.export_eur_per_mwh
    return replace(
        tariff,
        import_eur_per_mwh=dear.with_values(np.maximum(dear.values, 20.0), "test"),
        export_eur_per_mwh=cheap.with_values(np.clip(cheap.values, 1.0, np.maximum(dear.values, 20.0) - 1.0), "test"),
    )


def random_site(site: Site, horizon: Horizon, rng: np.random.Generator) -> Site:
    """``site`` with random energy assets, prices and limits, new every hour."""

    def hourly(low: float, high: float, unit: str) -> Series:
        return Series.on(horizon, np.repeat(rng.uniform(low, high, HOURS), horizon.slots // HOURS), unit)

    size, reserve = float(rng.uniform(2.0, 12.0)), float(rng.uniform(0.0, 0.2))
    charge, discharge = rng.uniform(0.5, 5.0, 2)
    inward, outward = rng.uniform(0.85, 1.0, 2)
    initial, wear = float(rng.uniform(reserve, 1.0)) * size, float(rng.uniform(0.0, 0.05))
    battery = Battery(size, float(charge), float(discharge), float(inward), float(outward), initial, reserve * size, wear)
    sun = hourly(-3.0, 8.0, "kW")
    price = hourly(float(rng.choice([20.0, -100.0])), 250.0, "EUR/MWh")
    export = price.with_values(price.values - float(rng.choice([1.0, 60.0, 300.0])), "test")
    tariff = replace(
        site.tariff, import_eur_per_mwh=price, export_eur_per_mwh=export, peak_eur_per_kw=float(rng.choice([0.0, 0.2]))
    )
    connection = replace(site.connection, import_limit_kw=hourly(4.0, 10.0, "kW"), export_limit_kw=hourly(0.0, 4.0, "kW"))
    return replace(
        site,
        battery=battery if rng.uniform() < 0.8 else None,
        solar_kw=sun.with_values(np.maximum(0.0, sun.values), "test") if rng.uniform() < 0.8 else None,
        tariff=tariff,
        connection=connection,
    )


@pytest.mark.slow
@settings(max_examples=15, derandomize=True)
@given(st.integers(0, 10**6))
def test_random_plans_with_terms_come_true(seed: int) -> None:
    """The same with soft deadlines, pieces, power caps, workflows, a tenant and a feeder."""
    scenario = random_terms(seed)
    plan = planned(scenario)
    assume(not plan.energy.unserved_kw.any())
    assert check_plan(scenario, plan) == ()
    assert_comes_true(scenario, plan)


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_random_plans_come_true(seed: int) -> None:
    """Whatever the sun, the prices, the limits and the events: with exact forecasts the plan is what happens."""
    scenario = random_scenario(seed)
    plan = planned(scenario)
    assume(not plan.energy.unserved_kw.any())  # the grid of the simulator delivers above the limit and reports it
    assert check_plan(scenario, plan) == ()
    assert_comes_true(scenario, plan)
