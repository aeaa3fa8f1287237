"""Futures: possible courses of sun, wind and fixed load with their probabilities, drawn from the scenario's error model.

Where a forecast is given as quantiles they are drawn from those (``scheduler.draws``).
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

from grid.horizon import FloatArray, Horizon
from scheduler.draws import draw_site, uncertain
from scheduler.scenario import Scenario

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
    wanted = scenario.planning.scenarios
    seed = scenario.seed if wanted.seed is None else wanted.seed
    half = wanted.draws // 2
    if not uncertain(scenario):
        return ()
    sun_wind = np.zeros((wanted.draws, len(scenario.sites), horizon.slots))
    fixed = np.zeros_like(sun_wind)
    for s, site in enumerate(scenario.sites):
        sun_wind[:, s], fixed[:, s] = draw_site(scenario, site, horizon, half, seed, "future")
    value = (fixed - sun_wind) * np.abs(price_eur_per_kwh) * horizon.step_h
    chosen, share = reduce_draws(value.reshape(wanted.draws, -1), wanted.count)
    return tuple(Future(float(p), sun_wind[k], fixed[k]) for k, p in zip(chosen, share, strict=True))


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
