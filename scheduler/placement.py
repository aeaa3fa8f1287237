"""Nodes for every run: which of a site's nodes each piece of a job occupies.

The planner counts a site's resources as one pool; here every run gets as many single nodes as its gang is wide, all at
once, for its whole piece. A node can hold several jobs as long as its cores, GPUs and memory suffice. Runs that already
hold nodes keep them. Of the others, wider, larger and longer ones choose first among those that start together. Best
fit: of the nodes with room, those with least room left over, and of these the ones that are busy right before (so
that gaps stay whole). Failed nodes get nothing new.

The pool may have room where no single nodes have (fragmentation). Then the job is put to the nearest time at which it
finds nodes, at its own site first, and when there is none it is dropped with a reason (``scheduler.repair``).

Where nodes sleep, the plan is priced again once it is known which node has which pauses (``scheduler.resting``).

A malleable job holds its nodes whole, also where it uses a share of a slot; from one pace to the next it stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from scheduler.build import build_problem
from scheduler.plan import Plan, Run
from scheduler.racks import Rack, best_fit, keep, need_of, rack_of, stay
from scheduler.repair import priced_again, repaired
from scheduler.resting import with_nodes_at_rest
from scheduler.scenario import Scenario
from scheduler.workload import Job
from scheduler.world import Observation


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """Result of an assignment of nodes.

    Attributes:
        plan: the plan; every run that could be placed has its nodes.
        unplaced: jobs of which a run found no nodes although the pool had room (fragmentation), in order.
    """

    plan: Plan
    unplaced: tuple[str, ...]


def assign_nodes(scenario: Scenario, plan: Plan, observation: Observation | None = None) -> Plan:
    """The plan with nodes for every run; jobs that fragmentation leaves without are moved or dropped (see above)."""
    assignment, racks = _assign(scenario, plan, observation)
    placed = assignment.plan
    if assignment.unplaced:
        placed = repaired(scenario, placed, assignment.unplaced, racks, observation)
    if not any(group.sleep for site in scenario.sites for group in site.nodes):
        return placed
    problem = build_problem(scenario, observation)
    return priced_again(with_nodes_at_rest(scenario, problem, placed, observation), placed, placed)


def try_nodes(scenario: Scenario, plan: Plan, observation: Observation | None = None) -> Assignment:
    """Give every run of ``plan`` its nodes and name the jobs that found none.

    Args:
        scenario: sites and jobs.
        plan: a plan; nodes that its runs may already have are forgotten.
        observation: nodes that running jobs hold, and nodes that are out of order.

    A job of which one run finds no nodes keeps none of its runs' nodes.
    """
    return _assign(scenario, plan, observation)[0]


def _assign(scenario: Scenario, plan: Plan, observation: Observation | None) -> tuple[Assignment, dict[str, Rack]]:
    """The assignment, and the racks with what is left of them."""
    failed = observation.failed_nodes if observation else frozenset[str]()
    held = {state.job: state.nodes for state in observation.started if state.running} if observation else {}
    racks = {name: rack_of(scenario, name, plan.horizon.slots, failed) for name in plan.sites}
    jobs = {job.name: job for job in scenario.jobs}
    found: dict[Run, tuple[str, ...]] = {}
    latest: dict[str, Run] = {}
    unplaced: dict[str, None] = {}
    for run in sorted(plan.runs, key=lambda run: _order(run, jobs[run.job], held)):
        job, rack = jobs[run.job], racks[run.site]
        nodes = keep(rack, held[run.job], job) if run.start == 0 and run.job in held else None
        if nodes is None and run.job not in unplaced:
            before = latest.get(run.job)
            nodes = stay(rack, run, found[before], job) if before is not None and before.end == run.start else None
            nodes = best_fit(rack, run, job) if nodes is None else nodes
        if nodes is None:
            unplaced[run.job] = None
            continue
        for node in nodes:
            rack.left[node, :, run.start : run.end] -= need_of(job)[:, None]
        found[run], latest[run.job] = tuple(rack.names[node] for node in nodes), run
    for run, names in found.items():
        if run.job in unplaced:
            rack = racks[run.site]
            for name in names:
                rack.left[rack.place[name], :, run.start : run.end] += need_of(jobs[run.job])[:, None]
    runs = tuple(replace(run, nodes=() if run.job in unplaced else found[run]) for run in plan.runs)
    return Assignment(replace(plan, runs=runs), tuple(unplaced)), racks


def _order(run: Run, job: Job, held: dict[str, tuple[str, ...]]) -> tuple[bool, int, float, int, str]:
    """Running jobs first; then by start; wide, large and long ones first among those that start together."""
    return (not (run.start == 0 and run.job in held), run.start, -job.nodes * job.cores, run.start - run.end, run.job)
