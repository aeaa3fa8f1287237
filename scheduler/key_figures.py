"""Key figures of an execution: energies and powers of each site, from which every share follows.

Shares are percentages; one that would be a share of nothing is None. Sums over sites are made of energies and powers, never of
shares. Which key figures there are and why: the project's texts; formulas in ``docs/output.md``, "Key figures".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """Energies, powers and money of one site (or of several together), settled on 15-minute means.

    Attributes:
        hours: length of the period.
        import_kwh: taken from the grid.
        load_kwh: facility load and what other assets draw, not below 0 in a quarter.
        generated_kwh: local generation: sun and wind that was available, and what biogas units and generators gave.
        self_used_kwh: of it used at the site (batteries included): what was not exported, not below 0 in a quarter.
        curtailed_kwh: sun and wind that was rejected.
        covered_kwh: the smaller of load and available sun and wind in each quarter, summed.
        curtailed_eur: what the curtailed energy would have earned at the export price of its quarter (negative: have cost).
        peak_kw: highest mean import of a quarter.
        rated_kw: highest import limit that the connection has in the period.
        released_kw: how far the peak stays below that.
        cost_eur: energy cost of the site, as ``Totals.cost_eur`` counts it.
    """

    hours: float
    import_kwh: float
    load_kwh: float
    generated_kwh: float
    self_used_kwh: float
    curtailed_kwh: float
    covered_kwh: float
    curtailed_eur: float
    peak_kw: float
    rated_kw: float
    released_kw: float
    cost_eur: float

    @property
    def self_sufficiency_pct(self) -> float | None:
        """Local generation used at the site over all that is used there (with the import)."""
        return percent(self.self_used_kwh, self.self_used_kwh + self.import_kwh)

    @property
    def self_consumption_pct(self) -> float | None:
        """Local generation used at the site over all of it."""
        return percent(self.self_used_kwh, self.generated_kwh)

    @property
    def renewable_share_pct(self) -> float | None:
        """Load that available sun and wind covers in its own quarter, without any battery, over the load."""
        return percent(self.covered_kwh, self.load_kwh)

    @property
    def load_factor_pct(self) -> float | None:
        """Mean import over the rated power of the connection."""
        return percent(self.import_kwh, self.rated_kw * self.hours)


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """Key figures of an execution.

    Attributes:
        sites: figures of each site, in the scenario's order.
        group_peak_kw: highest mean net import of all sites together in a quarter, at least 0.
        group_export_peak_kw: the same of net export.
        feeders_released_kw: how far the highest flow of each feeder (either way) stays below its rating, summed; None without
            feeders.
    """

    sites: tuple[SiteFigures, ...]
    group_peak_kw: float
    group_export_peak_kw: float
    feeders_released_kw: float | None

    @property
    def total(self) -> SiteFigures:
        """All sites together: sums of energies, powers and money."""
        return together(self.sites)


def together(sites: Sequence[SiteFigures]) -> SiteFigures:
    """Sums over sites; the period is the same for all.

    Raises:
        ValueError: there is no site.
    """
    if not sites:
        raise ValueError("no site has no figures")
    sums = {part.name: float(sum(getattr(site, part.name) for site in sites)) for part in fields(SiteFigures)}
    return SiteFigures(**sums | {"hours": sites[0].hours})


def percent(part: float, whole: float) -> float | None:
    """``part`` in percent of ``whole``; None when that is nothing."""
    return 100.0 * part / whole if whole > 1e-12 else None


def jain(values: Iterable[float]) -> float | None:
    """Jain's fairness index of what members get: square of the sum over n times the sum of squares.

    1 when all get the same, 1 / n when one gets everything (Jain, Chiu and Hawe, DEC Research Report TR-301, 1984).

    Args:
        values: one number a member; below 0 counts as 0, because the index is defined for amounts that are not negative.

    Returns:
        The index, or None when nobody gets anything.
    """
    got = [max(0.0, value) for value in values]
    largest = max(got, default=0.0)
    if largest <= 1e-9:  # EUR or hours: dust of rounding is no gain
        return None
    shares = [value / largest for value in got]
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))
