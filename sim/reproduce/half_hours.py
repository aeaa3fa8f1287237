"""A year of half-hourly carbon intensity, as the experiments of "Let's Wait Awhile" take it from a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from grid.errors import FeedError
from grid.feeds.csv_series import read_csv_series
from grid.feeds.reading import Reading, describe, iso
from grid.horizon import FloatArray

STEP_S = 1800
TIME, VALUE = "Time", "Carbon Intensity"


@dataclass(frozen=True, slots=True, eq=False)
class HalfHours:
    """Average carbon intensity from the first of January on.

    Attributes:
        start: 1 January, 00:00 UTC.
        values: g/kWh, ``[n]``, one for each half hour; the file's end ends it (days of the next year may follow).
        year_slots: number of half hours of the year itself.
        source: name of the file.
    """

    start: datetime
    values: FloatArray
    year_slots: int
    source: str

    @property
    def year_mean(self) -> float:
        """Mean of the year, g/kWh."""
        return float(self.values[: self.year_slots].mean())

    def slot(self, moment: datetime) -> int:
        """Half hours from the start to ``moment``."""
        return int((moment - self.start) // timedelta(seconds=STEP_S))

    def time(self, slot: int) -> datetime:
        """Begin of a slot, UTC."""
        return self.start + timedelta(seconds=STEP_S * slot)


def read_half_hours(path: Path) -> HalfHours:
    """The first whole year of a CSV file with the columns ``Time`` (UTC) and ``Carbon Intensity``.

    Of a quarter-hourly file the rows at :00 and :30 are taken, as the paper does.

    Raises:
        FeedError: another step, no whole year, or a missing, repeated or unsorted half hour in what is used.
    """
    reading = read_csv_series(path, TIME, VALUE, "g/kWh")
    step_s = float(reading.edges_s[1] - reading.edges_s[0])
    if step_s not in {900.0, 1800.0}:
        raise FeedError(f"{path}: steps of {step_s / 60:g} minutes; half hours or quarters of an hour are needed")
    return _whole_year(path, reading, round(STEP_S / step_s))


def _whole_year(path: Path, reading: Reading, every: int) -> HalfHours:
    first, last = (datetime.fromtimestamp(float(edge), UTC) for edge in (reading.edges_s[0], reading.edges_s[-1]))
    year = first.year if first <= datetime(first.year, 1, 1, tzinfo=UTC) else first.year + 1
    start, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    if last < end:
        raise FeedError(f"{path} covers {first:%Y-%m-%d} to {last:%Y-%m-%d}: no whole year from 1 January to 31 December")
    at = int(np.searchsorted(reading.edges_s, start.timestamp()))
    if reading.edges_s[at] != start.timestamp():
        raise FeedError(f"{path}: no row at {start:%Y-%m-%dT%H:%MZ}; the nearest is {iso(reading.edges_s[at])}")
    values = reading.values[at::every]
    missing = np.flatnonzero(np.isnan(values))
    serious = [fault for fault in reading.faults if fault.kind in {"duplicate", "unsorted", "off_grid"}]
    if len(missing) or serious:
        where = iso(start.timestamp() + STEP_S * float(missing[0])) if len(missing) else "none"
        raise FeedError(f"{path}: {len(missing)} half hours without a value (first: {where}); {describe(reading.faults)}")
    if (values < 0).any():
        raise FeedError(f"{path}: a carbon intensity below 0 at {iso(start.timestamp() + STEP_S * int(np.argmax(values < 0)))}")
    return HalfHours(start, np.ascontiguousarray(values), round((end - start).total_seconds() / STEP_S), path.name)
