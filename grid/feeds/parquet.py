"""Any Parquet file with a column of times and columns of numbers. A truncated file has no footer and is refused.

Times are timestamps: with a zone they are instants, without one they are UTC (Parquet keeps no local clock). A null value is
missing, a null time is a fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from grid.errors import FeedError
from grid.feeds.reading import Reading, regular
from grid.horizon import FloatArray


def read_parquet_series(path: str | Path, time: str, value: str, unit: str) -> Reading:
    """Column ``value`` over column ``time`` (start of the step), in ``unit``.

    Raises:
        FeedError: the file cannot be read, a column is missing or of another kind.
    """
    times, (values,) = read_columns(path, time, [value])
    return regular(times, values, unit, Path(path).name)


def read_columns(path: str | Path, time: str, names: Sequence[str] | None = None) -> tuple[FloatArray, list[FloatArray]]:
    """Unix seconds of column ``time`` ``[n]``, and the numbers of each of ``names``, ``NaN`` where there is none.

    Raises:
        FeedError: as above.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = list(names or [])
    present = column_names(path)
    for name in (time, *wanted):
        if name not in present:
            raise FeedError(f"{path}: no column {name!r}; there are {', '.join(present)}")
        if present.count(name) > 1:
            raise FeedError(f"{path}: {present.count(name)} columns {name!r}; expected one")
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(columns=[time, *wanted])
        stamp = table[time].type
        if not pa.types.is_timestamp(stamp):
            raise FeedError(f"{path}: column {time!r} is {stamp}; expected a timestamp")
        if table[time].null_count:
            raise FeedError(f"{path}: column {time!r} holds {table[time].null_count} rows without a time")
        micros = table[time].combine_chunks().cast(pa.timestamp("us", tz=stamp.tz)).view(pa.int64())
        times = np.asarray(np.from_dlpack(micros), dtype=np.float64) / 1e6
        columns = []
        for name in wanted:
            kind = table[name].type
            if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
                raise FeedError(f"{path}: column {name!r} is {kind}; expected numbers")
            filled = table[name].combine_chunks().cast(pa.float64()).fill_null(float("nan"))
            columns.append(np.array(np.from_dlpack(filled), dtype=np.float64))
    except (OSError, pa.ArrowException) as error:
        raise FeedError(f"{path}: cannot be read as Parquet (truncated?): {error}") from error
    return times, columns


def column_names(path: str | Path) -> list[str]:
    """Names of the columns of a Parquet file.

    Raises:
        FeedError: it is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return [str(name) for name in file.schema_arrow.names]
    except (OSError, pa.ArrowException) as error:
        raise FeedError(f"{path}: not a Parquet file, or a truncated one: {error}") from error
