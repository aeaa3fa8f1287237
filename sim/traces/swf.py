"""Job logs in the Standard Workload Format of the Parallel Workloads Archive (version 2.2).

Comment lines begin with ``;`` and hold a header (``UnixStartTime``, ``MaxProcs``, ``MaxNodes``); every other line has 18 numbers,
of which four are read here: submit time (2), run time (4), allocated processors (5) and, where these are unknown (-1), requested
processors (8). A run time of -1 or 0, or no processors at all, is the format's word for a job that never ran: it is left out and
counted. Chapin et al., "Benchmarks and Standards for the Evaluation of Parallel Job Schedulers", JSSPP 1999; Feitelson, Tsafrir,
Krakov, "Experience with using the Parallel Workloads Archive", JPDC 74 (2014).
"""

from __future__ import annotations

import numpy as np

from grid.errors import InputError
from grid.horizon import FloatArray
from sim.traces.pieces import blocks, numbers
from sim.traces.trace import Rows, Trace, broken_lines, settled

FIELDS = 18
SUBMIT, RUN, ALLOCATED, REQUESTED = 1, 3, 4, 7
NEVER_RAN = "jobs that never ran (run time -1 or 0) left out"
NO_PROCESSORS = "jobs without processors (-1 or 0) left out"


def read_swf(path: str, *, repair: bool = False) -> Trace:
    """The jobs of a log; ``machines`` is MaxProcs, else MaxNodes, of its header.

    Raises:
        InputError: a line is not 18 numbers, a run time is negative in another way than -1, or nothing ran.
    """
    header: dict[str, str] = {}
    parts: list[FloatArray] = []
    lines: list[FloatArray] = []
    broken: list[tuple[int, str]] = []
    line = 0
    for block in blocks(path):
        numbered = [(line + at, text.strip()) for at, text in enumerate(block, start=1)]
        line += len(block)
        for _, text in numbered:
            if text.startswith(";") and ":" in text:
                name, _, value = text[1:].partition(":")
                header.setdefault(name.strip(), value.strip())
        rows = [(at, text) for at, text in numbered if text and not text.startswith(";")]
        table, at, wrong = _table(rows)
        parts.append(table)
        lines.append(at)
        broken += wrong
    if broken and not repair:
        raise InputError(broken_lines(path, broken, "18 numbers of the Standard Workload Format"))
    table = np.concatenate(parts) if parts else np.zeros((0, FIELDS))
    ran = _ran(table, np.concatenate(lines) if lines else np.zeros(0))
    if broken:
        ran.skipped["lines that are not 18 numbers left out"] = len(broken)
    return settled(
        ran,
        path,
        origin_s=_whole(header, "UnixStartTime"),
        machines=_size(header),
        repair=repair,
        fields=("submit time (field 2)", "run time (field 4)", "processors (field 5)"),
    )


def _table(rows: list[tuple[int, str]]) -> tuple[FloatArray, FloatArray, list[tuple[int, str]]]:
    """Numbers of the lines, their line numbers, and the lines that are no row."""
    cells = [cell for _, text in rows for cell in text.split()]
    table = numbers(cells, FIELDS)
    at = np.array([number for number, _ in rows], dtype=np.float64)
    if table is not None and len(table) == len(rows):
        return table, at, []
    good: list[FloatArray] = []
    kept: list[int] = []
    wrong: list[tuple[int, str]] = []
    for number, text in rows:
        one = numbers(text.split(), FIELDS)
        if one is None or len(one) != 1:
            wrong.append((number, text))
        else:
            good.append(one)
            kept.append(number)
    return (np.concatenate(good) if good else np.zeros((0, FIELDS))), np.array(kept, dtype=np.float64), wrong


def _ran(table: FloatArray, lines: FloatArray) -> Rows:
    """Without the jobs that the format itself says never ran."""
    length = table[:, RUN]
    cpus = np.where(table[:, ALLOCATED] > 0, table[:, ALLOCATED], table[:, REQUESTED])
    never = (length == -1) | (length == 0)
    unknown = ~never & ((cpus == -1) | (cpus == 0))
    keep = ~never & ~unknown
    return Rows(
        table[keep, SUBMIT],
        length[keep],
        cpus[keep],
        np.ones(int(keep.sum())),
        lines[keep].astype(np.int64),
        {NEVER_RAN: int(never.sum()), NO_PROCESSORS: int(unknown.sum())},
    )


def _whole(header: dict[str, str], name: str) -> float | None:
    """A number of the header, or None when it is missing, unknown (-1) or 0."""
    words = header.get(name, "").split()
    try:
        value = float(words[0]) if words else 0.0
    except ValueError:
        return None
    return value if value > 0 else None


def _size(header: dict[str, str]) -> int | None:
    value = _whole(header, "MaxProcs") or _whole(header, "MaxNodes")
    return None if value is None else int(value)
