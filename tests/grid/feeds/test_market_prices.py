"""Day-ahead files on a naive local clock, and their two bad nights a year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from grid.errors import FeedError
from grid.feeds.market_prices import read_market_prices
from grid.feeds.reading import FaultKind

HEADER = "Datetime,Price (EUR/MWh)\n"


def hours(start: datetime, count: int) -> list[str]:
    """Naive hours in a row, the price being the local hour."""
    moments = [start + timedelta(hours=i) for i in range(count)]
    return [f"{moment:%Y-%m-%d %H:%M:%S},{moment.hour}" for moment in moments]


def write(path: Path, rows: list[str]) -> Path:
    """A price file."""
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def test_ordinary_day_is_clean_and_in_utc(tmp_path: Path) -> None:
    """Local midnight in May is 22:00 UTC the day before; nothing is wrong."""
    reading = read_market_prices(write(tmp_path / "p.csv", hours(datetime.fromisoformat("2023-05-11"), 24)))
    assert reading.faults == ()
    assert reading.unit == "EUR/MWh"
    assert reading.edges_s[0] == datetime(2023, 5, 10, 22, tzinfo=UTC).timestamp()
    assert reading.values.tolist() == list(range(24))


def test_invented_hour_in_spring_is_told_and_left_out(tmp_path: Path) -> None:
    """24 rows on the day of 23 hours: the 02:00 that never was is a fault with its line, and 23 values are left."""
    reading = read_market_prices(write(tmp_path / "p.csv", hours(datetime.fromisoformat("2023-03-26"), 24)))
    assert [(fault.kind, fault.line, fault.rows) for fault in reading.faults] == [(FaultKind.INVENTED_HOUR, 4, 1)]
    assert "2023-03-26T02:00:00" in reading.faults[0].where
    assert reading.values.tolist() == [0, 1, *range(3, 24)]


def test_missing_second_hour_in_autumn_is_told_once(tmp_path: Path) -> None:
    """24 rows on the day of 25 hours: the second 02:00 is missing; it is one fault and not also a gap."""
    reading = read_market_prices(write(tmp_path / "p.csv", hours(datetime.fromisoformat("2023-10-29"), 24)))
    assert [(fault.kind, fault.line) for fault in reading.faults] == [(FaultKind.MISSING_SECOND_HOUR, 4)]
    assert reading.missing == 1
    assert reading.series("interpolate").values.tolist() == [0, 1, 2, 2.5, *range(3, 24)]


def test_two_hours_in_autumn_are_right(tmp_path: Path) -> None:
    """A file that does have 02:00 twice is clean: the first is summer time, the second winter time."""
    rows = hours(datetime.fromisoformat("2023-10-29"), 24)
    reading = read_market_prices(write(tmp_path / "p.csv", [*rows[:3], "2023-10-29 02:00:00,99", *rows[3:]]))
    assert reading.faults == ()
    assert reading.values.tolist() == [0, 1, 2, 99, *range(3, 24)]


def test_third_hour_in_autumn_is_a_duplicate(tmp_path: Path) -> None:
    """02:00 three times: the clock shows it twice, the third row is a duplicate."""
    rows = hours(datetime.fromisoformat("2023-10-29"), 24)
    extra = ["2023-10-29 02:00:00,98", "2023-10-29 02:00:00,99"]
    reading = read_market_prices(write(tmp_path / "p.csv", [*rows[:3], *extra, *rows[3:]]))
    assert [(fault.kind, fault.line) for fault in reading.faults] == [(FaultKind.DUPLICATE, 6)]


def test_missing_day_is_one_gap(tmp_path: Path) -> None:
    """A whole missing day is one fault of 24 rows, seen at the row after it."""
    rows = [*hours(datetime.fromisoformat("2023-05-11"), 24), *hours(datetime.fromisoformat("2023-05-13"), 24)]
    reading = read_market_prices(write(tmp_path / "p.csv", rows))
    assert [(fault.kind, fault.rows, fault.line) for fault in reading.faults] == [(FaultKind.GAP, 24, 26)]


def test_empty_price_is_a_fault(tmp_path: Path) -> None:
    """A row without a number stays empty and is named."""
    rows = hours(datetime.fromisoformat("2023-05-11"), 24)
    reading = read_market_prices(write(tmp_path / "p.csv", [*rows[:5], "2023-05-11 05:00:00,", *rows[6:]]))
    assert [(fault.kind, fault.line) for fault in reading.faults] == [(FaultKind.NOT_A_NUMBER, 7)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Datetime (UTC),Price\n", ":1: columns"),
        ("", ":1: columns"),
        (HEADER + "2023-05-11 00:00:00,1\nnonsense,2\n", ":3: no time in 'nonsense,2'"),
        (HEADER + "2023-05-11 00:00:00+02:00,1\n", ":2: time .* has a zone"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """Another header, a row without a time, a time with a zone: each names its line."""
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(FeedError, match=message):
        read_market_prices(path)


def test_binary_nonsense_is_refused(tmp_path: Path) -> None:
    """Bytes that are no text are a feed error and no traceback of the codec."""
    path = tmp_path / "p.csv"
    path.write_bytes(b"\xff\xfe\x00nonsense\x80")
    with pytest.raises(FeedError, match="cannot be read"):
        read_market_prices(path)
