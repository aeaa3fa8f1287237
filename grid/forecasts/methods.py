"""Ways to forecast an hourly series from its own past: each sees nothing after the moment at which it forecasts.

A forecast made in hour ``t`` knows ``values[: t + 1]`` and says ``values[t + lead]``. All of them work on many moments at once.

===================  ======================================================================================================
``persistence``      as it is now
``day_persistence``  as at the same hour of the last day that is known
``smart``            as it is now relative to a clear sky: the clear-sky index of the last hours times the coming clear sky
``week_mean``        the mean of that hour over the last seven days, plus today's distance from it, fading
``climatology``      the median of that hour over the last 28 days; its quantiles are those of the 28
===================  ======================================================================================================

"Smart persistence" is that of solar forecasting (Pedro and Coimbra, Solar Energy 86, 2012).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray

IntArray = npt.NDArray[np.int64]

DAY_H = 24
WEEK_DAYS, CLIMATE_DAYS = 7, 28
FADES = 0.93
"""Assumption: share of today's distance from the week's mean that is left an hour later."""
INDEX_H = 6
"""Hours over which the clear-sky index is taken (with the sun up)."""
DARK_W_PER_M2 = 20.0
"""Below this clear-sky irradiance the index says nothing."""
HISTORY_H = CLIMATE_DAYS * DAY_H
"""What every way may look back to, h."""


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What a forecast may use.

    Attributes:
        values: the series by hour, ``[N]``; a forecast made in hour ``t`` may use ``values[: t + 1]``.
        clear_w_per_m2: clear-sky irradiance of every hour, known ahead, ``[N]``; None when the series is not of the sun.
    """

    values: FloatArray
    clear_w_per_m2: FloatArray | None = None


Method = Callable[[Past, IntArray, int], FloatArray]
"""Forecast made in the hours ``[n]`` for ``lead`` hours ahead, ``[n]``; ``NaN`` where nothing can be said."""


def persistence(past: Past, made: IntArray, lead: int) -> FloatArray:
    """The last value."""
    del lead
    found: FloatArray = past.values[made]
    return found


def day_persistence(past: Past, made: IntArray, lead: int) -> FloatArray:
    """The value of the same hour on the last day that is known."""
    found: FloatArray = past.values[made + lead - DAY_H * -(-lead // DAY_H)]
    return found


def smart(past: Past, made: IntArray, lead: int) -> FloatArray:
    """Clear-sky index of the last ``INDEX_H`` hours in which the sun was up, times the clear sky to come.

    Raises:
        ValueError: no clear sky is known.
    """
    if past.clear_w_per_m2 is None:
        raise ValueError("smart persistence needs the clear sky")
    clear = past.clear_w_per_m2
    bright = clear > DARK_W_PER_M2
    seen = np.concatenate(([0.0], np.cumsum(np.where(bright, past.values, 0.0))))
    could = np.concatenate(([0.0], np.cumsum(np.where(bright, clear, 0.0))))
    count = np.concatenate(([0], np.cumsum(bright)))
    first = np.searchsorted(count, np.maximum(0, count[made + 1] - INDEX_H), side="right") - 1
    could_have = could[made + 1] - could[first]
    with np.errstate(invalid="ignore", divide="ignore"):
        index = np.where(could_have > 0, (seen[made + 1] - seen[first]) / could_have, np.nan)
    found: FloatArray = index * np.where(clear[made + lead] > 0, clear[made + lead], 0.0)
    return found


def week_mean(past: Past, made: IntArray, lead: int | IntArray) -> FloatArray:
    """Mean of the hour over seven days, plus the last hour's distance from its own mean, fading; ``lead`` may be ``[n]``."""
    mean = _same_hour(past.values, made, lead, WEEK_DAYS).mean(axis=1)
    now = _same_hour(past.values, made, 0, WEEK_DAYS)
    found: FloatArray = mean + (past.values[made] - now.mean(axis=1)) * FADES**lead
    return found


def climatology(past: Past, made: IntArray, lead: int) -> FloatArray:
    """Median of the hour over 28 days."""
    found: FloatArray = np.nanmedian(_same_hour(past.values, made, lead, CLIMATE_DAYS), axis=1)
    return found


def climatology_quantiles(past: Past, made: IntArray, lead: int, levels: tuple[float, ...]) -> FloatArray:
    """Quantiles of the hour over 28 days, ``[n, levels]``."""
    found: FloatArray = np.nanquantile(_same_hour(past.values, made, lead, CLIMATE_DAYS), levels, axis=1).T
    return found


def error_quantiles(
    point: FloatArray, truth: FloatArray, step: int, lead: int, window: int, levels: tuple[float, ...]
) -> FloatArray:
    """Quantiles around any forecast: it, plus the quantiles of its own last errors that are known by then.

    Args:
        point: forecasts made every ``step`` hours, ``[n]``.
        truth: what came, ``[n]``.
        step: hours between two forecasts.
        lead: hours ahead.
        window: number of errors that count.
        levels: ascending.

    Returns:
        ``[n, levels]``; ``NaN`` for the first ones.
    """
    errors = truth - point
    behind = -(-lead // step)  # the last forecast whose hour has come
    found = np.full((len(point), len(levels)), np.nan)
    for i in range(window + behind - 1, len(point)):
        known = errors[i - behind - window + 1 : i - behind + 1]
        if np.isfinite(known).any():
            found[i] = point[i] + np.nanquantile(known, levels)
    return found


def _same_hour(values: FloatArray, made: IntArray, lead: int | IntArray, days: int) -> FloatArray:
    """Values of the hour that is forecast on the last ``days`` days that are known, ``[n, days]``."""
    last = made + lead - DAY_H * -(-lead // DAY_H)
    found: FloatArray = values[last[:, None] - DAY_H * np.arange(days)[None, :]]
    return found


METHODS: dict[str, Method] = {
    "persistence": persistence,
    "day_persistence": day_persistence,
    "smart": smart,
    "week_mean": week_mean,
    "climatology": climatology,
}
"""Every way, by name."""


def clear_sky_w_per_m2(edges_s: FloatArray, latitude: float, longitude: float) -> FloatArray:
    """Global irradiance on the horizontal under a clear sky, mean of each hour, ``[n]``.

    Haurwitz, Journal of Meteorology 2 (1945), as pvlib has it.

    Args:
        edges_s: Unix seconds of the hours' edges, ``[n + 1]``.
        latitude: degrees, north positive.
        longitude: degrees, east positive.
    """
    import pandas as pd
    import pvlib

    quarters = (edges_s[:-1, None] + np.array([450.0, 1350.0, 2250.0, 3150.0])[None, :]).ravel()
    times = pd.to_datetime(quarters, unit="s", utc=True)
    zenith = pvlib.solarposition.get_solarposition(times, latitude, longitude)["apparent_zenith"]
    ghi = pvlib.clearsky.haurwitz(zenith)["ghi"].to_numpy()
    found: FloatArray = ghi.reshape(-1, 4).mean(axis=1)
    return found
