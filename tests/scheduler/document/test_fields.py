"""Moments, times of day and names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from scheduler.document.fields import Moment, Name, TimeOfDay, When, local_to_utc

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
START = datetime(2022, 6, 30, 22, tzinfo=UTC)


def moment(text: str) -> Moment:
    """A moment as the document reads it."""
    return TypeAdapter(When).validate_python(text)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2022-07-01T08:30", "2022-07-01T06:30+00:00"),
        ("2022-07-01 08:30", "2022-07-01T06:30+00:00"),
        ("2022-07-01", "2022-06-30T22:00+00:00"),
        ("2022-07-01T08:30Z", "2022-07-01T08:30+00:00"),
        ("2022-10-30T02:30+02:00", "2022-10-30T00:30+00:00"),
        ("2022-10-30T02:30+01:00", "2022-10-30T01:30+00:00"),
        ("+20h", "2022-07-01T18:00+00:00"),
        ("+ 90 min", "2022-06-30T23:30+00:00"),
        ("+1.5d", "2022-07-02T10:00+00:00"),
    ],
)
def test_moments(text: str, utc: str) -> None:
    """Local times, offsets and times after the start all become UTC."""
    assert moment(text).resolve(AMSTERDAM, START) == datetime.fromisoformat(utc)


@pytest.mark.parametrize("text", ["tomorrow", "8:00", "+8", "-8h", "+8 hours", "0001-01-01T00:00", "2022-13-01", ""])
def test_what_is_no_moment(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValidationError):
        moment(text)


def test_clock_change() -> None:
    """The skipped hour does not exist; the repeated one asks for an offset."""
    with pytest.raises(ValueError, match="skip 02:30 on 2022-03-27"):
        moment("2022-03-27T02:30").resolve(AMSTERDAM)
    with pytest.raises(ValueError, match="show 02:30 twice on 2022-10-30"):
        moment("2022-10-30T02:30").resolve(AMSTERDAM)
    with pytest.raises(ValueError, match="cannot count from its start"):
        moment("+1h").resolve(AMSTERDAM)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31)))  # noqa: DTZ001 - naive on purpose
def test_local_time_and_back(naive: datetime) -> None:
    """A local time that is converted to UTC shows itself on the local clock again, or is refused."""
    try:
        instant = local_to_utc(naive, AMSTERDAM)
    except ValueError:
        assert naive.month in (3, 10)
        assert naive.day > 24
        return
    assert instant.astimezone(AMSTERDAM).replace(tzinfo=None) == naive
    assert instant.utcoffset() == timedelta(0)


@pytest.mark.parametrize(("text", "minutes"), [("00:00", 0), ("17:05", 1025), ("24:00", 1440)])
def test_times_of_day(text: str, minutes: int) -> None:
    """Times of day are minutes after midnight."""
    assert TypeAdapter(TimeOfDay).validate_python(text) == minutes


@pytest.mark.parametrize("value", ["24:01", "1700", 17, "17:00:30", "17:00+01:00", "noon"])
def test_what_is_no_time_of_day(value: object) -> None:
    """Anything else is refused."""
    with pytest.raises(ValidationError):
        TypeAdapter(TimeOfDay).validate_python(value)


@pytest.mark.parametrize("value", ["a/b", "a b", "", "#", "+", "-a", "x" * 81, "café", 5, "a\n"])
def test_what_is_no_name(value: object) -> None:
    """Names go into topics, files and node names, so they are plain."""
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(value)
