"""Forecasts as quantiles: levels are met exactly, a normal forecast is kept, values rise with the level."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import SeriesError
from grid.quantile_series import FURTHEST, QuantileSeries, error_lasts_h, possible_peak
from grid.series import Series

EDGES = np.array([0.0, 3600.0, 7200.0, 10800.0])
LEVELS = [0.05, 0.3, 0.5, 0.9]


def normal(sigma: float) -> QuantileSeries:
    """Quantiles of normal forecasts of means 1, 2 and 4 with a relative deviation."""
    scores = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    return QuantileSeries.of(EDGES, LEVELS, np.outer(1 + sigma * scores, [1.0, 2.0, 4.0]), "kW", "test")


@given(st.floats(-4, 4), st.floats(0, 2))
def test_a_normal_forecast_is_kept_at_every_score(score: float, sigma: float) -> None:
    """Between the levels and beyond them: mean times one plus sigma times score."""
    assert normal(sigma).at_score(score) == pytest.approx(np.array([1.0, 2.0, 4.0]) * (1 + sigma * score), abs=1e-9)


@given(
    st.lists(st.lists(st.floats(-100, 100), min_size=4, max_size=4), min_size=3, max_size=3),
    st.floats(-5, 5),
    st.floats(-5, 5),
)
def test_values_meet_the_levels_and_never_fall(columns: list[list[float]], one: float, other: float) -> None:
    """At a level's score the value is the level's; a higher score never gives less; each step reads its own score."""
    table = np.sort(np.array(columns).T, axis=0)
    forecast = QuantileSeries.of(EDGES, LEVELS, table, "kW")
    for k, level in enumerate(LEVELS):
        assert forecast.at_score(NormalDist().inv_cdf(level)) == pytest.approx(table[k], abs=1e-9)
    low, high = sorted((one, other))
    assert (forecast.at_score(low) <= forecast.at_score(high) + 1e-9).all()
    mixed = forecast.at_score(np.array([low, high, low]))
    assert mixed == pytest.approx(np.where([False, True, False], forecast.at_score(high), forecast.at_score(low)))
    assert forecast.at_score(np.array([[high], [low]]), np.array([1]))[:, 0] == pytest.approx(
        [forecast.at_score(high)[1], forecast.at_score(low)[1]]
    )


def test_the_values_are_the_median_and_scale_with_the_table() -> None:
    """As a plain series it is its median; times a thousand all quantiles are; its peak is that of the highest level."""
    forecast = normal(0.1)
    assert forecast.values == pytest.approx([1.0, 2.0, 4.0])
    watts = forecast.scaled(1000.0, "W")
    assert isinstance(watts, QuantileSeries)
    assert watts.table == pytest.approx(1000.0 * forecast.table)
    assert possible_peak(forecast, np.array([0, 1])) == pytest.approx(forecast.table[-1, 1])
    assert possible_peak(Series(EDGES, np.array([-1.0, -2.0, -3.0]), "kW"), np.array([0, 1])) == 0.0


@pytest.mark.parametrize(
    ("levels", "rows", "says"),
    [
        ([0.5, 0.9], 2, "at least three"),
        ([0.1, 0.4, 0.9], 3, "no single row of level 0.5"),
        ([0.5, 0.6, 0.9], 3, "a level below and one above"),
        ([0.1, 0.5, 1.0], 3, "between 0 and 1"),
        ([0.1, 0.5, 0.9], 2, "no single row"),
    ],
)
def test_tables_that_are_no_forecast(levels: list[float], rows: int, says: str) -> None:
    """Too few levels, no median, nothing on one side, a certain level, another number of rows."""
    with pytest.raises(SeriesError, match=says):
        QuantileSeries.of(EDGES, levels, np.zeros((rows, 3)), "kW")


def test_quantiles_that_fall_or_are_missing_are_refused() -> None:
    """The step where a higher level is lower is named; NaN is no quantile."""
    table = np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [3.0, 1.5, 3.0]])
    with pytest.raises(SeriesError, match="step 2 fall"):
        QuantileSeries.of(EDGES, [0.1, 0.5, 0.9], table, "kW")
    table[2, 1] = np.nan
    with pytest.raises(SeriesError, match="numbers"):
        QuantileSeries.of(EDGES, [0.1, 0.5, 0.9], table, "kW")


@given(st.floats(-4, 4), st.floats(0.05, 2))
def test_a_value_tells_its_score(score: float, sigma: float) -> None:
    """The score of a value is the one at which the forecast has it, in every step."""
    forecast = normal(sigma)
    values = forecast.at_score(score)
    assert [forecast.score_of(float(value), step) for step, value in enumerate(values)] == pytest.approx([score] * 3, abs=1e-6)


def test_a_value_that_several_levels_share_has_the_middle_of_their_scores() -> None:
    """Nothing up to the median: a dark step is between the scores of its two lowest levels; what no line reaches is outermost."""
    forecast = QuantileSeries.of(EDGES[:2], LEVELS, [[0.0], [0.0], [0.0], [2.0]], "kW")
    assert forecast.score_of(0.0, 0) == pytest.approx(forecast.scores[0] / 2)
    assert forecast.score_of(1.0, 0) == pytest.approx(forecast.scores[3] / 2)
    assert forecast.score_of(-1.0, 0) == forecast.scores[0]
    assert forecast.score_of(1e9, 0) == FURTHEST


def test_how_long_errors_last() -> None:
    """A forecast's own time constant counts, scaled or not; without one it is the scenario's; one below 0 is none."""
    own = QuantileSeries.of(EDGES, LEVELS, normal(0.2).table, "kW", "test", 6.5)
    assert error_lasts_h(own, 3.0) == error_lasts_h(own.scaled(2.0), 3.0) == 6.5
    assert error_lasts_h(normal(0.2), 3.0) == error_lasts_h(Series(EDGES, np.ones(3), "kW"), 3.0) == 3.0
    with pytest.raises(SeriesError, match="last -1"):
        QuantileSeries.of(EDGES, LEVELS, normal(0.2).table, "kW", "test", -1.0)
