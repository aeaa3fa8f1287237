"""A fleet of cars at charging points: when each is charged may be chosen, and, where asked for, what it gives back (V2G).

Within a slot powers are means. A car is charged only in slots in which it is there from beginning to end; every stay ends within
the horizon of the scenario (the document's reader sees to that). ``d gained / dt = charge * charge_efficiency - discharge /
discharge_efficiency``. What a car lacks at departure is paid at the price of last resort. Sessions are planned in groups
(``charging_sessions``: exact) and taken apart in proportion to their power.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from grid.assets.charging_sessions import Group, Session, groups_of
from grid.assets.site_asset import Bill, Trajectory
from grid.horizon import FloatArray, Horizon

DUST_KW = 1e-9
"""Power below this is a solver's rounding."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A session as a plan leaves it: what it gained, and what it lacks, kWh in its battery."""

    session: Session
    gained_kwh: float
    missing_kwh: float


@dataclass(frozen=True, slots=True)
class ChargingFleet:
    """Sessions of all charging points of a site.

    Attributes:
        name: unique in its site.
        sessions: every stay; hours count from the start of the scenario.
        missing_eur_per_kwh: price of a kWh that a car lacks at departure.
        charge_efficiency, discharge_efficiency: point to battery and back.
        discharge: True allows what sessions can give back; False: cars only ever take.
        wear_eur_per_kwh: price of wear per kWh given back at the point.
        peak_h: peak hours of the grid as pairs of hours after the start of the scenario, for the off-peak share.
        groups: the sessions put together (made of them when empty); hours count from ``gone_h``.
        gone_h: hours of the scenario that are gone.
    """

    kind: ClassVar[str] = "charging"

    name: str
    sessions: tuple[Session, ...]
    missing_eur_per_kwh: float
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    discharge: bool = False
    wear_eur_per_kwh: float = 0.0
    peak_h: tuple[tuple[float, float], ...] = ()
    groups: tuple[Group, ...] = ()
    gone_h: float = 0.0

    def __post_init__(self) -> None:
        if not self.sessions:
            raise ValueError("charging: at least one session")
        if not (0 < self.charge_efficiency <= 1 and 0 < self.discharge_efficiency <= 1):
            raise ValueError("charging: efficiencies are in (0, 1]")
        if min(self.missing_eur_per_kwh, self.wear_eur_per_kwh) < 0:
            raise ValueError("charging: prices are not negative")
        if not self.groups:
            object.__setattr__(self, "groups", groups_of(self.sessions))

    @property
    def names(self) -> tuple[str, ...]:
        """Power of every group that it takes and may give back, their sums, and what is missing at departures of the slot."""
        taken = [f"charge_kw.{group.name}" for group in self.groups]
        given = [f"discharge_kw.{group.name}" for group in self.groups if group.discharge_kw > 0]
        return (*taken, *given, "charge_kw", "discharge_kw", "missing_kwh")

    def may_give(self, group: Group) -> bool:
        """True when the cars of a group may give back."""
        return self.discharge and group.discharge_kw > 0

    def top_kwh(self, group: Group) -> float:
        """Largest gain of a group: room in the batteries where it may give back, else what was asked for."""
        return max(group.most_kwh if self.may_give(group) else group.energy_kwh, group.gained_kwh)

    def floor_kwh(self, group: Group, horizon: Horizon) -> list[float]:
        """Least gain at the end of each slot of a group's window.

        That of the least level; until it is reached, what full power gives.
        """
        if group.least_kwh <= group.gained_kwh:
            return [group.least_kwh if self.may_give(group) else group.gained_kwh for _ in group.slots(horizon)]
        gain = group.power_kw * self.charge_efficiency * horizon.step_h
        return [min(group.least_kwh, group.gained_kwh + gain * (k + 1)) for k in range(len(group.slots(horizon)))]

    def begun(self, state: Mapping[str, float]) -> Self:
        """With the hours gone and the gains of each group that were observed."""
        if not state:
            return self
        gone = state["hours"] - self.gone_h
        groups = tuple(
            replace(
                group,
                arrival_h=group.arrival_h - gone,
                departure_h=group.departure_h - gone,
                gained_kwh=state[f"gained_kwh.{group.name}"],
            )
            for group in self.groups
        )
        return replace(self, groups=groups, gone_h=state["hours"])

    def rule(self, horizon: Horizon, it_kw: FloatArray) -> Trajectory:
        """Charging at once: full power from arrival until the car has its energy."""
        decisions = {}
        gain_kwh = self.charge_efficiency * horizon.step_h
        for group in self.groups:
            power, left = np.zeros(horizon.slots), group.energy_kwh - group.gained_kwh
            for t in group.slots(horizon):
                power[t] = min(group.power_kw, max(0.0, left) / gain_kwh)
                left -= power[t] * gain_kwh
            decisions[f"charge_kw.{group.name}"] = power
        return self.trajectory(decisions, horizon, it_kw)

    def trajectory(self, decisions: Mapping[str, FloatArray], horizon: Horizon, it_kw: FloatArray) -> Trajectory:  # noqa: ARG002 - the seam's
        """Powers cut to window, points and batteries; of a car that would do both, what is left at the same gain."""
        charge, discharge = self._powers(decisions, horizon)
        gain, loss = self.charge_efficiency * horizon.step_h, horizon.step_h / self.discharge_efficiency
        gained = np.array([group.gained_kwh for group in self.groups])
        top = np.array([self.top_kwh(group) for group in self.groups])
        least = np.array([group.least_kwh for group in self.groups])
        for t in range(horizon.slots):
            both = np.minimum(charge[:, t] * gain, discharge[:, t] * loss)
            charge[:, t] = np.minimum(charge[:, t] - both / gain, np.maximum(0.0, top - gained) / gain)
            discharge[:, t] = np.minimum(discharge[:, t] - both / loss, np.maximum(0.0, gained - least) / loss)
            gained = gained + charge[:, t] * gain - discharge[:, t] * loss
        missing = np.zeros(horizon.slots)
        for group, has in zip(self.groups, gained.tolist(), strict=True):
            if group.due:
                missing[group.last_slot(horizon)] += max(0.0, group.energy_kwh - has)
        taken = {f"charge_kw.{group.name}": charge[g] for g, group in enumerate(self.groups)}
        given = {f"discharge_kw.{group.name}": discharge[g] for g, group in enumerate(self.groups) if group.discharge_kw > 0}
        sums = {"charge_kw": charge.sum(axis=0), "discharge_kw": discharge.sum(axis=0), "missing_kwh": missing}
        return {**taken, **given, **sums}

    def draw_kw(self, series: Mapping[str, FloatArray]) -> FloatArray:
        """Net draw: what all take less what they give back."""
        net: FloatArray = series["charge_kw"] - series["discharge_kw"]
        return net

    def bill(self, series: Mapping[str, FloatArray], step_h: float) -> Bill:
        """Missing energy at its price, and wear of what is given back."""
        given_kwh = float(series["discharge_kw"].sum()) * step_h
        return Bill(float(series["missing_kwh"].sum()) * self.missing_eur_per_kwh + given_kwh * self.wear_eur_per_kwh)

    def apart(self, series: Mapping[str, FloatArray], index: int) -> tuple[FloatArray, FloatArray]:
        """What session ``index`` takes and gives back, ``[T]`` kW each: its share of its group."""
        group = next(group for group in self.groups if index in group.members)
        share = self.sessions[index].power_kw / group.power_kw
        given = series.get(f"discharge_kw.{group.name}", np.zeros_like(series["charge_kw"]))
        return share * series[f"charge_kw.{group.name}"], share * given

    def departures(self, series: Mapping[str, FloatArray], step_h: float) -> tuple[Departure, ...]:
        """Every session that has not left yet as the trajectory leaves it, in order of the groups."""
        found = []
        for group in self.groups:
            if not group.due:
                continue
            gained = group.gained_kwh + float(series[f"charge_kw.{group.name}"].sum()) * self.charge_efficiency * step_h
            if group.discharge_kw > 0:
                gained -= float(series[f"discharge_kw.{group.name}"].sum()) * step_h / self.discharge_efficiency
            missing = max(0.0, group.energy_kwh - gained)
            for index in group.members:
                share = self.sessions[index].power_kw / group.power_kw
                found.append(Departure(self.sessions[index], share * gained, share * missing))
        return tuple(found)

    def _powers(self, decisions: Mapping[str, FloatArray], horizon: Horizon) -> tuple[FloatArray, FloatArray]:
        """Wanted powers of every group within its window and its points, ``[G, T]`` each."""
        there = np.zeros((len(self.groups), horizon.slots))
        for g, group in enumerate(self.groups):
            window = group.slots(horizon)
            there[g, window.start : window.stop] = 1.0
        nothing = np.zeros(horizon.slots)
        inward = np.array([[group.power_kw] for group in self.groups])
        outward = np.array([[group.discharge_kw * self.discharge] for group in self.groups])
        taken = np.stack([decisions.get(f"charge_kw.{group.name}", nothing) for group in self.groups])
        given = np.stack([decisions.get(f"discharge_kw.{group.name}", nothing) for group in self.groups])
        limited = (np.clip(taken, 0.0, inward) * there, np.clip(given, 0.0, outward) * there)
        charge, discharge = (np.where(power < DUST_KW, 0.0, power) for power in limited)
        return charge, discharge
