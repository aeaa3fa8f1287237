"""Files of a series: read by their kind, cut to the horizon, their faults told or repaired."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from grid.horizon import Horizon
from grid.quantile_series import QuantileSeries
from grid.series import Series
from scheduler.document.context import Context
from scheduler.document.signals import CarbonPart, PricePart, SourcePart
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from grid.feeds.reading import Fault, Reading

SHOWN_FAULTS = 4


def reading_of(kind: str, path: Path, part: SourcePart, clock: str) -> Reading:
    """What a file of a kind holds.

    Raises:
        FeedError: it cannot be read.
    """
    if kind == "market_prices":
        from grid.feeds.market_prices import read_market_prices

        return read_market_prices(path, clock)
    if kind == "electricity_maps":
        from grid.feeds.electricity_maps import read_carbon

        return read_carbon(path)
    if kind == "parquet":
        from grid.feeds.parquet import read_parquet_series

        return read_parquet_series(path, part.time or "", part.value or "", part.unit or "")
    from grid.feeds.csv_series import read_csv_series

    return read_csv_series(path, part.time or "", part.value or "", part.unit or "", clock)


def month_table(context: Context, path: Path, part: PricePart | CarbonPart, horizon: Horizon, where: Place) -> Series | None:
    """A column of a table by month and local hour over the horizon, or None with a finding.

    Raises:
        FeedError: the table cannot be read.
    """
    from grid.feeds.table import hour_by_month

    series = hour_by_month(path, part.column or "", horizon, context.document.time_zone)
    if series.unit != part.UNIT:
        context.report(
            (*where[:-1], "column"), f"{part.column!r}, in {series.unit or 'no known unit'}", f"a column in {part.UNIT}"
        )
        return None
    return series


def quantiles(context: Context, path: Path, part: SourcePart, clock: ZoneInfo, where: Place) -> Series | None:
    """A forecast as quantiles over the horizon, or None with a finding."""
    from grid.feeds.quantile_file import read_quantiles

    reading = read_quantiles(path, part.time or "time", part.unit or "kW", clock.key)
    level = context.document.planning.chance_level
    low, high = reading.levels[0], reading.levels[-1]
    if level is not None and (1.0 - level < low - 1e-9 or level > high + 1e-9):
        expected = f"quantiles {1.0 - level:g} and {level:g} in it (or further out), which planning.chance_level needs"
        context.report(where, f"quantiles from {low:g} to {high:g}", expected, needs=[("planning", "chance_level")])
        return None
    pieces = [cut(context, part, one, clock, where) for one in reading.readings]
    whole = [series for series in pieces if series is not None]
    if len(whole) < len(pieces):
        return None
    table = np.maximum.accumulate(np.stack([series.values for series in whole]), axis=0)
    source = f"{whole[0].source}, quantiles {', '.join(f'{value:g}' for value in reading.levels)}"
    return QuantileSeries.of(whole[0].edges_s, reading.levels, table, "kW" if part.unit is None else part.unit, source)


def cut(context: Context, part: SourcePart, reading: Reading, clock: ZoneInfo, where: Place) -> Series | None:
    """The part of a reading that the horizon needs; gaps are findings, or filled and noted when the document says so."""
    horizon = context.horizon
    if horizon is None:
        return None
    if reading.edges_s[0] > horizon.start_s or reading.edges_s[-1] < horizon.end_s:
        found = f"{reading.source}, which covers {utc(reading.edges_s[0])} to {utc(reading.edges_s[-1])}"
        context.report(where, found, whole_horizon(horizon), needs=[("horizon",)])
        return None
    first = int(np.searchsorted(reading.edges_s, horizon.start_s, side="right")) - 1
    last = int(np.searchsorted(reading.edges_s, horizon.end_s, side="left"))
    step_s = float(reading.edges_s[1] - reading.edges_s[0])
    faults = [fault for fault in reading.faults if _touches(fault, horizon, clock, step_s)]
    gaps = int(np.isnan(reading.values[first:last]).sum())
    source = reading.source
    if faults or gaps:
        told = "; ".join(_tell(fault, clock) for fault in faults[:SHOWN_FAULTS]) or f"{gaps} missing steps"
        more = f"; and {len(faults) - SHOWN_FAULTS} more" if len(faults) > SHOWN_FAULTS else ""
        if part.repair == "none":
            context.report(
                where, f"{source} with faults inside the horizon: {told}{more}", "a series without gaps, or repair: interpolate"
            )
            return None
        context.notes.append(f"Repaired: {source}: {told}{more}; {gaps} of {last - first} steps filled by straight lines.")
        source = f"{source} ({gaps} of {last - first} steps filled by straight lines)"
    values = (reading.series("interpolate") if reading.faults else reading.series()).values[first:last]
    return Series(reading.edges_s[first : last + 1], values, reading.unit, source)


def _moment(fault: Fault, clock: ZoneInfo) -> datetime:
    """Instant of a fault: UTC, or the file's own clock when it says so."""
    stamp = datetime.fromisoformat(fault.where.split(" ")[0])
    return stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=clock).astimezone(UTC)


def _touches(fault: Fault, horizon: Horizon, clock: ZoneInfo, step_s: float) -> bool:
    start = _moment(fault, clock)
    length = timedelta(seconds=step_s * max(fault.rows, 1))
    return start < horizon.end and start + length > horizon.start


def _tell(fault: Fault, clock: ZoneInfo) -> str:
    """A fault with its hour on the file's clock."""
    if "(" in fault.where:
        return str(fault)
    return f"{fault}, local time {_moment(fault, clock).astimezone(clock):%Y-%m-%d %H:%M}"


def utc(moment_s: float) -> str:
    """A Unix second for people, UTC."""
    return datetime.fromtimestamp(float(moment_s), UTC).strftime("%Y-%m-%dT%H:%MZ")


def whole_horizon(horizon: Horizon) -> str:
    """What a series must have values for, in words."""
    return f"values for the whole horizon, {horizon.start:%Y-%m-%dT%H:%MZ} to {horizon.end:%Y-%m-%dT%H:%MZ}"
