"""Faults of the mains in the simulated world: who rides through, who stops, who is lost, and what it took.

::

    mains gone --+-- power supplies bridge it (a short dip) ------------------------------------> nothing happens
                 |
                 +-- battery is an uninterruptible supply --> jobs run on
                 |        |  it can no longer carry them and what the fixed load needs (sim.world.island)
                 |        v
                 |     jobs stop: at a checkpoint if they can, rigid ones lose their work
                 |        |  generators carry the whole site: jobs go on
                 |        |  it is empty
                 |        v
                 +-- nothing carries the site --> dark: every node loses its power, every job its work
                          |  generators start, or the mains come back: nodes restart, jobs go on or begin again

Must-run comes first: the fixed load (overhead and idle nodes) keeps what energy it will need before jobs get any. Transfers rest
with the jobs of either end. What stops is told as hit by the fault, so that no plan answers for its delay.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import simpy

from grid.mains import MainsFault
from scheduler.outcome import MainsOutcome
from sim.world.assets.generator import GeneratorWorld
from sim.world.island import TINY_S, Island
from sim.world.meter import SiteMeter
from sim.world.migrations import Library
from sim.world.nodes import NodePool
from sim.world.work import SimulatedJob


@dataclass(slots=True)
class _Course:
    """One fault under way: what the site has, how its jobs are, and what has been counted."""

    fault: MainsFault
    why: str
    island: Island
    running: bool = True
    restarting: bool = False
    dark_s: float = 0.0
    saved: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """What faults act on.

    Attributes:
        env: clock; start: instant at which it is 0.
        meters, pools: by site; jobs: by name; library: the transfers.
        restart_s: time that nodes take to come back once there is power.
        note: writes a line to the world's log.
    """

    env: simpy.Environment
    start: datetime
    meters: Mapping[str, SiteMeter]
    pools: Mapping[str, NodePool]
    jobs: Mapping[str, SimulatedJob]
    library: Library
    restart_s: float
    note: Callable[[str], None]


class Outages:
    """All faults of the mains of a world.

    Attributes:
        found: what came of each fault that is over, in order of their ends.
    """

    def __init__(self, stage: Stage) -> None:
        self.found: list[MainsOutcome] = []
        self._stage = stage
        self._changed: dict[str, simpy.Event] = {}

    def let_happen(self, faults: tuple[MainsFault, ...]) -> None:
        """These faults happen (seconds after the world's start); one that begins while its site has another is left out."""
        for fault in faults:
            self._stage.env.process(self._happen(fault))

    def changed(self, site: str) -> None:
        """The power of a site's jobs has changed."""
        event = self._changed.pop(site, None)
        if event is not None:
            event.succeed()

    def _happen(self, fault: MainsFault) -> Generator[simpy.Event, Any, None]:
        env, note = self._stage.env, self._stage.note
        meter = self._stage.meters[fault.site]
        yield env.timeout(max(0.0, fault.start_s - env.now))
        if meter.island is not None:
            return
        if fault.bridged:
            depth = f"{fault.retained_pu:.0%} for {fault.length_s:.2g} s"
            note(f"{fault.name}: the voltage at {fault.site} dips to {depth}, which power supplies bridge")
            self.found.append(self._outcome(fault, None, (0.0, 0.0, 0.0)))
            return
        course = _Course(fault, f"the mains of {fault.site}", self._island(fault.site))
        note(f"{fault.name}: the mains of {fault.site} are gone for {_words(fault.length_s)}")
        before = (meter.bridged_kwh, meter.backup_kwh, meter.lost_kwh)
        meter.lose_mains(env.now, course.island)
        if course.island.battery is None:
            self._go_dark(course)
        while env.now < fault.end_s - TINY_S:
            yield from self._step(course)
        meter.regain_mains(env.now)
        note(f"{fault.name}: the mains of {fault.site} are back")
        if course.island.dark:
            self._light(course)
        elif not course.running and not course.restarting:
            self._let_run(course)
        after = (meter.bridged_kwh, meter.backup_kwh, meter.lost_kwh)
        self.found.append(self._outcome(fault, course, (after[0] - before[0], after[1] - before[1], after[2] - before[2])))

    def _island(self, name: str) -> Island:
        """What the site has without its mains, as they go."""
        meter = self._stage.meters[name]
        battery = meter.site.battery
        units = [asset.unit for asset in meter.assets if isinstance(asset, GeneratorWorld)]
        start_s = max((unit.start_s for unit in units), default=float("inf"))
        power_kw = sum(unit.units * unit.unit_kw for unit in units)
        return Island(battery if battery is not None and battery.ups else None, power_kw, self._stage.env.now + start_s)

    def _step(self, course: _Course) -> Generator[simpy.Event, Any, None]:
        """Until the next thing that matters to the site happens, and that."""
        env, island, end_s = self._stage.env, course.island, course.fault.end_s
        if island.dark:
            yield from self._in_the_dark(course)
            return
        whole = self._carries_all(course)
        if not course.running and whole and island.started(env.now) and not course.restarting:
            self._let_run(course)
            return
        limit_s = min(end_s, island.generator_s) if not course.running and whole and not island.started(env.now) else end_s
        meter = self._stage.meters[course.fault.site]
        meter.meter_to(env.now)
        until_s = meter.lasts_until_s(limit_s, jobs=course.running)
        if until_s > env.now + TINY_S:
            changed = self._changed[course.fault.site] = env.event()
            yield env.timeout(until_s - env.now) | changed
            if env.now < until_s - TINY_S:
                return  # its jobs draw another power: look again
        if until_s >= limit_s - TINY_S:
            return
        if course.running:
            self._stop(course, at_once=False)
        else:
            self._go_dark(course)

    def _in_the_dark(self, course: _Course) -> Generator[simpy.Event, Any, None]:
        """Until generators carry the site, or the mains are back."""
        env, island, end_s = self._stage.env, course.island, course.fault.end_s
        wake_s = end_s if island.started(env.now) else min(end_s, island.generator_s)
        course.dark_s += wake_s - env.now
        yield env.timeout(wake_s - env.now)
        if wake_s < end_s:
            self._stage.meters[course.fault.site].meter_to(env.now)
            self._stage.note(f"the generators of {course.fault.site} carry it")
            self._light(course)

    def _carries_all(self, course: _Course) -> bool:
        """The generators can carry the site with every core busy."""
        return self._stage.meters[course.fault.site].site.full_kw <= course.island.generator_kw

    def _stop(self, course: _Course, *, at_once: bool) -> None:
        """Take their nodes from all jobs of the site, and let its transfers rest."""
        site, pool = course.fault.site, self._stage.pools[course.fault.site]
        course.running = False
        pool.close(course.why)
        self._stage.library.set_power(site, there=False)
        for name in sorted(pool.holders()):
            saved = self._stage.jobs[name].lose_power(course.why, at_once=at_once)
            course.saved, course.lost = course.saved + saved, course.lost + (not saved)

    def _go_dark(self, course: _Course) -> None:
        self._stage.meters[course.fault.site].meter_to(self._stage.env.now)
        self._stage.note(f"{course.fault.site} has no power")
        if course.running:
            self._stop(course, at_once=True)
        course.island.dark = True

    def _let_run(self, course: _Course) -> None:
        """Jobs and transfers of the site may go on."""
        course.running = True
        pool = self._stage.pools[course.fault.site]
        pool.open(course.why)
        self._stage.library.set_power(course.fault.site, there=not pool.closed_by)

    def _light(self, course: _Course) -> None:
        """There is power again: nodes that had lost it restart."""
        course.island.dark, course.restarting = False, True
        self._stage.env.process(self._restart(course))

    def _restart(self, course: _Course) -> Generator[simpy.Event, Any, None]:
        """Nodes that lost their power come back; then jobs may go on (on generators, if those carry the whole site)."""
        yield self._stage.env.timeout(self._stage.restart_s)
        course.restarting = False
        on_island = self._stage.meters[course.fault.site].island is course.island
        if not course.running and not course.island.dark and (not on_island or self._carries_all(course)):
            self._let_run(course)

    def _outcome(self, fault: MainsFault, course: _Course | None, used_kwh: tuple[float, float, float]) -> MainsOutcome:
        return MainsOutcome(
            name=fault.name,
            site=fault.site,
            start=self._stage.start + timedelta(seconds=fault.start_s),
            end=self._stage.start + timedelta(seconds=fault.end_s),
            retained_pu=fault.retained_pu,
            bridged=course is None,
            dark_s=course.dark_s if course else 0.0,
            battery_kwh=used_kwh[0],
            generator_kwh=used_kwh[1],
            unserved_kwh=used_kwh[2],
            jobs_saved=course.saved if course else 0,
            jobs_lost=course.lost if course else 0,
        )


def _words(length_s: float) -> str:
    return f"{length_s:.3g} s" if length_s < 120 else f"{length_s / 60:.3g} min"
