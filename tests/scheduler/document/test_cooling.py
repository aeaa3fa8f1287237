"""Cooling and heat reuse in the document: what is written is what is built, from inline temperatures and from weather."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pvlib
import pytest

from grid.assets.heat_reuse import HeatReuse
from grid.heat_account import SCHIPHOL_RIJK_GAS_M3, YEAR_H, gas_for_heat_m3
from grid.horizon import Horizon
from scheduler.build import build_problem
from scheduler.document import check_file, load_scenario
from scheduler.document.hourly import by_local_hour
from scheduler.scenario import Scenario

CONFIGS = Path(__file__).parents[3] / "configs"
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
SAND_POINT = Path(pvlib.__file__).parent / "data" / "703165TY.csv"


def heat_of(scenario: Scenario) -> HeatReuse:
    """The heat reuse of the first site."""
    (asset,) = scenario.sites[0].assets
    assert isinstance(asset, HeatReuse)
    return asset


def test_schiphol_rijk_is_built_as_written() -> None:
    """Cooling, heat pump and buffer have the figures of the file; idle nodes, and what the chiller is spared, are worked out."""
    scenario = load_scenario(CONFIGS / "schiphol_rijk_heat.yaml")
    (hall,), heat = scenario.sites, heat_of(scenario)
    assert hall.cooling is not None
    assert (hall.cooling.free_below_c, hall.cooling.free_until_c, hall.cooling.approach_k) == (10.0, 20.0, 12.0)
    assert hall.pue == pytest.approx(float(hall.cooling.pue(40.0)))
    assert (heat.share, heat.source_c, heat.supply_c, heat.buffer_kwh, heat.initial_kwh) == (0.75, 30.0, 70.0, 9000.0, 4500.0)
    assert (heat.loss_per_h, heat.idle_it_kw) == (0.005, 30 * 40.0)
    assert heat.spared is not None
    assert heat.spared.at(scenario.horizon.start_s) == 0.0  # 7 degC: outdoor air cools alone
    assert heat.spared.at(scenario.horizon.start_s + 13 * 3600) == pytest.approx(float(hall.cooling.spared_kw_per_kw(17.0)))
    assert scenario.errors.temperature_sigma_k == 1.5


def test_schiphol_rijk_demands_the_heat_of_the_texts() -> None:
    """A year of such days is the heat of 2.5 million m3 of gas."""
    scenario = load_scenario(CONFIGS / "schiphol_rijk_heat.yaml")
    day_kwh = float(heat_of(scenario).demand_kw.mean(scenario.horizon).mean()) * 24.0
    assert gas_for_heat_m3(day_kwh * YEAR_H / 24.0) == pytest.approx(SCHIPHOL_RIJK_GAS_M3, rel=0.001)


def test_science_park_demands_the_heat_of_1300_apartments() -> None:
    """30 kWh on that day for each of 1,300 apartments; it is so cold that the chiller never works."""
    scenario = load_scenario(CONFIGS / "science_park_heat.yaml")
    heat = heat_of(scenario)
    assert float(heat.demand_kw.mean(scenario.horizon).sum()) * scenario.horizon.step_h == pytest.approx(1300 * 30.0)
    assert heat.spared is not None
    assert not heat.spared.values.any()


def test_the_pue_of_the_problem_follows_the_temperature() -> None:
    """At night losses and fans alone, at 14:00 with the chiller; fixed load goes with it."""
    scenario = load_scenario(CONFIGS / "schiphol_rijk_heat.yaml")
    problem, hall = build_problem(scenario), scenario.sites[0]
    assert hall.cooling is not None
    expected = hall.cooling.pue([7.0, 17.0])
    assert problem.pue[0, [0, 28]] == pytest.approx(expected)
    assert problem.fixed_kw[0, [0, 28]] == pytest.approx(100.0 + expected * 1200.0)


DOCUMENT = """
ozzo: 1
name: weather
time_zone: UTC
horizon: {{start: 2022-07-01T00:00, hours: 24, step_minutes: 60}}
signals:
  price: {{constant_eur_per_mwh: 90}}
  carbon_average: {{constant_g_per_kwh: 300}}
  weather: {{tmy3: {weather}}}
sites:
  - name: hall
    tier: cold
    nodes: [{{name: rack, count: 2, cores: 16, memory_gb: 64, idle_kw: 0.1, peak_kw: 0.4}}]
    cooling:
      conversion_share: 5 %
      fan_share: 0.04
      free_below_c: 2
      free_until_c: 12
      chilled_c: 10
      approach_k: 8
      carnot_share: 0.4
    connection: {{import_limit_kw: 10}}
"""


def test_the_temperature_may_come_from_the_weather(tmp_path: Path) -> None:
    """The hall's outdoor temperature is that of the weather file, straight lines between its hours."""
    path = tmp_path / "weather.yaml"
    path.write_text(DOCUMENT.format(weather=SAND_POINT))
    assert check_file(path) == []
    scenario = load_scenario(path)
    outdoor = scenario.sites[0].outdoor_c
    assert outdoor is not None
    assert len(outdoor.values) == 96
    assert 0 < outdoor.values.min() < outdoor.values.max() < 25  # Alaska in July
    assert scenario.sites[0].cooling is not None
    assert scenario.sites[0].pue_on(scenario.horizon) == pytest.approx(
        scenario.sites[0].cooling.pue(outdoor.values).reshape(24, 4).mean(axis=1)
    )


@pytest.mark.parametrize(
    ("day", "hours", "expected"),
    [
        (datetime(2022, 7, 1, tzinfo=AMSTERDAM), 24, [*range(24)]),
        (datetime(2023, 3, 26, tzinfo=AMSTERDAM), 23, [0, 1, *range(3, 24)]),
        (datetime(2023, 10, 29, tzinfo=AMSTERDAM), 25, [0, 1, 2, 2, *range(3, 24)]),
    ],
)
def test_24_numbers_follow_the_local_clock(day: datetime, hours: int, expected: list[int]) -> None:
    """A day of 24, 23 and 25 hours: every hour has the number of what the clock on the wall shows."""
    start = day.astimezone(UTC)
    series = by_local_hour([float(h) for h in range(24)], Horizon(start, timedelta(hours=1), hours), AMSTERDAM, "kW")
    assert series.values.tolist() == expected
    assert series.mean(Horizon(start, timedelta(hours=1), hours)).tolist() == expected


def test_24_numbers_from_the_middle_of_an_hour() -> None:
    """A horizon from 06:45 to 08:15 has a quarter of hour 6, all of 7 and a quarter of 8."""
    start = datetime(2022, 7, 1, 6, 45, tzinfo=AMSTERDAM).astimezone(UTC)
    series = by_local_hour([float(h) for h in range(24)], Horizon(start, timedelta(minutes=15), 6), AMSTERDAM, "kW")
    assert series.values.tolist() == [6.0, 7.0, 8.0]
    assert np.diff(series.edges_s).tolist() == [900.0, 3600.0, 900.0]
