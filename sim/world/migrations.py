"""Datasets in the simulated world: replicas, and the transfers that bring them to other sites.

A transfer runs at its planned rate between its planned instants: the whole schedule of a transfer is sent ahead, so command
delays do not touch it. It draws power at both ends in proportion to its rate. A replica can be read when the whole volume
has arrived; the old one stays readable until the end of the horizon (sources are deleted after the plan).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import simpy

from scheduler.data import Dataset
from scheduler.facility import Link
from scheduler.plan import Transfer
from scheduler.scenario import Scenario
from scheduler.workload import Job
from scheduler.world import Observation

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
    """A transfer under way since ``since_s``, with the IT power it draws at both ends."""

    transfer: Transfer
    since_s: float
    source_kw: float
    target_kw: float


class Library:
    """Replicas by dataset and the transfers under way.

    Attributes:
        replicas: sites that hold a readable replica, by dataset.
        moved_tb: volume that has arrived, by migration; moved_to: where, by migration.
        finished_s: instant at which a migration was complete (seconds after the world's start), by migration.
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

    def open(self, transfer: Transfer) -> None:
        """A piece of a migration begins."""
        source_kw, target_kw = end_power_kw(way(self._scenario.links, transfer.source, transfer.target), transfer.rate_mbit_per_s)
        self._active[transfer.migration] = _Active(transfer, self._env.now, source_kw, target_kw)
        self.moved_to.setdefault(transfer.migration, transfer.target)
        self._power_changed(transfer.source)
        self._power_changed(transfer.target)

    def close(self, migration: str) -> None:
        """A piece of a migration ends (nothing happens when none is under way)."""
        active = self._active.pop(migration, None)
        if active is None:
            return
        volume = active.transfer.rate_mbit_per_s * (self._env.now - active.since_s) / MBIT_PER_TB
        self.moved_tb[migration] = self.moved_tb.get(migration, 0.0) + volume
        self._power_changed(active.transfer.source)
        self._power_changed(active.transfer.target)
        self._deliver(migration)

    def close_all(self) -> None:
        """Another plan takes over: every piece under way ends."""
        for migration in sorted(self._active):
            self.close(migration)

    def power_kw(self, site: str) -> float:
        """IT power (kW) of the transfers at ``site`` now."""
        return sum(
            (active.source_kw if active.transfer.source == site else 0.0)
            + (active.target_kw if active.transfer.target == site else 0.0)
            for active in self._active.values()
        )

    def moved_until_tb(self, migration: str, now_s: float) -> float:
        """Volume that has arrived until ``now_s``, the piece under way included."""
        active = self._active.get(migration)
        begun = active.transfer.rate_mbit_per_s * (now_s - active.since_s) / MBIT_PER_TB if active else 0.0
        return self.moved_tb.get(migration, 0.0) + begun

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
