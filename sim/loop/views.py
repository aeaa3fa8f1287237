"""The worlds that a controller of a closed loop acts on: the simulated one, as shadow, pilot and live let it be commanded.

Each is a ``scheduler.world.World``, so the controller cannot tell them apart; what the mode forbids, its world does not do.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from grid.response.event import CapacityEvent
from scheduler.plan import Plan
from scheduler.world import Observation
from sim.loop.pilot import joined
from sim.world import SimulatedWorld


class Stopwatch:
    """Computing time by part of the loop, all threads of this process (seconds)."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Count what is done inside to ``part``."""
        began = time.process_time()
        try:
            yield
        finally:
            self.cpu_s[part] += time.process_time() - began


class LiveView:
    """Everything is commanded.

    Args:
        world: what is simulated.
        watch: counts the world's computing time.
        reasons: the world keeps the reasons of plans.

    Attributes:
        until_slot: end of the window that is planned; what goes on beyond it is observed up to there.
    """

    def __init__(self, world: SimulatedWorld, watch: Stopwatch, *, reasons: bool) -> None:
        self.world, self.until_slot = world, world.scenario.horizon.slots
        self._watch, self._reasons = watch, reasons

    def now(self) -> datetime:
        """Current simulated instant, UTC."""
        return self.world.now()

    def observe(self, slot: int) -> Observation:
        """State at the start of ``slot``; of work that goes on beyond the window, the part inside."""
        with self._watch("world"):
            seen = self.world.observe(slot)
        room = self.until_slot - slot
        inside = max(1, room - 1)
        states = (state if state.remaining_slots <= room else replace(state, remaining_slots=inside) for state in seen.started)
        return replace(seen, started=tuple(states))

    def announce(self, events: tuple[CapacityEvent, ...]) -> None:
        """Let the sites know of demand-response events."""
        self.world.announce(events)

    def command(self, plan: Plan) -> None:
        """Carry out ``plan``."""
        with self._watch("world"):
            self.world.command(self.kept(plan))

    def advance(self, until: datetime) -> None:
        """Simulate until ``until``."""
        with self._watch("world"):
            self.world.advance(until)

    def kept(self, plan: Plan) -> Plan:
        """``plan`` as the world keeps it."""
        return plan if self._reasons else replace(plan, reasons={})


class ShadowView(LiveView):
    """Nothing is commanded."""

    def command(self, plan: Plan) -> None:
        """Nothing happens: a shadow only writes down."""


class PilotView(LiveView):
    """The pilot's sites are commanded; the others run ``baseline``, which the loop sets before each plan.

    Attributes:
        sites: names of the pilot's sites.
        baseline: the baseline's plan of the same moment.
    """

    def __init__(self, world: SimulatedWorld, watch: Stopwatch, sites: tuple[str, ...], *, reasons: bool) -> None:
        super().__init__(world, watch, reasons=reasons)
        self.sites = frozenset(sites)
        self.baseline: Plan | None = None

    def command(self, plan: Plan) -> None:
        """Carry out ``plan`` at the pilot's sites and the baseline's plan elsewhere.

        Raises:
            ValueError: no plan of the baseline is known.
        """
        if self.baseline is None:
            raise ValueError("a pilot needs the baseline's plan first")
        others = frozenset(site.name for site in self.world.scenario.sites) - self.sites
        with self._watch("world"):
            self.world.command(self.kept(joined(plan, self.baseline, self.sites)), ruled=others)
