"""Run at once, first come first served: what an ordinary cluster does.

Jobs are taken in order of release (ties: order of the scenario). Each runs at the place where it is finished first;
among equals at the first site in the order of the scenario. Rigid jobs start as early as they fit, interruptible ones
take the earliest slots. A place fits when its nodes have room and the site's import limit plus forecast sun and wind
carries the load (battery, prices, carbon and events are unknown to the rule). Required migrations run at once at full
rate; a copy is staged only for a job that can run nowhere else, also at once. A job that fits nowhere is dropped.
A job of a workflow is taken right after the jobs that it comes after. Malleable jobs run at full speed. Soft deadlines, prices
of restarts and copies, and feeders are unknown to the rule.
"""

from __future__ import annotations

import time

from scheduler.plan import Plan, ReasonKind
from scheduler.policies import Progress, silent
from scheduler.policies.assemble import rule_plan
from scheduler.policies.placing import Board, at_full_speed, predecessors_first
from scheduler.policies.schedule import JobPlace, Schedule
from scheduler.problem import JobTask, Problem


class Fifo:
    """The policy ``fifo``."""

    @property
    def name(self) -> str:
        """``fifo``."""
        return "fifo"

    def plan(self, problem: Problem, progress: Progress = silent) -> Plan:
        """The plan of the rule; its status is ``HEURISTIC``."""
        begun = time.perf_counter()
        schedule = fifo_schedule(problem)
        progress(f"fifo: {len(schedule.jobs)} of {len(problem.jobs)} jobs placed")
        return rule_plan(problem, schedule, self.name, ReasonKind.RUN_AT_ONCE, time.perf_counter() - begun)


def fifo_schedule(problem: Problem) -> Schedule:
    """Places of all jobs under the rule."""
    board = Board(problem)
    board.put_pinned()
    board.start_required_moves()
    for j in by_release(problem):
        place = first_finished(board, problem.jobs[j])
        if place is not None:
            board.put(j, place)
    return board.schedule


def by_release(problem: Problem) -> list[int]:
    """Indices of the jobs that are not pinned, in order of release, predecessors first; ties in the order of the scenario."""
    waiting = (j for j, task in enumerate(problem.jobs) if not task.pinned)
    return predecessors_first(problem, sorted(waiting, key=lambda j: problem.jobs[j].release))


def first_finished(board: Board, task: JobTask) -> JobPlace | None:
    """Place where the job is finished first, staging data when it can run nowhere else; None when it fits nowhere."""
    found = _first_finished(board, task)
    if found is None and stage_for(board, task):
        found = _first_finished(board, task)
    return found


def stage_for(board: Board, task: JobTask) -> bool:
    """Stage what the job needs at its first option that only lacks copies; False when there is none."""
    for option in task.options:
        missing = [m for m in option.migrations if m not in board.schedule.targets]
        optional = missing and not any(board.problem.migrations[m].required for m in missing)
        if optional:
            return sum(board.move(m) for m in missing) == len(missing)
    return False


def _first_finished(board: Board, task: JobTask) -> JobPlace | None:
    places = [(slots[-1], e, slots) for e in range(len(task.options)) if (slots := board.earliest(task, e)) is not None]
    if not places:
        return None
    _, option, slots = min(places)
    return at_full_speed(task, option, slots)
