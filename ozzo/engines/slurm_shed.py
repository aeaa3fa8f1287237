"""Less load at once on a Slurm cluster: close the partition, suspend what may be paused; later give it all back.

Nothing is solved. What is about to be done is written down first (a file of its own, replaced as a whole), so that ``restore``
gives back what was taken even if this process was killed in between: resuming a job that runs, or opening a partition that is
open, harms nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from grid.errors import Finding, InputError
from ozzo.engines.slurm import OPEN, QueuedJob, Slurm, SlurmError
from ozzo.engines.slurm_plan import wish_of
from scheduler.facility import Site


@dataclass(frozen=True, slots=True)
class Rung:
    """One job that may be paused.

    Attributes:
        job: its number; kw: IT power that pausing it frees (by the node model of the site, full use); slack_h: hours that it may
            stand still and yet meet its deadline.
    """

    job: int
    kw: float
    slack_h: float


@dataclass(frozen=True, slots=True)
class Shed:
    """What was taken.

    Attributes:
        partition: that was closed; jobs: that were suspended; kw: what that frees; asked_kw: what was asked for; reason: in
        words; since: UTC; was_open: the partition was open before.
    """

    partition: str
    jobs: tuple[int, ...]
    kw: float
    asked_kw: float
    reason: str
    since: str
    was_open: bool


def ladder(site: Site, queue: Sequence[QueuedJob], now: datetime) -> list[Rung]:
    """Running jobs that may be paused, the one that can wait longest first (then the larger one)."""
    rungs = []
    core_kw = min(group.core_kw for group in site.nodes)
    for job in queue:
        try:
            wish = wish_of(job)
        except ValueError:
            continue  # its comment cannot be read: it is nobody's to pause ('ozzo slurm queue' tells)
        if job.state == "RUNNING" and wish is not None and wish.pausable:
            left = timedelta(seconds=max(0.0, (job.limit_s or 0.0) - job.ran_s))
            slack = (wish.deadline - now - left) / timedelta(hours=1)
            rungs.append(Rung(job.number, job.cores * core_kw, slack))
    return sorted(rungs, key=lambda rung: (-rung.slack_h, -rung.kw, rung.job))


def climb(rungs: Sequence[Rung], kw: float) -> tuple[Rung, ...]:
    """As many rungs as free ``kw``; all of them when that is not enough."""
    taken: list[Rung] = []
    freed = 0.0
    for rung in rungs:
        if freed >= kw - 1e-9:
            break
        taken.append(rung)
        freed += rung.kw
    return tuple(taken)


def shed(slurm: Slurm, site: Site, kw: float, reason: str, book: Path) -> Shed:
    """Close the partition and suspend jobs until ``kw`` are freed, or nothing is left to pause.

    Raises:
        SlurmError: something is shed already, or Slurm refused.
    """
    if book.exists():
        raise SlurmError(f"{book}: load was shed already; restore it first")
    rungs = climb(ladder(site, slurm.queue(), datetime.now(UTC)), kw)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    numbers = tuple(rung.job for rung in rungs)
    plan = Shed(slurm.partition, numbers, sum(rung.kw for rung in rungs), kw, reason, now, slurm.state() == OPEN)
    _write(book, plan)
    slurm.shut()
    slurm.suspend(numbers)
    return plan


def restore(slurm: Slurm, book: Path) -> Shed:
    """Resume what was suspended, then open the partition if it was open; a job that has ended meanwhile is left out.

    Raises:
        SlurmError: nothing was shed, or Slurm refused.
    """
    plan = _read(book)
    if plan.partition != slurm.partition:
        raise SlurmError(f"{book}: load was shed on partition {plan.partition}, not {slurm.partition}")
    still = {job.number for job in slurm.queue() if job.state == "SUSPENDED"}
    slurm.resume(number for number in plan.jobs if number in still)
    if plan.was_open:
        slurm.open()
    book.unlink()
    return plan


def _write(book: Path, plan: Shed) -> None:
    book.parent.mkdir(parents=True, exist_ok=True)
    fresh = book.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(asdict(plan), file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(book)


def _read(book: Path) -> Shed:
    try:
        entry = json.loads(book.read_text(encoding="utf-8"))
        return Shed(**entry | {"jobs": tuple(int(job) for job in entry["jobs"])})
    except FileNotFoundError:
        raise SlurmError(f"{book}: nothing was shed") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError([Finding(str(book), None, "", str(error), "a book of shed load that ozzo wrote")]) from error
