"""Checks of a plan's charging points, car by car: every car is there when it takes or gives, within its point and its battery.

Stated a second time, from the sessions of the scenario alone: groups are only read to know which series of the plan is a car's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from grid.assets.charging import ChargingFleet
from grid.horizon import FloatArray
from scheduler.asset_runs import AssetRun
from scheduler.outcome import ViolationKind

LIMIT_KW = 1e-5
"""How far a power may exceed its limit in any slot."""

CAR_KWH = 1e-6
"""How far the energy of a car may lie beyond its bounds, and the energy that is missing from what follows from the powers."""

Over = tuple[ViolationKind, str, FloatArray, float, FloatArray, FloatArray | float, str, str]
"""Rule, name of the limit, excess by slot, tolerance, value, limit, unit, advice."""


@dataclass(frozen=True, slots=True)
class _Cars:
    """Every car of a fleet with what the plan has it do.

    Attributes:
        taken, given: power of each car, ``[N, T]`` kW; gained: in its battery at the end of each slot, ``[N, T]`` kWh.
        there: 1 in slots in which it is there from beginning to end, ``[N, T]``; begun: gained before the plan, ``[N]``.
    """

    taken: FloatArray
    given: FloatArray
    gained: FloatArray
    there: FloatArray
    begun: FloatArray


def _cars(fleet: ChargingFleet, run: AssetRun, step_h: float) -> _Cars:
    slots, cars = len(run.draw_kw), fleet.sessions
    taken, given = np.zeros((len(cars), slots)), np.zeros((len(cars), slots))
    begun = np.zeros(len(cars))
    for group in fleet.groups:
        members = list(group.members)
        power = np.array([cars[index].power_kw for index in members])
        share = (power / power.sum())[:, None]
        taken[members] = share * run.series[f"charge_kw.{group.name}"]
        if group.discharge_kw > 0:
            given[members] = share * run.series[f"discharge_kw.{group.name}"]
        begun[members] = share[:, 0] * group.gained_kwh
    starts = np.arange(slots) * step_h + fleet.gone_h
    arrival, departure = (np.array([[getattr(car, name)] for car in cars]) for name in ("arrival_h", "departure_h"))
    there = (starts >= arrival - 1e-6) & (starts + step_h <= departure + 1e-6)
    change = (taken * fleet.charge_efficiency - given / fleet.discharge_efficiency) * step_h
    return _Cars(taken, given, begun[:, None] + np.cumsum(change, axis=1), there.astype(np.float64), begun)


def _worst(over: FloatArray) -> FloatArray:
    """The largest excess of any car in each slot."""
    most: FloatArray = over.max(axis=0)
    return most


def _of(values: FloatArray, over: FloatArray) -> FloatArray:
    """The value of the worst car in each slot."""
    found: FloatArray = np.take_along_axis(values, over.argmax(axis=0)[None, :], axis=0)[0]
    return found


def charging_rules(fleet: ChargingFleet, run: AssetRun, step_h: float) -> Iterator[Over]:
    """Every limit of a fleet with its excess by slot."""
    cars, kind = _cars(fleet, run, step_h), ViolationKind.ASSET_POWER
    net = cars.taken.sum(axis=0) - cars.given.sum(axis=0)
    for name, sums in (("charge_kw", cars.taken), ("discharge_kw", cars.given)):
        total, series = sums.sum(axis=0), run.series[name]
        yield kind, f"sum of {name}", np.abs(series - total), LIMIT_KW, series, total, "kW", "It is the sum of the cars'."
    yield kind, "draw", np.abs(run.draw_kw - net), LIMIT_KW, run.draw_kw, net, "kW", "It is what cars take less what they give."
    gives = np.array([fleet.discharge and car.discharge_kw > 0 and car.consent for car in fleet.sessions])
    limits = (
        ("charging power", cars.taken, np.array([[car.power_kw] for car in fleet.sessions]), "Charge the car with less power."),
        (
            "discharging power",
            cars.given,
            np.array([[car.discharge_kw if may else 0.0] for car, may in zip(fleet.sessions, gives, strict=True)]),
            "Take less back: switch, point, car and owner must all allow it.",
        ),
    )
    for name, power, rated, advice in limits:
        for words, most in ((name, rated + 0.0 * cars.there), (f"{name} of absent cars", rated * cars.there)):
            over = np.maximum(power - most, -power)
            yield kind, words, _worst(over), LIMIT_KW, _of(power, over), _of(most, over), "kW", advice
    yield from _energy(fleet, run, step_h, cars, gives)


def _energy(fleet: ChargingFleet, run: AssetRun, step_h: float, cars: _Cars, gives: FloatArray) -> Iterator[Over]:
    """Batteries between their bounds, and what is missing at departure."""
    kind = ViolationKind.ASSET_STORE
    wanted = np.array([[car.energy_kwh] for car in fleet.sessions])
    room = np.array([[car.full_kwh - car.level_kwh] for car in fleet.sessions])
    most: FloatArray = np.maximum(np.where(gives[:, None], room, wanted), cars.begun[:, None]) + 0.0 * cars.there
    over = cars.gained - most
    yield kind, "full car", _worst(over), CAR_KWH, _of(cars.gained, over), _of(most, over), "kWh", "Charge the car less."
    least = np.array([[car.minimum_kwh - car.level_kwh] for car in fleet.sessions])
    full = np.array([[car.power_kw] for car in fleet.sessions]) * fleet.charge_efficiency * step_h
    reach = cars.begun[:, None] + full * np.cumsum(cars.there, axis=1)
    floor: FloatArray = np.where(cars.there > 0, np.minimum(least, np.maximum(reach, cars.begun[:, None])), -np.inf)
    over = np.where(cars.there > 0, floor - cars.gained, -1.0)
    advice = "Charge a car below its least level first, and never discharge it so far."
    yield kind, "least level", _worst(over), CAR_KWH, _of(cars.gained, over), _of(floor, over), "kWh", advice
    due = np.array([car.departure_h > fleet.gone_h + 1e-6 for car in fleet.sessions])
    owed = float(np.maximum(0.0, wanted[:, 0] - cars.gained[:, -1])[due].sum())
    told = run.series["missing_kwh"]
    off, tolerance = np.array([abs(owed - float(told.sum()))]), CAR_KWH * float(np.sqrt(len(fleet.sessions)))
    advice = "What cars lack at departure does not follow from what they took."
    yield kind, "missing energy", off, tolerance, told.sum(keepdims=True), owed, "kWh", advice
    yield kind, "negative missing energy", -told, CAR_KWH, told, 0.0, "kWh", advice
