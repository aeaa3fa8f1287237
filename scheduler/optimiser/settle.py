"""From the solver's powers to an energy schedule that closes exactly.

A solver keeps rows to a tolerance (1e-7) and may leave flows that cancel each other out where both cost nothing. Here
the battery is netted and its state of charge computed afresh from its powers, then the meter takes what is left.
"""

from __future__ import annotations

import numpy as np

from grid.assets.battery import Battery
from grid.horizon import FloatArray
from scheduler.plan import EnergySchedule
from scheduler.problem import Problem

DUST_KW = 1e-7
"""Powers below this are solver tolerance, not decisions."""


BATTERY_ROUNDS = 4
"""Times that batteries make room for a load that is more than the solver's; each may empty one in a later slot."""


Powers = tuple[FloatArray, FloatArray, FloatArray, FloatArray]
"""Charge, discharge, sun and wind used, unserved load: the solver's powers, ``[S, T]`` kW each."""


def settle_with_room(problem: Problem, it_kw: FloatArray, powers: Powers) -> EnergySchedule:
    """As ``settle``; where the load is more than the limit leaves, batteries charge less or give more before load is unserved."""
    charge_kw, discharge_kw, used_kw, unserved_kw = powers
    energy = settle(problem, it_kw, charge_kw, discharge_kw, used_kw, unserved_kw)
    for _ in range(BATTERY_ROUNDS):
        short = np.maximum(0.0, energy.unserved_kw - unserved_kw)
        if not (short > DUST_KW).any():
            break
        less = np.minimum(energy.charge_kw, short)
        charge_kw, discharge_kw = energy.charge_kw - less, energy.discharge_kw + (short - less)
        energy = settle(problem, it_kw, charge_kw, discharge_kw, used_kw, unserved_kw)
    return energy


def settle(
    problem: Problem,
    it_kw: FloatArray,
    charge_kw: FloatArray,
    discharge_kw: FloatArray,
    renewable_used_kw: FloatArray,
    unserved_kw: FloatArray,
) -> EnergySchedule:
    """Energy schedule for given IT power and the solver's powers, all ``[S, T]`` kW; the balance closes exactly."""
    energy = EnergySchedule.zeros(*it_kw.shape)
    energy.it_kw[:] = it_kw
    energy.load_kw[:] = problem.fixed_kw + problem.pue * it_kw
    energy.renewable_kw[:] = problem.renewable_kw
    energy.unserved_kw[:] = np.where(unserved_kw < DUST_KW, 0.0, np.minimum(unserved_kw, np.maximum(0.0, energy.load_kw)))
    used = np.clip(renewable_used_kw, 0.0, problem.renewable_kw)
    wanted = charge_kw - discharge_kw
    for s, battery in enumerate(problem.batteries):
        if battery is not None:
            _follow(problem, energy, s, battery, charge_kw[s], discharge_kw[s])
    net = energy.load_kw + energy.charge_kw - energy.discharge_kw - energy.unserved_kw - used
    freed = np.maximum(0.0, wanted - (energy.charge_kw - energy.discharge_kw))
    less = np.minimum(np.minimum(freed, np.maximum(0.0, -net)), used)  # netting freed energy: curtail rather than export it
    used, net = used - less, net + less
    more = np.clip(net - problem.import_limit_kw, 0.0, problem.renewable_kw - used)
    used, net = used + more, net - more
    spill = np.clip(-net - problem.export_limit_kw, 0.0, used)
    used, net = used - spill, net + spill
    net = np.where(np.abs(net) < DUST_KW / 100, 0.0, net)
    beyond = np.maximum(0.0, net - problem.import_limit_kw)
    beyond = np.where(beyond < DUST_KW, 0.0, beyond)  # more than tolerance only when the load is not the solver's
    energy.unserved_kw[:] += beyond
    net = net - beyond
    energy.import_kw[:] = np.maximum(0.0, net)
    energy.export_kw[:] = np.maximum(0.0, -net)
    balance = energy.load_kw + energy.charge_kw + energy.export_kw - energy.import_kw - energy.discharge_kw - energy.unserved_kw
    energy.renewable_used_kw[:] = np.clip(balance, 0.0, problem.renewable_kw)
    return energy


def _follow(
    problem: Problem, energy: EnergySchedule, site: int, battery: Battery, charge_kw: FloatArray, discharge_kw: FloatArray
) -> None:
    """Net charge and discharge of each slot at the same change of the state of charge, and keep its bounds."""
    step_h = problem.horizon.step_h
    soc = float(problem.initial_soc_kwh[site])
    floor = min(battery.reserve_soc_kwh, soc)
    for t in range(problem.horizon.slots):
        rate = charge_kw[t] * battery.charge_efficiency - discharge_kw[t] / battery.discharge_efficiency
        rate = min(max(rate, (floor - soc) / step_h), (battery.energy_kwh - soc) / step_h)
        charge = min(max(0.0, rate) / battery.charge_efficiency, battery.charge_kw)
        discharge = min(max(0.0, -rate) * battery.discharge_efficiency, battery.discharge_kw)
        charge, discharge = (0.0 if power < DUST_KW / 100 else power for power in (charge, discharge))
        soc += (charge * battery.charge_efficiency - discharge / battery.discharge_efficiency) * step_h
        energy.charge_kw[site, t], energy.discharge_kw[site, t], energy.soc_kwh[site, t] = charge, discharge, soc
