"""Parquet series and quantile files: clocks, missing values, truncated files, quantiles that cross."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grid.errors import FeedError
from grid.feeds.parquet import read_parquet_series
from grid.feeds.quantile_file import read_quantiles
from grid.feeds.reading import FaultKind

BEGIN = datetime(2023, 5, 11, tzinfo=UTC)


def write(path: Path, columns: dict[str, list[float | None]], zone: str | None = None, hours: list[int] | None = None) -> Path:
    """A file with a column ``time`` by hour and these columns."""
    count = len(next(iter(columns.values())))
    moments = [BEGIN.replace(tzinfo=None) + timedelta(hours=i) for i in (hours or range(count))]
    pq.write_table(pa.table({"time": pa.array(moments, pa.timestamp("ms", tz=zone)), **columns}), path)
    return path


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Amsterdam"])
def test_times_are_instants(tmp_path: Path, zone: str | None) -> None:
    """A timestamp without zone is UTC; with a zone the stored instant counts, whatever the zone's clock shows."""
    reading = read_parquet_series(write(tmp_path / "s.parquet", {"v": [1.0, 2.0, 3.0]}, zone), "time", "v", "kW")
    assert reading.edges_s[0] == BEGIN.timestamp()
    assert reading.values.tolist() == [1.0, 2.0, 3.0]
    assert reading.faults == ()


def test_faults_are_told(tmp_path: Path) -> None:
    """A null and a NaN are missing values, a lacking hour a gap, an hour that stands twice a duplicate."""
    path = write(tmp_path / "s.parquet", {"v": [1.0, None, float("nan"), 4.0, 5.0, 6.0]}, hours=[0, 1, 2, 3, 3, 5])
    kinds = [fault.kind for fault in read_parquet_series(path, "time", "v", "kW").faults]
    wanted = [FaultKind.DUPLICATE, FaultKind.GAP, FaultKind.NOT_A_NUMBER, FaultKind.NOT_A_NUMBER]
    assert sorted(kinds) == sorted(wanted)


def test_files_that_are_refused(tmp_path: Path) -> None:
    """A truncated file, text, words for numbers, numbers for times, no such column."""
    path = write(tmp_path / "s.parquet", {"v": [1.0, 2.0, 3.0]})
    for name, says in (("w", "no column 'w'; there are time, v"), ("time", "expected numbers")):
        with pytest.raises(FeedError, match=says):
            read_parquet_series(path, "time", name, "kW")
    with pytest.raises(FeedError, match="expected a timestamp"):
        read_parquet_series(path, "v", "v", "kW")
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(FeedError, match="truncated"):
            read_parquet_series(path, "time", "v", "kW")
    with pytest.raises(FeedError, match="truncated"):
        read_parquet_series(tmp_path / "none.parquet", "time", "v", "kW")
    stamps = pa.array([BEGIN, None], pa.timestamp("ms", tz="UTC"))
    pq.write_table(pa.table({"time": stamps, "v": [1.0, 2.0]}), path)
    with pytest.raises(FeedError, match="1 rows without a time"):
        read_parquet_series(path, "time", "v", "kW")


def test_quantiles_of_csv_and_parquet_agree(tmp_path: Path) -> None:
    """The same forecast in both formats: levels in order whatever the order of columns, p2.5 among them."""
    columns: dict[str, list[float | None]] = {"p50": [1.0, 2.0], "p97.5": [2.0, 3.0], "p2.5": [0.0, 1.0]}
    parquet = read_quantiles(write(tmp_path / "q.parquet", columns))
    rows = [
        f"{BEGIN + timedelta(hours=i):%Y-%m-%dT%H:%MZ},{columns['p50'][i]},{columns['p97.5'][i]},{columns['p2.5'][i]}"
        for i in (0, 1)
    ]
    (tmp_path / "q.csv").write_text("\n".join(["# a forecast", "time,p50,p97.5,p2.5", *rows]))
    text = read_quantiles(tmp_path / "q.csv")
    assert parquet.levels == text.levels == (0.025, 0.5, 0.975)
    for one, other in zip(parquet.readings, text.readings, strict=True):
        assert np.array_equal(one.values, other.values)
        assert np.array_equal(one.edges_s, other.edges_s)
    assert text.median.values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("header", "row", "says"),
    [
        ("time,p10,p90", "1,2", "expected p50 with a quantile below and one above"),
        ("time,p50,p90", "1,2", "expected p50 with a quantile below"),
        ("time,p0,p50,p90", "0,1,2", "expected p50"),
        ("time,p10,p50,p90", "1,3,2", "in step 1 p50 is 3 and p90 only 2"),
        ("when,p10,p50,p90", "1,2,3", "no column 'time'"),
    ],
)
def test_quantile_files_that_are_refused(tmp_path: Path, header: str, row: str, says: str) -> None:
    """No median, nothing on one side of it, level 0, crossing quantiles, no times."""
    path = tmp_path / "q.csv"
    path.write_text(f"{header}\n2023-05-11T00:00Z,{row}\n2023-05-11T01:00Z,{row}\n")
    with pytest.raises(FeedError, match=says):
        read_quantiles(path)
    with pytest.raises(FeedError, match="cannot be read"):
        read_quantiles(tmp_path / "none.csv")
