"""Resting nodes in plans: which nodes of a problem sleep, and what a schedule or a plan with nodes saves by it.

Before nodes are given out, jobs are taken to be packed: the cores in use fill the nodes that never sleep first, then as few
sleeping ones as can hold them, always the same ones first. Once every run has its nodes, the pauses of each node are known
exactly, and the plan is priced again with them (``scheduler.placement``).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np

from grid.horizon import FloatArray
from scheduler.plan import Plan
from scheduler.policies.schedule import Schedule
from scheduler.problem import Problem
from scheduler.scenario import Scenario
from scheduler.sleep import joined, rest_kwh
from scheduler.world import Observation

EPS = 1e-9


def with_rest(problem: Problem, schedule: Schedule) -> Problem:
    """The problem with the fixed load that is left when nodes rest as a packed schedule lets them."""
    if not problem.sleepers:
        return problem
    cores = np.zeros((len(problem.sites), problem.horizon.slots))
    for j, place in schedule.jobs.items():
        task = problem.jobs[j]
        cores[task.options[place.option].site, list(place.slots)] += task.resources[0]
    saved = np.zeros_like(cores)
    left = cores - (problem.capacity[0] - _sleeping_cores(problem))
    for group in problem.sleepers:
        room = group.cores * group.nodes
        taken = np.clip(left[group.site], 0.0, room)
        left[group.site] -= taken
        used = np.ceil(taken / group.cores - EPS).astype(int)
        for k in range(group.nodes):
            busy = joined((int(t), int(t) + 1) for t in np.flatnonzero(used > k))
            rests = rest_kwh(group.sleep, group.idle_kw, busy, problem.horizon, asleep=k >= group.nodes - group.asleep)
            saved[group.site] += rests * group.factor
    return replace(problem, fixed_kw=problem.fixed_kw - problem.pue * saved / problem.horizon.step_h)


def _sleeping_cores(problem: Problem) -> FloatArray:
    """Cores of the nodes that sleep, ``[S, 1]``."""
    cores = np.zeros((len(problem.sites), 1))
    for group in problem.sleepers:
        cores[group.site] += group.cores * group.nodes
    return cores


def with_nodes_at_rest(scenario: Scenario, problem: Problem, plan: Plan, observation: Observation | None) -> Problem:
    """The problem with the fixed load that is left when every node rests in its pauses in ``plan``."""
    failed = observation.failed_nodes if observation else frozenset[str]()
    resting = observation.asleep if observation else frozenset[str]()
    pieces: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for run in plan.runs:
        for node in run.nodes:
            pieces[node].append((max(0, run.start), run.end))
    saved = np.zeros_like(problem.fixed_kw)
    for group in problem.sleepers:
        count = next(one.count for one in scenario.sites[group.site].nodes if one.name == group.name)
        for i in range(count):
            name = f"{problem.sites[group.site]}.{group.name}-{i}"
            if name not in failed:
                busy = joined(pieces[name])
                rests = rest_kwh(group.sleep, group.idle_kw, busy, problem.horizon, asleep=name in resting)
                saved[group.site] += rests * group.factor
    return replace(problem, fixed_kw=problem.fixed_kw - problem.pue * saved / problem.horizon.step_h)
