"""Series of a document from Parquet files and weather from typical years, from the file to the scenario."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pvlib
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scheduler.document import check_notes, load_scenario

SAND_POINT = Path(pvlib.__file__).parent / "data" / "703165TY.csv"
DOCUMENT = """
ozzo: 1
name: files
time_zone: UTC
horizon: {{start: 2022-07-01T00:00, hours: 24, step_minutes: 60}}
signals:
  price: {{parquet: prices.parquet, time: begin, value: price, unit: {unit}}}
  carbon_average: {{constant_g_per_kwh: 300}}
  weather: {{{weather}}}
sites:
  - name: hall
    tier: cold
    nodes: [{{name: rack, count: 2, cores: 16, memory_gb: 64, idle_kw: 0.1, peak_kw: 0.4}}]
    solar: {{peak_kw: 3, tilt_deg: 30}}
    wind: {{rated_kw: 5, turbine: E48/800, hub_height_m: 50}}
    connection: {{import_limit_kw: 4}}
"""


def write(folder: Path, weather: str, unit: str = "EUR/MWh", hours: int = 24) -> Path:
    """The document, and its prices: 50, 51, ... by hour."""
    begin = datetime(2022, 7, 1, tzinfo=UTC)
    stamps = pa.array([begin + timedelta(hours=i) for i in range(hours)], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"begin": stamps, "price": [50.0 + i for i in range(hours)]}), folder / "prices.parquet")
    path = folder / "files.yaml"
    path.write_text(DOCUMENT.format(weather=weather, unit=unit), encoding="utf-8")
    return path


@pytest.mark.parametrize(("unit", "factor"), [("EUR/MWh", 1.0), ("ct/kWh", 10.0)])
def test_prices_of_parquet_and_weather_of_tmy3(tmp_path: Path, unit: str, factor: float) -> None:
    """Prices are those of the file in EUR/MWh; sun and wind are computed from the typical July, both within their rating."""
    scenario = load_scenario(write(tmp_path, f"tmy3: '{SAND_POINT}'", unit), environment={})
    hall = scenario.site("hall")
    assert hall.tariff.import_eur_per_mwh.mean(scenario.horizon) == pytest.approx(factor * (50.0 + np.arange(24)))
    assert hall.solar_kw is not None
    assert hall.wind_kw is not None
    sun, wind = hall.solar_kw.mean(scenario.horizon), hall.wind_kw.mean(scenario.horizon)
    assert 0.3 < sun.max() <= 3.0
    assert int(sun.argmax()) in {21, 22, 23, 0}  # noon at 160.5 degrees west is at about 22:45 UTC
    assert 0.0 < wind.max() <= 5.0
    assert "TMY3 typical year" in hall.solar_kw.source


def test_what_is_wrong_is_told_together(tmp_path: Path) -> None:
    """Prices that end too early, and a weather file that is none: one finding each, at their fields."""
    (tmp_path / "w.csv").write_text("nothing\n")
    findings, notes = check_notes(write(tmp_path, "tmy3: w.csv", hours=20), environment={})
    assert [finding.field for finding in findings] == ["signals.price.parquet", "signals.weather.tmy3"]
    assert "which covers 2022-07-01T00:00Z to 2022-07-01T20:00Z" in findings[0].found
    assert "no first line of a TMY3 file" in findings[1].found
    assert notes == []


def test_weather_needs_exactly_one_source(tmp_path: Path) -> None:
    """None at all is told like two."""
    findings, _ = check_notes(write(tmp_path, "repair: interpolate"), environment={})
    assert "found no source; expected exactly one of open_meteo, epw, tmy3, feed" in str(findings[0])
