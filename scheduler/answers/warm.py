"""Planning from the schedules of earlier plans, so that the next plan of nearly the same problem takes less time.

Only the start of the search differs from the policy ``milp``: bound, gap and statuses mean the same. A schedule of another
problem is carried over job by job, and what does not fit any more is left out, because the search takes it for granted that the
schedules it starts from keep every limit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from grid.errors import Interrupted
from scheduler.optimiser.compiled import compile_model
from scheduler.optimiser.highs import StopAsked
from scheduler.optimiser.model import build_model
from scheduler.optimiser.search import Search, enough_gap
from scheduler.plan import BatteryControl, Plan, SolveStatus
from scheduler.policies import Progress
from scheduler.policies.assemble import make_plan
from scheduler.policies.fifo import fifo_schedule
from scheduler.policies.placing import EPS, Board
from scheduler.policies.schedule import JobPlace, Schedule
from scheduler.policies.wait_for_sun import wait_for_sun_schedule
from scheduler.problem import Problem


def plan_from(problem: Problem, starts: Mapping[str, Schedule], progress: Progress, stop: StopAsked) -> tuple[Plan, Schedule]:
    """The best plan found from ``starts`` and the two baselines, with its bound, and its decisions.

    Args:
        problem: the problem.
        starts: schedules of this problem by name; each must keep its limits (``carried_over`` sees to that).
        progress: told about every better incumbent.
        stop: asked again and again.

    Raises:
        SolverError: the solver failed in a way that leaves no plan.
        Interrupted: somebody asked to stop.
    """
    from pyomo.common.gc_manager import PauseGC

    begun = time.perf_counter()
    with PauseGC():
        parts = build_model(problem)
        model = compile_model(parts)
    built = time.perf_counter()
    search = Search(parts, model, progress, stop, begun + problem.settings.time_limit_s)
    rest = Board(problem)
    rest.put_pinned()
    baselines = {"fifo": fifo_schedule(problem), "wait_for_sun": wait_for_sun_schedule(problem)}
    search.run({**starts, **baselines, "nothing": rest.schedule})
    if stop():
        raise Interrupted
    schedule = search.schedule()
    plan = make_plan(
        problem,
        schedule,
        search.energy(schedule),
        policy="milp",
        control=BatteryControl.FOLLOW_PLAN,
        status=SolveStatus.OPTIMAL if search.gap <= enough_gap(problem.settings) else SolveStatus.TIME_LIMIT,
        solver=f"{search.words}; best plan from: {search.origin}",
        solve_s=time.perf_counter() - built,
        bound_eur=search.bound if np.isfinite(search.bound) else None,
        build_s=built - begun,
    )
    return plan, schedule


def carried_over(before: Problem, schedule: Schedule, problem: Problem) -> Schedule | None:
    """``schedule`` of ``before`` as one of ``problem``: every job whose place still fits; None when data moves differ."""
    same_links = before.links == problem.links and np.array_equal(before.link_mbit_per_s, problem.link_mbit_per_s)
    same_slots = before.horizon == problem.horizon and before.sites == problem.sites
    if not same_links or not same_slots or before.migrations != problem.migrations:
        return None
    board = Board(problem)
    board.schedule.targets = dict(schedule.targets)
    board.schedule.shares = {m: share.copy() for m, share in schedule.shares.items()}
    board.put_pinned()
    index = {task.name: j for j, task in enumerate(problem.jobs)}
    for j, place in schedule.jobs.items():
        old, k = before.jobs[j], index.get(before.jobs[j].name)
        if k is None or k in board.schedule.jobs:
            continue
        task, slots = problem.jobs[k], list(place.slots)
        same = (old.kind, old.work) == (task.kind, task.work)
        option = next((e for e, o in enumerate(task.options) if o.site == old.options[place.option].site), None)
        if same and option is not None and board.fits(task, option, powered=False)[slots].min() > 1.0 - EPS:
            board.put(k, JobPlace(option, place.slots))
    return board.schedule
