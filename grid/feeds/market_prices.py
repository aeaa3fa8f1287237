"""Day-ahead market prices as the exchanges' mirrors keep them: a naive local clock and its faults.

Format: ``Datetime,Price (EUR/MWh)``, one row an hour, local clock without a zone. Such files are wrong twice a year: in
spring they hold an hour that never was (02:00, a copy of 03:00), in autumn one 02:00 where the clock had two. Whole days
may be missing. Each of these becomes a ``Fault``; nothing is repaired here.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from grid.errors import FeedError
from grid.feeds.reading import FIRST_YEAR, LAST_YEAR, Fault, FaultKind, Reading, regular
from grid.feeds.table import zone

COLUMNS = ("Datetime", "Price (EUR/MWh)")
HOUR = timedelta(hours=1)


def stamp(path: str | Path, line: int, cells: list[str], at: int) -> datetime:
    """The time in cell ``at`` of a row, with or without a zone.

    Raises:
        FeedError: there is none, or it is of no year that is read (names the line).
    """
    try:
        found = datetime.fromisoformat(cells[at])
    except (ValueError, IndexError) as error:
        raise FeedError(f"{path}:{line}: no time in {','.join(cells)[:60]!r}") from error
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise FeedError(f"{path}:{line}: {cells[at]}; expected a time from {FIRST_YEAR} to {LAST_YEAR}")
    return found


def exists(local: datetime, clock: ZoneInfo) -> bool:
    """False for a local time that the clock skipped in spring."""
    back = local.replace(tzinfo=clock).astimezone(UTC).astimezone(clock).replace(tzinfo=None)
    return back == local


def repeated(local: datetime, clock: ZoneInfo) -> bool:
    """True for a local time that the clock showed twice in autumn."""
    aware = local.replace(tzinfo=clock)
    return aware.utcoffset() != aware.replace(fold=1).utcoffset() and exists(local, clock)


def number(text: str) -> float:
    """The number in a cell, ``NaN`` when there is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def read_market_prices(path: str | Path, time_zone: str = "Europe/Amsterdam") -> Reading:
    """Prices in EUR/MWh by hour, put on the UTC axis.

    Args:
        path: the CSV file.
        time_zone: IANA name of the zone whose clock the file keeps.

    Raises:
        FeedError: the file cannot be read or has other columns; a time cannot be read (names the line).
    """
    clock = zone(time_zone)
    times: list[float] = []
    values: list[float] = []
    lines: list[int] = []
    faults: list[Fault] = []
    twice: dict[datetime, list[int]] = {}
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            if tuple(header[:2]) != COLUMNS:
                raise FeedError(f"{path}:1: columns {header}; expected {', '.join(COLUMNS)}")
            for cells in rows:
                line = rows.line_num
                local = stamp(path, line, cells, 0)
                if local.tzinfo is not None:
                    raise FeedError(f"{path}:{line}: time {cells[0]} has a zone; this format keeps the naive local clock")
                if not exists(local, clock):
                    faults.append(Fault(FaultKind.INVENTED_HOUR, f"{local.isoformat()} ({time_zone})", 1, line))
                    continue
                fold = 0
                if repeated(local, clock):
                    fold = min(len(twice.setdefault(local, [])), 1)
                    twice[local].append(line)
                times.append(local.replace(tzinfo=clock, fold=fold).timestamp())
                values.append(number(cells[1]) if len(cells) > 1 else float("nan"))
                lines.append(line)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FeedError(f"{path}: cannot be read: {error}") from error
    explained: dict[float, FaultKind] = {}
    for local, at in twice.items():
        if len(at) == 1:
            faults.append(Fault(FaultKind.MISSING_SECOND_HOUR, f"{local.isoformat()} ({time_zone})", 1, at[0]))
            explained[local.replace(tzinfo=clock, fold=1).timestamp()] = FaultKind.MISSING_SECOND_HOUR
    return regular(
        times, values, "EUR/MWh", Path(path).name, step_s=HOUR.total_seconds(), lines=lines, faults=faults, explained=explained
    )
