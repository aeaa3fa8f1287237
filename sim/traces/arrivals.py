"""Job lists as CSV with arrival, length and processors, the way GAIA keeps them.

Columns ``arrival_time`` (or ``arrival``) and ``length`` in seconds, ``cpus``; other columns are not read. Time zero is no
calendar date. Hanafy et al., "Going Green for Less Green: Optimizing the Cost of Reducing Cloud Carbon Emissions", ASPLOS 2024
(github.com/umassos/GAIA).
"""

from __future__ import annotations

import csv
import difflib

import numpy as np

from grid.errors import Finding, InputError
from grid.horizon import FloatArray
from sim.traces.pieces import blocks, number
from sim.traces.trace import Rows, Trace, settled

ARRIVAL, LENGTH, CPUS = ("arrival_time", "arrival"), ("length",), ("cpus",)


def read_arrivals(path: str, *, repair: bool = False) -> Trace:
    """The jobs of a list.

    Raises:
        InputError: no table, a column is missing, or a row has faults (see ``trace``).
    """
    columns: tuple[int, int, int] | None = None
    parts: list[FloatArray] = []
    lines: list[int] = []
    line = 0
    for block in blocks(path):
        first = line
        line += len(block)
        texts = [(first + at, text) for at, text in enumerate(block, start=1) if text.strip() and not text.startswith("#")]
        try:
            rows = list(csv.reader(text for _, text in texts))
        except csv.Error as error:
            raise InputError([Finding(path, None, "", str(error), "a table of text")]) from error
        if columns is None and rows:
            columns = _columns(path, texts[0][0], [name.strip() for name in rows[0]])
            texts, rows = texts[1:], rows[1:]
        if columns is not None:
            parts.append(_numbers(rows, columns))
            lines += [at for at, _ in texts]
    if columns is None:
        raise InputError([Finding(path, None, "", "an empty file", "a header with arrival_time, length and cpus")])
    table = np.concatenate(parts)
    return settled(
        Rows(table[:, 0], table[:, 1], table[:, 2], np.ones(len(table)), np.array(lines, dtype=np.int64), {}),
        path,
        origin_s=None,
        machines=None,
        repair=repair,
        fields=("arrival_time", "length", "cpus"),
    )


def _columns(path: str, line: int, header: list[str]) -> tuple[int, int, int]:
    """Positions of the three columns, or every one that is missing."""
    findings = []
    at = []
    for names in (ARRIVAL, LENGTH, CPUS):
        here = next((header.index(name) for name in names if name in header), None)
        if here is None:
            nearest = difflib.get_close_matches(names[0], header, 1)
            expected = f"a column {names[0]!r} (arrival and length in seconds)"
            findings.append(Finding(path, line, names[0], ", ".join(header)[:80], expected, nearest[0] if nearest else None))
        else:
            at.append(here)
    if findings:
        raise InputError(findings)
    return at[0], at[1], at[2]


def _numbers(rows: list[list[str]], columns: tuple[int, int, int]) -> FloatArray:
    """``[n, 3]``, ``NaN`` for a cell that is no number."""
    try:
        return np.array([[row[at] for at in columns] for row in rows], dtype=np.float64).reshape(-1, 3)
    except (ValueError, IndexError):
        cells = [[number(row[at]) if at < len(row) else float("nan") for at in columns] for row in rows]
        return np.array(cells, dtype=np.float64).reshape(-1, 3)
