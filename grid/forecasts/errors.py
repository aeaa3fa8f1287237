"""Errors of forecasts as they really are: their size, their shape and how long they last, fitted and drawn again.

An error is (truth less forecast) over the capacity. Forecasts are put into classes by their level, because a forecast near
nothing or near everything can only be wrong to one side. In each class the errors' own distribution is kept, whatever its
shape. The rank of an error in its class, as a normal score, follows a first-order autoregression: so errors last as long as the
real ones (a Gaussian copula; Pinson, Madsen, Nielsen, Papaefthymiou, Kloeckl, "From probabilistic forecasts to statistical
scenarios of short-term wind power production", Wind Energy 12, 2009).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray

CLASSES = 5
FEWEST = 200
"""Errors below which nothing is fitted."""


@dataclass(frozen=True, slots=True, eq=False)
class ErrorModel:
    """Fitted errors.

    Attributes:
        capacity: what errors are relative to, in the unit of the series.
        bounds: levels of the forecast (over capacity) between the classes, ascending, ``[C - 1]``.
        sorted_errors: errors of each class over capacity, ascending.
        keeps: lag-1 correlation of the normal scores, one step apart.
        step_h: length of a step.
    """

    capacity: float
    bounds: FloatArray
    sorted_errors: tuple[FloatArray, ...]
    keeps: float
    step_h: float

    @property
    def time_constant_h(self) -> float:
        """Time after which the correlation has fallen to 1/e."""
        return -self.step_h / float(np.log(self.keeps)) if 0 < self.keeps < 1 else 0.0

    def draw(self, forecast: FloatArray, rng: np.random.Generator, runs: int = 1) -> FloatArray:
        """Truths that might come of a forecast, ``[runs, T]``, between nothing and the capacity; ``NaN`` stays.

        Args:
            forecast: ``[T]``, in steps of ``step_h``.
            rng: source of the draws.
            runs: how many.
        """
        from scipy.special import ndtr

        normal = rng.standard_normal((runs, len(forecast)))
        fresh = np.sqrt(1.0 - self.keeps**2)
        for t in range(1, len(forecast)):
            normal[:, t] = self.keeps * normal[:, t - 1] + fresh * normal[:, t]
        rank, found = ndtr(normal), np.full((runs, len(forecast)), np.nan)
        group = np.searchsorted(self.bounds, forecast / self.capacity)
        for number, errors in enumerate(self.sorted_errors):
            here = (group == number) & np.isfinite(forecast)
            middle = (np.arange(len(errors)) + 0.5) / len(errors)
            found[:, here] = forecast[here] + self.capacity * np.interp(rank[:, here], middle, errors)
        truths: FloatArray = np.clip(found, 0.0, self.capacity)
        return truths


def fit_errors(forecast: FloatArray, truth: FloatArray, step_h: float, *, classes: int = CLASSES) -> ErrorModel:
    """Fit from pairs in time order, ``[T]``; ``NaN`` where one is missing, and no pair of neighbours reaches over it.

    Raises:
        ValueError: fewer than ``FEWEST`` pairs, or no capacity.
    """
    good = np.isfinite(forecast) & np.isfinite(truth)
    if good.sum() < FEWEST:
        raise ValueError(f"{int(good.sum())} pairs of forecast and truth; at least {FEWEST} are needed")
    capacity = float(max(truth[good].max(), forecast[good].max()))
    if capacity <= 0:
        raise ValueError("forecast and truth are never above 0")
    level, error = forecast / capacity, (truth - forecast) / capacity
    bounds = np.unique(np.quantile(level[good], np.arange(1, classes) / classes))
    bounds = bounds[bounds < level[good].max()]  # many forecasts at the top: nothing is above it
    group = np.where(good, np.searchsorted(bounds, level), -1)
    kept = tuple(np.sort(error[group == number]) for number in range(len(bounds) + 1))
    keeps = lag_correlation(normal_scores(error, group, len(kept)))
    return ErrorModel(capacity, bounds, kept, min(max(keeps, 0.0), 0.999), step_h)


def normal_scores(error: FloatArray, group: npt.NDArray[np.int64], groups: int) -> FloatArray:
    """Rank of each error in its group as a normal score, ``[T]``; ``NaN`` where the group is -1. Ties share their mean rank."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    found = np.full(len(error), np.nan)
    for number in range(groups):
        here = group == number
        if here.any():
            found[here] = ndtri((rankdata(error[here]) - 0.5) / here.sum())
    return found


def lag_correlation(values: FloatArray, lag: int = 1) -> float:
    """Correlation of a series with itself ``lag`` steps before, over pairs that are both there; 0 where it does not vary."""
    before, after = values[:-lag], values[lag:]
    both = np.isfinite(before) & np.isfinite(after)
    if not both.any() or np.ptp(before[both]) == 0 or np.ptp(after[both]) == 0:
        return 0.0
    return float(np.corrcoef(before[both], after[both])[0, 1])


def relative_sigma(forecast: FloatArray, truth: FloatArray) -> float:
    """Standard deviation of the error relative to the forecast itself, as ``errors.solar_sigma`` of a scenario has it.

    Weighted with the square of the forecast, so that hours with little in them do not decide it: the root of
    ``sum of (truth - forecast)^2 / sum of forecast^2``.
    """
    good = np.isfinite(forecast) & np.isfinite(truth)
    return float(np.sqrt(((truth - forecast)[good] ** 2).sum() / (forecast[good] ** 2).sum()))
