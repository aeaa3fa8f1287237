"""Identical jobs are counted, not listed: one class of the model for all jobs that no solver could tell apart.

Exact: a class of ``n`` jobs has whole counts where a single job has 0 or 1. Rigid counts are starts, so handing the
starts out job by job loses nothing. For interruptible jobs the counts ``u[t] <= y`` with ``sum u = work * y`` fall
apart into ``y`` jobs of ``work`` different slots each: list every slot ``u[t]`` times in order and deal the list out
like cards; no job gets a slot twice, because no slot is listed more than ``y`` times.
Jobs that wait for a migration stay single, because half of the data must not start half of the jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.problem import JobOption, JobTask, Problem
from scheduler.workload import JobKind

EPS = 1e-9
"""Tolerance on resources (cores, GPUs, GB)."""


@dataclass(frozen=True, slots=True)
class JobClass:
    """Jobs that no solver could tell apart.

    Attributes:
        members: indices of the jobs, ascending.
        task: any of them.
        slots: for each option the slots that may be chosen: starts of a rigid job, slots of an interruptible one.
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


def possible_slots(problem: Problem, task: JobTask, option: JobOption) -> tuple[int, ...]:
    """Slots that ``task`` may choose at ``option``: window, earliest arrival of data and its own need of capacity.

    Starts of a rigid job, slots of an interruptible one; empty when its work does not fit in.
    """
    first = max(task.release, option.earliest)
    if first + task.work > task.deadline:
        return ()
    need = np.array(task.resources)
    fits = np.all(problem.capacity[:, option.site, first : task.deadline] >= need[:, None] - EPS, axis=0)
    if task.kind is JobKind.INTERRUPTIBLE:
        slots = np.flatnonzero(fits) + first
        return tuple(slots.tolist()) if len(slots) >= task.work else ()
    blocks = np.convolve(fits, np.ones(task.work, dtype=int), mode="valid") == task.work
    return tuple((np.flatnonzero(blocks) + first).tolist())


def job_classes(problem: Problem) -> tuple[JobClass, ...]:
    """Classes of all jobs that can run somewhere, in the order of their first member."""
    groups: dict[object, list[int]] = {}
    for j, task in enumerate(problem.jobs):
        alone = j if any(option.migrations for option in task.options) else -1
        key = (task.kind, task.work, task.release, task.deadline, task.resources, task.options, task.drop_eur, task.pinned, alone)
        groups.setdefault(key, []).append(j)
    classes = []
    for members in groups.values():
        task = problem.jobs[members[0]]
        slots = tuple(possible_slots(problem, task, option) for option in task.options)
        if any(slots):
            classes.append(JobClass(tuple(members), task, slots))
    return tuple(classes)


def deal(counts: Sequence[int], slots: Sequence[int], jobs: int) -> list[tuple[int, ...]]:
    """Slots of each of ``jobs`` interruptible jobs from the count of each slot (see the module's docstring)."""
    cards = [slot for slot, count in zip(slots, counts, strict=True) for _ in range(count)]
    return [tuple(cards[hand::jobs]) for hand in range(jobs)]
