"""A small table by month and local hour, expanded over a horizon through local time.

The file is CSV with comment lines (``#``), a header ``month,hour,<column>,...`` and exactly 12 x 24 rows. A day of 23 or
25 hours needs nothing special: every quarter of an hour asks the local clock which month and hour it is.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from grid.errors import FeedError
from grid.horizon import FloatArray, Horizon
from grid.series import Series

QUARTER_S = 900
"""Every UTC offset in use is a multiple of a quarter of an hour."""

UNITS = {"_eur_per_mwh": "EUR/MWh", "_g_per_kwh": "g/kWh", "_kw": "kW", "_c": "degC"}


def zone(time_zone: str) -> ZoneInfo:
    """The time zone of that IANA name.

    Raises:
        FeedError: there is none.
    """
    try:
        return ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, IsADirectoryError) as error:
        raise FeedError(f"time zone {time_zone!r} is not known") from error


def unit_of(column: str) -> str:
    """Unit that the name of a column says, or empty."""
    return next((unit for ending, unit in UNITS.items() if column.endswith(ending)), "")


def read_table(path: str | Path, column: str) -> FloatArray:
    """Values of ``column`` by month and local hour, shape ``[12, 24]``.

    Raises:
        FeedError: the file cannot be read, the column is missing, a row is wrong, missing or there twice; names the line.
    """
    values = np.full((12, 24), np.nan)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FeedError(f"{path}: cannot be read: {error}") from error
    rows = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip() and line[0] != "#"]
    if not rows:
        raise FeedError(f"{path}: no table in it")
    header = [name.strip() for name in rows[0][1].split(",")]
    wanted = ["month", "hour", column]
    missing = [name for name in wanted if name not in header]
    if missing:
        raise FeedError(f"{path}:{rows[0][0]}: no column {missing[0]!r}; there are {', '.join(header)}")
    places = [header.index(name) for name in wanted]
    try:
        split = list(csv.reader(line for _, line in rows[1:]))
    except csv.Error as error:
        raise FeedError(f"{path}: cannot be read: {error}") from error
    for (number, _), cells in zip(rows[1:], split, strict=False):
        try:
            month, hour, value = int(cells[places[0]]), int(cells[places[1]]), float(cells[places[2]])
        except (ValueError, IndexError) as error:
            raise FeedError(f"{path}:{number}: not a row of month, hour, {column}: {error}") from error
        if not (1 <= month <= 12 and 0 <= hour <= 23 and np.isfinite(value)):
            raise FeedError(f"{path}:{number}: month {month}, hour {hour}, {column} {value} is out of range")
        if not np.isnan(values[month - 1, hour]):
            raise FeedError(f"{path}:{number}: month {month}, hour {hour} stands twice")
        values[month - 1, hour] = value
    holes = np.argwhere(np.isnan(values))
    if len(holes):
        raise FeedError(f"{path}: {len(holes)} of 288 rows are missing, first month {holes[0][0] + 1}, hour {holes[0][1]}")
    return values


def hour_by_month(path: str | Path, column: str, horizon: Horizon, time_zone: str) -> Series:
    """Column ``column`` of a table by month and local hour, over ``horizon``.

    Args:
        path: the CSV file.
        column: its column, for example ``price_eur_per_mwh``; the ending of the name gives the unit.
        horizon: period to cover.
        time_zone: IANA name of the zone whose clock the table is about.

    Raises:
        FeedError: the file is wrong or the zone unknown.
    """
    table = read_table(path, column)
    clock = zone(time_zone)
    first = int(horizon.start_s // QUARTER_S) * QUARTER_S
    last = int(-(-horizon.end_s // QUARTER_S)) * QUARTER_S
    edges: list[float] = []
    values: list[float] = []
    previous: tuple[int, int, int] | None = None
    for moment in range(first, last, QUARTER_S):
        local = datetime.fromtimestamp(moment, UTC).astimezone(clock)
        key = (local.month, local.day, local.hour)
        if key != previous:
            edges.append(float(moment))
            values.append(float(table[local.month - 1, local.hour]))
            previous = key
    edges.append(float(last))
    return Series(np.array(edges), np.array(values), unit_of(column), f"{Path(path).name}, mean by month and local hour")
