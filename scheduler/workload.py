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
class PowerCap:
    """One point of a malleable job's power-cap curve, beside full speed.

    Attributes:
        speed: work done in a time, as a share of that at full speed, in (0, 1].
        power: IT power above idle, as a share of that at full speed, in (0, 1].
    """

    speed: float
    power: float


@dataclass(frozen=True, slots=True)
class Tenant:
    """Someone whose jobs together have a limit.

    Attributes:
        name: unique name.
        share: the most that its jobs may use of each resource of each site at a time, in (0, 1].
    """

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class Job:
    """A deferrable job.

    Attributes:
        name: unique name.
        kind: rigid, interruptible or malleable.
        release: earliest start, UTC.
        deadline: latest end, UTC.
        duration: run time that was asked for (an estimate, at full speed).
        nodes: gang width: number of nodes at once.
        cores, gpus, memory_gb: needed on each of these nodes.
        sites: sites where it may run (never empty in a loaded scenario).
        inputs: datasets it reads; it runs where each has a replica.
        drop_eur: price of not running it at all, its priority counted in.
        command: argument list that a node agent runs (never a shell), ``{seconds}`` replaced by the scaled run time.
        origin: ``trace``, ``generator`` or ``listed``.
        due, late_eur_per_h: soft deadline, UTC, and the price of each hour after it, its priority counted in. A rigid job is
            late by its end, any other one by the hours that it works after ``due``.
        min_run, min_gap: least length of a piece and of a pause (interruptible jobs only).
        restart_eur: price of every piece after the first (interruptible jobs only).
        power_caps: how else than at full speed a malleable job may run.
        after: names of jobs that must have ended before it starts; when one of them is dropped, so is this one.
        tenant: name of its tenant, or None.
        move_eur: price of moving it to another of its sites once it has begun, its work kept; None: it stays where it began
            (rigid jobs always do).
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
    due: datetime | None = None
    late_eur_per_h: float = 0.0
    min_run: timedelta = timedelta(0)
    min_gap: timedelta = timedelta(0)
    restart_eur: float = 0.0
    power_caps: tuple[PowerCap, ...] = ()
    after: tuple[str, ...] = ()
    tenant: str | None = None
    move_eur: float | None = None
