"""Wind from weather: the bounds of a turbine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.wind import POWER_LAW_EXPONENT, share_of_rating, turbine_types, wind_power
from grid.errors import FeedError
from grid.feeds.open_meteo import Weather
from grid.horizon import Horizon

START = datetime(2023, 1, 1, tzinfo=UTC)
DAY = Horizon(START, timedelta(hours=1), 24)


def weather(wind: np.ndarray) -> Weather:
    """Weather with this wind at 10 m, hour by hour."""
    zeros = np.zeros(len(wind))
    times = START.timestamp() + 3600.0 * np.arange(len(wind), dtype=np.float64)
    return Weather(times, zeros, zeros, zeros, wind, 52.0, 5.0, elevation_m=0.0, source="test")


def test_still_air_and_storm_give_nothing() -> None:
    """Below cut-in and above cut-out the power is zero; in strong wind it is the rating."""
    raised = (30 / 10) ** POWER_LAW_EXPONENT
    share = share_of_rating(np.array([0.0, 1.0, 16.0 / raised, 40.0]), "E48/800", 30.0)
    assert share[0] == share[1] == share[3] == 0.0
    assert share[2] > 0.95


def test_hub_height_raises_the_wind_by_the_power_law() -> None:
    """Wind of 6 m/s at 10 m is that of 6 (h/10)^(1/7) at the hub: the same share as this wind at a hub of 10 m."""
    high = share_of_rating(np.array([6.0]), "E48/800", 80.0)
    same = share_of_rating(np.array([6.0 * 8 ** (1 / 7)]), "E48/800", 10.0)
    assert high == pytest.approx(same)
    assert high > share_of_rating(np.array([6.0]), "E48/800", 10.0)


@settings(max_examples=25)
@given(st.lists(st.floats(0, 60), min_size=25, max_size=25), st.floats(0.5, 5000), st.sampled_from(turbine_types()))
def test_power_stays_between_zero_and_rating(speeds: list[float], rated_kw: float, turbine: str) -> None:
    """For any wind, plant and turbine of the library."""
    power = wind_power(weather(np.array(speeds)), DAY, rated_kw=rated_kw, turbine=turbine).values
    assert (power >= 0).all()
    assert (power <= rated_kw * (1 + 1e-12)).all()


def test_wrong_turbine_height_rating_and_horizon() -> None:
    """The nearest turbine is named; a hub at the ground, a plant of nothing and weather that is too short are refused."""
    calm = weather(np.full(25, 5.0))
    with pytest.raises(FeedError, match="did you mean 'E48/800'"):
        wind_power(calm, DAY, rated_kw=10, turbine="E48-800")
    with pytest.raises(FeedError, match="hub height"):
        wind_power(calm, DAY, rated_kw=10, hub_height_m=0)
    with pytest.raises(FeedError, match="rated power"):
        wind_power(calm, DAY, rated_kw=0)
    with pytest.raises(FeedError, match="does not cover"):
        wind_power(weather(np.full(5, 5.0)), DAY, rated_kw=10)
    assert "scaled to 10 kW" in wind_power(calm, DAY, rated_kw=10).source


def windy(pressure_pa: float | None, temperature_c: float = 15.0) -> Weather:
    """25 hours of 3 to 20 m/s at this pressure and temperature."""
    wind = np.linspace(3.0, 20.0, 25)
    pressure = None if pressure_pa is None else np.full(25, pressure_pa)
    return replace(weather(wind), temperature_c=np.full(25, temperature_c), pressure_pa=pressure)


def test_thin_air_gives_less_and_weather_without_pressure_says_that_it_is_not_corrected() -> None:
    """High and hot gives less than the curve, low and cold more (between cut-in and rating); without pressure it is the curve."""
    thin, plain, thick = (
        wind_power(windy(*air), DAY, rated_kw=100.0, hub_height_m=30.0) for air in ((90_000.0, 35.0), (None,), (104_000.0, -15.0))
    )
    rising = (plain.values > 1.0) & (plain.values < 90.0)
    assert rising.any()
    assert (thin.values[rising] < plain.values[rising]).all()
    assert (thick.values[rising] > plain.values[rising]).all()
    assert "no pressure known" in plain.source


def test_a_gap_in_the_pressure_leaves_the_curve_and_a_gap_elsewhere_does_not_matter() -> None:
    """Missing inside the horizon: not corrected and said; missing outside it: corrected."""
    found = windy(96_000.0)
    assert found.pressure_pa is not None
    holed = found.pressure_pa.copy()
    holed[3] = np.nan
    inside = replace(found, pressure_pa=holed)
    assert "no pressure known" in wind_power(inside, DAY, rated_kw=100.0).source
    late = Horizon(START + timedelta(hours=6), timedelta(hours=1), 12)
    assert "on average" in wind_power(inside, late, rated_kw=100.0).source
