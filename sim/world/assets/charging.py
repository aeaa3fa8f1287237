"""Charging points in the world: every car by itself, with its own arrival, level and departure.

The plan says what groups take; each car takes its share by power, as long as it is there and its battery allows it. Nothing here
knows groups but to read the plan.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from grid.assets.charging import ChargingFleet
from grid.assets.site_asset import Bill
from grid.horizon import FloatArray
from scheduler.asset_runs import AssetRun
from sim.world.assets.follower import AssetWorld, Note

TINY_KWH = 1e-9
"""A battery within this of a bound is at it."""

TINY_S = 1e-6
"""A battery that reaches a bound less than this before the draw changes anyway reaches it then."""

TOLD_KWH = 1e-4
"""A car that lacks more than this at departure is named."""

ROUNDING_KWH = 1e-7
"""Less than a plan wants by no more than this in one piece is rounding."""


class ChargingWorld(AssetWorld):
    """All cars of a fleet.

    Attributes:
        gained_kwh: in each battery since arrival, ``[N]``; missing_kwh: what each lacked at departure (NaN before it).
    """

    why_short = "a car was not there, or its battery full or at its least level"

    def __init__(self, fleet: ChargingFleet, note: Note) -> None:
        super().__init__(fleet.name, note)
        self.fleet = fleet
        cars, count = fleet.sessions, len(fleet.sessions)
        self._group, self._share, self.gained_kwh = np.zeros(count, dtype=np.int64), np.zeros(count), np.zeros(count)
        for g, group in enumerate(fleet.groups):
            members = list(group.members)
            self._group[members] = g
            self._share[members] = [cars[index].power_kw / group.power_kw for index in members]
        gained = np.array([group.gained_kwh for group in fleet.groups])
        self.gained_kwh = self._share * gained[self._group]
        self._arrival_s = np.array([(car.arrival_h - fleet.gone_h) * 3600.0 for car in cars])
        self._departure_s = np.array([(car.departure_h - fleet.gone_h) * 3600.0 for car in cars])
        gives = np.array([fleet.discharge and car.gives for car in cars])
        wanted = np.array([car.energy_kwh for car in cars])
        self._energy_kwh = wanted
        self._top_kwh = np.maximum(np.where(gives, [car.most_kwh for car in cars], wanted), self.gained_kwh)
        self._least_kwh = np.array([car.least_kwh for car in cars])
        self._power_kw = np.array([car.power_kw for car in cars])
        self._discharge_kw = np.where(gives, [car.discharge_kw for car in cars], 0.0)
        self.missing_kwh = np.where(self._departure_s <= TINY_S, 0.0, np.nan)
        self._wanted: list[tuple[list[float], FloatArray, FloatArray]] = []
        self._now_s = 0.0

    def follow(self, run: AssetRun | None, edges_s: list[float]) -> None:
        """Do what a plan wants of every group from its first slot on."""
        super().follow(run, edges_s)
        nothing = np.zeros(len(edges_s) - 1)
        series = {} if run is None else run.series
        taken, given = (
            np.stack([series.get(f"{name}.{group.name}", nothing) for group in self.fleet.groups])
            for name in ("charge_kw", "discharge_kw")
        )
        self._wanted = [*self._wanted, (edges_s, taken, given)]

    def draw_kw(self, moment_s: float, it_kw: float) -> float:
        """What all cars take, less what they give back."""
        self.it_kw = it_kw
        charge, discharge = self._powers(moment_s)
        return float((charge - discharge).sum())

    def hold_s(self, now_s: float, until_s: float) -> float:
        """Until a car comes or goes, or a battery is full or at its least level."""
        for moments in (self._arrival_s, self._departure_s):
            coming = moments[(moments > now_s + TINY_S) & (moments < until_s - TINY_S)]
            until_s = float(coming.min(initial=until_s))
        charge, discharge = self._powers((now_s + until_s) / 2)
        rate = self._rate_kw(charge, discharge)
        room = np.where(rate > 0, self._top_kwh - self.gained_kwh, self.gained_kwh - self._least_kwh)
        moving = rate != 0
        reach_s = now_s + float((room[moving] / np.abs(rate[moving])).min(initial=np.inf)) * 3600.0
        return until_s if reach_s > until_s - TINY_S else reach_s

    def advance(self, start_s: float, end_s: float) -> None:
        """Charge and discharge, and let cars go."""
        middle, hours = (start_s + end_s) / 2, (end_s - start_s) / 3600.0
        charge, discharge = self._powers(middle)
        taken, given = self._asked(middle)
        short = float((taken - charge).sum() + (given - discharge).sum()) * hours
        self.miss(start_s, short if short > ROUNDING_KWH else 0.0)
        gained = self.gained_kwh + self._rate_kw(charge, discharge) * hours
        low = np.minimum(self._least_kwh, self.gained_kwh)
        self.gained_kwh = np.clip(gained, low, self._top_kwh)
        self.bill = self.bill.plus(Bill(float(discharge.sum()) * hours * self.fleet.wear_eur_per_kwh))
        self._now_s = end_s
        self._go(end_s)

    def state(self) -> dict[str, float]:
        """Hours of the scenario that are gone, and the gains of each group."""
        gained = np.bincount(self._group, weights=self.gained_kwh, minlength=len(self.fleet.groups))
        groups = {f"gained_kwh.{group.name}": float(gained[g]) for g, group in enumerate(self.fleet.groups)}
        return {"hours": self.fleet.gone_h + self._now_s / 3600.0, **groups}

    def departed(self) -> list[tuple[str, float, float]]:
        """Name, energy gained and energy missing of every car that has left, kWh."""
        gone = np.flatnonzero(~np.isnan(self.missing_kwh) & (self._departure_s > TINY_S)).tolist()
        return [(self.fleet.sessions[i].name, float(self.gained_kwh[i]), float(self.missing_kwh[i])) for i in gone]

    def _go(self, now_s: float) -> None:
        """Bill and name what cars lack that leave now."""
        leaving = np.isnan(self.missing_kwh) & (self._departure_s <= now_s + TINY_S)
        if not leaving.any():
            return
        missing = np.maximum(0.0, self._energy_kwh - self.gained_kwh)
        self.missing_kwh = np.where(leaving, missing, self.missing_kwh)
        self.bill = self.bill.plus(Bill(float(missing[leaving].sum()) * self.fleet.missing_eur_per_kwh))
        for index in np.flatnonzero(leaving & (missing > TOLD_KWH)).tolist():
            name = self.fleet.sessions[index].name
            self.note(now_s, f"{name} leaves {self.name} with {missing[index]:.2f} kWh less than it was to gain")

    def _asked(self, moment_s: float) -> tuple[FloatArray, FloatArray]:
        """What the plan in force wants of each car, its share of its group."""
        for edges, taken, given in reversed(self._wanted if self.mains else []):
            if moment_s >= edges[0]:
                slot = bisect_right(edges, moment_s) - 1
                if slot < taken.shape[1]:
                    return self._share * taken[self._group, slot], self._share * given[self._group, slot]
                break
        nothing = np.zeros(len(self._share))
        return nothing, nothing

    def _powers(self, moment_s: float) -> tuple[FloatArray, FloatArray]:
        """What each car takes and gives back."""
        there = (self._arrival_s <= moment_s) & (moment_s < self._departure_s)
        taken, given = self._asked(moment_s)
        may_take = there & (self.gained_kwh < self._top_kwh - TINY_KWH)
        may_give = there & (self.gained_kwh > self._least_kwh + TINY_KWH)
        charge = np.where(may_take, np.minimum(taken, self._power_kw), 0.0)
        discharge = np.where(may_give, np.minimum(given, self._discharge_kw), 0.0)
        return charge, discharge

    def _rate_kw(self, charge: FloatArray, discharge: FloatArray) -> FloatArray:
        """Rate at which each battery gains."""
        rate: FloatArray = charge * self.fleet.charge_efficiency - discharge / self.fleet.discharge_efficiency
        return rate
