"""Self-consumption: a battery rule that knows no price.

In each slot the site's own sun and wind serve its load first. Surplus charges the battery, the rest is exported up to
the limit and then curtailed. A deficit is served by the battery, the rest is imported up to the limit, and what is
left is unserved. The battery never goes below a floor: its reserve, and in a plan the state of charge that is still
needed so that the forecast surplus can refill it to what must be left at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.assets.battery import Battery
from grid.horizon import FloatArray
from scheduler.plan import EnergySchedule
from scheduler.problem import Problem


@dataclass(frozen=True, slots=True)
class SlotFlow:
    """Mean powers of one site in one slot (kW, each positive in its own direction) and the state of charge after it."""

    import_kw: float
    export_kw: float
    renewable_used_kw: float
    charge_kw: float
    discharge_kw: float
    soc_kwh: float
    unserved_kw: float


def self_consumption(
    load_kw: float,
    renewable_kw: float,
    import_limit_kw: float,
    export_limit_kw: float,
    battery: Battery | None,
    soc_kwh: float,
    floor_kwh: float,
    step_h: float,
) -> SlotFlow:
    """One slot of the rule; ``floor_kwh`` is the state of charge that discharging may not undercut."""
    surplus = renewable_kw - load_kw
    charge = discharge = 0.0
    if battery is not None and surplus > 0:
        room = max(0.0, battery.energy_kwh - soc_kwh)
        charge = min(surplus, battery.charge_kw, room / (battery.charge_efficiency * step_h))
        soc_kwh = min(soc_kwh + charge * battery.charge_efficiency * step_h, battery.energy_kwh)
    elif battery is not None and surplus < 0:
        above = max(0.0, soc_kwh - max(floor_kwh, battery.reserve_soc_kwh))
        discharge = min(-surplus, battery.discharge_kw, above * battery.discharge_efficiency / step_h)
        soc_kwh -= discharge / battery.discharge_efficiency * step_h
    net = load_kw + charge - discharge - renewable_kw
    imported = min(max(0.0, net), import_limit_kw)
    spare = max(0.0, -net)
    exported = max(min(spare, export_limit_kw), spare - renewable_kw)  # what an asset gives cannot be curtailed
    unserved = max(0.0, net - imported)
    used = load_kw + charge - discharge + exported - imported - unserved
    return SlotFlow(imported, exported, max(0.0, used), charge, discharge, soc_kwh, unserved)


def soc_floor_kwh(problem: Problem, site: int, surplus_kw: FloatArray) -> FloatArray:
    """State of charge needed after each slot so that later surplus refills the battery in time, ``[T]``.

    Backwards: what must be left before a slot is what must be left after it, less what its surplus can charge.
    """
    battery = problem.batteries[site]
    slots = problem.horizon.slots
    floor = np.zeros(slots)
    if battery is None:
        return floor
    need = float(problem.final_soc_kwh[site])
    for t in range(slots - 1, -1, -1):
        floor[t] = max(battery.reserve_soc_kwh, need)
        gain = min(max(0.0, float(surplus_kw[t])), battery.charge_kw) * battery.charge_efficiency * problem.horizon.step_h
        need -= gain
    return floor


def dispatch(problem: Problem, it_kw: FloatArray) -> EnergySchedule:
    """Energy of all sites under self-consumption for a given IT power of jobs and transfers, ``[S, T]`` kW."""
    sites, slots = it_kw.shape
    energy = EnergySchedule.zeros(sites, slots)
    energy.it_kw[:] = it_kw
    energy.load_kw[:] = problem.fixed_kw + problem.pue * it_kw
    energy.renewable_kw[:] = problem.renewable_kw
    for s in range(sites):
        floor = soc_floor_kwh(problem, s, problem.renewable_kw[s] - energy.load_kw[s])
        soc = float(problem.initial_soc_kwh[s])
        for t in range(slots):
            flow = self_consumption(
                float(energy.load_kw[s, t]),
                float(problem.renewable_kw[s, t]),
                float(problem.import_limit_kw[s, t]),
                float(problem.export_limit_kw[s, t]),
                problem.batteries[s],
                soc,
                float(floor[t]),
                problem.horizon.step_h,
            )
            soc = flow.soc_kwh
            energy.import_kw[s, t], energy.export_kw[s, t] = flow.import_kw, flow.export_kw
            energy.renewable_used_kw[s, t] = flow.renewable_used_kw
            energy.charge_kw[s, t], energy.discharge_kw[s, t] = flow.charge_kw, flow.discharge_kw
            energy.soc_kwh[s, t], energy.unserved_kw[s, t] = soc, flow.unserved_kw
    return energy
