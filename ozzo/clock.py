"""The clock of a run: scenario time that passes faster than wall time, and can stand still while the controller plans."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

DEFAULT_SPEED = 7200.0
"""Scenario seconds per wall second: a day of 24 hours passes in 12 seconds."""


class AcceleratedClock:
    """Scenario time; starts at once, pauses nest.

    Attributes:
        speed: scenario seconds per wall second.
    """

    def __init__(self, start: datetime, speed: float = DEFAULT_SPEED, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start the clock.

        Args:
            start: scenario instant of now, timezone-aware.
            speed: scenario seconds per wall second, positive.
            monotonic: source of wall seconds.

        Raises:
            ValueError: ``start`` is naive or ``speed`` is not positive.
        """
        if start.tzinfo is None:
            raise ValueError(f"clock start {start} has no time zone")
        if not speed > 0:
            raise ValueError(f"a clock of speed {speed}")
        self.speed = speed
        self._monotonic = monotonic
        self._instant = start.astimezone(UTC)
        self._since: float | None = monotonic()
        self._pauses = 0

    def now(self) -> datetime:
        """Scenario instant, UTC; never goes back."""
        if self._since is None:
            return self._instant
        return self._instant + timedelta(seconds=(self._monotonic() - self._since) * self.speed)

    @property
    def paused(self) -> bool:
        """True while it stands still."""
        return self._pauses > 0

    def pause(self) -> None:
        """Stand still; each pause needs its own ``resume``."""
        self._instant = self.now()
        self._since = None
        self._pauses += 1

    def resume(self) -> None:
        """Go on when all pauses are over.

        Raises:
            RuntimeError: it was not paused.
        """
        if not self._pauses:
            raise RuntimeError("the clock is not paused")
        self._pauses -= 1
        if not self._pauses:
            self._since = self._monotonic()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """``with clock.standing_still():`` the world waits for what is done inside."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def wall_s_until(self, moment: datetime) -> float:
        """Wall seconds until ``moment``, 0 when it is past; infinite while the clock stands still."""
        left_s = (moment - self.now()).total_seconds()
        if left_s <= 0:
            return 0.0
        return float("inf") if self.paused else left_s / self.speed
