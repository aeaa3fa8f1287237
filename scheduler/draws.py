"""Draws of what sun, wind and fixed load may be: courses over a horizon from the error model, or from quantiles of a forecast.

The error of a forecast is a first-order autoregressive normal process with the scenario's time constant, or the forecast's own
(``grid.forecasts.fan``). A forecast without quantiles is multiplied by one plus that error; of a forecast as quantiles
(``grid.quantile_series``) the process is the normal score at which the forecast is read, so each step has the distribution of
its quantiles and neighbours move together (a Gaussian copula). Limits are those of the simulated truth: not
below 0, not above ``headroom`` times the highest forecast.
"""

from __future__ import annotations

import numpy as np

from grid.chance import stream
from grid.horizon import FloatArray, Horizon
from grid.quantile_series import QuantileSeries, error_lasts_h, possible_peak
from grid.series import Series
from scheduler.facility import Site
from scheduler.scenario import PEAK_HEADROOM, Scenario


def uncertain(scenario: Scenario) -> bool:
    """True when any power of any site may differ from its forecast."""
    if scenario.errors.load_sigma > 0:
        return True
    sources = [item for site in scenario.sites for item in sources_of(scenario, site)]
    return any(sigma > 0 or isinstance(series, QuantileSeries) for _, series, sigma in sources)


def sources_of(scenario: Scenario, site: Site) -> list[tuple[str, Series, float]]:
    """Kind, forecast and relative deviation of the sun and wind that ``site`` has."""
    errors = scenario.errors
    both = (("solar", site.solar_kw, errors.solar_sigma), ("wind", site.wind_kw, errors.wind_sigma))
    return [(kind, series, sigma) for kind, series, sigma in both if series is not None]


def draw_site(scenario: Scenario, site: Site, horizon: Horizon, half: int, seed: int, use: str) -> tuple[FloatArray, FloatArray]:
    """Sun and wind, and fixed load, of ``site``: mean kW in each slot of ``horizon``, ``[2 * half, T]`` each.

    Args:
        scenario: the scenario; the process begins with its horizon.
        site: the site.
        horizon: slots that are wanted: the scenario's horizon or the rest of it.
        half: number of pairs of opposite draws; draw ``half + k`` has the errors of ``k`` negated.
        seed: seed of the draws.
        use: what they are for; each use, source and site has a stream of its own.
    """
    available = np.zeros((2 * half, horizon.slots))
    for kind, forecast, sigma in sources_of(scenario, site):
        available += _powers(forecast, scenario, horizon, sigma, half, f"{use}:{kind}:{site.name}", seed, PEAK_HEADROOM)
    quarters = scenario.horizon.with_step(scenario.settlement)
    even = Series.on(quarters, site.idle_on(quarters), "kW", "fixed load")
    load = _powers(even, scenario, horizon, scenario.errors.load_sigma, half, f"{use}:load:{site.name}", seed, np.inf)
    return available, load


def _powers(
    forecast: Series, scenario: Scenario, horizon: Horizon, sigma: float, half: int, name: str, seed: int, headroom: float
) -> FloatArray:
    """Mean power in each slot of ``horizon``, ``[2 * half, T]`` kW."""
    of_day = scenario.horizon
    inside = np.flatnonzero((forecast.edges_s[1:] > of_day.start_s) & (forecast.edges_s[:-1] < of_day.end_s))
    hours, correlation_h = forecast.edges_s[inside] / 3600.0, error_lasts_h(forecast, scenario.errors.error_correlation_h)
    if isinstance(forecast, QuantileSeries):
        score = _errors(hours, 1.0, correlation_h, half, name, seed)
        power = forecast.at_score(np.concatenate((score, -score)), inside)
    else:
        error = _errors(hours, sigma, correlation_h, half, name, seed)
        power = np.maximum(0.0, forecast.values[inside]) * (1.0 + np.concatenate((error, -error)))
    ceiling = headroom * possible_peak(forecast, inside) if np.isfinite(headroom) else None
    return _slot_means(np.clip(power, 0.0, ceiling), forecast.edges_s[inside[0] : inside[-1] + 2], horizon)


def _errors(hours: FloatArray, sigma: float, correlation_h: float, half: int, name: str, seed: int) -> FloatArray:
    """First-order autoregressive errors at ``hours``, ``[half, n]``, stationary from the first on."""
    if sigma <= 0:
        return np.zeros((half, len(hours)))
    normal = stream(seed, name).standard_normal((half, len(hours)))
    error = np.empty_like(normal)
    for i in range(len(hours)):
        keep = 0.0 if i == 0 or correlation_h <= 0 else float(np.exp(-(hours[i] - hours[i - 1]) / correlation_h))
        before = error[:, i - 1] if i else 0.0
        error[:, i] = keep * before + sigma * np.sqrt(1.0 - keep * keep) * normal[:, i]
    return error


def _slot_means(power_kw: FloatArray, edges_s: FloatArray, horizon: Horizon) -> FloatArray:
    """Exact means of piecewise constant courses ``[n, steps]`` over the slots of ``horizon``, ``[n, T]``."""
    energy = np.concatenate((np.zeros((len(power_kw), 1)), np.cumsum(power_kw * np.diff(edges_s), axis=1)), axis=1)
    at = horizon.edges_s
    step = np.clip(np.searchsorted(edges_s, at, side="right") - 1, 0, power_kw.shape[1] - 1)
    until = energy[:, step] + power_kw[:, step] * (at - edges_s[step])
    means: FloatArray = np.diff(until, axis=1) / horizon.step_s
    return means
