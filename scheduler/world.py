"""The world that the controller acts on, and what it observes there.

``sim`` gives the controller simulated time, ``ozzo`` gives it MQTT and real nodes. Nothing may ask which.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from grid.response.event import CapacityEvent
from scheduler.plan import Plan


@dataclass(frozen=True, slots=True)
class JobState:
    """A job that has begun.

    Attributes:
        job: name; site: where.
        nodes: names of the nodes it holds.
        remaining_slots: planned slots of work left after the observation, at least 1.
        running: it runs at the moment of observation (a rigid job always does).
    """

    job: str
    site: str
    nodes: tuple[str, ...]
    remaining_slots: int
    running: bool


@dataclass(frozen=True, slots=True)
class Observation:
    """The state of the world at one slot edge.

    Attributes:
        slot: slot of the scenario's horizon from which a new plan may decide.
        moment: instant of that slot's start, UTC.
        finished: names of jobs that are done.
        started: jobs that have begun and are not done.
        soc_kwh: state of charge by site (sites with a battery only).
        peak_kw: highest 15-minute mean import so far by site.
        moved_tb: volume already moved by migration name.
        moved_to: target that a migration has begun to fill, by migration name.
        failed_nodes: nodes that are out of order.
        assets: state of each asset by ``<site>/<asset>``, keys of its own.
        asleep: nodes that sleep.
        peaks: peak so far of each charge of a capacity tariff, by site and key of the charge.
    """

    slot: int
    moment: datetime
    finished: frozenset[str]
    started: tuple[JobState, ...]
    soc_kwh: dict[str, float]
    peak_kw: dict[str, float]
    moved_tb: dict[str, float]
    moved_to: dict[str, str]
    failed_nodes: frozenset[str] = frozenset()
    assets: dict[str, dict[str, float]] = field(default_factory=dict)
    peaks: dict[str, dict[str, float]] = field(default_factory=dict)
    asleep: frozenset[str] = frozenset()


class World(Protocol):
    """What the controller may do with the world."""

    def now(self) -> datetime:
        """Current instant of the world's clock, UTC."""

    def observe(self, slot: int) -> Observation:
        """State at the start of ``slot``, foreseen from the plan in force when the slot is still to come."""

    def announce(self, events: tuple[CapacityEvent, ...]) -> None:
        """Let the sites know of demand-response events: all of them, also those announced before."""

    def command(self, plan: Plan) -> None:
        """Carry out ``plan`` from its first slot on; replaces the plan in force."""

    def advance(self, until: datetime) -> None:
        """Let time pass until ``until`` (waits, or simulates)."""
