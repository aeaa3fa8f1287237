"""Statistics against examples worked by hand, and what holds for all values."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.experiments.stats import bootstrap_interval, holm, paired, pareto, summarise, t_interval

numbers = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


def test_summary_by_hand() -> None:
    """2, 4, 4, 5, 10: mean 5, median 4, squares of the deviations 9+1+1+0+25 = 36, so a deviation of 3; quartiles 4 and 5."""
    found = summarise([2, 4, 4, 5, 10])
    assert (found.count, found.mean, found.median, found.deviation) == (5, 5.0, 4.0, 3.0)
    assert (found.least, found.most) == (2.0, 10.0)
    assert found.quantiles == pytest.approx((2.4, 4.0, 5.0, 9.0))  # 5 %: 2 + 0.2 * 2; 95 %: 5 + 0.8 * 5


def test_t_interval_by_hand() -> None:
    """Same values: t of 4 degrees of freedom at 97.5 % is 2.776445, times 3 over the root of 5."""
    found = t_interval([2, 4, 4, 5, 10])
    assert found.half_width == pytest.approx(2.776445 * 3 / np.sqrt(5), rel=1e-6)
    assert (found.low + found.high) / 2 == pytest.approx(5.0)
    assert t_interval([2, 4, 4, 5, 10], 0.9).half_width == pytest.approx(2.131847 * 3 / np.sqrt(5), rel=1e-6)
    assert t_interval([7.0]).half_width == float("inf")


def test_bootstrap_of_two_values_by_hand() -> None:
    """Means of two draws from 0 and 1 are 0, 0.5 and 1 with weights 1/4, 1/2, 1/4: the 95 % interval is all of 0 to 1."""
    found = bootstrap_interval([0.0, 1.0])
    assert (found.low, found.high, found.method) == (0.0, 1.0, "bootstrap")
    half = bootstrap_interval([0.0, 1.0], level=0.4)  # from 30 % to 70 %: the middle half
    assert (half.low, half.high) == (0.5, 0.5)


def test_bootstrap_agrees_with_t_on_many_normal_values() -> None:
    """For 400 normal values both intervals of the mean are 1.96 standard errors wide on each side, within a tenth."""
    values = np.random.default_rng(1).normal(10.0, 2.0, 400)
    error = 1.96 * float(values.std(ddof=1)) / 20.0
    assert t_interval(values).half_width == pytest.approx(error, rel=0.01)
    assert bootstrap_interval(values).half_width == pytest.approx(error, rel=0.1)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=2)


def test_t_interval_covers_what_it_promises() -> None:
    """Of 2,000 samples of five normal values about 95 % of the intervals hold the true mean (three standard errors: 1.5 %)."""
    draws = np.random.default_rng(7).normal(3.0, 1.0, (2000, 5))
    inside = [found.low <= 3.0 <= found.high for found in map(t_interval, draws)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_paired_by_hand() -> None:
    """Differences -1, -2, -3, 2 (mean -1).

    Deviations 0, -1, -2, 3: variance 14/3, deviation 2.1602; t = -1 / (2.1602 / 2) = -0.92582. Ranks of the sizes 1, 2.5, 4, 2.5:
    the positive sum is 2.5, the negative 7.5, so W is 2.5 and the rank effect (2.5 - 7.5) / 10.
    """
    found = paired([9, 8, 7, 12], [10, 10, 10, 10])
    assert (found.count, found.mean, found.wins, found.losses) == (4, -1.0, 3, 1)
    assert found.t == pytest.approx(-0.925820, rel=1e-5)
    assert found.effect == pytest.approx(-1 / np.sqrt(14 / 3))
    # Student with 3 degrees of freedom: F(t) = 1/2 + (t / (sqrt 3 (1 + t^2/3)) + arctan(t / sqrt 3)) / pi
    t = 0.9258200997725514
    tail = 0.5 - (t / (np.sqrt(3) * (1 + t**2 / 3)) + np.arctan(t / np.sqrt(3))) / np.pi
    assert found.t_p == pytest.approx(2 * tail, rel=1e-9)
    assert (found.wilcoxon, found.rank_effect) == (2.5, -0.5)


def test_signed_ranks_are_exact_without_ties() -> None:
    """All five of one sign: of the 32 patterns of signs two are as extreme, so p is 2/32; with one small rank against: 4/32."""
    assert paired([1, 2, 3, 4, 5], [0] * 5).wilcoxon_p == pytest.approx(2 / 32)
    found = paired([-1, 2, 3, 4, 5], [0] * 5)
    assert found.wilcoxon == 1.0
    assert found.wilcoxon_p == pytest.approx(4 / 32)
    assert found.rank_effect == pytest.approx((14 - 1) / 15)


def test_what_does_not_vary_has_no_test() -> None:
    """Equal series have neither test; a constant difference has no t, but ranks all the same; one pair proves nothing."""
    same = paired([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (same.mean, same.t, same.t_p, same.wilcoxon, same.effect, same.rank_effect) == (0.0, None, None, None, None, None)
    constant = paired([2.0, 3.0, 4.0], [1.0, 2.0, 3.0])
    assert (constant.mean, constant.t, constant.rank_effect) == (1.0, None, 1.0)
    assert paired([2.0], [1.0]).interval.half_width == float("inf")
    rounding = paired([0.1 + 0.2, 1.0], [0.3, 1.0])
    assert (rounding.wins, rounding.losses, rounding.wilcoxon) == (0, 0, None)


def test_holm_by_hand() -> None:
    """0.01, 0.04, 0.03: times 3, then 2, then 1, never falling: 0.03, 0.06, 0.06; what is unknown stays so and does not count."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([None, 0.6, 0.7]) == [None, 1.0, 1.0]
    assert holm([]) == []


