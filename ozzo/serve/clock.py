"""The clock of a controller that stays: real time, or scenario time that goes on while no controller is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ozzo.clock import AcceleratedClock
from scheduler.scenario import Scenario


def utc_now() -> datetime:
    """Wall clock, UTC."""
    return datetime.now(UTC)


class WallClock(AcceleratedClock):
    """Real time: scenario time is the wall clock. It never goes back and cannot stand still."""

    def __init__(self, wall: Callable[[], datetime] = utc_now) -> None:
        super().__init__(wall(), 1.0)
        self._wall, self._latest = wall, wall()

    def now(self) -> datetime:
        """See ``AcceleratedClock``."""
        self._latest = max(self._latest, self._wall())
        return self._latest

    def pause(self) -> None:
        """Real time does not wait."""

    def resume(self) -> None:
        """Real time did not wait."""


def clock_for(
    scenario: Scenario, day_seconds: float | None, kept: Mapping[str, Any] | None, wall: Callable[[], datetime] = utc_now
) -> AcceleratedClock:
    """The clock to serve by.

    Args:
        scenario: with its horizon.
        day_seconds: wall seconds that 24 hours take; None: real time where the horizon holds the present, else scenario
            time from the horizon's start on at the pace of real time.
        kept: ``instant``, ``wall`` and start of the ``horizon`` of the clock of an earlier life; time has passed since, at the
            pace of now. It counts for the same horizon, and for another that holds the instant.
        wall: wall clock.

    Returns:
        A clock that runs; a fresh scenario clock stands at the horizon's start, paused until the first plan.
    """
    now = wall()
    if day_seconds is None and scenario.horizon.start <= now < scenario.horizon.end:
        return WallClock(wall)
    speed = 1.0 if day_seconds is None else 86400.0 / day_seconds
    if kept is not None:
        gone_s = max(0.0, (now - datetime.fromisoformat(kept["wall"])).total_seconds())
        instant = datetime.fromisoformat(kept["instant"]) + timedelta(seconds=gone_s * speed)
        same = kept["horizon"] == scenario.horizon.start.isoformat()
        if same or scenario.horizon.start <= instant < scenario.horizon.end:
            return AcceleratedClock(instant, speed)
    clock = AcceleratedClock(scenario.horizon.start, speed)
    clock.pause()
    return clock
