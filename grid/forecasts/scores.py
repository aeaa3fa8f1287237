"""Scores of forecasts: of one number, and of quantiles.

Hersbach, "Decomposition of the continuous ranked probability score for ensemble prediction systems", Weather and Forecasting 15,
2000; Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102 (2007). Pairs with
``NaN`` are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.horizon import FloatArray


@dataclass(frozen=True, slots=True)
class Score:
    """Scores of one way to forecast at one lead time; units are those of the series.

    Attributes:
        pairs: pairs of forecast and truth.
        mae: mean absolute error; rmse: root of the mean squared error; bias: mean of forecast less truth.
        mae_pct: ``mae`` in percent of the mean of the truth; None when that is not above 0.
        pinball: mean over the levels of the pinball loss; crps: continuous ranked probability score from the quantiles; None
            without quantiles.
        cover_80: share of the truth between the 0.1 and the 0.9 quantile; None without both.
    """

    pairs: int
    mae: float
    rmse: float
    bias: float
    mae_pct: float | None
    pinball: float | None = None
    crps: float | None = None
    cover_80: float | None = None


def score(truth: FloatArray, point: FloatArray, quantiles: FloatArray | None = None, levels: tuple[float, ...] = ()) -> Score:
    """All scores.

    Args:
        truth: ``[n]``.
        point: forecast, ``[n]``.
        quantiles: ``[n, levels]``, ascending in each row, or None.
        levels: their levels, ascending, in (0, 1).

    Raises:
        ValueError: no pair is left, or the levels do not fit.
    """
    good = np.isfinite(truth) & np.isfinite(point)
    if quantiles is not None:
        if quantiles.shape != (len(truth), len(levels)) or list(levels) != sorted(levels) or not all(0 < q < 1 for q in levels):
            raise ValueError("quantiles are [n, levels], levels ascend in (0, 1)")
        good &= np.isfinite(quantiles).all(axis=1)
    if not good.any():
        raise ValueError("no pair of forecast and truth is left")
    true, error = truth[good], (point - truth)[good]
    mean = float(true.mean())
    mae = float(np.abs(error).mean())
    found = Score(
        pairs=int(good.sum()),
        mae=mae,
        rmse=float(np.sqrt((error * error).mean())),
        bias=float(error.mean()),
        mae_pct=100.0 * mae / mean if mean > 0 else None,
    )
    if quantiles is None:
        return found
    said = quantiles[good]
    cover = None
    if 0.1 in levels and 0.9 in levels:
        low, high = said[:, levels.index(0.1)], said[:, levels.index(0.9)]
        cover = float(((low <= true) & (true <= high)).mean())
    return Score(
        found.pairs,
        found.mae,
        found.rmse,
        found.bias,
        found.mae_pct,
        float(pinball(true, said, levels).mean()),
        float(crps_of_quantiles(true, said, levels).mean()),
        cover,
    )


def pinball(truth: FloatArray, quantiles: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """Pinball loss of each quantile, ``[n, levels]``.

    ``level * (truth - q)`` where the truth is above the quantile, ``(1 - level) * (q - truth)`` where it is below.
    """
    level, over = np.array(levels), truth[:, None] - quantiles
    loss: FloatArray = np.maximum(level * over, (level - 1.0) * over)
    return loss


def crps_of_quantiles(truth: FloatArray, quantiles: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """CRPS of the distribution that the quantiles stand for, ``[n]``.

    Each quantile stands for the probability halfway to its neighbours, so the distribution is a weighted ensemble:
    ``E|X - truth| - E|X - X'| / 2``.
    """
    edges = np.concatenate(([0.0], (np.array(levels[1:]) + np.array(levels[:-1])) / 2, [1.0]))
    weight = np.diff(edges)
    apart = np.abs(quantiles[:, :, None] - quantiles[:, None, :]) @ weight @ weight
    found: FloatArray = np.abs(quantiles - truth[:, None]) @ weight - apart / 2
    return found
