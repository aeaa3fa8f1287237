"""Local energy management: what a site's battery does at an instant, from what the site can measure and the plan's slot.

Signs: battery power is charge - discharge at the terminal (charging positive); load and available sun and wind are positive.

``SELF_CONSUMPTION`` charges with surplus (available power above load) and discharges into deficit. It knows no price.

``FOLLOW_PLAN`` carries the plan out, with these corrections and no others:

1. *Charging*: planned charging takes the real surplus, and from the grid only what the plan itself meant to take from the
   grid in that slot, and nothing from the grid while the battery is ahead of its planned state of charge.
2. *Discharging*: planned discharging goes into the real deficit, and into the grid only what the plan itself meant to export.
3. *Unplanned surplus* is charged when it would be curtailed, and when it exceeds the planned export while the plan has
   import later that is dearer than today's export (after both efficiencies and the wear).
4. *Energy ahead of the plan* is given back into local deficit in the dearest of the remaining slots with planned import.
5. *Planned curtailment* is no surplus: the battery leaves it alone unless it is behind the plan. Where the plan curtails
   although it imports or discharges (a negative price), the site really leaves that sun and wind unused. Power above the
   forecast, and what more load than planned needs, is used all the same.
6. *Planned overshoot* of a demand-response event that the plan knew (exceeding it was worth its penalty) and planned export at
   a negative price (to meet an event) are carried out and go no further than planned.
Both obey a floor: no discharge below the state of charge from which the plan's later charging still restores what the plan
leaves at the end, so that a battery that fell behind its plan does not end empty (without a plan: the reserve).

7. *After an outage*: a battery that was drawn below its reserve charges up to it first, from surplus and from the grid.

Both keep the state of charge within [reserve, capacity] and the terminal's limits, do not discharge into an export that is
refused (limit, or negative price), and charge less or discharge more while net import would exceed the limit in force
(connection or demand-response event; for that the floor does not hold, the reserve does).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grid.assets.battery import Battery
from grid.horizon import FloatArray
from scheduler.facility import Site
from scheduler.plan import BatteryControl, Plan
from sim.world.given import TINY_S

TINY_KWH = 1e-9
"""Differences of state of charge below this do not count."""

BEHIND_KWH = 1e-6
"""A battery that is less than this behind its plan is on its plan."""

TINY_KW = 1e-6
"""Planned powers below this are a solver's rounding."""

NO_BATTERY = Battery(1.0, 0.0, 0.0)
"""Stands for the battery of a site that has none: it can carry no power."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What the plan meant a battery to do in one slot.

    Attributes:
        charge_kw, discharge_kw: planned powers.
        from_grid_kw: part of the charging that the plan meant to import.
        to_grid_kw: part of the discharging that the plan meant to export.
        load_kw, used_kw, curtailed_kw: planned facility load, planned use of sun and wind, and what is left of the forecast.
        net_kw, export_kw: planned net import (import - export) and planned export.
        leaves_unused: the plan curtails although it imports or discharges.
        buys_back: unplanned surplus is worth more in the battery than exported.
        wait_kwh: energy ahead of plan that dearer remaining slots can take (in the cells).
        floor_kwh: state of charge from which the plan's later charging restores what it leaves at the end.
        start_s, start_kwh, rate_kw: planned state of charge is ``start_kwh + rate_kw * (t - start_s) / 3600``.
    """

    charge_kw: float
    discharge_kw: float
    from_grid_kw: float
    to_grid_kw: float
    load_kw: float
    used_kw: float
    curtailed_kw: float
    net_kw: float
    export_kw: float
    leaves_unused: bool
    buys_back: bool
    wait_kwh: float
    floor_kwh: float
    start_s: float
    start_kwh: float
    rate_kw: float

    def planned_kwh(self, moment_s: float) -> float:
        """Planned state of charge at an instant of the slot."""
        return self.start_kwh + self.rate_kw * (moment_s - self.start_s) / 3600.0

    def held_kw(self, now: Instant) -> float:
        """Sun and wind that the plan leaves alone (rule 5)."""
        wanted = max(self.used_kw + now.load_kw - self.load_kw, now.available_kw - self.curtailed_kw)
        return max(0.0, now.available_kw - max(0.0, wanted)) if self.curtailed_kw > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Instant:
    """What a site measures: facility load, available sun and wind, the limit on net import, what the grid takes (kW)."""

    load_kw: float
    available_kw: float
    net_limit_kw: float
    export_room_kw: float


