"""The plan of charging points replays in the simulated world, car by car, as it was planned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from grid.assets.charging import ChargingFleet
from scheduler.scenario import Scenario
from sim.rehearsal import realise
from tests.grid.assets.test_charging import fleets
from tests.sim.assets_hand import assert_replays, with_assets
from tests.sim.test_plan_comes_true import planned


def spread(scenario: Scenario, seed: int) -> Scenario:
    """The scenario with prices that make waiting and giving back pay, and a connection that has room for all cars."""
    hall, rng = scenario.sites[0], np.random.default_rng(seed)
    axis = scenario.horizon.edges_s
    price = hall.tariff.import_eur_per_mwh
    hours = np.repeat(rng.uniform(10, 500, 12), scenario.horizon.slots // 12)
    buy = replace(price, edges_s=axis, values=hours)
    tariff = replace(hall.tariff, import_eur_per_mwh=buy, export_eur_per_mwh=buy.with_values(hours - 5.0))
    wide = replace(price, edges_s=axis, values=np.full(len(hours), 200.0), unit="kW")
    connection = replace(hall.connection, import_limit_kw=wide, export_limit_kw=wide)
    return replace(scenario, sites=(replace(hall, tariff=tariff, connection=connection),))


@settings(max_examples=20, deadline=None)
@given(fleet=fleets(), seed=st.integers(0, 999), minutes=st.sampled_from([30, 60]))
def test_every_car_leaves_as_planned(fleet: ChargingFleet, seed: int, minutes: int) -> None:
    """Random fleets: flows, cost and objective within 1e-6 of the plan, no rule broken, each battery at departure as planned."""
    scenario = spread(with_assets(fleet, slots=12 * 60 // minutes, minutes=minutes), seed)
    assume(not planned(scenario).energy.unserved_kw.any())
    plan = assert_replays(scenario, {})
    outcome = realise(scenario, plan, scenario.seed)
    expected = {car.session.name: car for car in fleet.departures(plan.assets[0].series, scenario.horizon.step_h)}
    assert {car.session for car in outcome.departures} == set(expected)
    for car in outcome.departures:
        assert (car.site, car.asset) == ("hall", "cars")
        assert abs(car.gained_kwh - expected[car.session].gained_kwh) <= 1e-6
        assert abs(car.missing_kwh - expected[car.session].missing_kwh) <= 1e-6
    named = {text.split(" leaves ")[0] for _, text in outcome.log if " leaves cars with " in text}
    assert named == {name for name, car in expected.items() if car.missing_kwh > 1e-4}
