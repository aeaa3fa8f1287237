"""Windows of the day: their spans on days with and without clock change, and whether two of them overlap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.contracts.windows import DailyWindow, Days, first_overlap

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def local(span: tuple[float, float]) -> tuple[str, str]:
    """A span on the clock on the wall."""
    begin, end = (datetime.fromtimestamp(moment, UTC).astimezone(AMSTERDAM) for moment in span)
    return f"{begin:%a %d %H:%M}", f"{end:%a %d %H:%M}"


def test_an_evening_over_midnight_on_working_days() -> None:
    """From Friday to Monday: Thursday's and Friday's evenings run over midnight, then Monday's begins."""
    start, end = datetime(2023, 6, 16, tzinfo=AMSTERDAM), datetime(2023, 6, 19, 23, tzinfo=AMSTERDAM)
    spans = DailyWindow(22 * 60, 2 * 60, Days.WORKING_DAYS).spans(start, end, AMSTERDAM)
    assert [local(span) for span in spans] == [
        ("Thu 15 22:00", "Fri 16 02:00"),
        ("Fri 16 22:00", "Sat 17 02:00"),
        ("Mon 19 22:00", "Tue 20 02:00"),
    ]
    weekend = DailyWindow(0, 24 * 60, Days.WEEKEND).spans(start, end, AMSTERDAM)
    assert [local(span) for span in weekend] == [("Sat 17 00:00", "Sun 18 00:00"), ("Sun 18 00:00", "Mon 19 00:00")]


@pytest.mark.parametrize(("day", "hours"), [(25, 3.0), (26, 2.0), (27, 3.0)])
def test_a_night_with_a_clock_change_is_as_long_as_it_is(day: int, hours: float) -> None:
    """From 01:00 to 04:00 are two hours on the morning when the clock goes forward."""
    start = datetime(2023, 3, day, tzinfo=AMSTERDAM)
    spans = DailyWindow(60, 4 * 60).spans(start, start + timedelta(hours=12), AMSTERDAM)
    inside = [end - begin for begin, end in spans if begin >= start.timestamp()]
    assert inside == [hours * 3600.0]


QUARTER = st.integers(0, 95).map(lambda number: 15 * number)
WINDOW = st.builds(DailyWindow, QUARTER, QUARTER, st.sampled_from(list(Days)))


@given(st.lists(WINDOW, max_size=4))
def test_overlap_is_what_spans_of_a_week_say(windows: list[DailyWindow]) -> None:
    """Two windows overlap exactly when a span of one meets a span of the other in some week without clock change."""
    start, end = datetime(2023, 6, 5, tzinfo=AMSTERDAM), datetime(2023, 6, 19, tzinfo=AMSTERDAM)
    spans = [window.spans(start, end, AMSTERDAM) for window in windows]

    def meet(a: int, b: int) -> bool:
        return any(x < v and u < y for x, y in spans[a] for u, v in spans[b])

    pairs = [(a, b) for b in range(len(windows)) for a in range(b) if meet(a, b)]
    found = first_overlap(windows)
    assert (found is None) == (not pairs)
    if found is not None:
        assert found in pairs
        assert found[1] == min(b for _, b in pairs)
