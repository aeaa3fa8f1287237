"""How far each job is, from the orders that its nodes were given and the ends that they told; no input or output.

A process counts from its order on (it may have heard it), until its end was told. A process on a node that is lost counts as
running until the node is surely in failsafe and a person or the loop has *given it up*; then its last order is to stop, which it
gets before anything else when it comes back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from ozzo.commands import JobWish
from ozzo.orders import Order


class Stage(StrEnum):
    """Where a job is in its life."""

    RUNNING = "running"
    PAUSED = "paused"
    ENDING = "ending"
    """it was told to stop, and its end is not told yet"""
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    """it was stopped before its end; it may be planned again"""


OVER = frozenset({Stage.DONE, Stage.FAILED})
"""It never starts again."""


@dataclass(frozen=True, slots=True)
class Work:
    """A job that has begun.

    Attributes:
        stage: where it is.
        nodes: where it has, or had, processes.
        worked_s: scenario seconds for which it was to run, up to ``since``.
        since: scenario instant from which it runs, None when it stands still.
        exit_code: worst of its ends, None before.
        ended: scenario instant at which its end was told.
    """

    stage: Stage
    nodes: tuple[str, ...]
    worked_s: float = 0.0
    since: datetime | None = None
    exit_code: int | None = None
    ended: datetime | None = None

    def worked_at(self, now: datetime) -> float:
        """Scenario seconds for which it was to run up to ``now``."""
        return self.worked_s + (max(0.0, (now - self.since).total_seconds()) if self.since is not None else 0.0)


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of one job.

    Attributes:
        orders: last order by node; exits: exit codes by node.
        given_up: nodes that are lost and whose process counts no more.
    """

    orders: Mapping[str, Order]
    exits: Mapping[str, int]
    given_up: Collection[str] = ()

    def alive(self) -> dict[str, Order]:
        """Orders of processes that may be there."""
        return {node: o for node, o in self.orders.items() if node not in self.exits and node not in self.given_up}

    def parts(self) -> int:
        """Parts of the job that need no process any more: those that may be there, and those that have ended well."""
        return len(self.alive()) + sum(code == 0 for code in self.exits.values())

    def wanted(self) -> tuple[str, ...]:
        """Nodes of the processes that are not to stop, ended ones too: a gang has all its nodes until its last one has ended."""
        return tuple(node for node, order in self.orders.items() if order.desired.state is not JobWish.STOPPED)

    def stage(self) -> Stage:
        """Where the job is."""
        wished = self.wanted()
        codes = [self.exits[node] for node in wished if node in self.exits]
        alive = self.alive()
        if any(code != 0 for code in codes):
            return Stage.ENDING if alive else Stage.FAILED
        if codes and len(codes) == len(wished):
            return Stage.DONE
        late = [node for node in self.orders if node not in wished and self.exits.get(node) == 0]
        if late and not wished:  # it had ended well before it could be stopped
            return Stage.DONE
        if any(o.desired.state is JobWish.STOPPED for o in alive.values()):
            return Stage.ENDING
        if not alive:
            return Stage.STOPPED
        return Stage.RUNNING if any(o.desired.state is JobWish.RUNNING for o in alive.values()) else Stage.PAUSED


def after(before: Work | None, processes: Processes, now: datetime) -> Work:
    """How far a job is now, from how far it was; the same object when nothing has changed."""
    stage, nodes = processes.stage(), tuple(sorted(processes.wanted() or processes.orders))
    begun = before is None or (before.stage is Stage.STOPPED and stage not in {Stage.STOPPED, *OVER})
    old = Work(stage, nodes) if begun or before is None else before
    worked_s, since = old.worked_at(now), now if stage is Stage.RUNNING else None
    codes = [code for code in processes.exits.values() if code]
    over = stage in OVER
    if before is not None and (before.stage, before.nodes) == (stage, nodes):
        return before
    if stage is Stage.STOPPED:
        worked_s = 0.0
    code = (codes[0] if codes else 0) if over else None
    return replace(old, stage=stage, nodes=nodes, worked_s=worked_s, since=since, exit_code=code, ended=now if over else None)


def work_to_dict(work: Work) -> dict[str, Any]:
    """A work as JSON values."""
    return {
        "stage": str(work.stage),
        "nodes": list(work.nodes),
        "worked_s": work.worked_s,
        "since": work.since.isoformat() if work.since else None,
        "exit_code": work.exit_code,
        "ended": work.ended.isoformat() if work.ended else None,
    }


def work_from_dict(value: Mapping[str, Any]) -> Work:
    """The work again."""

    def moment(name: str) -> datetime | None:
        return datetime.fromisoformat(value[name]) if value[name] else None

    return Work(
        Stage(value["stage"]), tuple(value["nodes"]), value["worked_s"], moment("since"), value["exit_code"], moment("ended")
    )
