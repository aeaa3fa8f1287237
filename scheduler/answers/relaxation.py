"""What would let a job run that a plan leaves out: the smallest change of each kind, tried, the cheapest first.

A change counts only when it was tried: the job is placed in the changed problem, everything else as planned, the energy of the
site is planned anew, and the job must cost less there than its price of not running. Kinds: a later deadline, an earlier
release, earlier data, more of a resource at a site, and a higher price of not running it where there is room but no place is
worth it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from scheduler.answers.places import Places, Priced
from scheduler.obstacles import RESOURCE_WORDS, span
from scheduler.policies.schedule import Schedule
from scheduler.problem import RESOURCES, JobTask, Problem
from scheduler.reasons import clock
from scheduler.workload import JobKind


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A change that lets a job run.

    Attributes:
        kind: ``deadline``, ``release``, ``data``, ``capacity`` or ``price``.
        amount, unit: how much of it.
        text: the change in words, a sentence.
        place: where the job then runs, and its cost.
    """

    kind: str
    amount: float
    unit: str
    text: str
    place: Priced


def relaxations(problem: Problem, schedule: Schedule, job: int) -> tuple[Relaxation, ...]:
    """Smallest changes that let ``job`` run, each tried, the one with the cheapest place first; empty when none helps."""
    found = [
        *_later_deadline(problem, schedule, job),
        *_earlier_release(problem, schedule, job),
        *_earlier_data(problem, schedule, job),
        *_more_capacity(problem, schedule, job),
        *_higher_price(problem, schedule, job),
    ]
    return tuple(sorted(found, key=lambda change: (change.place.cost_eur, change.kind)))


def with_task(problem: Problem, job: int, task: JobTask) -> Problem:
    """The problem with another task in the place of ``job``."""
    return replace(problem, jobs=(*problem.jobs[:job], task, *problem.jobs[job + 1 :]))


def cheapest(places: Places) -> Priced | None:
    """The cheapest place at any option; None when there is none."""
    priced = [places.best(e, places.free(e)) for e in range(len(places.task.options))]
    return min((place for place in priced if place is not None), key=lambda place: place.cost_eur, default=None)


def _roomy(places: Places) -> bool:
    """True when the job fits somewhere (nothing is priced)."""
    return any(places.room(places.free(e)) for e in range(len(places.task.options)))


def _tried(problem: Problem, schedule: Schedule, job: int) -> Priced | None:
    """The cheapest place in a changed problem when it is worth taking."""
    places = Places.of(problem, schedule, job)
    best = cheapest(places) if _roomy(places) else None
    return best if best is not None and best.cost_eur < places.task.drop_eur else None


def _smallest(
    problem: Problem, schedule: Schedule, job: int, most: int, change: Callable[[int], JobTask]
) -> tuple[int, Priced] | None:
    """The smallest number of slots by which ``change`` helps.

    Each change leaves the job every place that a smaller one left it, so what helps is found by halving.
    """

    def tried(slots: int) -> Priced | None:
        return _tried(with_task(problem, job, change(slots)), schedule, job)

    best = tried(most) if most > 0 else None
    if best is None:
        return None
    too_few, enough = 0, most
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        place = tried(middle)
        if place is None:
            too_few = middle
        else:
            enough, best = middle, place
    return enough, best


def _later_deadline(problem: Problem, schedule: Schedule, job: int) -> list[Relaxation]:
    task = problem.jobs[job]
    found = _smallest(
        problem,
        schedule,
        job,
        problem.horizon.slots - task.deadline,
        lambda slots: replace(task, deadline=task.deadline + slots),
    )
    if found is None:
        return []
    slots, place = found
    text = f"A deadline {span(problem, slots)} later ({clock(problem, task.deadline + slots)})"
    return [Relaxation("deadline", slots * problem.horizon.step_h, "h", text, place)]


