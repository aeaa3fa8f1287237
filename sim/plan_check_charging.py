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


@dataclass(frozen=True, slots=True)
class _Limit:
    """A limit of every car: rule, its name, tolerance, unit, and what to do about the car that ``{}`` names."""

    kind: ViolationKind
    words: str
    tolerance: float
    unit: str
    advice: str

    def over(self, fleet: ChargingFleet, values: FloatArray, limits: FloatArray, excess: FloatArray) -> Over:
        """The worst car in each slot, and the worst of all by name; arrays are ``[N, T]``."""
        worst = excess.argmax(axis=0)[None, :]
        value, limit, over = (np.take_along_axis(array, worst, axis=0)[0] for array in (values, limits, excess))
        name = fleet.sessions[int(worst[0, over.argmax()])].name
        return self.kind, self.words, over, self.tolerance, value, limit, self.unit, self.advice.format(name)


def charging_rules(fleet: ChargingFleet, run: AssetRun, step_h: float) -> Iterator[Over]:
    """Every limit of a fleet with its excess by slot."""
    cars, kind = _cars(fleet, run, step_h), ViolationKind.ASSET_POWER
    net = cars.taken.sum(axis=0) - cars.given.sum(axis=0)
    for name, sums in (("charge_kw", cars.taken), ("discharge_kw", cars.given)):
        total, series = sums.sum(axis=0), run.series[name]
        yield kind, f"sum of {name}", np.abs(series - total), LIMIT_KW, series, total, "kW", "It is the sum of the cars'."
    yield kind, "draw", np.abs(run.draw_kw - net), LIMIT_KW, run.draw_kw, net, "kW", "It is what cars take less what they give."
    gives = np.array([[fleet.discharge and car.discharge_kw > 0 and car.consent] for car in fleet.sessions])
    rated = np.array([[car.power_kw] for car in fleet.sessions])
    back = np.where(gives, [[car.discharge_kw] for car in fleet.sessions], 0.0)
    for name, power, most, advice in (
        ("charging power", cars.taken, rated, "Charge {} with less power, and only while it is there."),
        ("discharging power", cars.given, back, "Take less from {}: switch, point, car and owner must all allow it."),
    ):
        for words, limit in ((name, most + 0.0 * cars.there), (f"{name} of absent cars", most * cars.there)):
            yield _Limit(kind, words, LIMIT_KW, "kW", advice).over(fleet, power, limit, np.maximum(power - limit, -power))
    yield from _energy(fleet, run, step_h, cars, gives)


def _energy(fleet: ChargingFleet, run: AssetRun, step_h: float, cars: _Cars, gives: FloatArray) -> Iterator[Over]:
    """Batteries between their bounds, and what is missing at departure."""
    kind = ViolationKind.ASSET_STORE
    wanted = np.array([[car.energy_kwh] for car in fleet.sessions])
    room = np.array([[car.full_kwh - car.level_kwh] for car in fleet.sessions])
    most: FloatArray = np.maximum(np.where(gives, room, wanted), cars.begun[:, None]) + 0.0 * cars.there
    yield _Limit(kind, "full car", CAR_KWH, "kWh", "Charge {} less.").over(fleet, cars.gained, most, cars.gained - most)
    least = np.array([[car.minimum_kwh - car.level_kwh] for car in fleet.sessions])
    full = np.array([[car.power_kw] for car in fleet.sessions]) * fleet.charge_efficiency * step_h
    reach = cars.begun[:, None] + full * np.cumsum(cars.there, axis=1)
    floor: FloatArray = np.minimum(least, np.maximum(reach, cars.begun[:, None]))
    low = _Limit(kind, "least level", CAR_KWH, "kWh", "Charge {} up to its least level first, and never discharge it so far.")
    yield low.over(fleet, cars.gained, floor, np.where(cars.there > 0, floor - cars.gained, -1.0))
    due = np.array([car.departure_h > fleet.gone_h + 1e-6 for car in fleet.sessions])
    owed = float(np.maximum(0.0, wanted[:, 0] - cars.gained[:, -1])[due].sum())
    told = run.series["missing_kwh"]
    off, tolerance = np.array([abs(owed - float(told.sum()))]), CAR_KWH * float(np.sqrt(len(fleet.sessions)))
    advice = "What cars lack at departure does not follow from what they took."
    yield kind, "missing energy", off, tolerance, told.sum(keepdims=True), owed, "kWh", advice
    yield kind, "negative missing energy", -told, CAR_KWH, told, 0.0, "kWh", advice
