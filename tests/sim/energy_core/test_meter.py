"""The energy core against the world's own meter, on random worlds; conservation; independence of the reporting step."""

from __future__ import annotations

from dataclasses import astuple, fields, replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.battery import Battery
from grid.connection import Connection
from grid.horizon import Horizon
from grid.response.event import CapacityEvent
from grid.series import Series
from scheduler.plan import BatteryControl, EnergySchedule, Plan
from scheduler.scenario import Scenario
from sim.energy_core import kernel
from sim.energy_core.layout import MeteredSite
from sim.energy_core.meter import meter_sites
from sim.world.battery_control import Instant, Intent, battery_power
from sim.world.flows import FLOWS
from sim.world.meter import SiteMeter
from sim.world.truth import Truth
from tests.factory import START, site, small_scenario
from tests.sim.hand import hand_plan
from tests.sim.world.test_properties import worlds

DAY_S = 86400.0

Load = list[tuple[float, float, float]]
"""Moments (s) with IT and idle power from then on (kW)."""
Made = tuple[Scenario, list[MeteredSite], list[Load]]


@st.composite
def changes(draw: st.DrawFn) -> Load:
    """Moments (s, eighths of a second, which Unix seconds hold exactly) with IT and idle power from then on (kW)."""
    moments = sorted(draw(st.sets(st.integers(1, int(DAY_S * 8) - 1), max_size=12)))
    powers = st.sampled_from([0.0, 0.3, 1.7, 9.0])
    return [(0.0, draw(powers), 0.3)] + [(moment / 8.0, draw(powers), draw(powers)) for moment in moments]


def part(plan: Plan, first: int, slots: int) -> Plan:
    """Some slots of a plan, as a plan without runs."""
    energy = EnergySchedule(*(getattr(plan.energy, name)[:, first : first + slots] for name in EnergySchedule.names()))
    horizon = Horizon(plan.horizon.time(first), plan.horizon.step, slots)
    return replace(plan, id="part", horizon=horizon, energy=energy, runs=(), transfers=())


def steps(horizon: Horizon, found: Load, column: int) -> Series:
    """A column of the changes as a series."""
    edges = np.array([horizon.start_s + change[0] for change in found] + [horizon.end_s])
    return Series(edges, np.array([change[column] for change in found]), "kW", "changes")


@st.composite
def metered_worlds(draw: st.DrawFn) -> Made:
    """Both sites of a random world with plans, events, errors and changes of load."""
    scenario, plan = draw(worlds())
    truth = Truth(scenario, draw(st.integers(0, 50)), stressed=False)
    plans: tuple[tuple[float, Plan], ...] = ()
    if draw(st.booleans()):
        plans = ((0.0, plan),)
        if draw(st.booleans()):  # commanded early, begins later, ends before the day does
            plans = (*plans, (draw(st.integers(0, 16_000)) / 8.0, part(plan, draw(st.integers(1, 12)), draw(st.integers(1, 10)))))
        if draw(st.booleans()):  # a later plan takes over in mid-run
            other = replace(plan, battery_control=draw(st.sampled_from(list(BatteryControl))), id="later")
            plans = (*plans, (draw(st.integers(1, 80_000)) / 8.0 + 1000.0, other))
    late = CapacityEvent(
        "late", "hall", START + timedelta(hours=9.3), START + timedelta(hours=11), 0.5, 1.0, START + timedelta(hours=10.2)
    )
    events = (*scenario.events, late) if draw(st.booleans()) else scenario.events
    feeder = draw(st.booleans())
    hours = scenario.horizon.with_step(timedelta(minutes=30))
    pue = draw(st.one_of(st.none(), st.just(Series.on(hours, 1.1 + 0.3 * np.sin(np.arange(48)) ** 2, "1", "weather"))))
    contract = Connection(
        Series.on(hours, np.where(np.arange(48) < 24, 2.0, 40.0), "kW"),
        Series.on(hours, np.where(np.arange(48) < 30, 40.0, 1.0), "kW"),
    )
    limits = draw(st.sampled_from([None, contract]))
    loads = [draw(changes()) for _ in scenario.sites]
    sites = [
        MeteredSite(
            place,
            truth.solar_kw.get(place.name),
            truth.wind_kw.get(place.name),
            steps(scenario.horizon, load, 1),
            steps(scenario.horizon, load, 2),
            on_feeder=feeder,
            load_factor=truth.load_factor.get(place.name),
            pue=pue,
            connection=limits,
            plans=plans,
            events=events,
        )
        for place, load in zip(scenario.sites, loads, strict=True)
    ]
    return scenario, sites, loads


