"""What "Let's Wait Awhile" published, and how a series is known to be one of the paper's.

The figures are the output of the paper's own program (github.com/dos-group/lets-wait-awhile) on its own data (at 5 % error and
next workday: its stored results), savings in percent against running at once.
"""

from __future__ import annotations

from sim.reproduce.half_hours import HalfHours

YEAR = 2020
MEANS = {"DE": 313.4, "FR": 56.3}
"""Mean of 2020 in g/kWh by zone: a series of that year with that mean is the paper's."""

_WINDOWS = ("+-1 h", "+-2 h", "+-4 h", "+-6 h", "+-8 h")
_BATCH = (
    "next_workday, whole",
    "next_workday, interruptible",
    "semi_weekly, whole",
    "semi_weekly, interruptible",
)

PUBLISHED: dict[tuple[str, str, str, float], float] = {
    (zone, scenario, case, error): value
    for zone, scenario, cases, error, values in (
        ("DE", "I", _WINDOWS, 0.0, (1.69, 2.80, 3.97, 7.52, 13.76)),
        ("DE", "I", _WINDOWS, 0.05, (0.54, 1.40, 2.20, 5.46, 11.74)),
        ("FR", "I", _WINDOWS, 0.0, (2.92, 4.72, 6.09, 7.13, 7.79)),
        ("FR", "I", _WINDOWS, 0.05, (1.47, 3.00, 4.08, 5.00, 5.58)),
        ("DE", "II", _BATCH, 0.0, (5.93, 8.16, 14.13, 18.50)),
        ("FR", "II", _BATCH, 0.0, (4.79, 6.22, 11.15, 13.86)),
        ("DE", "II", _BATCH[:2], 0.05, (5.91, 7.93)),
        ("FR", "II", _BATCH[:2], 0.05, (4.77, 5.92)),
    )
    for case, value in zip(cases, values, strict=True)
}
"""Saving in percent by zone, scenario, case and error."""


def zone_of(carbon: HalfHours) -> str | None:
    """Zone of the paper that a series is, or None."""
    if carbon.start.year != YEAR:
        return None
    return next((zone for zone, mean in MEANS.items() if abs(carbon.year_mean - mean) < 0.05), None)
