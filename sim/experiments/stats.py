"""Statistics of experiments: what repeated runs tell, and how sure one may be of it.

Intervals of a mean are Student's (they trust that means of that many runs are nearly normal); intervals of anything else, or of
a mean without that trust, come from the bootstrap (percentile method: Efron, Annals of Statistics 7 (1979) 1). Policies are
compared pair by pair on the same seeds, by Student's paired t test and by Wilcoxon's signed-rank test (Biometrics Bulletin 1
(1945) 80), which only asks that differences be symmetric. Effect sizes: the mean difference over the standard deviation of the
differences (Cohen's d for pairs), and the matched-pairs rank-biserial correlation (Kerby, Comprehensive Psychology 3 (2014)).
Where several comparisons are made, ``holm`` raises their p values (Holm, Scandinavian Journal of Statistics 6 (1979) 65).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grid.chance import stream
from grid.horizon import FloatArray

LEVEL = 0.95
"""Confidence of intervals."""
RESAMPLES = 2000
QUANTILES = (0.05, 0.25, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of confidence.

    Attributes:
        low, high: its ends; infinite when there are too few values to tell.
        level: confidence. method: ``t`` or ``bootstrap``.
    """

    low: float
    high: float
    level: float
    method: str

    @property
    def half_width(self) -> float:
        """Half of its width."""
        return (self.high - self.low) / 2.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What repeated runs tell of one figure.

    Attributes:
        count: values. mean, median, deviation: the standard deviation of a sample (n - 1), NaN for one value.
        quantiles: at ``QUANTILES``, linear between neighbours. least, most: extremes.
        interval: of the mean (t). median_interval: of the median (bootstrap).
    """

    count: int
    mean: float
    median: float
    deviation: float
    quantiles: tuple[float, ...]
    least: float
    most: float
    interval: Interval
    median_interval: Interval


@dataclass(frozen=True, slots=True)
class Paired:
    """One policy beside another on the same seeds; differences are the first minus the second.

    Attributes:
        count: pairs. mean: of the differences. interval: of that mean (t).
        t, t_p: paired t test, two-sided; None when the differences do not vary or there is one pair.
        wilcoxon, wilcoxon_p: signed-rank test, two-sided (pairs without difference left out); None when no pair differs.
        effect: mean over standard deviation of the differences; None where ``t`` is.
        rank_effect: share of the rank sum that is positive minus the share that is negative, -1 to 1; None without a difference.
        wins, losses: pairs in which the first is lower, and higher.
    """

    count: int
    mean: float
    interval: Interval
    t: float | None
    t_p: float | None
    wilcoxon: float | None
    wilcoxon_p: float | None
    effect: float | None
    rank_effect: float | None
    wins: int
    losses: int


def t_interval(values: npt.ArrayLike, level: float = LEVEL) -> Interval:
    """Student's interval of the mean; infinite for one value.

    Raises:
        ValueError: no values, or a level outside 0 to 1.
    """
    data = _data(values, level)
    mean = float(data.mean())
    if len(data) == 1:
        return Interval(-float("inf"), float("inf"), level, "t")
    from scipy.stats import t

    half = float(t.ppf(0.5 + level / 2.0, len(data) - 1)) * float(data.std(ddof=1)) / float(np.sqrt(len(data)))
    return Interval(mean - half, mean + half, level, "t")


def bootstrap_interval(
    values: npt.ArrayLike,
    statistic: Callable[..., FloatArray] = np.mean,
    level: float = LEVEL,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Percentile interval of any statistic from resamples of the values; the same seed gives the same interval.

    Args:
        values: of one figure, ``[n]``.
        statistic: numpy-like, called with an array ``[resamples, n]`` and ``axis=1``.
        level: confidence.
        resamples: how many.
        seed: of the draws.

    Raises:
        ValueError: no values, or a level outside 0 to 1.
    """
    data = _data(values, level)
    if len(data) == 1:
        return Interval(-float("inf"), float("inf"), level, "bootstrap")
    drawn = stream(seed, "bootstrap").integers(0, len(data), size=(resamples, len(data)))
    found = np.asarray(statistic(data[drawn], axis=1), dtype=np.float64)
    low, high = np.quantile(found, [0.5 - level / 2.0, 0.5 + level / 2.0])
    return Interval(float(low), float(high), level, "bootstrap")


