"""Time axes, layout and small helpers that all pictures share.

Pictures are plain dictionaries in plotly's figure format, so that a report needs no plotting library while it is made
(a test lets plotly validate each of them). Colours are names of CSS variables of the page (``var(--grid)``), resolved in
the browser, so that the pictures follow light, dark and print.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from grid.horizon import FloatArray, Horizon

Figure = dict[str, Any]
"""``{"data": [...], "layout": {...}}`` in plotly's format."""

SITE_COLOURS = tuple(f"var(--site{k})" for k in range(8))


def site_colour(index: int) -> str:
    """Colour of the site at ``index``; colours repeat after eight."""
    return SITE_COLOURS[index % len(SITE_COLOURS)]


@dataclass(frozen=True, slots=True)
class Clock:
    """Local time of the pictures: the zone's offset at the start of the horizon, so that no hour is doubled or missing.

    Attributes:
        zone: IANA name.
        offset: from UTC, at the start of the horizon.
        changes: the zone's clock changes inside the horizon; the axis then keeps the first offset and says so.
    """

    zone: str
    offset: timedelta
    changes: bool

    @classmethod
    def of(cls, horizon: Horizon, zone: str) -> Clock:
        """The clock of a horizon in a zone."""
        info = ZoneInfo(zone)
        first = horizon.start.astimezone(info).utcoffset() or timedelta(0)
        last = (horizon.end - timedelta(seconds=1)).astimezone(info).utcoffset() or timedelta(0)
        return cls(zone, first, first != last)

    @property
    def offset_words(self) -> str:
        """The offset, for example ``UTC+2``."""
        hours = self.offset / timedelta(hours=1)
        return f"UTC{hours:+g}" if hours else "UTC"

    @property
    def title(self) -> str:
        """Title of a time axis."""
        if self.changes:
            return f"time in {self.offset_words} ({self.zone} changes its clock in this period)"
        return f"local time, {self.zone} ({self.offset_words})"

    def axis(self, moment: datetime) -> str:
        """Position on the axis."""
        return (moment + self.offset).strftime("%Y-%m-%d %H:%M:%S")

    def words(self, moment: datetime | None) -> str:
        """An instant in local time, for people; empty for None."""
        return moment.astimezone(ZoneInfo(self.zone)).strftime("%a %-d %b %H:%M") if moment else ""

    def short(self, moment: datetime | None) -> str:
        """An instant in local time for tables about days close to each other: weekday and time; empty for None."""
        return moment.astimezone(ZoneInfo(self.zone)).strftime("%a %H:%M") if moment else ""

    def period(self, start: datetime | None, end: datetime | None) -> str:
        """A period in local time for tables, the weekday of the end only when it is another; empty without one."""
        if start is None or end is None:
            return self.short(start or end)
        first, last = self.short(start), self.short(end)
        return f"{first} to {last.removeprefix(first.split()[0]).strip()}"

    def sortable(self, moment: datetime | None) -> str:
        """An instant in local time that sorts, ``YYYY-MM-DD HH:MM``."""
        return moment.astimezone(ZoneInfo(self.zone)).strftime("%Y-%m-%d %H:%M") if moment else ""


def numbers(values: Iterable[float] | FloatArray, decimals: int = 4) -> list[float | None]:
    """Rounded for the page; NaN becomes null."""
    rounded = np.round(np.asarray(values, dtype=np.float64), decimals) + 0.0
    return [None if np.isnan(value) else float(value) for value in rounded]


def steps(clock: Clock, horizon: Horizon, values: FloatArray, name: str, colour: str, **more: Any) -> dict[str, Any]:
    """A line that holds each value for its whole slot."""
    line = {"shape": "hv", "color": colour, "width": 1.8} | more.pop("line", {})
    trace = {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x0": clock.axis(horizon.start),
        "dx": horizon.step_s * 1000,
        "y": numbers([*values, values[-1]]),
        "line": line,
        "hovertemplate": "%{y:.2f}",
    }
    return trace | more


def time_axis(clock: Clock, horizon: Horizon, **more: Any) -> dict[str, Any]:
    """A local time axis over the horizon."""
    return {
        "type": "date",
        "range": [clock.axis(horizon.start), clock.axis(horizon.end)],
        "title": {"text": clock.title, "standoff": 20},
        "automargin": True,
        "tickformat": "%H:%M\n%a %-d %b",
        "hoverformat": "%a %-d %b %H:%M",
        "gridcolor": "var(--rule)",
        "linecolor": "var(--rule)",
        "tickcolor": "var(--rule)",
        "ticks": "outside",
        "zeroline": False,
    } | more


def value_axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis of values; ``title`` carries the unit."""
    return {
        "title": {"text": title, "standoff": 12},
        "gridcolor": "var(--rule)",
        "zerolinecolor": "var(--axis)",
        "automargin": True,
        "separatethousands": True,
    } | more


def layout(height: int, **more: Any) -> dict[str, Any]:
    """Layout that all pictures share."""
    return {
        "height": height,
        "margin": {"l": 68, "r": 16, "t": 12, "b": 66},
        "paper_bgcolor": "var(--paper)",
        "plot_bgcolor": "var(--paper)",
        "font": {
            "family": "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
            "size": 13,
            "color": "var(--ink)",
        },
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": "var(--paper)", "bordercolor": "var(--axis)", "font": {"color": "var(--ink)"}},
        "dragmode": "zoom",
    } | more


def band(clock: Clock, start: datetime, end: datetime, yref: str = "paper") -> dict[str, Any]:
    """A shaded period behind a picture (a demand-response event)."""
    return {
        "type": "rect",
        "xref": "x",
        "yref": yref,
        "x0": clock.axis(start),
        "x1": clock.axis(end),
        "y0": 0,
        "y1": 1,
        "fillcolor": "var(--event)",
        "line": {"width": 0},
        "layer": "below",
    }
