"""Less load at once on a cluster: let nothing new start, suspend what may be paused; later give it all back.

Nothing is solved. What is about to be done is written down first (a file of its own, replaced as a whole), so that ``restore``
gives back what was taken even if this process was killed in between: resuming a job that runs, or opening a queue that is
open, harms nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from grid.errors import Finding, InputError
from ozzo.commands import uuid7
from ozzo.engines.queue import Engine, EngineError, Key, QueuedJob, State
from scheduler.facility import Site


@dataclass(frozen=True, slots=True)
class Rung:
    """One job that may be paused.

    Attributes:
        job: what the cluster calls it; kw: IT power that pausing it frees (by the node model of the site, full use); slack_h:
            hours that it may stand still and yet meet its deadline.
    """

    job: Key
    kw: float
    slack_h: float


class Shed(BaseModel):
    """What was taken; also the book's content.

    Attributes:
        title: what of the cluster was driven; mark: name of this shedding.
        jobs: that were suspended; waiting: that were held before they began; kw: what the first frees; asked_kw: what was
            asked for; reason: in words; since: UTC; was_open: waiting jobs could start before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    title: str
    mark: str
    jobs: tuple[Key, ...]
    waiting: tuple[Key, ...]
    kw: float
    asked_kw: float
    reason: str
    since: str
    was_open: bool


def ladder(site: Site, queue: Sequence[QueuedJob], now: datetime) -> list[Rung]:
    """Running jobs that may be paused, the one that can wait longest first (then the larger one).

    A job whose wish cannot be read is nobody's to pause (``ozzo slurm queue`` and ``ozzo kubernetes queue`` tell).
    """
    rungs = []
    core_kw = min(group.core_kw for group in site.nodes)
    for job in queue:
        if job.state is State.RUNNING and job.wish is not None and job.wish.pausable:
            left = timedelta(seconds=max(0.0, (job.limit_s or 0.0) - job.ran_s))
            slack = (job.wish.deadline - now - left) / timedelta(hours=1)
            rungs.append(Rung(job.key, job.cores * core_kw, slack))
    return sorted(rungs, key=lambda rung: (-rung.slack_h, -rung.kw))


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


def shed(engine: Engine, site: Site, kw: float, reason: str, book: Path) -> Shed:
    """Let nothing new start and suspend jobs until ``kw`` are freed, or nothing is left to pause.

    Raises:
        EngineError: something is shed already, or the cluster refused.
    """
    if book.exists():
        raise EngineError(f"{book}: load was shed already; restore it first")
    now = datetime.now(UTC)
    rungs = climb(ladder(site, engine.queue(), now), kw)
    since = now.isoformat(timespec="seconds")
    plan = Shed(
        title=engine.title,
        mark=str(uuid7()),
        jobs=tuple(rung.job for rung in rungs),
        waiting=tuple(engine.waiting()),
        kw=sum(rung.kw for rung in rungs),
        asked_kw=kw,
        reason=reason,
        since=since,
        was_open=engine.opened(),
    )
    _write(book, plan)
    engine.close(plan.waiting, plan.mark)
    still = set(engine.suspend(plan.jobs, plan.mark))
    freed_kw = sum(rung.kw for rung in rungs if rung.job in still)
    return plan.model_copy(update={"jobs": tuple(job for job in plan.jobs if job in still), "kw": freed_kw})


def restore(engine: Engine, book: Path) -> Shed:
    """Resume what was suspended, then let others start if they could before; a job that has ended meanwhile is left out.

    Raises:
        EngineError: nothing was shed, or the cluster refused.
    """
    plan = _read(book)
    if plan.title != engine.title:
        raise EngineError(f"{book}: load was shed on {plan.title}, not {engine.title}")
    again = set(engine.restore((*plan.jobs, *plan.waiting), plan.mark, reopen=plan.was_open))
    book.unlink()
    kept = {name: tuple(key for key in getattr(plan, name) if key in again) for name in ("jobs", "waiting")}
    return plan.model_copy(update=kept)


def _write(book: Path, plan: Shed) -> None:
    book.parent.mkdir(parents=True, exist_ok=True)
    fresh = book.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(plan.model_dump(mode="json"), file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(book)


def _read(book: Path) -> Shed:
    try:
        return Shed.model_validate_json(book.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EngineError(f"{book}: nothing was shed") from None
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise InputError([_finding(book, ".".join(map(str, item["loc"])), item["msg"]) for item in faults]) from error
    except (OSError, ValueError) as error:
        raise InputError([_finding(book, "", str(error))]) from error


def _finding(book: Path, field: str, found: str) -> Finding:
    return Finding(str(book), None, field, found, "a book of shed load that ozzo wrote")
