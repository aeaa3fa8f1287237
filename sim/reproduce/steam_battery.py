"""The battery part of STEAM: 320 kWh beside SURF's hosts, by the published rule, as an optimum, and with the peak of import held.

As published the battery loses nothing and charges with 1 kW per kWh. Loads are means over a quarter of an hour. It begins empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.errors import SolverError
from grid.horizon import FloatArray
from sim.reproduce import steam_kernels as kernels
from sim.reproduce.steam import HOUR_S, IDLE_KW, JOB_KW, PRICE_S, Case, ahead_of

STEP_H = PRICE_S / HOUR_S
KW_PER_KWH = 1.0
WINDOW_H = 168
LOOK_H = 36
"""How far a plan made every hour looks ahead, h."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a battery came to.

    Attributes:
        name: how it is driven.
        energy_kwh: capacity.
        limit_kw: limit on import; None where there is none.
        carbon_t: tonnes of carbon dioxide of the import; saving_pct: below no battery and no shifting.
        peak_kw: highest quarter-hourly mean of import.
        cycles: energy given over capacity.
    """

    name: str
    energy_kwh: float
    limit_kw: float | None
    carbon_t: float
    saving_pct: float
    peak_kw: float
    cycles: float


def quarter_loads(case: Case, starts: FloatArray, hosts: int) -> FloatArray:
    """Mean load of all hosts by quarter-hour, ``[T]`` kW; hosts are on to the end of the accounts, jobs run to their ends."""
    last = max(case.end_s, float((starts + case.jobs.length).max()))
    cells = int(np.ceil(last / PRICE_S))
    on = np.clip(case.end_s / PRICE_S - np.arange(cells), 0.0, 1.0)
    load: FloatArray = hosts * IDLE_KW * on + JOB_KW * kernels.usage(starts, case.jobs.length, PRICE_S, cells)
    return load


def stored(
    name: str, case: Case, load: FloatArray, imported: FloatArray, energy_kwh: float, limit_kw: float | None, base_t: float
) -> Stored:
    """Figures of an import, ``[T]`` kW."""
    carbon = quarter_carbon(case, len(load))
    total = float(imported @ carbon) * STEP_H / 1e6
    given = float(np.maximum(0.0, load - imported).sum()) * STEP_H
    peak = float(imported.max())
    return Stored(
        name, energy_kwh, limit_kw, total, 100.0 * (1.0 - total / base_t), peak, given / energy_kwh if energy_kwh else 0.0
    )


def quarter_carbon(case: Case, quarters: int) -> FloatArray:
    """Intensity by quarter-hour, ``[T]`` g/kWh."""
    return np.repeat(case.carbon, 4)[:quarters]


def by_running_mean(case: Case, load: FloatArray, energy_kwh: float) -> FloatArray:
    """Import under OpenDC's ``runningMeanPlus`` over 168 hours, ``[T]`` kW.

    The quarter in which the battery runs empty or full is taken as one constant power.
    """
    imported: FloatArray = kernels.running_mean_battery(
        quarter_carbon(case, len(load)), load, energy_kwh, KW_PER_KWH * energy_kwh, WINDOW_H, STEP_H, 0.0
    )
    return imported


def at_best(case: Case, load: FloatArray, energy_kwh: float, limit_kw: float | None) -> FloatArray:
    """Import of least carbon when everything is known beforehand, ``[T]`` kW: a linear programme, solved to its optimum.

    Raises:
        SolverError: no import within the limit serves the load, or the programme was not solved.
    """
    change = _best_change(quarter_carbon(case, len(load)), load, energy_kwh, limit_kw, 0.0, STEP_H)
    return load + change


def every_hour(case: Case, load: FloatArray, energy_kwh: float, limit_kw: float | None) -> FloatArray:
    """Import when every hour is planned with what is known then, ``[T]`` kW.

    Carbon ahead is forecast from the past only, load ahead is the last quarter's. Within the hour the battery follows the plan
    as far as charge, load and limit allow.
    """
    hours = len(load) // 4 + 1
    ahead = ahead_of(case, hours)
    imported, soc, power = np.empty(len(load)), 0.0, KW_PER_KWH * energy_kwh
    for quarter in range(len(load)):
        if quarter % 4 == 0:
            now = load[max(0, quarter - 1)]
            steady = np.full(LOOK_H, min(now, limit_kw) if limit_kw is not None else now)
            wanted = float(_best_change(ahead[quarter // 4, :LOOK_H], steady, energy_kwh, limit_kw, soc, 1.0)[0])
        room = power if limit_kw is None else limit_kw - load[quarter]
        most = min(power, (energy_kwh - soc) / STEP_H)
        change = min(wanted, most, room)
        change = max(change, -load[quarter], -soc / STEP_H, -power)
        soc += change * STEP_H
        imported[quarter] = load[quarter] + change
    return imported


def _best_change(
    carbon: FloatArray, load: FloatArray, energy_kwh: float, limit_kw: float | None, soc_kwh: float, step_h: float
) -> FloatArray:
    """Battery power of least carbon, ``[T]`` kW, charging positive; the last charge is worth nothing."""
    from scipy.optimize import linprog
    from scipy.sparse import diags, identity, vstack

    slots, power = len(load), KW_PER_KWH * energy_kwh
    most = np.full(slots, power) if limit_kw is None else np.minimum(power, limit_kw - load)
    least = np.maximum(-load, -power)
    if (most < least).any():
        raise SolverError(f"a load of {load.max():g} kW is above what a limit of {limit_kw:g} kW and the battery can carry")
    follows = diags([np.ones(slots), -np.ones(slots - 1)], [0, -1], format="csr")  # soc[t] - soc[t - 1] - change[t] * dt = 0
    rows = vstack([follows.T, -step_h * identity(slots)]).T.tocsr()
    start = np.zeros(slots)
    start[0] = soc_kwh
    cost = np.concatenate((np.zeros(slots), carbon * step_h))
    bounds = np.column_stack((np.concatenate((np.zeros(slots), least)), np.concatenate((np.full(slots, energy_kwh), most))))
    answer = linprog(cost, A_eq=rows, b_eq=start, bounds=bounds, method="highs")
    if answer.status != 0:
        raise SolverError(f"the battery's programme was not solved: {answer.message}")
    return np.asarray(answer.x[slots:], dtype=np.float64)
