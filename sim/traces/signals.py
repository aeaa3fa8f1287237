"""Carbon intensities and prices from the files that people have, told by their columns and read by ``grid.feeds``.

- Parquet: ``timestamp`` and ``carbon_intensity`` or ``price...`` (naive times are UTC);
- Electricity Maps, CSV: ``Datetime (UTC)`` or ``datetime``, and ``Carbon intensity ... (Life cycle)`` (or ``(LCA)``), or
  ``carbon_intensity_avg``;
- United Kingdom, CSV: ``DATETIME`` and ``CARBON_INTENSITY`` (NESO), or ``Datetime (UTC)`` and ``Actual Carbon Intensity ...``;
- ENTSO-E, CSV: ``MTU (UTC)`` or ``MTU (CET/CEST)`` as ``begin - end``, and ``Day-ahead Price ...``; XML: answer A44;
- market prices, CSV: ``Datetime`` on a local clock and ``Price (EUR/MWh)``;
- others, CSV: a column of times and one whose name holds ``carbon intensity`` or ``price``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from grid.errors import FeedError, Finding, InputError
from grid.feeds.csv_series import csv_rows, read_csv_series
from grid.feeds.electricity_maps import read_carbon
from grid.feeds.entsoe import prices
from grid.feeds.market_prices import COLUMNS, number, read_market_prices
from grid.feeds.parquet import column_names, read_parquet_series
from grid.feeds.reading import Reading, regular
from grid.feeds.table import zone

CET = "Europe/Brussels"
TIMES = ("Datetime (UTC)", "datetime", "DATETIME", "Datetime", "Time", "time", "timestamp", "Timestamp")
CARBON_NAMES = (
    "(life cycle)",
    "(lca)",
    "carbon_intensity_avg",
    "actual carbon intensity",
    "carbon_intensity",
    "carbon intensity",
)
PRICE_NAMES = ("day-ahead price", "price_eur_per_mwh", "price")
_UNIT = re.compile(r"[(\[]\s*([A-Za-z€$]{1,5}/[kM]Wh)\s*[)\]]")


@dataclass(frozen=True, slots=True)
class Kind:
    """Which signal is asked for.

    Attributes:
        option: that names the file.
        names: parts of column names, by preference.
        unit: when no column says one.
    """

    option: str
    names: tuple[str, ...]
    unit: str


CARBON = Kind("--carbon", CARBON_NAMES, "g/kWh")
PRICE = Kind("--price", PRICE_NAMES, "EUR/MWh")


def read_signal(path: str, kind: Kind, time_zone: str = "Europe/Amsterdam") -> Reading:
    """A series with its faults listed (nothing repaired).

    Args:
        path: the file.
        kind: ``CARBON`` or ``PRICE``.
        time_zone: clock of a market price file, whose times have no zone.

    Raises:
        InputError: the file cannot be read or has none of the known shapes, or mixes times with and without a zone.
    """
    if not Path(path).is_file():
        found = "a directory" if Path(path).is_dir() else "no such file"
        raise InputError([Finding(path, None, kind.option, found, "a CSV, Parquet or XML file")])
    try:
        return _read(path, kind, time_zone)
    except FeedError as error:
        raise InputError(
            [Finding(path, None, kind.option, str(error).removeprefix(f"{path}: "), "a series that can be read")]
        ) from error


def _read(path: str, kind: Kind, time_zone: str) -> Reading:
    suffix = Path(path).suffix.lower()
    if suffix == ".xml" and kind is PRICE:
        try:
            return prices(Path(path).read_text(encoding="utf-8"), Path(path).name)
        except (OSError, UnicodeDecodeError) as error:
            raise FeedError(f"{path}: cannot be read: {error}") from error
    if suffix == ".parquet":
        return _parquet(path, kind)
    header = _header(path)
    value = _column(header, kind.names)
    time = next((name for name in header if name.startswith(("MTU", "Time (CET", "Time (UTC"))), None)
    if time is None:
        time = next((name for name in TIMES if name in header), None)
    if value is None or time is None:
        missing = "time" if time is None else kind.option.strip("-")
        expected = f"a column of times ({', '.join(TIMES[:3])}, ...) and one of {kind.option.strip('-')}"
        raise InputError([Finding(path, 1, f"{kind.option}: {missing}", ", ".join(header)[:120] or "nothing", expected)])
    said = _UNIT.search(value)
    unit = said[1] if said and kind is PRICE else kind.unit
    if time.startswith(("MTU", "Time (")):
        return _intervals(path, time, value, unit)
    if kind is PRICE and tuple(header[:2]) == COLUMNS:
        return read_market_prices(path, time_zone)
    _one_clock(path, kind, _cells(path, time))
    return read_csv_series(path, time, value, unit)


def _parquet(path: str, kind: Kind) -> Reading:
    names = column_names(path)
    value = _column(names, kind.names)
    time = next((name for name in TIMES if name in names), None)
    if value is None or time is None:
        expected = f"a column of times and one of {kind.option.strip('-')}"
        raise InputError([Finding(path, None, kind.option, ", ".join(names)[:120], expected)])
    if (time, value) == ("timestamp", "carbon_intensity"):
        return read_carbon(path)
    return read_parquet_series(path, time, value, kind.unit)


def _column(header: Sequence[str], names: Sequence[str]) -> str | None:
    """The column that fits the first of ``names`` that any fits."""
    return next((column for name in names for column in header if name in column.lower()), None)


def _header(path: str) -> list[str]:
    rows = csv_rows(path)
    return rows[0][1] if rows else []


def _cells(path: str, column: str) -> list[tuple[int, str]]:
    """Line and text of every cell of a column."""
    rows = csv_rows(path)
    at = rows[0][1].index(column)
    return [(line, cells[at]) for line, cells in rows[1:] if len(cells) > at]


def _one_clock(path: str, kind: Kind, cells: Sequence[tuple[int, str]]) -> None:
    """Refuse a file in which some times have a zone and others have none."""
    aware: list[int] = []
    naive: list[int] = []
    for line, cell in cells:
        try:
            (naive if datetime.fromisoformat(cell).tzinfo is None else aware).append(line)
        except ValueError:
            return  # the reader says where
    if aware and naive:
        few, others = (naive, "with") if len(naive) <= len(aware) else (aware, "without")
        found = f"{len(aware)} times with a zone and {len(naive)} without"
        raise InputError([Finding(path, few[0], kind.option, found, f"one clock (most are {others} a zone)")])


def _intervals(path: str, time: str, value: str, unit: str) -> Reading:
    """Rows of ENTSO-E's export, whose time is ``begin - end`` (day first) on the clock that the header names."""
    clock = zone("UTC" if "UTC" in time else CET)
    rows = csv_rows(path)
    header = rows[0][1]
    at, value_at = header.index(time), header.index(value)
    parse = _parser(rows[1][1][at] if len(rows) > 1 else "")
    seen: Counter[datetime] = Counter()
    times: list[float] = []
    values: list[float] = []
    for line, cells in rows[1:]:
        try:
            begin = parse(re.split(r"\s+-\s+", cells[at])[0].removesuffix(" (UTC)"))
        except (ValueError, IndexError) as error:
            raise FeedError(f"{path}:{line}: no interval in {','.join(cells)[:60]!r}") from error
        seen[begin] += 1
        repeated = begin.replace(tzinfo=clock).utcoffset() != begin.replace(tzinfo=clock, fold=1).utcoffset()
        fold = 1 if repeated and seen[begin] > 1 else 0
        times.append(begin.replace(tzinfo=clock, fold=fold).timestamp())
        values.append(number(cells[value_at]) if len(cells) > value_at else float("nan"))
    return regular(times, values, unit, Path(path).name, lines=[line for line, _ in rows[1:]])


def _parser(sample: str) -> Callable[[str], datetime]:
    """The way that the export of this age writes a moment."""
    separator = "/" if "/" in sample else "."
    seconds = ":%S" if re.match(r"\S+ \d\d:\d\d:\d\d", sample) else ""
    form = f"%d{separator}%m{separator}%Y %H:%M{seconds}"
    return lambda text: datetime.strptime(text, form)  # noqa: DTZ007 - the caller knows the clock
