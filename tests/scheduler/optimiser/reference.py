"""An independent, slow reference: every placing of the jobs, each with its energy side solved by scipy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from scipy.optimize import linprog

from grid.horizon import FloatArray
from scheduler.last_resort import last_resorts
from scheduler.problem import JobTask, Problem
from scheduler.workload import JobKind


def energy_cost(problem: Problem, site: int, it_kw: FloatArray) -> float:
    """Least cost of one site's energy for a given IT power, from its own linear programme (prices above 0 only)."""
    slots, dt = problem.horizon.slots, problem.horizon.step_h
    names = ["imp", "exp", "ren", "uns", "ch", "dis", "soc", "over"]
    at = {name: np.arange(slots) + i * slots for i, name in enumerate(names)}
    peak, missing, size = len(names) * slots, len(names) * slots + 1, len(names) * slots + 2
    unit = problem.batteries[site]
    cost = np.zeros(size)
    cost[at["imp"]] = dt * problem.import_weight_eur_per_kwh[site]
    cost[at["exp"]] = -dt * problem.export_eur_per_kwh[site]
    cost[at["uns"]] = dt * last_resorts(problem)[site].unserved_eur_per_kwh
    cost[peak] = problem.peak_eur_per_kw[site]
    cost[missing] = last_resorts(problem)[site].missing_eur_per_kwh
    bounds: list[tuple[float, float | None]] = [(0.0, None)] * size
    for t in range(slots):
        bounds[at["imp"][t]] = (0.0, problem.import_limit_kw[site, t])
        bounds[at["exp"][t]] = (0.0, problem.export_limit_kw[site, t])
        bounds[at["ren"][t]] = (0.0, problem.renewable_kw[site, t])
        bounds[at["ch"][t]] = (0.0, unit.charge_kw if unit else 0.0)
        bounds[at["dis"][t]] = (0.0, unit.discharge_kw if unit else 0.0)
        bounds[at["soc"][t]] = (unit.reserve_soc_kwh, unit.energy_kwh) if unit else (0.0, 0.0)
    if unit:
        cost[at["ch"]] = cost[at["dis"]] = dt * unit.wear_eur_per_kwh / 2
    equal, right, above, most = [], [], [], []
    for t in range(slots):
        row = np.zeros(size)
        for name, sign in (("imp", 1), ("exp", -1), ("ren", 1), ("uns", 1), ("dis", 1), ("ch", -1)):
            row[at[name][t]] = sign
        equal.append(row)
        right.append(problem.fixed_kw[site, t] + problem.pue[site, t] * it_kw[t])
        row = np.zeros(size)
        row[at["imp"][t]], row[peak] = 1.0, -1.0
        above.append(row)
        most.append(problem.peak_reached_kw[site])
        if unit:
            row = np.zeros(size)
            row[at["soc"][t]], row[at["ch"][t]] = 1.0, -dt * unit.charge_efficiency
            row[at["dis"][t]] = dt / unit.discharge_efficiency
            if t:
                row[at["soc"][t - 1]] = -1.0
            equal.append(row)
            right.append(0.0 if t else problem.initial_soc_kwh[site])
    for event in problem.events:
        for t in range(event.start, event.end) if event.site == site else ():
            row = np.zeros(size)
            row[at["imp"][t]], row[at["exp"][t]], row[at["over"][t]] = 1.0, -1.0, -1.0
            cost[at["over"][t]] = dt * event.penalty_eur_per_kwh
            above.append(row)
            most.append(event.limit_kw)
    row = np.zeros(size)
    row[at["soc"][-1]] = row[missing] = -1.0
    above.append(row)
    most.append(-problem.final_soc_kwh[site])
    answer: Any = linprog(cost, np.array(above), np.array(most), np.array(equal), np.array(right), bounds)
    return float(answer.fun)


def places(task: JobTask) -> list[tuple[int, tuple[int, ...]] | None]:
    """Every place of a job as (option, slots), and None for dropping it."""
    found: list[tuple[int, tuple[int, ...]] | None] = [None]
    for e, option in enumerate(task.options):
        window = range(max(task.release, option.earliest), task.deadline)
        loose = task.kind is JobKind.INTERRUPTIBLE
        pieces = itertools.combinations(window, task.work)
        found += [(e, slots) for slots in pieces if loose or slots[-1] - slots[0] == task.work - 1]
    return found


def best_cost(problem: Problem) -> float:
    """Optimum of a tiny problem without migrations, by trying everything."""
    known: dict[tuple[int, bytes], float] = {}
    best = float("inf")
    for choice in itertools.product(*(places(task) for task in problem.jobs)):
        use, power, cost = np.zeros_like(problem.capacity), np.zeros_like(problem.fixed_kw), 0.0
        for task, place in zip(problem.jobs, choice, strict=True):
            if place is None:
                cost += task.drop_eur
                continue
            option, slots = task.options[place[0]], list(place[1])
            use[:, option.site, slots] += np.array(task.resources)[:, None]
            power[option.site, slots] += option.power_kw
            cost += option.cost_eur
        if (use > problem.capacity + 1e-9).any() or cost >= best + 10:
            continue
        for s in range(len(problem.sites)):
            key = (s, power[s].round(9).tobytes())
            if key not in known:
                known[key] = energy_cost(problem, s, power[s])
            cost += known[key]
        best = min(best, cost)
    return best
