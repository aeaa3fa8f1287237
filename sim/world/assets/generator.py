"""Emergency generators in the world: test runs and flexible output as planned, the load when the mains are gone; fuel counted."""

from __future__ import annotations

from grid.assets.generator import Generator
from grid.assets.site_asset import Bill
from sim.world.assets.follower import AssetWorld, Note


class GeneratorWorld(AssetWorld):
    """The generators.

    Attributes:
        tested_h: hours of test run so far.
        backup_kw: what they carry while the mains are gone, as the site's meter says (``sim.world.island``).
    """

    why_short = "its generators are not that large"
    makes_power = True

    def __init__(self, unit: Generator, note: Note) -> None:
        super().__init__(unit.name, note)
        self.unit = unit
        self.tested_h = 0.0
        self.backup_kw = 0.0
        self._now_s = 0.0

    def draw_kw(self, moment_s: float, it_kw: float) -> float:
        """Minus its output as planned; what it carries without mains is the meter's to say."""
        self.it_kw = it_kw
        return -self._power_kw(moment_s) if self.mains else 0.0

    def hold_s(self, now_s: float, until_s: float) -> float:  # noqa: ARG002 - the seam's
        """As long as the plan wants the same."""
        return until_s

    def advance(self, start_s: float, end_s: float) -> None:
        """Burn fuel, and count the test."""
        middle, hours = (start_s + end_s) / 2, (end_s - start_s) / 3600.0
        power = self._power_kw(middle) if self.mains else self.backup_kw
        self.miss(start_s, (self.wanted(middle, "power_kw") - power) * hours)  # without mains nothing is wanted
        energy = power * hours
        self.bill = self.bill.plus(Bill(energy * self.unit.fuel_eur_per_kwh, energy * self.unit.carbon_g_per_kwh))
        self.tested_h += hours * (self.wanted(middle, "test") > 0.5)
        self._now_s = end_s

    def state(self) -> dict[str, float]:
        """Hours of the scenario that are gone, whether the test has begun, and what is left of it."""
        begun = self.unit.tested or self.tested_h > 1e-9
        left = max(0.0, self.unit.test_h - self.tested_h) if begun else 0.0
        return {"hours": self.unit.gone_h + self._now_s / 3600.0, "tested": float(begun), "test_left_h": left}

    def _power_kw(self, moment_s: float) -> float:
        return min(max(0.0, self.wanted(moment_s, "power_kw")), self.unit.units * self.unit.unit_kw)
