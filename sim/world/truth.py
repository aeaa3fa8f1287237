"""The truth that a simulated world hides from its controller; every draw is a named stream of the seed.

A truth depends on the scenario and the seed only, never on the plan, so that every policy that is compared at one seed
meets the same sun, the same wind and the same run times. Only the failures of stressed worlds, which are never compared, look at
the plan (``sim.world.failures``).

===================  ==============================================================================================
stream               what it decides
===================  ==============================================================================================
``solar:<site>``     relative error of the sun: forecast x (1 + e), e an Ornstein-Uhlenbeck process (AR(1) that is
                     exact in continuous time), one value on each of the series' own steps; of a forecast as quantiles e is
                     the normal score at which they are read
``wind:<site>``      the same for wind
``load:<site>``      the same for the site's fixed load, on quarters of an hour
``temperature:<site>``  outdoor temperature of a site with cooling: forecast + e, in kelvin, the same process
``duration:<job>``   true run time / asked run time, uniform
``command:<job>``    exponential delays of the commands to the job, in order; before each, where commands can be lost, the
                     losses
``mains:<site>``     faults of the mains, by the rates of the error model
``link:<name>``      share of a link's rate that other traffic leaves, one value an hour
``failures``         which of the nodes that the plan uses fail, and when (only in stressed worlds)
===================  ==============================================================================================
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from grid.chance import stream
from grid.horizon import FloatArray, Horizon
from grid.mains import MainsFault, apart, draw_faults
from grid.quantile_series import QuantileSeries, error_lasts_h, possible_peak
from grid.series import Series
from scheduler.facility import Site
from scheduler.scenario import PEAK_HEADROOM, Scenario


def realised_power(
    forecast: Series,
    horizon: Horizon,
    sigma: float,
    correlation_h: float,
    rng: np.random.Generator,
    headroom: float = PEAK_HEADROOM,
) -> Series:
    """Available power as it really comes: forecast x (1 + error) inside ``horizon``, the forecast outside it.

    Of a forecast as quantiles the error is the normal score at which it is read, of standard deviation 1 (``scheduler.draws``).
    It lasts as long as the forecast says, where it does (errors that were fitted: ``grid.forecasts.fan``).

    Args:
        forecast: kW, on any steps; the error is drawn on those steps, so it does not depend on the horizon's step.
        horizon: period in which the error is drawn, beginning in the stationary distribution.
        sigma: standard deviation of the relative error.
        correlation_h: time constant of the error; 0 means independent from step to step.
        rng: stream of the draws.
        headroom: the result is at most this times the highest forecast.

    Returns:
        kW on the forecast's steps, not below 0 and not above ``headroom`` times the highest forecast.
    """
    deviation = 1.0 if isinstance(forecast, QuantileSeries) else sigma
    inside, errors = _errors(forecast, horizon, deviation, error_lasts_h(forecast, correlation_h), rng)
    values, ceiling = forecast.values.copy(), headroom * possible_peak(forecast, inside)
    if isinstance(forecast, QuantileSeries):
        values[inside] = np.clip(forecast.at_score(errors, inside), 0.0, ceiling)
    else:
        values[inside] = np.minimum(np.maximum(0.0, values[inside] * (1.0 + errors)), ceiling)
    return forecast.with_values(values, f"{forecast.source} with forecast error")


def realised_temperature(
    forecast: Series, horizon: Horizon, sigma_k: float, correlation_h: float, rng: np.random.Generator
) -> Series:
    """Temperature as it really comes, degC: forecast + error (standard deviation ``sigma_k``) inside ``horizon``."""
    inside, errors = _errors(forecast, horizon, sigma_k, correlation_h, rng)
    values = forecast.values.copy()
    values[inside] += errors
    return forecast.with_values(values, f"{forecast.source} with forecast error")


def _errors(
    forecast: Series, horizon: Horizon, deviation: float, correlation_h: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Steps of the forecast that touch ``horizon``, and an error for each: stationary, first-order autoregressive."""
    inside = np.flatnonzero((forecast.edges_s[1:] > horizon.start_s) & (forecast.edges_s[:-1] < horizon.end_s))
    starts_h = forecast.edges_s[inside] / 3600.0
    draws = rng.standard_normal(len(inside))
    error, last_h, errors = 0.0, 0.0, np.zeros(len(inside))
    for i, hour in enumerate(starts_h.tolist()):
        keep = 0.0 if i == 0 or correlation_h <= 0 else math.exp(-(hour - last_h) / correlation_h)
        error = keep * error + deviation * math.sqrt(1.0 - keep * keep) * float(draws[i])
        last_h, errors[i] = hour, error
    return inside, errors


