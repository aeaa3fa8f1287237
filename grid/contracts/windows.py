"""Parts of every day on the local clock, as contracts write them: from 16:30 to 20:30, on working days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES


class Days(StrEnum):
    """Days on which a window begins. Public holidays are not known: they count as the weekday that they fall on."""

    ALL = "all"
    WORKING_DAYS = "working_days"
    """Monday to Friday"""
    WEEKEND = "weekend"
    """Saturday and Sunday"""

    def holds(self, weekday: int) -> bool:
        """True when a window of these days begins on ``weekday`` (Monday is 0)."""
        return self is Days.ALL or (weekday < 5) == (self is Days.WORKING_DAYS)


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """A part of every day of some kind.

    Attributes:
        from_minute: first local minute of the day.
        to_minute: first local minute after it, 0 to 1440; not above ``from_minute`` runs over midnight.
        days: days on which it begins.
    """

    from_minute: int
    to_minute: int
    days: Days = Days.ALL

    @property
    def minutes(self) -> int:
        """Length on a day without clock change."""
        return self.to_minute - self.from_minute + (0 if self.to_minute > self.from_minute else DAY_MINUTES)

    def spans(self, start: datetime, end: datetime, zone: ZoneInfo) -> tuple[tuple[float, float], ...]:
        """Unix seconds of the window on every local day that ``[start, end)`` touches, and on the day before it.

        It holds as the clock on the wall shows it: of a time that the clock shows twice it begins at the first and ends at the
        second, a time that the clock skips is the moment of the jump.
        """
        first = (start.astimezone(zone) - timedelta(days=1)).date()
        last = end.astimezone(zone).date()
        found = []
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            if self.days.holds(day.weekday()):
                begin = instant(day, self.from_minute, zone, fold=0)
                until = instant(day, self.from_minute + self.minutes, zone, fold=1)
                if until > begin:
                    found.append((begin, until))
        return tuple(found)

    def week(self) -> frozenset[int]:
        """Minutes of the week (0 is Monday 00:00) that it covers."""
        starts = (weekday * DAY_MINUTES + self.from_minute for weekday in range(7) if self.days.holds(weekday))
        return frozenset((begin + minute) % WEEK_MINUTES for begin in starts for minute in range(self.minutes))


def first_overlap(windows: Iterable[DailyWindow]) -> tuple[int, int] | None:
    """Positions of the first two windows that share a minute of the week, or None."""
    taken: dict[int, int] = {}
    for index, window in enumerate(windows):
        minutes = window.week()
        earlier = [taken[minute] for minute in minutes if minute in taken]
        if earlier:
            return min(earlier), index
        taken |= dict.fromkeys(minutes, index)
    return None


def instant(day: date, minute: int, zone: ZoneInfo, *, fold: int) -> float:
    """Unix second of a local minute of ``day`` (1440 and more lie on later days).

    Of a time that the clock skips, the second of the jump; of one that it shows twice, ``fold`` picks one.
    """
    naive = datetime.combine(day, time()) + timedelta(minutes=minute)
    moment = naive.replace(tzinfo=zone, fold=fold).timestamp()
    early, late = (naive.replace(tzinfo=zone, fold=number).timestamp() for number in (1, 0))
    if early >= late:
        return moment
    seconds = range(int(early), int(late) + 60, 60)
    return float(next(second for second in seconds if datetime.fromtimestamp(second, zone).replace(tzinfo=None) >= naive))
