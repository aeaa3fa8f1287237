"""Limits of a connection over the horizon, from one limit and daily windows on the local clock."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np

from grid.contracts.windows import DailyWindow
from grid.horizon import Horizon
from grid.series import Series
from scheduler.document.places import ConnectionPart


def limit_series(part: ConnectionPart, name: str, horizon: Horizon, zone: ZoneInfo) -> Series:
    """The limit ``name`` (``import_limit_kw`` or ``export_limit_kw``) in kW over ``horizon``.

    A window holds from its first to its last local time on every day, as the clock on the wall shows them
    (``grid.contracts.windows``).
    """
    base = float(getattr(part, name))
    windows = [window for window in part.windows if getattr(window, name) is not None]
    spans = [
        (start, end, float(getattr(window, name)))
        for window in windows
        for start, end in DailyWindow(window.from_, window.to).spans(horizon.start, horizon.end, zone)
    ]
    cuts = {horizon.start_s, horizon.end_s}
    cuts |= {moment for start, end, _ in spans for moment in (start, end) if horizon.start_s < moment < horizon.end_s}
    edges = np.array(sorted(cuts))
    values = [min((limit for start, end, limit in spans if start <= edge < end), default=base) for edge in edges[:-1]]
    return Series(edges, np.array(values), "kW", f"{name} of the document")