def has_mains(site: Site, horizon: Horizon) -> bool:
    """The site ever takes anything from the grid."""
    return bool((site.connection.import_limit_kw.mean(horizon) > 0).any())


def _faults(scenario: Scenario, seed: int) -> tuple[MainsFault, ...]:
    horizon, rates = scenario.horizon, scenario.errors.fault_rates
    given = [replace(fault, start_s=fault.start_s - horizon.start_s) for fault in scenario.mains_faults]
    drawn = [
        fault
        for site in scenario.sites
        if has_mains(site, horizon)
        for fault in draw_faults(stream(seed, f"mains:{site.name}"), site.name, rates, horizon.end_s - horizon.start_s)
    ]
    return apart([*given, *drawn])


class Truth:
    """What really happens in ``scenario`` at ``seed``.

    Attributes:
        seed: seed of every draw; stressed: whether nodes fail.
        solar_kw, wind_kw: realised available power by site (sites that have the source).
        load_factor: realised fixed load over its forecast by site; empty when ``errors.load_sigma`` is 0.
        outdoor_c: realised outdoor temperature by site (sites with cooling).
        mains: faults of the mains, given and drawn (seconds after the start of the scenario's horizon).
        link_shares: share of a link's rate that other traffic leaves, by link, one value an hour; empty when all of it is left.
    """

    def __init__(self, scenario: Scenario, seed: int, *, stressed: bool) -> None:
        errors, horizon = scenario.errors, scenario.horizon
        self.seed, self.stressed = seed, stressed
        self._errors = errors
        self.solar_kw = {
            site.name: realised_power(
                site.solar_kw, horizon, errors.solar_sigma, errors.error_correlation_h, stream(seed, f"solar:{site.name}")
            )
            for site in scenario.sites
            if site.solar_kw is not None
        }
        self.wind_kw = {
            site.name: realised_power(
                site.wind_kw, horizon, errors.wind_sigma, errors.error_correlation_h, stream(seed, f"wind:{site.name}")
            )
            for site in scenario.sites
            if site.wind_kw is not None
        }
        quarters = horizon.with_step(scenario.settlement) if errors.load_sigma > 0 else horizon
        even = Series.on(quarters, np.ones(quarters.slots), "1", "fixed load")
        self.load_factor = {
            site.name: realised_power(
                even, horizon, errors.load_sigma, errors.error_correlation_h, stream(seed, f"load:{site.name}"), math.inf
            )
            for site in scenario.sites
            if errors.load_sigma > 0
        }
        self.outdoor_c = {
            site.name: realised_temperature(
                site.outdoor_c,
                horizon,
                errors.temperature_sigma_k,
                errors.error_correlation_h,
                stream(seed, f"temperature:{site.name}"),
            )
            for site in scenario.sites
            if site.outdoor_c is not None
        }

        self.mains = _faults(scenario, seed)
        hours = math.ceil((horizon.end_s - horizon.start_s) / 3600.0)
        self.link_shares = {
            link.name: stream(seed, f"link:{link.name}").uniform(errors.link_rate_low, 1.0, hours)
            for link in scenario.links
            if errors.link_rate_low < 1.0
        }

    def mains_from(self, gone_s: float) -> tuple[MainsFault, ...]:
        """Faults of the mains that are not over ``gone_s`` seconds after the horizon's start, in seconds from then on."""
        return tuple(
            replace(fault, start_s=max(0.0, fault.start_s - gone_s), length_s=min(fault.length_s, fault.end_s - gone_s))
            for fault in self.mains
            if fault.end_s > gone_s
        )

    def duration_factor(self, job: str) -> float:
        """True run time of ``job`` over the run time that was asked for."""
        low, high = self._errors.duration_low, self._errors.duration_high
        return low if low == high else float(stream(self.seed, f"duration:{job}").uniform(low, high))

    def command_delay_s(self, rng: np.random.Generator) -> float:
        """The next delay of a stream that ``command_stream`` gave, with the repetitions of what was lost."""
        if self._errors.command_loss > 0:
            lost = int(rng.geometric(1.0 - self._errors.command_loss)) - 1
            return lost * self._errors.command_repeat_s + float(rng.exponential(self._errors.command_delay_s))
        return float(rng.exponential(self._errors.command_delay_s)) if self._errors.command_delay_s > 0 else 0.0

    def command_stream(self, job: str) -> np.random.Generator:
        """Stream of the delays of the commands to ``job``."""
        return stream(self.seed, f"command:{job}")
