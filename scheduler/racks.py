"""The nodes of one site and what is left of them, slot by slot: which of them a run may have."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

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
        names: names of the nodes; groups: each group with its first node and the one after its last.
        left: cores, GPUs and memory left, ``[N, 3, T]``; works: nodes that may get new runs, ``[N]``.
    """

    names: tuple[str, ...]
    groups: tuple[tuple[NodeGroup, int, int], ...]
    left: FloatArray
    works: npt.NDArray[np.bool_]
    place: dict[str, int] = field(default_factory=dict)


def rack_of(scenario: Scenario, site_name: str, slots: int, failed: frozenset[str]) -> Rack:
    """All nodes of a site, empty."""
    site = scenario.site(site_name)
    counts = [group.count for group in site.nodes]
    ends = np.cumsum(counts).tolist()
    groups = tuple((group, end - group.count, end) for group, end in zip(site.nodes, ends, strict=True))
    names = site.node_names()
    sizes = np.array([[group.cores, group.gpus, group.memory_gb] for group in site.nodes], dtype=np.float64).reshape(-1, 3)
    left = np.repeat(np.repeat(sizes, counts, axis=0)[:, :, None], slots, axis=2)
    works = np.array([name not in failed for name in names], dtype=np.bool_)
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
    fits = (room >= need - EPS).all(axis=1) & rack.works
    for group, first, end in rack.groups:
        members = first + np.flatnonzero(fits[first:end]) if holds(group, job) else np.zeros(0, dtype=np.intp)
        if len(members) >= job.nodes:
            before = rack.left[members, 0, run.start - 1] if run.start else room[members, 0]
            best = members[np.lexsort((members, before, room[members, 0]))]
            chosen: list[int] = best[: job.nodes].tolist()
            return chosen
    return None
