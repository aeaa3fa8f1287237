"""Files and answers that no sane source writes: every reader refuses them in its own words, and never breaks otherwise."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grid.errors import FeedError
from grid.feeds.csv_series import read_csv_series
from grid.feeds.day_ahead import read_day_ahead
from grid.feeds.electricity_maps import answer_carbon, read_carbon
from grid.feeds.market_prices import read_market_prices
from grid.feeds.open_meteo import answer_weather
from grid.feeds.parquet import read_parquet_series
from grid.feeds.reading import MOST_STEPS, iso, regular
from grid.feeds.table import read_table
from grid.feeds.typical_year import read_epw
from grid.horizon import Horizon

LONG_CELL = "9" * 200_000
"""More than the csv module reads in one cell."""


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (f"2026-01-01T00:00,1\n2026-01-01T01:00,{LONG_CELL}", "cannot be read: field larger"),
        ("0001-01-01T00:00,1\n0001-01-01T01:00,1", ":2: 0001-01-01T00:00; expected a time from 1900 to 2200"),
        ("9999-12-31T23:00-05:00,1\n9999-12-31T23:30-05:00,1", "expected a time from 1900 to 2200"),
        (
            "2026-01-01T00:00:00.25,1\n2026-01-01T00:00:00.50,1\n2026-01-01T00:00:00.75,1\n2126-01-01T00:00,1",
            f"at most {MOST_STEPS}",
        ),
    ],
    ids=["a cell without end", "year 1", "after the calendar", "one row a century late"],
)
def test_csv_series(rows: str, says: str, tmp_path: Path) -> None:
    """A cell without end, years that no clock has, and a misprint that would make a series of terabytes."""
    path = tmp_path / "a.csv"
    path.write_text(f"t,v\n{rows}\n")
    with pytest.raises(FeedError, match=says):
        read_csv_series(path, "t", "v", "kW", "Europe/Amsterdam")


def test_market_prices_and_tables(tmp_path: Path) -> None:
    """The same of day-ahead files and of tables by month and hour."""
    path = tmp_path / "a.csv"
    path.write_text("Datetime,Price (EUR/MWh)\n0001-01-01 00:00,1\n0001-01-01 01:00,2\n")
    with pytest.raises(FeedError, match=":2: 0001-01-01 00:00; expected a time from 1900 to 2200"):
        read_market_prices(path)
    path.write_text(f"month,hour,load_kw\n1,0,{LONG_CELL}\n")
    with pytest.raises(FeedError, match="cannot be read"):
        read_table(path, "load_kw")


HOUR_US = 3_600_000_000


@pytest.mark.parametrize(
    ("read", "names", "times_us", "values", "says"),
    [
        (read_parquet_series, ["t", "v"], [0, 9 * 10**18], [1.0, float("nan")], "Unix second 9e[+]12 in row 2"),
        (read_parquet_series, ["t", "v", "v"], [0, HOUR_US], [1.0, 2.0], "2 columns 'v'; expected one"),
        (read_carbon, ["timestamp", "carbon_intensity"], [0, 9 * 10**18], [1.0, 2.0], "expected times from 1900 to 2200"),
        (read_carbon, ["timestamp", "carbon_intensity"], [0, HOUR_US], ["high", "low"], "not times and numbers"),
    ],
)
def test_parquet(
    read: Callable[..., object], names: list[str], times_us: list[int], values: list[Any], says: str, tmp_path: Path
) -> None:
    """A time in the year 287,168, a column that stands twice, words for numbers."""
    columns = [pa.array(times_us, pa.timestamp("us")), *[pa.array(values)] * (len(names) - 1)]
    pq.write_table(pa.Table.from_arrays(columns, names=names), tmp_path / "a.parquet")
    with pytest.raises(FeedError, match=says):
        read(tmp_path / "a.parquet", *(["t", "v", "kW"] if read is read_parquet_series else []))


@pytest.mark.parametrize(
    "answer",
    [
        "[" * 100_000,
        '{"data": [{"datetime": "2026-01-01T00:00Z", "carbonIntensity": 1' + "0" * 400 + "}]}",
        '{"data": [{"datetime": "0001-01-01T00:00+05:00", "carbonIntensity": 5}]}',
    ],
    ids=["lists without end", "a number beyond a float", "before the calendar"],
)
def test_answers_of_electricity_maps(answer: str) -> None:
    """Nothing that a server sends ends in anything but a refusal."""
    with pytest.raises(FeedError):
        answer_carbon(answer, "answer")


HOURS = ["2026-01-01T00:00", "2026-01-01T01:00"]
FIELDS = ("temperature_2m", "relative_humidity_2m", "cloudcover", "windspeed_10m")
WEATHER: dict[str, Any] = {
    "hourly": {"time": HOURS} | {name: [1, 2] for name in FIELDS},
    "hourly_units": dict(zip(FIELDS, ("°C", "%", "%", "km/h"), strict=True)),
    "utc_offset_seconds": 0,
    "latitude": 52,
    "longitude": 5,
    "elevation": 1,
}


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("hourly_units",), [], "another kind"),
        (("hourly_units", "windspeed_10m"), [1], "expected one of km/h"),
        (("hourly", "windspeed_10m"), [[1], [2]], "hourly.windspeed_10m"),
        (("hourly", "windspeed_10m"), [-5, 5], "wind_m_per_s -1.38889 in hour 1; expected 0 to 75"),
        (("hourly", "cloudcover"), [1, 101], "cloud_pct 101 in hour 2"),
        (("hourly", "temperature_2m"), [288, 289], "temperature_c 288 in hour 1; expected -90 to 60 .another unit"),
        (("hourly", "time"), ["2026-01-01T00:00+05:00", "2026-01-01T01:00+05:00"], "a time with a zone"),
        (("utc_offset_seconds",), float("inf"), "another kind"),
        (("latitude",), float("nan"), "another kind"),
    ],
)
def test_answers_of_open_meteo(place: tuple[str, ...], value: object, says: str) -> None:
    """Lists and numbers of another kind, values that cannot be on Earth, and times whose zone would be taken for UTC."""
    answer = copy.deepcopy(WEATHER)
    here = answer
    for key in place[:-1]:
        here = here[key]
    here[place[-1]] = value
    with pytest.raises(FeedError, match=says):
        answer_weather(json.dumps(answer), "answer")


def test_weather_without_a_single_value() -> None:
    """No straight line can be drawn through nothing: refused, also with repair."""
    answer = copy.deepcopy(WEATHER)
    answer["hourly"]["windspeed_10m"] = [None, None]
    weather = answer_weather(json.dumps(answer), "answer")
    with pytest.raises(FeedError, match="not a single value of wind_m_per_s"):
        weather.at("wind_m_per_s", weather.times_s, "interpolate")


@pytest.mark.parametrize(("text", "says"), [("nan", "expected numbers"), ("inf", "expected numbers")])
def test_a_typical_year_with_a_month_that_is_no_number(text: str, says: str, tmp_path: Path) -> None:
    """'nan' is a float, and no month."""
    head = ["LOCATION,Almere,-,NLD,test,000000,52.0,5.0,1.0,-3.0", *["COMMENTS"] * 7]
    path = tmp_path / "a.epw"
    path.write_text("\n".join([*head, *[f"2001,{text},1,1" + ",5" * 31] * 8760]))
    with pytest.raises(FeedError, match=says):
        read_epw(path, Horizon(datetime(2023, 5, 11, tzinfo=UTC), timedelta(hours=1), 24))


def test_day_ahead_forecasts(tmp_path: Path) -> None:
    """A fuel without a value, and times that carry another zone than the format's."""
    begin, path = datetime(2026, 1, 1), tmp_path / "a.csv"  # noqa: DTZ001 - the format keeps naive UTC
    head = "UTC time,solar,avg_solar_production_forecast"
    for suffix, value, says in (("", "", "not a single value of solar"), ("+05:00", "1", "has a zone")):
        rows = [f"{begin + timedelta(hours=i)}{suffix},{value},{value}" for i in range(60)]
        path.write_text("\n".join([head, *rows]))
        with pytest.raises(FeedError, match=says):
            read_day_ahead(path, "solar")


def test_a_moment_that_no_calendar_has() -> None:
    """For messages it is the number that it is; a series of such times is refused."""
    assert iso(0.0) == "1970-01-01T00:00Z"
    for moment_s in (1e300, float("inf"), float("nan"), -1e12):
        assert iso(moment_s) == f"Unix second {moment_s:g}"
        with pytest.raises(FeedError, match="expected times from 1900 to 2200"):
            regular([0.0, moment_s], [1.0, 2.0], "kW", "odd")
