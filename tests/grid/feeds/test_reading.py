"""What a reader found: faults named, nothing repaired in silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import FeedError
from grid.feeds.reading import Fault, FaultKind, Reading, regular
from grid.horizon import Horizon

HOUR = 3600.0


def kinds(reading: Reading) -> list[FaultKind]:
    """Kinds of the faults, in order."""
    return [fault.kind for fault in reading.faults]


def test_clean_rows_become_a_series_as_they_are() -> None:
    """Regular rows have no fault and give a series of half-open steps with the same values."""
    reading = regular([0, HOUR, 2 * HOUR], [1.0, 2.0, 3.0], "kW", "clean")
    series = reading.series()
    assert reading.faults == ()
    assert series.edges_s.tolist() == [0, HOUR, 2 * HOUR, 3 * HOUR]
    assert series.values.tolist() == [1.0, 2.0, 3.0]


def test_gap_is_a_fault_and_stays_empty() -> None:
    """Two missing steps are one fault of two rows, told with the line of the row after the gap."""
    reading = regular([0, HOUR, 4 * HOUR], [1.0, 2.0, 5.0], "kW", "gap", lines=[2, 3, 4])
    assert reading.faults == (Fault(FaultKind.GAP, "1970-01-01T02:00Z", 2, 4),)
    assert reading.missing == 2
    with pytest.raises(FeedError, match=r"line 4: gap at 1970-01-01T02:00Z \(2 rows\)"):
        reading.series()


def test_interpolation_fills_by_straight_lines_and_says_so() -> None:
    """The filled values lie on the line between the neighbours and the source tells how many they are."""
    series = regular([0, HOUR, 4 * HOUR], [1.0, 2.0, 5.0], "kW", "gap").series("interpolate")
    assert series.values.tolist() == pytest.approx([1.0, 2.0, 3.0, 4.0, 5.0])
    assert "2 of 5 steps filled" in series.source


def test_duplicate_unsorted_not_a_number_and_off_grid_are_told_apart() -> None:
    """Each kind of fault has its own name and its own line; of duplicates the first row counts."""
    times = [0, 2 * HOUR, HOUR, HOUR, 3 * HOUR, 3.5 * HOUR, 4 * HOUR]
    reading = regular(times, [0.0, 2.0, 1.0, 9.0, np.nan, 7.0, 4.0], "kW", "odd", step_s=HOUR, lines=[2, 3, 4, 5, 6, 7, 8])
    assert kinds(reading) == [FaultKind.UNSORTED, FaultKind.DUPLICATE, FaultKind.NOT_A_NUMBER, FaultKind.OFF_GRID]
    assert [fault.line for fault in reading.faults] == [4, 5, 6, 7]
    assert reading.values[:3].tolist() == [0.0, 1.0, 2.0]
    assert np.isnan(reading.values[3])


def test_infinity_is_not_a_number() -> None:
    """An infinite value is a fault like an empty one."""
    assert kinds(regular([0, HOUR], [np.inf, 1.0], "kW", "inf")) == [FaultKind.NOT_A_NUMBER]


def test_a_single_time_is_no_series() -> None:
    """One row, or the same time twice, has no step; that is an error and no guess."""
    with pytest.raises(FeedError, match="1 different times"):
        regular([0, 0], [1.0, 2.0], "kW", "one")


def test_nothing_but_faults_cannot_be_repaired() -> None:
    """Without a single value there is nothing to draw lines between."""
    with pytest.raises(FeedError, match="not a single value"):
        regular([0, HOUR], [np.nan, np.nan], "kW", "empty").series("interpolate")


def test_within_forgets_faults_elsewhere() -> None:
    """A gap in the morning says nothing against the evening, but the horizon has to be covered."""
    reading = regular([0, 3 * HOUR, 4 * HOUR, 5 * HOUR], [0.0, 3.0, 4.0, 5.0], "kW", "part", step_s=HOUR)
    evening = Horizon(datetime(1970, 1, 1, 3, tzinfo=UTC), timedelta(minutes=30), 4)
    assert reading.within(evening).series().mean(evening).tolist() == [3.0, 3.0, 4.0, 4.0]
    morning = Horizon(datetime(1970, 1, 1, tzinfo=UTC), timedelta(hours=1), 2)
    with pytest.raises(FeedError, match="gap"):
        reading.within(morning).series()
    with pytest.raises(FeedError, match="covers"):
        reading.within(Horizon(datetime(1970, 1, 2, tzinfo=UTC), timedelta(hours=1), 2))


@given(st.lists(st.integers(0, 40), min_size=2, max_size=30), st.randoms(use_true_random=False))
def test_every_row_is_a_value_or_a_fault(positions: list[int], shuffler: object) -> None:
    """Whatever the order, each row ends as a value on its step or as a duplicate, and steps without a row stay empty."""
    if len(set(positions)) < 2:
        return
    reading = regular([p * HOUR for p in positions], [float(p) for p in positions], "kW", "any", step_s=HOUR)
    first = min(positions)
    known = np.flatnonzero(~np.isnan(reading.values))
    assert [int(i) + first for i in known] == sorted(set(positions))
    assert [reading.values[i] for i in known] == sorted({float(p) for p in positions})
    assert kinds(reading).count(FaultKind.DUPLICATE) == len(positions) - len(set(positions))
    gaps = sum(fault.rows for fault in reading.faults if fault.kind is FaultKind.GAP)
    assert gaps == reading.missing


@given(
    st.lists(st.floats(-500, 500), min_size=8, max_size=8),
    st.sampled_from([5, 10, 15, 30, 60, 120]),
)
def test_resampling_keeps_the_energy(values: list[float], minutes: int) -> None:
    """Read with any step, a series holds the same energy."""
    series = regular([i * HOUR for i in range(8)], values, "kW", "energy").series()
    horizon = Horizon(datetime(1970, 1, 1, tzinfo=UTC), timedelta(minutes=minutes), 8 * 60 // minutes)
    assert series.mean(horizon).sum() * horizon.step_h == pytest.approx(sum(values), abs=1e-6)
