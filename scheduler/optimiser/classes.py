"""Identical jobs are counted, not listed: one class of the model for all jobs that no solver could tell apart.

Exact: a class of ``n`` jobs has whole counts where a single job has 0 or 1. Rigid counts are starts, so handing the
starts out job by job loses nothing. For interruptible jobs the counts ``u[t] <= y`` with ``sum u = work * y`` fall
apart into ``y`` jobs of ``work`` different slots each: list every slot ``u[t]`` times in order and deal the list out
like cards; no job gets a slot twice, because no slot is listed more than ``y`` times. Malleable shares are split evenly:
what ``y`` jobs do together within their rows, each of them does with one ``y``-th of it. Lateness is a price of starts, slots
or shares, so it does not depend on who gets which.
Jobs that wait for a migration stay single, because half of the data must not start half of the jobs; so do jobs whose pieces
or gaps have a least length or a price (whole pieces cannot be dealt like cards) and jobs of a workflow (one waits for another).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scheduler.problem import JobOption, JobTask, Problem, slots_needed
from scheduler.workload import JobKind

EPS = 1e-9
"""Tolerance on resources (cores, GPUs, GB)."""


@dataclass(frozen=True, slots=True)
class JobClass:
    """Jobs that no solver could tell apart.

    Attributes:
        members: indices of the jobs, ascending.
        task: any of them.
        slots: for each option the slots that may be chosen: starts of a rigid job, slots of the others.
    """

    members: tuple[int, ...]
    task: JobTask
    slots: tuple[tuple[int, ...], ...]

    @property
    def count(self) -> int:
        """Number of jobs."""
        return len(self.members)

    @property
    def rigid(self) -> bool:
        """True when it runs in one piece."""
        return self.task.kind is JobKind.RIGID

    @property
    def malleable(self) -> bool:
        """True when it runs in shares of slots."""
        return self.task.kind is JobKind.MALLEABLE

    @property
    def in_pieces(self) -> bool:
        """True when the pieces of an interruptible job matter: least lengths, or a price of restarting."""
        return has_pieces(self.task)


def has_pieces(task: JobTask) -> bool:
    """True when it matters in how many pieces, or how long ones, an interruptible job runs."""
    return task.kind is JobKind.INTERRUPTIBLE and (task.min_run > 1 or task.min_gap > 1 or task.restart_eur > 0)


def possible_slots(problem: Problem, task: JobTask, option: JobOption) -> tuple[int, ...]:
    """Slots that ``task`` may choose at ``option``: window, earliest arrival of data, its own need of capacity.

    Starts of a rigid job, slots of the others (for a malleable one those with room for any share of it); empty when its
    work does not fit in. Of the capacity its tenant's share counts.
    """
    first = max(task.release, option.earliest)
    if first + slots_needed(task) > task.deadline:
        return ()
    need = np.array(task.resources)
    room = problem.capacity[:, option.site, first : task.deadline]
    if task.tenant >= 0 and not task.pinned:
        room = room * problem.tenants[task.tenant].share
    if task.kind is JobKind.MALLEABLE:
        most = np.minimum(1.0, (room[need > 0] / need[need > 0, None]).min(axis=0, initial=1.0))
        enough = float(most.sum()) * max(mode.speed for mode in task.modes) >= task.work - EPS
        return tuple((np.flatnonzero(most > EPS) + first).tolist()) if enough else ()
    fits = np.all(room >= need[:, None] - EPS, axis=0)
    if task.kind is JobKind.INTERRUPTIBLE:
        slots = np.flatnonzero(_long_enough(fits, task.min_run)) + first
        return tuple(slots.tolist()) if len(slots) >= task.work >= task.min_run else ()
    blocks = np.convolve(fits, np.ones(task.work, dtype=int), mode="valid") == task.work
    return tuple((np.flatnonzero(blocks) + first).tolist())


def _long_enough(fits: npt.NDArray[np.bool_], length: int) -> npt.NDArray[np.bool_]:
    """``fits`` without the stretches that are shorter than ``length``."""
    if length <= 1:
        return fits
    kept = np.zeros(len(fits), dtype=bool)
    for start in range(len(fits) - length + 1):
        if fits[start : start + length].all():
            kept[start : start + length] = True
    return kept


def job_classes(problem: Problem) -> tuple[JobClass, ...]:
    """Classes of all jobs that can run somewhere, in the order of their first member.

    A job that comes after one that can run nowhere can run nowhere either.
    """
    linked = {j for j, task in enumerate(problem.jobs) if task.after} | {p for task in problem.jobs for p in task.after}
    groups: dict[object, list[int]] = {}
    for j, task in enumerate(problem.jobs):
        single = j in linked or has_pieces(task) or any(option.migrations for option in task.options)
        groups.setdefault((replace(task, name="", obstacles=()), j if single else -1), []).append(j)
    classes = []
    for members in groups.values():
        task = problem.jobs[members[0]]
        slots = tuple(possible_slots(problem, task, option) for option in task.options)
        if any(slots):
            classes.append(JobClass(tuple(members), task, slots))
    return _without_orphans(classes)


def _without_orphans(classes: list[JobClass]) -> tuple[JobClass, ...]:
    """The classes without those that come after a job in none of them."""
    while True:
        possible = {j for group in classes for j in group.members}
        kept = [group for group in classes if group.task.pinned or possible.issuperset(group.task.after)]
        if len(kept) == len(classes):
            return tuple(classes)
        classes = kept


def deal(counts: Sequence[int], slots: Sequence[int], jobs: int) -> list[tuple[int, ...]]:
    """Slots of each of ``jobs`` interruptible jobs from the count of each slot (see the module's docstring)."""
    cards = [slot for slot, count in zip(slots, counts, strict=True) for _ in range(count)]
    return [tuple(cards[hand::jobs]) for hand in range(jobs)]
