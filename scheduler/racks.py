"""The nodes of one site and what is left of them, slot by slot: which of them a run may have."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from grid.horizon import FloatArray
from scheduler.build import holds
from scheduler.facility import NodeGroup
from scheduler.plan import Run
from scheduler.scenario import Scenario
from scheduler.workload import Job

EPS = 1e-9


@dataclass(slots=True)
class Rack:
    """The nodes of one site and what is left of them.

    Attributes:
        names: names of the nodes; groups: the group of each.
        left: cores, GPUs and memory left, ``[N, 3, T]``; works: nodes that may get new runs.
    """

    names: tuple[str, ...]
    groups: tuple[NodeGroup, ...]
    left: FloatArray
    works: list[bool]
    place: dict[str, int] = field(default_factory=dict)


def rack_of(scenario: Scenario, site_name: str, slots: int, failed: frozenset[str]) -> Rack:
    """All nodes of a site, empty."""
    site = scenario.site(site_name)
    groups = tuple(group for group in site.nodes for _ in range(group.count))
    names = site.node_names()
    sizes = np.array([[group.cores, group.gpus, group.memory_gb] for group in groups], dtype=np.float64).reshape(-1, 3)
    left = np.repeat(sizes[:, :, None], slots, axis=2)
    works = [name not in failed for name in names]
    return Rack(names, groups, left, works, {name: i for i, name in enumerate(names)})


def need_of(job: Job) -> FloatArray:
    """What one member of the gang needs of its node."""
    return np.array([job.cores, job.gpus, job.memory_gb], dtype=np.float64)


def keep(rack: Rack, nodes: tuple[str, ...], job: Job) -> list[int] | None:
    """``nodes`` that the job holds, when they are all of this site and none of them has failed meanwhile."""
    known = [rack.place[name] for name in nodes if name in rack.place and rack.works[rack.place[name]]]
    return known if len(known) == len(nodes) == job.nodes else None


def stay(rack: Rack, run: Run, nodes: tuple[str, ...], job: Job) -> list[int] | None:
    """``nodes`` of the piece right before, when all of them have room for this one too: nobody moves without need."""
    known = keep(rack, nodes, job)
    if known is None or (rack.left[known][:, :, run.start : run.end].min(axis=2) < need_of(job) - EPS).any():
        return None
    return known


def best_fit(rack: Rack, run: Run, job: Job) -> list[int] | None:
    """The nodes with room for the whole piece that leave least over, or None; all of one group."""
    need, period = need_of(job), slice(run.start, run.end)
    if not rack.names:
        return None
    room = rack.left[:, :, period].min(axis=2)
    fits = (room >= need - EPS).all(axis=1)
    for group in dict.fromkeys(rack.groups):
        members = [i for i, other in enumerate(rack.groups) if other is group and rack.works[i] and fits[i] and holds(group, job)]
        if len(members) >= job.nodes:
            before = rack.left[:, 0, run.start - 1] if run.start else room[:, 0]
            members.sort(key=lambda i: (float(room[i, 0]), float(before[i]), i))
            return members[: job.nodes]
    return None
