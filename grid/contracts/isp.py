"""Imbalance settlement periods (ISPs) by number: quarter-hours of a local day, from 1.

UFTP, the protocol of Dutch congestion markets, numbers the quarters of a day 1 to 96; the day on which clocks go forward ends
with 92, the one on which they go back with 100 (GRID, section 1.3). The number counts elapsed quarters since local midnight, so
after a clock change it no longer tells the time of day: that is why nobody should compute it from the clock on the wall.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from grid.contracts.windows import instant

ISP = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Isp:
    """A settlement period.

    Attributes:
        day: local day; number: from 1 to 92, 96 or 100.
    """

    day: date
    number: int

    def __str__(self) -> str:
        return f"ISP {self.number} of {self.day:%Y-%m-%d}"


def isps_of(day: date, zone: ZoneInfo) -> int:
    """How many settlement periods a local day has: 96, and 92 or 100 where the clock changes by an hour."""
    first, last = (instant(day, minute, zone, fold=0) for minute in (0, 24 * 60))
    return round((last - first) / ISP.total_seconds())


def isp_at(moment: datetime, zone: ZoneInfo) -> Isp:
    """The settlement period that holds an instant."""
    day = moment.astimezone(zone).date()
    passed = moment.timestamp() - instant(day, 0, zone, fold=0)
    return Isp(day, int(passed // ISP.total_seconds()) + 1)


def isp_start(isp: Isp, zone: ZoneInfo) -> datetime:
    """First instant of a settlement period, UTC; one past the last of its day is the next midnight.

    Raises:
        ValueError: the day has no such period.
    """
    count = isps_of(isp.day, zone)
    if not 1 <= isp.number <= count + 1:
        raise ValueError(f"{isp.day:%Y-%m-%d} has the settlement periods 1 to {count} in {zone.key}, not {isp.number}")
    return datetime.fromtimestamp(instant(isp.day, 0, zone, fold=0), UTC) + (isp.number - 1) * ISP
