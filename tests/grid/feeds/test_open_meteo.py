"""Weather: the fixed clock, the unit of wind, missing hours."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grid.errors import FeedError
from grid.feeds.open_meteo import read_weather
from grid.horizon import Horizon


def answer(hours: int = 48, **changes: Any) -> dict[str, Any]:
    """An answer of the archive that begins on 26 March 2023, the day of the clock change, with a fixed offset of one hour."""
    times = [f"2023-03-{26 + i // 24:02d}T{i % 24:02d}:00" for i in range(hours)]
    base = {
        "latitude": 50.0,
        "longitude": 8.0,
        "elevation": 100.0,
        "utc_offset_seconds": 3600,
        "timezone": "Europe/Berlin",
        "hourly_units": {"temperature_2m": "°C", "relative_humidity_2m": "%", "cloudcover": "%", "windspeed_10m": "km/h"},
        "hourly": {
            "time": times,
            "temperature_2m": [float(i) for i in range(hours)],
            "relative_humidity_2m": [50] * hours,
            "cloudcover": [100] * hours,
            "windspeed_10m": [36.0] * hours,
        },
    }
    return {**base, **changes}


def write(path: Path, content: Any) -> Path:
    """The answer as a file."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_clock_is_the_fixed_offset_and_wind_is_in_m_per_s(tmp_path: Path) -> None:
    """Though the zone changes its clock that night, every hour is the file's hour minus one; 36 km/h are 10 m/s."""
    weather = read_weather(write(tmp_path / "w.json", answer()))
    start = datetime(2023, 3, 25, 23, tzinfo=UTC).timestamp()
    assert weather.times_s.tolist() == [start + 3600 * i for i in range(48)]
    assert weather.wind_m_per_s == pytest.approx(np.full(48, 10.0))
    assert weather.at("temperature_c", [start + 1800]) == pytest.approx([0.5])


def test_missing_hours_are_faults_where_they_matter(tmp_path: Path) -> None:
    """A null and a hole are named; asked elsewhere they do no harm, asked there they need a repair."""
    content = answer()
    content["hourly"]["temperature_2m"][5] = None
    for values in content["hourly"].values():
        del values[30:32]
    weather = read_weather(write(tmp_path / "w.json", content))
    start = float(weather.times_s[0])
    assert len(weather.faults) == 2
    assert weather.at("temperature_c", [start + 15 * 3600]).tolist() == [15.0]
    for hour in (5, 30):
        with pytest.raises(FeedError, match="repair"):
            weather.at("temperature_c", [start + 3600 * hour])
        assert weather.at("temperature_c", [start + 3600 * hour], "interpolate") == pytest.approx([hour])


def test_covers_and_refuses_moments_outside(tmp_path: Path) -> None:
    """The last hour stands for the hour after it, and no longer."""
    weather = read_weather(write(tmp_path / "w.json", answer()))
    start = datetime(2023, 3, 25, 23, tzinfo=UTC)
    assert weather.covers(Horizon(start, timedelta(hours=1), 48))
    assert not weather.covers(Horizon(start, timedelta(hours=1), 49))
    with pytest.raises(FeedError, match="covers"):
        weather.at("cloud_pct", [start.timestamp() - 1])


def test_wind_in_other_units(tmp_path: Path) -> None:
    """Knots and metres a second are converted, an unknown unit is refused."""
    units = dict(answer()["hourly_units"])
    for unit, expected in (("m/s", 36.0), ("kn", 36 * 1852 / 3600)):
        weather = read_weather(write(tmp_path / "w.json", answer(hourly_units={**units, "windspeed_10m": unit})))
        assert weather.wind_m_per_s[0] == pytest.approx(expected)
    for name, unit in (("windspeed_10m", "Bft"), ("temperature_2m", "°F")):
        with pytest.raises(FeedError, match=unit):
            read_weather(write(tmp_path / "w.json", answer(hourly_units={**units, name: unit})))


def test_broken_answers_are_refused(tmp_path: Path) -> None:
    """No JSON, no answer, a missing list, lists of different length, times that do not ascend."""
    broken = tmp_path / "w.json"
    broken.write_text("{")
    with pytest.raises(FeedError, match="cannot be read"):
        read_weather(broken)
    content = answer()
    for change, message in (
        ({"reason": "limit", "hourly": None}, "not an Open-Meteo answer|NoneType"),
        ({"hourly": {k: v for k, v in content["hourly"].items() if k != "cloudcover"}}, "no hourly.cloudcover"),
        ({"hourly": {**content["hourly"], "cloudcover": [1, 2]}}, "2 values for 48 times"),
        ({"hourly": {**content["hourly"], "cloudcover": ["x"] * 48}}, "hourly.cloudcover"),
        ({"hourly": {**content["hourly"], "time": content["hourly"]["time"][::-1]}}, "does not ascend"),
    ):
        with pytest.raises(FeedError, match=message):
            read_weather(write(tmp_path / "w.json", answer(**change)))
