"""Placing and re-placing single jobs at their cheapest place, with exact capacity and the battery held fixed.

The first incumbents of the search are made here: what the relaxation already decided whole is kept, the rest is put
where it costs least, and then every job is taken off and put back where it costs least until nothing moves. The
energy side is then solved exactly again (``scheduler.optimiser.search``), which moves the battery, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.marginal import Meter
from scheduler.plan import EnergySchedule
from scheduler.policies.placing import Board, board_of, in_mode, predecessors_first
from scheduler.policies.schedule import JobPlace, Schedule, it_power_kw, late_eur, restarts_eur
from scheduler.policies.stretches import cheapest_pieces
from scheduler.problem import JobTask, Problem
from scheduler.workload import JobKind

LEAST_GAIN_EUR = 1e-7
"""A move that saves less is not worth making (and could go round in circles)."""


def place_rest(problem: Problem, schedule: Schedule, energy: EnergySchedule) -> Schedule:
    """Place the jobs that ``schedule`` leaves out, those with most energy first, each where it costs least.

    Args:
        problem: the problem.
        schedule: places that are kept.
        energy: its battery powers and peaks are taken as given; its load need not be that of ``schedule``.
    """
    schedule = _sound(problem, schedule)
    board, meter = board_of(problem, schedule), _meter(problem, schedule, energy)
    rest = [j for j, task in enumerate(problem.jobs) if j not in schedule.jobs and task.options]
    rest.sort(key=lambda j: (-_energy(problem.jobs[j]), problem.jobs[j].deadline, j))
    for j in predecessors_first(problem, rest):
        place, cost = cheapest(board, meter, problem.jobs[j])
        if place is not None and cost < problem.jobs[j].drop_eur:
            _put(board, meter, j, place)
    return board.schedule


def reinsert(problem: Problem, schedule: Schedule, energy: EnergySchedule, passes: int = 3) -> Schedule:
    """Take every job off and put it back where it costs least, until a pass moves nothing or ``passes`` are over."""
    board, meter = board_of(problem, schedule), _meter(problem, schedule, energy)
    order = sorted(range(len(problem.jobs)), key=lambda j: (-_energy(problem.jobs[j]), j))
    for _ in range(passes):
        moved = 0
        for j in order:
            task = problem.jobs[j]
            if task.pinned or not task.options:
                continue
            old, old_cost = None, task.drop_eur
            if j in board.schedule.jobs:
                old = _take(board, meter, j)
                old_cost = place_cost(meter, task, old)
            new, cost = cheapest(board, meter, task)
            if new is not None and cost < old_cost - LEAST_GAIN_EUR:
                _put(board, meter, j, new)
                moved += 1
            elif old is not None and (old_cost < task.drop_eur - LEAST_GAIN_EUR or board.needed(task)):
                _put(board, meter, j, old)
            elif old is not None:
                moved += 1
        if not moved:
            break
    return board.schedule


def place_cost(meter: Meter, task: JobTask, place: JobPlace) -> float:
    """What a job costs at a place, EUR; a copy of its data counts as bought."""
    option, slots = task.options[place.option], list(place.slots)
    power = np.zeros(meter.problem.horizon.slots)
    power[slots] = option.power_kw * place.power(task)
    energy = float(meter.extra_eur(option.site, power)[slots].sum())
    return energy + option.cost_eur + restarts_eur(task, place.slots) + late_eur(task, place.slots, place.use())


def cheapest(board: Board, meter: Meter, task: JobTask) -> tuple[JobPlace | None, float]:
    """Cheapest free place of a job and its cost; capacity counts, the import limit has its price in the cost.

    A malleable job runs in one of its modes throughout (the optimiser's programme then finds the best mix).
    """
    best, best_cost = None, float("inf")
    for e in range(len(task.options)):
        for place, cost in _places(board, meter, task, e):
            if cost < best_cost - LEAST_GAIN_EUR:
                best, best_cost = place, cost
    return best, best_cost


def _places(board: Board, meter: Meter, task: JobTask, e: int) -> Iterator[tuple[JobPlace, float]]:
    """The cheapest place at one option (one for each mode), with its cost."""
    option = task.options[e]
    fits = board.fits(task, e, powered=False)
    once = option.cost_eur
    if option.copy >= 0 and not board.readers[option.copy]:
        once += board.problem.copies[option.copy].cost_eur
    late = np.zeros(len(fits))
    if task.due is not None:
        late[task.due :] = task.late_eur_per_slot
    if task.kind is JobKind.RIGID:
        starts = np.flatnonzero(np.convolve(fits, np.ones(task.work), mode="valid") > task.work - 0.5)
        if len(starts):
            blocks = np.convolve(meter.extra_eur(option.site, option.power_kw) + late, np.ones(task.work), mode="valid")[starts]
            if task.due is not None:  # its end counts, however long before it the job began
                blocks += task.late_eur_per_slot * np.maximum(0, starts - task.due)
            pick = int(np.argmin(blocks))
            yield JobPlace(e, tuple(range(starts[pick], starts[pick] + task.work))), float(blocks[pick]) + once
    elif task.kind is JobKind.INTERRUPTIBLE:
        found = cheapest_pieces(meter.extra_eur(option.site, option.power_kw) + late, fits, task)
        if found is not None:
            yield JobPlace(e, found[0]), found[1] + once
    else:
        for k, mode in enumerate(task.modes):
            extra = meter.extra_eur(option.site, option.power_kw * mode.power) + late
            free, count = np.flatnonzero(fits), int(np.ceil(task.work / mode.speed - 1e-9))
            if len(free) >= count:
                slots = np.sort(free[np.argsort(extra[free], kind="stable")[:count]])
                place = in_mode(task, e, tuple(slots.tolist()), k)
                yield place, place_cost(meter, task, place) + once - option.cost_eur


def _sound(problem: Problem, schedule: Schedule) -> Schedule:
    """The schedule without jobs whose predecessors are not in it or end too late, and without copies that have no room."""
    left = None if problem.copy_limit_gb is None else problem.copy_limit_gb.copy()
    bought: set[int] = set()
    kept = schedule.copy()
    for j in predecessors_first(problem, sorted(schedule.jobs)):
        task, place = problem.jobs[j], schedule.jobs[j]
        copy = task.options[place.option].copy
        waits = all(p in kept.jobs and kept.jobs[p].slots[-1] < place.slots[0] for p in task.after)
        if copy >= 0 and copy not in bought and waits and left is not None:
            unit = problem.copies[copy]
            waits = unit.volume_gb <= left[unit.site] + 1e-9
            left[unit.site] -= unit.volume_gb if waits else 0.0
        if not waits and not task.pinned:
            del kept.jobs[j]
        elif copy >= 0:
            bought.add(copy)
    return kept


def _meter(problem: Problem, schedule: Schedule, energy: EnergySchedule) -> Meter:
    """Meter with the load of ``schedule`` and the battery and peak of ``energy``."""
    meter = Meter.of(problem, energy)
    load = problem.fixed_kw + problem.pue * it_power_kw(problem, schedule)
    meter.demand_kw = load + energy.charge_kw - energy.discharge_kw
    return meter


def _energy(task: JobTask) -> float:
    """Size of a job for ordering: work times its largest power."""
    return task.work * max((option.power_kw for option in task.options), default=0.0)


def _put(board: Board, meter: Meter, job: int, place: JobPlace) -> None:
    board.put(job, place)
    task = board.problem.jobs[job]
    option = task.options[place.option]
    meter.add(option.site, list(place.slots), option.power_kw * place.power(task))


def _take(board: Board, meter: Meter, job: int) -> JobPlace:
    place = board.take(job)
    task = board.problem.jobs[job]
    option = task.options[place.option]
    meter.add(option.site, list(place.slots), -option.power_kw * place.power(task))
    return place
