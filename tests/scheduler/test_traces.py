"""Jobs of recorded traces: units, order, the deadline rule, what cannot end inside the horizon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import FeedError
from grid.horizon import Horizon
from scheduler.traces import fit_to_horizon, read_opendc_tasks, read_tasks
from scheduler.workload import Job, JobKind

START = datetime(2022, 7, 4, 22, tzinfo=UTC)
DAY = Horizon(START, timedelta(minutes=15), 96)
ALL: dict[str, Any] = {"start": START, "end": DAY.end, "sites": ("hall",)}


def write(path: Path, rows: list[tuple[int, float, float, int]]) -> Path:
    """A tasks file of (id, hours after START, run time in hours, cores)."""
    start_ms = int(START.timestamp() * 1000)
    table = {
        "id": pa.array([row[0] for row in rows], pa.int32()),
        "submission_time": pa.array([start_ms + int(row[1] * 3_600_000) for row in rows], pa.int64()),
        "duration": pa.array([int(row[2] * 3_600_000) for row in rows], pa.int64()),
        "cpu_count": pa.array([row[3] for row in rows], pa.int32()),
        "mem_capacity": pa.array([100_000] * len(rows), pa.int64()),
        "deadline": pa.array([0] * len(rows), pa.int64()),
    }
    pq.write_table(pa.table(table), path)
    return path


ROWS = [(3, 5.0, 2.0, 16), (1, 0.0, 1.0, 16), (2, 5.0, 30.0, 16), (9, -1.0, 1.0, 16), (8, 24.0, 1.0, 16)]


def test_jobs_come_in_order_of_submission_with_the_stated_rule(tmp_path: Path) -> None:
    """Milliseconds are read, rows sorted (ties by id), the period is half-open, and deadline = submission + run time + 24 h."""
    jobs = read_opendc_tasks(write(tmp_path / "t.parquet", ROWS), **ALL)
    assert [job.name for job in jobs] == ["job-1", "job-2", "job-3"]
    assert [job.duration for job in jobs] == [timedelta(hours=1), timedelta(hours=30), timedelta(hours=2)]
    assert all(job.deadline == job.release + job.duration + timedelta(hours=24) for job in jobs)
    assert jobs[0].release == START
    assert {(job.cores, job.nodes, job.kind, job.origin, job.sites) for job in jobs} == {
        (16, 1, JobKind.RIGID, "trace", ("hall",))
    }
    assert jobs[0].memory_gb == pytest.approx(104.8576)  # 100,000 MiB in decimal GB


def test_timestamps_are_read_like_milliseconds(tmp_path: Path) -> None:
    """Newer traces keep the submission as a timestamp, with or without a zone; the jobs are the same."""
    path = write(tmp_path / "t.parquet", ROWS)
    plain, table = read_opendc_tasks(path, **ALL), pq.read_table(path)
    at = table.column_names.index("submission_time")
    for kind in (pa.timestamp("ms"), pa.timestamp("us", tz="UTC"), pa.timestamp("ns")):
        stamps = table["submission_time"].cast(pa.timestamp("ms")).cast(pa.timestamp(kind.unit)).cast(kind)
        pq.write_table(table.set_column(at, "submission_time", stamps), tmp_path / "s.parquet")
        assert read_opendc_tasks(tmp_path / "s.parquet", **ALL) == plain


def test_limit_takes_the_first_jobs(tmp_path: Path) -> None:
    """A limit is no random sample: the first jobs in order of submission."""
    path = write(tmp_path / "t.parquet", ROWS)
    assert [job.name for job in read_opendc_tasks(path, **ALL, limit=2)] == ["job-1", "job-2"]


def test_wide_jobs_take_several_nodes(tmp_path: Path) -> None:
    """64 cores on nodes of 16 are four nodes with a quarter of the memory each; without a node size they are one wide node."""
    path = write(tmp_path / "t.parquet", [(1, 0, 1, 64), (2, 0, 1, 8)])
    wide, small = read_opendc_tasks(path, **ALL, node_cores=16)
    assert (wide.nodes, wide.cores) == (4, 16)
    assert wide.memory_gb == pytest.approx(104.8576 / 4)
    assert (small.nodes, small.cores) == (1, 8)
    assert read_opendc_tasks(path, **ALL)[0].cores == 64


def test_jobs_that_cannot_end_are_named_and_windows_are_cut(tmp_path: Path) -> None:
    """The job of 30 h is named; the deadlines of the others are cut at the horizon's end."""
    kept, beyond = fit_to_horizon(read_opendc_tasks(write(tmp_path / "t.parquet", ROWS), **ALL), DAY)
    assert beyond == ("job-2",)
    assert [job.name for job in kept] == ["job-1", "job-3"]
    assert all(job.deadline <= DAY.end for job in kept)


