"""Sun follow: run when the sun is high, known from the calendar alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from grid.horizon import FloatArray
from sim.replay.batch import Batch, Runs
from sim.replay.measure import best_contiguous
from sim.replay.policies.base import Knows
from sim.replay.signal import Signal

STEP_S = 900.0
DAY_S = 86400.0
YEAR_DAYS = 365.25


@dataclass(frozen=True, slots=True)
class SunFollow:
    """The contiguous run with the most sun above the horizon; needs no forecast and no data.

    The replay's form of the product's own baseline ``wait_for_sun``. Height of the sun with the declination of Cooper (Solar
    Energy 12, 1969) and mean solar time, so up to a quarter of an hour off the true sun; clouds are unknown.
    """

    name: ClassVar[str] = "sun-follow"
    knows: ClassVar[Knows] = Knows.NOTHING
    knows_length: ClassVar[bool] = True
    follows: ClassVar[str] = "sun"
    heeds_machines: ClassVar[bool] = False
    pauses: ClassVar[bool] = False
    source: ClassVar[str] = "ozzo's baseline wait_for_sun, on the sun's height (Cooper 1969)"

    def runs(self, batch: Batch) -> Runs:
        """One run a job."""
        begin = float(np.floor(batch.arrival_s[0] / STEP_S)) * STEP_S
        end = float((batch.arrival_s + batch.length_s + batch.wait_s).max())
        steps = np.arange(int(np.ceil((end - begin) / STEP_S)) + 1, dtype=np.float64)
        middle_s: FloatArray = begin + STEP_S * (steps + 0.5)
        sun = np.maximum(height(middle_s, batch.latitude, batch.longitude), 0.0)
        return best_contiguous(batch, Signal.of(begin, STEP_S, -sun))


def height(moment_s: FloatArray, latitude: float, longitude: float) -> FloatArray:
    """Sine of the sun's height above the horizon at Unix seconds, any shape; negative at night."""
    day = moment_s / DAY_S  # 1970-01-01 is day 0
    declination = np.radians(23.45) * np.sin(2 * np.pi * (284.0 + 1.0 + day % YEAR_DAYS) / 365.0)
    hour_angle = 2 * np.pi * ((day + longitude / 360.0) % 1.0 - 0.5)
    place = np.radians(latitude)
    sine: FloatArray = np.sin(place) * np.sin(declination) + np.cos(place) * np.cos(declination) * np.cos(hour_angle)
    return sine
