"""Wait for local sun (and wind): a greedy rule without prices.

The idea is that of GreenSlot (Goiri et al., "GreenSlot: scheduling energy consumption in green datacenters", SC 2011):
place each job in its window where it uses most green energy; the rules here are our own and simpler. Jobs are taken
by deadline, then by release (ties: order of the scenario). Of all places that fit (capacity, import limit plus forecast
sun and wind), a job takes the one that uses most of the forecast sun and wind that nothing else at that site uses yet;
among equals the earliest, then the first site. Where its window holds no unused sun or wind there is nothing to wait
for: it runs as the run-at-once rule would. Required migrations run at once. Battery, prices, carbon and events are
unknown to the rule, and so are soft deadlines, restarts, copies and feeders. A job of a workflow is taken after the jobs
that it comes after; malleable jobs run at full speed.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from grid.horizon import FloatArray
from scheduler.plan import Plan, ReasonKind
from scheduler.policies import Progress, silent
from scheduler.policies.assemble import rule_plan
from scheduler.policies.fifo import first_finished
from scheduler.policies.placing import Board, at_full_speed, predecessors_first
from scheduler.policies.schedule import JobPlace, Schedule
from scheduler.policies.stretches import cheapest_pieces
from scheduler.problem import JobTask, Problem, slots_needed
from scheduler.workload import JobKind


class WaitForSun:
    """The policy ``wait_for_sun``."""

    @property
    def name(self) -> str:
        """``wait_for_sun``."""
        return "wait_for_sun"

    def plan(self, problem: Problem, progress: Progress = silent) -> Plan:
        """The plan of the rule; its status is ``HEURISTIC``."""
        begun = time.perf_counter()
        schedule = wait_for_sun_schedule(problem)
        progress(f"wait_for_sun: {len(schedule.jobs)} of {len(problem.jobs)} jobs placed")
        return rule_plan(problem, schedule, self.name, ReasonKind.WAIT_FOR_SUN, time.perf_counter() - begun)


def wait_for_sun_schedule(problem: Problem) -> Schedule:
    """Places of all jobs under the rule."""
    board = Board(problem)
    board.put_pinned()
    board.start_required_moves()
    waiting = [j for j, task in enumerate(problem.jobs) if not task.pinned]
    waiting.sort(key=lambda j: (problem.jobs[j].deadline, problem.jobs[j].release))
    for j in predecessors_first(problem, waiting):
        task = problem.jobs[j]
        place = _sunniest(board, task) or first_finished(board, task)
        if place is not None:
            board.put(j, place)
    return board.schedule


def _sunniest(board: Board, task: JobTask) -> JobPlace | None:
    """The place that uses most unused sun and wind, or None when there is none to use."""
    best: tuple[float, int, int, tuple[int, ...]] | None = None
    for e in range(len(task.options)):
        green = _green_kw(board, task, e)
        for slots in _candidates(board, task, e, green):
            gain = round(float(green[list(slots)].sum()), 9)
            if gain > 0 and (best is None or (-gain, slots[0], e) < best[:3]):
                best = (-gain, slots[0], e, slots)
    return at_full_speed(task, best[2], best[3]) if best is not None else None


def _green_kw(board: Board, task: JobTask, option: int) -> FloatArray:
    """Unused sun and wind that the job would use in each slot there, ``[T]`` kW of facility power."""
    place, problem = task.options[option], board.problem
    s = place.site
    unused = problem.renewable_kw[s] - problem.fixed_kw[s] - problem.pue[s] * board.it_kw[s]
    used: FloatArray = np.clip(unused, 0.0, problem.pue[s] * place.power_kw)
    return used


def _candidates(board: Board, task: JobTask, option: int, green: FloatArray) -> list[tuple[int, ...]]:
    """The place with most green energy at this option (as a list of none or one)."""
    if task.kind is JobKind.INTERRUPTIBLE and (task.min_run > 1 or task.min_gap > 1):
        found = cheapest_pieces(-green, board.fits(task, option), replace(task, restart_eur=0.0))
        return [found[0]] if found is not None else []
    if task.kind is not JobKind.RIGID:
        free, count = np.flatnonzero(board.fits(task, option)), slots_needed(task)
        if len(free) < count:
            return []
        order = sorted(free.tolist(), key=lambda t: (-round(float(green[t]), 9), t))
        return [tuple(sorted(order[:count]))]
    starts = board.starts(task, option)
    if not starts:
        return []
    sums = np.round(np.convolve(green, np.ones(task.work), mode="valid"), 9)
    start = max(starts, key=lambda t: (float(sums[t]), -t))
    return [tuple(range(start, start + task.work))]
