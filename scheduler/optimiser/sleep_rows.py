"""Nodes that sleep in the model: how many are awake in each slot, and what falling asleep and waking up take.

The rows say the least that any plan can draw: jobs fill nodes whole, and a node sleeps in any pause. Real nodes have pauses that
are too short to sleep in, and jobs do not always fill them, so a plan never costs less than the model says and its bound holds.
What a plan really draws is counted with its nodes (``scheduler.resting``). Nothing here is whole: a node may be awake in part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from grid.horizon import FloatArray, Horizon
from scheduler.optimiser.model import ModelParts, Row, add_rows
from scheduler.problem import Problem
from scheduler.sleep import Sleepers

NodeRows = Iterator[tuple[tuple[int, int], Any]]


def add_variables(parts: ModelParts) -> None:
    """``awake[i, t]`` nodes of sleepers ``i`` awake in the slot, ``woken`` and ``slept`` those that become so and cease to be."""
    import pyomo.environ as pyo

    sleepers, slots = parts.problem.sleepers, range(parts.problem.horizon.slots)
    if not sleepers:
        return
    cells = [(i, t) for i in range(len(sleepers)) for t in slots]
    parts.model.awake = pyo.Var(cells, bounds=lambda _, i, _t: (0.0, float(sleepers[i].nodes)))
    parts.model.woken = pyo.Var(cells, domain=pyo.NonNegativeReals)
    parts.model.slept = pyo.Var(cells, domain=pyo.NonNegativeReals)


def awake_enough(parts: ModelParts) -> None:
    """Jobs fit into what is awake.

    ``job_kw[s, t] <= dearest core[s] * (cores that never sleep + sum cores[i] * awake[i, t])``.
    """
    model, problem = parts.model, parts.problem
    dearest = parts.dearest_core_kw
    by_site: dict[int, list[int]] = defaultdict(list)
    for i, group in enumerate(problem.sleepers):
        by_site[group.site].append(i)

    def rows() -> NodeRows:
        for s, members in by_site.items():
            if dearest[s] <= 0:
                continue
            sleeping = sum(problem.sleepers[i].cores * problem.sleepers[i].nodes for i in members)
            for t in range(problem.horizon.slots):
                always = max(0.0, float(problem.capacity[0, s, t]) - sleeping)
                coefs = [1.0, *(-dearest[s] * problem.sleepers[i].cores for i in members)]
                yield (
                    (s, t),
                    parts.linear((coefs, [model.job_kw[s, t], *(model.awake[i, t] for i in members)])) <= dearest[s] * always,
                )

    add_rows(parts, "awake_enough", rows())


def awake_flow(parts: ModelParts) -> None:
    """``awake[i, t] = awake[i, t - 1] + woken[i, t] - slept[i, t]``; before the first slot those that do not sleep are awake."""
    model, problem = parts.model, parts.problem

    def rows() -> NodeRows:
        for i, t in model.awake if problem.sleepers else ():
            coefs, variables = [1.0, -1.0, 1.0], [model.awake[i, t], model.woken[i, t], model.slept[i, t]]
            if t == 0:
                group = problem.sleepers[i]
                yield (i, t), parts.linear((coefs, variables)) == float(group.nodes - group.asleep)
            else:
                yield (i, t), parts.linear(([*coefs, -1.0], [*variables, model.awake[i, t - 1]])) == 0

    add_rows(parts, "awake_flow", rows())


def dearest_core_kw(problem: Problem) -> FloatArray:
    """Largest IT power per core of any job at each site, ``[S]``."""
    dearest = np.zeros(len(problem.sites))
    for task in problem.jobs:
        for option in task.options:
            if task.resources[0] > 0:
                dearest[option.site] = max(dearest[option.site], option.power_kw / task.resources[0])
    return dearest


def rest_terms(parts: ModelParts) -> dict[tuple[int, int], tuple[Row, float]]:
    """Facility power of nodes awake and changing state, and what all of them draw less when asleep, by site and slot.

    ``pue * factor * ((idle - asleep) * (awake - nodes) + sum of what transitions draw above sleep)``.
    """
    model, problem = parts.model, parts.problem
    found: dict[tuple[int, int], tuple[Row, float]] = {}
    for i, group in enumerate(problem.sleepers):
        falling, waking = falling_kw(group, problem.horizon), waking_kw(group, problem.horizon)
        spared = group.idle_kw - group.sleep.power_kw
        for t in range(problem.horizon.slots):
            weight = float(problem.pue[group.site, t] * group.factor[t])
            (coefs, variables), constant = found.get((group.site, t), (([], []), 0.0))
            coefs.append(weight * spared)
            variables.append(model.awake[i, t])
            for k, power in enumerate(falling[: t + 1]):
                coefs.append(weight * power)
                variables.append(model.slept[i, t - k])
            for k, power in enumerate(waking[: problem.horizon.slots - t - 1]):
                coefs.append(weight * power)
                variables.append(model.woken[i, t + 1 + k])
            found[group.site, t] = ((coefs, variables), constant - weight * spared * group.nodes)
    return found


def falling_kw(group: Sleepers, horizon: Horizon) -> list[float]:
    """Mean power above sleep in the first slot of a pause, the second, and so on, until the node sleeps."""
    sleep = group.sleep
    tired_s, asleep_s = sleep.after_s, sleep.after_s + sleep.down_s
    parts = ((0.0, tired_s, group.idle_kw - sleep.power_kw), (tired_s, asleep_s, sleep.down_kw - sleep.power_kw))
    return _by_slot(parts, horizon)


def waking_kw(group: Sleepers, horizon: Horizon) -> list[float]:
    """Mean power above sleep in the last slot of a pause, the one before, and so on, as long as waking takes."""
    return _by_slot(((0.0, group.sleep.up_s, group.sleep.up_kw - group.sleep.power_kw),), horizon)


def _by_slot(parts: tuple[tuple[float, float, float], ...], horizon: Horizon) -> list[float]:
    """Mean powers in slots from stretches of constant power that begin at 0 s."""
    step_s, end_s = horizon.step_s, max(end for _, end, _ in parts)
    means = []
    for k in range(min(horizon.slots, int(np.ceil(end_s / step_s)))):
        low, high = k * step_s, (k + 1) * step_s
        means.append(sum(power * max(0.0, min(end, high) - max(begin, low)) for begin, end, power in parts) / step_s)
    return means


FAMILIES = (awake_enough, awake_flow)
