"""The hidden truth: streams, forecast errors on the series' own steps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from grid.chance import stream
from grid.horizon import Horizon
from grid.series import Series
from scheduler.scenario import PEAK_HEADROOM, ErrorModel
from sim.world.truth import Truth, realised_power
from tests.factory import START, day_horizon, small_scenario


def test_forecast_error_has_the_asked_size_and_memory() -> None:
    """Over 20,000 hours the relative error has the asked deviation and the correlation exp(-1 h / 3 h) from hour to hour."""
    horizon = Horizon(START, timedelta(hours=1), 20_000)
    forecast = Series.on(horizon, np.where(np.arange(20_000) == 0, 1000.0, 10.0), "kW")  # one high value lifts the ceiling
    real = realised_power(forecast, horizon, 0.1, 3.0, stream(1, "solar:x"))
    error = real.values[1:] / 10.0 - 1.0
    assert error.std() == pytest.approx(0.1, rel=0.06)
    assert np.corrcoef(error[1:], error[:-1])[0, 1] == pytest.approx(np.exp(-1 / 3), abs=0.03)
    assert abs(error.mean()) < 0.01


def test_realised_power_is_physical() -> None:
    """Never negative, never far above the highest forecast, zero where the forecast is zero, the forecast outside the horizon."""
    horizon = day_horizon()
    scenario = small_scenario(errors=ErrorModel(solar_sigma=3.0))
    forecast = scenario.site("hall").solar_kw
    assert forecast is not None
    real = Truth(scenario, 5, stressed=False).solar_kw["hall"]
    assert real.values.min() >= 0
    assert real.values.max() <= PEAK_HEADROOM * forecast.values.max()
    assert (real.values[forecast.values == 0] == 0).all()
    outside = realised_power(forecast, replace(horizon, slots=6), 3.0, 3.0, stream(5, "x"))
    assert np.array_equal(outside.values[6:], forecast.values[6:])


def test_no_sigma_no_error() -> None:
    """Without deviation the forecast comes true exactly."""
    scenario = small_scenario(errors=ErrorModel(solar_sigma=0.0))
    forecast = scenario.site("hall").solar_kw
    assert forecast is not None
    assert np.array_equal(Truth(scenario, 5, stressed=False).solar_kw["hall"].values, forecast.values)


def test_truth_depends_on_the_seed_and_not_on_the_step() -> None:
    """The same seed gives the same sun and run times for another planning step; another seed gives others."""
    scenario = small_scenario()
    finer = replace(scenario, horizon=scenario.horizon.with_step(timedelta(minutes=5)))
    one, same, other = Truth(scenario, 5, stressed=False), Truth(finer, 5, stressed=False), Truth(scenario, 6, stressed=False)
    assert np.array_equal(one.solar_kw["hall"].values, same.solar_kw["hall"].values)
    assert not np.array_equal(one.solar_kw["hall"].values, other.solar_kw["hall"].values)
    assert one.duration_factor("render") == same.duration_factor("render") != other.duration_factor("render")
    assert 0.7 <= one.duration_factor("render") <= 1.0
