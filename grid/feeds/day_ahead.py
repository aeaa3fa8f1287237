"""Day-ahead forecasts of generation beside what was generated, as the tables of DACF hold them.

``<ZONE>_direct_emissions.csv`` has ``UTC time``, the actual production by fuel (MW, mean of the hour) and
``avg_<fuel>_production_forecast`` in the same rows but for the hour 24 hours *later* (so the file's origin made it; measured:
aligned, the error of Swedish wind is 7 % of its mean, at face value 43 %). The last 24 rows hold 0 in every forecast. Known
faults are left out as missing, and counted: hours in which every column stands still for five hours or more (frozen), hours
that hold two hours' sums (all fuels at least 1.8 times both neighbours), and zeros of a fuel that is above 0 around them. Cite:
Maji, Sitaraman, Shenoy, "DACF: Day-ahead Carbon Intensity Forecasting of Power Grids using Machine Learning", e-Energy 2022.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from grid.errors import FeedError
from grid.horizon import FloatArray

EARLY_H = 24
FROZEN_H = 5
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class DayAhead:
    """Forecast and truth of one fuel, hour by hour.

    Attributes:
        edges_s: Unix seconds, ``[T + 1]``.
        forecast, truth: MW, ``[T]``; ``NaN`` where missing or faulty.
        faults: hours left out by reason.
        source: where they come from.
    """

    edges_s: FloatArray
    forecast: FloatArray
    truth: FloatArray
    faults: dict[str, int]
    source: str


def read_day_ahead(path: str | Path, fuel: str) -> DayAhead:
    """One fuel of a file.

    Raises:
        FeedError: the file cannot be read, is not hourly, or does not hold that fuel with its forecast.
    """
    names, rows = _rows(Path(path))
    wanted = f"avg_{fuel}_production_forecast"
    if fuel not in names or wanted not in names:
        both = [name for name in names if f"avg_{name}_production_forecast" in names]
        raise FeedError(f"{path}: no {fuel} with its forecast; there are {', '.join(both) or 'none'}")
    times = _times(path, [row[names.index("UTC time")] for row in rows])
    fuels = [name for name in names if f"avg_{name}_production_forecast" in names]
    made = {name: _column(path, rows, names.index(name), name) for name in fuels}
    stored = _column(path, rows, names.index(wanted), wanted)
    forecast = np.concatenate((np.full(EARLY_H, np.nan), stored[:-EARLY_H]))
    missing = np.concatenate((np.full(EARLY_H, False), _all_zero(path, rows, names)[:-EARLY_H]))
    forecast[missing] = np.nan
    truth = made[fuel].copy()
    if not np.isfinite(truth).any():
        raise FeedError(f"{path}: not a single value of {fuel}")
    table = np.stack(list(made.values()))
    faults = {"frozen": _frozen(table), "doubled": _doubled(table), "zero between": _zero_between(truth)}
    for wrong in faults.values():
        truth[wrong] = np.nan
    counts = {name: int(wrong.sum()) for name, wrong in faults.items()} | {"forecast missing": int(missing.sum())}
    edges = np.concatenate((times, times[-1:] + 3600.0))
    return DayAhead(edges, forecast, truth, counts, f"{Path(path).name}, {fuel}")


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            names, *rows = csv.reader(file)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise FeedError(f"{path}: cannot be read as a table: {error}") from error
    if "UTC time" not in names:
        raise FeedError(f"{path}: no column 'UTC time'")
    short = next((number for number, row in enumerate(rows, 2) if len(row) != len(names)), None)
    if short is not None or len(rows) <= 2 * EARLY_H:
        where = f"line {short}: not {len(names)} fields" if short is not None else f"{len(rows)} rows; two days are too few"
        raise FeedError(f"{path}: {where}")
    return names, rows


def _times(path: str | Path, texts: list[str]) -> FloatArray:
    """Unix seconds, one hour apart."""
    try:
        stamps = [datetime.fromisoformat(text) for text in texts]
    except ValueError as error:
        raise FeedError(f"{path}: {error}") from error
    zoned = next((text for text, stamp in zip(texts, stamps, strict=True) if stamp.tzinfo is not None), None)
    if zoned is not None:
        raise FeedError(f"{path}: time {zoned} has a zone; this format keeps naive UTC")
    found = np.array([stamp.replace(tzinfo=UTC).timestamp() for stamp in stamps])
    off = np.flatnonzero(np.diff(found) != 3600.0)
    if len(off):
        raise FeedError(f"{path}: line {int(off[0]) + 3}: not one hour after the line before")
    return found


def _column(path: str | Path, rows: list[list[str]], column: int, name: str) -> FloatArray:
    try:
        return np.array([float(row[column]) if row[column] else np.nan for row in rows])
    except ValueError as error:
        raise FeedError(f"{path}: column {name}: {error}") from error


def _all_zero(path: str | Path, rows: list[list[str]], names: list[str]) -> BoolArray:
    """Rows whose forecasts are all 0: missing."""
    columns = [i for i, name in enumerate(names) if name.startswith("avg_") and name.endswith("_production_forecast")]
    table = np.stack([_column(path, rows, column, names[column]) for column in columns])
    zero: BoolArray = (table == 0).all(axis=0)
    return zero


def _frozen(table: FloatArray) -> BoolArray:
    """Hours of runs of at least ``FROZEN_H`` in which no fuel changes."""
    same = np.concatenate(([False], (np.diff(table, axis=1) == 0).all(axis=0), [False]))
    edges = np.flatnonzero(np.diff(same.astype(np.int8)))
    found = np.zeros(table.shape[1], dtype=bool)
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if last - first + 1 >= FROZEN_H:
            found[first : last + 1] = True
    return found


def _doubled(table: FloatArray) -> BoolArray:
    """Hours at which every fuel that is there is at least 1.8 times both neighbours."""
    found = np.zeros(table.shape[1], dtype=bool)
    middle, before, after = table[:, 1:-1], table[:, :-2], table[:, 2:]
    there = middle > 0
    high = (middle >= 1.8 * before) & (middle >= 1.8 * after)
    found[1:-1] = (high | ~there).all(axis=0) & there.any(axis=0)
    return found


def _zero_between(values: FloatArray) -> BoolArray:
    """Single zeros whose neighbours are both well above 0 (over a twentieth of the highest value)."""
    found = np.zeros(len(values), dtype=bool)
    limit = np.nanmax(values) / 20
    found[1:-1] = (values[1:-1] == 0) & (values[:-2] > limit) & (values[2:] > limit)
    return found
