"""What STEAM (Niewenhuis et al., CCGrid 2026) published of SURF's jobs on the Dutch grid, operational carbon in t.

From the results that its artefact stores; savings are against 277 hosts without shifting and battery, 14.23 t.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """One published figure.

    Attributes:
        carbon_t: operational carbon, t; saving_pct: percent below the plain run.
        delay_h: mean delay of a job; peak_kw: highest import; None where it is not known.
    """

    carbon_t: float
    saving_pct: float
    delay_h: float | None = None
    peak_kw: float | None = None


PUBLISHED: dict[str, Published] = {
    "at once": Published(14.23, 0.0, 0.0, 45.0),
    "their rule": Published(13.42, 5.7, 12.8, 46.5),
    "battery, their rule": Published(9.84, 30.8, 0.0, 359.5),
    "shifting and battery, their rules": Published(9.64, 32.3, None, 305.4),
}
"""By name of our row."""

JOBS, JOBS_S, HOURS, MEAN_G_PER_KWH = 194_917, 1_282_330_000.0, 3046, 243.6795
"""The jobs of these figures (their number, their lengths together), and the carbon intensity in their time (hours, mean)."""

HOSTS, BATTERY_KWH, BATTERY_WITH_SHIFTING_KWH = 277, 320.0, 260.0
PEAK_KW = 45.0
"""Highest import without shifting and battery, which a battery's import is held at."""
