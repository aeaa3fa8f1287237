"""Planning from what earlier plans of nearly the same problem left: the seam's solver, with a head start.

The reference starts from their schedules and from the vertex of their relaxation, the large-scale solver from their prices and
places. Only the start of the search differs from the policy ``milp``: bound, gap and statuses mean the same. A schedule of
another problem is carried over job by job, and what does not fit any more is left out, because the search takes it for granted
that the schedules it starts from keep every limit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grid.errors import Interrupted
from scheduler.optimiser.basis import Vertex, carried_basis
from scheduler.optimiser.compiled import compile_model
from scheduler.optimiser.highs import StopAsked
from scheduler.optimiser.model import build_model
from scheduler.optimiser.seam import at_scale
from scheduler.optimiser.search import Search, enough_gap
from scheduler.plan import BatteryControl, Plan, SolveStatus
from scheduler.policies import Progress
from scheduler.policies.assemble import make_plan
from scheduler.policies.fifo import fifo_schedule
from scheduler.policies.placing import EPS, Board
from scheduler.policies.schedule import JobPlace, Schedule
from scheduler.policies.wait_for_sun import wait_for_sun_schedule
from scheduler.problem import Problem

if TYPE_CHECKING:
    from scheduler.optimiser.large.warm import Warm


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A plan and what the next one can start from.

    Attributes:
        plan: the plan; schedule: its decisions.
        vertex: of its relaxation, when the reference planned and had one; warm: prices and places, when the large-scale
            solver planned.
    """

    plan: Plan
    schedule: Schedule
    vertex: Vertex | None = None
    warm: Warm | None = None


def plan_from(
    problem: Problem, starts: Mapping[str, Schedule], progress: Progress, stop: StopAsked, before: Planned | None = None
) -> Planned:
    """The best plan found by the solver that the seam takes, with its bound.

    Args:
        problem: the problem.
        starts: schedules of this problem by name, for the reference; each must keep its limits (``carried_over`` sees to that).
        progress: told about every better incumbent.
        stop: asked again and again.
        before: an earlier plan of nearly the same problem.

    Raises:
        SolverError: the solver failed in a way that leaves no plan.
        Interrupted: somebody asked to stop.
    """
    large = at_scale(problem, progress)
    found = _by_prices(problem, progress, stop, before) if large else _by_reference(problem, starts, progress, stop, before)
    if stop():
        raise Interrupted
    return found


def _by_prices(problem: Problem, progress: Progress, stop: StopAsked, before: Planned | None) -> Planned:
    """With the large-scale solver, from known prices and places."""
    from scheduler.optimiser.large.policy import LargePolicy

    found = LargePolicy(stop).search(problem, progress, stop, before.warm if before is not None else None)
    return Planned(found.plan, found.schedule, warm=found.warm)


def _by_reference(
    problem: Problem, starts: Mapping[str, Schedule], progress: Progress, stop: StopAsked, before: Planned | None
) -> Planned:
    """With the reference, from ``starts`` and the two baselines, its relaxation from the vertex of the one before."""
    from pyomo.common.gc_manager import PauseGC

    begun = time.perf_counter()
    with PauseGC():
        parts = build_model(problem)
        model = compile_model(parts)
        parts.model = None
    built = time.perf_counter()
    search = Search(parts, model, progress, stop, begun + problem.settings.time_limit_s)
    if before is not None and before.vertex is not None:
        search.start_basis = carried_basis(before.vertex, parts, model)
    rest = Board(problem)
    rest.put_pinned()
    baselines = {"fifo": fifo_schedule(problem), "wait_for_sun": wait_for_sun_schedule(problem)}
    search.run({**starts, **baselines, "nothing": rest.schedule})
    schedule = search.schedule()
    plan = make_plan(
        problem,
        schedule,
        search.energy(schedule),
        assets=search.asset_runs(schedule),
        policy="milp",
        control=BatteryControl.FOLLOW_PLAN,
        status=SolveStatus.OPTIMAL if search.gap <= enough_gap(problem.settings) else SolveStatus.TIME_LIMIT,
        solver=f"{search.words}; best plan from: {search.origin}",
        solve_s=time.perf_counter() - built,
        bound_eur=search.bound if np.isfinite(search.bound) else None,
        build_s=built - begun,
    )
    return Planned(plan, schedule, Vertex(parts, model, search.basis) if search.basis is not None else None)


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
