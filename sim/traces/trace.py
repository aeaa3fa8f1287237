"""A trace of jobs as a structure of arrays, with the repairs that were made on the way.

Faults come in two kinds. What a format allows and only needs tidying (rows out of order, a run that was cancelled before it
began) is tidied and counted. What contradicts itself (a negative duration, a job without processors, one that is wider than
the machine) is refused with line or row, or left out and counted when ``repair`` asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from grid.errors import Finding, InputError
from grid.horizon import FloatArray

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

SHOWN = 3
"""Places of one fault that are spelt out; the rest are counted in the last."""

SORTED = "arrivals put in order"


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Jobs in order of arrival; equal arrivals keep the order of the file.

    Attributes:
        arrival_s: seconds since ``origin_s``, ``[n]``, ascending.
        length_s: run time in seconds, ``[n]``, above 0.
        cpus: processors that a job holds while it runs, ``[n]``, above 0.
        load: share of their power that they draw, ``[n]``, 0 to 1.
        origin_s: Unix second of time zero, or None when the trace knows no calendar.
        machines: processors of the machine that the trace was recorded on, or None when it does not say.
        source: name of the file.
        repairs: what was tidied or left out, and how many rows.
    """

    arrival_s: FloatArray
    length_s: FloatArray
    cpus: FloatArray
    load: FloatArray
    origin_s: float | None
    machines: int | None
    source: str
    repairs: dict[str, int]

    def __len__(self) -> int:
        return len(self.arrival_s)

    @property
    def first(self) -> datetime | None:
        """Arrival of the first job, UTC, or None when the trace knows no calendar."""
        return None if self.origin_s is None else datetime.fromtimestamp(self.origin_s + float(self.arrival_s[0]), UTC)

    def only(self, keep: BoolArray | IntArray, repairs: dict[str, int] | None = None) -> Trace:
        """The jobs where ``keep`` is true, or those at its positions."""
        return replace(
            self,
            arrival_s=self.arrival_s[keep],
            length_s=self.length_s[keep],
            cpus=self.cpus[keep],
            load=self.load[keep],
            repairs=self.repairs if repairs is None else repairs,
        )

    def before(self, span_s: float) -> Trace:
        """The jobs that arrive less than ``span_s`` seconds after the first."""
        return self.only(self.arrival_s - self.arrival_s[0] < span_s)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Columns as a reader found them, in the order of the file.

    Attributes:
        arrival_s, length_s, cpus, load: as in ``Trace``, unchecked; ``NaN`` where the file has no number.
        lines: 1-based line of each row; of a binary file its 1-based row.
        skipped: rows that the format itself declares to be without a run, by reason.
    """

    arrival_s: FloatArray
    length_s: FloatArray
    cpus: FloatArray
    load: FloatArray
    lines: IntArray
    skipped: dict[str, int]


def settled(
    rows: Rows, file: str, *, origin_s: float | None, machines: int | None, repair: bool, fields: tuple[str, str, str]
) -> Trace:
    """A trace from the rows of a file.

    Args:
        rows: the columns.
        file: path as the person gave it.
        origin_s: Unix second of time zero, or None.
        machines: size of the machine, or None.
        repair: leave out rows with faults and count them.
        fields: names of arrival, length and processors in this format, for messages.

    Raises:
        InputError: rows with faults and no ``repair``, or no row is left.
    """
    findings: list[Finding] = []
    repairs = {reason: count for reason, count in rows.skipped.items() if count}
    keep = np.ones(len(rows.arrival_s), dtype=bool)
    checks = (
        (fields[0], rows.arrival_s, ~np.isfinite(rows.arrival_s), "a time in numbers", "arrivals without a number left out"),
        (fields[1], rows.length_s, ~np.isfinite(rows.length_s), "a run time in numbers", "run times without a number left out"),
        (fields[1], rows.length_s, rows.length_s < 0, "a run time above 0", "negative run times left out"),
        (fields[1], rows.length_s, rows.length_s == 0, "a run time above 0", "run times of 0 left out"),
        (
            fields[2],
            rows.cpus,
            ~(rows.cpus > 0) | np.isinf(rows.cpus),
            "at least one processor",
            "jobs without processors left out",
        ),
        ("load", rows.load, ~((rows.load >= 0) & (rows.load <= 1)), "a share from 0 to 1", "loads out of range left out"),
    )
    for field, values, wrong, expected, reason in checks:
        bad = wrong & keep
        if bad.any():
            findings += places(file, field, values, rows.lines, bad, expected)
            repairs[reason] = int(bad.sum())
            keep &= ~bad
    if findings and not repair:
        raise InputError(findings)
    if not keep.any():
        raise InputError([Finding(file, None, fields[0], "no job that can run", "at least one job")])
    trace = Trace(rows.arrival_s, rows.length_s, rows.cpus, rows.load, origin_s, machines, file, repairs).only(keep)
    return _in_order(trace)


def _in_order(trace: Trace) -> Trace:
    """Sorted by arrival, with the number of rows that came before an earlier one."""
    back = int((np.diff(trace.arrival_s) < 0).sum())
    if not back:
        return trace
    order = np.argsort(trace.arrival_s, kind="stable")
    return trace.only(order, {**trace.repairs, SORTED: back})


def fits(trace: Trace, machines: int, *, repair: bool) -> Trace:
    """The trace on ``machines`` processors.

    Raises:
        InputError: a job is wider than that, and ``repair`` does not ask to leave it out; or none is left.
    """
    wide = trace.cpus > machines
    if not wide.any():
        return trace
    if not repair:
        number = np.arange(1, len(trace) + 1)
        raise InputError(
            places(trace.source, "cpus", trace.cpus, number, wide, f"at most the {machines} of the machine", unit="job")
        )
    if wide.all():
        raise InputError([Finding(trace.source, None, "cpus", "every job is wider than the machine", f"at most {machines}")])
    return trace.only(~wide, {**trace.repairs, "jobs wider than the machine left out": int(wide.sum())})


def places(
    file: str, field: str, values: FloatArray, lines: Sequence[int] | IntArray, bad: BoolArray, expected: str, unit: str = ""
) -> list[Finding]:
    """One finding for each of the first places where ``bad`` is true; the last says how many more there are."""
    at = np.flatnonzero(bad)
    found = []
    for position, row in enumerate(at[:SHOWN]):
        more = len(at) - SHOWN if position == SHOWN - 1 else 0
        value = float(values[row])
        text = "no number" if np.isnan(value) else f"{value:g}"
        where = f" ({unit} {int(lines[row])})" if unit else ""
        tail = f" (and {more} more like it)" if more > 0 else ""
        found.append(Finding(file, None if unit else int(lines[row]), field, f"{text}{where}{tail}", expected))
    return found


def broken_lines(file: str, broken: Sequence[tuple[int, str]], expected: str, separator: str | None = None) -> list[Finding]:
    """One finding for each of the first lines that are no row; the last says how many more there are.

    Args:
        file: path as the person gave it.
        broken: line and text of each.
        expected: what a row is.
        separator: between fields; white space when None.
    """
    found = []
    for position, (line, text) in enumerate(broken[:SHOWN]):
        more = len(broken) - SHOWN if position == SHOWN - 1 else 0
        tail = f" (and {more} more like it)" if more > 0 else ""
        found.append(Finding(file, line, "", f"{len(text.split(separator))} fields in {text[:50]!r}{tail}", expected))
    return found
