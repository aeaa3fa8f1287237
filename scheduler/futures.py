"""Futures: possible courses of sun, wind and fixed load with their probabilities, drawn from the scenario's error model.

Two-stage planning calls them scenarios; that word is taken here by the document. Each source of each site has a chance stream of
its own, ``future:<kind>:<site>`` of the planner's seed, apart from the streams of the simulated truth, so a plan never sees the
truth that it will be judged by.

Draws come in pairs of opposite errors (antithetic variates: Hammersley and Morton 1956), so their mean is the forecast but for
what the limits of the error model cut off. They are reduced by forward selection (Heitsch and Römisch 2003): futures are chosen
one by one so that the probability-weighted distance of all draws to the nearest chosen one is least, and each draw then gives its
probability to its nearest. The distance of two futures is the price of the energy by which they differ. After an observation the
draws are those of the whole day, cut to what is left: they do not know the error of the last hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from grid.chance import stream
from grid.horizon import FloatArray, Horizon
from grid.series import Series
from scheduler.facility import Site
from scheduler.scenario import PEAK_HEADROOM, Scenario

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Future:
    """One possible course of a horizon.

    Attributes:
        probability: in (0, 1]; those of all futures of a problem sum to 1.
        renewable_kw: sun and wind available, ``[S, T]``.
        fixed_kw: facility power without any job, ``[S, T]``.
    """

    probability: float
    renewable_kw: FloatArray
    fixed_kw: FloatArray


class DrawnFutures(Sequence[Future]):
    """Futures that are drawn when somebody first asks for them: most policies never do, and long horizons have large ones."""

    def __init__(self, scenario: Scenario, horizon: Horizon, price_eur_per_kwh: FloatArray) -> None:
        self._of = (scenario, horizon, price_eur_per_kwh)
        self._drawn: tuple[Future, ...] | None = None

    @overload
    def __getitem__(self, index: int) -> Future: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Future, ...]: ...

    def __getitem__(self, index: int | slice) -> Future | tuple[Future, ...]:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> tuple[Future, ...]:
        if self._drawn is None:
            self._drawn = draw_futures(*self._of)
        return self._drawn


def draw_futures(scenario: Scenario, horizon: Horizon, price_eur_per_kwh: FloatArray) -> tuple[Future, ...]:
    """The futures of ``horizon``, reduced to ``planning.scenarios.count``, the most probable first.

    Empty when nothing is uncertain: no source or load of any site has an error.

    Args:
        scenario: sites, error model, and how many futures.
        horizon: the planned slots: the scenario's horizon or the rest of it.
        price_eur_per_kwh: price of import with carbon, ``[S, T]``, for distances.
    """
    errors, wanted = scenario.errors, scenario.planning.scenarios
    seed = scenario.seed if wanted.seed is None else wanted.seed
    half = wanted.draws // 2
    if not _uncertain(scenario):
        return ()
    sun_wind = np.zeros((wanted.draws, len(scenario.sites), horizon.slots))
    fixed = np.zeros_like(sun_wind)
    quarters = scenario.horizon.with_step(scenario.settlement)
    for s, site in enumerate(scenario.sites):
        for kind, forecast, sigma in _sources(scenario, site):
            sun_wind[:, s] += _powers(forecast, scenario, horizon, sigma, half, f"{kind}:{site.name}", seed, PEAK_HEADROOM)
        even = Series.on(quarters, np.full(quarters.slots, site.idle_kw), "kW", "fixed load")
        fixed[:, s] = _powers(even, scenario, horizon, errors.load_sigma, half, f"load:{site.name}", seed, np.inf)
    value = (fixed - sun_wind) * np.abs(price_eur_per_kwh) * horizon.step_h
    chosen, share = reduce_draws(value.reshape(wanted.draws, -1), wanted.count)
    return tuple(Future(float(p), sun_wind[k], fixed[k]) for k, p in zip(chosen, share, strict=True))


def _uncertain(scenario: Scenario) -> bool:
    """True when any power of any site may differ from its forecast."""
    several = scenario.errors.load_sigma > 0
    return several or any(sigma > 0 for site in scenario.sites for _, _, sigma in _sources(scenario, site))


def _sources(scenario: Scenario, site: Site) -> list[tuple[str, Series, float]]:
    """Kind, forecast and relative deviation of the sun and wind that ``site`` has."""
    errors = scenario.errors
    both = (("solar", site.solar_kw, errors.solar_sigma), ("wind", site.wind_kw, errors.wind_sigma))
    return [(kind, series, sigma) for kind, series, sigma in both if series is not None]


def _powers(
    forecast: Series, scenario: Scenario, horizon: Horizon, sigma: float, half: int, name: str, seed: int, headroom: float
) -> FloatArray:
    """Mean power in each slot of ``horizon``, ``[2 * half, T]`` kW; draw ``half + k`` has those of ``k`` negated.

    The limits are those of ``sim.world.truth``: not below 0, not above ``headroom`` times the highest forecast.
    """
    of_day = scenario.horizon
    inside = np.flatnonzero((forecast.edges_s[1:] > of_day.start_s) & (forecast.edges_s[:-1] < of_day.end_s))
    values = np.maximum(0.0, forecast.values[inside])
    error = _errors(forecast.edges_s[inside] / 3600.0, sigma, scenario.errors.error_correlation_h, half, f"future:{name}", seed)
    ceiling = headroom * values.max(initial=0.0)
    power = np.clip(values * (1.0 + np.concatenate((error, -error))), 0.0, ceiling if np.isfinite(ceiling) else None)
    return _slot_means(power, forecast.edges_s[inside[0] : inside[-1] + 2], horizon)


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


def reduce_draws(points: FloatArray, count: int) -> tuple[IntArray, FloatArray]:
    """Forward selection of at most ``count`` of equally probable points ``[n, d]``.

    Returns:
        Indices of the chosen points and their probabilities, the most probable first; fewer when the rest is at no distance.
    """
    size = len(points)
    distance = np.stack([np.abs(points - point).sum(axis=1) for point in points])
    nearest, chosen = np.full(size, np.inf), list[int]()
    while len(chosen) < min(count, size) and nearest.max() > 0.0:
        left = np.minimum(distance, nearest[None, :]).sum(axis=1)
        left[chosen] = np.inf
        chosen.append(int(np.argmin(left)))
        nearest = np.minimum(nearest, distance[chosen[-1]])
    taken = np.bincount(np.argmin(distance[chosen], axis=0), minlength=len(chosen)) / size
    order = np.argsort(-taken, kind="stable")
    return np.array(chosen, dtype=np.int64)[order], taken[order]
