"""Limits of a connection over the horizon, from one limit and daily windows on the local clock."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from grid.horizon import Horizon
from grid.series import Series
from scheduler.document.places import ConnectionPart, WindowPart

DAY_MINUTES = 24 * 60


def limit_series(part: ConnectionPart, name: str, horizon: Horizon, zone: ZoneInfo) -> Series:
    """The limit ``name`` (``import_limit_kw`` or ``export_limit_kw``) in kW over ``horizon``.

    A window holds from its first to its last local time on every day, so on the days of the clock change it is an hour longer or
    shorter, as the clock on the wall is.
    """
    base = float(getattr(part, name))
    windows = [window for window in part.windows if getattr(window, name) is not None]
    spans = [(start, end, float(getattr(window, name))) for window in windows for start, end in _spans(window, horizon, zone)]
    cuts = {horizon.start_s, horizon.end_s}
    cuts |= {moment for start, end, _ in spans for moment in (start, end) if horizon.start_s < moment < horizon.end_s}
    edges = np.array(sorted(cuts))
    values = [min((limit for start, end, limit in spans if start <= edge < end), default=base) for edge in edges[:-1]]
    return Series(edges, np.array(values), "kW", f"{name} of the document")


def _spans(window: WindowPart, horizon: Horizon, zone: ZoneInfo) -> list[tuple[float, float]]:
    """Unix seconds of the window on every local day that the horizon touches."""
    first = (horizon.start.astimezone(zone) - timedelta(days=1)).date()
    last = horizon.end.astimezone(zone).date()
    to = window.to if window.to > window.from_ else window.to + DAY_MINUTES
    spans = []
    for day in range((last - first).days + 1):
        midnight = datetime.combine(first + timedelta(days=day), time())
        start, end = ((midnight + timedelta(minutes=minutes)).replace(tzinfo=zone).timestamp() for minutes in (window.from_, to))
        if end > start:
            spans.append((start, end))
    return spans
