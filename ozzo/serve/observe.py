"""What the controller sees: energy and data by the twin, jobs by what nodes have told; foreseen to the slot of the next plan.

A job that must not be planned now is *aside*: its node is lost and not surely in failsafe, a person holds it, it is being
stopped, or it comes after one that is aside. For the planner such a job is as if it were done; nothing of it is touched.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ozzo.commands import JobWish
from ozzo.orders import Order
from ozzo.serve.works import OVER, Stage, Work
from scheduler.quantiles import planned_slots
from scheduler.scenario import Scenario
from scheduler.workload import Job
from scheduler.world import JobState, Observation

ROUNDING = 1e-6
LATE_SLOTS = 0.1
"""Share of a slot that a job may lack at an observation without being given one more slot (as in ``sim.world.foresee``)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the nodes' jobs, names without their prefix.

    Attributes:
        works: jobs that have begun on nodes.
        pending: orders that are still to be given.
        aside: jobs that must not be planned now.
        closed_nodes: nodes that get no new work.
        simulated: True for a job that no node has: what the twin says counts.
    """

    works: Mapping[str, Work]
    pending: tuple[Order, ...] = ()
    aside: frozenset[str] = frozenset()
    closed_nodes: frozenset[str] = frozenset()
    simulated: Collection[str] = ()


def empty(scenario: Scenario, slot: int) -> Observation:
    """The state of a world in which nothing has happened before ``slot``."""
    soc_kwh = {site.name: site.battery.initial_soc_kwh for site in scenario.sites if site.battery is not None}
    return Observation(slot, scenario.horizon.time(slot), frozenset(), (), soc_kwh, {}, {}, {})


def observed(scenario: Scenario, twin: Observation, seen: Seen, now: datetime) -> tuple[Observation, frozenset[str]]:
    """The observation at the slot of ``twin`` (its energy, its data, and those of its jobs that are simulated).

    Returns:
        What a planner is told, and the jobs that it is told are finished although they only stand aside.
    """
    simulated, coming_of = frozenset(seen.simulated), _by_job(order for order in seen.pending if order.due < twin.moment)
    done, started = set(twin.finished & simulated), [state for state in twin.started if state.job in simulated]
    homes = {node: site.name for site in scenario.sites for node in site.node_names()}
    for job in scenario.jobs:
        work, coming = seen.works.get(job.name), coming_of.get(job.name, [])
        if job.name in simulated and not coming:
            continue
        if work is not None and work.stage in OVER:
            done.add(job.name)
            continue
        state = _foreseen(scenario, job, work, coming, twin.moment, now)
        if state is not None and not homes.keys() >= set(state.nodes):
            continue  # on a node that the document does not name any more: the job is aside for as long as it may be there
        if state is not None and state.remaining_slots > 0:
            started.append(replace(state, site=homes[state.nodes[0]]))
        elif state is not None:
            done.add(job.name)
    started = _that_fit(scenario, started, {*seen.works, *simulated})
    aside = _with_followers(scenario, seen.aside, done)
    known = {job.name for job in scenario.jobs}
    told = replace(
        twin,
        finished=frozenset((done | aside) & known),
        started=tuple(state for state in started if state.job not in aside | done),
        failed_nodes=seen.closed_nodes,
    )
    return told, frozenset(aside & known)


def _that_fit(scenario: Scenario, states: list[JobState], begun: Collection[str]) -> list[JobState]:
    """The states without jobs that are only foreseen to begin, and that will find their nodes still taken."""
    room = {
        f"{site.name}.{group.name}-{i}": [float(group.cores), float(group.gpus), group.memory_gb]
        for site in scenario.sites
        for group in site.nodes
        for i in range(group.count)
    }
    jobs, fitting = {job.name: job for job in scenario.jobs}, []
    for state in sorted(states, key=lambda state: state.job not in begun):
        job = jobs[state.job]
        need = (job.cores, job.gpus, job.memory_gb) if state.running else (0.0, 0.0, 0.0)
        left = {node: [have - use for have, use in zip(room[node], need, strict=True)] for node in state.nodes}
        if state.job in begun or all(min(parts) >= -ROUNDING for parts in left.values()):
            room |= left
            fitting.append(state)
    return fitting


def _with_followers(scenario: Scenario, aside: frozenset[str], done: set[str]) -> set[str]:
    """The jobs aside, and all that come after one of them (which is as done for the planner, and is not done)."""
    found = set(aside) - done
    while more := {job.name for job in scenario.jobs if job.name not in found | done and found.intersection(job.after)}:
        found |= more
    return found


def _by_job(orders: Iterable[Order]) -> dict[str, list[Order]]:
    """Orders by the job that they are about."""
    found: dict[str, list[Order]] = {}
    for order in orders:
        found.setdefault(order.desired.job, []).append(order)
    return found


def _foreseen(
    scenario: Scenario, job: Job, work: Work | None, coming: list[Order], moment: datetime, now: datetime
) -> JobState | None:
    """State of a job at ``moment``, without its site; None when it will not have begun; 0 slots left when it will have ended."""
    step_s = scenario.horizon.step_s
    if work is not None and work.stage in {Stage.STOPPED, Stage.ENDING}:
        work = None
    if work is None and not any(order.desired.state is JobWish.RUNNING for order in coming):
        return None
    worked_s = work.worked_at(now) if work is not None else 0.0
    running, at = work is not None and work.stage is Stage.RUNNING, now
    nodes = work.nodes if work is not None else tuple(sorted({order.node for order in coming}))
    until = max((order.until for order in coming), default=None)
    for order in sorted(coming, key=lambda order: order.due):
        due = max(order.due, now)
        worked_s += (due - at).total_seconds() if running else 0.0
        running, at = order.desired.state is JobWish.RUNNING, due
    alive_now = work is not None and worked_s >= planned_slots(scenario, job) * step_s
    worked_s += max(0.0, (moment - at).total_seconds()) if running else 0.0
    left = math.ceil((planned_slots(scenario, job) * step_s - worked_s) / step_s - LATE_SLOTS)
    over = left <= 0 and not alive_now and (until is None or until <= moment)
    return JobState(job.name, "", nodes, 0 if over else max(1, left), running)


def observation_to_dict(seen: Observation) -> dict[str, Any]:
    """An observation as JSON values."""
    return {
        "slot": seen.slot,
        "moment": seen.moment.isoformat(),
        "finished": sorted(seen.finished),
        "started": [[s.job, s.site, list(s.nodes), s.remaining_slots, s.running] for s in seen.started],
        "soc_kwh": seen.soc_kwh,
        "peak_kw": seen.peak_kw,
        "moved_tb": seen.moved_tb,
        "moved_to": seen.moved_to,
        "failed_nodes": sorted(seen.failed_nodes),
        "assets": seen.assets,
        "peaks": seen.peaks,
    }


def observation_from_dict(value: Mapping[str, Any], scenario: Scenario, slot: int) -> Observation:
    """The observation again, said of ``slot`` of ``scenario``; what the scenario does not know any more is left out."""
    jobs = {job.name for job in scenario.jobs}
    names = {site.name for site in scenario.sites}
    homes = {node: site.name for site in scenario.sites for node in site.node_names()}
    states = [
        JobState(job, site, tuple(nodes), left, runs)
        for job, site, nodes, left, runs in value["started"]
        if job in jobs and site in names and all(homes.get(node) == site for node in nodes)
    ]
    return Observation(
        slot,
        scenario.horizon.time(slot),
        frozenset(value["finished"]) & jobs,
        tuple(states),
        _only(value["soc_kwh"], names),
        _only(value["peak_kw"], names),
        dict(value["moved_tb"]),
        dict(value["moved_to"]),
        frozenset(value["failed_nodes"]),
        dict(value["assets"]),
        _only(value["peaks"], names),
    )


def _only(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in set(names)}
