"""From a plan to the orders that nodes get, and from one plan to the next in mid-run; no input or output.

A job has one process on each node that its runs name. It is started at its first piece, paused at the end of a piece when more
are to come on that node, resumed at the next; at the end of its last piece it ends by itself, because its run time is the time
that the plan gives it there. All orders of an instant go out in the order: stop, pause, run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ozzo.commands import JobState, JobWish
from scheduler.plan import Plan, Run
from scheduler.workload import Job

SHORTEST_S = 0.05
"""Shortest run time of a process, wall seconds."""
URGENCY = {JobWish.STOPPED: 0, JobWish.PAUSED: 1, JobWish.RUNNING: 2}


@dataclass(frozen=True, slots=True)
class Order:
    """A state that a job on a node should reach.

    Attributes:
        due: instant on the plan's time axis, UTC.
        node: where.
        desired: the state.
        reason: why, in words.
        plan_id: plan that asks for it.
        until: planned end of the job's last piece on this node.
    """

    due: datetime
    node: str
    desired: JobState
    reason: str
    plan_id: str
    until: datetime

    @property
    def key(self) -> tuple[str, str]:
        """Job and node."""
        return (self.desired.job, self.node)


def in_order(orders: Iterable[Order]) -> list[Order]:
    """By instant; at one instant what lowers power first."""
    return sorted(orders, key=lambda order: (order.due, URGENCY[order.desired.state], order.node, order.desired.job))


def limit_for(seconds: float) -> float:
    """Own run time after which a node stops a process: half as much again and 2 s (an assumption on start-up and load)."""
    return 1.5 * seconds + 2.0


@dataclass(frozen=True, slots=True)
class Brief:
    """What orders need to know beside the plan.

    Attributes:
        jobs: the workload by name.
        core_kw: IT power that one busy core adds, by node name.
        speed: scenario seconds per wall second.
        run: goes before the name of each job on the nodes, so that they never take it for the job of another run.
    """

    jobs: Mapping[str, Job]
    core_kw: Mapping[str, float]
    speed: float
    run: str = ""


def _pieces(plan: Plan, from_slot: int) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Pieces from ``from_slot`` on by job and node, adjacent ones joined, in order of time."""
    pieces: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for run in sorted(plan.runs, key=lambda run: run.start):
        start = max(run.start, from_slot)
        if run.end <= start:
            continue
        for node in run.nodes:
            mine = pieces.setdefault((run.job, node), [])
            if mine and mine[-1][1] >= start:
                mine[-1] = (mine[-1][0], max(run.end, mine[-1][1]))
            else:
                mine.append((start, run.end))
    return pieces


def without_nodes(plan: Plan) -> tuple[Run, ...]:
    """Runs that name no node, so nobody can be told."""
    return tuple(run for run in plan.runs if not run.nodes)


def running_state(job: Job, node: str, work_s: float, brief: Brief) -> JobState:
    """The state of a job that runs on ``node`` for ``work_s`` scenario seconds."""
    seconds = max(SHORTEST_S, work_s / brief.speed)
    return JobState(
        job=brief.run + job.name,
        state=JobWish.RUNNING,
        argv=tuple(part.replace("{seconds}", f"{seconds:.3f}") for part in job.command),
        seconds=seconds,
        limit_s=limit_for(seconds),
        power_kw=job.cores * brief.core_kw.get(node, 0.0),
    )


def orders_of(plan: Plan, brief: Brief, from_slot: int = 0) -> list[Order]:
    """Orders that carry ``plan`` out from slot ``from_slot`` of its own horizon on.

    Raises:
        KeyError: the plan runs a job that the workload does not hold.
    """
    orders = []
    for (name, node), pieces in _pieces(plan, from_slot).items():
        job = brief.jobs[name]
        slots = sum(end - start for start, end in pieces)
        running = running_state(job, node, slots * plan.horizon.step_s, brief)
        paused = running.model_copy(update={"state": JobWish.PAUSED})
        reason = plan.reasons[name].text if name in plan.reasons else ""
        until = plan.horizon.time(pieces[-1][1])
        for i, (start, end) in enumerate(pieces):
            orders.append(Order(plan.horizon.time(start), node, running, reason, plan.id, until))
            if i + 1 < len(pieces):
                orders.append(Order(plan.horizon.time(end), node, paused, reason, plan.id, until))
    return in_order(orders)


def transition(
    plan: Plan, brief: Brief, from_slot: int, given: Mapping[tuple[str, str], Order], pending: Iterable[Order]
) -> list[Order]:
    """Orders from now on when ``plan`` takes over at its slot ``from_slot``.

    Args:
        plan: the new plan.
        brief: jobs, powers, speed.
        from_slot: slot of the new plan's horizon from which it decides.
        given: last order that was given, by job and node, for jobs whose process has not ended.
        pending: orders of the plan so far that were not given yet.

    What was due before the take-over stays due. At the take-over, a job that the new plan continues later is paused; one that
    it no longer runs there is stopped, unless it was to end by then anyway; one that it continues keeps its process.
    """
    moment = plan.horizon.time(from_slot)
    kept = [order for order in pending if order.due < moment]
    current = dict(given)
    for order in in_order(kept):
        current[order.key] = order
    fresh: dict[tuple[str, str], list[Order]] = {}
    for order in orders_of(plan, brief, from_slot):
        fresh.setdefault(order.key, []).append(order)
    orders = list(kept)
    for key, order in current.items():
        orders += _continued(order, fresh.pop(key, []), moment, plan, brief.run)
    for mine in fresh.values():
        orders += mine
    return in_order(orders)


def stopped(order: Order, reason: str) -> Order:
    """The order that the job of another one should be gone."""
    return replace(order, desired=order.desired.model_copy(update={"state": JobWish.STOPPED}), reason=reason)


def _continued(before: Order, mine: list[Order], moment: datetime, plan: Plan, run: str) -> list[Order]:
    """Orders for a job that has a process (or is about to), when ``moment`` takes over with ``mine``."""
    wish = before.desired.state
    if wish is JobWish.STOPPED:
        return mine
    if not mine:
        if before.until <= moment:
            return []
        dropped = {entry.name: entry.reason.text for entry in plan.dropped}
        reason = dropped.get(before.desired.job.removeprefix(run), "the new plan does not run it here")
        stopped = before.desired.model_copy(update={"state": JobWish.STOPPED})
        return [Order(moment, before.node, stopped, reason, plan.id, moment)]
    same = [  # the process keeps the run time and the limit that it was started with
        replace(order, desired=before.desired.model_copy(update={"state": order.desired.state})) for order in mine
    ]
    if same[0].due <= moment:
        return same  # restated even when it runs already: harmless, and node and journal learn of the new plan
    if wish is JobWish.RUNNING:
        paused = before.desired.model_copy(update={"state": JobWish.PAUSED})
        return [replace(same[0], due=moment, desired=paused), *same]
    return same
