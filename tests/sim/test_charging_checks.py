"""Charging points: an altered plan is refused by name, the world tells what cars could not do, a day is planned again."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from grid.assets.charging import ChargingFleet
from grid.assets.charging_sessions import Session
from scheduler.build import build_problem
from scheduler.optimiser.policy import MilpPolicy
from scheduler.outcome import ViolationKind as K
from scheduler.placement import assign_nodes
from scheduler.plan import Plan
from scheduler.scenario import Scenario
from sim.plan_check import check_plan
from sim.rehearsal import realise
from sim.world.assets.charging import ChargingWorld
from sim.world.simulated import SimulatedWorld
from tests.sim.assets_hand import with_assets
from tests.sim.test_asset_agreement_charging import spread
from tests.sim.test_plan_comes_true import planned

CARS = (
    Session("day", 1.0, 6.0, 7.2, 4.0),
    Session("twin", 1.0, 6.0, 3.6, 2.0),
    Session("short", 8.0, 9.0, 7.2, 4.0),
    Session("low", 2.0, 11.0, 9.0, 4.0, level_kwh=1.0, minimum_kwh=5.0),
    Session("giver", 0.0, 12.0, 7.2, 4.0, level_kwh=10.0, capacity_kwh=30.0, minimum_kwh=8.0, discharge_kw=4.0, consent=True),
    Session("miser", 0.0, 12.0, 7.2, 4.0, level_kwh=10.0, capacity_kwh=40.0, minimum_kwh=8.0, discharge_kw=4.0),
)
FLEET = ChargingFleet("cars", CARS, 5.0, 0.9, 0.9, discharge=True, wear_eur_per_kwh=0.02)


@lru_cache
def good() -> tuple[Scenario, Plan]:
    """A scenario in which discharge pays, and its plan."""
    scenario = spread(with_assets(FLEET), 4)
    return scenario, planned(scenario)


def of(car: str) -> str:
    """Name of the group of a car."""
    index = [one.name for one in CARS].index(car)
    return next(group.name for group in FLEET.groups if index in group.members)


def altered(series: str, slot: int | slice, value: float) -> set[tuple[K, str]]:
    """Rule and subject of what is broken once a series of the fleet is altered, sums and draw along with it."""
    scenario, plan = good()
    run = plan.assets[0]
    changed = {name: values.copy() for name, values in run.series.items()}
    if series == "draw_kw":
        draw = run.draw_kw.copy()
        draw[slot] = value
    else:
        changed[series][slot] = value
        if "." in series:
            for name in ("charge_kw", "discharge_kw"):
                changed[name] = sum((changed[key] for key in changed if key.startswith(f"{name}.")), np.zeros(12))
        draw = changed["charge_kw"] - changed["discharge_kw"] if "." in series else run.draw_kw
    run = replace(run, series=changed, draw_kw=draw)
    return {(item.kind, item.subject) for item in check_plan(scenario, replace(plan, assets=(run,)))}


def test_good_plan_passes_and_gives_back() -> None:
    """The plan that others here are altered from breaks no rule, has a car give back, and one lack 3.6 kWh."""
    scenario, plan = good()
    assert check_plan(scenario, plan) == ()
    assert plan.assets[0].series[f"discharge_kw.{of('giver')}"].any()
    assert plan.assets[0].series["missing_kwh"][8] == pytest.approx(3.6, abs=1e-6)
    assert of("day") == of("twin")


@pytest.mark.parametrize(
    ("series", "slot", "value", "kind", "limit"),
    [
        (f"charge_kw.{of('day')}", 2, 6.5, K.ASSET_POWER, "charging power"),
        (f"charge_kw.{of('day')}", 2, -0.5, K.ASSET_POWER, "charging power"),
        (f"charge_kw.{of('day')}", 0, 1.0, K.ASSET_POWER, "charging power of absent cars"),
        (f"charge_kw.{of('day')}", 7, 1.0, K.ASSET_POWER, "charging power of absent cars"),
        (f"discharge_kw.{of('giver')}", 3, 4.5, K.ASSET_POWER, "discharging power"),
        (f"charge_kw.{of('miser')}", slice(0, 12), 4.0, K.ASSET_STORE, "full car"),
        (f"charge_kw.{of('giver')}", slice(0, 12), 4.0, K.ASSET_STORE, "full car"),
        (f"charge_kw.{of('low')}", 2, 0.0, K.ASSET_STORE, "least level"),
        (f"discharge_kw.{of('giver')}", slice(0, 12), 4.0, K.ASSET_STORE, "least level"),
        (f"charge_kw.{of('day')}", slice(1, 6), 0.5, K.ASSET_STORE, "missing energy"),
        ("missing_kwh", 8, 0.0, K.ASSET_STORE, "missing energy"),
        ("missing_kwh", slice(0, 1), -1.0, K.ASSET_STORE, "negative missing energy"),
        ("charge_kw", 3, 9.9, K.ASSET_POWER, "sum of charge_kw"),
        ("discharge_kw", 3, 9.9, K.ASSET_POWER, "sum of discharge_kw"),
        ("draw_kw", 3, 9.9, K.ASSET_POWER, "draw"),
    ],
)
def test_each_limit_has_its_name(series: str, slot: int | slice, value: float, kind: K, limit: str) -> None:
    """One altered value breaks the limit that it is about, by name."""
    assert (kind, f"{limit} of cars of hall") in altered(series, slot, value)


def test_the_worst_car_is_named() -> None:
    """Of two cars in one group the larger one is further beyond its point, and the advice says so."""
    scenario, plan = good()
    run, name = plan.assets[0], f"charge_kw.{of('day')}"
    more = run.series[name] * 1.5
    found = check_plan(scenario, replace(plan, assets=(replace(run, series={**run.series, name: more}),)))
    (power,) = [item for item in found if item.subject == "charging power of cars of hall"]
    assert "Charge day with less power" in power.advice
    assert (power.value, power.limit) == pytest.approx((6.0, 4.0), abs=1e-6)


def test_discharge_against_the_switch_is_refused() -> None:
    """The same plan in a scenario whose switch is off breaks the discharging power, and nothing else of the fleet's powers."""
    scenario, plan = good()
    hall = scenario.sites[0]
    off = replace(scenario, sites=(replace(hall, assets=(replace(FLEET, discharge=False),)),))
    subjects = {item.subject for item in check_plan(off, plan)}
    assert "discharging power of cars of hall" in subjects
    assert "charging power of cars of hall" not in subjects


