"""Numbers of settlement periods: 96 a day, 92 and 100 when the clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.contracts.isp import ISP, Isp, isp_at, isp_start, isps_of

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
SPRING, SUMMER, AUTUMN = date(2023, 3, 26), date(2023, 6, 20), date(2023, 10, 29)


@pytest.mark.parametrize(("day", "count"), [(SPRING, 92), (SUMMER, 96), (AUTUMN, 100)])
def test_a_day_has_as_many_as_its_clock_makes_of_it(day: date, count: int) -> None:
    """The last period of the day ends at the next local midnight, and no further one exists."""
    assert isps_of(day, AMSTERDAM) == count
    end = isp_start(Isp(day, count), AMSTERDAM) + ISP
    assert end.astimezone(AMSTERDAM).replace(tzinfo=None) == datetime.combine(day + timedelta(days=1), datetime.min.time())
    with pytest.raises(ValueError, match=f"1 to {count}"):
        isp_start(Isp(day, count + 2), AMSTERDAM)


def test_numbers_count_elapsed_quarters_not_the_clock() -> None:
    """03:00 is number 13 on most days, 9 when the clock skips an hour before it, 17 when it shows one twice."""
    for day, number in ((SUMMER, 13), (SPRING, 9), (AUTUMN, 17)):
        moment = datetime.combine(day, datetime.min.time().replace(hour=3), AMSTERDAM)
        assert isp_at(moment, AMSTERDAM) == Isp(day, number)
    assert str(Isp(SUMMER, 13)) == "ISP 13 of 2023-06-20"


@given(
    quarters=st.integers(0, 3 * 366 * 96),
    seconds=st.integers(0, 899),
    zone=st.sampled_from(["Europe/Amsterdam", "UTC", "Asia/Kolkata"]),
)
def test_there_and_back(quarters: int, seconds: int, zone: str) -> None:
    """The period of any instant begins at or before it and less than a quarter of an hour earlier; numbers fit into the day."""
    clock = ZoneInfo(zone)
    moment = datetime(2022, 1, 1, tzinfo=UTC) + quarters * ISP + timedelta(seconds=seconds)
    isp = isp_at(moment, clock)
    assert 1 <= isp.number <= isps_of(isp.day, clock)
    assert timedelta(0) <= moment - isp_start(isp, clock) < ISP
