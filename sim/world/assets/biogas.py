"""A biogas unit in the world: the store fills and empties continuously, runs dry or flares at the very instant."""

from __future__ import annotations

from grid.assets.biogas import DUST_KW, BiogasChp
from grid.assets.site_asset import Bill
from sim.world.assets.follower import AssetWorld, Note

TINY_KWH = 1e-9
"""A store within this of a bound is at it."""


class BiogasWorld(AssetWorld):
    """The unit; gives the planned power as long as there is gas for it.

    Attributes:
        level_kwh: gas in the store; flared_kwh: gas flared so far.
    """

    why_short = "its gas store is empty"
    makes_power = True

    def __init__(self, unit: BiogasChp, note: Note) -> None:
        super().__init__(unit.name, note)
        self.unit = unit
        self.level_kwh = unit.initial_kwh
        self.flared_kwh = 0.0
        self._on = unit.initially_on

    def draw_kw(self, moment_s: float, it_kw: float) -> float:
        """Minus its output."""
        self.it_kw = it_kw
        return -self._power_kw(moment_s)

    def hold_s(self, now_s: float, until_s: float) -> float:
        """Until the store is empty (nothing changes for the site when it is full)."""
        rate = self._rate_kw((now_s + until_s) / 2)
        if rate >= 0 or self.level_kwh <= self.unit.lowest_kwh + TINY_KWH:
            return until_s
        return min(until_s, now_s + (self.level_kwh - self.unit.lowest_kwh) / -rate * 3600.0)

    def advance(self, start_s: float, end_s: float) -> None:
        """Fill or empty the store, flare what it cannot take, count starts, upkeep and heat."""
        unit, middle, hours = self.unit, (start_s + end_s) / 2, (end_s - start_s) / 3600.0
        power, rate = self._power_kw(middle), self._rate_kw(middle)
        self.miss(start_s, (self._asked_kw(middle) - power) * hours)
        level = self.level_kwh + rate * hours
        flared = max(0.0, level - unit.store_kwh)
        self.flared_kwh += flared
        self.level_kwh = min(max(level, unit.lowest_kwh), unit.store_kwh)
        on = power > 0
        heat_kw = power / unit.electrical_efficiency * unit.thermal_efficiency
        cost = unit.start_eur * (on and not self._on)
        cost += (power * unit.running_eur_per_kwh - heat_kw * unit.heat_eur_per_kwh) * hours
        self.bill, self._on = self.bill.plus(Bill(cost)), on

    def state(self) -> dict[str, float]:
        """Gas in the store, and whether it runs."""
        return {"store_kwh": self.level_kwh, "on": float(self._on)}

    def _asked_kw(self, moment_s: float) -> float:
        asked = min(max(0.0, self.wanted(moment_s, "power_kw")), self.unit.power_kw)
        return 0.0 if asked < DUST_KW else asked

    def _power_kw(self, moment_s: float) -> float:
        asked = self._asked_kw(moment_s)
        if self.level_kwh <= self.unit.lowest_kwh + TINY_KWH:
            return min(asked, self.unit.gas_kw * self.unit.electrical_efficiency)
        return asked

    def _rate_kw(self, moment_s: float) -> float:
        """Rate at which the store would fill if it were endless."""
        return self.unit.gas_kw - self._power_kw(moment_s) / self.unit.electrical_efficiency
