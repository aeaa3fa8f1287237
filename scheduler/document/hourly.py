"""Series that a document writes as 24 numbers, one for each hour of the local day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from grid.horizon import Horizon
from grid.series import Series

QUARTER_S = 900.0
"""Clocks of every zone differ from UTC by whole quarters of an hour, and horizons begin on one."""


def by_local_hour(values: Sequence[float], horizon: Horizon, zone: ZoneInfo, unit: str) -> Series:
    """The value of its local hour at every instant of ``horizon``, one step for each hour that the clock shows.

    A day of 23 hours leaves out the value of the hour that its clock skips, one of 25 has that of the repeated hour for two.

    Args:
        values: one for each hour of the local day from 00:00 on, ``[24]``.
        horizon: period to cover.
        zone: the clock.
        unit: of the values.
    """
    starts = np.arange(horizon.start_s, horizon.end_s, QUARTER_S)
    clock = [datetime.fromtimestamp(start, UTC).astimezone(zone) for start in starts.tolist()]
    begins = [i for i, now in enumerate(clock) if i == 0 or now.minute == 0 or now.hour != clock[i - 1].hour]
    edges = np.append(starts[begins], horizon.end_s)
    numbers = np.array([values[clock[i].hour] for i in begins])
    return Series(edges, numbers, unit, f"{len(values)} numbers of the document, by local hour")
