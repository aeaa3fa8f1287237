"""The plan in force, seen from the problem that is to be planned next.

A plan is in slots of its own horizon, a later problem in slots of its own. Here the places that the plan still holds for the jobs
of the problem are brought into the problem's slots: the start of the next search, and what its stability is measured by.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from grid.horizon import FloatArray, Horizon
from scheduler.plan import Plan, Run
from scheduler.policies.placing import EPS, Board
from scheduler.policies.schedule import JobPlace, Schedule
from scheduler.problem import FULL_SPEED, JobTask, Problem
from scheduler.workload import JobKind

SHARE_DUST = 1e-6
"""Shares of a slot up to this are rounding."""


def slots_gone(before: Horizon, now: Horizon) -> int | None:
    """Slots of the horizon ``before`` that lie before ``now`` begins; None when their slots do not coincide."""
    gone = (now.start - before.start) / before.step
    same = before.step == now.step and abs(gone - round(gone)) < 1e-9 and gone > -1e-9
    return round(gone) if same else None


def sites_in_force(plan: Plan, horizon: Horizon) -> dict[str, str]:
    """Site at which the plan lets each job run in the slots of ``horizon``, by name of the job."""
    gone = slots_gone(plan.horizon, horizon)
    return {} if gone is None else {run.job: run.site for run in plan.runs if run.end > gone}


def schedule_in_force(problem: Problem, plan: Plan) -> Schedule:
    """What ``plan`` still holds for the jobs and migrations of ``problem``, in the problem's slots.

    Left out are jobs whose rest is not what the problem wants of them: another amount of work, a site that is no option any more,
    slots outside their window, or a malleable job with more than two modes (a plan tells the mean of its modes, not their
    shares). Nothing else is checked: capacity may be exceeded, data may come too late.
    """
    schedule, gone = Schedule(), slots_gone(plan.horizon, problem.horizon)
    if gone is None:
        return schedule
    runs: dict[str, list[Run]] = defaultdict(list)
    for run in plan.runs:
        if run.end > gone:
            runs[run.job].append(run)
    for j, task in enumerate(problem.jobs):
        place = _place(problem, task, runs.get(task.name, []), gone)
        if task.pinned:
            place = JobPlace(0, task.pinned)
        if place is not None:
            schedule.jobs[j] = place
    _add_transfers(schedule, problem, plan, gone)
    return schedule


def fitting(problem: Problem, schedule: Schedule) -> Schedule:
    """``schedule`` without the jobs that do not fit beside those before them: capacity, shares of tenants, data, windows."""
    board = Board(problem)
    board.schedule.targets = dict(schedule.targets)
    board.schedule.shares = {m: share.copy() for m, share in schedule.shares.items()}
    board.put_pinned()
    for j, place in schedule.jobs.items():
        if j in board.schedule.jobs:
            continue
        if board.fits(problem.jobs[j], place.option, powered=False)[list(place.slots)].min() > 1.0 - EPS:
            board.put(j, place)
    return board.schedule


def _place(problem: Problem, task: JobTask, runs: list[Run], gone: int) -> JobPlace | None:
    """Where the job is by its runs, or None when that is not a place that it may have."""
    sites = {run.site for run in runs}
    option = next((e for e, o in enumerate(task.options) if sites == {problem.sites[o.site]}), None)
    if option is None:
        return None
    cells = [(slot - gone, run) for run in runs for slot in range(max(run.start, gone), run.end)]
    slots = tuple(slot for slot, _ in cells)
    inside = task.options[option].earliest <= slots[0] and task.release <= slots[0] and slots[-1] < task.deadline
    if not inside:
        return None
    if task.kind is JobKind.MALLEABLE:
        shares = [_shares(task, run) for _, run in cells]
        place = JobPlace(option, slots, tuple(share for share in shares if share is not None))
        enough = None not in shares and float(place.speed(task).sum()) >= task.work - SHARE_DUST
        return place if enough else None
    whole = task.kind is not JobKind.RIGID or slots[-1] - slots[0] + 1 == task.work
    return JobPlace(option, slots) if whole and len(slots) == task.work else None


def _shares(task: JobTask, run: Run) -> tuple[float, ...] | None:
    """Share of a slot in each mode, from the mean speed and use of the run; None when there are more than two modes."""
    if task.modes == (FULL_SPEED,):
        return (run.use,)
    if len(task.modes) != 2 or task.modes[0] != FULL_SPEED:
        return None
    slow = (run.use - run.speed) / (1.0 - task.modes[1].speed) if task.modes[1].speed < 1.0 else 0.0
    slow = min(max(slow, 0.0), run.use)
    return (run.use - slow, slow)


def _add_transfers(schedule: Schedule, problem: Problem, plan: Plan, gone: int) -> None:
    """The migrations whose transfers in the plan still move what the problem wants moved."""
    index = {name: s for s, name in enumerate(problem.sites)}
    for m, task in enumerate(problem.migrations):
        pieces = [piece for piece in plan.transfers if piece.migration == task.name and piece.end > gone]
        targets = {index[piece.target] for piece in pieces if piece.target in index}
        choice = next((o for o, option in enumerate(task.options) if targets == {option.site}), None)
        if choice is None:
            continue
        share: FloatArray = np.zeros(problem.horizon.slots)
        for piece in pieces:
            share[max(0, piece.start - gone) : max(0, piece.end - gone)] += (
                piece.rate_mbit_per_s / task.options[choice].rate_mbit_per_s
            )
        schedule.targets[m], schedule.shares[m] = choice, share
