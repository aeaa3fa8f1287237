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


def energy_cost(problem: Problem, site: int, it_kw: FloatArray) -> tuple[float, float]:
    """Unserved energy, kWh, and least cost of one site's energy for a given IT power (prices above 0 only)."""
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
    return dt * float(answer.x[at["uns"]].sum()), float(answer.fun)


def places(task: JobTask) -> list[tuple[int, tuple[int, ...]] | None]:
    """Every place of a job as (option, slots), and None for dropping it."""
    found: list[tuple[int, tuple[int, ...]] | None] = [None]
    for e, option in enumerate(task.options):
        window = range(max(task.release, option.earliest), task.deadline)
        loose = task.kind is JobKind.INTERRUPTIBLE
        chosen = itertools.combinations(window, task.work)
        found += [(e, slots) for slots in chosen if (kept(task, slots) if loose else slots[-1] - slots[0] == task.work - 1)]
    return found


def pieces(slots: tuple[int, ...]) -> list[tuple[int, int]]:
    """First and last slot of each stretch of consecutive slots."""
    edges = [k for k in range(1, len(slots)) if slots[k] != slots[k - 1] + 1]
    return [(slots[a], slots[b - 1]) for a, b in itertools.pairwise([0, *edges, len(slots)])]


def kept(task: JobTask, slots: tuple[int, ...]) -> bool:
    """Whether the least lengths of pieces and of pauses are kept."""
    found = pieces(slots)
    long_enough = all(last - first + 1 >= task.min_run for first, last in found)
    return long_enough and all(later[0] - before[1] - 1 >= task.min_gap for before, later in itertools.pairwise(found))


def late(task: JobTask, slots: tuple[int, ...]) -> float:
    """Price of lateness and restarts."""
    due = 10**6 if task.due is None else task.due
    slots_late = max(0, slots[-1] + 1 - due) if task.kind is JobKind.RIGID else sum(t >= due for t in slots)
    return task.late_eur_per_slot * slots_late + task.restart_eur * (len(pieces(slots)) - 1)


def together(problem: Problem, choice: tuple[tuple[int, tuple[int, ...]] | None, ...]) -> float | None:
    """Price of the copies that these places need; None when an order, a tenant's share or a site's room for copies is broken."""
    copies: set[int] = set()
    use = np.zeros((len(problem.tenants), *problem.capacity.shape))
    for task, place in zip(problem.jobs, choice, strict=True):
        if place is None:
            continue
        option = task.options[place[0]]
        copies |= {option.copy} - {-1}
        before = [choice[p] for p in task.after]
        if any(other is None or other[1][-1] >= place[1][0] for other in before):
            return None
        if task.tenant >= 0:
            use[task.tenant][:, option.site, list(place[1])] += np.array(task.resources)[:, None]
    for n, tenant in enumerate(problem.tenants):
        if (use[n] > tenant.share * problem.capacity + 1e-9).any():
            return None
    for s in range(len(problem.sites)):
        volume = sum(problem.copies[q].volume_gb for q in copies if problem.copies[q].site == s)
        if problem.copy_limit_gb is not None and volume > problem.copy_limit_gb[s] + 1e-9:
            return None
    return sum(problem.copies[q].cost_eur for q in copies)


def best_cost(problem: Problem) -> float:
    """Optimum of a tiny problem without migrations, by trying everything: first as little load unserved as can be, then cost."""
    known: dict[tuple[int, bytes], tuple[float, float]] = {}
    best = (float("inf"), float("inf"))
    for choice in itertools.product(*(places(task) for task in problem.jobs)):
        shared = together(problem, choice)
        if shared is None:
            continue
        use, power, cost = np.zeros_like(problem.capacity), np.zeros_like(problem.fixed_kw), shared
        for task, place in zip(problem.jobs, choice, strict=True):
            if place is None:
                cost += task.drop_eur
                continue
            option, slots = task.options[place[0]], list(place[1])
            use[:, option.site, slots] += np.array(task.resources)[:, None]
            power[option.site, slots] += option.power_kw
            cost += option.cost_eur + late(task, place[1])
        if (use > problem.capacity + 1e-9).any():
            continue
        unserved = 0.0
        for s in range(len(problem.sites)):
            key = (s, power[s].round(9).tobytes())
            if key not in known:
                known[key] = energy_cost(problem, s, power[s])
            unserved, cost = unserved + known[key][0], cost + known[key][1]
        best = min(best, (round(unserved, 6), cost))
    return best[1]
