"""Which data must move, which may be staged, and where a job can read its inputs.

A dataset with a replica on a site outside ``allowed_sites`` must move: one required task, its source the first such
site, its targets the allowed sites without a replica. When every allowed site already holds one there is nothing to
move. A stageable dataset may be copied to an allowed site by an optional task that only a job's choice opens.
Ways between sites have the fewest hops (ties: order of the links). Power is counted at source and target; what the
sites on the way draw is not known to a ``Link`` and is left out.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from grid.horizon import Horizon
from scheduler.data import Dataset
from scheduler.facility import Link
from scheduler.objective import migration_drop_eur
from scheduler.problem import MigrationOption, MigrationTask
from scheduler.scenario import Scenario
from scheduler.workload import Job
from scheduler.world import Observation

DONE_TB = 1e-9
"""A migration with no more than this left (1 kB) is done."""

MBIT_PER_TB = 8e6
"""Megabits of a decimal terabyte."""


def slot_tb(rate_mbit_per_s: float, horizon: Horizon) -> float:
    """Volume that a slot carries at ``rate_mbit_per_s``, decimal terabytes."""
    return rate_mbit_per_s * horizon.step_s / MBIT_PER_TB


def find_way(links: tuple[Link, ...], source: str, target: str) -> tuple[int, ...] | None:
    """Indices of the links from ``source`` to ``target``, fewest hops, or None; dead links carry nothing."""
    ways: dict[str, tuple[int, ...]] = {source: ()}
    queue = deque([source])
    usable = [(index, link) for index, link in enumerate(links) if link.rate_mbit_per_s > 0]
    while queue:
        here = queue.popleft()
        if here == target:
            return ways[here]
        for index, link in usable:
            if here in link.ends:
                there = link.ends[1] if link.ends[0] == here else link.ends[0]
                if there not in ways:
                    ways[there] = (*ways[here], index)
                    queue.append(there)
    return None


@dataclass(slots=True)
class _State:
    """A dataset as observed: where it can be read now, and the index of its required move, if any."""

    present: frozenset[str]
    move: int | None


class DataTasks:
    """The migrations of one planning problem; staging copies are added when a job can use them."""

    def __init__(self, scenario: Scenario, horizon: Horizon, observation: Observation | None) -> None:
        self._scenario = scenario
        self._horizon = horizon
        self._moved_tb = observation.moved_tb if observation else {}
        self._moved_to = observation.moved_to if observation else {}
        self._index = {site.name: s for s, site in enumerate(scenario.sites)}
        self._tasks: list[MigrationTask] = []
        self._staging: dict[tuple[str, str], int | None] = {}
        self._states = {dataset.name: self._required(dataset) for dataset in scenario.datasets}
        self._datasets = {dataset.name: dataset for dataset in scenario.datasets}

    @property
    def tasks(self) -> tuple[MigrationTask, ...]:
        """Every migration: required ones first, then staging copies in order of first use."""
        return tuple(self._tasks)

    def reach(self, job: Job, site: str) -> tuple[int, ...] | str:
        """Migrations that must deliver before ``job`` can read its inputs at ``site``, or why it cannot."""
        needed = []
        for name in job.inputs:
            state = self._states[name]
            if site in state.present or self._staged(self._datasets[name], site):
                continue
            task = state.move
            if task is None or self._index[site] not in {option.site for option in self._tasks[task].options}:
                task = self._stage(self._datasets[name], site)
            if task is None:
                return f"{site} holds no replica of {name} and none can be brought there"
            needed.append(task)
        return tuple(sorted(set(needed)))

    def earliest(self, needed: tuple[int, ...], site: int) -> int:
        """First slot in which everything in ``needed`` can have arrived at ``site`` at full rate."""
        earliest = 0
        for index in needed:
            task = self._tasks[index]
            option = next(option for option in task.options if option.site == site)
            volume = slot_tb(option.rate_mbit_per_s, self._horizon)
            earliest = max(earliest, task.release + math.ceil(task.size_tb / volume - 1e-9))
        return earliest

    def _required(self, dataset: Dataset) -> _State:
        """State of ``dataset``, and its required move when the tier rule asks for one."""
        misplaced = [site for site in dataset.sites if site not in dataset.allowed_sites]
        targets = [site for site in dataset.allowed_sites if site not in dataset.sites]
        present = frozenset(dataset.sites)
        if not misplaced or (not targets and dataset.allowed_sites):
            return _State(present, None)
        begun = self._moved_to.get(dataset.name)
        if begun is not None:
            left = dataset.size_tb - self._moved_tb.get(dataset.name, 0.0)
            if left <= DONE_TB:
                return _State(present | {begun}, None)
            targets = [begun]
        end = self._horizon.slots
        if dataset.move_by is not None:
            end = min(end, max(0, self._horizon.floor_slot(dataset.move_by)))
        self._tasks.append(self._task(dataset, dataset.name, misplaced[0], targets, end, required=True))
        return _State(present, len(self._tasks) - 1)

    def _staged(self, dataset: Dataset, site: str) -> bool:
        """True when an earlier plan has already staged ``dataset`` there."""
        moved = self._moved_tb.get(f"{dataset.name}@{site}", 0.0)
        return moved > 0.0 and dataset.size_tb - moved <= DONE_TB

    def _stage(self, dataset: Dataset, site: str) -> int | None:
        """Index of the staging copy of ``dataset`` to ``site``, or None when it is not allowed or has no way."""
        if not dataset.stageable or site not in dataset.allowed_sites:
            return None
        key = (dataset.name, site)
        if key not in self._staging:
            ways = [(find_way(self._scenario.links, source, site), source) for source in dataset.sites]
            reachable = [(len(way), source) for way, source in ways if way is not None]
            if not reachable:
                self._staging[key] = None
            else:
                source = min(reachable, key=lambda pair: pair[0])[1]
                name = f"{dataset.name}@{site}"
                self._tasks.append(self._task(dataset, name, source, [site], self._horizon.slots, required=False))
                self._staging[key] = len(self._tasks) - 1
        return self._staging[key]

    def _task(
        self, dataset: Dataset, name: str, source: str, targets: list[str], deadline: int, *, required: bool
    ) -> MigrationTask:
        """One migration with a way to each of its targets."""
        options = [self._option(source, target) for target in targets]
        return MigrationTask(
            name=name,
            dataset=dataset.name,
            source=self._index[source],
            size_tb=max(DONE_TB, dataset.size_tb - self._moved_tb.get(name, 0.0)),
            release=0,
            deadline=deadline,
            required=required,
            drop_eur=migration_drop_eur(dataset) if required else 0.0,
            options=tuple(option for option in options if option is not None),
        )

    def _option(self, source: str, target: str) -> MigrationOption | None:
        """The way from ``source`` to ``target`` as an option, or None when there is none."""
        way = find_way(self._scenario.links, source, target)
        if not way:
            return None
        links = [self._scenario.links[index] for index in way]
        rate = min(link.rate_mbit_per_s for link in links)
        return MigrationOption(
            site=self._index[target],
            links=way,
            rate_mbit_per_s=rate,
            source_kw=links[0].power_kw * rate / links[0].rate_mbit_per_s,
            target_kw=links[-1].power_kw * rate / links[-1].rate_mbit_per_s,
        )
