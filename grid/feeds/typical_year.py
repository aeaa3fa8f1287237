"""Weather of a typical year: EnergyPlus weather files (EPW) and NREL's TMY3, read into the same ``Weather`` as Open-Meteo's.

Both files hold 8,760 hours of months from different years on local *standard* time. They are laid on every year that the
horizon touches, on the file's fixed offset; 29 February is a gap, which a reader may fill by straight lines. A row stands for
the hour that ends at its time (EPW "Hour 1" and TMY3 "01:00" are 00:00 to 01:00). Temperature, humidity, cloud and wind are
those at that time; irradiance is the mean of the hour.

Field positions, units and codes for missing values: EnergyPlus, Auxiliary Programs, "EPW Weather File Format"; S. Wilcox and
W. Marion, Users Manual for TMY3 Data Sets, NREL/TP-581-43156, 2008. Sky cover is in tenths. Irradiance is kept out: the sun
model of ``grid.assets.solar`` computes from cloud cover, so that every weather source goes the same way.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from grid.errors import FeedError
from grid.feeds.open_meteo import Weather, check_ranges
from grid.feeds.reading import Fault, FaultKind, iso
from grid.horizon import FloatArray, Horizon

ROWS = 8760
NOT_A_LEAP_YEAR = 2001

EPW_FIELDS = {"temperature_c": (6, 99.9), "humidity_pct": (8, 999.0), "cloud_pct": (22, 99.0), "wind_m_per_s": (21, 999.0)}
"""Position in the row, and the value that means missing (and any above it)."""

TMY3_FIELDS = {
    "temperature_c": "Dry-bulb (C)",
    "humidity_pct": "RHum (%)",
    "cloud_pct": "TotCld (tenths)",
    "wind_m_per_s": "Wspd (m/s)",
}
TMY3_MISSING = -9900.0


@dataclass(frozen=True, slots=True)
class _Year:
    """What a file holds: values ``[8760]`` each, ``NaN`` where missing, and its place."""

    fields: dict[str, FloatArray]
    latitude: float
    longitude: float
    elevation_m: float
    offset_h: float
    source: str


def read_epw(path: str | Path, horizon: Horizon) -> Weather:
    """The typical year of an EPW file over ``horizon``.

    Raises:
        FeedError: the file cannot be read, is not an hourly EPW file of 8,760 rows, or holds a value that cannot be.
    """
    lines = _lines(path)
    place = lines[0] if lines else []
    if len(place) < 10 or place[0] != "LOCATION":
        raise FeedError(f"{path}:1: no LOCATION line of an EPW file")
    where = _numbers(path, 1, [place[6], place[7], place[9], place[8]])
    rows = [(number, cells) for number, cells in enumerate(lines, 1) if number > 8 and cells]
    fields = {name: np.full(ROWS, np.nan) for name in EPW_FIELDS}
    _whole(path, len(rows))
    for i, (number, cells) in enumerate(rows):
        if len(cells) < 23:
            raise FeedError(f"{path}:{number}: {len(cells)} fields; expected at least 23 of an EPW row")
        month, day, hour = (int(value) for value in _numbers(path, number, cells[1:4]))
        _in_order(path, number, i, month, day, hour)
        for name, (at, missing) in EPW_FIELDS.items():
            (value,) = _numbers(path, number, [cells[at]])
            fields[name][i] = np.nan if value >= missing else value
    fields["cloud_pct"] *= 10.0
    source = f"{Path(path).name}, EPW typical year"
    return _laid(path, _Year(fields, where[0], where[1], where[2], where[3], source), horizon)


def read_tmy3(path: str | Path, horizon: Horizon) -> Weather:
    """The typical year of a TMY3 file over ``horizon``.

    Raises:
        FeedError: the file cannot be read, lacks a column, has not 8,760 rows, or holds a value that cannot be.
    """
    lines = _lines(path)
    if len(lines) < 3 or len(lines[0]) < 7:
        raise FeedError(f"{path}:1: no first line of a TMY3 file (station, name, state, hours from UTC, latitude, ...)")
    offset, north, east, height = _numbers(path, 1, lines[0][3:7])
    header = lines[1]
    missing = [name for name in TMY3_FIELDS.values() if name not in header]
    if missing:
        raise FeedError(f"{path}:2: no column {missing[0]!r} of a TMY3 file")
    rows = [(number, cells) for number, cells in enumerate(lines, 1) if number > 2 and cells]
    fields = {name: np.full(ROWS, np.nan) for name in TMY3_FIELDS}
    _whole(path, len(rows))
    for i, (number, cells) in enumerate(rows):
        if len(cells) != len(header):
            raise FeedError(f"{path}:{number}: {len(cells)} fields; expected {len(header)}")
        month, day, hour = (int(value) for value in _numbers(path, number, [*cells[0].split("/")[:2], cells[1].split(":")[0]]))
        _in_order(path, number, i, month, day, hour)
        for name, column in TMY3_FIELDS.items():
            (value,) = _numbers(path, number, [cells[header.index(column)]])
            fields[name][i] = np.nan if value <= TMY3_MISSING else value
    fields["cloud_pct"] *= 10.0
    return _laid(path, _Year(fields, north, east, height, offset, f"{Path(path).name}, TMY3 typical year"), horizon)


def _lines(path: str | Path) -> list[list[str]]:
    try:
        with Path(path).open(encoding="latin-1", newline="") as file:
            return list(csv.reader(file))
    except (OSError, csv.Error) as error:
        raise FeedError(f"{path}: cannot be read: {error}") from error


def _numbers(path: str | Path, line: int, cells: list[str]) -> list[float]:
    try:
        found = [float(cell) for cell in cells]
    except ValueError as error:
        raise FeedError(f"{path}:{line}: {error}") from error
    if not np.isfinite(found).all():
        raise FeedError(f"{path}:{line}: {', '.join(cells)[:60]}; expected numbers")
    return found


def _whole(path: str | Path, rows: int) -> None:
    if rows != ROWS:
        raise FeedError(f"{path}: {rows} hours; expected the {ROWS} of a typical year (a truncated file?)")


def _in_order(path: str | Path, line: int, i: int, month: int, day: int, hour: int) -> None:
    """The row is hour ``i`` of a year without 29 February."""
    due = datetime(NOT_A_LEAP_YEAR, 1, 1, tzinfo=UTC) + timedelta(hours=i)
    if (month, day, hour) != (due.month, due.day, due.hour + 1):
        found = f"month {month}, day {day}, hour {hour}"
        raise FeedError(f"{path}:{line}: {found}; expected month {due.month}, day {due.day}, hour {due.hour + 1}")


def _laid(path: str | Path, year: _Year, horizon: Horizon) -> Weather:
    """The typical year on all years that the horizon touches, and on the last hours before and the first after them."""
    for name, values in year.fields.items():
        check_ranges(path, name, values)
    offset = timedelta(hours=year.offset_h)
    first, last = (horizon.start + offset).year, (horizon.end + offset).year
    times: list[float] = []
    for calendar in range(first - 1, last + 2):
        begin = datetime(calendar, 1, 1, tzinfo=UTC) - offset
        leap = datetime(calendar, 12, 31, tzinfo=UTC).timetuple().tm_yday == 366
        hours = np.arange(1, ROWS + 1, dtype=np.float64)
        times.extend(begin.timestamp() + 3600.0 * np.where(leap & (hours > 59 * 24), hours + 24.0, hours))
    moments = np.array(times)
    near = (moments >= horizon.start_s - 48 * 3600.0) & (moments <= horizon.end_s + 48 * 3600.0)
    moments = moments[near]
    repeats = last - first + 3
    fields = {name: np.tile(values, repeats)[near] for name, values in year.fields.items()}
    gaps = [
        Fault(FaultKind.GAP, iso(moments[i] + 3600.0), round(gap / 3600) - 1)
        for i, gap in enumerate(np.diff(moments))
        if gap > 3600.0
    ]
    for name, values in fields.items():
        empty = np.flatnonzero(~np.isfinite(values))
        if len(empty):
            gaps.append(Fault(FaultKind.NOT_A_NUMBER, f"{name} from {iso(moments[empty[0]])}", len(empty)))
    return Weather(
        moments,
        **fields,
        latitude=year.latitude,
        longitude=year.longitude,
        elevation_m=year.elevation_m,
        source=year.source,
        faults=tuple(gaps),
    )
