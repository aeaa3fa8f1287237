"""Jobs of a queue as jobs of a plan, and the plan as actions on the queue.

Run time is what the queue knows as the most (Slurm's time limit, ``ozzo.energy/runtime`` in Kubernetes). Whatever else runs
takes its nodes until its limit (without one, to the end of the horizon) and is left alone; so is what runs and is late anyway.
No job is left out in silence: ``left_out`` names each that the plan has no place for, and what becomes of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from grid.errors import Finding
from grid.horizon import Horizon
from ozzo.engines.queue import Action, Do, EngineError, QueuedJob, State
from scheduler.facility import NodeGroup, Site
from scheduler.plan import Plan
from scheduler.scenario import Scenario
from scheduler.workload import Job, JobKind

DROP_EUR = 1000.0
"""Assumption: price of not running a queued job (far above any energy cost)."""
PLANNABLE = "a job that can be planned"
NO_PLACE = "the plan has no place for it"


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue as a plan sees it.

    Attributes:
        scenario: the rest of the horizon with the queue's jobs.
        ours: jobs that may be moved, by name in the plan; others: those that take nodes and are left alone, likewise.
        findings: jobs that are not planned, with the reason.
        kind: of the cluster.
    """

    scenario: Scenario
    ours: dict[str, QueuedJob]
    others: dict[str, QueuedJob]
    findings: tuple[Finding, ...]
    kind: str


def with_queue(
    scenario: Scenario, site: str, queue: Sequence[QueuedJob], now: datetime, size: tuple[int, int], kind: str = "slurm"
) -> Queue:
    """The rest of the scenario from the slot after ``now`` on, with the jobs of the queue at ``site``.

    Args:
        scenario: whose horizon holds ``now``.
        site: of the scenario, that the cluster is.
        queue: its jobs.
        now: UTC.
        size: nodes and cores of the cluster.
        kind: begins the names of the jobs in the plan.

    Raises:
        EngineError: ``now`` is not in the horizon, the scenario has no such site, or the cluster is smaller than the site.
    """
    place = site_of(scenario, site)
    _fits(place, size)
    rest = _rest(scenario, now)
    jobs: list[Job] = []
    ours: dict[str, QueuedJob] = {}
    others: dict[str, QueuedJob] = {}
    findings: list[Finding] = []
    drop_eur = DROP_EUR * (1 + len(queue))  # no number of queued jobs is worth one that runs whatever is planned
    for queued in queue:
        name = f"{kind}-{queued.key}"
        findings += [Finding(kind, None, name, fault, PLANNABLE) for fault in queued.faults]
        if queued.wish is None and queued.state is State.PENDING:
            continue  # the cluster starts it when it likes
        stays, job = queued.stays, None
        try:
            job = _moving(queued, place, rest, name) if not stays else _staying(queued, place, rest, name, drop_eur)
        except ValueError as error:
            findings.append(Finding(kind, None, name, str(error), PLANNABLE))
            if not stays and queued.state is State.RUNNING and _widths(queued, place):
                stays, job = True, _staying(queued, place, rest, name, drop_eur)
        if job is not None:
            jobs.append(job)
            (others if stays else ours)[name] = queued
    events = tuple(event for event in scenario.events if event.end > rest.start)
    planned = replace(scenario, horizon=rest, jobs=tuple(jobs), events=events, datasets=())
    return Queue(planned, ours, others, tuple(findings), kind)


def site_of(scenario: Scenario, name: str) -> Site:
    """The site of a scenario.

    Raises:
        EngineError: there is no such site.
    """
    found = next((site for site in scenario.sites if site.name == name), None)
    if found is None:
        raise EngineError(f"the scenario has no site {name!r}; there are {', '.join(each.name for each in scenario.sites)}")
    return found


def _fits(site: Site, size: tuple[int, int]) -> None:
    nodes = sum(group.count for group in site.nodes)
    cores = sum(group.count * group.cores for group in site.nodes)
    for wanted, found, what in ((nodes, size[0], "nodes"), (cores, size[1], "cores")):
        if found < wanted:
            text = f"site {site.name} has {wanted} {what}, the cluster has {found} that are up: a plan would count on too many"
            raise EngineError(text)


def _rest(scenario: Scenario, now: datetime) -> Horizon:
    """Slots after ``now``, from the first that begins a metering period."""
    horizon = scenario.horizon
    if not horizon.start <= now < horizon.end:
        raise EngineError(
            f"it is {now:%Y-%m-%d %H:%M} UTC; the scenario is of {horizon.start:%Y-%m-%d %H:%M} to {horizon.end:%Y-%m-%d %H:%M}"
        )
    slot = horizon.ceil_slot(now)
    while slot < horizon.slots and (horizon.time(slot) - horizon.start) % scenario.settlement:
        slot += 1
    if slot >= horizon.slots:
        raise EngineError(f"it is {now:%Y-%m-%d %H:%M} UTC: no slot of the scenario is left to plan")
    return Horizon(horizon.time(slot), horizon.step, horizon.slots - slot)


def _width(queued: QueuedJob, group: NodeGroup) -> tuple[int, int, float, int] | None:
    """Fewest nodes of a group that take all tasks, and cores, GB and GPUs on the fullest of them; None: they do not fit."""
    cores, memory_gb, gpus = (value / queued.tasks for value in (queued.cores, queued.memory_gb, queued.gpus))
    room = [
        math.floor(have / need + 1e-9)
        for have, need in ((group.cores, cores), (group.memory_gb, memory_gb), (group.gpus, gpus))
        if need > 0
    ]
    most = min(room, default=1) if queued.packed else min([1, *room])
    if most < 1:
        return None
    nodes = math.ceil(queued.tasks / most)
    each = math.ceil(queued.tasks / nodes)
    if nodes > group.count:
        return None
    return nodes, max(1, math.ceil(each * cores - 1e-9)), each * memory_gb, math.ceil(each * gpus - 1e-9)