def test_a_plan_beyond_a_car_is_told_by_the_world() -> None:
    """Full power all day for a car that asks for two hours: what it cannot take is recorded as not followed."""
    scenario, plan = good()
    run, name = plan.assets[0], f"charge_kw.{of('miser')}"
    extra = np.full(12, 4.0)
    series = {**run.series, name: extra, "charge_kw": run.series["charge_kw"] - run.series[name] + extra}
    greedy = replace(run, series=series, draw_kw=series["charge_kw"] - series["discharge_kw"])
    outcome = realise(scenario, replace(plan, assets=(greedy,)), scenario.seed)
    told = [item for item in outcome.violations if item.kind is K.ASSET_NOT_FOLLOWED]
    assert [item.subject for item in told] == ["cars of hall"]
    assert told[0].value == pytest.approx(48.0 - 7.2 / 0.9, abs=1e-6)
    assert "its battery full" in told[0].advice
    miser = next(car for car in outcome.departures if car.session == "miser")
    assert (miser.gained_kwh, miser.missing_kwh) == pytest.approx((7.2, 0.0), abs=1e-6)


def test_without_a_plan_every_car_leaves_as_it_came() -> None:
    """A world that is told nothing charges nothing: every car lacks all it asked for, is named, and is billed."""
    scenario, _ = good()
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.advance(scenario.horizon.end)
    asset = world.meters["hall"].assets[0]
    assert isinstance(asset, ChargingWorld)
    left = {name: (gained, missing) for name, gained, missing in asset.departed()}
    assert left == {car.name: (0.0, car.energy_kwh) for car in CARS}
    assert asset.bill.cost_eur == pytest.approx(5.0 * sum(car.energy_kwh for car in CARS))
    told = [text for _, text in world.outcome().log if " leaves cars with " in text]
    assert {text.split(" leaves ")[0] for text in told} == {car.name for car in CARS}


@pytest.mark.parametrize("slot", [1, 3, 7, 10])
def test_a_new_plan_begins_where_the_cars_are(slot: int) -> None:
    """Seen one slot ahead, the rest planned again breaks no rule, and every car leaves as well as by the first plan."""
    scenario, first = good()
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    world.command(first)
    world.advance(scenario.horizon.time(slot - 1))
    seen = world.observe(slot)
    rest = assign_nodes(scenario, MilpPolicy().plan(build_problem(scenario, seen)), seen)
    assert check_plan(scenario, rest, seen) == ()
    world.command(rest)
    again = SimulatedWorld(scenario, seed=scenario.seed, stressed=False, observation=seen)
    again.command(rest)
    world.advance(scenario.horizon.end)
    again.advance(scenario.horizon.end)
    outcome, rerun = world.outcome(), again.outcome()
    assert [item for item in outcome.violations if "cars" in item.subject] == []
    missing = {car.session: car.missing_kwh for car in outcome.departures}
    assert missing == pytest.approx({car.name: 3.6 if car.name == "short" else 0.0 for car in CARS}, abs=1e-6)
    later = {car.session: car.gained_kwh for car in rerun.departures}
    assert set(later) == {car.name for car in CARS if car.departure_h > slot}
    assert later == pytest.approx({car.session: car.gained_kwh for car in outcome.departures if car.session in later}, abs=1e-6)


def test_cars_come_and_go_between_the_edges_of_slots() -> None:
    """A car from 1:20 to 5:40 is charged in the whole hours of its stay; the world lets it go at its own minute."""
    late = ChargingFleet("cars", (Session("between", 4 / 3, 17 / 3, 20.0, 4.0),), 5.0, 0.9)
    scenario = spread(with_assets(late), 4)
    plan = planned(scenario)
    assert np.flatnonzero(plan.assets[0].series["charge_kw"]).tolist() == [2, 3, 4]
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    world.command(plan)
    world.advance(scenario.horizon.end)
    (moment,) = [moment for moment, text in world.outcome().log if text.startswith("between leaves")]
    assert (moment - scenario.horizon.start).total_seconds() == pytest.approx(17 / 3 * 3600, abs=1.0)
