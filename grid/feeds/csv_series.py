"""Any CSV file with a column of times and a column of numbers."""

from __future__ import annotations

import csv
import difflib
from datetime import datetime
from pathlib import Path

from grid.errors import FeedError
from grid.feeds.market_prices import exists, number, repeated, stamp
from grid.feeds.reading import Fault, FaultKind, Reading, regular
from grid.feeds.table import zone


def csv_rows(path: str | Path) -> list[tuple[int, list[str]]]:
    """Cells of every row with its line, without empty lines and those that begin with ``#``.

    Raises:
        FeedError: the file cannot be read, is no text, or no table.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig").splitlines()
        kept = [(line, cells) for line, cells in enumerate(text, start=1) if cells.strip() and not cells.startswith("#")]
        return list(zip([line for line, _ in kept], csv.reader(cells for _, cells in kept), strict=False))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FeedError(f"{path}: cannot be read: {error}") from error


def read_csv_series(path: str | Path, time: str, value: str, unit: str, time_zone: str = "UTC") -> Reading:
    """Column ``value`` over column ``time`` (ISO format, start of the step).

    A time with an offset is taken as it is; a naive one is a time on the clock of ``time_zone``. Of a local hour that the
    clock repeats in autumn the first row is the first of the two. The step is the most frequent distance between rows.
    Lines that begin with ``#`` are comments.

    Raises:
        FeedError: file or column cannot be found, or a time cannot be read (names the line).
    """
    clock = zone(time_zone)
    times: list[float] = []
    values: list[float] = []
    lines: list[int] = []
    faults: list[Fault] = []
    seen: dict[datetime, int] = {}
    (_, header), *rows = csv_rows(path) or [(1, [])]
    for name in (time, value):
        if name not in header:
            nearest = difflib.get_close_matches(name, header, 1)
            hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
            raise FeedError(f"{path}: no column {name!r}; there are {', '.join(header) or 'none'}{hint}")
    time_at, value_at = header.index(time), header.index(value)
    for line, cells in rows:
        moment = stamp(path, line, cells, time_at)
        if moment.tzinfo is None:
            if not exists(moment, clock):
                faults.append(Fault(FaultKind.INVENTED_HOUR, f"{moment.isoformat()} ({time_zone})", 1, line))
                continue
            fold = min(seen.get(moment, 0), 1) if repeated(moment, clock) else 0
            seen[moment] = seen.get(moment, 0) + 1
            moment = moment.replace(tzinfo=clock, fold=fold)
        times.append(moment.timestamp())
        values.append(number(cells[value_at]) if len(cells) > value_at else float("nan"))
        lines.append(line)
    return regular(times, values, unit, Path(path).name, lines=lines, faults=faults)
