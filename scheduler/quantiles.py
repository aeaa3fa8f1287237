"""Margins by quantile: what a plan counts on, from the scenario's own error model, in closed form.

The simulated truth (``sim.world.truth``) multiplies sun, wind and fixed load by ``1 + e``, with ``e`` normal of mean 0 in every
step, and the asked run time of a job by a number that is uniform in a range. The quantile of level ``p`` is therefore

- of sun and wind ``forecast * (1 + sigma * z(p))``, not below 0 and not above ``PEAK_HEADROOM`` times the highest forecast (both
  limits are those of the truth; a quantile of a rising function of ``e`` is that function of the quantile);
- of fixed load ``forecast * (1 + sigma * z(p))``, not below 0;
- of run time ``asked * (low + (high - low) * p)``,

with ``z`` the quantile function of the standard normal distribution. They hold for each step alone. A slot of several steps,
and a site with sun and wind, take the sum of quantiles, which is the quantile of the sum only when all errors are the same: on
the careful side for a level on the careful side of 0.5.

Of a forecast as quantiles (``grid.quantile_series``) the quantile is the forecast's own, within the same limits. A single level
for the limits of connections and feeders, ``planning.chance_level``, is in ``scheduler.chance``.

A margin never makes possible work impossible: fixed load is not reserved beyond what the connection imports, and a job is not
given more slots than its window has (or than the run time asked for takes). ``planning.duration_margin`` multiplies the run time
after its quantile; ``planning.limit_margin`` is taken off the limits whatever the quantiles are.
"""

from __future__ import annotations

from datetime import datetime
from statistics import NormalDist

import numpy as np

from grid.contracts.limits import Direction
from grid.horizon import FloatArray, Horizon
from grid.quantile_series import QuantileSeries, possible_peak
from grid.series import Series
from scheduler.allowed import allowed_kw
from scheduler.facility import Site
from scheduler.scenario import PEAK_HEADROOM, Scenario
from scheduler.workload import Job


def relative_error(sigma: float, level: float) -> float:
    """Quantile of level ``level`` in (0, 1) of a normal error with mean 0 and standard deviation ``sigma``."""
    return sigma * NormalDist().inv_cdf(level) if sigma > 0 else 0.0


def quantile_power(forecast: Series, horizon: Horizon, sigma: float, level: float) -> Series:
    """Quantile of available sun or wind, kW on the forecast's steps; the forecast itself where there is no error.

    Of a forecast as quantiles it is the forecast's own, and ``sigma`` does not count.
    """
    inside = (forecast.edges_s[1:] > horizon.start_s) & (forecast.edges_s[:-1] < horizon.end_s)
    ceiling = PEAK_HEADROOM * possible_peak(forecast, inside)
    error = relative_error(1.0 if isinstance(forecast, QuantileSeries) else sigma, level)
    if error == 0.0:
        return forecast
    power = forecast.at_score(error) if isinstance(forecast, QuantileSeries) else forecast.values * (1.0 + error)
    values = np.clip(power, 0.0, ceiling)
    return forecast.with_values(values, f"{forecast.source}, quantile {level:g}")


def renewable_kw(scenario: Scenario, site: Site, horizon: Horizon) -> FloatArray:
    """Sun and wind that a plan counts on, ``[T]`` kW."""
    errors, level = scenario.errors, scenario.planning.renewable_quantile
    total = np.zeros(horizon.slots)
    for series, sigma in ((site.solar_kw, errors.solar_sigma), (site.wind_kw, errors.wind_sigma)):
        if series is not None:
            total += np.maximum(0.0, quantile_power(series, scenario.horizon, sigma, level).mean(horizon))
    return total


def fixed_kw(scenario: Scenario, site: Site, horizon: Horizon, known: datetime | None = None) -> FloatArray:
    """Fixed load that a plan reserves, ``[T]`` kW: the quantile, but not what the site may never import.

    ``known`` is the moment of planning (``scheduler.allowed``).
    """
    factor = max(0.0, 1.0 + relative_error(scenario.errors.load_sigma, scenario.planning.load_quantile))
    forecast = site.idle_on(horizon)
    wanted: FloatArray = forecast * factor
    if factor <= 1.0:
        return wanted
    kept: FloatArray = np.maximum(forecast, np.minimum(wanted, allowed_kw(scenario, site, Direction.IMPORT, horizon, known)))
    return kept


def duration_factor(scenario: Scenario) -> float:
    """Planned run time over asked run time, both margins included."""
    level, errors = scenario.planning.duration_quantile, scenario.errors
    share = 1.0 if level is None else errors.duration_low + (errors.duration_high - errors.duration_low) * level
    return share * (1.0 + scenario.planning.duration_margin)


def planned_slots(scenario: Scenario, job: Job, room: int | None = None) -> int:
    """Whole slots that a plan gives ``job``.

    Args:
        scenario: the scenario.
        job: the job.
        room: slots in which it may run; None counts those from its release to its deadline. A quantile above the run time asked
            for takes no more than these, unless the run time asked for (with ``duration_margin``) does.
    """
    horizon = scenario.horizon
    asked = horizon.slots_for(job.duration * (1.0 + scenario.planning.duration_margin))
    wanted = horizon.slots_for(job.duration * duration_factor(scenario))
    if wanted <= asked:
        return wanted
    if room is None:
        room = min(horizon.floor_slot(job.deadline), horizon.slots) - max(horizon.ceil_slot(job.release), 0)
    return min(wanted, max(asked, room))
