"""Heat reuse in the world: the IT gives what heat it gives, the buffer loses heat and is full or empty at the very instant.

The world makes no more heat than the IT of the moment allows and delivers none without demand. Less heat than planned is no
broken rule (the customers' boilers make the rest, and it earns nothing); only what the machine itself could never do is.
"""

from __future__ import annotations

import copy
import math

import numpy as np

from grid.assets.heat_reuse import HeatReuse
from grid.assets.site_asset import Bill
from grid.heat_account import HeatAccount
from sim.world.assets.follower import AssetWorld, Note

TINY_S = 1e-6
TINY_KWH = 1e-9
"""A buffer within this of a bound is at it."""


class HeatWorld(AssetWorld):
    """The heat pump and its buffer.

    Attributes:
        level_kwh: heat in the buffer; account: heat delivered so far, and what it took.
    """

    why_short = "its heat pump is not that large"

    def __init__(self, unit: HeatReuse, note: Note) -> None:
        super().__init__(unit.name, note)
        self.unit = unit
        self.level_kwh = unit.initial_kwh
        self.account = HeatAccount()

    def draw_kw(self, moment_s: float, it_kw: float) -> float:
        """Electricity of heat pump and pumps, less what the hall's chiller is spared."""
        self.it_kw = it_kw
        made, _ = self._powers(moment_s)
        return made * (self.unit.power_per_heat - self.unit.source_per_heat * self._spared(moment_s))

    def hold_s(self, now_s: float, until_s: float) -> float:
        """Until the buffer is full or empty, or the demand or what the chiller is spared changes."""
        until_s = min(until_s, self._next_change_s(now_s))
        made, delivered = self._powers((now_s + until_s) / 2)
        net, level, size = made - delivered, self.level_kwh, self.unit.buffer_kwh
        rate = -math.log(1.0 - self.unit.loss_per_h)
        slope = net - rate * level
        bound = size if slope > 0 else 0.0
        if abs(slope) <= 1e-12 or abs(level - bound) <= TINY_KWH:
            return until_s
        if rate == 0:
            return min(until_s, now_s + (bound - level) / slope * 3600.0)
        end = net / rate  # where the level would come to rest
        if (end <= bound) if slope > 0 else (end >= bound):
            return until_s
        return min(until_s, now_s + math.log((level - end) / (bound - end)) / rate * 3600.0)

    def advance(self, start_s: float, end_s: float) -> None:
        """Fill or empty the buffer, and count what was made and delivered."""
        unit, middle, hours = self.unit, (start_s + end_s) / 2, (end_s - start_s) / 3600.0
        made, delivered = self._powers(middle)
        self.miss(start_s, max(0.0, self.wanted(middle, "made_kw") - unit.heat_kw) * hours)
        left, counted = unit.kept(hours)
        self.level_kwh = min(max(self.level_kwh * left + (made - delivered) * counted, 0.0), unit.buffer_kwh)
        made_kwh, delivered_kwh = made * hours, delivered * hours
        spared = made_kwh * unit.source_per_heat * self._spared(middle)
        self.account = self.account.plus(HeatAccount(delivered_kwh, made_kwh * unit.power_per_heat, spared))
        self.bill = self.bill.plus(Bill(made_kwh * unit.running_eur_per_kwh - delivered_kwh * unit.worth_eur_per_kwh))

    def state(self) -> dict[str, float]:
        """Heat in the buffer."""
        return {"store_kwh": self.level_kwh}

    def foreseen(self, now_s: float, then_s: float) -> dict[str, float]:
        """As of every asset, trusting that the IT will give the heat that the plan counts on."""
        trusting = copy.copy(self)
        trusting.it_kw = math.inf
        return AssetWorld.foreseen(trusting, now_s, then_s)

    def _powers(self, moment_s: float) -> tuple[float, float]:
        """Heat made and delivered at an instant, kW."""
        unit = self.unit
        made = min(max(0.0, self.wanted(moment_s, "made_kw")), unit.most_kw(self.it_kw))
        delivered = min(max(0.0, self.wanted(moment_s, "delivered_kw")), self.unit.demand_kw.at(self.origin_s + moment_s))
        if self.level_kwh >= unit.buffer_kwh - TINY_KWH:
            made = min(made, delivered - math.log(1.0 - unit.loss_per_h) * self.level_kwh)
        if self.level_kwh <= TINY_KWH:
            delivered = min(delivered, made)
        return made, delivered

    def _spared(self, moment_s: float) -> float:
        """Electricity that the chiller is spared per kW of heat taken."""
        return 0.0 if self.unit.spared is None else self.unit.spared.at(self.origin_s + moment_s)

    def _next_change_s(self, now_s: float) -> float:
        """Next instant at which demand or what the chiller is spared changes."""
        found = math.inf
        for series in (self.unit.demand_kw, self.unit.spared):
            if series is not None:
                later = np.searchsorted(series.edges_s, self.origin_s + now_s + TINY_S, side="right")
                found = min(found, float(series.edges_s[later]) - self.origin_s if later < len(series.edges_s) else math.inf)
        return found
