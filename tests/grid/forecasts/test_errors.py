"""Errors fitted and drawn again: size, shape and how long they last."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grid.feeds.day_ahead import read_day_ahead
from grid.forecasts.errors import fit_errors, lag_correlation, relative_sigma


def skewed(hours: int, keeps: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A forecast and a truth with skewed errors that last."""
    rng = np.random.default_rng(seed)
    forecast = 500 + 400 * np.sin(np.arange(hours) * 2 * np.pi / 168)
    normal = np.zeros(hours)
    for t in range(1, hours):
        normal[t] = keeps * normal[t - 1] + np.sqrt(1 - keeps**2) * rng.standard_normal()
    return forecast, forecast + 40 * (np.exp(0.8 * normal) - 1.4)


def test_drawn_errors_are_like_those_they_were_fitted_to() -> None:
    """Standard deviation, lag-1 correlation and quantiles within a twentieth of those of the truth."""
    forecast, truth = skewed(20_000, 0.9, 1)
    model = fit_errors(forecast, truth, 1.0)
    assert model.keeps == pytest.approx(0.9, abs=0.01)
    assert model.time_constant_h == pytest.approx(-1 / np.log(0.9), rel=0.1)
    drawn = model.draw(forecast, np.random.default_rng(2), 3) - forecast
    real = truth - forecast
    assert drawn.std() == pytest.approx(real.std(), rel=0.05)
    assert lag_correlation(drawn[0]) == pytest.approx(lag_correlation(real), abs=0.05)
    for level in (0.05, 0.5, 0.95):
        assert np.quantile(drawn, level) == pytest.approx(np.quantile(real, level), abs=0.05 * real.std())


def test_drawn_truths_stay_between_nothing_and_the_capacity_and_follow_the_seed() -> None:
    """Clipped; the same seed draws the same; a missing forecast stays missing."""
    forecast, truth = skewed(2_000, 0.8, 3)
    model = fit_errors(forecast, np.maximum(0, truth), 1.0)
    asked = np.concatenate((np.zeros(50), [np.nan], np.full(50, model.capacity)))
    one, two = (model.draw(asked, np.random.default_rng(5), 20) for _ in range(2))
    assert np.array_equal(one, two, equal_nan=True)
    assert np.isnan(one[:, 50]).all()
    kept = np.delete(one, 50, axis=1)
    assert kept.min() >= 0
    assert kept.max() <= model.capacity


def test_missing_hours_break_no_pairs() -> None:
    """A gap joins no neighbours: the correlation is that of the pieces."""
    values = np.array([1.0, 2.0, np.nan, 5.0, 6.0, 9.0])
    pairs = np.corrcoef([1.0, 5.0, 6.0], [2.0, 6.0, 9.0])[0, 1]
    assert lag_correlation(values) == pytest.approx(pairs)


def test_relative_sigma_by_hand() -> None:
    """Errors of 1 and -2 on 10 and 20: the root of 5 over 500."""
    assert relative_sigma(np.array([10.0, 20.0, np.nan]), np.array([11.0, 18.0, 1.0])) == pytest.approx(0.1)


def test_too_little() -> None:
    """Too few pairs, or nothing but zeros, are refused."""
    with pytest.raises(ValueError, match="at least 200"):
        fit_errors(np.ones(10), np.ones(10), 1.0)
    with pytest.raises(ValueError, match="never above 0"):
        fit_errors(np.zeros(300), np.zeros(300), 1.0)


@pytest.mark.data
@pytest.mark.parametrize(("zone", "fuel", "mae"), [("SE", "wind", 196), ("CISO", "solar", 559), ("CISO", "wind", 375)])
def test_real_day_ahead_errors(data: Path, zone: str, fuel: str, mae: float) -> None:
    """Aligned, the error is what the data's own page measured; drawn errors have its size, duration and quantiles.

    (Sweden: 216 MW there, with the hours in which the meters stood still; 196 without them.)
    """
    real = read_day_ahead(data / f"generation/{zone}_direct_emissions.csv", fuel)
    error = real.truth - real.forecast
    assert float(np.nanmean(np.abs(error))) == pytest.approx(mae, rel=0.05)
    model = fit_errors(real.forecast, real.truth, 1.0)
    drawn = model.draw(real.forecast, np.random.default_rng(0), 2) - real.forecast
    drawn[:, ~np.isfinite(error)] = np.nan
    assert np.nanstd(drawn) == pytest.approx(np.nanstd(error), rel=0.05)
    assert lag_correlation(drawn[0]) == pytest.approx(lag_correlation(error), abs=0.06)
    for level in (0.05, 0.5, 0.95):
        assert np.nanquantile(drawn, level) == pytest.approx(np.nanquantile(error, level), abs=0.1 * float(np.nanstd(error)))


def test_forecasts_that_stand_at_the_top_for_a_third_of_the_time() -> None:
    """A plant that is often at its rating has a class of forecasts with nothing above it, and is drawn for."""
    rng = np.random.default_rng(7)
    forecast = np.minimum(rng.uniform(0, 1.5, 1000), 1.0)
    model = fit_errors(forecast, np.clip(forecast + rng.normal(0, 0.1, 1000), 0, 1), 1.0)
    assert all(len(errors) for errors in model.sorted_errors)
    drawn = model.draw(forecast, rng, 2)
    assert np.isfinite(drawn).all()


def test_a_series_that_does_not_vary_has_no_correlation() -> None:
    """0, and no number that is none: drawing from such a fit gives the truth that never changes."""
    assert lag_correlation(np.ones(10)) == 0.0
    assert lag_correlation(np.array([1.0, np.nan, 2.0])) == 0.0
    model = fit_errors(np.ones(500), np.full(500, 0.5), 1.0)
    assert model.keeps == 0.0
    assert model.draw(np.ones(5), np.random.default_rng(1)).tolist() == [[0.5] * 5]
