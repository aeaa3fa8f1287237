"""The time axis: half-open slots of equal length, in UTC.

Local time exists only at the edges of the product, so a local day of 23, 24 or 25 hours is simply
a horizon of 92, 96 or 100 quarter-hours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Horizon:
    """``slots`` half-open slots ``[start + k step, start + (k + 1) step)``.

    Attributes:
        start: first instant, timezone-aware; kept in UTC.
        step: length of a slot, a whole positive number of seconds.
        slots: number of slots, at least 1.

    Raises:
        ValueError: naive start, step not a whole positive number of seconds, or no slot at all.
    """

    start: datetime
    step: timedelta
    slots: int

    def __post_init__(self) -> None:
        if self.start.tzinfo is None:
            raise ValueError(f"horizon start {self.start} has no time zone")
        if self.step <= timedelta(0) or self.step.microseconds:
            raise ValueError(f"horizon step {self.step} is not a whole positive number of seconds")
        if self.slots < 1:
            raise ValueError(f"a horizon of {self.slots} slots")
        object.__setattr__(self, "start", self.start.astimezone(UTC))

    @property
    def step_s(self) -> float:
        """Length of a slot in seconds."""
        return self.step.total_seconds()

    @property
    def step_h(self) -> float:
        """Length of a slot in hours."""
        return self.step_s / 3600.0

    @property
    def start_s(self) -> float:
        """First instant as Unix seconds."""
        return self.start.timestamp()

    @property
    def end(self) -> datetime:
        """First instant after the last slot, UTC."""
        return self.start + self.slots * self.step

    @property
    def end_s(self) -> float:
        """First instant after the last slot as Unix seconds."""
        return self.start_s + self.slots * self.step_s

    @property
    def edges_s(self) -> FloatArray:
        """Slot edges as Unix seconds, shape ``[slots + 1]``."""
        return self.start_s + self.step_s * np.arange(self.slots + 1, dtype=np.float64)

    def time(self, slot: int) -> datetime:
        """First instant of ``slot``; ``time(slots)`` is the end."""
        return self.start + slot * self.step

    def floor_slot(self, moment: datetime) -> int:
        """Slot that holds ``moment`` (may lie outside ``0..slots-1``)."""
        return math.floor((moment - self.start) / self.step)

    def ceil_slot(self, moment: datetime) -> int:
        """First slot that begins at or after ``moment`` (may lie outside ``0..slots``)."""
        return math.ceil((moment - self.start) / self.step)

    def slots_for(self, duration: timedelta) -> int:
        """Whole slots needed to hold ``duration``, at least 1."""
        return max(1, math.ceil(duration / self.step))

    def tail(self, first: int) -> Horizon:
        """The horizon from slot ``first`` on.

        Raises:
            ValueError: ``first`` leaves no slot.
        """
        return Horizon(self.time(first), self.step, self.slots - first)

    def with_step(self, step: timedelta) -> Horizon:
        """The same period cut into slots of another length.

        Raises:
            ValueError: ``step`` does not divide the period.
        """
        slots, rest = divmod(self.slots * self.step, step)
        if rest:
            raise ValueError(f"a step of {step} does not divide a horizon of {self.slots * self.step}")
        return Horizon(self.start, step, slots)
