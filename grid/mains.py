"""What can happen to a site's mains: outages, and short dips of the voltage, at given times or drawn from rates.

A dip keeps a share of the nominal voltage. Power supplies of computers bridge some of them: the envelope is that of the ITI
(CBEMA) curve (Information Technology Industry Council, application note, 2000), which says what such equipment rides through
without an interruption: no voltage at all for 20 ms, 70 % for 0.5 s, 80 % for 10 s, 90 % for ever. What lies outside it is a
loss of the mains for whatever has no uninterruptible supply.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

RIDE_THROUGH: tuple[tuple[float, float], ...] = ((0.9, float("inf")), (0.8, 10.0), (0.7, 0.5), (0.0, 0.02))
"""Least voltage that is left (share of nominal), and the longest time in seconds that equipment bridges at it."""

DIP_PU = 0.9
"""A dip keeps less than this share of the nominal voltage (EN 50160)."""

YEAR_S = 8760.0 * 3600.0


@dataclass(frozen=True, slots=True)
class MainsFault:
    """A fault of one site's mains.

    Attributes:
        name: what it is called; site: where.
        start_s: when it begins (Unix seconds in a scenario, seconds after its start in a world); length_s: how long it lasts.
        retained_pu: voltage that is left, as a share of the nominal one; 0: an outage.

    Raises:
        ValueError: no length, or a voltage outside 0 to 1.
    """

    name: str
    site: str
    start_s: float
    length_s: float
    retained_pu: float = 0.0

    def __post_init__(self) -> None:
        if not self.length_s > 0 or not 0 <= self.retained_pu <= 1:
            raise ValueError(f"{self.name}: a fault lasts longer than 0 s and keeps 0 to 1 of the voltage")

    @property
    def end_s(self) -> float:
        """When the mains are back."""
        return self.start_s + self.length_s

    @property
    def bridged(self) -> bool:
        """Power supplies ride through it by themselves."""
        return any(self.retained_pu >= least and self.length_s <= most_s for least, most_s in RIDE_THROUGH)


@dataclass(frozen=True, slots=True)
class FaultRates:
    """How often mains fail, and for how long (exponential).

    Attributes:
        outages_per_year, outage_s: outages of each site, and their mean length.
        dips_per_year, dip_s: voltage dips, and their mean length; the voltage that is left is uniform below ``DIP_PU``.
    """

    outages_per_year: float = 0.0
    outage_s: float = 3600.0
    dips_per_year: float = 0.0
    dip_s: float = 0.2


def draw_faults(rng: np.random.Generator, site: str, rates: FaultRates, length_s: float) -> tuple[MainsFault, ...]:
    """Faults of one site in ``length_s`` seconds, in order of time (seconds after the beginning): two Poisson processes.

    Args:
        rng: the site's stream.
        site: its name.
        rates: how often and how long.
        length_s: period in which faults begin.
    """
    found: list[MainsFault] = []
    for kind, per_year, mean_s in (
        ("outage", rates.outages_per_year, rates.outage_s),
        ("dip", rates.dips_per_year, rates.dip_s),
    ):
        moment_s = float(rng.exponential(YEAR_S / per_year)) if per_year > 0 else float("inf")
        while moment_s < length_s:
            left = float(rng.uniform(0.0, DIP_PU)) if kind == "dip" else 0.0
            found.append(MainsFault(f"{kind}-{len(found) + 1}", site, moment_s, max(1e-3, float(rng.exponential(mean_s))), left))
            moment_s += float(rng.exponential(YEAR_S / per_year))
    return tuple(sorted(found, key=lambda fault: fault.start_s))


def apart(faults: Iterable[MainsFault]) -> tuple[MainsFault, ...]:
    """The faults in order of time and site, those of one site that touch made one (the deeper voltage holds for all of it)."""
    merged: list[MainsFault] = []
    for fault in sorted(faults, key=lambda fault: (fault.site, fault.start_s, fault.name)):
        last = merged[-1] if merged else None
        if last is not None and last.site == fault.site and fault.start_s <= last.end_s:
            end_s = max(last.end_s, fault.end_s)
            merged[-1] = replace(last, length_s=end_s - last.start_s, retained_pu=min(last.retained_pu, fault.retained_pu))
        else:
            merged.append(fault)
    return tuple(sorted(merged, key=lambda fault: (fault.start_s, fault.site)))
