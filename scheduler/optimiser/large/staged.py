"""A plan of jobs and of the transfers that they need, in rounds: jobs by prices, transfers and energy by the reference."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from scheduler.in_force import schedule_in_force
from scheduler.optimiser.highs import StopAsked
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.jobs_found import JobsFound
from scheduler.optimiser.large.transfers import (
    JOBS_SHARE,
    Need,
    WaitRules,
    arrivals,
    as_copies,
    as_load,
    delivered,
    in_turn,
    least_eur,
    needs_of,
    one_target_each,
    with_transfers,
    without_readers,
)
from scheduler.optimiser.large.translate import case_of
from scheduler.optimiser.large.warm import Warm
from scheduler.optimiser.policy import MilpPolicy
from scheduler.plan import EnergySchedule
from scheduler.policies import Progress
from scheduler.policies.schedule import Schedule
from scheduler.problem import Problem

LEAST_SECONDS = 1.0
"""Least time for the transfers, whatever the jobs took."""


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """What the rounds found.

    Attributes:
        schedule: jobs and transfers; energy: planned flows for both.
        bound_eur: proven lower bound of the whole problem.
        rounds: how often jobs were planned.
        dropped: how many jobs lost their data in the end.
    """

    schedule: Schedule
    energy: EnergySchedule
    bound_eur: float
    rounds: int
    dropped: int


def staged(problem: Problem, plan_jobs: Callable[[Problem, int], JobsFound], progress: Progress, stop: StopAsked) -> Staged:
    """Jobs and transfers of ``problem``.

    Args:
        problem: with migrations.
        plan_jobs: plans a problem without migrations within its time limit, given the number of the round, from 0.
        progress: told what happens.
        stop: asked often; True returns what there is.

    Raises:
        SolverError: the energy side could not be solved.
    """
    end = time.perf_counter() + problem.settings.time_limit_s
    rules, bound_eur = WaitRules(expected=True), -math.inf
    for k, share in enumerate(JOBS_SHARE):
        part = as_copies(_within(problem, share * _left(end)), rules)
        found = plan_jobs(part.problem, k)
        if not k:
            bound_eur = _proven(problem, found.warm)
        jobs = part.in_full(found.schedule)
        needs = needs_of(problem, jobs)
        chosen = one_target_each(needs)
        last = k == len(JOBS_SHARE) - 1 or stop()
        until = end if last else time.perf_counter() + share * _left(end)
        both, energy = _delivered(problem, jobs, chosen, until, progress, stop)
        there, missing = delivered(chosen, both)
        elsewhere = [need for need in needs if need not in chosen]
        missing += elsewhere
        progress(f"transfers: {len(needs)} needed, {len(missing)} of them too late or not at all")
        if not missing or last:
            break
        if k == len(JOBS_SHARE) - 2:
            rules = WaitRules(arrivals(both), only=frozenset(need.way for need in there), expected=True)
        else:
            rules = WaitRules(in_turn(problem, chosen), frozenset(need.way for need in elsewhere), expected=True)
    gone = len(jobs.jobs)
    while missing:
        jobs = without_readers(problem, jobs, missing)
        chosen = needs_of(problem, jobs)
        both, energy = _delivered(problem, jobs, chosen, end, progress, stop)
        missing = delivered(chosen, both)[1]
    return Staged(both, energy, bound_eur, k + 1, gone - len(jobs.jobs))


def _proven(problem: Problem, warm: Warm) -> float:
    """The bound of the whole problem that the prices ``warm`` prove, EUR: in the jobs' part copies cost what they do at least."""
    dual = Dual(case_of(as_copies(problem).problem))
    dual.nu = warm.nu.copy()
    return dual.evaluate(warm.lam, warm.mu) + least_eur(problem)


def _left(end: float) -> float:
    return max(0.0, end - time.perf_counter())


def _within(problem: Problem, seconds: float) -> Problem:
    """``problem`` with that time."""
    return replace(problem, settings=replace(problem.settings, time_limit_s=max(LEAST_SECONDS, seconds)))


def _delivered(
    problem: Problem, jobs: Schedule, chosen: list[Need], end: float, progress: Progress, stop: StopAsked
) -> tuple[Schedule, EnergySchedule]:
    """The jobs with the transfers that the reference plans for them until ``end``, and the flows of both."""
    rest, ways = as_load(_within(problem, _left(end)), jobs, chosen)
    plan = MilpPolicy().search(rest, progress, stop)
    return with_transfers(jobs, schedule_in_force(rest, plan), ways), plan.energy
