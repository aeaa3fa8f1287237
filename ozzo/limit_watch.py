"""Looks at the meters of a run whenever something may have changed, and lets the fast path answer what is above its limit.

A limit is that of a connection or of a demand-response event; the meter is that of the simulated world behind the nodes
(decision 0002), whose battery has then answered already by itself. What follows is up to the caller: a new plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from ozzo.fast_path import FastPath

TOLERANCE_KW = 1e-3
"""Assumption: no meter tells less than a watt."""
PLAN_AGAIN = timedelta(hours=1)
"""Assumption: a site's meter alone makes the controller plan anew at most this often (the ladder answers every time)."""


class Meters(Protocol):
    """Knows what sites draw now."""

    def reading(self, site: str) -> tuple[float, float]:
        """Net import of a site and the limit on it, kW."""


@dataclass(slots=True)
class LimitWatch:
    """Watches some sites.

    Attributes:
        meters: what they draw; fast: answers; sites: names.
    """

    meters: Meters
    fast: FastPath
    sites: tuple[str, ...]
    _planned: dict[str, datetime] = field(default_factory=dict)

    def look(self, now: datetime, cause: str = "meter above the limit") -> list[str]:
        """Let the fast path answer every site that is above its limit; the sites that gave something up."""
        self.fast.tick(now)
        shed = []
        for site in self.sites:
            net_kw, limit_kw = self.meters.reading(site)
            if net_kw > limit_kw + TOLERANCE_KW:
                answer = self.fast.on_limit(site, limit_kw, net_kw, now, cause, battery=False)
                if answer is not None and answer.steps:
                    shed.append(site)
        return shed

    def to_plan(self, sites: Iterable[str], now: datetime) -> list[str]:
        """Of the sites that gave something up, those for which the controller has not planned anew lately."""
        due = [site for site in sites if now - self._planned.get(site, now - PLAN_AGAIN) >= PLAN_AGAIN]
        self.planned(due, now)
        return due

    def planned(self, sites: Iterable[str], now: datetime) -> None:
        """The controller plans anew for these sites now."""
        self._planned |= dict.fromkeys(sites, now)
