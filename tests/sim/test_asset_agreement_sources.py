"""The plan's use of sun and wind replays in the simulated world as it was planned, also where the grid refuses some of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.battery import Battery
from grid.horizon import FloatArray, Horizon
from grid.series import Series
from scheduler.facility import Site
from scheduler.plan import Plan
from scheduler.scenario import Scenario
from sim.plan_check import check_plan
from sim.rehearsal import realise
from tests.factory import day_horizon
from tests.sim.assets_hand import with_assets
from tests.sim.test_plan_comes_true import assert_comes_true, planned

HOURS = 12
# An export price of exactly 0 is left out: then exporting and curtailing cost the same, and plan and site may choose differently.
POWERS = st.lists(st.one_of(st.just(0.0), st.floats(0.01, 8.0)), min_size=HOURS, max_size=HOURS)
PLANTS = st.sampled_from([("solar_kw",), ("wind_kw",), ("solar_kw", "wind_kw")])


def plant(horizon: Horizon, hourly_kw: list[float], times: int) -> Series:
    """Available power, every hour's value split into ``times`` steps that swing around it and keep its mean."""
    swing = 1.0 + np.linspace(-0.8, 0.8, times) if times > 1 else np.ones(1)
    edges = np.linspace(horizon.start_s, horizon.end_s, HOURS * times + 1)
    return Series(edges, (np.array(hourly_kw)[:, None] * swing).ravel(), "kW", "test plant")


def with_plants(
    kinds: tuple[str, ...],
    hourly_kw: list[float],
    *,
    minutes: int,
    export_limit_kw: float,
    export_eur: float,
    battery: Battery | None,
    times: int = 1,
) -> Scenario:
    """One site with these plants, a limit on its export, and what an exported kWh brings (EUR/MWh, in the whole horizon)."""
    horizon = day_horizon(HOURS * 60 // minutes, minutes)
    scenario = with_assets(slots=horizon.slots, minutes=minutes, solar_kw=0.0)
    hall = scenario.sites[0]
    made: Site = replace(
        hall,
        battery=battery,
        connection=replace(hall.connection, export_limit_kw=Series.constant(export_limit_kw, horizon, "kW")),
        tariff=replace(hall.tariff, export_eur_per_mwh=Series.constant(export_eur, horizon, "EUR/MWh")),
    )
    if "solar_kw" in kinds:
        made = replace(made, solar_kw=plant(horizon, hourly_kw, times))
    if "wind_kw" in kinds:
        made = replace(made, wind_kw=plant(horizon, hourly_kw[::-1], times))
    return replace(scenario, sites=(made,))


def metered(scenario: Scenario, plan: Plan) -> dict[str, FloatArray]:
    """Metered energies of the only site as mean power in each slot of the plan, ``[T]`` kW."""
    energy = realise(scenario, plan, scenario.seed).energy
    names = ("renewable_kwh", "renewable_used_kwh", "curtailed_kwh", "import_kwh", "export_kwh")
    return {name: getattr(energy, name)[0] / scenario.horizon.step_h for name in names}


@settings(max_examples=10, deadline=None)
@given(
    kinds=PLANTS,
    hourly_kw=POWERS,
    minutes=st.sampled_from([30, 60]),
    export_limit_kw=st.sampled_from([0.0, 1.5, 50.0]),
    export_eur=st.sampled_from([-40.0, 5.0, 30.0]),
    stored=st.booleans(),
)
def test_trajectory_replays(
    kinds: tuple[str, ...], hourly_kw: list[float], minutes: int, export_limit_kw: float, export_eur: float, stored: bool
) -> None:
    """Random sun and wind: available, used and curtailed power, flows, objective within 1e-6 of the plan, no broken rule."""
    battery = Battery(5.0, 3.0, 3.0, initial_soc_kwh=2.0, wear_eur_per_kwh=0.02) if stored else None
    scenario = with_plants(
        kinds, hourly_kw, minutes=minutes, export_limit_kw=export_limit_kw, export_eur=export_eur, battery=battery
    )
    plan = planned(scenario)
    assert check_plan(scenario, plan) == ()
    assert_comes_true(scenario, plan)
    found, available, used = metered(scenario, plan), plan.energy.renewable_kw[0], plan.energy.renewable_used_kw[0]
    assert np.allclose(found["renewable_kwh"], available, rtol=0, atol=1e-6)
    assert np.allclose(found["curtailed_kwh"], available - used, rtol=0, atol=1e-6)


@settings(max_examples=6, deadline=None)
@given(kinds=PLANTS, hourly_kw=POWERS, export_limit_kw=st.sampled_from([0.0, 1.5, 50.0]), times=st.sampled_from([4, 12]))
def test_power_that_changes_within_a_slot(
    kinds: tuple[str, ...], hourly_kw: list[float], export_limit_kw: float, times: int
) -> None:
    """Steps of 15 or 5 minutes under slots of an hour: all that is missing is what the grid refuses in a peak, to 1e-6."""
    scenario = with_plants(
        kinds, hourly_kw, minutes=60, export_limit_kw=export_limit_kw, export_eur=30.0, battery=None, times=times
    )
    plan = planned(scenario)
    found = metered(scenario, plan)
    net, lost = found["import_kwh"] - found["export_kwh"], plan.energy.renewable_used_kw[0] - found["renewable_used_kwh"]
    assert np.allclose(found["renewable_kwh"], plan.energy.renewable_kw[0], rtol=0, atol=1e-6)
    assert lost.min() >= -1e-6
    assert np.allclose(net - (plan.energy.import_kw - plan.energy.export_kw)[0], lost, rtol=0, atol=1e-6)
    if export_limit_kw == 50.0:
        assert np.allclose(lost, 0.0, rtol=0, atol=1e-6)
