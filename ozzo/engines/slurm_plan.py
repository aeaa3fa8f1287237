"""Jobs of a Slurm queue as jobs of a plan, and the plan as actions on the queue.

A user makes a job deferrable with ``sbatch --hold --comment 'ozzo'`` (or ``'ozzo: deadline=+12h, pausable'``, or ``deadline=``
and a moment with its zone), or with Slurm's own ``--deadline``. Its run time is its time limit. Whatever else runs takes its
nodes until its limit and is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from grid.errors import Finding
from grid.horizon import Horizon
from ozzo.engines.slurm import QueuedJob, SlurmError
from scheduler.facility import Site
from scheduler.plan import Plan
from scheduler.scenario import Scenario
from scheduler.workload import Job, JobKind

DEADLINE_H = 24.0
"""Assumption: a deferrable job that names no deadline is done this long after its submission."""
DROP_EUR = 1000.0
"""Assumption: price of not running a queued job (far above any energy cost)."""
WORD = "ozzo"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a job's user allows.

    Attributes:
        deadline: latest end, UTC; pausable: it may be suspended.
    """

    deadline: datetime
    pausable: bool = False


class Do(StrEnum):
    """What is done to a job."""

    START_NOW = "start now"
    START_AT = "start at"
    HOLD = "hold"
    SUSPEND = "suspend"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do.

    Attributes:
        job: Slurm's number; do: what; at: when, for ``START_AT``; why: in words.
    """

    job: int
    do: Do
    at: datetime | None
    why: str


def wish_of(job: QueuedJob) -> Wish | None:
    """What its user allows; None: the job is not ours to move.

    Raises:
        ValueError: the comment begins with ``ozzo`` and goes on in words that are not known.
    """
    word, _, rest = job.comment.strip().partition(":")
    tagged = word.strip() == WORD
    if not tagged and job.deadline is None:
        return None
    deadline = job.deadline or job.submitted + timedelta(hours=DEADLINE_H)
    pausable = False
    for part in (piece.strip() for piece in rest.split(",") if piece.strip()) if tagged else ():
        key, _, value = part.partition("=")
        if part == "pausable":
            pausable = True
        elif key == "deadline":
            deadline = min(_moment(value, job), job.deadline) if job.deadline else _moment(value, job)
        else:
            raise ValueError(f"{part!r}; expected pausable, deadline=+12h or deadline=2026-12-01T18:00+01:00")
    return Wish(deadline, pausable)


def _moment(text: str, job: QueuedJob) -> datetime:
    """``+12h`` after submission, or a moment with its zone.

    Raises:
        ValueError: it is neither.
    """
    try:
        moment = job.submitted + _hours(text) if text.startswith("+") else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(f"deadline={text}; expected +12h or a moment such as 2026-12-01T18:00+01:00") from None
    if moment.tzinfo is None:
        raise ValueError(f"deadline={text}; expected a zone, such as +01:00 or Z")
    return moment


def _hours(text: str) -> timedelta:
    if not text.endswith("h"):
        raise ValueError(text)
    return timedelta(hours=float(text[1:-1]))


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue as a plan sees it.

    Attributes:
        scenario: the rest of the horizon with the queue's jobs.
        ours: jobs that may be moved, by name in the plan; others: number of jobs that take nodes and are left alone.
        findings: jobs that are not planned, with the reason.
    """

    scenario: Scenario
    ours: dict[str, tuple[QueuedJob, Wish]]
    others: int
    findings: tuple[Finding, ...]


def with_queue(scenario: Scenario, site: str, queue: Sequence[QueuedJob], now: datetime, size: tuple[int, int]) -> Queue:
    """The rest of the scenario from the slot after ``now`` on, with the jobs of the queue at ``site``.

    Raises:
        SlurmError: ``now`` is not in the horizon, the scenario has no such site, or the cluster is smaller than the site.
    """
    place = next((each for each in scenario.sites if each.name == site), None)
    if place is None:
        raise SlurmError(f"the scenario has no site {site!r}; there are {', '.join(each.name for each in scenario.sites)}")
    nodes = sum(group.count for group in place.nodes)
    if size[0] < nodes:
        raise SlurmError(
            f"site {site} has {nodes} nodes, the partition has {size[0]} that are up: a plan would count on too many"
        )
    rest = _rest(scenario, now)
    jobs, ours, others, findings = [], {}, 0, []
    for queued in queue:
        name = f"slurm-{queued.number}"
        try:
            wish = wish_of(queued)
            if wish is None and queued.state == "PENDING":
                continue  # Slurm starts it when it likes
            made = _job(queued, wish, place, rest, name)
        except ValueError as error:
            findings.append(Finding("squeue", None, name, str(error), "a job that can be planned"))
            continue
        jobs.append(made)
        if wish is None or (queued.state == "RUNNING" and not wish.pausable):
            others += 1
        else:
            ours[name] = (queued, wish)
    events = tuple(event for event in scenario.events if event.end > rest.start)
    planned = replace(scenario, horizon=rest, jobs=tuple(jobs), events=events, datasets=())
    return Queue(planned, ours, others, tuple(findings))