@given(st.integers(-10_000, 100_000), st.integers(1, 100_000), st.sampled_from([5, 15, 60]), st.floats(0, 1))
def test_a_job_fits_exactly_when_its_slots_do(release_s: int, duration_s: int, minutes: int, margin: float) -> None:
    """Kept jobs have their whole slots between release and the horizon's end; named ones have not. None is lost."""
    horizon = Horizon(START, timedelta(minutes=minutes), 24 * 60 // minutes)
    release = START + timedelta(seconds=release_s)
    duration = timedelta(seconds=duration_s)
    job = Job("j", JobKind.RIGID, release, release + duration + timedelta(hours=24), duration, sites=("hall",))
    kept, beyond = fit_to_horizon((job,), horizon, margin)
    assert len(kept) + len(beyond) == 1
    first = max(0, horizon.ceil_slot(release))
    room = horizon.slots - first
    assert bool(kept) == (horizon.slots_for(duration * (1 + margin)) <= room)
    for inside in kept:
        assert horizon.start <= inside.release <= inside.deadline <= horizon.end


def test_wrong_files_and_periods_are_refused(tmp_path: Path) -> None:
    """Nonsense, a file without a column, a run time of zero, no job in the period (told which there is), naive times."""
    nonsense = tmp_path / "n.parquet"
    nonsense.write_bytes(b"nonsense" * 100)
    other = tmp_path / "o.parquet"
    pq.write_table(pa.table({"id": [1]}), other)
    for path in (nonsense, other, tmp_path / "none.parquet"):
        with pytest.raises(FeedError, match="not an OpenDC tasks file"):
            read_tasks(path)
    with pytest.raises(FeedError, match="positive run time"):
        read_tasks(write(tmp_path / "z.parquet", [(1, 0, 0, 16)]))
    with pytest.raises(FeedError, match="1 ids stand twice"):
        read_tasks(write(tmp_path / "d.parquet", [(1, 0, 1, 16), (1, 5, 2, 16), (2, 5, 2, 16)]))
    with pytest.raises(FeedError, match="a run time above ten years"):
        read_tasks(write(tmp_path / "y.parquet", [(1, 0, 100_000, 16)]))
    for column, value, says in (
        ("duration", ["long"], "not an OpenDC tasks file"),
        ("mem_capacity", [float("nan")], "no number"),
        ("mem_capacity", [-1], "memory below 0"),
        ("submission_time", pa.array([None], pa.timestamp("ms")), "no number"),
    ):
        table = pq.read_table(write(tmp_path / "c.parquet", [(1, 0, 1, 16)]))
        odd = table.set_column(table.column_names.index(column), column, [value])
        pq.write_table(odd, tmp_path / "c.parquet")
        with pytest.raises(FeedError, match=says):
            read_tasks(tmp_path / "c.parquet")
    path = write(tmp_path / "t.parquet", ROWS)
    with pytest.raises(FeedError, match="the file holds 2022-07-04T21:00Z to 2022-07-05T22:00Z"):
        read_opendc_tasks(path, start=DAY.end + timedelta(days=1), end=DAY.end + timedelta(days=2), sites=("hall",))
    with pytest.raises(FeedError, match="time zone"):
        read_opendc_tasks(path, start=START.replace(tzinfo=None), end=DAY.end, sites=("hall",))


@pytest.mark.data
def test_real_day_of_the_surf_scenario(data: Path) -> None:
    """5 July 2022 has 610 jobs; 596 can end within the day, whole nodes of 16 cores all of them."""
    jobs = read_opendc_tasks(data / "jobs" / "surf_2022_tasks.parquet", **ALL)
    kept, beyond = fit_to_horizon(jobs, DAY)
    assert (len(jobs), len(kept) + len(beyond)) == (610, 610)
    assert 590 <= len(kept) <= 596  # those that end before midnight, rounded up to quarters of an hour
    assert {job.cores for job in jobs} == {16}
    lost = sum((job.duration for job in jobs if job.name in set(beyond)), timedelta())
    assert lost / sum((job.duration for job in jobs), timedelta()) == pytest.approx(0.67, abs=0.02)
