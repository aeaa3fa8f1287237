"""Public tables of large clouds as job traces, told by their columns: CSV without a header (or with one), read in blocks.

===================  ====================================================================================================
``batch_task.csv``   Alibaba cluster-trace-v2018: task_name, instance_num, job_name, task_type, status, start_time,
                     end_time, plan_cpu (100 is one core), plan_mem (schema.md of github.com/alibaba/clusterdata)
``pai_task_table``   Alibaba cluster-trace-gpu-v2020: job_name, task_name, inst_num, status, start_time, end_time,
                     plan_cpu (600 is six cores), plan_mem, plan_gpu, gpu_type (README.md of the same; Weng et al.,
                     "MLaaS in the Wild", NSDI 2022)
``vmtable.csv``      Azure public dataset V1 and V2: vmid, subscriptionid, deploymentid, vmcreated, vmdeleted, maxcpu,
                     avgcpu (%), p95maxcpu, vmcategory, cores (V2: a bucket such as ``>24``), memory
                     (AzurePublicDatasetV1.md and V2.md of github.com/Azure/AzurePublicDataset; Cortez et al.,
                     "Resource Central", SOSP 2017)
===================  ====================================================================================================

Times are seconds and know no calendar. The tables do not say when work was submitted: a task arrives when it started, a machine
when it was created. All instances of a task count as running at once, for the whole time of the task, which is the most that it
can have held. GPUs and memory are not read. Tasks that had not ended have no end and are left out and counted.

The real files were not at hand: this follows their public documentation and was tested on small files of that shape.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grid.errors import Finding, InputError
from grid.horizon import FloatArray
from sim.traces.pieces import blocks, number
from sim.traces.trace import Rows, Trace, broken_lines, settled

BoolArray = npt.NDArray[np.bool_]
ENDED = ("Terminated", "Failed")
"""Statuses of tasks that are over; only these have an end."""
NOT_ENDED = "tasks that had not ended left out"
OPEN_BUCKET = "core buckets without an upper end taken at their lower end"
AT_THE_EDGE = "machines that live beyond the trace taken as long as they are seen"
LOST_LINES = "lines with another number of fields left out"


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What a block of rows holds.

    Attributes:
        arrival_s, end_s, cpus, load: ``[n]``, ``NaN`` where there is no number.
        keep: rows that have run and ended, ``[n]``.
    """

    arrival_s: FloatArray
    end_s: FloatArray
    cpus: FloatArray
    load: FloatArray
    keep: BoolArray


Read = Callable[[dict[str, tuple[str, ...]], Counter[str]], Block]


@dataclass(frozen=True, slots=True)
class Table:
    """A kind of table.

    Attributes:
        name: for people; columns: in order.
        numeric: columns that hold numbers in every row, by which the table is known; a header has their names there.
        fields: names of arrival, end and processors, for messages.
        read: makes sense of a block of its columns, and counts what it had to assume.
    """

    name: str
    columns: tuple[str, ...]
    numeric: tuple[str, ...]
    fields: tuple[str, str, str]
    read: Read

    def knows(self, row: Sequence[str]) -> bool:
        """True when ``row`` is a header or a row of this table."""
        cells = [cell.strip() for cell in row]
        if len(cells) != len(self.columns):
            return False
        at = dict(zip(self.columns, cells, strict=True))
        return self.is_header(cells) or all(np.isfinite(number(at[name])) for name in self.numeric)

    def is_header(self, cells: Sequence[str]) -> bool:
        """True when ``cells`` names the columns of numbers, at their places."""
        return all(cells[self.columns.index(name)].strip().lower() == name for name in self.numeric)


def table_of(row: Sequence[str]) -> Table | None:
    """The table whose header or first row this may be."""
    return next((table for table in TABLES if table.knows(row)), None)