def _widths(queued: QueuedJob, site: Site) -> list[tuple[int, int, float, int]]:
    """``_width`` in each group of nodes that takes the job."""
    return [width for group in site.nodes if (width := _width(queued, group)) is not None]


def _moving(queued: QueuedJob, site: Site, rest: Horizon, name: str) -> Job:
    """A job that the plan may move, or pause and resume.

    Raises:
        ValueError: it has no time limit, does not fit a node of the site, or cannot meet its deadline.
    """
    if queued.limit_s is None:
        raise ValueError("no run time (sbatch --time, ozzo.energy/runtime), so nobody knows how long it takes")
    left = _left(queued.limit_s, queued.ran_s)
    made = _job(queued, site, name, rest.start, left, DROP_EUR)
    slots = math.ceil(left / rest.step - 1e-9)
    deadline = min(queued.wish.deadline, rest.end) if queued.wish else rest.end
    if rest.start + slots * rest.step > deadline:
        raise ValueError(f"needs {slots} slots until {deadline:%Y-%m-%d %H:%M} UTC, which are not left")
    pausable = queued.wish is not None and queued.wish.pausable
    return replace(made, deadline=deadline, kind=JobKind.INTERRUPTIBLE if pausable else JobKind.RIGID)


def _staying(queued: QueuedJob, site: Site, rest: Horizon, name: str, drop_eur: float) -> Job:
    """A job that runs whatever the plan says: fixed to the slots that it still needs, at most to the end of the horizon.

    Raises:
        ValueError: it does not fit a node of the site.
    """
    slots = rest.slots
    if queued.limit_s is not None:
        slots = min(slots, math.ceil(_left(queued.limit_s, queued.ran_s) / rest.step - 1e-9))
    return _job(queued, site, name, rest.start, slots * rest.step, drop_eur)


def _left(limit_s: float, ran_s: float) -> timedelta:
    return timedelta(seconds=max(1.0, limit_s - ran_s))


def _job(queued: QueuedJob, site: Site, name: str, start: datetime, left: timedelta, drop_eur: float) -> Job:
    """A rigid job without slack."""
    widths = _widths(queued, site)
    if not widths:
        each = (
            f"{queued.cores / queued.tasks:g} cores, {queued.memory_gb / queued.tasks:g} GB, {queued.gpus / queued.tasks:g} GPUs"
        )
        raise ValueError(f"{queued.tasks} tasks with {each} each; no group of nodes at {site.name} has that")
    nodes, cores, memory_gb, gpus = min(widths)
    return Job(
        name=name,
        kind=JobKind.RIGID,
        release=start,
        deadline=start + left,
        duration=left,
        nodes=nodes,
        cores=cores,
        gpus=gpus,
        memory_gb=memory_gb,
        sites=(site.name,),
        drop_eur=drop_eur,
        origin="listed",
    )


def left_out(queue: Queue, plan: Plan) -> tuple[Finding, ...]:
    """Jobs that the plan has no place for: what becomes of each, and why."""
    why = {item.name: item.reason.text for item in plan.dropped}
    placed = {run.job for run in plan.runs}
    return tuple(
        Finding(
            queue.kind, None, name, f"{_fate(job, ours=name in queue.ours)}; {why.get(name) or NO_PLACE}", "a place in the plan"
        )
        for name, job in {**queue.ours, **queue.others}.items()
        if name not in placed
    )


def _fate(job: QueuedJob, *, ours: bool) -> str:
    if not ours:
        return "left out, but it runs on and may not be paused, so more power is drawn than planned"
    if job.state is State.RUNNING:
        return "left out, to be suspended"
    if job.state is State.SUSPENDED:
        return "left out, stays suspended"
    return "left out, stays held" if job.held else "left out, to be held"


def actions(queue: Queue, plan: Plan) -> list[Action]:
    """What brings the queue into line with the plan now, in the order in which it must be done.

    Held starts come first, then pauses, then resumes and starts, so that nothing starts on nodes that a pause is to free.
    What has no place in the plan is held, or suspended where its user allows it.
    """
    first = plan.horizon.start
    found: list[Action] = []
    for name, job in queue.ours.items():
        runs = sorted(run.start for run in plan.runs if run.job == name)
        if not runs:
            if job.state is State.RUNNING:  # ours and running: its user lets it be paused
                found.append(Action(job.key, Do.SUSPEND, None, NO_PLACE))
            elif job.state is State.PENDING and not job.held:
                found.append(Action(job.key, Do.HOLD, None, NO_PLACE))
        elif job.state is State.PENDING:
            if runs[0] == 0:
                found.append(Action(job.key, Do.START_NOW, None, f"planned from {first:%H:%M} UTC"))
            else:
                at = plan.horizon.time(runs[0])
                found.append(Action(job.key, Do.START_AT, at, f"planned from {at:%Y-%m-%d %H:%M} UTC"))
        elif job.state is State.RUNNING and runs[0] > 0:
            found.append(Action(job.key, Do.SUSPEND, None, f"planned to go on at {plan.horizon.time(runs[0]):%H:%M} UTC"))
        elif job.state is State.SUSPENDED and runs[0] == 0:
            found.append(Action(job.key, Do.RESUME, None, "planned to go on now"))
    rank = {Do.HOLD: 0, Do.START_AT: 1, Do.SUSPEND: 2, Do.RESUME: 3, Do.START_NOW: 4}
    return sorted(found, key=lambda action: rank[action.do])  # jobs of one rank stay in the order of the queue
