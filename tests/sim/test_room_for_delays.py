"""Plans leave room for command delays: a job that takes exactly what it asked for is not late because of a delay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.build import build_problem
from scheduler.optimiser.policy import MilpPolicy
from scheduler.outcome import ViolationKind
from scheduler.placement import assign_nodes
from scheduler.policies import Policy
from scheduler.policies.fifo import Fifo
from scheduler.scenario import ErrorModel, PlanningSettings, Scenario
from scheduler.workload import JobKind
from sim.plan_check import check_plan
from sim.rehearsal import realise
from tests.factory import job, small_scenario

EXACT_RUN_TIMES = ErrorModel(duration_low=1.0, duration_high=1.0, command_delay_s=2.0)


def tight_scenario(seed: int) -> Scenario:
    """Jobs that fill their slots to the last second, with deadlines on slot edges and at least one slot to spare."""
    rng = np.random.default_rng(seed)
    jobs = []
    for i in range(rng.integers(1, 6)):
        kind = JobKind.RIGID if rng.uniform() < 0.7 else JobKind.INTERRUPTIBLE
        quarters, spare = int(rng.integers(1, 9)), int(rng.integers(1, 12))
        release_h = int(rng.integers(0, 20)) / 4
        deadline_h = release_h + (quarters + spare) / 4
        jobs.append(job(f"j{i}", release_h=release_h, deadline_h=deadline_h, duration_h=quarters / 4, kind=kind, cores=8))
    planning = PlanningSettings(relative_gap=0.05, time_limit_s=10.0)
    return small_scenario(40, 15, seed=seed, jobs=tuple(jobs), datasets=(), links=(), errors=EXACT_RUN_TIMES, planning=planning)


@pytest.mark.parametrize("policy", [Fifo(), MilpPolicy()], ids=lambda policy: policy.name)
@settings(max_examples=12)
@given(seed=st.integers(0, 10**6))
def test_exact_run_times_keep_their_deadlines(policy: Policy, seed: int) -> None:
    """With run times exactly as asked and delayed commands, no job of a plan is late in the nominal run."""
    scenario = tight_scenario(seed)
    plan = assign_nodes(scenario, policy.plan(build_problem(scenario)))
    assert check_plan(scenario, plan) == ()
    outcome = realise(scenario, plan, scenario.seed)
    assert not [violation for violation in outcome.violations if violation.kind is ViolationKind.DEADLINE]


@pytest.mark.parametrize(
    ("duration_h", "deadline_h", "delay_s", "slot"),
    [
        (2.0, 8.0, 2.0, 31),  # fills its slots: ends a slot before its deadline
        (1.9, 8.0, 2.0, 32),  # its last slot has six minutes to spare
        (2.0, 8.1, 2.0, 32),  # the deadline lies six minutes after the edge
        (2.0, 8.0, 0.0, 32),  # commands take no time
        (2.0, 2.0, 2.0, 8),  # no slot to spare: planned all the same, the rehearsal judges
    ],
)
def test_which_jobs_get_room(duration_h: float, deadline_h: float, delay_s: float, slot: int) -> None:
    """The last slot ends ten mean delays before the deadline where the slots themselves leave no room."""
    errors = replace(EXACT_RUN_TIMES, command_delay_s=delay_s)
    task = job("work", duration_h=duration_h, deadline_h=deadline_h)
    scenario = small_scenario(96, 15, jobs=(task,), datasets=(), links=(), errors=errors)
    assert build_problem(scenario).jobs[0].deadline == slot
