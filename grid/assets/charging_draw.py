"""Charging sessions of a town drawn from a few assumptions: when cars come and go, what they need, which of them can give back.

Cars come in *waves* (evening, morning), each with normal distributions of arrival and departure on the local clock. Times and
hours at full power lie on a grid of minutes: so many different sessions are few different groups, which is what a plan of
10,000 points costs. A point serves one car at a time; a car that finds none free is turned away, and counted.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from grid.assets.charging_sessions import Session
from grid.horizon import FloatArray, Horizon


@dataclass(frozen=True, slots=True)
class Wave:
    """Cars that come at about the same time of day.

    Attributes:
        share: relative share of all sessions, above 0.
        arrival_h, departure_h: means, hours after local midnight of the first day; departure may be beyond 24.
        arrival_sd_h, departure_sd_h: standard deviations.
    """

    share: float
    arrival_h: float
    departure_h: float
    arrival_sd_h: float
    departure_sd_h: float


@dataclass(frozen=True, slots=True)
class Plug:
    """Points of one power; ``share`` is relative."""

    share: float
    power_kw: float


@dataclass(frozen=True, slots=True)
class Bidirectional:
    """What can give back.

    Attributes:
        points: bidirectional points; cars: cars that can; each such car charges at most once.
        power_kw: given back at most; capacity_kwh: of the battery; minimum_share: of it, never undercut by discharging.
        consent_share: probability that an owner allows it.
    """

    points: int
    cars: int
    power_kw: float
    capacity_kwh: float
    minimum_share: float
    consent_share: float


@dataclass(frozen=True, slots=True)
class Town:
    """Assumptions about the sessions of a town.

    Attributes:
        points: charging points; sessions: cars that come in the horizon.
        waves, plugs: as above; grid_minutes: grid of times and of hours at full power.
        mean_kwh, sd_kwh: energy of a session (gamma distribution), in the battery.
        efficiency: point to battery; bidirectional: or None.
    """

    points: int
    sessions: int
    waves: tuple[Wave, ...]
    plugs: tuple[Plug, ...]
    mean_kwh: float
    sd_kwh: float
    efficiency: float
    grid_minutes: int = 30
    bidirectional: Bidirectional | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """Sessions that found a point, in order of arrival, and how many cars found none."""

    sessions: tuple[Session, ...]
    turned_away: int


def draw_sessions(town: Town, midnight_h: float, horizon: Horizon, rng: np.random.Generator, prefix: str = "car") -> Drawn:
    """Sessions of a town within the horizon.

    Args:
        town: assumptions.
        midnight_h: local midnight of the first day, hours after the horizon's start (not positive).
        horizon: period; a stay is cut at its ends, and one of less than a step of the grid is made that long.
        rng: generator of this stream (``grid.chance.stream``).
        prefix: sessions are called ``<prefix>-1`` and so on.
    """
    step, end = town.grid_minutes / 60.0, horizon.slots * horizon.step_h
    last = np.floor(end / step + 1e-9)
    weights = np.array([wave.share for wave in town.waves])
    which = rng.choice(len(town.waves), size=town.sessions, p=weights / weights.sum())

    def moment(mean: Callable[[Wave], float], deviation: Callable[[Wave], float]) -> FloatArray:
        """Steps of the grid after the horizon's start."""
        middle, spread = (np.array([of(wave) for wave in town.waves])[which] for of in (mean, deviation))
        drawn: FloatArray = np.round((rng.normal(middle, spread) + midnight_h) / step)
        return drawn

    arrival = np.clip(moment(lambda wave: wave.arrival_h, lambda wave: wave.arrival_sd_h), 0, last - 1)
    departure = np.clip(moment(lambda wave: wave.departure_h, lambda wave: wave.departure_sd_h), arrival + 1, last)
    shares = np.array([plug.share for plug in town.plugs])
    power = np.array([plug.power_kw for plug in town.plugs])[
        rng.choice(len(town.plugs), size=town.sessions, p=shares / shares.sum())
    ]
    shape = (town.mean_kwh / town.sd_kwh) ** 2
    wanted = rng.gamma(shape, town.mean_kwh / shape, size=town.sessions)
    hours = np.clip(np.ceil(wanted / (power * town.efficiency) / step), 1, departure - arrival) * step
    order = np.lexsort((np.arange(town.sessions), arrival))
    gives = _giving(town, order, arrival, departure, rng)
    level = rng.uniform(size=town.sessions)
    sessions: list[Session] = []
    for index in _served(town.points, order, arrival, departure):
        name = f"{prefix}-{len(sessions) + 1}"
        energy = float(hours[index] * power[index] * town.efficiency)
        stay = float(arrival[index] * step), float(departure[index] * step)
        both = town.bidirectional
        if both is not None and index in gives:
            room = max(0.0, both.capacity_kwh - energy)
            has = float(np.round(level[index] * 10) / 10 * room)
            least = min(both.minimum_share * both.capacity_kwh, has + energy)
            car = Session(name, *stay, energy, float(power[index]), has, max(both.capacity_kwh, energy), least, both.power_kw)
            sessions.append(replace(car, consent=gives[index]))
        else:
            sessions.append(Session(name, *stay, energy, float(power[index])))
    return Drawn(tuple(sessions), town.sessions - len(sessions))


def _served(points: int, order: npt.NDArray[np.int64], arrival: FloatArray, departure: FloatArray) -> list[int]:
    """Cars that find a free point, first come first served."""
    taken: list[float] = []
    served = []
    for index in order.tolist():
        while taken and taken[0] <= arrival[index]:
            heapq.heappop(taken)
        if len(taken) < points:
            heapq.heappush(taken, float(departure[index]))
            served.append(index)
    return served


def _giving(
    town: Town,
    order: npt.NDArray[np.int64],
    arrival: FloatArray,
    departure: FloatArray,
    rng: np.random.Generator,
) -> dict[int, bool]:
    """Sessions at a bidirectional point of a car that can give back, with its owner's consent."""
    both = town.bidirectional
    if both is None:
        return {}
    served = _served(town.points, order, arrival, departure)
    capable = sorted(rng.permutation(len(served))[: both.cars].tolist())
    cars = np.array([served[place] for place in capable], dtype=np.int64)
    plugged = _served(both.points, cars, arrival, departure)
    consent = rng.uniform(size=len(plugged)) < both.consent_share
    return dict(zip(plugged, consent.tolist(), strict=True))
