"""Scores, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.forecasts.scores import crps_of_quantiles, pinball, score


def test_scores_of_points_by_hand() -> None:
    """Errors of 1, -3 and 2 on a mean of 10; a missing pair is left out."""
    found = score(np.array([9.0, 13.0, 8.0, np.nan]), np.array([10.0, 10.0, 10.0, 5.0]))
    assert found.pairs == 3
    assert found.mae == pytest.approx(2.0)
    assert found.rmse == pytest.approx(np.sqrt(14 / 3))
    assert found.bias == pytest.approx(0.0)
    assert found.mae_pct == pytest.approx(20.0)
    assert (found.pinball, found.crps, found.cover_80) == (None, None, None)


def test_pinball_by_hand() -> None:
    """The 0.9 quantile 2 too low costs 0.9 * 2; 2 too high costs 0.1 * 2."""
    losses = pinball(np.array([12.0, 8.0]), np.array([[10.0], [10.0]]), (0.9,))
    assert losses.ravel().tolist() == pytest.approx([1.8, 0.2])


def test_crps_by_hand() -> None:
    """One value is its distance; two equal halves at 0 and 2 against 1: 1 less half the mean distance of 1."""
    assert crps_of_quantiles(np.array([3.0]), np.array([[5.0]]), (0.5,)) == pytest.approx([2.0])
    assert crps_of_quantiles(np.array([1.0]), np.array([[0.0, 2.0]]), (0.25, 0.75)) == pytest.approx([0.5])


def test_cover() -> None:
    """Two of four lie between the 0.1 and the 0.9 quantile."""
    said = np.tile([1.0, 2.0], (4, 1))
    found = score(np.array([0.0, 1.0, 2.0, 3.0]), np.full(4, 1.5), said, (0.1, 0.9))
    assert found.cover_80 == pytest.approx(0.5)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=9), st.floats(-60, 60))
def test_crps_is_proper_in_small_ways(values: list[float], truth: float) -> None:
    """Never below nothing, never above the mean distance; nothing for certainty that comes true."""
    levels = tuple((i + 0.5) / len(values) for i in range(len(values)))
    said = np.sort(np.array(values))[None, :]
    found = float(crps_of_quantiles(np.array([truth]), said, levels)[0])
    assert -1e-9 <= found <= float(np.abs(said - truth).mean()) + 1e-9
    assert crps_of_quantiles(np.array([truth]), np.full((1, 3), truth), (0.2, 0.5, 0.8)) == pytest.approx([0.0])


@pytest.mark.parametrize(
    ("quantiles", "levels"), [(np.zeros((2, 2)), (0.9, 0.1)), (np.zeros((2, 1)), (0.1, 0.9)), (np.zeros((2, 1)), (1.0,))]
)
def test_levels_that_do_not_fit(quantiles: np.ndarray, levels: tuple[float, ...]) -> None:
    """Levels must ascend in (0, 1), one a column."""
    with pytest.raises(ValueError, match="levels"):
        score(np.zeros(2), np.zeros(2), quantiles, levels)


def test_no_pair() -> None:
    """Nothing to score is an error and not a score of nothing."""
    with pytest.raises(ValueError, match="no pair"):
        score(np.array([np.nan]), np.array([1.0]))