def _rest(scenario: Scenario, now: datetime) -> Horizon:
    """Slots after ``now``, from the first that begins a metering period."""
    horizon = scenario.horizon
    if not horizon.start <= now < horizon.end:
        raise SlurmError(
            f"it is {now:%Y-%m-%d %H:%M} UTC; the scenario is of {horizon.start:%Y-%m-%d %H:%M} to {horizon.end:%Y-%m-%d %H:%M}"
        )
    slot = horizon.ceil_slot(now)
    while slot < horizon.slots and (horizon.time(slot) - horizon.start) % scenario.settlement:
        slot += 1
    if slot >= horizon.slots:
        raise SlurmError(f"it is {now:%Y-%m-%d %H:%M} UTC: no slot of the scenario is left to plan")
    return Horizon(horizon.time(slot), horizon.step, horizon.slots - slot)


def _job(queued: QueuedJob, wish: Wish | None, site: Site, rest: Horizon, name: str) -> Job:
    """A job of the plan; what runs and may not be paused is fixed to the slots that it still needs.

    Raises:
        ValueError: it has no time limit, does not fit a node of the site, or cannot meet its deadline.
    """
    if queued.limit_s is None:
        raise ValueError("no time limit (sbatch --time), so nobody knows how long it takes")
    left = timedelta(seconds=max(1.0, queued.limit_s - queued.ran_s))
    cores = math.ceil(queued.cores / queued.nodes)
    if not any(group.count >= queued.nodes and group.cores >= cores for group in site.nodes):
        raise ValueError(f"{queued.nodes} nodes with {cores} cores each; no group of nodes at {site.name} has that")
    slots = math.ceil(left / rest.step - 1e-9)
    fixed = wish is None or (queued.state == "RUNNING" and not wish.pausable)
    if fixed:
        slots = min(slots, rest.slots)
        left, deadline = slots * rest.step, rest.time(slots)
    else:
        deadline = min(wish.deadline, rest.end) if wish else rest.end
        if rest.start + slots * rest.step > deadline:
            raise ValueError(f"needs {slots} slots until {deadline:%Y-%m-%d %H:%M} UTC, which are not left")
    pausable = wish is not None and wish.pausable
    return Job(
        name=name,
        kind=JobKind.INTERRUPTIBLE if pausable else JobKind.RIGID,
        release=rest.start,
        deadline=deadline,
        duration=left,
        nodes=queued.nodes,
        cores=cores,
        sites=(site.name,),
        drop_eur=DROP_EUR,
        origin="listed",
    )


def actions(queue: Queue, plan: Plan) -> list[Action]:
    """What brings the queue into line with the plan now, in the order in which it must be done.

    Held starts come first, then pauses, then resumes and starts, so that nothing starts on nodes that a pause is to free.
    """
    first = plan.horizon.start
    found: list[Action] = []
    for name, (job, _) in queue.ours.items():
        runs = sorted(run.start for run in plan.runs if run.job == name)
        if not runs:
            if job.state == "PENDING" and not job.held:
                found.append(Action(job.number, Do.HOLD, None, "the plan has no place for it"))
        elif job.state == "PENDING":
            if runs[0] == 0:
                found.append(Action(job.number, Do.START_NOW, None, f"planned from {first:%H:%M} UTC"))
            else:
                at = plan.horizon.time(runs[0])
                found.append(Action(job.number, Do.START_AT, at, f"planned from {at:%Y-%m-%d %H:%M} UTC"))
        elif job.state == "RUNNING" and runs[0] > 0:
            found.append(Action(job.number, Do.SUSPEND, None, f"planned to go on at {plan.horizon.time(runs[0]):%H:%M} UTC"))
        elif job.state == "SUSPENDED" and runs[0] == 0:
            found.append(Action(job.number, Do.RESUME, None, "planned to go on now"))
    order = list(Do)
    rank = {Do.HOLD: 0, Do.START_AT: 1, Do.SUSPEND: 2, Do.RESUME: 3, Do.START_NOW: 4}
    return sorted(found, key=lambda action: (rank[action.do], order.index(action.do), action.job))