def by_the_world(metered: MeteredSite, horizon: Horizon, load: Load) -> SiteMeter:
    """The same site metered by the simulated world's meter."""
    sources = tuple(series for series in (metered.sun_kw, metered.wind_kw) if series is not None)
    soc_kwh = metered.site.battery.initial_soc_kwh if metered.site.battery else 0.0
    meter = SiteMeter(
        metered.site,
        horizon,
        sources,
        soc_kwh,
        load[0][2],
        on_feeder=metered.on_feeder,
        load_factor=metered.load_factor,
        pue=metered.pue,
        connection=metered.connection,
    )
    meter.know(metered.events)
    orders: list[tuple[float, Plan | tuple[float, float]]] = [*metered.plans, *((at, (it, idle)) for at, it, idle in load)]
    for moment_s, order in sorted(orders, key=lambda item: (item[0], isinstance(item[1], tuple))):
        if isinstance(order, Plan):
            meter.follow_from(moment_s, order)
        else:
            meter.set_it_kw(moment_s, *order)
    meter.meter_to(DAY_S)
    return meter


@pytest.mark.slow
@given(metered_worlds())
def test_the_core_meters_as_the_world_does(
    made: Made,
) -> None:
    """Every energy of every 15-minute slot, totals and states of charge agree with the world's meter to 1e-9."""
    scenario, sites, loads = made
    found = meter_sites(sites, scenario.horizon, timedelta(minutes=15))
    assert found.slots is not None
    for s, (metered, load) in enumerate(zip(sites, loads, strict=True)):
        world = by_the_world(metered, scenario.horizon, load)
        flows, socs = world.energies(found.slots.edges_s)
        for f, name in enumerate(FLOWS):
            assert found.slot_kwh[s, :, f] == pytest.approx(flows[f], rel=1e-9, abs=1e-9), name
            assert found.totals_kwh[s, f] == pytest.approx(flows[f].sum(), rel=1e-9, abs=1e-9), name
        assert found.slot_soc_kwh[s] == pytest.approx(socs, rel=1e-9, abs=1e-9)
        assert found.soc_kwh[s] == pytest.approx(world.soc_kwh, rel=1e-9, abs=1e-9)
        assert (found.lowest_soc_kwh[s], found.highest_soc_kwh[s]) == pytest.approx(world.soc_bounds_kwh(), rel=1e-9, abs=1e-9)


@given(metered_worlds())
def test_energy_is_conserved(made: Made) -> None:
    """What comes in is what goes out; no flow is negative; batteries hold what went through them and stay within their bounds."""
    scenario, sites, _ = made
    found = meter_sites(sites, scenario.horizon)
    assert found.imbalance_kwh() < 1e-9
    assert found.totals_kwh.min() > -1e-9
    assert found.total_kwh("renewable_kwh") == pytest.approx(
        found.total_kwh("renewable_used_kwh") + found.total_kwh("curtailed_kwh"), abs=1e-9
    )
    for s, metered in enumerate(sites):
        battery = metered.site.battery
        if battery is None:
            assert found.total_kwh("charge_kwh")[s] == found.total_kwh("discharge_kwh")[s] == found.soc_kwh[s] == 0.0
            continue
        stored = battery.charge_efficiency * found.total_kwh("charge_kwh")[s]
        stored -= found.total_kwh("discharge_kwh")[s] / battery.discharge_efficiency
        assert found.soc_kwh[s] == pytest.approx(battery.initial_soc_kwh + stored, abs=1e-9)
        assert battery.reserve_soc_kwh - 1e-6 <= found.lowest_soc_kwh[s] <= found.highest_soc_kwh[s] <= battery.energy_kwh + 1e-6


@given(metered_worlds())
def test_energy_does_not_depend_on_the_reporting_step(
    made: Made,
) -> None:
    """Reported every 1, 5, 15 and 60 minutes, or not at all: the same totals to the last bit, the same sums of slots to 1e-9."""
    scenario, sites, _ = made
    without = meter_sites(sites, scenario.horizon)
    assert without.slot_kwh.shape == (2, 0, len(FLOWS))
    for minutes in (1, 5, 15, 60):
        found = meter_sites(sites, scenario.horizon, timedelta(minutes=minutes))
        assert np.array_equal(found.totals_kwh, without.totals_kwh)
        assert found.slot_kwh.sum(axis=1) == pytest.approx(without.totals_kwh, rel=1e-9, abs=1e-9)
        assert found.slot_soc_kwh[:, -1] == pytest.approx(without.soc_kwh, abs=1e-12)


def test_a_sunny_hour_by_hand() -> None:
    """10 kW of battery room, 3 kW of surplus for an hour: two thirds of the hour fill 2 kWh at 100 %, the rest is exported."""
    scenario = small_scenario()
    horizon = Horizon(START, timedelta(hours=1), 1)
    place = scenario.site("cabinet")
    assert place.battery is not None
    battery = replace(place.battery, charge_efficiency=1.0, energy_kwh=7.0)
    place = replace(place, battery=battery, nodes=(), overhead_kw=1.0, connection=scenario.site("hall").connection)
    sun = Series.constant(4.0, horizon, "kW", "test sun")
    found = meter_sites([MeteredSite(place, sun, soc_kwh=5.0)], horizon, timedelta(minutes=20))
    assert found.soc_kwh[0] == pytest.approx(7.0)
    assert found.by_slot_kwh("charge_kwh")[0] == pytest.approx([1.0, 1.0, 0.0])
    assert found.by_slot_kwh("export_kwh")[0] == pytest.approx([0.0, 0.0, 1.0])
    assert found.pieces[0] == 2
    assert found.sites == ("cabinet",)


