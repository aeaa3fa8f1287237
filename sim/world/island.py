"""A site whose mains are gone: what carries it, and for how long.

Sun and wind serve the load first, as long as an uninterruptible supply or running generators form a grid for them; then the
generators, once they have started; then the battery. What nobody carries is unserved, what nobody needs is curtailed. Nothing
goes to or comes from the grid. A site that carries nothing is *dark*: its fixed load (overhead and idle nodes) counts as load
that is unserved, so that the balance of the meter closes.
"""

from __future__ import annotations

from dataclasses import dataclass

from grid.assets.battery import Battery

TINY_S = 1e-6
TINY_KW = 1e-9
TINY_KWH = 1e-9


@dataclass(frozen=True, slots=True)
class IslandFlow:
    """Powers of an island (kW, each positive in its own direction; the battery's charging positive)."""

    used_kw: float
    generator_kw: float
    battery_kw: float
    unserved_kw: float


@dataclass(slots=True)
class Island:
    """What a site has while its mains are gone.

    Attributes:
        battery: its battery when that is an uninterruptible supply, else None.
        generator_kw: output of all its emergency generators; generator_s: when they carry the load (seconds after the world's
            start), infinite without any.
        dark: nothing is carried now.
    """

    battery: Battery | None
    generator_kw: float
    generator_s: float
    dark: bool = False

    def flow(self, load_kw: float, available_kw: float, soc_kwh: float, now_s: float) -> IslandFlow:
        """Who carries ``load_kw`` now, with ``available_kw`` of sun and wind."""
        if self.dark:
            return IslandFlow(0.0, 0.0, 0.0, load_kw)
        used = min(available_kw, load_kw)
        generated = min(self.generator_kw if self.started(now_s) else 0.0, load_kw - used)
        rest, battery_kw = load_kw - used - generated, 0.0
        if self.battery is not None and rest > 0 and soc_kwh > TINY_KWH:
            battery_kw = -min(rest, self.battery.discharge_kw)
        elif self.battery is not None and rest <= 0 and soc_kwh < self.battery.energy_kwh - TINY_KWH:
            battery_kw = min(available_kw - used, self.battery.charge_kw)
        return IslandFlow(used + max(0.0, battery_kw), generated, battery_kw, max(0.0, rest + min(0.0, battery_kw)))

    def started(self, now_s: float) -> bool:
        """The generators carry the load now."""
        return now_s >= self.generator_s - TINY_S

    def floor_kwh(self, must_kw: float, now_s: float) -> tuple[float, float]:
        """State of charge that the fixed load still needs, below which jobs must stop, and the rate (kW) at which it falls.

        Until generators start, what carries the fixed load up to then; without generators, the battery's reserve.

        Args:
            must_kw: fixed load.
            now_s: now.
        """
        if self.battery is None:
            return 0.0, 0.0
        if self.started(now_s):
            return 0.0, 0.0
        if self.generator_s == float("inf"):
            return self.battery.reserve_soc_kwh, 0.0
        rate = must_kw / self.battery.discharge_efficiency
        return rate * (self.generator_s - now_s) / 3600.0, rate


def holds_for_s(flow: IslandFlow, island: Island, soc_kwh: float, floor: tuple[float, float], length_s: float) -> float:
    """Seconds for which constant powers carry the load with the state of charge above a falling floor, at most ``length_s``.

    Args:
        flow: the powers.
        island: of which site.
        soc_kwh: state of charge now.
        floor: level and rate at which it falls, as ``Island.floor_kwh``.
        length_s: for how long nothing else changes.
    """
    if flow.unserved_kw > TINY_KW:
        return 0.0
    if island.battery is None:
        return length_s
    rate = island.battery.soc_rate_kw(flow.battery_kw)
    above, closing = soc_kwh - floor[0], -(rate + floor[1])
    if closing <= TINY_KW or flow.battery_kw >= 0:
        return length_s
    return min(length_s, max(0.0, above) / closing * 3600.0)
