"""The plan check on assets: a good plan passes, every alteration is refused under its own name."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from grid.assets.biogas import BiogasChp
from grid.assets.generator import Generator
from scheduler.outcome import ViolationKind as K
from scheduler.plan import Plan
from scheduler.scenario import Scenario
from sim.plan_check import check_plan
from sim.rehearsal import realise
from tests.sim.assets_hand import with_assets
from tests.sim.test_plan_comes_true import planned

DIGESTER = BiogasChp(
    "digester", 6.0, 0.4, 0.4, 8.0, 60.0, lowest_kwh=5.0, initial_kwh=30.0, minimum_load=0.5, minimum_run_h=3.0, start_eur=0.1
)
EMERGENCY = Generator("emergency", 2, 10.0, 60.0, 0.45, 860.0, test_h=2.0, test_kw=4.0, test_from_h=2.0, test_to_h=9.0)


@lru_cache
def good() -> tuple[Scenario, Plan]:
    """A scenario with both assets, and its plan."""
    scenario = with_assets(DIGESTER, EMERGENCY)
    return scenario, planned(scenario)


def altered(asset: str, name: str, slot: int | slice, value: float) -> set[tuple[K, str]]:
    """Rule and subject of what is broken once a series of an asset is altered."""
    scenario, plan = good()
    runs = []
    for run in plan.assets:
        values = run.series[name].copy() if name in run.series else run.draw_kw.copy()
        values[slot] = value
        if run.asset != asset:
            runs.append(run)
        elif name == "draw_kw":
            runs.append(replace(run, draw_kw=values))
        else:
            runs.append(replace(run, series={**run.series, name: values}))
    return {(item.kind, item.subject) for item in check_plan(scenario, replace(plan, assets=tuple(runs)))}


def test_good_plan_passes() -> None:
    """The plan that all others here are altered from breaks no rule, and runs both assets."""
    scenario, plan = good()
    assert check_plan(scenario, plan) == ()
    assert all(run.series["power_kw"].any() for run in plan.assets)


@pytest.mark.parametrize(
    ("asset", "name", "slot", "value", "kind", "limit"),
    [
        ("digester", "power_kw", 0, 7.0, K.ASSET_POWER, "largest output"),
        ("digester", "power_kw", 0, 1.0, K.ASSET_POWER, "minimum load"),
        ("digester", "flared_kw", 3, -1.0, K.ASSET_POWER, "flare"),
        ("digester", "heat_kw", 3, 99.0, K.ASSET_POWER, "heat"),
        ("digester", "store_kwh", 3, 61.0, K.ASSET_STORE, "full gas store"),
        ("digester", "store_kwh", 3, 4.0, K.ASSET_STORE, "empty gas store"),
        ("digester", "store_kwh", 3, 33.3, K.ASSET_STORE, "gas balance"),
        ("digester", "store_kwh", -1, 10.0, K.ASSET_STORE, "gas left"),
        ("digester", "draw_kw", 0, 3.0, K.ASSET_POWER, "draw"),
        ("emergency", "draw_kw", 0, 3.0, K.ASSET_POWER, "draw"),
        ("emergency", "power_kw", 0, 5.0, K.ASSET_POWER, "allowed output"),
        ("emergency", "power_kw", slice(2, 9), 0.0, K.ASSET_POWER, "test output"),
        ("emergency", "test", slice(0, 12), 0.0, K.ASSET_RUN, "test length"),
        ("emergency", "test", 11, 1.0, K.ASSET_RUN, "test window"),
    ],
)
def test_each_limit_has_its_name(asset: str, name: str, slot: int | slice, value: float, kind: K, limit: str) -> None:
    """One altered value breaks the limit that it is about, by name."""
    assert (kind, f"{limit} of {asset} of hall") in altered(asset, name, slot, value)


def test_too_short_a_run_is_refused() -> None:
    """Running for one hour only breaks the least run of three."""
    scenario, plan = good()
    power = np.zeros(12)
    power[4] = 6.0
    horizon = scenario.horizon
    runs = [
        replace(run, series=DIGESTER.trajectory({"power_kw": power}, horizon, power)) if run.asset == "digester" else run
        for run in plan.assets
    ]
    found = {(item.kind, item.subject) for item in check_plan(scenario, replace(plan, assets=tuple(runs)))}
    assert (K.ASSET_RUN, "least run of digester of hall") in found


def test_what_is_owed_must_be_counted() -> None:
    """A plan that leaves the cost or the carbon of fuel out is refused."""
    scenario, plan = good()
    for change in ({"cost_eur": 0.0}, {"carbon_g": 0.0}):
        runs = tuple(replace(run, **change) if run.asset == "emergency" else run for run in plan.assets)  # type: ignore[arg-type]
        assert K.NOT_COUNTED in {item.kind for item in check_plan(scenario, replace(plan, assets=runs))}


def test_missing_unknown_and_misshapen_assets_are_refused() -> None:
    """An asset left out, one twice, one of no scenario, a series too short: nothing else is judged then."""
    scenario, plan = good()
    first = plan.assets[0]
    short = replace(first, series={**first.series, "store_kwh": np.zeros(3)})
    for runs in (plan.assets[1:], (*plan.assets, first), (*plan.assets, replace(first, asset="other"))):
        assert {item.kind for item in check_plan(scenario, replace(plan, assets=runs))} == {K.UNKNOWN_NAME}
    assert {item.kind for item in check_plan(scenario, replace(plan, assets=(short, *plan.assets[1:])))} == {K.ASSET_POWER}


def test_a_plan_beyond_the_gas_is_told_by_the_world() -> None:
    """Full power all day needs 180 kWh of gas, 121 are there: what lacks is recorded as not followed."""
    scenario, plan = good()
    runs = []
    for run in plan.assets:
        power = np.full(12, 6.0)
        greedy = replace(run, series={**run.series, "power_kw": power}, draw_kw=-power)
        runs.append(greedy if run.asset == "digester" else run)
    outcome = realise(scenario, replace(plan, assets=tuple(runs)), scenario.seed)
    told = [item for item in outcome.violations if item.kind is K.ASSET_NOT_FOLLOWED]
    assert [item.subject for item in told] == ["digester of hall"]
    assert told[0].value == pytest.approx(72.0 - 0.4 * (30.0 - 5.0 + 12 * 8.0), abs=1e-6)
    assert any("cannot follow the plan" in text for _, text in outcome.log)
