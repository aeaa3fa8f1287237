"""Any CSV file of times and numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from grid.errors import FeedError
from grid.feeds.csv_series import read_csv_series
from grid.feeds.reading import FaultKind


def write(path: Path, *rows: str) -> Path:
    """A CSV file."""
    path.write_text("\n".join(rows) + "\n")
    return path


def test_offsets_naive_times_and_comments(tmp_path: Path) -> None:
    """Times with an offset count as they are, naive ones on the clock of the zone; comments do not shift the lines."""
    path = write(
        tmp_path / "a.csv", "# sun", "when,kw", "2023-05-11T00:00+02:00,1", "2023-05-10T22:15:00Z,2", "2023-05-11 00:30,3"
    )
    reading = read_csv_series(path, "when", "kw", "kW", "Europe/Amsterdam")
    assert reading.faults == ()
    assert reading.edges_s[0] == datetime(2023, 5, 10, 22, tzinfo=UTC).timestamp()
    assert reading.series().values.tolist() == [1, 2, 3]


def test_all_faults_with_their_lines(tmp_path: Path) -> None:
    """A gap, a duplicate, a row out of order and an empty value are four faults with four lines."""
    path = write(
        tmp_path / "a.csv",
        "when,kw",
        "2023-05-11T00:00,0",
        "2023-05-11T01:00,1",
        "2023-05-11T01:00,1",
        "2023-05-11T03:00,3",
        "2023-05-11T02:00,2",
        "2023-05-11T04:00,",
        "2023-05-11T07:00,7",
    )
    reading = read_csv_series(path, "when", "kw", "kW")
    found = [(fault.kind, fault.line) for fault in reading.faults]
    assert found == [
        (FaultKind.DUPLICATE, 4),
        (FaultKind.UNSORTED, 6),
        (FaultKind.NOT_A_NUMBER, 7),
        (FaultKind.GAP, 8),
    ]


def test_quarter_hours_through_the_autumn_clock(tmp_path: Path) -> None:
    """Of naive quarter-hours that the clock shows twice, the second pass is winter time."""
    quarters = [f"2023-10-29T02:{minute:02d},{minute}" for minute in (0, 15, 30, 45)]
    path = write(tmp_path / "a.csv", "when,kw", "2023-10-29T01:45,1", *quarters, *quarters, "2023-10-29T03:00,3")
    reading = read_csv_series(path, "when", "kw", "kW", "Europe/Amsterdam")
    assert reading.faults == ()
    assert len(reading.values) == 10


def test_invented_quarters_in_spring(tmp_path: Path) -> None:
    """Naive times that the clock skipped are named and left out."""
    path = write(tmp_path / "a.csv", "when,kw", *(f"2023-03-26T0{h}:30,{h}" for h in (0, 1, 2, 3, 4)))
    reading = read_csv_series(path, "when", "kw", "kW", "Europe/Amsterdam")
    assert [(fault.kind, fault.line) for fault in reading.faults] == [(FaultKind.INVENTED_HOUR, 4)]
    assert reading.values.tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize(
    ("rows", "column", "message"),
    [
        (("when,kw", "2023-05-11,1"), "kwh", r"no column 'kwh'.*did you mean 'kw'"),
        (("when,kw", "yesterday,1"), "kw", ":2: no time"),
        (("# only this",), "kw", "no column 'when'; there are none"),
        (("when,kw", "2023-05-11,1"), "kw", "1 different times"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, rows: tuple[str, ...], column: str, message: str) -> None:
    """A missing column (with the nearest name), a row without a time, an empty file and a single row are errors."""
    with pytest.raises(FeedError, match=message):
        read_csv_series(write(tmp_path / "a.csv", *rows), "when", column, "kW")
