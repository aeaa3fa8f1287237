"""A queue of a cluster, whoever runs it: its jobs, what their users allow, and what ozzo may do to it.

``slurm.Slurm`` and ``kubernetes.Kubernetes`` are ``Engine``s; ``queue_plan`` and ``queue_shed`` know nothing else of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from grid.errors import OzzoError

DEADLINE_H = 24.0
"""Assumption: a deferrable job that names no deadline is done this long after its submission."""

Key = int | str
"""What a cluster calls a job: Slurm's number, or ``namespace/name`` in Kubernetes."""


class EngineError(OzzoError):
    """A cluster did not do, or did not tell, what it was asked, or cluster and scenario do not fit."""


class State(StrEnum):
    """What a job of a queue does."""

    PENDING = "PENDING"
    """it waits"""
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    """it has begun and stands still"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a job's user allows.

    Attributes:
        deadline: latest end, UTC; pausable: it may be suspended while it runs.
    """

    deadline: datetime
    pausable: bool = False


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job of a queue.

    Attributes:
        key: what the cluster calls it; name, user: for people.
        state: what it does; held: it waits, and does not start before somebody lets it.
        tasks: parts that are not spread over several nodes: nodes in Slurm, pods in Kubernetes.
        cores, memory_gb, gpus: of all tasks together.
        submitted: when; begins: earliest start that was set, or start; None: none.
        limit_s: run time at most; None: nobody has said.
        ran_s: run time so far.
        wish: what its user allows; None: it is not ours to move, or its wish cannot be read.
        faults: what is wrong with its wish, in words.
        packed: several tasks may share a node.
        note: what else people should know.
    """

    key: Key
    name: str
    user: str
    state: State
    held: bool
    tasks: int
    cores: float
    submitted: datetime
    begins: datetime | None
    limit_s: float | None
    ran_s: float
    wish: Wish | None
    faults: tuple[str, ...] = ()
    memory_gb: float = 0.0
    gpus: int = 0
    packed: bool = False
    note: str = ""

    @property
    def stays(self) -> bool:
        """True when it runs and may not be paused, or is nobody's to move."""
        return self.wish is None or (self.state is State.RUNNING and not self.wish.pausable)


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
        job: what the cluster calls it; do: what; at: when, for ``START_AT``; why: in words.
    """

    job: Key
    do: Do
    at: datetime | None
    why: str


class Engine(Protocol):
    """A cluster that ozzo drives."""

    @property
    def kind(self) -> str:
        """``slurm`` or ``kubernetes``; begins the names of its jobs in a plan."""

    @property
    def title(self) -> str:
        """What of the cluster is driven, in words, such as ``partition main``."""

    def queue(self) -> Sequence[QueuedJob]:
        """Jobs that wait, run or are suspended.

        Raises:
            EngineError: the cluster did not answer.
        """

    def size(self) -> tuple[int, int]:
        """Nodes that are up, and cores of all of them.

        Raises:
            EngineError: the cluster did not answer, or has none.
        """

    def carry_out(self, action: Action) -> str:
        """One action of a plan; what came of it when that is not what was asked, else nothing. Twice does no harm.

        Raises:
            EngineError: the cluster refused.
        """

    def waiting(self) -> Sequence[Key]:
        """Jobs that ``close`` will hold, because they would take what a pause frees.

        Raises:
            EngineError: the cluster did not answer.
        """

    def opened(self) -> bool:
        """True when waiting jobs may start.

        Raises:
            EngineError: the cluster did not answer.
        """

    def close(self, waiting: Iterable[Key], mark: str) -> None:
        """Let nothing start that would take what is to be freed.

        Raises:
            EngineError: the cluster refused.
        """

    def suspend(self, jobs: Iterable[Key], mark: str) -> Sequence[Key]:
        """Pause running jobs; those that stand still for us now.

        Args:
            jobs: which.
            mark: name of the shedding, which ``restore`` gives again.

        Raises:
            EngineError: the cluster refused.
        """

    def restore(self, jobs: Iterable[Key], mark: str, *, reopen: bool) -> Sequence[Key]:
        """Let jobs go on that still stand still under ``mark``, then let others start if they could before; those that go on.

        Raises:
            EngineError: the cluster refused.
        """


def moment(text: str, submitted: datetime) -> datetime:
    """``+12h`` after submission, or a moment with its zone, as UTC.

    Raises:
        ValueError: it is neither.
    """
    try:
        found = submitted + hours(text[1:]) if text.startswith("+") else datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r}; expected +12h or a moment such as 2026-12-01T18:00+01:00") from None
    raise ValueError(f"{text!r}; expected a zone, such as +01:00 or Z")


def hours(text: str) -> timedelta:
    """``1.5h`` as a length of time.

    Raises:
        ValueError: no number of hours.
    """
    if not text.endswith("h"):
        raise ValueError(text)
    return timedelta(hours=float(text[:-1]))
