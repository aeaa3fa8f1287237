"""Between schedules (places of single jobs) and the vector of the compiled model (counts of classes)."""

from __future__ import annotations

from collections import Counter

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.classes import JobClass, deal
from scheduler.optimiser.compiled import Compiled
from scheduler.optimiser.model import ModelParts
from scheduler.optimiser.restrict import BoolArray
from scheduler.policies.schedule import JobPlace, Schedule, copies_of, pieces
from scheduler.problem import FULL_SPEED, JobTask, Problem

JOB_FAMILIES = ("start", "at_site", "run", "drop", "begin", "data_there", "ended")
"""Families of columns of a job class, by class first."""

SHARED_FAMILIES = ("chosen", "undone", "bought")
"""Families of columns that job classes share: targets of migrations and copies of data."""

TASK_FAMILIES = (*JOB_FAMILIES, *SHARED_FAMILIES)
"""Families of columns that a schedule decides; everything else follows from them by a small linear programme, the speeds of
malleable jobs (``mode_share``) too: a schedule decides where they are, and its shares are only one way to do it."""

DUST = 1e-7
"""Shares of a slot below this are the solver's tolerance, not decisions."""


def task_columns(model: Compiled) -> BoolArray:
    """Columns that a schedule decides."""
    mask = np.zeros(len(model.cost), dtype=bool)
    for family in TASK_FAMILIES:
        mask[list(model.columns.get(family, {}).values())] = True
    return mask


def encode(parts: ModelParts, model: Compiled, schedule: Schedule) -> FloatArray | None:
    """Vector of the model with the task columns of ``schedule`` (the others 0), or None when it has a place the model lacks."""
    values = np.zeros(len(model.cost))
    ended: dict[int, list[tuple[int, int]]] = {}
    for (c, t), column in model.columns.get("ended", {}).items():
        ended.setdefault(c, []).append((t, column))
    for c, group in enumerate(parts.classes):
        places = [schedule.jobs[j] for j in group.members if j in schedule.jobs]
        if len(places) < group.count:
            if c not in model.columns["drop"]:
                return None
            values[model.columns["drop"][c]] = group.count - len(places)
        for place in places:
            if not _put(model, values, c, group, place):
                return None
        for t, at in ended.get(c, ()):
            values[at] = float(len(places) == group.count and all(place.slots[-1] < t for place in places))
    return values if _put_moves(parts, model, values, schedule) else None


def _put_moves(parts: ModelParts, model: Compiled, values: FloatArray, schedule: Schedule) -> bool:
    """Add copies and targets of migrations to the vector; False when the model lacks one."""
    for copy in copies_of(parts.problem, schedule):
        values[model.columns["bought"][copy]] = 1.0
    for m, task in enumerate(parts.problem.migrations):
        if m in schedule.targets:
            column = model.columns["chosen"].get((m, schedule.targets[m]))
            if column is None:
                return False
            values[column] = 1.0
        elif task.required:
            values[model.columns["undone"][m]] = 1.0
    return True


def _put(model: Compiled, values: FloatArray, c: int, group: JobClass, place: JobPlace) -> bool:
    """Add one place of a class to the vector; False when the model lacks it."""
    cells = [(c, place.option, slot) for slot in (place.slots[:1] if group.rigid else place.slots)]
    if group.malleable:
        shares = place.shares or tuple(_full_speed(group) for _ in place.slots)
        for cell, row in zip(cells, shares, strict=True):
            for k, share in enumerate(row):
                column = model.columns["mode_share"].get((*cell, k))
                if column is None:
                    return False
                values[column] += share
            if cell in model.columns.get("data_there", {}):
                values[model.columns["data_there"][cell]] = 1.0
    else:
        for cell in cells:
            slot = model.columns["start" if group.rigid else "run"].get(cell)
            if slot is None:
                return False
            values[slot] += 1.0
    if not group.rigid:
        values[model.columns["at_site"][c, place.option]] += 1.0
    if group.in_pieces:
        for start, _ in pieces(place.slots):
            begin = model.columns["begin"].get((c, place.option, start))
            if begin is None:
                return False
            values[begin] = 1.0
    return True


