"""What the mock signal server tells: series on whole hours and a clock of its own.

The clock begins at a chosen moment and runs at a chosen speed, so a recorded day passes in minutes. What lies after the clock's
moment is a forecast: either the recorded values (``known``), or what can be said from the past only (``past``: the mean of that
hour over a week, plus the last hour's distance from it, fading), which errs as real forecasts do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np

from grid.errors import FeedError
from grid.horizon import FloatArray

if TYPE_CHECKING:
    from grid.feeds.open_meteo import Weather
    from grid.feeds.reading import Reading

HOUR = timedelta(hours=1)
Forecast = Literal["known", "past"]


@dataclass(frozen=True, slots=True, eq=False)
class Hourly:
    """A series by hour.

    Attributes:
        start: UTC, a whole hour; values: one an hour, ``[n]``.
    """

    start: datetime
    values: FloatArray

    @property
    def end(self) -> datetime:
        """First moment after the series."""
        return self.start + len(self.values) * HOUR

    def index(self, moment: datetime) -> int:
        """Number of the hour that ``moment`` lies in; outside 0 to n - 1 where there is none."""
        return int((moment - self.start) // HOUR)

    def between(self, start: datetime, end: datetime) -> list[tuple[datetime, float]]:
        """Hours that begin in ``[start, end)``."""
        first = max(0, -int((self.start - start) // HOUR))
        found = []
        for i in range(first, len(self.values)):
            moment = self.start + i * HOUR
            if moment >= end:
                break
            found.append((moment, float(self.values[i])))
        return found


def hourly(reading: Reading) -> Hourly:
    """A reading as means of whole hours.

    Raises:
        FeedError: it has faults, or does not hold one whole hour.
    """
    if not np.isfinite(reading.values).all():
        raise FeedError(f"{reading.source}: {int((~np.isfinite(reading.values)).sum())} steps have no value")
    first = float(np.ceil(reading.edges_s[0] / 3600.0) * 3600.0)
    hours = int((reading.edges_s[-1] - first) // 3600.0)
    if hours < 1:
        raise FeedError(f"{reading.source}: not one whole hour")
    sums = np.concatenate(([0.0], np.cumsum(reading.values * np.diff(reading.edges_s))))
    edges = first + 3600.0 * np.arange(hours + 1)
    means: FloatArray = np.diff(np.interp(edges, reading.edges_s, sums)) / 3600.0
    return Hourly(datetime.fromtimestamp(first, UTC), means)


@dataclass(slots=True)
class SimulatedClock:
    """A clock that begins at ``start`` when it is made and runs ``speed`` times as fast as the wall's.

    Attributes:
        start: UTC; speed: simulated seconds a second; tick: the wall's monotonic clock.
    """

    start: datetime
    speed: float = 1.0
    tick: Callable[[], float] = time.monotonic
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        self._begun = self.tick()

    def now(self) -> datetime:
        """The simulated moment, UTC."""
        return self.start + timedelta(seconds=self.speed * (self.tick() - self._begun))


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """What is served.

    Attributes:
        zone: name that the services give the place.
        carbon: average intensity, g/kWh; price: EUR/MWh, or None; weather: or None.
        clock: simulated time; forecast: how the future is told.
    """

    zone: str
    carbon: Hourly
    price: Hourly | None
    weather: Weather | None
    clock: SimulatedClock
    forecast: Forecast = "known"

    def now_index(self) -> int:
        """Hour of the carbon series in which the clock stands.

        Raises:
            FeedError: the clock has run out of the series.
        """
        index = self.carbon.index(self.clock.now())
        if not 0 <= index < len(self.carbon.values):
            raise FeedError(f"it is {self.clock.now():%Y-%m-%dT%H:%M}Z; the series ends at {self.carbon.end:%Y-%m-%dT%H:%M}Z")
        return index

    def ahead(self, hours: int) -> list[tuple[datetime, float]]:
        """Forecast of this hour and those after it, as many as asked for and known of."""
        now = self.now_index()
        count = min(hours, len(self.carbon.values) - now)
        values = self.carbon.values[now : now + count] if self.forecast == "known" else self._from_the_past(now, count)
        return [(self.carbon.start + (now + i) * HOUR, float(value)) for i, value in enumerate(values)]

    def _from_the_past(self, now: int, count: int) -> FloatArray:
        from grid.forecasts.methods import WEEK_DAYS, Past, persistence, week_mean

        past, made = Past(self.carbon.values), np.array([now])
        enough = now >= 24 * WEEK_DAYS
        way = week_mean if enough else persistence
        found: FloatArray = np.array([float(way(past, made, lead)[0]) for lead in range(count)])
        return found
