"""Charging sessions: what is put together is what they can do, physics keep energy, impossible sessions are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from grid.assets.charging import ChargingFleet
from grid.assets.charging_sessions import Session, groups_of
from tests.factory import day_horizon

SLOTS = 8
GIVEN: dict[str, Any] = {"name": "a", "arrival_h": 1.0, "departure_h": 6.0, "energy_kwh": 6.0, "power_kw": 3.0}

FLEET: dict[str, Any] = {"name": "cars", "sessions": (Session(**GIVEN),), "missing_eur_per_kwh": 1.0}

ratios = st.sampled_from([(6.0, 3.0), (12.0, 6.0), (2.0, 4.0), (9.0, 3.0)])
windows = st.sampled_from([(0.0, 5.0), (1.0, 6.0), (2.5, 8.0), (3.0, 3.5)])


@st.composite
def fleets(draw: st.DrawFn, *, discharge: bool | None = None) -> ChargingFleet:
    """A few cars, some of which share window and ratio."""
    cars = []
    for number in range(draw(st.integers(1, 6))):
        (arrival, departure), (energy, power) = draw(windows), draw(ratios)
        size = draw(st.sampled_from([1.0, 2.0, 3.5]))
        level = draw(st.sampled_from([0.0, 2.0, 6.0])) * size
        gives = draw(st.sampled_from([0.0, 2.0])) * size
        least = draw(st.sampled_from([0.0, 3.0])) * size
        consent, room = draw(st.booleans()), draw(st.sampled_from([0.0, 5.0])) * size
        whole = level + energy * size
        cars.append(
            Session(
                f"car{number}",
                arrival,
                departure,
                energy * size,
                power * size,
                level,
                whole + room,
                min(least, whole),
                gives,
                consent=consent,
            )
        )
    both = draw(st.booleans()) if discharge is None else discharge
    return ChargingFleet("cars", tuple(cars), 5.0, 0.9, 0.8, discharge=both, wear_eur_per_kwh=0.05)


@pytest.mark.parametrize(
    "changes",
    [
        {"power_kw": 0.0},
        {"departure_h": 1.0},
        {"energy_kwh": -1.0},
        {"level_kwh": 5.0, "capacity_kwh": 10.0},
        {"minimum_kwh": 7.0},
        {"discharge_kw": -1.0},
    ],
)
def test_impossible_sessions_are_refused(changes: dict[str, float]) -> None:
    """No power, no window, negative energy, a battery too small, a least level beyond departure: no such session."""
    with pytest.raises(ValueError, match="charging session a"):
        Session(**(GIVEN | changes))


@pytest.mark.parametrize("changes", [{"sessions": ()}, {"charge_efficiency": 0.0}, {"missing_eur_per_kwh": -1.0}])
def test_impossible_fleets_are_refused(changes: dict[str, Any]) -> None:
    """No car, no efficiency, a negative price: no such fleet."""
    with pytest.raises(ValueError, match="charging"):
        ChargingFleet(**(FLEET | changes))


def test_same_window_and_ratio_is_one_group() -> None:
    """3 and 6 kW that both need two hours at full power are one; other windows, ratios and owners are not."""
    twin = Session("b", 1.0, 6.0, 12.0, 6.0)
    later, longer = Session("c", 2.0, 6.0, 6.0, 3.0), Session("d", 1.0, 6.0, 9.0, 3.0)
    giving = Session("e", 1.0, 6.0, 6.0, 3.0, discharge_kw=3.0, consent=True)
    groups = groups_of((Session(**GIVEN), twin, later, longer, giving))
    assert sorted(group.members for group in groups) == [(0, 1), (2,), (3,), (4,)]
    both = next(group for group in groups if group.members == (0, 1))
    assert (both.power_kw, both.energy_kwh, both.discharge_kw) == (9.0, 18.0, 0.0)


def test_without_consent_a_car_is_as_any_other() -> None:
    """A car that could give back, but may not, is in the group of cars that cannot."""
    able = Session("b", 1.0, 6.0, 12.0, 6.0, level_kwh=8.0, capacity_kwh=40.0, discharge_kw=6.0)
    assert len(groups_of((Session(**GIVEN), able))) == 1


@given(fleet=fleets(), prices=st.lists(st.integers(1, 99), min_size=SLOTS, max_size=SLOTS))
def test_groups_cost_what_their_cars_cost(fleet: ChargingFleet, prices: list[int]) -> None:
    """Least cost of all cars, each planned by itself with an own linear programme, is that of groups of one car and of many."""
    alone = sum(cheapest(fleet, car, np.array(prices) / 10) for car in fleet.sessions)
    together = sum(cheapest_group(fleet, g, np.array(prices) / 10) for g in range(len(fleet.groups)))
    assert together == pytest.approx(alone, abs=1e-6)


def cheapest(fleet: ChargingFleet, car: Session, price: np.ndarray[Any, Any]) -> float:
    """Least cost of one car by scipy, stated from the session alone (efficiencies 0.9 and 0.8)."""
    gives = fleet.discharge and car.discharge_kw > 0 and car.consent
    most = car.full_kwh - car.level_kwh if gives else car.energy_kwh
    least = car.minimum_kwh - car.level_kwh if gives else max(0.0, car.minimum_kwh - car.level_kwh)
    there = [t for t in range(SLOTS) if car.arrival_h <= t and t + 1 <= car.departure_h]
    powers = (car.power_kw, car.discharge_kw if gives else 0.0)
    return solved(there, powers, (least, most, car.energy_kwh), price)


def cheapest_group(fleet: ChargingFleet, number: int, price: np.ndarray[Any, Any]) -> float:
    """Least cost of a group by scipy, from what the group says of itself."""
    group, horizon = fleet.groups[number], day_horizon(SLOTS)
    powers = (group.power_kw, group.discharge_kw if fleet.may_give(group) else 0.0)
    floors = fleet.floor_kwh(group, horizon)
    gain = group.power_kw * 0.9
    assert all(floor <= max(gain * (k + 1), 0.0) + 1e-9 for k, floor in enumerate(floors))
    return solved(list(group.slots(horizon)), powers, (group.least_kwh, fleet.top_kwh(group), group.energy_kwh), price)


def solved(
    there: list[int], powers: tuple[float, float], energies: tuple[float, float, float], price: np.ndarray[Any, Any]
) -> float:
    """Cost of charge, discharge and what is missing (5 EUR/kWh): levels after each slot between the bounds."""
    (power, back), (least, most, wanted), slots = powers, energies, len(there)
    if not slots:
        return 5.0 * wanted
    cost = np.concatenate((price[there], 0.05 - price[there], [5.0]))
    low = np.tril(np.ones((slots, slots)))
    level = np.hstack((0.9 * low, -low / 0.8, np.zeros((slots, 1))))
    floor = np.array([min(least, power * 0.9 * (k + 1)) if least > 0 else least for k in range(slots)])
    last = -level[-1].copy()
    last[-1] = -1.0
    rows = np.vstack((level, -level, last))
    limits = np.concatenate((np.full(slots, most), -floor, [-wanted]))
    answer = linprog(cost, rows, limits, bounds=[(0, power)] * slots + [(0, back)] * slots + [(0, None)])
    assert answer.status == 0, answer.message
    return float(answer.fun)


@given(fleet=fleets(), data=st.data(), minutes=st.sampled_from([30, 60]))
def test_physics_keep_energy_and_every_bound(fleet: ChargingFleet, data: st.DataObject, minutes: int) -> None:
    """Whatever is asked for: each car takes its share while it is there, gains what it took, and lacks the rest."""
    horizon = day_horizon(SLOTS * 60 // minutes, minutes)
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    asked = {name: rng.uniform(-2.0, 30.0, horizon.slots) for name in fleet.names if "." in name}
    series = fleet.trajectory(asked, horizon, np.zeros(horizon.slots))
    assert tuple(series) == fleet.names
    left = {car.session.name: car for car in fleet.departures(series, horizon.step_h)}
    starts, taken_by_all, missing = np.arange(horizon.slots) * horizon.step_h, np.zeros(horizon.slots), 0.0
    for index, car in enumerate(fleet.sessions):
        taken, given_back = fleet.apart(series, index)
        there = (starts >= car.arrival_h) & (starts + horizon.step_h <= car.departure_h)
        gives = fleet.discharge and car.consent
        assert not taken[~there].any()
        assert not given_back[~there].any()
        assert taken.max() <= car.power_kw + 1e-9
        assert given_back.max() <= car.discharge_kw * gives + 1e-9
        assert not (np.minimum(taken, given_back) > 1e-9).any()
        gained = np.cumsum(taken * 0.9 - given_back / 0.8) * horizon.step_h
        assert gained.max() <= (car.full_kwh - car.level_kwh if gives and car.discharge_kw else car.energy_kwh) + 1e-9
        assert gained.min() >= min(0.0, car.minimum_kwh - car.level_kwh) - 1e-9
        assert left[car.name].gained_kwh == pytest.approx(gained[-1], abs=1e-9)
        assert left[car.name].missing_kwh == pytest.approx(max(0.0, car.energy_kwh - gained[-1]), abs=1e-9)
        taken_by_all += taken - given_back
        missing += left[car.name].missing_kwh
    assert fleet.draw_kw(series) == pytest.approx(taken_by_all, abs=1e-9)
    assert series["missing_kwh"].sum() == pytest.approx(missing, abs=1e-9)
    worn = 0.05 * series["discharge_kw"].sum() * horizon.step_h
    assert fleet.bill(series, horizon.step_h).cost_eur == pytest.approx(5.0 * missing + worn, abs=1e-9)


@given(fleet=fleets())
def test_charging_at_once_misses_only_what_no_plan_could_bring(fleet: ChargingFleet) -> None:
    """The rule gives every car all that full power brings in its stay, as early as possible, and takes nothing back."""
    horizon = day_horizon(SLOTS)
    series = fleet.rule(horizon, np.zeros(SLOTS))
    assert not series["discharge_kw"].any()
    for index, (car, left) in enumerate(
        zip(
            fleet.sessions,
            sorted(fleet.departures(series, 1.0), key=lambda one: fleet.sessions.index(one.session)),
            strict=True,
        )
    ):
        taken, _ = fleet.apart(series, index)
        hours = sum(car.arrival_h <= t and t + 1 <= car.departure_h for t in range(SLOTS))
        assert left.gained_kwh == pytest.approx(min(car.energy_kwh, 0.9 * car.power_kw * hours))
        busy = np.flatnonzero(taken > 1e-9)
        assert len(busy) == 0 or (np.diff(busy) == 1).all()
        assert taken[busy[:-1]] == pytest.approx(car.power_kw)


def test_the_rest_of_the_day_begins_where_it_was_seen() -> None:
    """After two of five hours, 2.7 of 6 kWh gained: three hours and 3.3 kWh are left; nothing seen changes nothing."""
    fleet = ChargingFleet("cars", (Session(**GIVEN),), 5.0, 0.9)
    rest = fleet.begun({"hours": 3.0, "gained_kwh.g0": 2.7})
    group = rest.groups[0]
    assert (group.arrival_h, group.departure_h, group.gained_kwh, rest.gone_h) == (-2.0, 3.0, 2.7, 3.0)
    series = rest.rule(day_horizon(5), np.zeros(5))
    assert series["charge_kw"].sum() == pytest.approx(3.3 / 0.9)
    assert rest.names == fleet.names
    assert fleet.begun({}) is fleet
    gone = fleet.begun({"hours": 6.0, "gained_kwh.g0": 2.7})
    assert gone.departures(gone.rule(day_horizon(2), np.zeros(2)), 1.0) == ()
    assert not gone.rule(day_horizon(2), np.zeros(2))["missing_kwh"].any()
