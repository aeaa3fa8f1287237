"""Revised forecasts: the past as measured, the near future nearly so, the far one as before; nothing of the future is used."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.chance import stream
from grid.connection import Connection
from grid.errors import SeriesError
from grid.forecasts.errors import fit_errors, lag_correlation
from grid.forecasts.fan import fan
from grid.horizon import FloatArray, Horizon
from grid.quantile_series import QuantileSeries
from grid.series import Series
from grid.tariff import Carbon, Tariff
from scheduler.scenario import Scenario
from sim.loop.revise import Forecasts, Hourly, revised_power, revised_temperature
from sim.loop.settings import Foresight
from sim.world.truth import Truth, realised_power
from tests.factory import START, day_horizon, small_scenario

HOUR_S = 3600.0


def test_by_hand() -> None:
    """At hour 2 the last measured hour had 20 % more than forecast; an hour later e^-(1/2) of that is expected, and so on."""
    horizon = Horizon(START, timedelta(hours=1), 4)
    forecast, measured = Series.on(horizon, [1.0, 1.0, 1.0, 2.0], "kW"), Series.on(horizon, [0.7, 1.2, 9.0, 9.0], "kW")
    found = revised_power(forecast, measured, horizon.start_s + 2 * HOUR_S, 2.0).values
    assert found[:2].tolist() == [0.7, 1.2]
    assert found[2] == pytest.approx(1.0 + 0.2 * math.exp(-0.5))
    assert found[3] == pytest.approx(2.0 * (1.0 + 0.2 * math.exp(-1.0)))
    warmer = revised_temperature(forecast, measured, horizon.start_s + 2 * HOUR_S, 2.0).values
    assert warmer[3] == pytest.approx(2.0 + 0.2 * math.exp(-1.0))


def test_a_dark_hour_tells_nothing() -> None:
    """At dawn the error of the last bright hour counts, however long ago, not that of the night."""
    horizon = Horizon(START, timedelta(hours=1), 5)
    forecast = Series.on(horizon, [4.0, 0.0, 0.0, 4.0, 4.0], "kW")
    measured = Series.on(horizon, [2.0, 0.0, 0.0, 9.0, 9.0], "kW")
    found = revised_power(forecast, measured, horizon.start_s + 3 * HOUR_S, 3.0).values
    assert found[3] == pytest.approx(4.0 * (1.0 - 0.5 * math.exp(-1.0)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 23), st.integers(0, 10_000), st.floats(0.0, 0.5), st.floats(0.0, 12.0))
def test_nothing_of_the_future_is_used(hour: int, seed: int, sigma: float, lasts_h: float) -> None:
    """Whatever comes after the moment may be otherwise: the forecast made then is the same, and what is over is as measured."""
    horizon = day_horizon()
    forecast = Series.on(horizon, np.linspace(1.0, 3.0, 24), "kW")
    moment_s = horizon.start_s + hour * HOUR_S
    measured = realised_power(forecast, horizon, sigma, lasts_h, stream(seed, "truth"))
    other = measured.values.copy()
    other[hour:] = stream(seed, "other").uniform(0.0, 5.0, 24 - hour)
    found = revised_power(forecast, measured, moment_s, lasts_h).values
    assert found.tolist() == revised_power(forecast, measured.with_values(other), moment_s, lasts_h).values.tolist()
    assert found[:hour].tolist() == measured.values[:hour].tolist()


def test_errors_grow_with_lead_time_as_the_process_says() -> None:
    """Over 2,000 truths the error ``h`` hours ahead has the deviation sigma sqrt(1 - exp(-2 h / tau)), within 6 %."""
    horizon, sigma, lasts_h, made = day_horizon(), 0.02, 4.0, 8
    forecast = Series.on(horizon, np.full(24, 10.0), "kW")
    moment_s = horizon.start_s + made * HOUR_S
    errors = []
    for seed in range(2000):
        truth = realised_power(forecast, horizon, sigma, lasts_h, stream(seed, "solar:hall"))
        errors.append((truth.values - revised_power(forecast, truth, moment_s, lasts_h).values) / 10.0)
    deviation = np.std(np.array(errors)[:, made:], axis=0)
    for ahead in (1, 2, 4, 8, 16):  # the first step begins one hour after the last one measured
        expected = sigma * math.sqrt(1.0 - math.exp(-2.0 * ahead / lasts_h))
        assert deviation[ahead - 1] == pytest.approx(expected, rel=0.06)
    assert deviation[0] < 0.7 * deviation[-1]


def _signal(horizon: Horizon, days: int, values: FloatArray) -> Series:
    """An hourly series from ``days`` days before the horizon on."""
    edges: FloatArray = horizon.start_s + HOUR_S * np.arange(-24 * days, len(values) - 24 * days + 1, dtype=np.float64)
    return Series(edges, values, "g/kWh", "test carbon")


def test_carbon_from_the_past_by_hand() -> None:
    """The week's mean of each hour plus today's distance, fading by 0.93 an hour; this hour itself is known."""
    horizon = day_horizon()
    daily = 200.0 + 10.0 * np.arange(24)
    values = np.tile(daily, 9)
    values[24 * 7 : 24 * 7 + 3] += 70.0  # today is dearer by 70, of which the week's mean takes a seventh
    values[24 * 7 + 3 :] = 999.0  # what comes is something else altogether
    told = Hourly(_signal(horizon, 7, values), horizon).at(horizon.start_s + 2 * HOUR_S, horizon.start_s + 2 * HOUR_S)
    found = told.mean(horizon)
    assert found[:3].tolist() == [270.0, 280.0, 290.0]
    assert found[3] == pytest.approx(230.0 + 60.0 * 0.93)
    assert found[10] == pytest.approx(300.0 + 60.0 * 0.93**8)


def test_a_past_that_is_not_there_is_refused() -> None:
    """A series that begins with the horizon holds no week before it: the error says from when it is needed."""
    horizon = day_horizon()
    with pytest.raises(SeriesError, match="a week before the horizon"):
        Hourly(Series.on(horizon, np.arange(24.0), "g/kWh"), horizon)


def _with_past(scenario: Scenario) -> Scenario:
    """The scenario with nine days of prices and carbon that rise by one every hour, and a connection all along."""
    series = _signal(scenario.horizon, 7, np.arange(9.0 * 24))
    tariff, carbon = Tariff(series, series.scaled(0.5)), Carbon(series)
    limit = Series.constant(50.0, replace(scenario.horizon, slots=48), "kW")
    connection = Connection(limit, limit)
    return replace(
        scenario,
        sites=tuple(replace(site, tariff=tariff, carbon=carbon, connection=connection) for site in scenario.sites),
    )


def test_prices_of_tomorrow_are_known_from_the_auction_on() -> None:
    """The horizon begins at local midnight, so all of today's prices are known at 9:00; carbon of the next hour is not."""
    scenario = _with_past(small_scenario())
    forecasts = Forecasts(scenario, Truth(scenario, 1, stressed=False), Foresight.PAST)
    site = forecasts.sites_at(START + timedelta(hours=9))[0]
    truth = scenario.sites[0]
    assert (
        site.tariff.import_eur_per_mwh.mean(scenario.horizon).tolist()
        == truth.tariff.import_eur_per_mwh.mean(scenario.horizon).tolist()
    )
    told, real = site.carbon.average_g_per_kwh.mean(scenario.horizon), truth.carbon.average_g_per_kwh.mean(scenario.horizon)
    assert told[:10].tolist() == real[:10].tolist()
    assert (told[10:] < real[10:]).all()
    two_days = replace(scenario, horizon=replace(scenario.horizon, slots=48))
    forecasts = Forecasts(two_days, Truth(two_days, 1, stressed=False), Foresight.PAST)
    prices = truth.tariff.import_eur_per_mwh.mean(two_days.horizon)
    before = forecasts.sites_at(START + timedelta(hours=12))[0].tariff.import_eur_per_mwh.mean(two_days.horizon)
    after = forecasts.sites_at(START + timedelta(hours=13))[0].tariff.import_eur_per_mwh.mean(two_days.horizon)
    assert before[:24].tolist() == prices[:24].tolist()
    assert (before[24:] < prices[24:]).all()
    assert after.tolist() == prices.tolist()


