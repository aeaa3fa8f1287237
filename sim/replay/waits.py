"""How long a job may wait: ``SHORT:LONG@LIMIT``, the convention of GAIA (Hanafy et al., ASPLOS 2024).

Jobs of at most LIMIT hours may wait SHORT hours, longer ones LONG. One number alone holds for all jobs. A policy that must not
know the length of a job still knows its class, and the mean length of that class.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grid.errors import Finding, InputError
from grid.horizon import FloatArray

HOUR_S = 3600.0
_FORM = re.compile(r"(?P<short>[^:@]+)(?::(?P<long>[^:@]+)@(?P<limit>[^:@]+))?")
EXPECTED = "hours as SHORT:LONG@LIMIT, for example 6:24@2, or one number of hours"


@dataclass(frozen=True, slots=True)
class WaitRule:
    """Waiting times by class of jobs.

    Attributes:
        short_h, long_h: hours that jobs of at most, and of more than, ``limit_h`` hours may wait.
        limit_h: hours; infinite when there is one class.
    """

    short_h: float
    long_h: float
    limit_h: float

    def waits_s(self, length_s: FloatArray) -> FloatArray:
        """Seconds that each job may wait, ``[n]``."""
        return np.where(self._short(length_s), self.short_h, self.long_h) * HOUR_S

    def mean_lengths_s(self, length_s: FloatArray) -> FloatArray:
        """Mean length of the class of each job over the whole trace, seconds, ``[n]``."""
        mean = np.empty_like(length_s)
        short = self._short(length_s)
        for members in (short, ~short):
            if members.any():
                mean[members] = length_s[members].mean()
        return mean

    def _short(self, length_s: FloatArray) -> npt.NDArray[np.bool_]:
        return length_s <= self.limit_h * HOUR_S


def parse_wait(text: str) -> WaitRule:
    """A rule from what a person wrote.

    Raises:
        InputError: it is none, or a number is negative or no number.
    """
    match = _FORM.fullmatch(text.strip())
    parts = [] if match is None else [match["short"], match["long"] or match["short"], match["limit"] or "inf"]
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if not numbers or any(math.isnan(value) or value < 0 for value in numbers) or math.isinf(numbers[0] + numbers[1]):
        raise InputError([Finding("", None, "--wait", repr(text), EXPECTED)])
    return WaitRule(*numbers)


def done_within_s(length_s: FloatArray, hours: float) -> FloatArray:
    """Seconds that each job may wait when it shall end within ``hours`` of its arrival; longer jobs may not wait."""
    return np.maximum(hours * HOUR_S - length_s, 0.0)
