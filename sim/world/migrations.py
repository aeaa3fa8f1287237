"""Datasets in the simulated world: replicas, and the transfers that bring them to other sites.

A transfer runs between its planned instants: the whole schedule of a transfer is sent ahead, so command delays do not touch it.
It asks for its planned rate, and transfers that cross a link at the same time share it (``sim.world.sharing``); a link carries
its rate, or what other traffic leaves of it. Every beginning, end and change of a link shares anew, so between two of these all
rates are constant and the instant at which a volume is through is exact. What is not through at its planned end goes on until
it is. A transfer draws power at both ends in proportion to its rate, and rests while one of its ends has no power for it. A
replica can be read when the whole volume has arrived; the old one stays readable until the end of the horizon (sources are
deleted after the plan).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import simpy

from grid.horizon import FloatArray
from scheduler.data import Dataset
from scheduler.facility import Link
from scheduler.plan import Transfer
from scheduler.scenario import Scenario
from scheduler.workload import Job
from scheduler.world import Observation
from sim.world.sharing import fair_rates

MBIT_PER_TB = 8e6
DONE_TB = 1e-9
"""A migration with no more than this left (1 kB) is done."""


def way(links: tuple[Link, ...], source: str, target: str) -> tuple[Link, ...]:
    """Links from ``source`` to ``target`` with the fewest hops (ties: order of the links); empty when there is no way."""
    ways: dict[str, tuple[Link, ...]] = {source: ()}
    frontier = [source]
    while frontier and target not in ways:
        reached: list[str] = []
        for here in frontier:
            for link in links:
                if here in link.ends:
                    there = link.ends[1] if link.ends[0] == here else link.ends[0]
                    if there not in ways:
                        ways[there] = (*ways[here], link)
                        reached.append(there)
        frontier = reached
    return ways.get(target, ())


def end_power_kw(links: tuple[Link, ...], rate_mbit_per_s: float) -> tuple[float, float]:
    """IT power (kW) at source and target of a transfer at ``rate_mbit_per_s`` over ``links``; 0 without a way."""
    if not links:
        return 0.0, 0.0
    first, last = links[0], links[-1]
    source = first.power_kw * rate_mbit_per_s / first.rate_mbit_per_s if first.rate_mbit_per_s > 0 else 0.0
    target = last.power_kw * rate_mbit_per_s / last.rate_mbit_per_s if last.rate_mbit_per_s > 0 else 0.0
    return source, target


def required_moves(scenario: Scenario) -> dict[str, Dataset]:
    """Datasets that the tier rule moves: a replica lies where none may, and an allowed site still lacks one."""
    return {
        dataset.name: dataset
        for dataset in scenario.datasets
        if any(site not in dataset.allowed_sites for site in dataset.sites)
        and (not dataset.allowed_sites or any(site not in dataset.sites for site in dataset.allowed_sites))
    }


@dataclass(slots=True)
class _Active:
    """A transfer under way.

    Attributes:
        transfer: the planned piece; way: the links that it crosses.
        left_mbit: what is still to come of this piece, at ``since_s``; rate: Mbit/s since then.
        source_kw, target_kw: IT power at both ends since then.
        overdue: its planned end has passed.
    """

    transfer: Transfer
    way: tuple[Link, ...]
    left_mbit: float
    since_s: float
    rate: float = 0.0
    source_kw: float = 0.0
    target_kw: float = 0.0
    overdue: bool = False


class Library:
    """Replicas by dataset and the transfers under way.

    Attributes:
        replicas: sites that hold a readable replica, by dataset.
        moved_tb: volume that has arrived, by migration; moved_to: where, by migration.
        finished_s: instant at which a migration was complete (seconds after the world's start), by migration.
        energy_kwh: IT energy by migration and site, until the last change.
        changed: succeeds when the next replica arrives.
    """

    def __init__(
        self,
        env: simpy.Environment,
        scenario: Scenario,
        observation: Observation | None,
        power_changed: Callable[[str], None],
        note: Callable[[str], None],
    ) -> None:
        self._env = env
        self._scenario = scenario
        self._datasets = {dataset.name: dataset for dataset in scenario.datasets}
        self._power_changed, self._note = power_changed, note
        self._active: dict[str, _Active] = {}
        self._left_share = {link.name: 1.0 for link in scenario.links}
        self._dark: set[str] = set()
        self._shared = 0
        self.energy_kwh: dict[tuple[str, str], float] = {}
        self.changed: simpy.Event = env.event()
        self.replicas = {dataset.name: set(dataset.sites) for dataset in scenario.datasets}
        self.moved_tb: dict[str, float] = dict(observation.moved_tb) if observation else {}
        self.moved_to: dict[str, str] = dict(observation.moved_to) if observation else {}
        self.finished_s: dict[str, float] = {}
        for migration in self.moved_to:
            self._deliver(migration)

    def has_data(self, job: Job, site: str) -> bool:
        """True when every input of ``job`` can be read at ``site``."""
        return all(site in self.replicas[name] for name in job.inputs)

    def open(self, transfer: Transfer, length_s: float) -> None:
        """A piece of a migration begins, planned to last ``length_s`` seconds."""
        late = self._active.pop(transfer.migration, None)
        left = 0.0 if late is None else self._progress(late)
        links = way(self._scenario.links, transfer.source, transfer.target)
        volume = transfer.rate_mbit_per_s * length_s
        self._active[transfer.migration] = _Active(transfer, links, left + volume, self._env.now)
        self.moved_to.setdefault(transfer.migration, transfer.target)
        self._share(
            {transfer.source, transfer.target} | (set() if late is None else {late.transfer.source, late.transfer.target})
        )

    def end(self, migration: str) -> None:
        """The planned end of a piece: it ends, or goes on until its volume is through."""
        active = self._active.get(migration)
        if active is None:
            return
        if self._through(active):
            self.close(migration)
        elif not active.overdue:
            active.overdue = True
            self._note(f"{migration} is late: it had less than its planned rate")
            self._share(set())

    def close(self, migration: str) -> None:
        """A piece of a migration stops here and now (nothing happens when none is under way)."""
        active = self._active.pop(migration, None)
        if active is None:
            return
        self._progress(active)
        self._share({active.transfer.source, active.transfer.target})
        self._deliver(migration)

    def close_all(self) -> None:
        """Another plan takes over: every piece under way ends."""
        for migration in sorted(self._active):
            self.close(migration)

    def set_power(self, site: str, *, there: bool) -> None:
        """Transfers from and to a site rest while it has no power for them."""
        if there == (site not in self._dark):
            return
        self._settle()
        if there:
            self._dark.discard(site)
        else:
            self._dark.add(site)
        self._share(set())

    def set_link_share(self, link: str, share: float) -> None:
        """Other traffic leaves this share of a link's rate from now on."""
        self._settle()
        self._left_share[link] = share
        self._share(set())

    def let_links_change(self, shares: Mapping[str, FloatArray], gone_s: float) -> None:
        """Other traffic leaves these shares of each link, one an hour, of which ``gone_s`` seconds are over."""
        for link, values in shares.items():
            self._env.process(self._change(link, values.tolist(), gone_s))

    def _change(self, link: str, shares: list[float], gone_s: float) -> Generator[simpy.Event, Any, None]:
        for hour in range(int(gone_s // 3600.0), len(shares)):
            wait_s = hour * 3600.0 - gone_s - self._env.now
            if wait_s > 0:
                yield self._env.timeout(wait_s)
            self.set_link_share(link, shares[hour])

    def parts_kw(self, site: str) -> dict[str, float]:
        """IT power (kW) of each transfer at ``site`` now."""
        found: dict[str, float] = {}
        for name, active in self._active.items():
            for end, power in ((active.transfer.source, active.source_kw), (active.transfer.target, active.target_kw)):
                if end == site:
                    found[name] = found.get(name, 0.0) + power
        return found

    def power_kw(self, site: str) -> float:
        """IT power (kW) of the transfers at ``site`` now."""
        return sum(self.parts_kw(site).values())

    def moved_until_tb(self, migration: str, now_s: float) -> float:
        """Volume that has arrived until ``now_s``, the piece under way included."""
        active = self._active.get(migration)
        begun = min(active.left_mbit, active.rate * (now_s - active.since_s)) / MBIT_PER_TB if active else 0.0
        return self.moved_tb.get(migration, 0.0) + begun

    def rate_mbit_per_s(self, migration: str) -> float:
        """Rate of a transfer now; 0 when none is under way."""
        active = self._active.get(migration)
        return active.rate if active else 0.0

    def _settle(self) -> None:
        for active in self._active.values():
            self._progress(active)

    def _progress(self, active: _Active) -> float:
        """Count what has come through since the last change; the volume that is left of the piece, Mbit."""
        passed_s, name = self._env.now - active.since_s, active.transfer.migration
        volume = min(active.left_mbit, active.rate * passed_s)
        self.moved_tb[name] = self.moved_tb.get(name, 0.0) + volume / MBIT_PER_TB
        for site, power in ((active.transfer.source, active.source_kw), (active.transfer.target, active.target_kw)):
            self.energy_kwh[name, site] = self.energy_kwh.get((name, site), 0.0) + power * passed_s / 3600.0
        active.left_mbit, active.since_s = active.left_mbit - volume, self._env.now
        return active.left_mbit

    def _share(self, changed: set[str]) -> None:
        """Share all links anew; tell the sites (and ``changed``) whose power is another one, and wait for the next end."""
        self._settle()
        names = sorted(self._active)
        actives = [self._active[name] for name in names]
        wanted = [
            0.0 if self._dark & {active.transfer.source, active.transfer.target} else active.transfer.rate_mbit_per_s
            for active in actives
        ]
        capacity = {link.name: link.rate_mbit_per_s * self._left_share[link.name] for link in self._scenario.links}
        rates = fair_rates([tuple(link.name for link in active.way) for active in actives], wanted, capacity)
        for active, rate in zip(actives, rates, strict=True):
            if rate != active.rate:
                active.rate = rate
                active.source_kw, active.target_kw = end_power_kw(active.way, rate)
                changed |= {active.transfer.source, active.transfer.target}
        self._shared += 1
        late_s = [active.left_mbit / active.rate for active in actives if active.overdue and active.rate > 0]
        if late_s:
            self._env.process(self._wait(min(late_s), self._shared))
        for site in sorted(changed):
            self._power_changed(site)

    def _wait(self, length_s: float, shared: int) -> Generator[simpy.Event, Any, None]:
        """Close what is through when nothing has been shared anew by then."""
        yield self._env.timeout(length_s)
        if shared == self._shared:
            for name in sorted(self._active):
                if self._active[name].overdue and self._through(self._active[name]):
                    self.close(name)

    def _through(self, active: _Active) -> bool:
        """True when the volume of a piece has come through; what rounding left of it counts as arrived."""
        left = self._progress(active)
        if left > DONE_TB * MBIT_PER_TB:
            return False
        self.moved_tb[active.transfer.migration] += left / MBIT_PER_TB
        active.left_mbit = 0.0
        return True

    def _deliver(self, migration: str) -> None:
        """Make the replica readable once all of it is there."""
        name = migration.split("@", maxsplit=1)[0]
        dataset, target = self._datasets[name], self.moved_to[migration]
        if self.moved_tb.get(migration, 0.0) < dataset.size_tb - DONE_TB or target in self.replicas[name]:
            return
        self.replicas[name].add(target)
        self.finished_s[migration] = self._env.now
        self._note(f"{name} arrived at {target}")
        changed, self.changed = self.changed, self._env.event()
        changed.succeed()