def test_known_signals_stay_as_they_are() -> None:
    """With foresight of prices and carbon they are the series themselves; only sun, wind and temperature are revised."""
    scenario = small_scenario()
    truth = Truth(scenario, 1, stressed=False)
    for site, before in zip(
        Forecasts(scenario, truth, Foresight.KNOWN).sites_at(START + timedelta(hours=15)), scenario.sites, strict=True
    ):
        assert site.tariff is before.tariff
        assert site.carbon is before.carbon
        if before.solar_kw is not None and site.solar_kw is not None:
            assert site.solar_kw.values.tolist() != before.solar_kw.values.tolist()


def fan_of(lasts_h: float) -> QuantileSeries:
    """A skewed forecast of 24 hours: two kW as a rule, seldom much less; its errors last ``lasts_h``."""
    horizon = day_horizon()
    levels = [0.05, 0.2, 0.5, 0.8, 0.95]
    return QuantileSeries.of(horizon.edges_s, levels, np.outer([0.2, 1.5, 2.0, 2.2, 2.4], np.ones(24)), "kW", "test", lasts_h)


def test_quantiles_are_revised_by_hand() -> None:
    """Measured at the quantile of 0.8 with a time constant of 2 h: an hour on at e^-1/2 of that score, and nearer together."""
    forecast = fan_of(2.0)
    measured = forecast.with_values(np.full(24, 2.2))
    found = revised_power(forecast, measured, forecast.edges_s[4], 99.0)
    assert isinstance(found, QuantileSeries)
    assert found.values[:4].tolist() == found.table[0, :4].tolist() == [2.2] * 4
    keep = math.exp(-0.5)
    score = keep * forecast.scores[3]
    assert found.values[4] == pytest.approx(float(forecast.at_score(score)[4]))
    low = score + math.sqrt(1 - keep**2) * forecast.scores[0]
    assert found.table[0, 4] == pytest.approx(float(forecast.at_score(low)[4]))
    assert found.table[0, -1] == pytest.approx(forecast.table[0, -1], rel=0.01)  # a day ahead nothing is left


