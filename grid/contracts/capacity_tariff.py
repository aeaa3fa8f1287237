"""Capacity tariffs: a price per kW of the highest quarter-hour mean in a window of the day, month by month, version by version.

Stedin's variable capacity tariff for charging points rewards use outside the grid's peak (003:3729-3733); a monthly peak charge
is the same with one window of the whole day. The peak counts anew in every calendar month of the local clock, and from the day
on which another version of the tariff begins to hold. What was reached before the horizon is carried in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from grid.contracts.windows import DailyWindow, instant
from grid.horizon import FloatArray, Horizon

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TariffWindow:
    """A window with its price.

    Attributes:
        name: unique in its version; window: part of the day.
        eur_per_kw: price of each kW of the highest mean import in it, for a month.
    """

    name: str
    window: DailyWindow
    eur_per_kw: float


@dataclass(frozen=True, slots=True)
class TariffVersion:
    """What holds from a local day on until the next version does.

    Attributes:
        valid_from: first local day.
        windows: they do not overlap.
    """

    valid_from: date
    windows: tuple[TariffWindow, ...]


@dataclass(frozen=True, slots=True)
class PeakCharge:
    """A peak that is billed by itself: one window in one month of one version.

    Attributes:
        key: names it within its tariff.
        spans: when it counts, Unix seconds, half-open.
        eur_per_kw: price of each kW above ``reached_kw``.
        reached_kw: peak that is paid for already.
    """

    key: str
    spans: tuple[tuple[float, float], ...]
    eur_per_kw: float
    reached_kw: float

    def slots(self, horizon: Horizon) -> BoolArray:
        """Slots that it touches, ``[T]``; a slot longer than a quarter of an hour counts whole."""
        edges, touched = horizon.edges_s, np.zeros(horizon.slots, dtype=bool)
        for start, end in self.spans:
            touched |= (edges[1:] > start) & (edges[:-1] < end)
        return touched

    def paid_kw(self, import_kw: FloatArray, horizon: Horizon) -> float:
        """What is paid for beyond what was reached: of the highest mean import in its slots, kW."""
        inside = import_kw[self.slots(horizon)]
        return max(0.0, float(inside.max(initial=0.0)) - self.reached_kw)


@dataclass(frozen=True, slots=True)
class CapacityTariff:
    """A capacity tariff of some sites, each with its own peaks.

    Attributes:
        name: unique name; sites: names, each once.
        zone: IANA name of the clock of months, days and windows.
        versions: by ``valid_from``, ascending.
        reached: site, key and kW of peaks that are paid for already.
    """

    name: str
    sites: tuple[str, ...]
    zone: str
    versions: tuple[TariffVersion, ...]
    reached: tuple[tuple[str, str, float], ...] = ()

    def charges(self, site: str, horizon: Horizon) -> tuple[PeakCharge, ...]:
        """Every peak of a site that counts in some part of ``horizon``, in order of time."""
        zone, found = ZoneInfo(self.zone), []
        known = {key: kw for owner, key, kw in self.reached if owner == site}
        for month in _months(horizon, zone):
            month_s, next_s = (instant(day, 0, zone, fold=0) for day in (month, _next_month(month)))
            for n, version in enumerate(self.versions):
                begin_s = max(month_s, instant(version.valid_from, 0, zone, fold=0), horizon.start_s)
                later = [instant(other.valid_from, 0, zone, fold=0) for other in self.versions[n + 1 :]]
                end_s = min([next_s, horizon.end_s, *later])
                for window in version.windows if begin_s < end_s else ():
                    spans = window.window.spans(horizon.start, horizon.end, zone)
                    inside = tuple((max(a, begin_s), min(b, end_s)) for a, b in spans if a < end_s and begin_s < b)
                    if inside:
                        key = f"{window.name} {month:%Y-%m} v{n + 1}"
                        found.append(PeakCharge(key, inside, window.eur_per_kw, known.get(key, 0.0)))
        return tuple(found)

    def key(self, window: str, horizon: Horizon) -> str | None:
        """Key of the peak of a window that counts at the start of ``horizon``: its month, the version then in force."""
        zone = ZoneInfo(self.zone)
        today = horizon.start.astimezone(zone).date()
        held = [n for n, version in enumerate(self.versions) if version.valid_from <= today]
        if not held or window not in {item.name for item in self.versions[held[-1]].windows}:
            return None
        return f"{window} {today:%Y-%m} v{held[-1] + 1}"

    def begun(self, seen: Mapping[str, Mapping[str, float]]) -> CapacityTariff:
        """The tariff with the peaks that were observed since, by site and key."""
        kw = {(site, key): value for site, key, value in self.reached}
        for site in self.sites:
            for key, value in seen.get(site, {}).items():
                kw[site, key] = max(kw.get((site, key), 0.0), value)
        return replace(self, reached=tuple((site, key, value) for (site, key), value in kw.items()))


def dearest_at_once(charges: Iterable[PeakCharge], horizon: Horizon) -> float:
    """The most that one kW more in one slot can cost in all charges together, EUR."""
    total = np.zeros(horizon.slots)
    for charge in charges:
        total += charge.eur_per_kw * charge.slots(horizon)
    return float(total.max())


def _months(horizon: Horizon, zone: ZoneInfo) -> list[date]:
    """First days of the local months that the horizon touches."""
    month, found = horizon.start.astimezone(zone).date().replace(day=1), []
    while instant(month, 0, zone, fold=0) < horizon.end_s:
        found.append(month)
        month = _next_month(month)
    return found


def _next_month(month: date) -> date:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
