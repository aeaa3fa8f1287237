"""Jobs of recorded traces.

OpenDC's tasks format (Parquet): ``submission_time`` (or a timestamp) and ``duration`` in milliseconds, ``cpu_count``,
``mem_capacity`` in MiB; rows in no order. The trace's own ``deadline`` is a rule (submission + 24 h) that jobs longer than a day
cannot meet even when they start at once, so it is not read. The rule here: **deadline = submission + run time + slack**, slack
24 h by default.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from grid.errors import FeedError
from grid.horizon import FloatArray, Horizon
from scheduler.workload import Job, JobKind

DEADLINE_SLACK = timedelta(hours=24)
DROP_EUR = 10.0
MIB_PER_GB = 1e9 / 2**20

LONGEST_S = 315_360_000.0
"""Ten years, the longest run time that a document may state as well."""
LATEST_S = datetime(2200, 1, 1, tzinfo=UTC).timestamp()

COLUMNS = ("id", "submission_time", "duration", "cpu_count", "mem_capacity")


@dataclass(frozen=True, slots=True, eq=False)
class Tasks:
    """A trace as arrays, sorted by submission (then by id).

    Attributes:
        ids: job numbers, ``[n]``.
        submission_s: Unix seconds.
        duration_s: run time in seconds, above 0.
        cores: cores of each job.
        memory_gb: decimal GB.
    """

    ids: npt.NDArray[np.int64]
    submission_s: FloatArray
    duration_s: FloatArray
    cores: npt.NDArray[np.int64]
    memory_gb: FloatArray


def read_tasks(path: str | Path) -> Tasks:
    """A trace in OpenDC's tasks format.

    Raises:
        FeedError: not such a Parquet file, a job without a positive run time or with something that is no number, or an id twice.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=list(COLUMNS))
        columns = [_numbers(table[name].to_numpy()) for name in COLUMNS]
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise FeedError(f"{path}: not an OpenDC tasks file with {', '.join(COLUMNS)}: {error}") from error
    ids, submission, duration, cores, memory = columns
    if len(ids) == 0 or not (duration > 0).all() or not (cores > 0).all():
        raise FeedError(f"{path}: no jobs, or a job without a positive run time or without cores")
    if not np.isfinite(columns).all() or (memory < 0).any():
        raise FeedError(f"{path}: a job with something that is no number, or with memory below 0")
    if duration.max() > 1000.0 * LONGEST_S or submission.min() < 0 or submission.max() > 1000.0 * LATEST_S:
        raise FeedError(f"{path}: a run time above ten years, or a submission outside the years 1970 to 2200 (in milliseconds?)")
    if len(np.unique(ids)) < len(ids):
        raise FeedError(f"{path}: {len(ids) - len(np.unique(ids))} ids stand twice; the jobs could not be told apart")
    order = np.lexsort((ids, submission))
    return Tasks(
        ids=ids[order].astype(np.int64),
        submission_s=submission[order] / 1000.0,
        duration_s=duration[order] / 1000.0,
        cores=cores[order].astype(np.int64),
        memory_gb=memory[order] / MIB_PER_GB,
    )


def _numbers(column: npt.NDArray[np.generic]) -> FloatArray:
    """A column as numbers; of timestamps the milliseconds since 1970.

    Raises:
        TypeError, ValueError: it holds something else.
    """
    if column.dtype.kind == "M":
        milliseconds = column.astype("datetime64[ms]").astype(np.int64).astype(np.float64)
        return np.where(np.isnat(column), np.nan, milliseconds)
    return column.astype(np.float64)


def read_opendc_tasks(
    path: str | Path,
    *,
    start: datetime,
    end: datetime,
    sites: tuple[str, ...],
    limit: int | None = None,
    deadline_slack: timedelta = DEADLINE_SLACK,
    drop_eur: float = DROP_EUR,
    node_cores: int | None = None,
) -> tuple[Job, ...]:
    """The jobs submitted in ``[start, end)``, in order of submission.

    Windows are not cut here: see ``fit_to_horizon``.

    Args:
        path: the Parquet file.
        start: first submission taken.
        end: first submission not taken.
        sites: sites where the jobs may run.
        limit: only the first so many, in order of submission (no random sample, so the result never changes).
        deadline_slack: deadline = submission + run time + this.
        drop_eur: price of not running a job.
        node_cores: cores of one node; a job with more takes several whole nodes. By default a job takes one node.

    Raises:
        FeedError: the file cannot be read, times without a zone, a negative slack, or no job in the period (says which
            period the file has).
    """
    if start.tzinfo is None or end.tzinfo is None or deadline_slack < timedelta(0):
        raise FeedError(f"{path}: start {start}, end {end} need a time zone, the slack {deadline_slack} must not be negative")
    tasks = read_tasks(path)
    chosen = np.flatnonzero((tasks.submission_s >= start.timestamp()) & (tasks.submission_s < end.timestamp()))[:limit]
    if len(chosen) == 0:
        first, last = (datetime.fromtimestamp(float(moment), UTC) for moment in tasks.submission_s[[0, -1]])
        raise FeedError(f"{path}: no job from {start} to {end}; the file holds {first:%Y-%m-%dT%H:%MZ} to {last:%Y-%m-%dT%H:%MZ}")
    jobs = []
    for i in chosen:
        release = datetime.fromtimestamp(float(tasks.submission_s[i]), UTC)
        duration = timedelta(seconds=float(tasks.duration_s[i]))
        cores = int(tasks.cores[i])
        nodes = 1 if node_cores is None else -(-cores // node_cores)
        jobs.append(
            Job(
                name=f"job-{tasks.ids[i]}",
                kind=JobKind.RIGID,
                release=release,
                deadline=release + duration + deadline_slack,
                duration=duration,
                nodes=nodes,
                cores=cores if nodes == 1 else min(cores, int(node_cores or cores)),
                memory_gb=float(tasks.memory_gb[i]) / nodes,
                sites=sites,
                drop_eur=drop_eur,
                origin="trace",
            )
        )
    return tuple(jobs)


def fit_to_horizon(
    jobs: tuple[Job, ...], horizon: Horizon, duration_margin: float = 0.0
) -> tuple[tuple[Job, ...], tuple[str, ...]]:
    """Jobs that can end inside the horizon, their windows cut to it, and the names of those that cannot.

    A job fits when its run time (with ``duration_margin``), rounded up to slots and begun in the first slot at or after its
    release, ends inside the horizon. The names of the rest belong into ``Scenario.beyond_horizon``, so that no report calls
    a day's work complete that is not.
    """
    kept: list[Job] = []
    beyond: list[str] = []
    for job in jobs:
        release = max(job.release, horizon.start)
        work = horizon.slots_for(job.duration * (1.0 + duration_margin))
        if horizon.ceil_slot(release) + work > horizon.slots:
            beyond.append(job.name)
        else:
            kept.append(replace(job, release=release, deadline=min(job.deadline, horizon.end)))
    return tuple(kept), tuple(beyond)
