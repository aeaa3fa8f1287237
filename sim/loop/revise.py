"""Forecasts as they are at a moment: what is over is as it was measured, what is near is known better than what is far.

*Sun, wind and outdoor temperature.* The truth of a simulated world differs from the scenario's forecast by an error that is a
stationary Ornstein-Uhlenbeck process (``sim.world.truth``; ``ozzo forecast fit`` fits its two numbers to real day-ahead errors).
Of such a process the best forecast of the error ``h`` hours ahead is the error now times ``exp(-h / correlation_h)``, and what is
left unknown of it has the standard deviation ``sigma sqrt(1 - exp(-2 h / correlation_h))``: little an hour ahead, all of it a day
ahead. So a revised forecast is the first one with that share of the last measured error.

*Sun and wind as quantiles*, also those of fitted errors (``grid.forecasts.fan``). There the process is the normal score at which
they are read, of standard deviation 1. With ``z`` the score that was measured last, the score ``h`` hours ahead is normal with
mean ``z k`` and standard deviation ``sqrt(1 - k^2)``, ``k = exp(-h / correlation_h)``: the revised quantile of level ``p`` is the
first forecast at the score ``z k + sqrt(1 - k^2) z(p)``. Near quantiles lie close together, far ones as before.

*Prices and carbon*, when they are forecast from the past: the mean of that hour over seven days plus today's distance from it,
fading (``grid.forecasts.methods.week_mean``). Day-ahead prices of tomorrow are known from 13:00 local time on (the European
day-ahead auction publishes its results before 13:00 CET: EPEX SPOT, "Trading on EPEX SPOT", 2024); fees are part of the series.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from grid.errors import SeriesError
from grid.forecasts.methods import DAY_H, WEEK_DAYS, Past, week_mean
from grid.horizon import FloatArray, Horizon
from grid.quantile_series import QuantileSeries, error_lasts_h, possible_peak
from grid.series import Series
from scheduler.facility import Site
from scheduler.scenario import PEAK_HEADROOM, Scenario
from sim.loop.settings import Foresight
from sim.world.truth import Truth

BoolArray = npt.NDArray[np.bool_]

DARK = 0.01
"""A step whose forecast is less than this share of its highest says nothing of the relative error."""
PUBLISHED_H = 13
"""Local hour from which tomorrow's day-ahead prices are known."""
HOUR = timedelta(hours=1)
WEEK_H = WEEK_DAYS * DAY_H


def revised_power(forecast: Series, measured: Series, moment_s: float, correlation_h: float) -> Series:
    """Forecast of sun or wind (kW) at ``moment_s`` (Unix seconds), on the steps of the first ``forecast``."""
    over = forecast.edges_s[1:] <= moment_s
    if not over.any():
        return forecast
    lasts_h, peak = error_lasts_h(forecast, correlation_h), possible_peak(forecast, np.ones(len(forecast.values), dtype=np.bool_))
    if isinstance(forecast, QuantileSeries):
        return _revised_quantiles(forecast, measured, over, lasts_h, peak)
    values = forecast.values.copy()
    values[over] = measured.values[over]
    told = np.flatnonzero(over & (forecast.values > DARK * peak))
    if len(told):
        error = measured.values[told[-1]] / forecast.values[told[-1]] - 1.0
        keep = _kept(forecast, int(told[-1]), ~over, lasts_h)
        values[~over] = np.clip(forecast.values[~over] * (1.0 + error * keep), 0.0, PEAK_HEADROOM * peak)
    return forecast.with_values(values, f"{forecast.source}, revised")


def _revised_quantiles(
    forecast: QuantileSeries, measured: Series, over: BoolArray, lasts_h: float, peak: float
) -> QuantileSeries:
    """The quantiles given the score that was measured last; where they lie together a measurement tells nothing."""
    table = forecast.table.copy()
    table[:, over] = measured.values[over]
    told = np.flatnonzero(over & (forecast.table[-1] - forecast.table[0] > DARK * peak))
    if len(told) and not over.all():
        last = int(told[-1])
        keep = _kept(forecast, last, ~over, lasts_h)
        score = keep * forecast.score_of(float(measured.values[last]), last)
        wanted = score + np.sqrt(1.0 - keep**2) * forecast.scores[:, None]
        ahead = np.clip(forecast.at_score(wanted, np.flatnonzero(~over)), 0.0, PEAK_HEADROOM * peak)
        table[:, ~over] = np.maximum.accumulate(ahead, axis=0)
    return QuantileSeries.of(
        forecast.edges_s, forecast.levels, table, forecast.unit, f"{forecast.source}, revised", forecast.lasts_h
    )


def revised_temperature(forecast: Series, measured: Series, moment_s: float, correlation_h: float) -> Series:
    """Forecast of the outdoor temperature (degC) at ``moment_s``, on the steps of the first ``forecast``."""
    over = forecast.edges_s[1:] <= moment_s
    if not over.any():
        return forecast
    last = int(np.flatnonzero(over)[-1])
    values = forecast.values.copy()
    values[over] = measured.values[over]
    values[~over] += (measured.values[last] - forecast.values[last]) * _kept(forecast, last, ~over, correlation_h)
    return forecast.with_values(values, f"{forecast.source}, revised")


def _kept(forecast: Series, last: int, ahead: BoolArray, correlation_h: float) -> FloatArray:
    """Share of the error in step ``last`` that is left in each of the steps ``ahead``."""
    hours: FloatArray = (forecast.edges_s[:-1][ahead] - forecast.edges_s[last]) / 3600.0
    kept: FloatArray = np.exp(-hours / correlation_h) if correlation_h > 0 else np.zeros(len(hours))
    return kept


