"""What a person has ordered by hand, and what follows from it for a job on a node; no input or output.

An override stands until it is released. The nearest one counts: that of the job before that of its node, that of the node before
that of its site. Caps are those of a node, or of a site, shared among its nodes by their peak power.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ozzo.commands import JobWish


class Target(StrEnum):
    """What an override is about."""

    JOB = "job"
    NODE = "node"
    SITE = "site"


class Action(StrEnum):
    """What it asks for."""

    PAUSE = "pause"
    RUN = "run"
    """run whatever the plan says; a job that has not begun starts at once"""
    STOP = "stop"
    CAP = "cap"
    """a node's or a site's highest power"""


WISHES = {Action.PAUSE: JobWish.PAUSED, Action.RUN: JobWish.RUNNING, Action.STOP: JobWish.STOPPED}


@dataclass(frozen=True, slots=True)
class Override:
    """An override in force.

    Attributes:
        id: number in the state.
        target, name: what it is about.
        action: what it asks for; kw: of a cap, IT power of a node, facility power of a site.
        reason: in a person's words; by: user name; at: wall clock UTC.
    """

    id: int
    target: Target
    name: str
    action: Action
    kw: float | None
    reason: str
    by: str
    at: datetime

    def __str__(self) -> str:
        kw = "" if self.kw is None else f" {self.kw:g} kW"
        return f"{self.target} {self.name} {self.action}{kw}: {self.reason} ({self.by}, {self.at:%Y-%m-%d %H:%M} UTC)"


@dataclass(frozen=True, slots=True)
class Place:
    """What the rules know of a node.

    Attributes:
        site: name of its site.
        idle_kw, peak_kw: IT power without jobs, with all cores busy.
        pue, overhead_kw: of its site (the power of a site's cap is ``pue`` times IT power, plus the overhead).
    """

    site: str
    idle_kw: float
    peak_kw: float
    pue: float = 1.0
    overhead_kw: float = 0.0


@dataclass(frozen=True)
class Rules:
    """All overrides in force, and the nodes that they may be about.

    Attributes:
        overrides: in force.
        places: nodes by name.
    """

    overrides: tuple[Override, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)

    def _of(self, target: Target, name: str) -> Override | None:
        found = (item for item in reversed(self.overrides) if item.target is target and item.name == name)
        return next((item for item in found if item.action is not Action.CAP), None)

    def ordered(self, job: str, node: str) -> Override | None:
        """The override that decides whether ``job`` runs on ``node``, or None."""
        place = self.places.get(node)
        near = self._of(Target.JOB, job) or self._of(Target.NODE, node)
        return near or (self._of(Target.SITE, place.site) if place else None)

    def wish(self, job: str, node: str, planned: JobWish) -> JobWish:
        """What a job on a node should do when the plan wants ``planned``; a stop of the plan stands."""
        found = self.ordered(job, node)
        if found is None or planned is JobWish.STOPPED:
            return planned
        return WISHES[found.action]

    def jobs(self, action: Action) -> frozenset[str]:
        """Jobs with an override of their own that asks for ``action``."""
        names = {item.name for item in self.overrides if item.target is Target.JOB}
        found = {name: self._of(Target.JOB, name) for name in names}
        return frozenset(name for name, item in found.items() if item is not None and item.action is action)

    def jobs_held(self) -> frozenset[str]:
        """Jobs that a person has paused or stopped by their name."""
        return self.jobs(Action.PAUSE) | self.jobs(Action.STOP)

    def closed_nodes(self) -> frozenset[str]:
        """Nodes that get no new work: paused or stopped by hand (or their site is), or with a cap below their peak power."""
        shut = set()
        for name, place in self.places.items():
            found = self._of(Target.NODE, name) or self._of(Target.SITE, place.site)
            cap_kw = self.cap_kw(name)
            if (found is not None and found.action is not Action.RUN) or (cap_kw is not None and cap_kw < place.peak_kw - 1e-9):
                shut.add(name)
        return frozenset(shut)

    def cap_kw(self, node: str) -> float | None:
        """IT power that a person leaves a node: the lower of its own cap and its share of its site's; None without any."""
        place = self.places.get(node)
        if place is None:
            return None
        caps = [item for item in self.overrides if item.action is Action.CAP and item.kw is not None]
        own = [item.kw for item in caps if item.target is Target.NODE and item.name == node and item.kw is not None]
        together = [place.peak_kw for place_site, place in self._mates(place.site)]
        for item in caps:
            if item.target is Target.SITE and item.name == place.site and item.kw is not None:
                it_kw = max(0.0, (item.kw - place.overhead_kw) / place.pue)
                own.append(it_kw * (place.peak_kw / sum(together) if sum(together) > 0 else 1.0 / len(together)))
        return min(own, default=None)

    def _mates(self, site: str) -> Iterable[tuple[str, Place]]:
        return ((name, place) for name, place in self.places.items() if place.site == site)
