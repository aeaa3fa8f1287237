"""The world that the serving controller acts on: nodes that do the work, and a twin that meters what no meter tells.

The planner works in a thread of its own, so that commands, answers and overrides go on meanwhile. It sees a snapshot that was
taken when it began, and what it commands is put into force by the loop (``PlannerWorld``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from grid.contracts.limits import Direction
from grid.response.event import CapacityEvent
from ozzo.serve.evidence import Slot
from scheduler.allowed import allowed_kw
from scheduler.plan import Plan
from scheduler.scenario import Scenario
from scheduler.world import Observation
from sim.world.simulated import SimulatedWorld


@dataclass
class PlannerWorld:
    """``scheduler.world.World`` of the planning thread.

    Attributes:
        moment: instant of the snapshot; snapshot: what was observed, at the slot from which the plan decides.
        commanded: the plan that passed, for the loop to put into force.
    """

    moment: datetime
    snapshot: Observation | None = None
    commanded: Plan | None = None

    def now(self) -> datetime:
        """Instant of the snapshot, UTC."""
        return self.moment

    def observe(self, slot: int) -> Observation:
        """The snapshot.

        Raises:
            ValueError: it was taken for another slot.
        """
        if self.snapshot is None or self.snapshot.slot != slot:
            raise ValueError(f"slot {slot} was not observed")
        return self.snapshot

    def announce(self, events: tuple[CapacityEvent, ...]) -> None:
        """The loop has told the twin."""

    def command(self, plan: Plan) -> None:
        """Leave the plan for the loop."""
        self.commanded = plan

    def advance(self, until: datetime) -> None:
        """Time passes by itself."""


class Twin:
    """The simulated world beside the nodes, begun anew from what was seen with each plan.

    Attributes:
        world: that runs now, None before the first plan.
        plan: that it carries out.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self.world: SimulatedWorld | None = None
        self.plan: Plan | None = None
        self._next: tuple[Observation, Plan, Scenario, frozenset[str]] | None = None
        self._aside: frozenset[str] = frozenset()

    def follow(
        self, scenario: Scenario, plan: Plan, seen: Observation, now: datetime, aside: frozenset[str] = frozenset()
    ) -> None:
        """Carry out ``plan`` from the moment of the observation on that it was made for, which may lie ahead.

        Args:
            scenario: with every event.
            plan: the plan.
            seen: the observation.
            now: instant of now.
            aside: jobs that the observation calls finished although they only stand aside.
        """
        self._next = (seen, plan, scenario, aside)
        self.advance(now)

    def advance(self, now: datetime) -> None:
        """Let its time pass until ``now``, not beyond the end of the horizon."""
        if self._next is not None and now >= self._next[0].moment:
            seen, plan, scenario, self._aside = self._next
            self._next = None
            self._scenario, self.plan = scenario, plan
            world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False, observation=seen)
            world.command(plan)
            self.world = world
        if self.world is not None:
            self.world.advance(max(self.world.now(), min(now, self._scenario.horizon.end)))

    def hold(self, plan: Plan) -> None:
        """Carry a held plan out from now on; a plan that lies ahead still takes over."""
        if self.world is not None:
            self.world.command(plan)
            self.plan = plan

    def observe(self, scenario: Scenario, slot: int) -> Observation | None:
        """What it foresees for ``slot``; None before the first plan, or when it follows another document."""
        if self.world is None or self._scenario.horizon != scenario.horizon:
            return None
        seen = self.world.observe(slot)
        return replace(seen, finished=seen.finished - self._aside)

    def announce(self, events: tuple[CapacityEvent, ...]) -> None:
        """Let its sites know of events."""
        if self.world is not None:
            self.world.announce(events)
        if self._next is not None:
            seen, plan, scenario, aside = self._next
            self._next = (seen, plan, replace(scenario, events=events), aside)

    def finished(self) -> frozenset[str]:
        """Jobs that it has done."""
        return self.world.finished() - self._aside if self.world is not None else frozenset()

    def limit_kw(self, site: str, start: datetime) -> float:
        """Highest import of a site in the slot that begins at ``start``, kW."""
        horizon = self._scenario.horizon
        return float(allowed_kw(self._scenario, self._scenario.site(site), Direction.IMPORT, horizon)[horizon.floor_slot(start)])

    def settled(self, start: datetime, step: timedelta) -> Slot | None:
        """What it metered in the slot of length ``step`` from ``start`` on, against the plan.

        None when it did not run through the whole slot under one plan.
        """
        world, plan = self.world, self.plan
        if world is None or plan is None or start < world.horizon.start or start < plan.horizon.start:
            return None
        number = round((start - world.horizon.start) / step)
        slot = plan.horizon.floor_slot(start)
        if slot >= plan.horizon.slots:
            return None
        hours, metered, error = step.total_seconds() / 3600.0, 0.0, 0.0
        violations = []
        for s, name in enumerate(plan.sites):
            kw = float(world.meters[name].import_kw(step.total_seconds(), number + 1)[number])
            limit_kw = self.limit_kw(name, start)
            metered, error = metered + kw * hours, error + abs(kw - float(plan.energy.import_kw[s, slot])) * hours
            if kw > limit_kw + 1e-6:
                violations.append(f"{name} took {kw:.2f} kW of {limit_kw:.2f} kW at {start:%Y-%m-%d %H:%M} UTC (twin)")
        return Slot(start, metered, error, hours, tuple(violations))


Limited = Callable[[str, float, str], bool]
"""``on_limit(site, limit_kw, cause)``: answer a sudden limit at once; False when nobody did. The loop plans again either way."""
