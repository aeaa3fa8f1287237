"""Fitted errors around another forecast: what may come of it as quantiles, step by step, and how long its error lasts.

The errors of ``grid.forecasts.errors`` are shares of a capacity, in classes by the level of the forecast. Around a forecast of
another plant they are read in the class of its own level and multiplied by its own capacity. The result carries the time
constant of the fit, so whoever draws from it (``scheduler.draws``, ``sim.world.truth``) draws as ``ErrorModel.draw`` does: ranks
that follow a first-order autoregression, mapped to the errors' own distribution.
"""

from __future__ import annotations

import numpy as np

from grid.forecasts.errors import ErrorModel
from grid.quantile_series import QuantileSeries
from grid.series import Series

LEVELS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995)
"""Probabilities of the quantiles; between two of them the value is a straight line over the normal score."""


def fan(model: ErrorModel, forecast: Series, capacity_kw: float, *, dark: bool) -> QuantileSeries:
    """The forecast with the quantiles of its fitted errors, not below 0 and not above the capacity (or the forecast itself).

    Args:
        model: the fit.
        forecast: kW, ``[n]``, on any steps.
        capacity_kw: highest power that the source gives, above 0.
        dark: where the forecast is nothing there is nothing (the sun at night).

    Raises:
        ValueError: the capacity is not above 0.
    """
    if not capacity_kw > 0:
        raise ValueError(f"a capacity of {capacity_kw} kW; expected one above 0")
    group = np.searchsorted(model.bounds, forecast.values / capacity_kw)
    table = np.empty((len(LEVELS), len(forecast.values)))
    for number, errors in enumerate(model.sorted_errors):
        middle = (np.arange(len(errors)) + 0.5) / len(errors)
        here = group == number
        table[:, here] = forecast.values[here] + capacity_kw * np.interp(LEVELS, middle, errors)[:, None]
    table = np.clip(table, 0.0, np.maximum(capacity_kw, forecast.values))
    if dark:
        table[:, forecast.values <= 0.0] = 0.0
    source = f"{forecast.source}, with fitted errors"
    return QuantileSeries.of(forecast.edges_s, LEVELS, table, forecast.unit, source, model.time_constant_h)
