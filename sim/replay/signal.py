"""A step signal that is integrated exactly between any two moments."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grid.errors import Finding, InputError
from grid.feeds.reading import Reading, describe, iso
from grid.horizon import FloatArray

MARGIN_S = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """Values on equal steps: ``values[i]`` holds on ``[start_s + i step_s, start_s + (i + 1) step_s)``.

    Attributes:
        start_s: Unix second of the first step.
        step_s: length of a step, seconds.
        values: finite numbers, ``[n]``.
        prefix: integral in value seconds up to each edge, ``[n + 1]``.
        unit, source: for reports.
        repairs: kinds of faults of the file with their counts, and steps that were filled.
    """

    start_s: float
    step_s: float
    values: FloatArray
    prefix: FloatArray
    unit: str
    source: str
    repairs: dict[str, int]

    @classmethod
    def of(
        cls,
        start_s: float,
        step_s: float,
        values: npt.ArrayLike,
        unit: str = "",
        source: str = "",
        repairs: dict[str, int] | None = None,
    ) -> Signal:
        """A signal from its values."""
        series = np.ascontiguousarray(values, dtype=np.float64)
        prefix = np.concatenate(([0.0], np.cumsum(series) * step_s))
        return cls(float(start_s), float(step_s), series, prefix, unit, source, repairs or {})

    @property
    def end_s(self) -> float:
        """Unix second at which the last step ends."""
        return self.start_s + self.step_s * len(self.values)

    def integral(self, moments_s: npt.ArrayLike) -> FloatArray:
        """Value seconds from the start to each moment, any shape; before the start and after the end the signal is 0."""
        moments = np.clip(np.asarray(moments_s, dtype=np.float64), self.start_s, self.end_s)
        index = np.minimum(((moments - self.start_s) // self.step_s).astype(np.int64), len(self.values) - 1)
        whole: FloatArray = self.prefix[index] + self.values[index] * (moments - self.start_s - index * self.step_s)
        return whole

    def arrays(self) -> tuple[float, float, FloatArray, FloatArray]:
        """What compiled code takes: start, step, values, prefix."""
        return self.start_s, self.step_s, self.values, self.prefix


@dataclass(frozen=True, slots=True)
class Period:
    """What a replay needs of a signal.

    Attributes:
        begin_s, end_s: Unix seconds of the first arrival and of the last moment at which a job may run: must be covered.
        past_s, ahead_s: seconds before and after that policies like to see, as far as the file has them.
    """

    begin_s: float
    end_s: float
    past_s: float = 0.0
    ahead_s: float = 0.0


def on_period(reading: Reading, period: Period, *, option: str, file: str, repair: bool, positive: bool = False) -> Signal:
    """The part of a reading that a replay needs.

    Steps without a value inside the period, repeated and unsorted rows are refused, or with ``repair`` filled by straight lines
    between their neighbours (of repeated rows the first counts) and counted. Faults outside the period are counted only.

    Args:
        reading: what the file holds.
        period: what must be covered, and what is liked.
        option: on the command line, for messages.
        file: for messages.
        repair: fill instead of refusing.
        positive: refuse values below 0.

    Raises:
        InputError: the file does not cover the period, or has faults.
    """
    edges, values = reading.edges_s, reading.values
    begin_s, end_s = period.begin_s, period.end_s
    if edges[0] > begin_s + MARGIN_S or edges[-1] < end_s - MARGIN_S:
        found = f"{iso(edges[0])} to {iso(edges[-1])}"
        expected = f"{iso(begin_s)} to {iso(end_s)}, when jobs may run (--start moves them, --horizon takes fewer)"
        raise InputError([Finding(file, None, option, found, expected)])
    step_s = float(edges[1] - edges[0])
    first = max(int((begin_s - period.past_s - edges[0]) // step_s), 0)
    last = min(int(np.ceil((end_s + period.ahead_s - edges[0]) / step_s)), len(values))
    part = values[first : max(last, first + 1)].copy()
    repairs = dict(Counter(fault.kind.value.replace("_", " ") for fault in reading.faults))
    missing = np.isnan(part)
    serious = [fault for fault in reading.faults if fault.kind.value in {"duplicate", "unsorted", "off_grid"}]
    if (missing.any() or serious) and not repair:
        raise InputError(
            [Finding(file, _line(reading), option, describe(reading.faults), "a series without faults, or --repair")]
        )
    if missing.any():
        known = ~np.isnan(values)
        middle = np.arange(len(values)) + 0.5
        part = np.interp(middle[first : first + len(part)], middle[known], values[known])
        repairs["steps filled by straight lines"] = int(missing.sum())
    if positive and (part < 0).any():
        at = first + int(np.argmax(part < 0))
        raise InputError([Finding(file, None, option, f"{values[at]:g} {reading.unit} at {iso(edges[at])}", "nothing below 0")])
    return Signal.of(float(edges[first]), step_s, part, reading.unit, reading.source, repairs)


def _line(reading: Reading) -> int | None:
    return next((fault.line for fault in reading.faults if fault.line is not None), None)