def test_front_by_hand() -> None:
    """(1,5) and (3,2) are kept, (3,3) is beaten by (3,2), (2,6) by (1,5); two equal points are both kept."""
    assert pareto([[3, 2], [2, 6], [1, 5], [3, 3], [1, 5]]) == [2, 4, 0]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=15))
def test_front_is_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    """Along the front the first figure rises and the second falls; every other point is beaten by one on the front."""
    kept = pareto(points)
    front = [points[k] for k in kept]
    assert front == sorted(front)
    assert [carbon for _, carbon in front] == sorted((carbon for _, carbon in front), reverse=True)
    for k, (cost, carbon) in enumerate(points):
        beaten = any(a <= cost and b <= carbon and (a, b) != (cost, carbon) for a, b in front)
        assert beaten != (k in kept)


@given(numbers)
def test_order_of_figures(values: list[float]) -> None:
    """Least, quantiles and most are in order, and both intervals hold what they are about."""
    found = summarise(values)
    q05, q25, q75, q95 = found.quantiles
    row = [found.least, q05, q25, found.median, q75, q95, found.most]
    assert all(a <= b + 1e-6 for a, b in pairwise(row))
    assert found.interval.low - 1e-6 <= found.mean <= found.interval.high + 1e-6
    assert found.least - 1e-6 <= found.median_interval.low <= found.median_interval.high <= found.most + 1e-6


@given(numbers, st.floats(-100, 100))
def test_swapping_turns_the_sign(values: list[float], shift: float) -> None:
    """The second beside the first is the first beside the second with other signs and the same p values."""
    other = [value * 0.5 + shift for value in values]
    one, two = paired(values, other), paired(other, values)
    assert one.mean == pytest.approx(-two.mean, abs=1e-6)
    assert (one.wins, one.losses) == (two.losses, two.wins)
    assert one.t_p == (None if two.t_p is None else pytest.approx(two.t_p, rel=1e-6, abs=1e-12))
    assert one.wilcoxon_p == (None if two.wilcoxon_p is None else pytest.approx(two.wilcoxon_p))
    if one.rank_effect is not None and two.rank_effect is not None:
        assert one.rank_effect == pytest.approx(-two.rank_effect)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=10))
def test_holm_never_lowers(p_values: list[float | None]) -> None:
    """Raised p values are at least the given ones, at most 1, and keep their order."""
    found = holm(p_values)
    pairs = [(p, raised) for p, raised in zip(p_values, found, strict=True) if p is not None and raised is not None]
    assert len(pairs) == sum(p is not None for p in p_values)
    assert all(p <= raised <= 1 for p, raised in pairs)
    assert [raised for _, raised in sorted(pairs)] == sorted(raised for _, raised in pairs)


@pytest.mark.parametrize(
    "wrong", [lambda: t_interval([]), lambda: t_interval([1, 2], 1.5), lambda: summarise([1, float("nan")]),
              lambda: paired([1, 2], [1]), lambda: pareto([1, 2]), lambda: bootstrap_interval([[1], [2]])],
)  # fmt: skip
def test_values_that_are_none_are_refused(wrong: Callable[[], object]) -> None:
    """No values, no numbers, no pairs, no table, no level: an error, not a figure."""
    with pytest.raises(ValueError, match=r"values|level|points"):
        wrong()
