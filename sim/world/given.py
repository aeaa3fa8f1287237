"""What is given to a site over time: limits, price of export, fixed load, PUE, sun and wind, and when any of it changes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from grid.horizon import Horizon
from grid.response.event import CapacityEvent
from grid.series import Series

TINY_S = 1e-7
"""Instants that lie closer together are one."""


class Conditions(NamedTuple):
    """What is given at an instant.

    Attributes:
        import_limit_kw, export_limit_kw: of the connection.
        export_eur_per_mwh: price of export.
        load_factor: fixed load over its forecast.
        pue: facility power per IT power.
        available_kw: sun and wind.
    """

    import_limit_kw: float
    export_limit_kw: float
    export_eur_per_mwh: float
    load_factor: float
    pue: float
    available_kw: float


class Given:
    """Step functions of one site; instants are seconds after the start of ``horizon``.

    Args:
        horizon: the period.
        series: in the order of the first five of ``Conditions``.
        sources: sun and wind.
    """

    def __init__(
        self, horizon: Horizon, series: tuple[Series, Series, Series, Series, Series], sources: tuple[Series, ...]
    ) -> None:
        self._origin_s = horizon.start_s
        every = (*series, *sources)
        self._lookups = [((one.edges_s - self._origin_s).tolist(), one.values.tolist()) for one in every]
        changes = [one.change_points_s(self._origin_s, horizon.end_s) for one in every]
        self._breaks = sorted({moment for points in changes for moment in (points - self._origin_s).tolist()})

    def at(self, moment_s: float) -> Conditions:
        """What holds at an instant."""
        values = [float(known[min(len(known) - 1, max(0, bisect_right(edges, moment_s) - 1))]) for edges, known in self._lookups]
        return Conditions(values[0], values[1], values[2], values[3], values[4], sum(values[5:]))

    def break_at(self, moments_s: Iterable[float]) -> None:
        """Something changes at these instants too."""
        self._breaks = sorted({*self._breaks, *moments_s})

    def break_at_slots(self, horizon: Horizon) -> None:
        """Something may change at every edge of these slots."""
        self.break_at((horizon.edges_s - self._origin_s).tolist())

    def break_at_events(self, events: Iterable[CapacityEvent]) -> None:
        """Limits change when events begin, end and become known."""
        self.break_at(when.timestamp() - self._origin_s for event in events for when in (event.start, event.end, event.received))

    def next_s(self, now_s: float, limit_s: float) -> float:
        """The next instant after ``now_s`` at which something changes, at most ``limit_s``."""
        index = bisect_right(self._breaks, now_s + TINY_S)
        return min(limit_s, self._breaks[index]) if index < len(self._breaks) else limit_s
