"""The table by month and local hour, also on days of 23 and 25 hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import FeedError
from grid.feeds.table import hour_by_month, read_table
from grid.horizon import Horizon

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
ROWS = [f"{month},{hour},{100 * month + hour},{hour}" for month in range(1, 13) for hour in range(24)]
HEADER = "month,hour,price_eur_per_mwh,carbon_g_per_kwh"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose value tells month and hour."""
    path = tmp_path_factory.mktemp("table") / "table.csv"
    path.write_text("\n".join(["# a comment", HEADER, *ROWS]) + "\n")
    return path


def local_day(year: int, month: int, day: int) -> Horizon:
    """The local day in hours: 23, 24 or 25 of them."""
    start = datetime(year, month, day, tzinfo=AMSTERDAM).astimezone(UTC)
    end = (start.astimezone(AMSTERDAM).replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=AMSTERDAM).astimezone(UTC)
    return Horizon(start, timedelta(hours=1), round((end - start) / timedelta(hours=1)))


def test_ordinary_day_reads_each_hour_once(table: Path) -> None:
    """On a day of 24 hours the values are those of the hours 0 to 23 of its month."""
    series = hour_by_month(table, "price_eur_per_mwh", local_day(2023, 5, 11), "Europe/Amsterdam")
    assert series.mean(local_day(2023, 5, 11)).tolist() == [500.0 + hour for hour in range(24)]
    assert series.unit == "EUR/MWh"


def test_spring_day_skips_hour_two(table: Path) -> None:
    """The last Sunday of March has 23 hours; the clock never shows 02:00."""
    day = local_day(2023, 3, 26)
    values = hour_by_month(table, "price_eur_per_mwh", day, "Europe/Amsterdam").mean(day)
    assert values.tolist() == [300.0 + hour for hour in range(24) if hour != 2]


def test_autumn_day_reads_hour_two_twice(table: Path) -> None:
    """The last Sunday of October has 25 hours; 02:00 comes twice."""
    day = local_day(2023, 10, 29)
    values = hour_by_month(table, "carbon_g_per_kwh", day, "Europe/Amsterdam").mean(day)
    assert values.tolist() == [0, 1, 2, 2, *range(3, 24)]


def test_zone_of_half_an_hour(table: Path) -> None:
    """In a zone of UTC+05:30 the table changes at half past, UTC."""
    horizon = Horizon(datetime(2023, 6, 1, tzinfo=UTC), timedelta(minutes=30), 4)
    assert hour_by_month(table, "carbon_g_per_kwh", horizon, "Asia/Kolkata").mean(horizon).tolist() == [5, 6, 6, 7]


@given(
    st.datetimes(datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2026-01-01"), timezones=st.just(UTC)),
    st.integers(1, 200),
    st.sampled_from([300, 900, 3600]),
)
def test_every_instant_shows_the_local_clock(table: Path, start: datetime, slots: int, step_s: int) -> None:
    """At every slot's first instant the value is that of the local month and hour, across any clock change."""
    horizon = Horizon(start.replace(microsecond=0), timedelta(seconds=step_s), slots)
    series = hour_by_month(table, "price_eur_per_mwh", horizon, "Europe/Amsterdam")
    assert series.covers(horizon)
    for edge in horizon.edges_s[:-1]:
        local = datetime.fromtimestamp(float(edge), AMSTERDAM)
        assert series.at(float(edge)) == 100 * local.month + local.hour


@pytest.mark.parametrize(
    ("rows", "column", "message"),
    [
        (ROWS, "price", "no column 'price'"),
        (ROWS[:-1], "carbon_g_per_kwh", "1 of 288 rows are missing, first month 12, hour 23"),
        ([*ROWS, ROWS[0]], "carbon_g_per_kwh", ":290: month 1, hour 0 stands twice"),
        ([*ROWS[:5], "1,5,x,y", *ROWS[6:]], "carbon_g_per_kwh", ":7: not a row"),
        ([*ROWS[:5], "1,24,1,1", *ROWS[6:]], "carbon_g_per_kwh", ":7: month 1, hour 24"),
        ([*ROWS[:5], "1,5,1,nan", *ROWS[6:]], "carbon_g_per_kwh", "out of range"),
        ([*ROWS[:5], "1", *ROWS[6:]], "carbon_g_per_kwh", ":7: not a row"),
    ],
)
def test_wrong_tables_are_refused_with_their_line(tmp_path: Path, rows: list[str], column: str, message: str) -> None:
    """A missing column, a missing, doubled, short or senseless row is named."""
    path = tmp_path / "bad.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    with pytest.raises(FeedError, match=message):
        read_table(path, column)


def test_missing_file_empty_file_and_unknown_zone(tmp_path: Path, table: Path) -> None:
    """A file that is not there, one without a table, and a zone that nobody knows are feed errors."""
    empty = tmp_path / "empty.csv"
    empty.write_text("# nothing\n")
    with pytest.raises(FeedError, match="cannot be read"):
        read_table(tmp_path / "none.csv", "price_eur_per_mwh")
    with pytest.raises(FeedError, match="no table"):
        read_table(empty, "price_eur_per_mwh")
    with pytest.raises(FeedError, match="Mars"):
        hour_by_month(table, "price_eur_per_mwh", local_day(2023, 5, 11), "Mars/Olympus")


def test_committed_table_is_whole() -> None:
    """The Dutch table of 2023 that ships has every hour, prices below 250 EUR/MWh and intensities of a real grid."""
    path = Path(__file__).parents[3] / "configs" / "data" / "nl_hour_by_month.csv"
    price, carbon = read_table(path, "price_eur_per_mwh"), read_table(path, "carbon_g_per_kwh")
    assert 0 < price.min() < price.max() < 250
    assert 50 < carbon.min() < carbon.max() < 600
    assert np.mean(price) == pytest.approx(96, abs=5)  # 103 USD/MWh at 1.07764 in the data's own README
