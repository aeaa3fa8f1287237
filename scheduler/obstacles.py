"""What cannot be done at all, whatever else is planned, and the smallest change that would help, in words and numbers."""

from __future__ import annotations

import math

import numpy as np

from scheduler.data_tasks import slot_tb
from scheduler.optimiser.classes import possible_slots
from scheduler.plan import Reason, ReasonKind
from scheduler.policies.schedule import Schedule
from scheduler.problem import RESOURCES, JobTask, MigrationTask, Problem, slots_needed
from scheduler.workload import JobKind

RESOURCE_WORDS = {"cores": "cores", "gpus": "GPUs", "memory_gb": "GB of memory"}


def span(problem: Problem, slots: int) -> str:
    """Length of time of some slots in words."""
    minutes = round(slots * problem.horizon.step_s / 60)
    hours, rest = divmod(minutes, 60)
    parts = [f"{hours} h"] if hours else []
    return " ".join(parts + ([f"{rest} min"] if rest or not hours else []))


def impossible(problem: Problem, task: JobTask) -> Reason | None:
    """Why no plan at all could run the job, with the smallest change that would help; None when one could."""
    window, needed = task.deadline - task.release, slots_needed(task)
    missing = needed - window
    if not task.options:
        told = "; ".join(task.obstacles) or "none of its sites exists here"
        return Reason(ReasonKind.NO_PLACE, f"{task.name} fits nowhere: {told}.", {"sites": 0.0})
    if missing > 0:
        text = (
            f"{task.name} needs {needed} slots, its window has {max(0, window)}: "
            f"a deadline {span(problem, missing)} later would do."
        )
        return Reason(
            ReasonKind.CONFLICT, text, {"needed_slots": needed, "window_slots": max(0, window), "missing_slots": missing}
        )
    if any(
        possible_slots(problem, task, option) and not _blocked(problem, option.migrations, option.site) for option in task.options
    ):
        return None
    late = [option.earliest + needed - task.deadline for option in task.options if option.migrations]
    if late and min(late) > 0 and all(option.migrations for option in task.options):
        text = f"{task.name} cannot have its data in time: a deadline {span(problem, min(late))} later would do."
        return Reason(ReasonKind.CONFLICT, text, {"missing_slots": min(late)})
    blocked = [option for option in task.options if _blocked(problem, option.migrations, option.site)]
    if blocked:
        names = sorted({problem.migrations[m].name for option in blocked for m in option.migrations})
        return Reason(ReasonKind.CONFLICT, f"{task.name} waits for {', '.join(names)}, which cannot be moved in time.", {})
    return _too_little_room(problem, task)


def orphaned(problem: Problem, schedule: Schedule, task: JobTask) -> Reason | None:
    """The reason of a job that is not run because one that it comes after is not; None when they all are."""
    missing = [p for p in task.after if p not in schedule.jobs]
    if not missing:
        return None
    before = problem.jobs[missing[0]]
    lost = impossible(problem, before) is not None
    text = f"{task.name} is not run: it comes after {before.name}, which {'cannot be' if lost else 'is not'} run."
    return Reason(ReasonKind.CONFLICT if lost else ReasonKind.AFTER, text, {"drop_eur": task.drop_eur})


def _blocked(problem: Problem, migrations: tuple[int, ...], site: int) -> bool:
    """True when a migration that a place needs cannot be done by its own deadline."""
    return any(_slots_short(problem, problem.migrations[m], site) > 0 for m in migrations)


def _slots_short(problem: Problem, task: MigrationTask, site: int | None = None) -> int:
    """Slots by which the window of a migration is too short at full rate (to ``site``, or to its best target)."""
    needs = [
        math.ceil(task.size_tb / slot_tb(option.rate_mbit_per_s, problem.horizon) - 1e-9)
        for option in task.options
        if site is None or option.site == site
    ]
    return min(needs) - (task.deadline - task.release) if needs else problem.horizon.slots + 1


def _too_little_room(problem: Problem, task: JobTask) -> Reason:
    """Reason of a job that is larger than what its sites have while its window lasts: told for the site that lacks least."""
    lacks: list[tuple[float, str, dict[str, float]]] = []
    for option in task.options:
        site, first = problem.sites[option.site], max(task.release, option.earliest)
        if task.deadline - first < slots_needed(task):
            continue
        share = problem.tenants[task.tenant].share if task.tenant >= 0 else 1.0
        room = share * np.sort(problem.capacity[:, option.site, first : task.deadline], axis=1)[:, -slots_needed(task)]
        short = [(r, need, float(room[r])) for r, need in enumerate(task.resources) if need > room[r]]
        if short:
            told = ", ".join(f"{need:g} {RESOURCE_WORDS[RESOURCES[r]]} (free: {free:g})" for r, need, free in short)
            numbers = {f"missing_{RESOURCES[r]}": need - free for r, need, free in short}
            lacks.append((sum((need - free) / need for _, need, free in short), f"{told} at {site}", numbers))
    if not lacks:
        length = task.work if task.kind is JobKind.RIGID else task.min_run
        text = f"{task.name} needs {length} slots in a row with room for it; its window has none."
        return Reason(ReasonKind.CONFLICT, text, {"needed_slots": float(length)})
    _, told, numbers = min(lacks, key=lambda lack: lack[0])
    return Reason(ReasonKind.CONFLICT, f"{task.name} needs {told}, more than there ever is in its window.", numbers)


def undone(problem: Problem, task: MigrationTask) -> Reason:
    """Why a required migration is not done."""
    if not task.options:
        text = f"{task.name} must leave {problem.sites[task.source]}, but no link leads to a site that may hold it."
        return Reason(ReasonKind.NO_PLACE, text, {"size_tb": task.size_tb})
    short = _slots_short(problem, task)
    numbers = {"size_tb": task.size_tb, "drop_eur": task.drop_eur}
    if short > 0:
        text = f"{task.name}: {task.size_tb:.3g} TB do not fit through the link in time; {span(problem, short)} more would do."
        return Reason(ReasonKind.CONFLICT, text, {**numbers, "missing_slots": short})
    text = f"{task.name} is not moved: its links are full, or moving it costs more than {task.drop_eur:.2f} EUR."
    return Reason(ReasonKind.CAPACITY, text, numbers)
