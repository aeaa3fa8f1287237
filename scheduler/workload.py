"""Work: deferrable jobs with release, deadline, width and power."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class JobKind(StrEnum):
    """How a job may run."""

    RIGID = "rigid"
    """in one piece"""
    INTERRUPTIBLE = "interruptible"
    """in pieces of whole slots, all at one site"""
    MALLEABLE = "malleable"
    """in shares of slots, each share in one of its modes (a power cap and the speed that is left), all at one site"""


@dataclass(frozen=True, slots=True)
class Job:
    """A deferrable job.

    Attributes:
        name: unique name.
        kind: rigid or interruptible.
        release: earliest start, UTC.
        deadline: latest end, UTC.
        duration: run time that was asked for (an estimate, at full speed).
        nodes: gang width: number of nodes at once.
        cores, gpus, memory_gb: needed on each of these nodes.
        sites: sites where it may run (never empty in a loaded scenario).
        inputs: datasets it reads; it runs where each has a replica.
        drop_eur: price of not running it at all.
        command: argument list that a node agent runs (never a shell), ``{seconds}`` replaced by the scaled run time.
        origin: ``trace``, ``generator`` or ``listed``.
    """

    name: str
    kind: JobKind
    release: datetime
    deadline: datetime
    duration: timedelta
    nodes: int = 1
    cores: int = 1
    gpus: int = 0
    memory_gb: float = 0.0
    sites: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    drop_eur: float = 10.0
    command: tuple[str, ...] = ("sleep", "{seconds}")
    origin: str = "listed"
