"""Nodes for every run."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.build import build_problem
from scheduler.placement import assign_nodes, try_nodes
from scheduler.plan import Plan, ReasonKind
from scheduler.policies.fifo import Fifo
from scheduler.policies.wait_for_sun import WaitForSun
from scheduler.scenario import Scenario
from scheduler.workload import JobKind
from scheduler.world import JobState, Observation
from tests.factory import day_horizon, job, site, small_scenario
from tests.scheduler.checks import check_plan


def check_nodes(scenario: Scenario, plan: Plan) -> None:
    """Every run has as many different nodes of its site as its gang is wide, and no node is overfilled in any slot."""
    jobs = {item.name: item for item in scenario.jobs}
    used: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for run in plan.runs:
        item = jobs[run.job]
        assert len(set(run.nodes)) == item.nodes
        assert set(run.nodes) <= set(scenario.site(run.site).node_names())
        for node in run.nodes:
            for slot in range(run.start, run.end):
                used[node, slot][0] += item.cores
                used[node, slot][1] += item.memory_gb
    for cores, memory in used.values():
        assert cores <= 16
        assert memory <= 64


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([Fifo, WaitForSun]))
def test_every_run_has_nodes_and_no_node_too_much(seed: int, policy: type[Fifo]) -> None:
    """Jobs of mixed width and size: after assignment every run has its nodes, the plan is sound and nothing overlaps."""
    rng = np.random.default_rng(seed)
    jobs = tuple(
        job(
            f"j{k}",
            nodes=int(rng.integers(1, 4)),
            cores=int(rng.choice([16, 16, 5, 11, 9])),
            duration_h=int(rng.integers(1, 5)),
            release_h=int(rng.integers(0, 12)),
            kind=JobKind.INTERRUPTIBLE if rng.random() < 0.4 else JobKind.RIGID,
            sites=("hall", "cabinet"),
        )
        for k in range(14)
    )
    scenario = small_scenario(jobs=jobs)
    problem = build_problem(scenario)
    plan = assign_nodes(scenario, policy().plan(problem))
    check_nodes(scenario, plan)
    check_plan(problem, plan)


def test_whole_node_jobs_never_share() -> None:
    """With jobs as large as a node, no node holds two at once, and the pool's schedule always fits."""
    jobs = tuple(job(f"j{k}", nodes=1 + k % 3, duration_h=1 + k % 4, release_h=k % 7) for k in range(12))
    scenario = small_scenario(jobs=jobs, datasets=())
    assignment = try_nodes(scenario, Fifo().plan(build_problem(scenario)))
    held = [(node, slot) for run in assignment.plan.runs for node in run.nodes for slot in range(run.start, run.end)]
    assert len(held) == len(set(held))


def fragmented(*, deadline_h: float) -> tuple[Scenario, Plan]:
    """Two nodes of 16 cores; three jobs of 10, 10 and 12 cores at once fill the pool exactly but not the nodes."""
    horizon = day_horizon(6, 60)
    jobs = (
        job("a", cores=10, deadline_h=deadline_h),
        job("b", cores=10, deadline_h=deadline_h),
        job("c", cores=12, deadline_h=deadline_h),
    )
    scenario = Scenario("f", "f", 1, horizon, (site(horizon, "hall", nodes=2),), jobs=jobs)
    return scenario, Fifo().plan(build_problem(scenario))


def test_fragmentation_moves_a_job() -> None:
    """The job that finds no node is put later, says why, and the energy still closes; the others stay."""
    scenario, plan = fragmented(deadline_h=6)
    assert {run.start for run in plan.runs} == {0}
    moved = try_nodes(scenario, plan).unplaced
    assert len(moved) == 1
    after = assign_nodes(scenario, plan)
    check_nodes(scenario, after)
    check_plan(build_problem(scenario), after)
    assert not after.dropped
    assert after.reasons[moved[0]].kind is ReasonKind.CAPACITY
    assert "no 1 nodes were free at once" in after.reasons[moved[0]].text


def test_fragmentation_drops_when_there_is_no_time() -> None:
    """Without any later time the job is dropped as CAPACITY, its price enters the objective, and the energy is less."""
    scenario, plan = fragmented(deadline_h=2)
    after = assign_nodes(scenario, plan)
    assert after.dropped[0].reason.kind is ReasonKind.CAPACITY
    assert after.breakdown_eur["dropped"] == pytest.approx(10.0)
    assert after.energy.load_kw.sum() < plan.energy.load_kw.sum()
    check_plan(build_problem(scenario), after)


def test_running_jobs_keep_their_nodes_and_failed_ones_get_nothing() -> None:
    """A running gang stays where it is; new runs avoid the node that is out of order."""
    scenario = small_scenario(jobs=(job("old", nodes=2), job("new")))
    seen = Observation(
        1,
        scenario.horizon.time(1),
        frozenset(),
        (JobState("old", "hall", ("hall.rack-3", "hall.rack-1"), 1, True),),
        {},
        {},
        {},
        {},
        frozenset({"hall.rack-0"}),
    )
    plan = assign_nodes(scenario, Fifo().plan(build_problem(scenario, seen)), seen)
    assert plan.runs_of("old")[0].nodes == ("hall.rack-3", "hall.rack-1")
    assert plan.runs_of("new")[0].nodes == ("hall.rack-2",)
