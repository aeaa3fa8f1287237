"""A forecast as quantiles over time: for every step the values that are not exceeded with given probabilities.

Between two levels the value is a straight line in the standard normal score ``z`` of the probability, so a normal forecast of
any width is kept exactly. Beyond the outermost levels the outermost line goes on: an assumption on tails that the forecast
does not give.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from grid.errors import SeriesError
from grid.horizon import FloatArray
from grid.series import Series

MEDIAN = 0.5
FURTHEST = 4.0
"""No score is taken to be further out than this: one draw in 16,000 is."""


def _only_the_median() -> FloatArray:
    return np.array([MEDIAN])


def _no_table() -> FloatArray:
    return np.empty((0, 0))


@dataclass(frozen=True, slots=True, eq=False)
class QuantileSeries(Series):
    """A piecewise-constant series whose values are the median of a forecast.

    Attributes:
        levels: strictly ascending probabilities in (0, 1), one below, one at and one above 0.5 at least, ``[k]``.
        table: value of each level in each step, not falling with the level, ``[k, n]``; its row at 0.5 is ``values``.
        lasts_h: time constant of its error (as normal score) in hours; None: that of whoever draws it.

    Raises:
        SeriesError: levels or table are not like this.
    """

    levels: FloatArray = field(default_factory=_only_the_median)
    table: FloatArray = field(default_factory=_no_table)
    lasts_h: float | None = None

    def __post_init__(self) -> None:
        Series.__post_init__(self)
        name = self.source or "quantiles"
        levels, table = np.asarray(self.levels, dtype=np.float64), np.asarray(self.table, dtype=np.float64)
        if levels.ndim != 1 or len(levels) < 3 or not (np.diff(levels) > 0).all() or not 0 < levels[0] < levels[-1] < 1:
            raise SeriesError(f"{name}: levels {levels.tolist()}; expected at least three, ascending, between 0 and 1")
        if MEDIAN not in levels[1:-1]:
            raise SeriesError(f"{name}: levels {levels.tolist()}; expected 0.5 with a level below and one above it")
        if table.shape != (len(levels), len(self.values)) or not np.isfinite(table).all():
            raise SeriesError(f"{name}: a table {table.shape} of quantiles; expected {(len(levels), len(self.values))} numbers")
        if (np.diff(table, axis=0) < 0).any():
            step = int(np.argmax((np.diff(table, axis=0) < 0).any(axis=0)))
            raise SeriesError(f"{name}: quantiles of step {step + 1} fall with their level: {table[:, step].tolist()}")
        if self.lasts_h is not None and not 0 <= self.lasts_h < math.inf:
            raise SeriesError(f"{name}: errors that last {self.lasts_h} h; expected a number of hours, 0 or more")
        for values in (levels, table):
            values.setflags(write=False)
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "table", table)

    @classmethod
    def of(
        cls,
        edges_s: FloatArray,
        levels: npt.ArrayLike,
        table: npt.ArrayLike,
        unit: str,
        source: str = "",
        lasts_h: float | None = None,
    ) -> QuantileSeries:
        """A forecast from its table ``[k, n]``; the row of level 0.5 becomes the values."""
        probabilities, rows = np.asarray(levels, dtype=np.float64), np.asarray(table, dtype=np.float64)
        at = np.flatnonzero(probabilities == MEDIAN)
        if len(at) != 1 or rows.ndim != 2 or len(rows) != len(probabilities):
            raise SeriesError(f"{source or 'quantiles'}: no single row of level 0.5 among {probabilities.tolist()}")
        return cls(edges_s, rows[at[0]].copy(), unit, source, probabilities, rows, lasts_h)

    @property
    def scores(self) -> FloatArray:
        """Standard normal score of each level, ``[k]``."""
        return np.array([NormalDist().inv_cdf(float(level)) for level in self.levels])

    def score_of(self, value: float, step: int) -> float:
        """Standard normal score at which a step has this value, the inverse of ``at_score``, within ``FURTHEST``.

        Where several levels have the value (nothing, or the most that is possible) it is the middle of their scores; where no
        line reaches the value it is the outermost score.
        """
        scores, column = self.scores, self.table[:, step]
        first, last = int(np.searchsorted(column, value, side="left")), int(np.searchsorted(column, value, side="right")) - 1
        if first <= last:
            return float(scores[first] + scores[last]) / 2.0
        low = min(max(last, 0), len(column) - 2)
        rise = float(column[low + 1] - column[low]) / float(scores[low + 1] - scores[low])
        if rise <= 0.0:
            return float(scores[0] if value < column[0] else scores[-1])
        return min(max(float(scores[low]) + (value - float(column[low])) / rise, -FURTHEST), FURTHEST)

    def at_score(self, score: npt.ArrayLike, steps: npt.NDArray[np.int64] | None = None) -> FloatArray:
        """Values at the standard normal score ``score`` (0 is the median), which is broadcast over the steps.

        Args:
            score: a number, or ``[..., n]``.
            steps: indices of the steps that are wanted, ``[n]``; all of them when left out.
        """
        table = self.table if steps is None else self.table[:, steps]
        scores = self.scores
        wanted = np.broadcast_to(np.asarray(score, dtype=np.float64), np.broadcast_shapes(np.shape(score), table.shape[1:]))
        piece = np.clip(np.searchsorted(scores, wanted, side="right") - 1, 0, len(scores) - 2)
        slope = np.diff(table, axis=0) / np.diff(scores)[:, None]
        step = np.arange(table.shape[1])
        value: FloatArray = table[piece, step] + slope[piece, step] * (wanted - scores[piece])
        return value

    def scaled(self, factor: float, unit: str | None = None, source: str | None = None) -> QuantileSeries:
        """The forecast times ``factor``, which is not negative."""
        return QuantileSeries(
            self.edges_s,
            self.values * factor,
            unit or self.unit,
            self.source if source is None else source,
            self.levels,
            self.table * factor,
            self.lasts_h,
        )


def error_lasts_h(forecast: Series, otherwise: float) -> float:
    """Time constant of a forecast's error in hours: its own where it has one, else ``otherwise``."""
    own = forecast.lasts_h if isinstance(forecast, QuantileSeries) else None
    return otherwise if own is None else own


def possible_peak(forecast: Series, steps: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> float:
    """Highest value that ``forecast`` names in ``steps`` (of a forecast as quantiles: that of its highest level), at least 0."""
    values = forecast.table[-1] if isinstance(forecast, QuantileSeries) else forecast.values
    return max(0.0, float(values[steps].max(initial=0.0)))
