"""Between schedules (places of single jobs) and the vector of the compiled model (counts of classes)."""

from __future__ import annotations

from collections import Counter

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.classes import deal
from scheduler.optimiser.compiled import Compiled
from scheduler.optimiser.model import ModelParts
from scheduler.optimiser.restrict import BoolArray
from scheduler.policies.schedule import JobPlace, Schedule

TASK_FAMILIES = ("start", "at_site", "run", "drop", "chosen", "undone")
"""Families of columns that a schedule decides; everything else follows from them by a small linear programme."""


def task_columns(model: Compiled) -> BoolArray:
    """Columns that a schedule decides."""
    mask = np.zeros(len(model.cost), dtype=bool)
    for family in TASK_FAMILIES:
        mask[list(model.columns.get(family, {}).values())] = True
    return mask


def encode(parts: ModelParts, model: Compiled, schedule: Schedule) -> FloatArray | None:
    """Vector of the model with the task columns of ``schedule`` (the others 0), or None when it has a place the model lacks."""
    values = np.zeros(len(model.cost))
    for c, group in enumerate(parts.classes):
        places = [schedule.jobs[j] for j in group.members if j in schedule.jobs]
        if len(places) < group.count:
            if c not in model.columns["drop"]:
                return None
            values[model.columns["drop"][c]] = group.count - len(places)
        family = "start" if group.rigid else "run"
        for place in places:
            for slot in place.slots[:1] if group.rigid else place.slots:
                column = model.columns[family].get((c, place.option, slot))
                if column is None:
                    return None
                values[column] += 1.0
            if not group.rigid:
                values[model.columns["at_site"][c, place.option]] += 1.0
    for m, task in enumerate(parts.problem.migrations):
        if m in schedule.targets:
            column = model.columns["chosen"].get((m, schedule.targets[m]))
            if column is None:
                return None
            values[column] = 1.0
        elif task.required:
            values[model.columns["undone"][m]] = 1.0
    return values


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
        if jobs:
            counts = runs[c, e]
            slots = sorted(counts)
            per_class[c] += [JobPlace(e, hand) for hand in deal([counts[t] for t in slots], slots, jobs)]
    for c, places in per_class.items():
        places.sort(key=lambda place: (place.slots, place.option))
        schedule.jobs.update(zip(parts.classes[c].members, places, strict=False))
    slots_count = parts.problem.horizon.slots
    for (m, o), column in model.columns.get("chosen", {}).items():
        if round(values[column]):
            schedule.targets[m] = o
            schedule.shares[m] = np.zeros(slots_count)
    for (m, o, t), column in model.columns.get("share", {}).items():
        if schedule.targets.get(m) == o:
            schedule.shares[m][t] = min(1.0, max(0.0, values[column]))
    return schedule


def cells(model: Compiled, family: str, values: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Values of a family indexed by site and slot, ``[S, T]``; 0 where it has no variable."""
    array = np.zeros(shape)
    for cell, column in model.columns.get(family, {}).items():
        array[cell] = values[column]
    return array
