"""The power cap of a node and its lease: what holds when the controller falls silent.

::

    FREE ---- cap ----> CAPPED ---- lease lost ----> FAILSAFE ---- held long enough, and heartbeat, and fresh cap ----.
      |                    ^                            ^                                                              |
      |                    '----------------------------|--------------------------------------------------------------'
      '----------------- lease lost --------------------'

A node is never unlimited because nobody speaks to it. Modelled on the failsafe of the EEBUS load-limit use case: failsafe is
kept for a minimum time and left only after a heartbeat **and** a fresh limit. Pure; times are wall-clock UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class CapMode(StrEnum):
    """Which cap holds."""

    FREE = "free"
    """no cap was ever stated and no lease was lost"""
    CAPPED = "capped"
    """the controller's cap, under lease"""
    FAILSAFE = "failsafe"
    """the lease was lost"""


@dataclass(frozen=True, slots=True)
class CapRules:
    """What a node knows about itself.

    Attributes:
        failsafe_kw: IT power cap without a controller.
        hold: shortest stay in failsafe.
    """

    failsafe_kw: float
    hold: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Lease:
    """State of the cap and of the lease.

    Attributes:
        mode: which cap holds.
        stated_kw: the last cap that the controller stated, or None.
        until: when the controller's word runs out; None before its first word.
        cap_until: when the stated cap runs out; None when there is none.
        failsafe_since: start of the failsafe period; None outside.
        heard: a heartbeat came since failsafe began.
        fresh_kw: a cap that was stated since failsafe began, or None.
    """

    mode: CapMode = CapMode.FREE
    stated_kw: float | None = None
    until: datetime | None = None
    cap_until: datetime | None = None
    failsafe_since: datetime | None = None
    heard: bool = False
    fresh_kw: float | None = None

    def cap_kw(self, rules: CapRules) -> float | None:
        """The cap in force, kW of IT power, or None when there is none."""
        if self.mode is CapMode.FAILSAFE:
            return rules.failsafe_kw
        return self.stated_kw if self.mode is CapMode.CAPPED else None

    def left_s(self, now: datetime) -> float:
        """Seconds of lease left, 0 when it is lost or was never given."""
        return 0.0 if self.until is None else max(0.0, (self.until - now).total_seconds())

    def deadline(self, rules: CapRules) -> datetime | None:
        """When ``tick`` will change something without further word, or None."""
        if self.mode is CapMode.FAILSAFE:
            if self.failsafe_since is not None and self.heard and self.fresh_kw is not None:
                return self.failsafe_since + rules.hold
            return None
        moments = [moment for moment in (self.until, self.cap_until) if moment is not None]
        return min(moments, default=None)


def tick(lease: Lease, now: datetime, rules: CapRules) -> Lease:
    """Let time pass: lose a lease that ran out, leave failsafe when all three conditions hold."""
    if lease.mode is not CapMode.FAILSAFE:
        lost = any(moment is not None and now >= moment for moment in (lease.until, lease.cap_until))
        if not lost:
            return lease
        return replace(lease, mode=CapMode.FAILSAFE, failsafe_since=now, heard=False, fresh_kw=None)
    if lease.cap_until is not None and now >= lease.cap_until:
        lease = replace(lease, fresh_kw=None)
    if lease.until is not None and now >= lease.until:
        lease = replace(lease, heard=False)
    held = lease.failsafe_since is not None and now >= lease.failsafe_since + rules.hold
    if held and lease.heard and lease.fresh_kw is not None:
        return replace(lease, mode=CapMode.CAPPED, stated_kw=lease.fresh_kw, failsafe_since=None, fresh_kw=None, heard=False)
    return lease


def heard(lease: Lease, now: datetime, lease_s: float, rules: CapRules, *, heartbeat: bool) -> Lease:
    """The controller spoke: its lease runs for ``lease_s`` from now. Only a heartbeat counts towards leaving failsafe."""
    lease = tick(lease, now, rules)
    until = now + timedelta(seconds=lease_s)
    if lease.until is not None:
        until = max(until, lease.until)
    marked = lease.mode is CapMode.FAILSAFE and (lease.heard or heartbeat)
    return tick(replace(lease, until=until, heard=marked), now, rules)


def capped(lease: Lease, now: datetime, cap_kw: float, lease_s: float, rules: CapRules) -> Lease:
    """The controller stated a cap for ``lease_s`` from now; in failsafe it waits until failsafe may be left.

    A cap is no heartbeat: to leave failsafe, a heartbeat is needed too.
    """
    lease = tick(lease, now, rules)
    cap_until = now + timedelta(seconds=lease_s)
    if lease.mode is CapMode.FAILSAFE:
        return tick(replace(lease, fresh_kw=cap_kw, cap_until=cap_until), now, rules)
    return replace(lease, mode=CapMode.CAPPED, stated_kw=cap_kw, cap_until=cap_until)


def held_back(cap_kw: float | None, idle_kw: float, jobs: Mapping[str, float]) -> frozenset[str]:
    """Jobs that must stand still so that planned power stays under the cap.

    Jobs keep their place in the order given (oldest first); each one runs when idle power plus the power of those
    already let through plus its own is at most ``cap_kw``. ``sum(power of running) + idle_kw <= cap_kw`` always holds
    for jobs with positive power; a job of unknown power (0) is never held.

    Args:
        cap_kw: cap in force or None.
        idle_kw: IT power of the node without jobs.
        jobs: planned IT power by name of the jobs that should run, oldest first.
    """
    if cap_kw is None:
        return frozenset()
    used_kw = idle_kw
    held = set()
    for name, power_kw in jobs.items():
        if power_kw > 0 and used_kw + power_kw > cap_kw + 1e-9:
            held.add(name)
        else:
            used_kw += power_kw
    return frozenset(held)
