"""What every asset of the simulated world can do: follow plans, say its draw, pass time, and tell what it could not do.

Instants are seconds after the start of the world's horizon. Between two instants that ``hold_s`` names, the draw is constant.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import ClassVar

from grid.assets.site_asset import Bill
from scheduler.asset_runs import AssetRun

Note = Callable[[float, str], None]
"""Told an instant and what happened then."""


class AssetWorld(ABC):
    """One asset in the world.

    Attributes:
        name: of the asset; bill: what it has owed by itself so far.
        short_kwh: energy that plans wanted and it could not give or take; first_short_s: when that began; why_short: in words.
        it_kw: IT power of its site (idle nodes included) when its draw was last asked for.
        origin_s: Unix second of the start of the world's horizon.
        makes_power: what it gives is local generation (a store only gives back).
        mains: the mains are there; without them it stands still, whatever plans want.
    """

    why_short = "it cannot do that"
    makes_power: ClassVar[bool] = False
    origin_s = 0.0

    def __init__(self, name: str, note: Note) -> None:
        self.name = name
        self.bill = Bill()
        self.short_kwh = 0.0
        self.first_short_s: float | None = None
        self.it_kw = 0.0
        self.note = note
        self.mains = True
        self._plans: list[tuple[list[float], Mapping[str, list[float]]]] = []

    def follow(self, run: AssetRun | None, edges_s: list[float]) -> None:
        """Do what a plan wants from its first slot on; ``edges_s`` are the edges of its slots, None wants nothing."""
        series = {} if run is None else {name: values.tolist() for name, values in run.series.items()}
        self._plans.append((edges_s, series))

    def wanted(self, moment_s: float, name: str) -> float:
        """What the plan in force wants at an instant; 0 without a plan, and without mains."""
        if not self.mains:
            return 0.0
        for edges, series in reversed(self._plans):
            if moment_s >= edges[0]:
                slot = bisect_right(edges, moment_s) - 1
                return series[name][slot] if name in series and slot < len(series[name]) else 0.0
        return 0.0

    def foreseen(self, now_s: float, then_s: float) -> dict[str, float]:
        """State at an instant to come, when the plans known now are followed until then; changes nothing."""
        twin = copy.copy(self)
        twin.note = lambda _moment, _text: None
        edges = sorted({edge for plan, _ in self._plans for edge in plan if now_s < edge < then_s} | {then_s})
        begin = now_s
        for edge in edges:
            while begin < edge:
                end = max(min(edge, twin.hold_s(begin, edge)), begin + 1e-6)
                twin.draw_kw((begin + end) / 2, self.it_kw)
                twin.advance(begin, end)
                begin = end
        return twin.state()

    def miss(self, start_s: float, kwh: float) -> None:
        """Record that the plan wanted so much more energy from an instant on."""
        if kwh <= 1e-9:
            return
        if self.first_short_s is None:
            self.first_short_s = start_s
            self.note(start_s, f"{self.name} cannot follow the plan: {self.why_short}")
        self.short_kwh += kwh

    @abstractmethod
    def draw_kw(self, moment_s: float, it_kw: float) -> float:
        """Net draw at the site's balance at an instant (output negative), with the site's IT power then."""

    @abstractmethod
    def hold_s(self, now_s: float, until_s: float) -> float:
        """Instant up to which the draw from ``now_s`` on stays as it is; what plans want does not change until ``until_s``."""

    @abstractmethod
    def advance(self, start_s: float, end_s: float) -> None:
        """Let time pass in which the draw is constant."""

    @abstractmethod
    def state(self) -> dict[str, float]:
        """What a planner must know of it now (keys of ``SiteAsset.begun``)."""
