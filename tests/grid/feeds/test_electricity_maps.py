"""Carbon intensity from Parquet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grid.errors import FeedError
from grid.feeds.electricity_maps import read_carbon
from grid.feeds.reading import FaultKind


def write(path: Path, hours: list[int], unit: str = "ms", name: str = "carbon_intensity") -> Path:
    """A file of these hours of 2023, the intensity being the hour."""
    stamps = pa.array([datetime.fromisoformat("2023-01-01") + timedelta(hours=i) for i in hours], pa.timestamp(unit))
    pq.write_table(pa.table({"timestamp": stamps, name: [float(i) for i in hours]}), path)
    return path


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_naive_times_are_utc_in_any_resolution(tmp_path: Path, unit: str) -> None:
    """The first step begins at the naive time, taken as UTC."""
    reading = read_carbon(write(tmp_path / "c.parquet", list(range(5)), unit))
    assert reading.faults == ()
    assert reading.edges_s[0] == datetime(2023, 1, 1, tzinfo=UTC).timestamp()
    assert reading.values.tolist() == [0, 1, 2, 3, 4]
    assert "average" in reading.source


def test_gap_is_told(tmp_path: Path) -> None:
    """A missing hour is a fault."""
    reading = read_carbon(write(tmp_path / "c.parquet", [0, 1, 3]))
    assert [(fault.kind, fault.rows) for fault in reading.faults] == [(FaultKind.GAP, 1)]


def test_other_files_are_refused(tmp_path: Path) -> None:
    """A file without the column, one that is no Parquet, and one that is not there are feed errors."""
    with pytest.raises(FeedError, match="carbon_intensity"):
        read_carbon(write(tmp_path / "c.parquet", [0, 1], name="intensity"))
    nonsense = tmp_path / "n.parquet"
    nonsense.write_bytes(b"nonsense" * 100)
    for path in (nonsense, tmp_path / "none.parquet"):
        with pytest.raises(FeedError, match="not a Parquet file"):
            read_carbon(path)
