"""Signals on a period, with their faults refused or counted; waiting rules; the programme of a block."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import InputError
from grid.feeds.reading import Reading, regular
from scheduler.optimiser.highs import Limits, solve_integer
from sim.replay.batch import whole
from sim.replay.block_model import block_model
from sim.replay.measure import measure, weighed
from sim.replay.signal import Period, Signal, on_period
from sim.replay.waits import done_within_s, parse_wait
from tests.sim.replay.hand import HOUR, ZERO, batch, signal


def reading(values: list[float], times: list[float] | None = None) -> Reading:
    """Hourly rows from ``ZERO`` on, or at ``times`` (hours)."""
    hours = times if times is not None else list(range(len(values)))
    return regular([ZERO + HOUR * hour for hour in hours], values, "g/kWh", "made.csv", step_s=HOUR)


def cut(made: Reading, begin: float, end: float, *, repair: bool = False, past: float = 0.0, ahead: float = 0.0) -> Signal:
    """The part for jobs between two hours."""
    period = Period(ZERO + begin * HOUR, ZERO + end * HOUR, past * HOUR, ahead * HOUR)
    return on_period(made, period, option="--carbon", file="made.csv", repair=repair, positive=True)


def test_a_period_is_cut_with_its_surroundings() -> None:
    """What must be covered is; the past and what lies ahead as far as the file has it."""
    made = cut(reading([1, 2, 3, 4, 5, 6]), 2.5, 3.5, past=1.0, ahead=9.0)
    assert (made.start_s - ZERO) / HOUR == 1.0
    assert list(made.values) == [2, 3, 4, 5, 6]
    assert made.end_s == ZERO + 6 * HOUR
    assert made.repairs == {}


def test_a_period_outside_the_file_is_refused() -> None:
    """The error names both periods and what moves them."""
    with pytest.raises(
        InputError, match=r"2024-01-01T00:00Z to 2024-01-01T03:00Z; expected 2024-01-01T01:00Z to 2024-01-01T04:00Z"
    ):
        cut(reading([1, 2, 3]), 1, 4)


def test_a_gap_is_refused_or_filled_and_counted() -> None:
    """A straight line between the neighbours; a gap elsewhere does not matter to the period, but is counted."""
    made = reading([1, 2, 5, 9, 9], [0, 1, 4, 5, 7])
    with pytest.raises(InputError, match="gap at 2024-01-01T02:00Z"):
        cut(made, 1, 4)
    mended = cut(made, 1, 4, repair=True)
    assert list(mended.values) == pytest.approx([2, 3, 4])
    assert mended.repairs == {"gap": 2, "steps filled by straight lines": 2}
    assert cut(made, 4, 6).repairs == {"gap": 2}


def test_repeated_and_unsorted_rows_are_refused_or_counted() -> None:
    """The first of two rows of an hour counts."""
    made = reading([1, 2, 7, 4, 3], [0, 1, 1, 3, 2])
    with pytest.raises(InputError, match="unsorted"):
        cut(made, 0, 4)
    mended = cut(made, 0, 4, repair=True)
    assert list(mended.values) == [1, 2, 3, 4]
    assert mended.repairs == {"duplicate": 1, "unsorted": 1}


def test_an_intensity_below_zero_is_refused_even_with_repair() -> None:
    """It names value and hour."""
    with pytest.raises(InputError, match="found -3 g/kWh at 2024-01-01T01:00Z"):
        cut(reading([1, -3, 2]), 0, 3, repair=True)


@given(
    st.lists(st.floats(-50, 500), min_size=1, max_size=30), st.floats(0, 1), st.floats(0, 1), st.sampled_from([0.25, 0.5, 1.0])
)
def test_integral_does_not_depend_on_where_it_is_split(values: list[float], first: float, second: float, step: float) -> None:
    """From a to c is from a to b and from b to c."""
    made = signal(values, step_h=step)
    a, b = made.start_s, made.end_s
    middle = a + first * (b - a)
    inner = a + second * (middle - a)
    parts = made.integral(np.array([a, inner, middle, b]))
    assert parts[0] == 0.0
    assert np.diff(parts).sum() == pytest.approx(float(np.sum(values)) * step * HOUR, abs=1e-3)
    assert float(made.integral(middle) - made.integral(inner)) == pytest.approx(parts[2] - parts[1])


def test_weighing_counts_scale_and_parts_of_steps() -> None:
    """0.5 kW from 0:30 to 2:15 at 100, 200, 400 g/kWh: 0.5 x (50 + 200 + 100) g."""
    made = batch([(0.5, 1.75, 0.0)], [100, 200, 400])
    totals = weighed(whole(made, made.arrival_s), np.array([0.5]), made.carbon)
    assert totals.energy_kwh == pytest.approx(0.875)
    assert totals.weighed == pytest.approx(175.0)


def test_figures_of_cost_and_waiting() -> None:
    """1 kW for an hour, one hour late with an hour allowed less: price per MWh, mean wait, one missed deadline."""
    made = batch([(0.0, 1.0, 1.0), (0.0, 1.0, 2.0)], [10, 10, 10, 10], price=[40, 80, 20, 20])
    figures = measure(made, whole(made, made.arrival_s + np.array([2.0, 1.0]) * HOUR), np.ones(2))
    assert figures.cost == pytest.approx(0.1)
    assert figures.cost_relative == pytest.approx(100 / 80)
    assert figures.mean_wait_h == pytest.approx(1.5)
    assert figures.deadline_misses == 1
    assert figures.cost_bound_contiguous == pytest.approx((40 + 20) / 80)
    assert figures.bound_contiguous == figures.carbon_relative == pytest.approx(1.0)


def test_a_ratio_to_nothing_is_none() -> None:
    """No emission, and a negative cost, of running at once are no base for a ratio."""
    made = batch([(0.0, 1.0, 1.0)], [0, 0, 0], price=[-5, 1, 1])
    figures = measure(made, whole(made, made.arrival_s), np.ones(1))
    assert figures.carbon_relative is None
    assert figures.bound_contiguous is None
    assert figures.cost_relative is None
    assert figures.cost == pytest.approx(-0.005)


def test_waits_by_class() -> None:
    """At most two hours is short; the mean lengths are those of each class."""
    rule = parse_wait("6:24@2")
    lengths = np.array([1.0, 2.0, 3.0, 5.0]) * HOUR
    assert list(rule.waits_s(lengths) / HOUR) == [6, 6, 24, 24]
    assert list(rule.mean_lengths_s(lengths) / HOUR) == [1.5, 1.5, 4, 4]
    assert list(parse_wait("3").waits_s(lengths) / HOUR) == [3, 3, 3, 3]
    assert list(done_within_s(lengths, 4.0) / HOUR) == [3, 2, 1, 0]


@pytest.mark.parametrize("text", ["", "6:24", "6@2", "a:b@c", "-1", "6:24@nan", "inf", "6:24@2@3"])
def test_a_wrong_rule_is_told(text: str) -> None:
    """The form is in the message."""
    with pytest.raises(InputError, match="SHORT:LONG@LIMIT"):
        parse_wait(text)


ways = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3), st.integers(0, 20)), min_size=1, max_size=3)


@given(st.lists(ways, min_size=1, max_size=4), st.lists(st.integers(0, 3), min_size=8, max_size=8), st.integers(1, 2))
def test_block_is_the_best_of_all_choices(made: list[list[tuple[int, int, int]]], room: list[int], width: int) -> None:
    """Against trying every combination, where being left out costs ten times the dearest way."""
    flat = [(job, *way) for job, choices in enumerate(made) for way in choices]
    row, first, span, cost = (np.array(column, dtype=np.int64) for column in zip(*flat, strict=True))
    widths = np.full(len(made), float(width))
    model = block_model(row, cost.astype(np.float64), first, first + span, widths, np.array(room, dtype=np.float64))
    answer = solve_integer(model, Limits(10.0))
    far = 10.0 * max(float(cost.max()), 1.0)
    best = np.inf
    for choice in itertools.product(*[[None, *choices] for choices in made]):
        use = np.zeros(8)
        for way in choice:
            if way is not None:
                use[way[0] : way[0] + way[1]] += width
        if (use <= room).all():
            best = min(best, sum(far if way is None else way[2] for way in choice))
    assert answer.objective == pytest.approx(best)