class Hourly:
    """A series of which the past is known by the hour, and what that lets one say of the future.

    Args:
        series: the truth; it must begin a week before the horizon.
        horizon: of the scenario.

    Raises:
        SeriesError: it begins too late.
    """

    def __init__(self, series: Series, horizon: Horizon) -> None:
        first_s = math.floor(horizon.start_s / 3600.0) * 3600.0
        hours = math.ceil((horizon.end_s - first_s) / 3600.0)
        edges = first_s + 3600.0 * np.arange(-WEEK_H, hours + 1)
        edges[-1] = min(edges[-1], series.edges_s[-1])
        if series.edges_s[0] > edges[0]:
            raise SeriesError(
                f"{series.source or 'series'} begins at Unix second {series.edges_s[0]:.0f}; a forecast from the past needs it "
                f"from {edges[0]:.0f} on, a week before the horizon"
            )
        self._series, self._edges = series, edges
        self._values = np.diff(series.integral(edges)) / np.diff(edges)

    def at(self, moment_s: float, known_s: float) -> Series:
        """The series as told at ``moment_s``: itself up to ``known_s``, and beyond that the week's mean."""
        now = int(np.clip(np.searchsorted(self._edges, moment_s, side="right") - 1, WEEK_H, len(self._values) - 1))
        values, leads = self._values.copy(), np.arange(1, len(self._values) - now)
        values[now + 1 :] = week_mean(Past(self._values), np.full(len(leads), now), leads)
        ahead = self._edges >= max(known_s, self._edges[now + 1])
        first = int(np.argmax(ahead)) if ahead.any() else len(self._edges) - 1
        begin_s = self._edges[first]
        edges, kept = self._series.edges_s, self._series.edges_s[:-1] < begin_s
        known = np.append(edges[:-1][kept], begin_s)
        told = np.concatenate((known, self._edges[first + 1 :]))
        return Series(
            told,
            np.concatenate((self._series.values[kept], values[first:])),
            self._series.unit,
            f"{self._series.source}, forecast",
        )


class Forecasts:
    """The sites of a scenario with their forecasts, at any moment.

    Raises:
        SeriesError: prices or carbon are to be forecast from the past, and their series do not hold it.
    """

    def __init__(self, scenario: Scenario, truth: Truth, foresight: Foresight) -> None:
        self._scenario, self._truth, self._zone = scenario, truth, ZoneInfo(scenario.time_zone)
        self._hourly: dict[int, Hourly] = {}
        for series in _signals(scenario) if foresight is Foresight.PAST else []:
            if len(series.values) > 1 and id(series) not in self._hourly:
                self._hourly[id(series)] = Hourly(series, scenario.horizon)

    def sites_at(self, moment: datetime) -> tuple[Site, ...]:
        """The sites with what is forecast at ``moment``."""
        told: dict[tuple[int, float], Series] = {}
        return tuple(self._site(site, moment, told) for site in self._scenario.sites)

    def _site(self, site: Site, moment: datetime, told: dict[tuple[int, float], Series]) -> Site:
        truth, moment_s, lasts_h = self._truth, moment.timestamp(), self._scenario.errors.error_correlation_h
        if site.solar_kw is not None:
            site = replace(site, solar_kw=revised_power(site.solar_kw, truth.solar_kw[site.name], moment_s, lasts_h))
        if site.wind_kw is not None:
            site = replace(site, wind_kw=revised_power(site.wind_kw, truth.wind_kw[site.name], moment_s, lasts_h))
        if site.outdoor_c is not None:
            site = replace(site, outdoor_c=revised_temperature(site.outdoor_c, truth.outdoor_c[site.name], moment_s, lasts_h))
        return self._with_signals(site, moment, told) if self._hourly else site

    def _with_signals(self, site: Site, moment: datetime, told: dict[tuple[int, float], Series]) -> Site:
        """The site with prices and carbon as they are told at the moment."""
        moment_s, auction_s = moment.timestamp(), self._auction(moment).timestamp()
        prices, carbon, marginal = site.tariff, site.carbon, site.carbon.marginal_g_per_kwh
        tariff = replace(
            prices,
            import_eur_per_mwh=self._signal(prices.import_eur_per_mwh, moment_s, auction_s, told),
            export_eur_per_mwh=self._signal(prices.export_eur_per_mwh, moment_s, auction_s, told),
        )
        carbon = replace(
            carbon,
            average_g_per_kwh=self._signal(carbon.average_g_per_kwh, moment_s, moment_s, told),
            marginal_g_per_kwh=None if marginal is None else self._signal(marginal, moment_s, moment_s, told),
        )
        return replace(site, tariff=tariff, carbon=carbon)

    def _signal(self, series: Series, moment_s: float, known_s: float, told: dict[tuple[int, float], Series]) -> Series:
        """One signal as told at the moment; sites that share a series share what is told of it."""
        hourly, key = self._hourly.get(id(series)), (id(series), known_s)
        if hourly is None:
            return series
        if key not in told:
            told[key] = hourly.at(moment_s, known_s)
        return told[key]

    def _auction(self, moment: datetime) -> datetime:
        """Until when day-ahead prices are known at ``moment``: the end of today, or of tomorrow once they are published."""
        local = moment.astimezone(self._zone)
        days = 2 if local.hour >= PUBLISHED_H else 1
        day = local.date() + timedelta(days=days)
        return datetime(day.year, day.month, day.day, tzinfo=self._zone)


def _signals(scenario: Scenario) -> list[Series]:
    """Prices and carbon of all sites."""
    found = []
    for site in scenario.sites:
        found += [site.tariff.import_eur_per_mwh, site.tariff.export_eur_per_mwh, site.carbon.average_g_per_kwh]
        found += [] if site.carbon.marginal_g_per_kwh is None else [site.carbon.marginal_g_per_kwh]
    return found
