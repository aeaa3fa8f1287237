"""The plan in force in the slots of the next problem."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.horizon import Horizon
from scheduler.build import build_problem
from scheduler.in_force import fitting, schedule_in_force, sites_in_force, slots_gone
from scheduler.optimiser.policy import MilpPolicy
from scheduler.plan import Plan, Run
from scheduler.policies.fifo import Fifo
from scheduler.policies.schedule import runs_of, transfers_of
from scheduler.problem import Mode, Problem
from scheduler.workload import JobKind, PowerCap
from scheduler.world import Observation
from tests.factory import START, day_horizon, job, small_scenario

HOUR = timedelta(hours=1)


def seen(slot: int) -> Observation:
    """Nothing has happened up to ``slot``."""
    return Observation(slot, START + slot * HOUR, frozenset(), (), {}, {}, {}, {})


def planned() -> tuple[Problem, Plan]:
    """The small scenario and its optimal plan."""
    problem = build_problem(small_scenario())
    return problem, MilpPolicy().plan(problem)


def test_plan_is_the_schedule_it_was_made_of() -> None:
    """Read back for its own problem, a plan gives the same runs and the same transfers."""
    problem, plan = planned()
    schedule = schedule_in_force(problem, plan)
    assert runs_of(problem, schedule) == tuple(replace(run, nodes=()) for run in plan.runs)
    assert transfers_of(problem, schedule) == plan.transfers
    assert fitting(problem, schedule).jobs == schedule.jobs


@given(slot=st.integers(0, 23))
@settings(max_examples=12, deadline=None)
def test_rest_of_a_plan_is_where_it_was(slot: int) -> None:
    """From any slot on, what has not begun is in the same slots of the clock at the same site."""
    scenario = small_scenario()
    plan = Fifo().plan(build_problem(scenario))
    problem = build_problem(scenario, seen(slot))
    schedule = schedule_in_force(problem, plan)
    found = {problem.jobs[j].name: tuple(t + slot for t in place.slots) for j, place in schedule.jobs.items()}
    whole = {run.job for run in plan.runs} - {run.job for run in plan.runs if run.start < slot}
    runs = {name: tuple(t for run in plan.runs_of(name) for t in range(run.start, run.end)) for name in whole}
    assert {name: slots for name, slots in found.items() if name in whole} == runs


@pytest.mark.parametrize(
    ("start_h", "minutes", "gone"), [(0.0, 60, 0), (3.0, 60, 3), (0.5, 60, None), (1.0, 30, None), (-1.0, 60, None)]
)
def test_slots_must_coincide(start_h: float, minutes: int, gone: int | None) -> None:
    """A later start on an edge of the same slots is so many slots; another step, half a slot, or an earlier start is nothing."""
    later = Horizon(START + start_h * HOUR, timedelta(minutes=minutes), 4)
    assert slots_gone(day_horizon(), later) == gone
    plan = Fifo().plan(build_problem(small_scenario()))
    assert bool(sites_in_force(plan, later)) == (gone is not None)


def test_other_slots_have_no_schedule() -> None:
    """A plan of whole hours says nothing on a problem in half hours."""
    _, plan = planned()
    halves = build_problem(small_scenario(slots=48, minutes=30))
    assert not schedule_in_force(halves, plan).jobs


def test_places_that_are_none_any_more_are_left_out() -> None:
    """A job with other work, one whose site is gone and one whose deadline has moved are left out; the others stay."""
    problem, plan = planned()
    index = {task.name: j for j, task in enumerate(problem.jobs)}
    jobs = list(problem.jobs)
    jobs[index["render"]] = replace(jobs[index["render"]], work=2)
    jobs[index["index"]] = replace(jobs[index["index"]], options=())
    jobs[index["backup"]] = replace(jobs[index["backup"]], deadline=plan.runs_of("backup")[0].start)
    schedule = schedule_in_force(replace(problem, jobs=tuple(jobs)), plan)
    assert {problem.jobs[j].name for j in schedule.jobs} == {"train", "nightly", "transcode"}


def test_commanded_job_keeps_its_slots_whatever_the_plan_says() -> None:
    """A job that runs is where it runs."""
    problem, plan = planned()
    j = next(j for j, task in enumerate(problem.jobs) if task.name == "render")
    jobs = list(problem.jobs)
    jobs[j] = replace(jobs[j], pinned=(0, 1, 2))
    assert schedule_in_force(replace(problem, jobs=tuple(jobs)), plan).jobs[j].slots == (0, 1, 2)


@pytest.mark.parametrize(("use", "speed"), [(1.0, 1.0), (1.0, 0.7), (0.8, 0.65), (0.5, 0.5)])
def test_shares_of_two_modes_are_read_from_speed_and_use(use: float, speed: float) -> None:
    """The mean speed of a run and its use give back the shares at full speed and at 0.7; three modes have no answer."""
    slow = JobKind.MALLEABLE
    caps = (PowerCap(0.7, 0.55),)
    scenario = small_scenario(jobs=(replace(job("soft", duration_h=1, kind=slow), power_caps=caps),))
    problem = build_problem(scenario)
    plan = Fifo().plan(problem)
    runs = tuple(Run("soft", "hall", t, t + 1, (), speed, speed, use) for t in range(3))
    place = schedule_in_force(problem, replace(plan, runs=runs)).jobs[0]
    assert np.allclose(place.use(), use)
    assert np.allclose(place.speed(problem.jobs[0]), speed)
    three = replace(problem.jobs[0], modes=(*problem.jobs[0].modes, Mode(0.5, 0.4)))
    assert not schedule_in_force(replace(problem, jobs=(three,)), replace(plan, runs=runs)).jobs


def test_jobs_that_do_not_fit_beside_each_other_are_taken_out() -> None:
    """With one node left of four, only one of the jobs that ran at the same time keeps its place."""
    jobs = tuple(job(f"job {i}", duration_h=2) for i in range(3))
    problem = build_problem(small_scenario(jobs=jobs))
    schedule = schedule_in_force(problem, Fifo().plan(problem))
    assert len({place.slots for place in schedule.jobs.values()}) == 1
    narrow = replace(problem, capacity=problem.capacity / 4.0)
    assert len(fitting(narrow, schedule).jobs) == 1
    assert len(fitting(problem, schedule).jobs) == 3


def test_next_plan_starts_from_the_one_in_force() -> None:
    """With no time to search, the reference returns nothing dearer than the plan that it was told of."""
    problem, plan = planned()
    hurried = replace(problem, settings=replace(problem.settings, time_limit_s=1e-6))
    again = MilpPolicy().replan(hurried, plan)
    assert MilpPolicy().plan(hurried).objective_eur > plan.objective_eur + 1e-6
    assert again.objective_eur <= plan.objective_eur + 1e-6
