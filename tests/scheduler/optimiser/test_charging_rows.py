"""Charging points in the reference MILP: optima are those of every car planned by itself, last resort and switches hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from grid.assets.charging import ChargingFleet
from grid.assets.charging_sessions import Session
from scheduler.asset_runs import PlacedAsset
from scheduler.optimiser.policy import MilpPolicy, compiled
from scheduler.optimiser.shift_only import ShiftOnlyPolicy
from scheduler.plan import SolveStatus
from scheduler.plan_json import plan_from_dict, plan_to_dict
from scheduler.policies.fifo import Fifo
from scheduler.problem import Problem
from tests.grid.assets.test_charging import SLOTS, fleets
from tests.scheduler.problems import flat_problem, task

MISSING = 5.0


def selling(price: list[float], fleet: ChargingFleet, limit_kw: float = 60.0) -> Problem:
    """One site with 2 kW of fixed load that exports for 20 EUR/MWh less than it imports for, and no job."""
    problem = flat_problem(price, task("job"))
    shape = problem.fixed_kw.shape
    return replace(
        problem,
        jobs=(),
        fixed_kw=np.full(shape, 2.0),
        import_limit_kw=np.full(shape, limit_kw),
        export_limit_kw=np.full(shape, 50.0),
        export_eur_per_kwh=problem.import_eur_per_kwh - 0.02,
        assets=(PlacedAsset(0, fleet),),
    )


def car_by_car(fleet: ChargingFleet, price: list[float], limit_kw: float) -> float:
    """Least cost of the site when every car is planned by itself, in one linear programme of scipy stated from the sessions."""
    cars, buy = fleet.sessions, np.array(price) / 1000
    width = 2 * SLOTS + 1  # charge, discharge and missing of each car, then import, export
    count = len(cars) * width
    cost = np.concatenate((np.zeros(count), buy, -(buy - 0.02)))
    top = np.concatenate((np.full(count, np.inf), np.full(SLOTS, limit_kw), np.full(SLOTS, 50.0)))
    balance = np.zeros((SLOTS, len(cost)))
    rows, limits = [], []
    for i, car in enumerate(cars):
        at = i * width
        gives = fleet.discharge and car.consent and car.discharge_kw > 0
        level, added = np.zeros(len(cost)), 0.0
        cost[at + SLOTS : at + 2 * SLOTS] = fleet.wear_eur_per_kwh
        cost[at + 2 * SLOTS] = fleet.missing_eur_per_kwh
        for t in range(SLOTS):
            there = car.arrival_h <= t and t + 1 <= car.departure_h
            top[at + t] = car.power_kw * there
            top[at + SLOTS + t] = car.discharge_kw * there * gives
            balance[t, at + t], balance[t, at + SLOTS + t] = -1.0, 1.0
            level[at + t], level[at + SLOTS + t] = 0.9, -1 / 0.8
            added += 0.9 * car.power_kw * there
            rows.append(level.copy())
            limits.append(car.full_kwh - car.level_kwh if gives else car.energy_kwh)
            least = car.minimum_kwh - car.level_kwh
            if there and (gives or least > 0):
                rows.append(-level)
                limits.append(-min(least, added) if least > 0 else -least)
        last = -level
        last[at + 2 * SLOTS] = -1.0
        rows.append(last)
        limits.append(-car.energy_kwh)
    for t in range(SLOTS):
        balance[t, count + t], balance[t, count + SLOTS + t] = 1.0, -1.0
    answer = linprog(cost, np.array(rows), limits, balance, np.full(SLOTS, 2.0), np.column_stack((np.zeros(len(top)), top)))
    assert answer.status == 0, answer.message
    return float(answer.fun)


@settings(max_examples=30, deadline=None)
@given(fleet=fleets(), price=st.lists(st.integers(20, 400), min_size=SLOTS, max_size=SLOTS), limit=st.sampled_from([30.0, 90.0]))
def test_the_optimum_is_that_of_every_car_by_itself(fleet: ChargingFleet, price: list[int], limit: float) -> None:
    """Random fleets at a connection that may bind: the plan of groups costs what the best plan of single cars costs."""
    prices = [float(value) for value in price]
    plan = MilpPolicy().plan(selling(prices, fleet, limit))
    assert plan.status is SolveStatus.OPTIMAL
    if not plan.energy.unserved_kw.any():
        assert plan.objective_eur == pytest.approx(car_by_car(fleet, prices, limit), abs=1e-5)


CAR: dict[str, Any] = {"name": "a", "arrival_h": 0.0, "departure_h": 6.0, "energy_kwh": 7.2, "power_kw": 4.0}


def car(**changes: Any) -> Session:
    """A car that stays six hours, 4 kW, 7.2 kWh to gain: two hours at full power."""
    return Session(**(CAR | changes))


def test_cars_wait_for_the_cheap_hours() -> None:
    """Two hours at full power go to the two cheapest of the stay, not to cheaper ones after it."""
    fleet = ChargingFleet("cars", (car(), car(name="b", energy_kwh=14.4, power_kw=8.0)), MISSING, 0.9)
    plan = MilpPolicy().plan(selling([90, 30, 80, 40, 70, 60, 10, 10], fleet))
    assert plan.assets[0].series["charge_kw"] == pytest.approx(np.array([0, 12, 0, 12, 0, 0, 0, 0]))
    assert "linear programme" in plan.solver
    assert plan.breakdown_eur["assets"] == pytest.approx(0.0, abs=1e-9)


def test_what_cannot_be_brought_is_missing_at_its_price() -> None:
    """A car of one hour that asks for two lacks 3.6 kWh and costs 18 EUR; one with time lacks nothing."""
    fleet = ChargingFleet("cars", (car(departure_h=1.5), car(name="b")), MISSING, 0.9)
    plan = MilpPolicy().plan(selling([50.0] * SLOTS, fleet))
    left = {item.session.name: item.missing_kwh for item in fleet.departures(plan.assets[0].series, 1.0)}
    assert left == pytest.approx({"a": 3.6, "b": 0.0}, abs=1e-6)
    assert plan.assets[0].series["missing_kwh"] == pytest.approx(np.array([3.6, 0, 0, 0, 0, 0, 0, 0]), abs=1e-6)
    assert plan.breakdown_eur["assets"] == pytest.approx(18.0, abs=1e-5)


def test_a_narrow_connection_shares_what_there_is() -> None:
    """Room for 1 kW in six hours brings 5.4 of 14.4 kWh; nothing goes unserved for the sake of cars."""
    fleet = ChargingFleet("cars", (car(), car(name="b")), MISSING, 0.9)
    problem = selling([50.0] * SLOTS, fleet, limit_kw=3.0)
    plan = MilpPolicy().plan(replace(problem, weights=replace(problem.weights, unserved_eur_per_kwh=20.0)))
    assert plan.assets[0].series["missing_kwh"].sum() == pytest.approx(9.0, abs=1e-6)
    assert not plan.energy.unserved_kw.any()


GIVING: dict[str, Any] = {"level_kwh": 10.0, "capacity_kwh": 40.0, "minimum_kwh": 8.0, "discharge_kw": 4.0, "consent": True}
SPREAD = [50.0, 400.0, 400.0, 50.0, 50.0, 50.0, 50.0, 50.0]


@pytest.mark.parametrize(
    ("switch", "changes", "gives"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"consent": False}, False),
        (True, {"discharge_kw": 0.0}, False),
        (True, {"minimum_kwh": 17.2}, False),
    ],
)
def test_switch_point_and_owner_must_all_allow_it(switch: bool, changes: dict[str, Any], gives: bool) -> None:
    """At 400 EUR/MWh between hours of 50 a car gives back only when everything allows it, and never below its least level."""
    one = car(**(GIVING | changes))
    fleet = ChargingFleet("cars", (one,), MISSING, 0.9, 0.9, discharge=switch, wear_eur_per_kwh=0.02)
    plan = MilpPolicy().plan(selling(SPREAD, fleet))
    series = plan.assets[0].series
    assert bool(series["discharge_kw"].any()) is gives
    level = one.level_kwh + np.cumsum(series["charge_kw"] * 0.9 - series["discharge_kw"] / 0.9)
    assert level[5] == pytest.approx(17.2, abs=1e-6)
    if gives:
        assert level.min() >= 8.0 - 1e-6
        assert (series["discharge_kw"] > 0).nonzero()[0].tolist() == [1, 2]
        assert plan.breakdown_eur["assets"] == pytest.approx(0.02 * series["discharge_kw"].sum(), abs=1e-6)


def test_wear_can_forbid_what_prices_ask_for() -> None:
    """With 0.40 EUR of wear for each kWh given back, 350 EUR/MWh of spread do not pay."""
    fleet = ChargingFleet("cars", (car(**GIVING),), MISSING, 0.9, 0.9, discharge=True, wear_eur_per_kwh=0.4)
    assert not MilpPolicy().plan(selling(SPREAD, fleet)).assets[0].series["discharge_kw"].any()


def test_a_car_below_its_least_level_is_charged_first() -> None:
    """It arrives with 1 kWh and may not stay below 5: the first hour is the dearest and is used all the same, the rest waits."""
    fleet = ChargingFleet("cars", (car(level_kwh=1.0, minimum_kwh=5.0),), MISSING, 0.9)
    plan = MilpPolicy().plan(selling([400.0, 300.0, 90.0, 20.0, 30.0, 90.0, 9.0, 9.0], fleet))
    assert plan.assets[0].series["charge_kw"] == pytest.approx(np.array([4, 4 / 9, 0, 3.5555556, 0, 0, 0, 0]), abs=1e-6)


def test_no_car_burns_energy_at_negative_prices() -> None:
    """With prices below zero a group charges or discharges in a slot, never both, and the plan is worth what it says."""
    cars = (car(**(GIVING | {"capacity_kwh": 20.0})), car(name="b", **(GIVING | {"energy_kwh": 3.6, "capacity_kwh": 20.0})))
    fleet = ChargingFleet("cars", cars, MISSING, 0.9, 0.9, discharge=True)
    problem = selling([-200.0, -200.0, -150.0, -200.0, -100.0, -150.0, 50.0, 50.0], fleet)
    _, model = compiled(problem)
    assert any(name.endswith("giving") for name in model.columns)
    plan = MilpPolicy().plan(problem)
    series = plan.assets[0].series
    for group in fleet.groups:
        both = np.minimum(series[f"charge_kw.{group.name}"], series[f"discharge_kw.{group.name}"])
        assert both.max() <= 1e-9
    assert plan.bound_eur is not None
    assert plan.objective_eur == pytest.approx(plan.bound_eur, rel=2e-3, abs=1e-5)


def test_aggregation_saves_columns_and_changes_nothing() -> None:
    """Sixty cars of three kinds are three groups: a twentieth of the columns of a plan car by car, at the same cost."""
    kinds = [car(energy_kwh=2.7), car(arrival_h=1.0), car(departure_h=5.0)]
    sizes = np.linspace(1.0, 3.0, 20)
    cars = tuple(
        replace(kind, name=f"{k}-{i}", energy_kwh=kind.energy_kwh * size, power_kw=kind.power_kw * size)
        for k, kind in enumerate(kinds)
        for i, size in enumerate(sizes.tolist())
    )
    fleet = ChargingFleet("cars", cars, MISSING, 0.9)
    assert len(fleet.groups) == 3
    problem = selling([90, 30, 80, 40, 70, 60, 10, 10], fleet, 200.0)
    _, model = compiled(problem)
    assert len(model.columns["asset0_charge_kw"]) == 6 + 5 + 5
    assert MilpPolicy().plan(problem).objective_eur == pytest.approx(
        car_by_car(replace(fleet, discharge_efficiency=0.8), [90, 30, 80, 40, 70, 60, 10, 10], 200.0), abs=1e-6
    )


def test_shift_only_plans_without_discharge() -> None:
    """The policy keeps cars from giving back and leaves the rest: dearer than with discharge, cheaper than at once."""
    fleet = ChargingFleet("cars", (car(**GIVING), car(name="b")), MISSING, 0.9, 0.9, discharge=True, wear_eur_per_kwh=0.02)
    problem = selling(SPREAD, fleet)
    shifted, whole, at_once = (policy.plan(problem) for policy in (ShiftOnlyPolicy(), MilpPolicy(), Fifo()))
    assert shifted.policy == "shift_only"
    assert not shifted.assets[0].series["discharge_kw"].any()
    assert set(shifted.assets[0].series) == set(whole.assets[0].series)
    assert whole.objective_eur < shifted.objective_eur - 0.1
    assert shifted.objective_eur < at_once.objective_eur - 0.1


def test_plans_of_cars_are_saved_whole() -> None:
    """A plan comes back from JSON with every series of every group."""
    fleet = ChargingFleet("cars", (car(**GIVING), car(name="b")), MISSING, 0.9, 0.9, discharge=True)
    for plan in (Fifo().plan(selling(SPREAD, fleet)), MilpPolicy().plan(selling(SPREAD, fleet))):
        assert plan_to_dict(plan_from_dict(plan_to_dict(plan))) == plan_to_dict(plan)
