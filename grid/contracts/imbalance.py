"""Imbalance settlement: what was taken against what was nominated the day before, period by period.

A site buys its nominated energy at the day-ahead price. What it takes more is bought, and what it takes less is sold back, at the
prices of imbalance; the Dutch settlement period is 15 minutes. Prices may be one (short equal to long) or two, and may be better
than the day-ahead price for who helps the system.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.horizon import FloatArray, Horizon
from grid.series import Series


@dataclass(frozen=True, slots=True, eq=False)
class ImbalanceContract:
    """Who settles the imbalance of some sites, each by itself, and at what prices.

    Attributes:
        name: unique name; sites: names, each once.
        short_eur_per_mwh: paid for each MWh that a site takes more than nominated (or gives less).
        long_eur_per_mwh: paid to it for each MWh that it takes less than nominated (or gives more).
        market_eur_per_mwh: day-ahead price of each site, in the order of ``sites``, without fees.
    """

    name: str
    sites: tuple[str, ...]
    short_eur_per_mwh: Series
    long_eur_per_mwh: Series
    market_eur_per_mwh: tuple[Series, ...]

    def settle(self, site: str, nominated_kwh: FloatArray, actual_kwh: FloatArray, periods: Horizon) -> Imbalance:
        """Imbalance of a site.

        Args:
            site: one of its sites.
            nominated_kwh: net import that was nominated for each period, ``[T]`` (import positive).
            actual_kwh: net import that was metered.
            periods: settlement periods.
        """
        market = self.market_eur_per_mwh[self.sites.index(site)].mean(periods)
        off = actual_kwh - nominated_kwh
        short, long = np.maximum(0.0, off), np.maximum(0.0, -off)
        return Imbalance(
            short,
            long,
            short * (self.short_eur_per_mwh.mean(periods) - market) / 1000.0,
            long * (market - self.long_eur_per_mwh.mean(periods)) / 1000.0,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Imbalance:
    """Imbalance of one site, each ``[T]``.

    Attributes:
        short_kwh, long_kwh: taken more, and less, than nominated; one of them is 0 in every period.
        short_eur, long_eur: what it costs beyond the day-ahead price of the metered energy; negative when it earns.
    """

    short_kwh: FloatArray
    long_kwh: FloatArray
    short_eur: FloatArray
    long_eur: FloatArray
