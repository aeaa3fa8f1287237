"""Which format a trace has: told by what is in the file, not by its name."""

from __future__ import annotations

import csv
from pathlib import Path

from grid.errors import Finding, InputError
from sim.traces.arrivals import read_arrivals
from sim.traces.opendc import read_opendc
from sim.traces.pieces import blocks
from sim.traces.swf import read_swf
from sim.traces.tables import read_table, table_of
from sim.traces.trace import Trace

PARQUET = b"PAR1"
KINDS = (
    "an SWF log, a CSV of arrival_time, length and cpus, a table of Alibaba (batch_task, pai_task_table) or Azure (vmtable), or "
    "an OpenDC task table (Parquet, or a folder with tasks.parquet)"
)


def read_trace(path: str, *, repair: bool = False) -> Trace:
    """The jobs of a file in any of the known formats.

    Args:
        path: SWF (also gzipped), CSV with a header, a table of Alibaba or Azure, Parquet of OpenDC's tasks, or a folder of them.
        repair: leave out rows with faults and count them, instead of refusing the file.

    Raises:
        InputError: there is no such file, it is of no known format, or it has faults; all of them.
    """
    place = Path(path)
    if not place.exists():
        raise InputError([Finding(path, None, "--jobs", "no such file", KINDS)])
    if place.is_dir():
        if not (place / "tasks.parquet").is_file():
            raise InputError([Finding(path, None, "--jobs", "a folder without tasks.parquet", KINDS)])
        return read_opendc(path, repair=repair)
    if place.suffix == ".parquet" or _begins_like_parquet(place):
        return read_opendc(path, repair=repair)
    first = _first_row(path)
    if first is None:
        raise InputError([Finding(path, None, "--jobs", "an empty file", KINDS)])
    if "," in first:
        table = table_of(next(csv.reader([first])))
        return read_arrivals(path, repair=repair) if table is None else read_table(path, table, repair=repair)
    if len(first.split()) > 1 and _numeric(first.split()[0]):
        return read_swf(path, repair=repair)
    raise InputError([Finding(path, None, "--jobs", repr(first[:60]), KINDS)])


def _begins_like_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == PARQUET
    except OSError as error:
        raise InputError([Finding(str(path), None, "--jobs", str(error), KINDS)]) from error


def _first_row(path: str) -> str | None:
    """The first line that is no comment."""
    for block in blocks(path):
        for line in block:
            text = line.strip()
            if text and text[0] not in ";#":
                return text
    return None


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
