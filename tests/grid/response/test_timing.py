"""Durations, instants, and how intervals lie on the time axis."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.response.timing import FAR, Duration, Interval, lay_out, loop_or_cut, parse_duration, parse_instant

NOON = datetime(2022, 6, 1, 12, tzinfo=UTC)
HOUR = Duration(rest=timedelta(hours=1))
NONE = timedelta(0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT15M", timedelta(minutes=15)),
        ("P1D", timedelta(days=1)),
        ("P2W", timedelta(weeks=2)),
        ("P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("PT0S", timedelta(0)),
    ],
)
def test_durations_of_fixed_length(text: str, expected: timedelta) -> None:
    """Weeks, days, hours, minutes and seconds have a fixed length."""
    assert parse_duration(text) == Duration(rest=expected)


@pytest.mark.parametrize(
    ("start", "text", "end"),
    [
        ("2022-01-31", "P1M", "2022-02-28"),  # the last day when the month is shorter
        ("2024-01-31", "P1M", "2024-02-29"),
        ("2022-11-15", "P2M", "2023-01-15"),
        ("2022-12-31", "P1M1D", "2023-02-01"),
        ("2020-02-29", "P1Y", "2021-02-28"),
    ],
)
def test_months_follow_the_calendar(start: str, text: str, end: str) -> None:
    """Years and months are added on the calendar, never as a number of days."""
    first = datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert parse_duration(text).after(first) == datetime.fromisoformat(end).replace(tzinfo=UTC)


def test_p9999y_has_no_end() -> None:
    """P9999Y means infinity."""
    assert parse_duration("P9999Y").after(NOON) == FAR
    assert parse_duration("P9998Y").after(NOON) == FAR  # beyond what a calendar holds


@pytest.mark.parametrize("text", ["", "P", "PT", "1H", "-PT1H", "PT1", "P1H", "P1DT", "PT1H ", "PT" + "1" * 70 + "S"])
def test_what_is_no_duration(text: str) -> None:
    """Empty, incomplete, negative, padded or endless texts are refused."""
    with pytest.raises(ValueError):
        parse_duration(text)


def test_instants() -> None:
    """RFC 3339 with zone is turned into UTC, year 1 means now, a naive time is refused."""
    assert parse_instant("2022-06-01T14:00:00+02:00", FAR) == NOON
    for now in ("0001-01-01", "0001-01-01T00:00:00", "0001-01-01T00:00:00Z"):
        assert parse_instant(now, NOON) == NOON
    for wrong in ("2022-06-01T14:00:00", "noon", "2022-06-31T00:00:00Z"):
        with pytest.raises(ValueError):
            parse_instant(wrong, NOON)


def interval(label: str, *values: float, start: datetime | None = None, hours: float = 1.0) -> Interval:
    """An interval of some hours."""
    return Interval(label, start, Duration(rest=timedelta(hours=hours)), NONE, values)


def test_intervals_follow_each_other_and_an_own_start_wins() -> None:
    """Without a start an interval begins where the one before ended; one with a start begins there."""
    spans, begin, last = lay_out(
        [interval("0", 5), interval("1", 6, start=NOON + timedelta(hours=4)), interval("2", 7)], NOON, NONE
    )
    assert [(span.start - NOON) / timedelta(hours=1) for span in spans] == [0, 4, 5]
    assert (begin, last) == (NOON, NOON + timedelta(hours=6))


def test_packed_values_cut_the_interval_into_equal_parts() -> None:
    """Four values in an hour hold for 15 minutes each."""
    spans, _, _ = lay_out([interval("0", 1, 2, 3, 4)], NOON, NONE)
    assert [(span.label, span.value) for span in spans] == [("0.0", 1), ("0.1", 2), ("0.2", 3), ("0.3", 4)]
    assert {span.end - span.start for span in spans} == {timedelta(minutes=15)}


def test_a_shift_is_carried_to_the_rest() -> None:
    """A random shift of the start moves every interval by the same."""
    spans, _, _ = lay_out([interval("0", 1), interval("1", 2, start=NOON + timedelta(hours=1))], NOON, timedelta(minutes=7))
    assert [span.start - NOON for span in spans] == [timedelta(minutes=7), timedelta(minutes=67)]


@given(
    st.lists(st.lists(st.floats(0, 100), min_size=1, max_size=4), min_size=1, max_size=5),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_a_loop_covers_exactly_the_duration(values: list[list[float]], hours: int, horizon_hours: int) -> None:
    """Whatever is looped or cut: spans are in order, touch, repeat the list, and end at the duration or the horizon."""
    spans, begin, last = lay_out([interval(str(i), *each) for i, each in enumerate(values)], NOON, NONE)
    until, end = NOON + timedelta(hours=hours), NOON + timedelta(hours=horizon_hours)
    looped = loop_or_cut(spans, begin, last, until, end)
    assert looped[0].start == NOON
    assert looped[-1].end == min(until, end)
    assert all(a.end == b.start for a, b in itertools.pairwise(looped))
    assert all(span.value == spans[i % len(spans)].value for i, span in enumerate(looped))


def test_an_endless_loop_is_bounded() -> None:
    """Minutes repeated for a thousand years are refused instead of filling the memory."""
    spans, begin, last = lay_out([interval("0", 1, hours=1 / 60)], NOON, NONE)
    with pytest.raises(ValueError, match="more than"):
        loop_or_cut(spans, begin, last, FAR, FAR)
