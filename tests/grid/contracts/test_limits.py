"""Limits of contracts: the lowest one holds, whichever way it is read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.contracts.book import ContractBook
from grid.contracts.group import GroupCap, split
from grid.contracts.limitation import CapacityLimitation, LimitationKind, latest_call
from grid.contracts.limits import ContractLimit, Direction, fold, lowest_kw, over_kwh
from grid.contracts.right import TransportRight
from grid.horizon import Horizon
from grid.series import Series
from tests.factory import day_horizon, site

DAY = day_horizon(96, 15)
QUARTER_S = 900.0
LIMIT = st.builds(
    lambda way, first, length, kw: ContractLimit(
        way, DAY.start_s + first * QUARTER_S, DAY.start_s + (first + length) * QUARTER_S, kw
    ),
    st.sampled_from(list(Direction)),
    st.integers(-8, 95),
    st.integers(1, 40),
    st.sampled_from([0.0, 1.0, 2.5, 7.0]),
)


@given(st.lists(LIMIT, max_size=6), st.sampled_from(list(Direction)), st.sampled_from([15, 30, 60]))
def test_lowest_and_folded_agree_with_looking_at_every_quarter(limits: list[ContractLimit], way: Direction, minutes: int) -> None:
    """Quarter by quarter the lowest limit that holds there; of a longer slot the lowest of its quarters."""
    base = Series.constant(4.0, DAY, "kW")
    by_hand = []
    for begin in DAY.edges_s[:-1]:
        holding = [limit.limit_kw for limit in limits if limit.direction is way and limit.start_s <= begin < limit.end_s]
        by_hand.append(min([4.0, *holding]))
    assert np.array_equal(fold(base, limits, way).mean(DAY), by_hand)
    coarse = DAY.with_step(timedelta(minutes=minutes))
    worst = np.array(by_hand).reshape(coarse.slots, -1).min(axis=1)
    assert np.array_equal(np.minimum(4.0, lowest_kw(limits, way, coarse)), worst)


def right(firm_export_kw: float = 1.0) -> TransportRight:
    """10 kW in, 5 kW out, of which 2 and 1 are firm."""
    return TransportRight("ato", "hall", 10.0, 5.0, 2.0, firm_export_kw)


def limit(direction: Direction, first_h: float, last_h: float, kw: float, known: datetime | None = None) -> ContractLimit:
    """A limit by hours after the start of the day."""
    return ContractLimit(direction, DAY.start_s + 3600 * first_h, DAY.start_s + 3600 * last_h, kw, known)


def test_a_cut_leaves_the_firm_power() -> None:
    """A right with more firm than contracted power, or a cut below it, cannot be made."""
    with pytest.raises(ValueError, match="more firm power than power"):
        right(firm_export_kw=6.0)
    with pytest.raises(ValueError, match="below the firm 2 kW"):
        replace(right(), cuts=(limit(Direction.IMPORT, 1, 2, 1.0),))
    allowed = replace(right(), cuts=(limit(Direction.IMPORT, 1, 2, 2.0),)).limits(DAY)
    assert lowest_kw(allowed, Direction.IMPORT, DAY)[3:9].tolist() == [10.0, 2.0, 2.0, 2.0, 2.0, 10.0]
    assert set(lowest_kw(allowed, Direction.EXPORT, DAY)) == {5.0}


def test_the_book_counts_what_was_told_by_then() -> None:
    """A call that comes later is unknown before, known from its moment on, and everything is known to nobody in particular."""
    told = DAY.start + timedelta(hours=3)
    call = limit(Direction.IMPORT, 12, 14, 1.0, told)
    called = CapacityLimitation("clc", "hall", LimitationKind.ON_CALL, Direction.IMPORT, (call,))
    book = ContractBook((right(),), (called,))
    lowest = [
        float(lowest_kw(book.site_limits("hall", DAY, known), Direction.IMPORT, DAY).min()) for known in (DAY.start, told, None)
    ]
    assert lowest == [10.0, 1.0, 1.0]
    assert book.site_limits("vault", DAY) == ()
    hall = site(DAY, "hall").connection
    kept = book.connection("hall", hall, DAY)
    assert kept.import_limit_kw.mean(DAY).min() == 1.0
    assert kept.export_limit_kw.mean(DAY).max() == 5.0
    with pytest.raises(ValueError, match="another direction"):
        CapacityLimitation("clc", "hall", LimitationKind.ON_CALL, Direction.EXPORT, (call,))


def test_what_a_site_gave_up() -> None:
    """10 kW down to 4 for two hours are 12 kWh; where less than 4 kW was allowed anyway nothing was given up."""
    called = CapacityLimitation(
        "clc", "hall", LimitationKind.FIXED_BLOCKS, Direction.IMPORT, (limit(Direction.IMPORT, 1, 3, 4.0),)
    )
    allowed = np.full(96, 10.0)
    assert called.given_up_kwh(allowed, DAY).sum() == pytest.approx(12.0)
    allowed[4:8] = 3.0
    assert called.given_up_kwh(allowed, DAY).sum() == pytest.approx(6.0)


def test_the_latest_call_is_on_the_local_day_before() -> None:
    """For a period at 00:30 local time on 1 July it is 08:00 on 30 June, whatever the day is in UTC."""
    zone = ZoneInfo("Europe/Amsterdam")
    start = datetime(2022, 7, 1, 0, 30, tzinfo=zone).astimezone(UTC)
    assert latest_call(start, 8 * 60, zone) == datetime(2022, 6, 30, 8, tzinfo=zone)
    assert latest_call(start, 24 * 60, zone) == datetime(2022, 7, 1, tzinfo=zone)


def test_a_group_has_each_member_once() -> None:
    """A member twice would be counted twice."""
    with pytest.raises(ValueError, match="a member twice"):
        GroupCap("group", ("a", "b", "a"), 3.0)
    cap = GroupCap("group", ("a", "b"), 3.0, 1.0)
    assert {lowest_kw(cap.limits(DAY), way, DAY).max() for way in Direction} == {3.0, 1.0}
    assert np.isinf(lowest_kw(GroupCap("group", ("a", "b"), 3.0).limits(DAY), Direction.EXPORT, DAY)).all()


@given(
    powers=st.lists(st.lists(st.floats(0, 9), min_size=3, max_size=3), min_size=4, max_size=4),
    cap=st.floats(0, 12),
)
def test_shares_of_what_is_above_a_cap_sum_to_it(powers: list[list[float]], cap: float) -> None:
    """Nobody pays less than nothing, nobody pays who took nothing, and all together pay exactly what is above the cap."""
    members, horizon = np.array(powers).T, Horizon(DAY.start, timedelta(minutes=15), 4)
    above = over_kwh(np.full(4, cap), members.sum(axis=0), horizon.step_h)
    parts = split(above, members)
    assert np.allclose(parts.sum(axis=0), above, rtol=1e-9, atol=1e-12)
    assert (parts >= 0.0).all()
    assert (parts[members == 0.0] == 0.0).all()
