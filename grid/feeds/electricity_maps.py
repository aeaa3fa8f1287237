"""Carbon intensity in the format of Electricity Maps' exports as Parquet.

Columns ``timestamp`` (naive, UTC, start of the hour) and ``carbon_intensity`` (gCO2eq/kWh): the *average* intensity over the
life cycle, flow-traced consumption. It is never a marginal intensity. ``answer_carbon`` reads the same quantity from an answer of
the web interface (``carbon-intensity/past-range`` or ``/forecast``: a list ``data``, ``history`` or ``forecast`` of ``datetime``
and ``carbonIntensity``).
Cite: Electricity Maps, {COUNTRY} 2021-2024 Hourly Carbon Intensity Data, https://www.electricitymaps.com.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np

from grid.errors import FeedError
from grid.feeds.reading import Reading, regular


def read_carbon(path: str | Path) -> Reading:
    """Average carbon intensity in g/kWh by hour.

    Raises:
        FeedError: the file cannot be read or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:  # pq.read_table would import the dataset machinery: 0.1 s for nothing
            table = file.read(columns=["timestamp", "carbon_intensity"])
    except (OSError, pa.ArrowException) as error:
        raise FeedError(f"{path}: not a Parquet file of timestamp and carbon_intensity: {error}") from error
    if table.column_names != ["timestamp", "carbon_intensity"]:
        raise FeedError(f"{path}: columns {table.column_names}; expected timestamp and carbon_intensity")
    stamp = table["timestamp"].type
    if not pa.types.is_timestamp(stamp) or stamp.tz not in (None, "UTC"):
        raise FeedError(f"{path}: timestamp is {stamp}; expected a naive or UTC timestamp")
    if any(column.null_count for column in table.columns):
        raise FeedError(f"{path}: holds rows without a value")
    # pyarrow's own to_numpy would import pandas: half a second
    try:
        millis = table["timestamp"].combine_chunks().cast(pa.timestamp("ms", tz=stamp.tz)).view(pa.int64())
        numbers = table["carbon_intensity"].combine_chunks().cast(pa.float64())
    except pa.ArrowException as error:
        raise FeedError(f"{path}: not times and numbers: {error}") from error
    times = np.asarray(np.from_dlpack(millis), dtype=np.float64) / 1000.0
    values = np.array(np.from_dlpack(numbers), dtype=np.float64)
    return regular(times, values, "g/kWh", f"{Path(path).name}, average, life cycle", step_s=3600.0)


def answer_carbon(answer: str, source: str) -> Reading:
    """Average carbon intensity in g/kWh from an answer of the web interface.

    Args:
        answer: the JSON document.
        source: its name for messages and reports.

    Raises:
        FeedError: it is no such answer, a time has no zone, or the factors are not those of the life cycle.
    """
    try:
        content = json.loads(answer)
        rows = next(content[name] for name in ("data", "forecast", "history") if isinstance(content.get(name), list))
        kinds = {row["emissionFactorType"] for row in rows if row.get("emissionFactorType")}
        stamps = [datetime.fromisoformat(row["datetime"]) for row in rows]
        values = [float("nan") if row["carbonIntensity"] is None else float(row["carbonIntensity"]) for row in rows]
        times = [stamp.timestamp() for stamp in stamps if stamp.tzinfo is not None]
    except (RecursionError, AttributeError, KeyError, TypeError, ValueError, OverflowError, StopIteration) as error:
        raise FeedError(f"{source}: not an answer of Electricity Maps: {type(error).__name__} {error}") from error
    if len(times) < len(stamps):
        raise FeedError(f"{source}: a time without a zone")
    if kinds - {"lifecycle"}:
        raise FeedError(f"{source}: emission factors {', '.join(sorted(kinds))}; expected lifecycle")
    return regular(times, values, "g/kWh", f"{source}, average, life cycle")
