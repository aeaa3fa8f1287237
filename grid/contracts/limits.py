"""What a contract allows when: limits on import or export for a period, and what a series of them comes to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from grid.horizon import FloatArray, Horizon
from grid.series import Series


class Direction(StrEnum):
    """Which way energy goes at the meter; power is positive in its own direction."""

    IMPORT = "import"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class ContractLimit:
    """The most that a contract allows in one direction for a period.

    Attributes:
        direction: of the power that is limited.
        start_s, end_s: period, Unix seconds, half-open.
        limit_kw: largest mean of a settlement period of 15 minutes, not negative.
        known: when it was told, UTC; None: with the contract itself.
    """

    direction: Direction
    start_s: float
    end_s: float
    limit_kw: float
    known: datetime | None = None

    def is_known(self, moment: datetime | None) -> bool:
        """True when whoever plans at ``moment`` knows of it (None knows everything)."""
        return moment is None or self.known is None or self.known <= moment


def lowest_kw(limits: Iterable[ContractLimit], direction: Direction, horizon: Horizon) -> FloatArray:
    """Lowest limit that holds in any part of each slot, ``[T]`` kW; infinite where there is none."""
    lowest = np.full(horizon.slots, np.inf)
    edges = horizon.edges_s
    for limit in limits:
        if limit.direction is direction:
            touched = (edges[1:] > limit.start_s) & (edges[:-1] < limit.end_s)
            lowest[touched] = np.minimum(lowest[touched], limit.limit_kw)
    return lowest


def fold(series: Series, limits: Sequence[ContractLimit], direction: Direction) -> Series:
    """The series, nowhere above what the limits in that direction allow (its own steps and theirs)."""
    chosen = [limit for limit in limits if limit.direction is direction]
    if not chosen:
        return series
    first, last = series.edges_s[0], series.edges_s[-1]
    moments = {edge for limit in chosen for edge in (limit.start_s, limit.end_s) if first < edge < last}
    edges = np.array(sorted({*series.edges_s.tolist(), *moments}))
    values = series.values[np.searchsorted(series.edges_s, edges[:-1], side="right") - 1].copy()
    for limit in chosen:
        inside = (edges[:-1] >= limit.start_s) & (edges[:-1] < limit.end_s)
        values[inside] = np.minimum(values[inside], limit.limit_kw)
    return Series(edges, values, series.unit, series.source)


def over_kwh(limit_kw: FloatArray, power_kw: FloatArray, step_h: float) -> FloatArray:
    """Energy above a limit in each settlement period, ``[T]`` kWh.

    Args:
        limit_kw: limit of each period, infinite where there is none.
        power_kw: mean power of each period, positive in the direction of the limit.
        step_h: length of a period.
    """
    over: FloatArray = step_h * np.maximum(0.0, power_kw - limit_kw)
    return over
