"""When an OpenADR 3 event applies: ISO 8601 durations, intervals, loops and random shifts; pure.

::

    intervalPeriod.start      one list of intervals               event.duration
      |<---- 0 ---->|<---- 1 ---->|<---- 0 ---->|<---- 1 ---->|<-- 0 -|
      the event's period is each interval's default, an interval's own period wins; a longer event.duration repeats the
      list, a shorter one cuts it; n values in one payload cut its interval into n equal parts
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

FAR = datetime(9999, 1, 1, tzinfo=UTC)
"""Stands for the end of something infinite."""
FIRST = datetime.min.replace(tzinfo=UTC)
"""First instant of the calendar."""
INFINITE_YEARS = 9999
"""``P9999Y`` means without end (OpenADR 3.1, ``intervalPeriod``)."""
PATTERN = re.compile(
    r"(?P<sign>-?)P(?=\d|T\d)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)
NOW = re.compile(r"0001-01-01(T00:00:00(\.0+)?(Z|\+00:00)?)?")


@dataclass(frozen=True, slots=True)
class Duration:
    """A calendar duration: months have no fixed length, so it is only added to an instant.

    Attributes:
        months: years and months.
        rest: weeks, days and time.
        infinite: ``P9999Y`` or longer.
    """

    months: int = 0
    rest: timedelta = timedelta(0)
    infinite: bool = False

    def after(self, start: datetime) -> datetime:
        """The instant this long after ``start``; ``FAR`` when it is without end."""
        if self.infinite:
            return FAR
        month = start.month - 1 + self.months
        year = start.year + month // 12
        if year >= FAR.year:
            return FAR
        days_in_month = (datetime(year + (month % 12 == 11), (month + 1) % 12 + 1, 1, tzinfo=UTC) - timedelta(days=1)).day
        moved = start.replace(year=year, month=month % 12 + 1, day=min(start.day, days_in_month))
        return FAR if self.rest >= FAR - moved else moved + self.rest


def parse_duration(text: str) -> Duration:
    """Read an ISO 8601 duration as OpenADR 3.1 writes it, for example ``PT15M``, ``P1D``, ``P9999Y``.

    Raises:
        ValueError: it is none, or negative.
    """
    found = PATTERN.fullmatch(text) if len(text) <= 64 else None
    if found is None:
        raise ValueError(f"{text[:64]!r} is no ISO 8601 duration")
    if found["sign"]:
        raise ValueError(f"{text!r} is negative")
    number = {name: float(value) for name, value in found.groupdict().items() if value and name != "sign"}
    if number.get("years", 0.0) >= INFINITE_YEARS:
        return Duration(infinite=True)
    try:
        rest = timedelta(**{name: value for name, value in number.items() if name not in {"years", "months"}})
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long") from error
    return Duration(int(number.get("years", 0)) * 12 + int(number.get("months", 0)), rest)


def parse_instant(text: str, now: datetime) -> datetime:
    """Read an RFC 3339 instant; ``0001-01-01`` (with or without midnight) means ``now``.

    Raises:
        ValueError: it is none, has no time zone, or lies beyond the calendar in UTC.
    """
    if NOW.fullmatch(text):
        return now
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is not in the years 1 to 9999 of UTC") from error


def shifted(moment: datetime, by: timedelta) -> datetime:
    """``moment`` moved by ``by``; what would leave the calendar stays at its first instant, or at ``FAR``."""
    try:
        return min(moment + by, FAR)
    except OverflowError:
        return FAR if by > timedelta(0) else FIRST


@dataclass(frozen=True, slots=True)
class Span:
    """A period with a payload value.

    Attributes:
        label: interval id, with ``.part`` and ``~round`` where it was cut or repeated.
        start, end: half-open, UTC; ``end`` may be ``FAR``.
        value: the payload value.
    """

    label: str
    start: datetime
    end: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval as it was read.

    Attributes:
        label: interval id.
        start: its own start, or None to follow the one before.
        duration: its own or the event's.
        shift: random shift that begins here and is carried on.
        values: payload values; none when it only takes time.
    """

    label: str
    start: datetime | None
    duration: Duration
    shift: timedelta
    values: tuple[float, ...]


def lay_out(intervals: list[Interval], first: datetime, shift: timedelta) -> tuple[list[Span], datetime, datetime]:
    """Put intervals on the time axis.

    Args:
        intervals: in order.
        first: start of the first one that has none of its own.
        shift: random shift of the whole.

    Returns:
        Spans in order, first instant and last instant of the whole list.
    """
    spans: list[Span] = []
    cursor = last = shifted(first, shift)
    begin = FAR
    for interval in intervals:
        shift += interval.shift
        start = shifted(cursor, interval.shift) if interval.start is None else shifted(interval.start, shift)
        end = interval.duration.after(start)
        begin, last, cursor = min(begin, start), max(last, end), end
        count = len(interval.values)
        for i, value in enumerate(interval.values):
            if end == FAR:
                if i == 0:  # a period without end cannot be cut into equal parts: its first value holds
                    spans.append(Span(interval.label, start, FAR, value))
                continue
            part = (end - start) / count
            label = interval.label if count == 1 else f"{interval.label}.{i}"
            spans.append(Span(label, start + i * part, end if i + 1 == count else start + (i + 1) * part, value))
    return [span for span in spans if span.end > span.start], min(begin, last), last


def loop_or_cut(
    spans: list[Span], begin: datetime, last: datetime, until: datetime, horizon_end: datetime, most: int = 20_000
) -> list[Span]:
    """Repeat the list of spans until ``until``, or cut it there; nothing is made after ``horizon_end``.

    Raises:
        ValueError: that would be more than ``most`` spans.
    """
    until = min(until, horizon_end)
    looped: list[Span] = []
    length = last - begin
    rounds = 0
    while spans and shifted(begin, rounds * length) < until:
        for span in spans:
            if len(looped) >= most:
                raise ValueError(f"more than {most} intervals up to {until.isoformat()}")
            start = shifted(span.start, rounds * length)
            if start < until:
                end = until if span.end == FAR else min(until, shifted(span.end, rounds * length))
                looped.append(replace(span, start=start, end=end, label=span.label + (f"~{rounds}" if rounds else "")))
        rounds += 1
        if last == FAR or length <= timedelta(0):
            break
    return looped