def test_revised_quantiles_hold_what_they_say() -> None:
    """Over 600 truths 90 % lie inside the revised interval of 90 % at any lead (5 points at most), and it is narrower near by."""
    forecast, horizon, made = fan_of(6.0), day_horizon(), 6
    inside, widths = np.zeros(24), np.zeros(24)
    for seed in range(600):
        truth = realised_power(forecast, horizon, 0.0, 1.0, stream(seed, "solar:hall"))
        found = revised_power(forecast, truth, horizon.edges_s[made], 1.0)
        assert isinstance(found, QuantileSeries)
        inside += (found.table[0] <= truth.values) & (truth.values <= found.table[-1])
        widths += found.table[-1] - found.table[0]
    assert (inside[:made] == 600).all()
    assert inside[made:] / 600 == pytest.approx(np.full(24 - made, 0.9), abs=0.05)
    assert widths[made] < 0.75 * widths[-1]
    assert not widths[:made].any()


def test_errors_as_fitted_come_in_the_world() -> None:
    """200 days of truth around a fitted forecast: deviation, quantiles and lag-1 correlation of the errors are the fit's own."""
    rng, hours = np.random.default_rng(4), 24 * 200
    told = 500 + 300 * np.sin(np.arange(hours) * 2 * np.pi / 24)
    normal = np.zeros(hours)
    for t in range(1, hours):
        normal[t] = 0.85 * normal[t - 1] + math.sqrt(1 - 0.85**2) * rng.standard_normal()
    model = fit_errors(told, told + 60 * (np.exp(0.6 * normal) - 1.2), 1.0)
    horizon = day_horizon(hours)
    forecast = fan(model, Series.on(horizon, told, "kW", "test"), model.capacity, dark=False)
    real = realised_power(forecast, horizon, 0.9, 99.0, stream(1, "wind:hall")).values - told
    own = model.draw(told, np.random.default_rng(6))[0] - told
    assert real.std() == pytest.approx(own.std(), rel=0.15)
    assert lag_correlation(real) == pytest.approx(lag_correlation(own), abs=0.05)
    assert np.quantile(real, [0.05, 0.5, 0.95]) == pytest.approx(np.quantile(own, [0.05, 0.5, 0.95]), abs=0.3 * own.std())
