"""Placing and re-placing single jobs at their cheapest place, with exact capacity and the battery held fixed.

The first incumbents of the search are made here: what the relaxation already decided whole is kept, the rest is put
where it costs least, and then every job is taken off and put back where it costs least until nothing moves. The
energy side is then solved exactly again (``scheduler.optimiser.search``), which moves the battery, and so on.
"""

from __future__ import annotations

import numpy as np

from scheduler.marginal import Meter
from scheduler.plan import EnergySchedule
from scheduler.policies.placing import Board, board_of
from scheduler.policies.schedule import JobPlace, Schedule, it_power_kw
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
    board, meter = board_of(problem, schedule), _meter(problem, schedule, energy)
    rest = [j for j, task in enumerate(problem.jobs) if j not in schedule.jobs and task.options]
    for j in sorted(rest, key=lambda j: (-_energy(problem.jobs[j]), problem.jobs[j].deadline, j)):
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
            elif old is not None and old_cost < task.drop_eur - LEAST_GAIN_EUR:
                _put(board, meter, j, old)
            elif old is not None:
                moved += 1
        if not moved:
            break
    return board.schedule


def place_cost(meter: Meter, task: JobTask, place: JobPlace) -> float:
    """What a job costs at a place, EUR."""
    option = task.options[place.option]
    return float(meter.extra_eur(option.site, option.power_kw)[list(place.slots)].sum()) + option.cost_eur


def cheapest(board: Board, meter: Meter, task: JobTask) -> tuple[JobPlace | None, float]:
    """Cheapest free place of a job and its cost; capacity counts, the import limit has its price in the cost."""
    best, best_cost = None, float("inf")
    for e, option in enumerate(task.options):
        if task.kind is JobKind.INTERRUPTIBLE:
            free = np.flatnonzero(board.fits(task, e, powered=False))
            if len(free) < task.work:
                continue
            extra = meter.extra_eur(option.site, option.power_kw)
            slots = np.sort(free[np.argsort(extra[free], kind="stable")[: task.work]])
            cost = float(extra[slots].sum()) + option.cost_eur
            place = JobPlace(e, tuple(slots.tolist()))
        else:
            starts = board.starts(task, e, powered=False)
            if not starts:
                continue
            extra = meter.extra_eur(option.site, option.power_kw)
            blocks = np.convolve(extra, np.ones(task.work), mode="valid")[starts]
            pick = int(np.argmin(blocks))
            cost = float(blocks[pick]) + option.cost_eur
            place = JobPlace(e, tuple(range(starts[pick], starts[pick] + task.work)))
        if cost < best_cost - LEAST_GAIN_EUR:
            best, best_cost = place, cost
    return best, best_cost


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
    option = board.problem.jobs[job].options[place.option]
    meter.add(option.site, list(place.slots), option.power_kw)


def _take(board: Board, meter: Meter, job: int) -> JobPlace:
    place = board.take(job)
    option = board.problem.jobs[job].options[place.option]
    meter.add(option.site, list(place.slots), -option.power_kw)
    return place