def summarise(values: npt.ArrayLike, level: float = LEVEL) -> Summary:
    """What the values tell.

    Raises:
        ValueError: no values, or a level outside 0 to 1.
    """
    data = _data(values, level)
    return Summary(
        count=len(data),
        mean=float(data.mean()),
        median=float(np.median(data)),
        deviation=float(data.std(ddof=1)) if len(data) > 1 else float("nan"),
        quantiles=tuple(float(value) for value in np.quantile(data, QUANTILES)),
        least=float(data.min()),
        most=float(data.max()),
        interval=t_interval(data, level),
        median_interval=bootstrap_interval(data, np.median, level),
    )


def paired(first: npt.ArrayLike, second: npt.ArrayLike, level: float = LEVEL) -> Paired:
    """The first beside the second, value by value of the same seeds.

    Raises:
        ValueError: they are not equally long, or empty.
    """
    one, other = _data(first, level), _data(second, level)
    if len(one) != len(other):
        raise ValueError(f"{len(one)} and {len(other)} values cannot be paired")
    each = one - other
    each[np.abs(each) <= 1e-12 * np.maximum(np.abs(one), np.abs(other))] = 0.0  # sums in another order are no difference
    t, t_p, effect = _t_test(each)
    statistic, wilcoxon_p, rank_effect = _signed_ranks(each)
    return Paired(
        count=len(each),
        mean=float(each.mean()),
        interval=t_interval(each, level),
        t=t,
        t_p=t_p,
        wilcoxon=statistic,
        wilcoxon_p=wilcoxon_p,
        effect=effect,
        rank_effect=rank_effect,
        wins=int((each < 0).sum()),
        losses=int((each > 0).sum()),
    )


def _t_test(each: FloatArray) -> tuple[float | None, float | None, float | None]:
    """t, its p value and Cohen's d for pairs; None without variation."""
    deviation = float(each.std(ddof=1)) if len(each) > 1 else 0.0
    if deviation <= 1e-12 * float(np.abs(each).max(initial=0.0)):
        return None, None, None
    from scipy.stats import t as student

    effect = float(each.mean()) / deviation
    t = effect * float(np.sqrt(len(each)))
    return t, 2.0 * float(student.sf(abs(t), len(each) - 1)), effect


def _signed_ranks(each: FloatArray) -> tuple[float | None, float | None, float | None]:
    """Wilcoxon's statistic (the smaller rank sum), its p value, and the rank-biserial correlation; None without differences."""
    differing = each[each != 0.0]
    if not len(differing):
        return None, None, None
    from scipy.stats import rankdata, wilcoxon

    ranks = rankdata(np.abs(differing))
    up, down = float(ranks[differing > 0].sum()), float(ranks[differing < 0].sum())
    ties = len(np.unique(np.abs(differing))) < len(differing)
    p = float(wilcoxon(differing, method="approx" if ties else "auto").pvalue)
    return min(up, down), p, (up - down) / (up + down)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P values as they count when all are looked at together; None stays None."""
    known = sorted((p, k) for k, p in enumerate(p_values) if p is not None)
    found: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, k) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        found[k] = least
    return found


def pareto(points: npt.ArrayLike) -> list[int]:
    """Indices of points that no other one beats: not worse in any figure and better in one, where lower is better.

    They are in the order of the first figure.

    Args:
        points: ``[n, figures]``. Of equal points all are kept.

    Raises:
        ValueError: not a table of numbers.
    """
    data = np.asarray(points, dtype=np.float64)
    if data.ndim != 2 or not np.isfinite(data).all():
        raise ValueError("points must be a table of finite numbers")
    beaten = [bool(((data <= row).all(axis=1) & (data < row).any(axis=1)).any()) for row in data]
    return sorted((k for k in range(len(data)) if not beaten[k]), key=lambda k: (tuple(data[k]), k))


def _data(values: npt.ArrayLike, level: float) -> FloatArray:
    """Values as a row of numbers."""
    data = np.array(values, dtype=np.float64)
    if data.ndim != 1 or not len(data) or not np.isfinite(data).all():
        raise ValueError("values must be a row of at least one finite number")
    if not 0.0 < level < 1.0:
        raise ValueError(f"a level of {level} is not between 0 and 1")
    return data