def _earlier_release(problem: Problem, schedule: Schedule, job: int) -> list[Relaxation]:
    task = problem.jobs[job]

    def earlier(slots: int) -> JobTask:
        release = task.release - slots
        options = tuple(
            replace(option, earliest=release if option.earliest == task.release else option.earliest) for option in task.options
        )
        return replace(task, release=release, options=options)

    found = _smallest(problem, schedule, job, task.release, earlier)
    if found is None:
        return []
    slots, place = found
    text = f"A release {span(problem, slots)} earlier ({clock(problem, task.release - slots)})"
    return [Relaxation("release", slots * problem.horizon.step_h, "h", text, place)]


def _earlier_data(problem: Problem, schedule: Schedule, job: int) -> list[Relaxation]:
    """For each site whose data comes late or not at all in this plan."""
    task, changes = problem.jobs[job], []
    places = Places.of(problem, schedule, job)
    for e, option in enumerate(task.options):
        first = places.board.first_slot(task, e)
        if first == task.release or not option.migrations:
            continue
        late = problem.horizon.slots if first is None else first

        def sooner(slots: int, e: int = e, late: int = late) -> JobTask:
            there = replace(task.options[e], earliest=max(task.release, late - slots), migrations=())
            return replace(task, options=(*task.options[:e], there, *task.options[e + 1 :]))

        found = _smallest(problem, schedule, job, late - task.release, sooner)
        if found is None:
            continue
        slots, place = found
        names = ", ".join(problem.migrations[m].dataset for m in option.migrations)
        moment = clock(problem, late - slots)
        came = f"instead of {clock(problem, late)}" if first is not None else "where this plan never brings it"
        text = f"The data {names} at {problem.sites[option.site]} by {moment}, {came}"
        changes.append(Relaxation("data", slots * problem.horizon.step_h, "h", text, place))
    return changes


def _more_capacity(problem: Problem, schedule: Schedule, job: int) -> list[Relaxation]:
    """For each site, the least addition of what is short there, at the time that lacks least."""
    task, changes = problem.jobs[job], []
    need = np.array(task.resources)
    for e, option in enumerate(task.options):
        places = Places.of(problem, schedule, job)
        first = places.board.first_slot(task, e)
        if first is None or first + task.work > task.deadline:
            continue
        short = np.maximum(0.0, need[:, None] - places.board.free[:, option.site, first : task.deadline])
        lack = (short / np.maximum(need, 1e-9)[:, None]).sum(axis=0)
        if task.kind is JobKind.RIGID:
            windows = np.lib.stride_tricks.sliding_window_view(short, task.work, axis=1).max(axis=2)
            start = int(np.argmin((windows / np.maximum(need, 1e-9)[:, None]).sum(axis=0)))
            more = windows[:, start]
        else:
            more = short[:, np.argsort(lack, kind="stable")[: task.work]].max(axis=1)
        if not more.any():
            continue
        capacity = problem.capacity.copy()
        capacity[:, option.site] += more[:, None]
        place = _tried(replace(problem, capacity=capacity), schedule, job)
        if place is None or place.option != e:
            continue
        told = " and ".join(f"{more[r]:g} more {RESOURCE_WORDS[RESOURCES[r]]}" for r in np.flatnonzero(more))
        kind = RESOURCES[int(np.argmax(more))]
        text = f"{told[0].upper()}{told[1:]} at {problem.sites[option.site]}"
        changes.append(Relaxation("capacity", float(more.max()), kind, text, place))
    return changes


def _higher_price(problem: Problem, schedule: Schedule, job: int) -> list[Relaxation]:
    """The price of not running it from which on its cheapest place is worth it."""
    task = problem.jobs[job]
    places = Places.of(problem, schedule, job)
    best = cheapest(places) if _roomy(places) else None
    if best is None or best.cost_eur < task.drop_eur:
        return []
    text = f"A price of not running it (drop_eur) above {best.cost_eur:.2f} EUR instead of {task.drop_eur:.2f} EUR"
    return [Relaxation("price", best.cost_eur - task.drop_eur, "EUR", text, best)]
