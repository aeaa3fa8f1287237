"""Nodes for every run: which of a site's nodes each piece of a job occupies.

The planner counts a site's resources as one pool; here every run gets as many single nodes as its gang is wide, all at
once, for its whole piece. A node can hold several jobs as long as its cores, GPUs and memory suffice. Runs that already
hold nodes keep them. Of the others, wider, larger and longer ones choose first among those that start together. Best
fit: of the nodes with room, those with least room left over, and of these the ones that are busy right before (so
that gaps stay whole). Failed nodes get nothing new.

The pool may have room where no single nodes have (fragmentation). Then the job is put to the nearest time at which it
finds nodes, at its own site first, and when there is none it is dropped with a reason. The energy of such a changed
plan is computed anew with the battery as planned.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from grid.horizon import FloatArray
from scheduler.build import build_problem, holds
from scheduler.facility import NodeGroup
from scheduler.objective import breakdown_eur
from scheduler.optimiser.settle import settle
from scheduler.plan import BatteryControl, Dropped, Plan, Reason, ReasonKind, Run
from scheduler.policies.dispatch import dispatch
from scheduler.problem import JobTask, Problem
from scheduler.reasons import clock
from scheduler.scenario import Scenario
from scheduler.workload import Job, JobKind
from scheduler.world import Observation

EPS = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """Result of an assignment of nodes.

    Attributes:
        plan: the plan; every run that could be placed has its nodes.
        unplaced: jobs of which a run found no nodes although the pool had room (fragmentation), in order.
    """

    plan: Plan
    unplaced: tuple[str, ...]


@dataclass(slots=True)
class _Rack:
    """The nodes of one site and what is left of them.

    Attributes:
        names: names of the nodes; groups: the group of each.
        left: cores, GPUs and memory left, ``[N, 3, T]``; works: nodes that may get new runs.
    """

    names: tuple[str, ...]
    groups: tuple[NodeGroup, ...]
    left: FloatArray
    works: list[bool]
    place: dict[str, int] = field(default_factory=dict)


def assign_nodes(scenario: Scenario, plan: Plan, observation: Observation | None = None) -> Plan:
    """The plan with nodes for every run; jobs that fragmentation leaves without are moved or dropped (see above)."""
    assignment, racks = _assign(scenario, plan, observation)
    if not assignment.unplaced:
        return assignment.plan
    return _repaired(scenario, assignment, racks, observation)


def try_nodes(scenario: Scenario, plan: Plan, observation: Observation | None = None) -> Assignment:
    """Give every run of ``plan`` its nodes and name the jobs that found none.

    Args:
        scenario: sites and jobs.
        plan: a plan; nodes that its runs may already have are forgotten.
        observation: nodes that running jobs hold, and nodes that are out of order.

    A job of which one run finds no nodes keeps none of its runs' nodes.
    """
    return _assign(scenario, plan, observation)[0]


def _assign(scenario: Scenario, plan: Plan, observation: Observation | None) -> tuple[Assignment, dict[str, _Rack]]:
    """The assignment, and the racks with what is left of them."""
    failed = observation.failed_nodes if observation else frozenset[str]()
    held = {state.job: state.nodes for state in observation.started if state.running} if observation else {}
    racks = {name: _rack(scenario, name, plan.horizon.slots, failed) for name in plan.sites}
    jobs = {job.name: job for job in scenario.jobs}
    found: dict[Run, tuple[str, ...]] = {}
    unplaced: dict[str, None] = {}
    for run in sorted(plan.runs, key=lambda run: _order(run, jobs[run.job], held)):
        job, rack = jobs[run.job], racks[run.site]
        nodes = _keep(rack, run, job, held) if run.start == 0 and run.job in held else None
        if nodes is None and run.job not in unplaced:
            nodes = _best_fit(rack, run, job)
        if nodes is None:
            unplaced[run.job] = None
            continue
        for node in nodes:
            rack.left[node, :, run.start : run.end] -= _need(job)[:, None]
        found[run] = tuple(rack.names[node] for node in nodes)
    for run, names in found.items():
        if run.job in unplaced:
            rack = racks[run.site]
            for name in names:
                rack.left[rack.place[name], :, run.start : run.end] += _need(jobs[run.job])[:, None]
    runs = tuple(replace(run, nodes=() if run.job in unplaced else found[run]) for run in plan.runs)
    return Assignment(replace(plan, runs=runs), tuple(unplaced)), racks


def _repaired(scenario: Scenario, assignment: Assignment, racks: dict[str, _Rack], observation: Observation | None) -> Plan:
    """The plan with every unplaced job moved to where it finds nodes, or dropped."""
    problem, plan = build_problem(scenario, observation), assignment.plan
    tasks = {task.name: task for task in problem.jobs}
    jobs = {job.name: job for job in scenario.jobs}
    runs = [run for run in plan.runs if run.job not in assignment.unplaced]
    reasons, dropped = dict(plan.reasons), list(plan.dropped)
    for name in assignment.unplaced:
        old = plan.runs_of(name)
        new = _move(problem, plan, racks, jobs[name], tasks[name], old[0])
        if new:
            runs += new
            where = f"{new[0].site} at {clock(problem, new[0].start)}"
            text = f"Moved to {where}: at its planned time no {jobs[name].nodes} nodes were free at once."
            reasons[name] = Reason(ReasonKind.CAPACITY, text, {"moved_slots": float(new[0].start - old[0].start)})
        else:
            del reasons[name]
            text = f"{name} is not run: its site has room in total, but never {jobs[name].nodes} nodes with room at once."
            dropped.append(Dropped(name, Reason(ReasonKind.CAPACITY, text, {"drop_eur": jobs[name].drop_eur})))
    runs.sort(key=lambda run: (run.start, run.job))
    return _with_energy(problem, replace(plan, runs=tuple(runs), reasons=reasons, dropped=tuple(dropped)), assignment.plan)


def _move(problem: Problem, plan: Plan, racks: dict[str, _Rack], job: Job, task: JobTask, old: Run) -> list[Run]:
    """Runs of the job at the nearest time with nodes for it, at its own site first; empty when there is none."""
    options = sorted(task.options, key=lambda option: problem.sites[option.site] != old.site)
    for option in options:
        rack, site = racks[problem.sites[option.site]], problem.sites[option.site]
        first = max(task.release, option.earliest, *(_arrival(plan, problem, m) for m in option.migrations), 0)
        length = task.work if task.kind is JobKind.RIGID else 1
        chosen: list[Run] = []
        for start in sorted(range(first, task.deadline - length + 1), key=lambda t: (abs(t - old.start), t)):
            run = Run(job.name, site, start, start + length)
            nodes = _best_fit(rack, run, job)
            if nodes is not None:
                chosen.append(replace(run, nodes=tuple(rack.names[node] for node in nodes)))
            if len(chosen) * length >= task.work:
                for piece in chosen:
                    rack.left[[rack.place[n] for n in piece.nodes], :, piece.start : piece.end] -= _need(job)[None, :, None]
                return _joined(sorted(chosen, key=lambda run: run.start))
    return []


def _arrival(plan: Plan, problem: Problem, migration: int) -> int:
    """First slot after the last transfer of a migration in the plan; the end of the horizon when it is not in it."""
    name = problem.migrations[migration].name
    return max((piece.end for piece in plan.transfers if piece.migration == name), default=problem.horizon.slots)


def _joined(runs: list[Run]) -> list[Run]:
    """Consecutive pieces on the same nodes as one run."""
    joined: list[Run] = []
    for run in runs:
        if joined and joined[-1].end == run.start and joined[-1].nodes == run.nodes:
            joined[-1] = replace(joined[-1], end=run.end)
        else:
            joined.append(run)
    return joined


def _with_energy(problem: Problem, plan: Plan, before: Plan) -> Plan:
    """``plan`` with the energy, objective and gap that follow from its runs; ``before`` holds the energy of other runs."""
    power = before.energy.it_kw.copy()
    options = {task.name: {problem.sites[o.site]: o for o in task.options} for task in problem.jobs}
    for runs, sign in ((before.runs, -1.0), (plan.runs, 1.0)):
        for run in runs:
            option = options[run.job][run.site]
            power[option.site, run.start : run.end] += sign * option.power_kw
    power = np.maximum(power, 0.0)
    old = before.energy
    if plan.battery_control is BatteryControl.SELF_CONSUMPTION:
        energy = dispatch(problem, power)
    else:
        energy = settle(problem, power, old.charge_kw, old.discharge_kw, old.renewable_used_kw, old.unserved_kw)
    lost = {item.name for item in plan.dropped} - {item.name for item in before.dropped}
    more = sum(task.drop_eur for task in problem.jobs if task.name in lost)
    parts = breakdown_eur(
        problem, energy, dropped_eur=before.breakdown_eur["dropped"] + more, fixed_eur=before.breakdown_eur["fixed"]
    )
    objective = sum(parts.values())
    gap = None if plan.bound_eur is None else (objective - plan.bound_eur) / max(abs(objective), 1e-9)
    return replace(plan, energy=energy, objective_eur=objective, gap=gap, breakdown_eur=parts)


def _order(run: Run, job: Job, held: dict[str, tuple[str, ...]]) -> tuple[bool, int, float, int, str]:
    """Running jobs first; then by start; wide, large and long ones first among those that start together."""
    return (not (run.start == 0 and run.job in held), run.start, -job.nodes * job.cores, run.start - run.end, run.job)


def _need(job: Job) -> FloatArray:
    """What one member of the gang needs of its node."""
    return np.array([job.cores, job.gpus, job.memory_gb], dtype=np.float64)


def _rack(scenario: Scenario, site_name: str, slots: int, failed: frozenset[str]) -> _Rack:
    """All nodes of a site, empty."""
    site = scenario.site(site_name)
    groups = tuple(group for group in site.nodes for _ in range(group.count))
    names = site.node_names()
    sizes = np.array([[group.cores, group.gpus, group.memory_gb] for group in groups], dtype=np.float64).reshape(-1, 3)
    left = np.repeat(sizes[:, :, None], slots, axis=2)
    works = [name not in failed for name in names]
    return _Rack(names, groups, left, works, {name: i for i, name in enumerate(names)})


def _keep(rack: _Rack, run: Run, job: Job, held: dict[str, tuple[str, ...]]) -> list[int] | None:
    """The nodes that the job holds now, when they are all of this site and one of them has not failed meanwhile."""
    nodes = held[run.job]
    known = [rack.place[name] for name in nodes if name in rack.place and rack.works[rack.place[name]]]
    return known if len(known) == len(nodes) == job.nodes else None


def _best_fit(rack: _Rack, run: Run, job: Job) -> list[int] | None:
    """The nodes with room for the whole piece that leave least over, or None; all of one group."""
    need, period = _need(job), slice(run.start, run.end)
    if not rack.names:
        return None
    room = rack.left[:, :, period].min(axis=2)
    fits = (room >= need - EPS).all(axis=1)
    for group in dict.fromkeys(rack.groups):
        members = [i for i, other in enumerate(rack.groups) if other is group and rack.works[i] and fits[i] and holds(group, job)]
        if len(members) >= job.nodes:
            before = rack.left[:, 0, run.start - 1] if run.start else room[:, 0]
            members.sort(key=lambda i: (float(room[i, 0]), float(before[i]), i))
            return members[: job.nodes]
    return None