@dataclass(frozen=True, slots=True)
class Setting:
    """Battery power now, and how far it holds.

    Attributes:
        power_kw: charging positive.
        lowest_kwh: state of charge down to which it holds.
        highest_kwh: state of charge up to which it holds, or None for the capacity.
        until_ahead_kwh: energy ahead of the plan to which it holds (from above or below), or None.
        unused_kw: available sun and wind that the site leaves unused on purpose.
    """

    power_kw: float
    lowest_kwh: float
    until_ahead_kwh: float | None = None
    unused_kw: float = 0.0
    highest_kwh: float | None = None


def intents(site: Site, plan: Plan, origin_s: float) -> tuple[Intent, ...]:
    """What ``plan`` means for ``site``, by slot of the plan; a site without battery has plans for its sun and wind only.

    Args:
        site: the site.
        plan: the plan.
        origin_s: Unix second from which the intents count their seconds.
    """
    s, energy, step_h = plan.sites.index(site.name), plan.energy, plan.horizon.step_h
    battery = site.battery or NO_BATTERY
    charge, discharge = energy.charge_kw[s], energy.discharge_kw[s]
    surplus = energy.renewable_used_kw[s] - energy.load_kw[s]
    rate = charge * battery.charge_efficiency - discharge / battery.discharge_efficiency
    ends = energy.soc_kwh[s]
    curtailed = np.maximum(0.0, energy.renewable_kw[s] - energy.renewable_used_kw[s])
    curtailed[curtailed < TINY_KW] = 0.0
    gains = charge * battery.charge_efficiency * step_h
    floors = ends[-1] - (gains.sum() - np.cumsum(gains))
    buys_back, wait = _worth(site, battery, plan, s)
    edges = plan.horizon.edges_s - origin_s
    return tuple(
        Intent(
            charge_kw=float(charge[t]),
            discharge_kw=float(discharge[t]),
            from_grid_kw=float(max(0.0, charge[t] - max(0.0, surplus[t]))),
            to_grid_kw=float(max(0.0, discharge[t] - max(0.0, -surplus[t]))),
            load_kw=float(energy.load_kw[s, t]),
            used_kw=float(energy.renewable_used_kw[s, t]),
            curtailed_kw=float(curtailed[t]),
            net_kw=float(energy.import_kw[s, t] - energy.export_kw[s, t]),
            export_kw=float(energy.export_kw[s, t]),
            leaves_unused=bool(curtailed[t] > 0 and max(energy.import_kw[s, t], discharge[t]) > TINY_KW),
            buys_back=bool(buys_back[t]),
            wait_kwh=float(wait[t]),
            floor_kwh=float(max(battery.reserve_soc_kwh, floors[t])),
            start_s=float(edges[t]),
            start_kwh=float(ends[t] - rate[t] * step_h),
            rate_kw=float(rate[t]),
        )
        for t in range(plan.horizon.slots)
    )


def _worth(site: Site, battery: Battery, plan: Plan, s: int) -> tuple[FloatArray, FloatArray]:
    """By slot: is surplus worth keeping, and how much energy (kWh in the cells) the dearer remaining slots can take."""
    horizon, energy = plan.horizon, plan.energy
    price = site.tariff.import_eur_per_mwh.mean(horizon)
    export = site.tariff.export_eur_per_mwh.mean(horizon)
    importing = energy.import_kw[s] > 1e-6
    room = np.minimum(np.maximum(0.0, battery.discharge_kw - energy.discharge_kw[s]), energy.import_kw[s])
    room_kwh = room * horizon.step_h / battery.discharge_efficiency
    both = battery.charge_efficiency * battery.discharge_efficiency
    wear = 1000.0 * (battery.wear_eur_per_kwh + battery.dearest_wear_eur_per_kwh)
    buys_back, wait = np.zeros(horizon.slots), np.zeros(horizon.slots)
    for t in range(horizon.slots):
        later = slice(t + 1, horizon.slots)
        dearest = float(np.max(price[later], initial=-np.inf, where=importing[later]))
        buys_back[t] = both * dearest - wear > export[t]
        wait[t] = float(room_kwh[later][price[later] > price[t]].sum())
    return buys_back, wait


