"""Typical years: EPW and TMY3 files on the horizon's years, their traps and their faults."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pvlib
import pytest

from grid.assets.solar import solar_power
from grid.errors import FeedError
from grid.feeds.open_meteo import Weather
from grid.feeds.reading import FaultKind
from grid.feeds.typical_year import read_epw, read_tmy3
from grid.horizon import Horizon

SAND_POINT = Path(pvlib.__file__).parent / "data" / "703165TY.csv"
DAY = Horizon(datetime(2023, 5, 11, tzinfo=UTC), timedelta(minutes=15), 96)


def epw(path: Path, change: Callable[[int, list[str]], list[str]] = lambda _, cells: cells, rows: int = 8760) -> Path:
    """An EPW file at 52 N, 5 E, one hour ahead of UTC: temperature is the hour of the year / 1000, half of the sky is clouded."""
    head = ["LOCATION,Almere,-,NLD,test,000000,52.0,5.0,1.0,-3.0", *["COMMENTS"] * 7]
    begin = datetime(2001, 1, 1, tzinfo=UTC)
    lines = []
    for i in range(rows):
        at = begin + timedelta(hours=i)
        cells = ["1999", str(at.month), str(at.day), str(at.hour + 1), "60", "?", f"{i / 1000:.3f}", "5.0", "80", "101300"]
        cells += ["0"] * 10 + ["180", "6.5", "5", "5"] + ["0"] * 11
        lines.append(",".join(change(i, cells)))
    path.write_text("\n".join([*head, *lines]) + "\n", encoding="latin-1")
    return path


def hour_of(weather: Weather, moment: datetime) -> float:
    """Temperature at an instant, which in the file above is the index of its hour / 1000."""
    return float(weather.at("temperature_c", [moment.timestamp()])[0]) * 1000


def test_epw_rows_end_their_hour_on_the_files_own_clock(tmp_path: Path) -> None:
    """Hour 1 of 1 January is 01:00 local standard time, 00:00 UTC here, in every year; tenths of cloud become percent."""
    weather = read_epw(epw(tmp_path / "w.epw"), Horizon(datetime(2023, 1, 1, tzinfo=UTC), timedelta(hours=1), 24))
    assert hour_of(weather, datetime(2023, 1, 1, 0, tzinfo=UTC)) == pytest.approx(0.0, abs=1e-6)
    assert hour_of(weather, datetime(2023, 1, 1, 5, tzinfo=UTC)) == pytest.approx(5.0)
    assert hour_of(weather, datetime(2022, 12, 31, 23, tzinfo=UTC)) == pytest.approx(8759.0)
    assert set(weather.cloud_pct) == {50.0}
    assert set(weather.wind_m_per_s) == {6.5}
    assert (weather.latitude, weather.longitude, weather.elevation_m) == (52.0, 5.0, -3.0)
    assert weather.faults == ()


def test_a_leap_day_is_a_gap(tmp_path: Path) -> None:
    """On 29 February 2024 there is nothing: refused without repair, straight lines with it; 1 March is itself again."""
    path = epw(tmp_path / "w.epw")
    horizon = Horizon(datetime(2024, 2, 28, tzinfo=UTC), timedelta(hours=1), 72)
    weather = read_epw(path, horizon)
    assert [(fault.kind, fault.rows) for fault in weather.faults] == [(FaultKind.GAP, 24)]
    leap = datetime(2024, 2, 29, 12, tzinfo=UTC).timestamp()
    with pytest.raises(FeedError, match="gap"):
        weather.at("temperature_c", [leap])
    assert weather.at("temperature_c", [leap], "interpolate")[0] * 1000 == pytest.approx(1415, abs=1.0)
    assert hour_of(weather, datetime(2024, 3, 1, 10, tzinfo=UTC)) == pytest.approx(59 * 24 + 10)


def test_a_horizon_over_new_year_is_covered(tmp_path: Path) -> None:
    """The last hours of one typical year are followed by the first of the next."""
    horizon = Horizon(datetime(2023, 12, 31, 12, tzinfo=UTC), timedelta(hours=1), 24)
    weather = read_epw(epw(tmp_path / "w.epw"), horizon)
    assert weather.covers(horizon)
    assert np.diff(weather.times_s) == pytest.approx(np.full(len(weather.times_s) - 1, 3600.0))


def _cell(row: int, at: int, value: str) -> Callable[[int, list[str]], list[str]]:
    """Changes one cell of one row."""
    return lambda i, cells: [*cells[:at], value, *cells[at + 1 :]] if i == row else cells


@pytest.mark.parametrize(
    ("change", "rows", "says"),
    [
        (_cell(9, 6, "283.15"), 8760, "temperature_c"),  # kelvin is above every code for missing
        (_cell(9, 6, "-100"), 8760, "temperature_c -100 in hour 10; expected -90 to 60"),
        (_cell(9, 21, "90"), 8760, "wind_m_per_s 90 in hour 10"),
        (_cell(9, 6, "warm"), 8760, r"w.epw:18: could not convert"),
        (_cell(9, 2, "3"), 8760, "w.epw:18: month 1, day 3, hour 10; expected month 1, day 1, hour 10"),
        (lambda _, cells: cells, 5000, "5000 hours; expected the 8760"),
        (lambda i, cells: cells[:9] if i == 4 else cells, 8760, "w.epw:13: 9 fields"),
    ],
)
def test_faulty_epw_files_are_refused(
    tmp_path: Path, change: Callable[[int, list[str]], list[str]], rows: int, says: str
) -> None:
    """Wrong units, words, a repeated hour, a truncated file: named with line or hour; a value that means missing is a fault."""
    path = epw(tmp_path / "w.epw", change, rows)
    horizon = Horizon(datetime(2023, 1, 1, tzinfo=UTC), timedelta(hours=1), 24)
    if says == "temperature_c":
        weather = read_epw(path, horizon)
        assert [fault.kind for fault in weather.faults] == [FaultKind.NOT_A_NUMBER]
        with pytest.raises(FeedError, match="temperature_c from 2023-01-01T09:00Z"):
            weather.at("temperature_c", [datetime(2023, 1, 1, 9, tzinfo=UTC).timestamp()])
        return
    with pytest.raises(FeedError, match=says):
        read_epw(path, horizon)


def test_other_files_are_no_typical_year(tmp_path: Path) -> None:
    """A missing file, an empty one, one of the other kind and one without a column."""
    (tmp_path / "empty").write_text("")
    for read, kind in ((read_epw, "LOCATION"), (read_tmy3, "first line")):
        with pytest.raises(FeedError, match="cannot be read"):
            read(tmp_path / "none", DAY)
        with pytest.raises(FeedError, match=kind):
            read(tmp_path / "empty", DAY)
    with pytest.raises(FeedError, match="LOCATION"):
        read_epw(SAND_POINT, DAY)
    lines = SAND_POINT.read_text().splitlines()
    (tmp_path / "t.csv").write_text("\n".join([lines[0], lines[1].replace("TotCld (tenths)", "Cloud"), *lines[2:]]))
    with pytest.raises(FeedError, match=r"t.csv:2: no column 'TotCld \(tenths\)'"):
        read_tmy3(tmp_path / "t.csv", DAY)
    (tmp_path / "t.csv").write_text("\n".join(lines[:4000]))
    with pytest.raises(FeedError, match="3998 hours; expected the 8760"):
        read_tmy3(tmp_path / "t.csv", DAY)


def test_tmy3_of_pvlib_agrees_with_pvlibs_own_reader() -> None:
    """Real file of Sand Point (NREL): temperature, wind and cloud of a day of June are those that pvlib reads."""
    horizon = Horizon(datetime(2023, 6, 10, 9, tzinfo=UTC), timedelta(hours=1), 24)  # local midnight, nine hours behind
    weather = read_tmy3(SAND_POINT, horizon)
    table, place = pvlib.iotools.read_tmy3(str(SAND_POINT), map_variables=True)
    day = table[(table.index.month == 6) & (table.index.day == 10)]
    assert (weather.latitude, weather.longitude) == (place["latitude"], place["longitude"])
    (cloud,) = [name for name in table.columns if name in {"TotCld (tenths)", "total_cloud_cover"}]
    at = day.index.map(lambda stamp: stamp.replace(year=2023).timestamp()).to_numpy(dtype=float)
    assert weather.at("temperature_c", at) == pytest.approx(day["temp_air"].to_numpy())
    assert weather.at("wind_m_per_s", at) == pytest.approx(day["wind_speed"].to_numpy())
    assert weather.at("cloud_pct", at) == pytest.approx(10.0 * day[cloud].to_numpy())


def test_sun_from_a_typical_year_is_near_its_measured_irradiance() -> None:
    """Over ten days of June at Sand Point the cloud model's energy is within a third of PVWatts' on the file's irradiance.

    Cloud cover says little about a single place (``grid.assets.solar``); a wrong clock or unit would be much further off.
    """
    horizon = Horizon(datetime(2023, 6, 10, 9, tzinfo=UTC), timedelta(minutes=15), 960)
    power = solar_power(read_tmy3(SAND_POINT, horizon), horizon, peak_kw=1.0, tilt_deg=0.0)
    table, _ = pvlib.iotools.read_tmy3(str(SAND_POINT), map_variables=True)
    days = table[(table.index.month == 6) & (table.index.day >= 10) & (table.index.day < 20)]
    measured_kwh = float(days["ghi"].sum()) / 1000.0 * 0.86
    assert power.mean(horizon).sum() * 0.25 == pytest.approx(measured_kwh, rel=0.34)
    by_hour = power.mean(horizon).reshape(10, 96).mean(axis=0)
    centre_h = float((by_hour * (np.arange(96) + 0.5) / 4).sum() / by_hour.sum())
    assert centre_h == pytest.approx(13.7, abs=0.4)  # 160.5 W on the clock of 135 W: solar noon at about 13:42