def read_table(path: str, table: Table, *, repair: bool = False) -> Trace:
    """The jobs of a table.

    Raises:
        InputError: lines of another width, or rows with faults (see ``trace``).
    """
    parts: list[Block] = []
    lines: list[npt.NDArray[np.int64]] = []
    broken: list[tuple[int, str]] = []
    counted: Counter[str] = Counter()
    line = 0
    for block in blocks(path):
        at = np.arange(line + 1, line + len(block) + 1)
        first, line = line == 0, line + len(block)
        try:
            rows = list(csv.reader(text if text.strip() else "," for text in block))
        except csv.Error as error:
            raise InputError([Finding(path, None, "", str(error), f"a table of text: {table.name}")]) from error
        good = np.array([len(row) == len(table.columns) for row in rows], dtype=np.bool_)
        if first and good[0] and table.is_header(rows[0]):
            rows, at, good = rows[1:], at[1:], good[1:]
        texts = block[len(block) - len(rows) :]
        broken += [(int(at[k]), texts[k].strip()) for k in np.flatnonzero(~good) if texts[k].strip()]
        kept = [row for row, right in zip(rows, good, strict=True) if right]
        if kept:
            parts.append(table.read(dict(zip(table.columns, zip(*kept, strict=True), strict=True)), counted))
            lines.append(at[good])
    if broken and not repair:
        expected = f"{len(table.columns)} fields of {table.name}: {', '.join(table.columns)}"
        raise InputError(broken_lines(path, broken, expected, separator=","))
    if broken:
        counted[LOST_LINES] = len(broken)
    return _settled(path, table, parts, lines, dict(counted), repair=repair)


def _settled(
    path: str,
    table: Table,
    parts: list[Block],
    lines: list[npt.NDArray[np.int64]],
    counted: dict[str, int],
    *,
    repair: bool,
) -> Trace:
    """The trace of all blocks."""
    whole = [np.concatenate([getattr(part, name) for part in parts] or [np.zeros(0)]) for name in Block.__dataclass_fields__]
    arrival, end, cpus, load, keep = whole
    keep, numbers = keep.astype(np.bool_), np.concatenate(lines or [np.zeros(0, dtype=np.int64)])
    if table is AZURE and len(end):
        counted[AT_THE_EDGE] = int(((end == np.nanmax(end)) | (arrival == np.nanmin(arrival)))[keep].sum())
    return settled(
        Rows(arrival[keep], (end - arrival)[keep], cpus[keep], load[keep], numbers[keep], counted),
        path,
        origin_s=None,
        machines=None,
        repair=repair,
        fields=(table.fields[0], f"{table.fields[1]} less {table.fields[0]}", table.fields[2]),
    )


def _numbers(cells: Sequence[str]) -> FloatArray:
    """``[n]``, ``NaN`` for a cell that is no number."""
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        return np.array([number(cell) for cell in cells], dtype=np.float64)


def _tasks(instances: str) -> Read:
    """A reader of tasks: so many instances, each with its share of a hundred a core."""

    def read(cells: dict[str, tuple[str, ...]], counted: Counter[str]) -> Block:
        keep = np.array([status in ENDED for status in cells["status"]], dtype=np.bool_)
        counted[NOT_ENDED] += int((~keep).sum())
        cpus = _numbers(cells[instances]) * _numbers(cells["plan_cpu"]) / 100.0
        return Block(_numbers(cells["start_time"]), _numbers(cells["end_time"]), cpus, np.ones(len(keep)), keep)

    return read


def _machines(cells: dict[str, tuple[str, ...]], counted: Counter[str]) -> Block:
    """Virtual machines: their cores, and their mean use as load."""
    cores = cells["vmcorecount"]
    counted[OPEN_BUCKET] += sum(core.startswith(">") for core in cores)
    found = _numbers([core.removeprefix(">") for core in cores])
    load = _numbers(cells["avgcpu"]) / 100.0
    return Block(_numbers(cells["vmcreated"]), _numbers(cells["vmdeleted"]), found, load, np.ones(len(cores), dtype=np.bool_))


BATCH_TASK = Table(
    "Alibaba's batch_task of 2018",
    ("task_name", "instance_num", "job_name", "task_type", "status", "start_time", "end_time", "plan_cpu", "plan_mem"),
    ("instance_num", "start_time"),
    ("start_time", "end_time", "plan_cpu"),
    _tasks("instance_num"),
)
PAI_TASK = Table(
    "Alibaba's pai_task_table of 2020",
    (
        "job_name",
        "task_name",
        "inst_num",
        "status",
        "start_time",
        "end_time",
        "plan_cpu",
        "plan_mem",
        "plan_gpu",
        "gpu_type",
    ),
    ("inst_num", "start_time"),
    ("start_time", "end_time", "plan_cpu"),
    _tasks("inst_num"),
)
AZURE = Table(
    "Azure's vmtable",
    (
        "vmid",
        "subscriptionid",
        "deploymentid",
        "vmcreated",
        "vmdeleted",
        "maxcpu",
        "avgcpu",
        "p95maxcpu",
        "vmcategory",
        "vmcorecount",
        "vmmemory",
    ),
    ("vmcreated", "vmdeleted"),
    ("vmcreated", "vmdeleted", "vmcorecount"),
    _machines,
)
TABLES = (BATCH_TASK, PAI_TASK, AZURE)
"""Every table, by the number of its columns."""
