"""What the large-scale solver remembers from plan to plan, and the seam through which it gets the plan in force."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from scheduler.build import build_problem
from scheduler.optimiser import seam
from scheduler.optimiser.large.policy import LargePolicy
from scheduler.optimiser.large.translate import case_of
from scheduler.optimiser.memory import PriceMemory, with_places
from scheduler.optimiser.seam import OptimiserPolicy
from scheduler.plan import Plan
from scheduler.policies import Replanning
from scheduler.policies.fifo import Fifo
from scheduler.problem import Problem
from scheduler.scenario import PlanningSettings, Scenario
from scheduler.workload import JobKind
from scheduler.world import Observation
from sim.plan_check import check_plan
from tests.factory import START, job, small_scenario


def scenario() -> Scenario:
    """A dozen jobs of all kinds on two sites, no data to move."""
    kinds = (JobKind.RIGID, JobKind.INTERRUPTIBLE)
    jobs = tuple(job(f"j{i}", duration_h=1 + i % 3, kind=kinds[i % 2], sites=("cabinet", "hall")) for i in range(12))
    return small_scenario(jobs=jobs, datasets=(), planning=PlanningSettings(time_limit_s=1.0, relative_gap=0.0))


def seen(slot: int) -> Observation:
    """Nothing has happened up to ``slot``."""
    return Observation(slot, START + slot * timedelta(hours=1), frozenset(), (), {}, {}, {}, {})


def planned(memory: PriceMemory) -> tuple[Problem, Plan]:
    """A large plan of the whole day."""
    problem = build_problem(scenario())
    return problem, LargePolicy(lambda: False, memory).plan(problem)


def test_prices_are_shifted_and_places_come_from_the_plan_in_force() -> None:
    """Three hours later the prices begin three slots later, and jobs are where the plan in force has them."""
    memory = PriceMemory()
    whole, _ = planned(memory)
    rest = build_problem(scenario(), seen(3))
    in_force = Fifo().plan(whole)
    warm = memory.recall(rest, case_of(rest), in_force)
    assert warm is not None
    assert memory.warm is not None
    assert np.array_equal(warm.lam, memory.warm.lam[:, 3:])
    later = [j for j, task in enumerate(rest.jobs) if all(run.start >= 3 for run in in_force.runs_of(task.name))]
    assert later
    for j in later:
        run = in_force.runs_of(rest.jobs[j].name)[0]
        assert warm.run_slot[warm.run_ptr[j]] == run.start - 3
        assert rest.sites[warm.site[j]] == run.site


def test_prices_of_something_else_are_not_used() -> None:
    """Other sites, other steps, or an earlier horizon: nothing is recalled, and neither is it before the first plan."""
    memory = PriceMemory()
    problem = build_problem(scenario())
    assert memory.recall(problem, case_of(problem), Fifo().plan(problem)) is None
    _, plan = planned(memory)
    halves = build_problem(replace(scenario(), horizon=small_scenario(slots=48, minutes=30).horizon))
    two = build_problem(replace(scenario(), sites=scenario().sites[:2], links=()))
    for other in (halves, two):
        assert memory.recall(other, case_of(other), plan) is None
    memory.start = problem.horizon.end
    assert memory.recall(problem, case_of(problem), plan) is None


def test_jobs_without_a_place_have_none() -> None:
    """A job that the plan in force does not have does not run in the warm start."""
    memory = PriceMemory()
    problem, plan = planned(memory)
    assert memory.warm is not None
    less = replace(plan, runs=tuple(run for run in plan.runs if run.job != "j5"))
    warm = with_places(memory.warm, problem, less)
    assert warm.site[5] == -1
    assert warm.run_ptr[5] == warm.run_ptr[6]
    assert (np.delete(warm.site, 5) >= 0).all()


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every problem counts as large."""
    monkeypatch.setattr(seam, "REFERENCE_COLUMNS", 0)
    return iter(())


@pytest.mark.usefixtures("all_large")
def test_seam_plans_again_from_its_memory() -> None:
    """The first plan fills the memory, the second is made from it, says so, and passes the plan check."""
    policy, said = OptimiserPolicy(lambda: False), list[str]()
    assert isinstance(policy, Replanning)
    problem = build_problem(scenario())
    first = policy.plan(problem)
    assert policy.memory.warm is not None
    rest = build_problem(scenario(), seen(2), first)
    second = policy.replan(rest, first, said.append)
    assert "prices of the last plan" in said
    assert second.bound_eur is not None
    assert second.bound_eur <= second.objective_eur + 1e-9
    assert check_plan(scenario(), second, seen(2)) == ()


@pytest.mark.usefixtures("all_large")
def test_seam_without_memory_plans_from_nothing() -> None:
    """A policy that has not planned yet, but is told of a plan in force, says that it has no prices, and plans."""
    problem, said = build_problem(scenario()), list[str]()
    plan = OptimiserPolicy(lambda: False).replan(problem, Fifo().plan(problem), said.append)
    assert any("planned from nothing" in line for line in said)
    assert not plan.dropped