def battery_power(
    battery: Battery, control: BatteryControl, soc_kwh: float, now: Instant, intent: Intent | None, moment_s: float
) -> Setting:
    """What the battery does now (see the module's rules); holds until something measured changes."""
    if soc_kwh < battery.reserve_soc_kwh - BEHIND_KWH:
        room_kw = max(0.0, now.net_limit_kw - (now.load_kw - now.available_kw))
        return Setting(min(battery.charge_kw, room_kw), soc_kwh, highest_kwh=battery.reserve_soc_kwh)
    until: float | None = None
    unused = 0.0
    if control is BatteryControl.FOLLOW_PLAN and intent is not None:
        ahead, held = soc_kwh - intent.planned_kwh(moment_s), intent.held_kw(now)
        if held > 0 and not intent.leaves_unused and ahead < -BEHIND_KWH:
            held, until = 0.0, 0.0
        power, until_ahead = _follow(intent, ahead, replace(now, available_kw=now.available_kw - held))
        until = until_ahead if until_ahead is not None else until
        unused = held if intent.leaves_unused else 0.0
    else:
        power = now.available_kw - now.load_kw
    floor = battery.reserve_soc_kwh if intent is None else intent.floor_kwh
    power = battery.limited_kw(power)
    if power < 0 and soc_kwh <= floor + TINY_KWH:
        power = 0.0
    deficit = now.load_kw - now.available_kw
    unused = max(0.0, min(unused, now.net_limit_kw - deficit - power))
    deficit += unused
    power = min(power, now.net_limit_kw - deficit)
    power = battery.limited_kw(max(power, -max(0.0, deficit + now.export_room_kw)))
    if (power > 0 and soc_kwh >= battery.energy_kwh - TINY_KWH) or (power < 0 and soc_kwh <= battery.reserve_soc_kwh + TINY_KWH):
        power = 0.0
    lowest = floor if soc_kwh > floor + TINY_KWH else battery.reserve_soc_kwh
    return Setting(power, lowest, until, unused)


def _follow(intent: Intent, ahead_kwh: float, now: Instant) -> tuple[float, float | None]:
    """Rules 1 to 4 for what is not held back: battery power wanted, and the level ahead of plan until which it holds."""
    surplus, deficit = max(0.0, now.available_kw - now.load_kw), max(0.0, now.load_kw - now.available_kw)
    until: float | None = None
    from_grid = intent.from_grid_kw
    if from_grid > 0 and ahead_kwh > TINY_KWH:
        from_grid, until = 0.0, 0.0
    charge = min(intent.charge_kw, surplus + from_grid)
    discharge = min(intent.discharge_kw, deficit + intent.to_grid_kw)
    if surplus - charge > now.export_room_kw:
        discharge = 0.0  # what the grid refuses leaves no room for the battery's export
    if discharge == 0 and surplus > charge:
        left = surplus - charge
        refused = max(0.0, left - now.export_room_kw)
        unplanned = max(0.0, left - refused - intent.export_kw) if intent.buys_back else 0.0
        charge += refused + unplanned
    if charge == 0 and intent.charge_kw == 0 and deficit > discharge and ahead_kwh > intent.wait_kwh + TINY_KWH:
        discharge, until = deficit, intent.wait_kwh
    return charge - discharge, until


def reach(
    battery: Battery | None,
    setting: Setting,
    rate_kw: float,
    intent: Intent | None,
    until_s: float,
    now_s: float,
    soc_kwh: float,
) -> tuple[float, float]:
    """Instant to which a setting holds from ``now_s`` and ``soc_kwh`` on, at most ``until_s``, and the content then.

    Args:
        battery: None holds as long as asked, with nothing in it.
        setting: what it does, and up to which state of charge.
        rate_kw: rate of change of the state of charge.
        intent: the plan's slot, whose path it may cross.
        until_s: until when nothing else changes (seconds after the horizon's start).
        now_s: from when on.
        soc_kwh: state of charge at ``now_s``.
    """
    if battery is None:
        return until_s, 0.0
    left_h = (until_s - now_s) / 3600.0
    hold_h, soc = left_h, soc_kwh + rate_kw * left_h
    top = battery.energy_kwh if setting.highest_kwh is None else setting.highest_kwh
    bound = top if rate_kw > 0 else setting.lowest_kwh
    if rate_kw != 0 and (bound - soc_kwh) / rate_kw < hold_h:
        hold_h, soc = (bound - soc_kwh) / rate_kw, bound
    if setting.until_ahead_kwh is not None and intent is not None and rate_kw != intent.rate_kw:
        ahead = soc_kwh - intent.planned_kwh(now_s) - setting.until_ahead_kwh
        cross_h = ahead / (intent.rate_kw - rate_kw)
        if 0 <= cross_h < hold_h:
            hold_h = cross_h
            soc = intent.planned_kwh(now_s + hold_h * 3600.0) + setting.until_ahead_kwh
    end_s = min(until_s, now_s + hold_h * 3600.0)
    return (until_s, soc) if until_s - end_s < TINY_S else (max(end_s, now_s + TINY_S), soc)