def test_nodes_idle_unless_it_is_said_what_they_draw() -> None:
    """Four nodes of 0.1 kW at a PUE of 1.2 and 0.1 kW of overhead: 0.58 kW all day; told that they draw nothing: the overhead."""
    scenario = small_scenario()
    place = scenario.site("hall")
    asleep = Series.constant(0.0, scenario.horizon, "kW")
    idle, off = meter_sites([MeteredSite(place), MeteredSite(place, idle_it_kw=asleep)], scenario.horizon).total_kwh("load_kwh")
    assert idle == pytest.approx(24 * 0.58)
    assert off == pytest.approx(24 * 0.1)


def test_short_lived_series_are_not_mixed_up() -> None:
    """Fifty sites of one to fifty nodes, whose idle power is made while they are laid out: each has its own."""
    horizon = small_scenario().horizon
    sites = [MeteredSite(site(horizon, f"s{n}", nodes=n)) for n in range(1, 51)]
    loads = meter_sites(sites, horizon).total_kwh("load_kwh")
    assert loads == pytest.approx([24 * (0.1 + 1.2 * 0.1 * n) for n in range(1, 51)])


def test_sites_do_not_know_each_other() -> None:
    """Metered together or alone: the same figures to the last bit, whatever series they share."""
    scenario = small_scenario()
    plan = hand_plan(scenario, battery_kw={"cabinet": np.tile([1.0, -1.0], 12)})
    sites = [
        MeteredSite(place, scenario.site("cabinet").solar_kw, plans=((0.0, plan),), events=scenario.events)
        for place in scenario.sites
    ]
    together = meter_sites(sites, scenario.horizon)
    for s, metered in enumerate(sites):
        assert np.array_equal(meter_sites([metered], scenario.horizon).totals_kwh[0], together.totals_kwh[s])


def test_what_the_core_cannot_meter_is_refused_at_once() -> None:
    """Series that are too short, of both sites, in one error; nothing to meter; a report that does not divide the horizon."""
    scenario = small_scenario()
    short = Series.constant(1.0, Horizon(START, timedelta(hours=1), 2), "kW", "two hours of sun")
    sites = [MeteredSite(place, short) for place in scenario.sites[:2]]
    with pytest.raises(ValueError, match=r"cabinet: sun \(two hours of sun\) does.*hall: sun \(two hours of sun\)"):
        meter_sites(sites, scenario.horizon)
    with pytest.raises(ValueError, match="no site"):
        meter_sites([], scenario.horizon)
    with pytest.raises(ValueError, match="does not divide"):
        meter_sites([MeteredSite(scenario.sites[0])], scenario.horizon, timedelta(minutes=7))


level = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0])
"""Few values, so that they often meet."""


@given(
    st.builds(
        Intent,
        **{field.name: st.booleans() if field.type == "bool" else level for field in fields(Intent)}
        | {"charge_kw": st.sampled_from([0.0, 0.0, 2.0]), "start_kwh": st.sampled_from([0.0, 1.0, 5.0, 9.0])},
    ),
    st.builds(Instant, level, level, st.sampled_from([-3.0, 0.0, 1.0, 2.0, 50.0]), level),
    st.sampled_from([1.0, 1.0 + 1e-8, 4.0, 5.0, 9.0, 10.0]),
    st.booleans(),
)
@settings(max_examples=600)
def test_the_rules_of_the_battery_are_those_of_the_world(intent: Intent, now: Instant, soc_kwh: float, follow: bool) -> None:
    """Power, lowest charge, level ahead of the plan and sun left unused in 600 random situations, equal to the world's rules."""
    battery = Battery(10.0, 4.0, 3.0, 0.9, 0.8, 5.0, 1.0)
    control = BatteryControl.FOLLOW_PLAN if follow else BatteryControl.SELF_CONSUMPTION
    wanted = battery_power(battery, control, soc_kwh, now, intent, 1800.0)
    intents, batteries = np.array([astuple(intent)], np.float64), np.array([[10.0, 4.0, 3.0, 0.9, 0.8, 1.0, 5.0]])
    power, until, unused = now.available_kw - now.load_kw, float("nan"), 0.0
    if follow:
        power, until, unused = kernel._wanted(intents, 0, 1800.0, soc_kwh, now.load_kw, now.available_kw, now.export_room_kw)
    floor, limit, room = intent.floor_kwh, now.net_limit_kw, now.export_room_kw
    found = kernel._setting(batteries, 0, floor, power, unused, soc_kwh, now.load_kw, now.available_kw, limit, room)
    assert found == pytest.approx((wanted.power_kw, wanted.lowest_kwh, wanted.unused_kw), abs=1e-12)
    assert until == pytest.approx(float("nan") if wanted.until_ahead_kwh is None else wanted.until_ahead_kwh, nan_ok=True)
