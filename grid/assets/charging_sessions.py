"""Charging sessions, put together exactly into groups and taken apart again.

A *session* is a stay of a car at a charging point: from its arrival to its departure it may take up to ``power_kw`` and is to
gain ``energy_kwh`` in its battery. Energy is counted as what the battery *gained* since arrival, so 0 at arrival.

**Aggregation is exact.** Let ``X`` be what a session of 1 kW may do: all powers ``x(t)`` in ``[0, 1]`` within the window whose
sum of gains is the energy per kW, less what is missing; with discharge also the bounds on the gain per kW in every slot. Sessions
with the same window and the same ratios to their power then may do ``P_i X``. ``X`` is convex, so ``P_1 X + P_2 X = (P_1 + P_2)
X``: whatever they do together is something that one session of ``P = sum P_i`` may do, and each ``p`` of that one comes apart as
``p_i = P_i / P * p``, which lies in ``P_i X``. Costs are prices per kWh that are the same for all, so both cost the same. By
induction the sessions stay at the same gain per kW, so this holds in the middle of a window, too. (Where energy has a negative
price, charging and discharging at once must be forbidden, ``X`` is then not convex, and all sessions of a group charge or all
discharge: a restriction, not an equivalence.)
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from grid.horizon import Horizon

EDGE = 1e-9
"""Share of a slot by which an arrival may lie past its edge: rounding of hours."""

RATIO_DIGITS = 9
"""Hours at full power are equal when they agree to so many decimals: a nanohour, 3.6 microseconds of charging."""


@dataclass(frozen=True, slots=True)
class Session:
    """A stay of a car at a charging point.

    Attributes:
        name: unique in its fleet.
        arrival_h, departure_h: hours after the start of the horizon.
        energy_kwh: to be gained by departure, in the battery of the car.
        power_kw: largest power that it takes at the point.
        level_kwh: in the battery at arrival; capacity_kwh: of the battery, ``level_kwh + energy_kwh`` when None.
        minimum_kwh: level below which it is never discharged; a car that arrives below it is charged up to there first, at full
            power.
        discharge_kw: largest power that point and car can give back, 0 when one of them cannot; consent: its owner allows it.
    """

    name: str
    arrival_h: float
    departure_h: float
    energy_kwh: float
    power_kw: float
    level_kwh: float = 0.0
    capacity_kwh: float | None = None
    minimum_kwh: float = 0.0
    discharge_kw: float = 0.0
    consent: bool = False

    def __post_init__(self) -> None:
        if self.power_kw <= 0 or not self.arrival_h < self.departure_h:
            raise ValueError(f"charging session {self.name}: power is above 0 kW, departure after arrival")
        if min(self.energy_kwh, self.level_kwh, self.minimum_kwh, self.discharge_kw) < 0:
            raise ValueError(f"charging session {self.name}: energies and powers are not negative")
        if self.full_kwh < self.level_kwh + self.energy_kwh - 1e-9:
            raise ValueError(f"charging session {self.name}: the battery holds what it had and gains")
        if self.minimum_kwh > self.level_kwh + self.energy_kwh + 1e-9:
            raise ValueError(f"charging session {self.name}: the least level is at most that of departure")

    @property
    def full_kwh(self) -> float:
        """Capacity of the battery, as far as it is known to matter."""
        return self.level_kwh + self.energy_kwh if self.capacity_kwh is None else self.capacity_kwh

    @property
    def gives(self) -> bool:
        """True when point, car and owner all allow it to give back."""
        return self.discharge_kw > 0 and self.consent

    @property
    def most_kwh(self) -> float:
        """Largest gain: room in the battery where it may give back, else what was asked for."""
        return self.full_kwh - self.level_kwh if self.gives else self.energy_kwh

    @property
    def least_kwh(self) -> float:
        """Gain at the least level: negative where it may be discharged so far, positive where it must be charged first."""
        least = self.minimum_kwh - self.level_kwh
        return least if self.gives else max(0.0, least)


@dataclass(frozen=True, slots=True)
class Group:
    """Sessions with the same window and the same ratios, as one; hours count from the start of the fleet's horizon.

    Attributes:
        name: unique in its fleet; members: indices of its sessions.
        arrival_h, departure_h: the common window.
        power_kw, energy_kwh, most_kwh, least_kwh: sums of the sessions'; discharge_kw: of those that may give back.
        gained_kwh: gained so far.
    """

    name: str
    members: tuple[int, ...]
    arrival_h: float
    departure_h: float
    power_kw: float
    energy_kwh: float
    most_kwh: float
    least_kwh: float
    discharge_kw: float
    gained_kwh: float = 0.0

    @property
    def due(self) -> bool:
        """True while its cars are still there, or still to come."""
        return self.departure_h > EDGE

    def slots(self, horizon: Horizon) -> range:
        """Slots in which its cars are there from beginning to end."""
        first = max(0, math.ceil(self.arrival_h / horizon.step_h - EDGE))
        last = min(horizon.slots, math.floor(self.departure_h / horizon.step_h + EDGE))
        return range(first, max(first, last))

    def last_slot(self, horizon: Horizon) -> int:
        """Slot in which what is missing counts: the last in which they are there, or that of their departure."""
        window = self.slots(horizon)
        return window[-1] if window else min(horizon.slots - 1, max(0, math.ceil(self.departure_h / horizon.step_h) - 1))


def groups_of(sessions: Sequence[Session]) -> tuple[Group, ...]:
    """The sessions put together, in order of arrival, departure and ratio; every session is in exactly one group."""
    alike: dict[tuple[float, ...], list[int]] = defaultdict(list)
    for index, one in enumerate(sessions):
        given = one.discharge_kw if one.gives else 0.0
        ratios = (round(value / one.power_kw, RATIO_DIGITS) for value in (one.energy_kwh, one.most_kwh, one.least_kwh, given))
        alike[one.arrival_h, one.departure_h, *ratios].append(index)
    groups = []
    for number, (key, members) in enumerate(sorted(alike.items())):
        those = [sessions[index] for index in members]
        groups.append(
            Group(
                name=f"g{number}",
                members=tuple(members),
                arrival_h=key[0],
                departure_h=key[1],
                power_kw=math.fsum(one.power_kw for one in those),
                energy_kwh=math.fsum(one.energy_kwh for one in those),
                most_kwh=math.fsum(one.most_kwh for one in those),
                least_kwh=math.fsum(one.least_kwh for one in those),
                discharge_kw=math.fsum(one.discharge_kw for one in those if one.gives),
            )
        )
    return tuple(groups)
