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

    A window holds from its first to its last local time on every day, as the clock on the wall shows them: of a time that the
    clock shows twice it begins at the first and ends at the second, a time that the clock skips is the moment of the jump.
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
    return window_spans(window.from_, window.to, horizon, zone)


def window_spans(first_minute: int, last_minute: int, horizon: Horizon, zone: ZoneInfo) -> list[tuple[float, float]]:
    """Unix seconds of a daily window (minutes of the local day) on every local day that the horizon touches."""
    first = (horizon.start.astimezone(zone) - timedelta(days=1)).date()
    last = horizon.end.astimezone(zone).date()
    to = last_minute if last_minute > first_minute else last_minute + DAY_MINUTES
    spans = []
    for day in range((last - first).days + 1):
        midnight = datetime.combine(first + timedelta(days=day), time())
        start = _instant(midnight + timedelta(minutes=first_minute), zone, fold=0)
        end = _instant(midnight + timedelta(minutes=to), zone, fold=1)
        if end > start:
            spans.append((start, end))
    return spans


def _instant(naive: datetime, zone: ZoneInfo, *, fold: int) -> float:
    """Unix second of a local time; of one that the clock skips, the second of the jump; ``fold`` picks one of two."""
    moment = naive.replace(tzinfo=zone, fold=fold).timestamp()
    early, late = (naive.replace(tzinfo=zone, fold=number).timestamp() for number in (1, 0))
    if early >= late:
        return moment
    seconds = range(int(early), int(late) + 60, 60)
    return float(next(second for second in seconds if datetime.fromtimestamp(second, zone).replace(tzinfo=None) >= naive))