def _full_speed(group: JobClass) -> tuple[float, ...]:
    """Shares of a slot worked at full speed; nothing at all when the job has no such mode (then its work is not done)."""
    return tuple(1.0 if mode == FULL_SPEED else 0.0 for mode in group.task.modes)


def decode(parts: ModelParts, model: Compiled, values: FloatArray) -> Schedule:
    """Places of single jobs and transfers from a solution; classes are taken apart in the order of their members."""
    schedule = Schedule()
    per_class: dict[int, list[JobPlace]] = {c: [] for c in range(len(parts.classes))}
    for (c, e, t), column in model.columns.get("start", {}).items():
        for _ in range(round(values[column])):
            per_class[c].append(JobPlace(e, tuple(range(t, t + parts.classes[c].task.work))))
    runs: dict[tuple[int, int], Counter[int]] = {}
    for (c, e, t), column in model.columns.get("run", {}).items():
        count = round(values[column])
        if count:
            runs.setdefault((c, e), Counter())[t] = count
    for (c, e), column in model.columns.get("at_site", {}).items():
        jobs = round(values[column])
        if jobs and parts.classes[c].malleable:
            per_class[c] += [_malleable(parts, model, values, c, e, jobs)] * jobs
        elif jobs:
            counts = runs[c, e]
            slots = sorted(counts)
            per_class[c] += [JobPlace(e, hand) for hand in deal([counts[t] for t in slots], slots, jobs)]
    for c, places in per_class.items():
        places.sort(key=lambda place: (place.slots, place.option))
        schedule.jobs.update(zip(parts.classes[c].members, places, strict=False))
    _take_moves(parts, model, values, schedule)
    return schedule


def _take_moves(parts: ModelParts, model: Compiled, values: FloatArray, schedule: Schedule) -> None:
    """Targets and transfers of migrations from a solution."""
    slots_count = parts.problem.horizon.slots
    for (m, o), column in model.columns.get("chosen", {}).items():
        if round(values[column]):
            schedule.targets[m] = o
            schedule.shares[m] = np.zeros(slots_count)
    for (m, o, t), column in model.columns.get("share", {}).items():
        if schedule.targets.get(m) == o:
            schedule.shares[m][t] = min(1.0, max(0.0, values[column]))


def _malleable(parts: ModelParts, model: Compiled, values: FloatArray, c: int, e: int, jobs: int) -> JobPlace:
    """Place of each of ``jobs`` malleable jobs of a class at one site: an equal part of what they do together."""
    group = parts.classes[c]
    modes = range(len(group.task.modes))
    found = {}
    for t in group.slots[e]:
        columns = (model.columns["mode_share"].get((c, e, t, k)) for k in modes)
        row = [0.0 if column is None else float(values[column]) / jobs for column in columns]
        row = [share if share > DUST else 0.0 for share in row]
        if any(row):
            found[t] = tuple(share / max(1.0, sum(row)) for share in row)
    found = _without_surplus(parts.problem, group.task, group.task.options[e].site, found)
    return JobPlace(e, tuple(found), tuple(found.values()))


def _without_surplus(
    problem: Problem, task: JobTask, site: int, found: dict[int, tuple[float, ...]]
) -> dict[int, tuple[float, ...]]:
    """The shares of a malleable job, last ones first, without work beyond what is asked where that work earns nothing.

    The rows ask for at least the work, and where energy is free a solver may do more for nothing. Where energy has a negative
    price, doing more earns and stays.
    """
    surplus = sum(share * mode.speed for row in found.values() for share, mode in zip(row, task.modes, strict=True)) - task.work
    kept = dict(found)
    for t in sorted(found, reverse=True):
        if problem.import_weight_eur_per_kwh[site, t] < 0 or problem.export_eur_per_kwh[site, t] < 0:
            continue
        row = []
        for share, mode in zip(found[t], task.modes, strict=True):
            cut = min(share, max(0.0, surplus) / mode.speed)
            surplus -= cut * mode.speed
            row.append(share - cut if share - cut > DUST else 0.0)
        kept[t] = tuple(row)
        if not any(row):
            del kept[t]
    return kept


def cells(model: Compiled, family: str, values: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Values of a family indexed by site and slot, ``[S, T]``; 0 where it has no variable."""
    array = np.zeros(shape)
    for cell, column in model.columns.get(family, {}).items():
        array[cell] = values[column]
    return array
