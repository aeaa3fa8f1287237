"""A reading: what one outside file said, with everything that is wrong with it.

A reader never repairs in silence. It puts the rows on a regular grid of half-open steps, leaves ``NaN`` where the file
says nothing, and lists each fault with its line. Whoever asks for a ``Series`` decides what a fault means: ``repair="none"``
refuses (the faults are named in the error), ``repair="interpolate"`` fills by straight lines between the neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

from grid.errors import FeedError
from grid.horizon import FloatArray, Horizon
from grid.series import Series

Repair = Literal["none", "interpolate"]

FIRST_YEAR, LAST_YEAR = 1900, 2200
"""Years that a series may be of: a time outside is a misprint, or in another unit."""
MOST_STEPS = 40_000_000
"""Steps of a series, more than a year of seconds: what comes to more has a misprint in one of its times."""
SHOWN_FAULTS = 5
"""Faults that an error message spells out; the rest are counted."""


class FaultKind(StrEnum):
    """What can be wrong in a time series of outside data."""

    GAP = "gap"
    """steps that the file does not have"""
    DUPLICATE = "duplicate"
    """a step that stands twice or more (the first row is kept)"""
    UNSORTED = "unsorted"
    """a row that is earlier than the row before it"""
    NOT_A_NUMBER = "not_a_number"
    """an empty or non-numeric value"""
    OFF_GRID = "off_grid"
    """a row between two steps of the grid (it is left out)"""
    INVENTED_HOUR = "invented_hour"
    """a local time that the clock skipped in spring (the row is left out)"""
    MISSING_SECOND_HOUR = "missing_second_hour"
    """the hour that the clock repeats in autumn stands only once (the row is taken as the first of the two)"""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a file.

    Attributes:
        kind: what it is.
        where: when, in ISO format (UTC, or the local clock of the file when it says so).
        rows: rows or steps concerned.
        line: 1-based line of the file where it is seen (of a gap: the row after it), or None in a binary file.
    """

    kind: FaultKind
    where: str
    rows: int
    line: int | None = None

    def __str__(self) -> str:
        place = "" if self.line is None else f"line {self.line}: "
        return f"{place}{self.kind.value.replace('_', ' ')} at {self.where} ({self.rows} row{'s' if self.rows != 1 else ''})"


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Values on regular half-open steps, ``NaN`` where the file says nothing.

    Attributes:
        edges_s: strictly ascending Unix seconds, ``[n + 1]``; ``values[i]`` holds on ``[edges_s[i], edges_s[i + 1])``.
        values: ``[n]``, ``NaN`` where missing.
        unit: unit of the values.
        source: where they come from, for reports.
        faults: everything that was found wrong, in order of the file.
    """

    edges_s: FloatArray
    values: FloatArray
    unit: str
    source: str
    faults: tuple[Fault, ...] = ()

    @property
    def missing(self) -> int:
        """Number of steps without a value."""
        return int(np.isnan(self.values).sum())

    def series(self, repair: Repair = "none") -> Series:
        """The reading as a series.

        Args:
            repair: ``none`` refuses a file with faults; ``interpolate`` fills missing steps by straight lines between the
                neighbouring values (at the ends: the nearest value) and says so in the source.

        Raises:
            FeedError: there are faults and ``repair`` is ``none``, or no value at all.
        """
        known = ~np.isnan(self.values)
        if not known.any():
            raise FeedError(f"{self.source}: not a single value")
        if not self.faults:
            return Series(self.edges_s, self.values, self.unit, self.source)
        if repair == "none":
            raise FeedError(f"{self.source}: {describe(self.faults)}; ask for repair: interpolate to fill by straight lines")
        middle = (self.edges_s[:-1] + self.edges_s[1:]) / 2
        filled = np.interp(middle, middle[known], self.values[known])
        note = f"{self.source} ({int((~known).sum())} of {len(known)} steps filled by straight lines)"
        return Series(self.edges_s, filled, self.unit, note)

    def within(self, horizon: Horizon) -> Reading:
        """The part that touches ``horizon``, with the faults of the whole file only when a step of the part is missing.

        A file with a bad week in March says nothing against a day in July.

        Raises:
            FeedError: the file does not cover the horizon.
        """
        if self.edges_s[0] > horizon.start_s or self.edges_s[-1] < horizon.end_s:
            raise FeedError(
                f"{self.source} covers {iso(self.edges_s[0])} to {iso(self.edges_s[-1])}, "
                f"the horizon needs {horizon.start:%Y-%m-%dT%H:%MZ} to {horizon.end:%Y-%m-%dT%H:%MZ}"
            )
        first = int(np.searchsorted(self.edges_s, horizon.start_s, side="right")) - 1
        last = int(np.searchsorted(self.edges_s, horizon.end_s, side="left"))
        values = self.values[first:last]
        faults = self.faults if np.isnan(values).any() else ()
        return Reading(self.edges_s[first : last + 1], values, self.unit, self.source, faults)


def iso(moment_s: float) -> str:
    """A Unix second in ISO format, UTC, to the minute; as the number that it is where no calendar has it."""
    try:
        return datetime.fromtimestamp(float(moment_s), UTC).strftime("%Y-%m-%dT%H:%MZ")
    except (ValueError, OverflowError, OSError):
        return f"Unix second {float(moment_s):g}"


def describe(faults: Sequence[Fault]) -> str:
    """The faults in one line: the first few in full, the rest counted."""
    shown = "; ".join(str(fault) for fault in faults[:SHOWN_FAULTS])
    rest = len(faults) - SHOWN_FAULTS
    return f"{len(faults)} fault{'s' if len(faults) != 1 else ''}: {shown}" + (f"; and {rest} more" if rest > 0 else "")


def regular(
    times_s: npt.ArrayLike,
    values: npt.ArrayLike,
    unit: str,
    source: str,
    *,
    step_s: float | None = None,
    lines: Sequence[int] | None = None,
    faults: Sequence[Fault] = (),
    explained: Mapping[float, FaultKind] | None = None,
) -> Reading:
    """Rows of a file put on a regular grid of half-open steps, every fault noted.

    Args:
        times_s: Unix second at which the step of each row begins, in the order of the file.
        values: value of each row; ``NaN`` for a row without a number.
        unit: unit of the values.
        source: name of the file for messages and reports.
        step_s: length of a step; by default the most frequent distance between neighbouring rows.
        lines: file line of each row, or None.
        faults: faults that the reader has already found.
        explained: kind of a one-step gap by its time, where the reader knows better than ``gap``; such a gap is not
            reported again.

    Raises:
        FeedError: fewer than two different times, a time in no year that is read, or times that come to too many steps.
    """
    times = _in_the_calendar(np.asarray(times_s, dtype=np.float64), source)
    numbers = np.asarray(values, dtype=np.float64)
    found = list(faults)

    def line_of(row: int) -> int | None:
        return None if lines is None else lines[row]

    found += [Fault(FaultKind.NOT_A_NUMBER, iso(times[i]), 1, line_of(int(i))) for i in np.flatnonzero(~np.isfinite(numbers))]
    backwards = np.flatnonzero(np.diff(times) < 0) + 1
    found += [Fault(FaultKind.UNSORTED, iso(times[i]), 1, line_of(int(i))) for i in backwards]
    order = np.argsort(times, kind="stable")
    unique, first_at = np.unique(times[order], return_index=True)
    if len(unique) < 2:
        raise FeedError(f"{source}: {len(unique)} different times; a series needs at least two")
    repeated = np.setdiff1d(np.arange(len(times)), first_at)
    found += [Fault(FaultKind.DUPLICATE, iso(times[order[i]]), 1, line_of(int(order[i]))) for i in repeated]
    rows = order[first_at]

    if step_s is None:
        distances, counts = np.unique(np.diff(unique), return_counts=True)
        step_s = float(distances[np.argmax(counts)])
    position = (unique - unique[0]) / step_s
    index = np.rint(position).astype(np.int64)
    off_grid = np.abs(position - index) * step_s > 1e-3
    found += [Fault(FaultKind.OFF_GRID, iso(unique[i]), 1, line_of(int(rows[i]))) for i in np.flatnonzero(off_grid)]
    index, rows = index[~off_grid], rows[~off_grid]

    count = int(index[-1]) + 1
    if count > MOST_STEPS:
        span = f"{count} steps of {step_s:g} s from {iso(unique[0])} to {iso(unique[-1])}"
        raise FeedError(f"{source}: {span}; at most {MOST_STEPS} are read")
    grid = np.full(count, np.nan)
    grid[index] = np.where(np.isfinite(numbers[rows]), numbers[rows], np.nan)
    for at in np.flatnonzero(np.diff(index) > 1):
        moment = float(unique[0] + (index[at] + 1) * step_s)
        steps = int(index[at + 1] - index[at] - 1)
        if not (steps == 1 and explained and moment in explained):
            found.append(Fault(FaultKind.GAP, iso(moment), steps, line_of(int(rows[at + 1]))))
    edges = unique[0] + step_s * np.arange(count + 1)
    found.sort(key=lambda fault: (fault.line is None, fault.line or 0))
    return Reading(edges, grid, unit, source, tuple(found))


def _in_the_calendar(times: FloatArray, source: str) -> FloatArray:
    """The same times, all of them in years that are read.

    Raises:
        FeedError: one is not.
    """
    first, last = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (FIRST_YEAR, LAST_YEAR + 1))
    beyond = np.flatnonzero(~((times >= first) & (times < last)))
    if len(beyond):
        found = f"{iso(times[beyond[0]])} in row {int(beyond[0]) + 1}"
        raise FeedError(f"{source}: {found}; expected times from {FIRST_YEAR} to {LAST_YEAR}")
    return times
