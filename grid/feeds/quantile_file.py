"""A forecast as quantiles: a CSV or Parquet file with a column of times and columns ``p10``, ``p50``, ``p90`` and so on.

A column ``p<number>`` holds the values that are not exceeded with that probability in percent (``p2.5`` is 0.025). ``p50`` must
be there, with one below and one above it. Nothing is repaired here but what ``reading.regular`` reports for each column.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from grid.errors import FeedError
from grid.feeds.csv_series import read_csv_series
from grid.feeds.parquet import column_names, read_columns
from grid.feeds.reading import Reading, regular

COLUMN = re.compile(r"^p(\d{1,2}(?:\.\d+)?)$", re.ASCII)
TIME = "time"


@dataclass(frozen=True, slots=True)
class QuantileReading:
    """Readings of one file, by level.

    Attributes:
        levels: ascending probabilities in (0, 1), 0.5 among them.
        readings: one a level, all on the same steps.
    """

    levels: tuple[float, ...]
    readings: tuple[Reading, ...]

    @property
    def median(self) -> Reading:
        """The reading of level 0.5."""
        return self.readings[self.levels.index(0.5)]


def read_quantiles(path: str | Path, time: str = TIME, unit: str = "kW", time_zone: str = "UTC") -> QuantileReading:
    """The quantile columns of ``path``, a Parquet file when its name ends so, else CSV.

    Args:
        path: the file.
        time: its column of times (start of the step).
        unit: unit of the values.
        time_zone: clock of naive times in a CSV file.

    Raises:
        FeedError: the file cannot be read, has no p50 or no quantile on one side of it, or quantiles fall with their level.
    """
    parquet = Path(path).suffix.lower() == ".parquet"
    columns = column_names(path) if parquet else _csv_columns(path)
    found = sorted((float(match[1]) / 100.0, name) for name in columns if (match := COLUMN.match(name)))
    levels = tuple(level for level, _ in found)
    if 0.5 not in levels[1:-1] or levels[0] <= 0.0 or len(set(levels)) < len(levels):
        raise FeedError(
            f"{path}: columns {', '.join(columns)}; expected p50 with a quantile below and one above it, such as p10, p90"
        )
    if parquet:
        times, values = read_columns(path, time, [name for _, name in found])
        readings = tuple(regular(times, column, unit, Path(path).name) for column in values)
    else:
        readings = tuple(read_csv_series(path, time, name, unit, time_zone) for _, name in found)
    for (_, low), (_, high), below, above in zip(found, found[1:], readings, readings[1:], strict=False):
        crossed = below.values > above.values  # a comparison with NaN is false
        if crossed.any():
            step = int(crossed.argmax())
            raise FeedError(f"{path}: in step {step + 1} {low} is {below.values[step]:g} and {high} only {above.values[step]:g}")
    return QuantileReading(levels, readings)


def _csv_columns(path: str | Path) -> list[str]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(line for line in file if line.strip() and not line.startswith("#"))
            return next(rows, [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FeedError(f"{path}: cannot be read: {error}") from error
