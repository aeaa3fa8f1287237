"""The plan check on heat reuse: a good plan passes, every alteration is refused under its own name; and what the world does."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from grid.assets.heat_reuse import HeatReuse
from grid.series import Series
from scheduler.build import build_problem
from scheduler.optimiser.policy import MilpPolicy
from scheduler.outcome import ViolationKind as K
from scheduler.placement import assign_nodes
from scheduler.plan import Plan
from scheduler.scenario import ErrorModel, Scenario
from sim.plan_check import check_plan
from sim.rehearsal import realise
from sim.world.simulated import SimulatedWorld
from tests.factory import day_horizon
from tests.sim.assets_hand import with_assets
from tests.sim.test_asset_agreement_cooling import cooled
from tests.sim.test_plan_comes_true import planned

HEAT = HeatReuse(
    "heat",
    0.8,
    30.0,
    60.0,
    0.5,
    2.0,
    Series.on(day_horizon(12), [0.2, 0.2, 0.3, 0.4, 0.8, 1.0, 1.0, 0.6, 0.4, 0.4, 0.5, 0.6], "kW", "test demand"),
    idle_it_kw=0.4,
    buffer_kwh=3.0,
    initial_kwh=1.0,
    loss_per_h=0.01,
    heat_eur_per_kwh=0.09,
    running_eur_per_kwh=0.002,
    pumps_kw_per_kw=0.01,
)


@lru_cache
def good() -> tuple[Scenario, Plan]:
    """A scenario with heat reuse, and its plan."""
    scenario = with_assets(HEAT)
    return scenario, planned(scenario)


def altered(name: str, slot: int, value: float) -> set[tuple[K, str]]:
    """Rule and subject of what is broken once a series is altered."""
    scenario, plan = good()
    (run,) = plan.assets
    values = run.draw_kw.copy() if name == "draw_kw" else run.series[name].copy()
    values[slot] = value
    changed = replace(run, draw_kw=values) if name == "draw_kw" else replace(run, series={**run.series, name: values})
    return {(item.kind, item.subject) for item in check_plan(scenario, replace(plan, assets=(changed,)))}


def test_good_plan_passes() -> None:
    """The plan that all others here are altered from breaks no rule, and delivers heat."""
    scenario, plan = good()
    assert check_plan(scenario, plan) == ()
    assert plan.assets[0].series["delivered_kw"].sum() > 1.0


@pytest.mark.parametrize(
    ("name", "slot", "value", "kind", "limit"),
    [
        ("demand_kw", 0, 5.0, K.ASSET_POWER, "demand"),
        ("delivered_kw", 0, 0.3, K.ASSET_POWER, "delivered heat"),
        ("delivered_kw", 0, -0.1, K.ASSET_POWER, "sign"),
        ("made_kw", 0, 2.1, K.ASSET_POWER, "largest heat"),
        ("made_kw", 0, -0.1, K.ASSET_POWER, "sign"),
        ("source_kw", 0, 0.01, K.ASSET_POWER, "source"),
        ("source_kw", 0, 9.0, K.ASSET_POWER, "heat of the IT"),
        ("power_kw", 0, 9.0, K.ASSET_POWER, "electricity"),
        ("spared_kw", 0, 0.5, K.ASSET_POWER, "electricity"),
        ("draw_kw", 0, 9.0, K.ASSET_POWER, "draw"),
        ("store_kwh", 3, 3.1, K.ASSET_STORE, "full buffer"),
        ("store_kwh", 3, -0.1, K.ASSET_STORE, "empty buffer"),
        ("store_kwh", 3, 1.2345, K.ASSET_STORE, "heat balance"),
        ("store_kwh", -1, 0.5, K.ASSET_STORE, "heat left"),
    ],
)
def test_each_limit_has_its_name(name: str, slot: int, value: float, kind: K, limit: str) -> None:
    """One altered value breaks the limit that it is about, by name."""
    assert (kind, f"{limit} of heat of hall") in altered(name, slot, value)


def test_earnings_without_heat_are_refused() -> None:
    """A plan that counts more earnings than its heat brings is refused."""
    scenario, plan = good()
    runs = (replace(plan.assets[0], cost_eur=plan.assets[0].cost_eur - 1.0),)
    assert K.NOT_COUNTED in {item.kind for item in check_plan(scenario, replace(plan, assets=runs))}


def test_jobs_that_end_early_give_less_heat_and_break_no_rule() -> None:
    """With jobs of half the asked length less heat is delivered and earned than planned, and no rule is broken."""
    heat = replace(HEAT, buffer_kwh=0.0, initial_kwh=0.0, demand_kw=Series.constant(2.0, day_horizon(12), "kW", "test"))
    scenario = with_assets(heat)
    plan = planned(scenario)
    most = plan.assets[0].series
    short = replace(
        scenario, errors=ErrorModel(0.0, 0.0, duration_low=0.5, duration_high=0.5, command_delay_s=0.0, node_failures=0)
    )
    exact, early = (realise(one, plan, scenario.seed) for one in (scenario, short))
    assert exact.heat is not None
    assert early.heat is not None
    assert early.heat.delivered_kwh < exact.heat.delivered_kwh - 0.1
    assert exact.heat.delivered_kwh == pytest.approx(most["delivered_kw"].sum(), abs=1e-6)
    assert [item for item in early.violations if "heat" in item.subject] == []
    earned = {name: one.totals.breakdown_eur["assets"] for name, one in (("exact", exact), ("early", early))}
    assert earned["early"] > earned["exact"]  # costs, so more is less earned


def test_a_plan_for_a_larger_heat_pump_is_told() -> None:
    """3 kW wanted of a heat pump of 2: the world says that the plan was not followed."""
    scenario, plan = good()
    (run,) = plan.assets
    wanted = replace(plan, assets=(replace(run, series={**run.series, "made_kw": np.full(12, 3.0)}),))
    told = [item for item in realise(scenario, wanted, scenario.seed).violations if item.kind is K.ASSET_NOT_FOLLOWED]
    assert [item.subject for item in told] == ["heat of hall"]
    assert told[0].value == pytest.approx(12.0)


@pytest.mark.parametrize("slot", [1, 5, 11])
def test_a_new_plan_begins_with_the_heat_that_is_there(slot: int) -> None:
    """Observed one slot ahead, the rest planned again breaks no rule, and leaves the heat that idle nodes can bring."""
    scenario, first = good()
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    world.command(first)
    world.advance(scenario.horizon.time(slot - 1))
    seen = world.observe(slot)
    assert seen.assets["hall/heat"]["store_kwh"] == pytest.approx(first.assets[0].series["store_kwh"][slot - 1], abs=1e-6)
    rest = assign_nodes(scenario, MilpPolicy().plan(build_problem(scenario, seen)), seen)
    assert check_plan(scenario, rest, seen) == ()
    world.command(rest)
    assert [item for item in world.outcome().violations if "heat" in item.subject] == []
    left = HEAT.begun(seen.assets["hall/heat"]).left_at_end_kwh(scenario.horizon.tail(slot))
    assert world.meters["hall"].assets[0].state()["store_kwh"] >= left - 1e-6


def test_other_weather_is_another_load() -> None:
    """With an error of 5 K the load is the PUE of the real temperature times IT; without one it is that of the forecast."""
    scenario = cooled(with_assets(), 18.0, 6.0)
    plan = planned(scenario)
    site = scenario.sites[0]
    wrong = replace(scenario, errors=replace(scenario.errors, temperature_sigma_k=5.0))
    world = SimulatedWorld(wrong, seed=3, stressed=False)
    real = world.truth.outdoor_c["hall"]
    assert not np.allclose(real.values, site.outdoor_c.values if site.outdoor_c else 0.0, atol=1.0)
    outcome = realise(wrong, plan, 3)
    pue = site.pue_series(real)
    assert pue is not None
    expected = site.overhead_kw + pue.mean(scenario.horizon) * (site.idle_it_kw + plan.energy.it_kw[0])
    assert outcome.energy.load_kwh[0] == pytest.approx(expected, abs=1e-6)
    assert realise(scenario, plan, 3).energy.load_kwh[0] == pytest.approx(plan.energy.load_kw[0], abs=1e-6)
