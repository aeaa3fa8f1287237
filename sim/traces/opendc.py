"""Traces of OpenDC: a task table, and beside it, where there is one, a fragment table with the load over time (both Parquet).

Tasks have ``submission_time`` (once called ``start_time``) and ``duration``, in milliseconds since 1970 or as timestamps,
``cpu_count`` and ``cpu_capacity`` (MHz of all of them). Fragments have ``id``, ``duration`` and ``cpu_usage`` (MHz): a task's
``load`` is their mean over time as a share of its capacity, 1 without fragments. The table is read in row groups. ``deadline``
and ``deferrable`` are not read: in the published SURF trace they are a rule (24 hours), not data (see ``scheduler.traces``).
Mastenbroek et al., "OpenDC 2.0", CCGrid 2021 (github.com/atlarge-research/opendc).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grid.errors import Finding, InputError
from grid.horizon import FloatArray
from sim.traces.trace import Rows, Trace, settled

TASKS, FRAGMENTS = "tasks.parquet", "fragments.parquet"
BATCH_ROWS = 1 << 16
NO_FRAGMENT = "tasks without a fragment taken at full load"
CAPPED = "loads above the capacity taken as full load"


def read_opendc(path: str, *, repair: bool = False) -> Trace:
    """A task table, or a folder with ``tasks.parquet`` and ``fragments.parquet``.

    Raises:
        InputError: not such a file (or cut off), a column is missing, or rows have faults.
    """
    folder = Path(path)
    tasks = folder / TASKS if folder.is_dir() else folder
    time = "submission_time" if "submission_time" in _names(str(tasks)) else "start_time"
    wanted = [time, "duration", "cpu_count"]
    fragments = folder / FRAGMENTS
    loaded = folder.is_dir() and fragments.is_file()
    if loaded:
        wanted += ["id", "cpu_capacity"]
    table = np.concatenate(list(_columns(str(tasks), wanted)) or [np.zeros((0, len(wanted)))])
    arrival_s, length_s, cpus = table[:, 0] / 1000.0, table[:, 1] / 1000.0, table[:, 2]
    load = np.ones(len(table))
    skipped: dict[str, int] = {}
    if loaded:
        load, skipped = _loads(str(fragments), table[:, 3], table[:, 4])
    origin = float(np.floor(np.nanmin(arrival_s))) if len(table) and np.isfinite(arrival_s).any() else 0.0
    rows = Rows(arrival_s - origin, length_s, cpus, load, np.arange(1, len(table) + 1, dtype=np.int64), skipped)
    return settled(rows, str(tasks), origin_s=origin, machines=None, repair=repair, fields=(time, "duration", "cpu_count"))


def _loads(path: str, ids: FloatArray, capacity_mhz: FloatArray) -> tuple[FloatArray, dict[str, int]]:
    """Mean load of each task, ``[n]``, and what was assumed for how many."""
    order = np.argsort(ids, kind="stable")
    used, time = np.zeros(len(ids)), np.zeros(len(ids))
    for part in _columns(path, ["id", "duration", "cpu_usage"]):
        at = np.searchsorted(ids[order], part[:, 0])
        known = (at < len(ids)) & (ids[order][np.minimum(at, len(ids) - 1)] == part[:, 0])
        row = order[at[known]]
        np.add.at(used, row, part[known, 1] * part[known, 2])
        np.add.at(time, row, part[known, 1])
    none = ~(time > 0)
    load = np.where(none, 1.0, used / np.where(none, 1.0, time) / np.where(capacity_mhz > 0, capacity_mhz, np.nan))
    over = load > 1.0
    return np.where(over, 1.0, load), {NO_FRAGMENT: int(none.sum()), CAPPED: int(over.sum())}


def _names(path: str) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return [str(name) for name in file.schema_arrow.names]
    except (OSError, pa.ArrowException) as error:
        raise InputError([_unreadable(path, error)]) from error


def _columns(path: str, wanted: Sequence[str]) -> Iterator[FloatArray]:
    """Batches of the columns as numbers, ``[n, len(wanted)]``; times in milliseconds.

    Raises:
        InputError: every column that is missing or of another kind; a file that ends before its end.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = _names(path)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise InputError([Finding(path, None, name, ", ".join(names)[:80], f"a column {name!r}") for name in missing])
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(wanted)):
                yield np.column_stack([_numbers(path, name, batch.column(name)) for name in wanted])
    except (OSError, pa.ArrowException) as error:
        raise InputError([_unreadable(path, error)]) from error


def _numbers(path: str, name: str, column: Any) -> FloatArray:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("ms", tz=kind.tz)).cast(pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise InputError([Finding(path, None, name, str(kind), "numbers or timestamps")])
    filled = column.cast(pa.float64()).fill_null(float("nan"))
    return np.array(np.from_dlpack(filled), dtype=np.float64)


def _unreadable(path: str, error: Exception) -> Finding:
    return Finding(path, None, "", f"{type(error).__name__}: {error}".splitlines()[0][:160], "a whole Parquet file (truncated?)")
