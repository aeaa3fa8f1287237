"""Nodes for every run."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.build import build_problem
from scheduler.placement import assign_nodes, try_nodes
from scheduler.plan import Plan, ReasonKind
from scheduler.policies.assemble import rule_plan
from scheduler.policies.fifo import Fifo
from scheduler.policies.schedule import JobPlace, Schedule
from scheduler.policies.wait_for_sun import WaitForSun
from scheduler.problem import Problem
from scheduler.scenario import Scenario
from scheduler.workload import JobKind, PowerCap, Tenant
from scheduler.world import JobState, Observation
from tests.factory import START, day_horizon, job, site, small_scenario
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


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([Fifo, WaitForSun]))
def test_terms_survive_the_nodes(seed: int, policy: type[Fifo]) -> None:
    """Jobs of all kinds with pieces, an order, soft deadlines and a tenant: moved and dropped jobs keep every rule and price."""
    rng = np.random.default_rng(seed)
    jobs = []
    for k in range(12):
        kind = list(JobKind)[int(rng.integers(0, 3))]
        made = job(
            f"j{k}",
            nodes=int(rng.integers(1, 3)),
            cores=int(rng.choice([5, 9, 11, 16])),
            duration_h=int(rng.integers(1, 5)),
            release_h=int(rng.integers(0, 6)),
            kind=kind,
            sites=("hall", "cabinet"),
        )
        jobs.append(
            replace(
                made,
                min_run=timedelta(hours=int(rng.integers(0, 2))),
                min_gap=timedelta(hours=int(rng.integers(0, 4))),
                restart_eur=float(rng.choice([0.0, 0.5])),
                after=(f"j{int(rng.integers(0, k))}",) if k and rng.random() < 0.4 else (),
                tenant="t" if rng.random() < 0.3 else None,
                due=START + timedelta(hours=8) if rng.random() < 0.5 else None,
                late_eur_per_h=0.2,
            )
        )
    scenario = small_scenario(jobs=tuple(jobs), tenants=(Tenant("t", 0.75),))
    problem = build_problem(scenario)
    before = policy().plan(problem)
    plan = assign_nodes(scenario, before)
    check_nodes(scenario, plan)
    check_plan(problem, plan)
    assert plan.breakdown_eur["lateness"] == pytest.approx(lateness_by_hand(problem, plan))
    pieces = {task.name: (task.restart_eur, len(blocks(plan, task.name))) for task in problem.jobs}
    assert plan.breakdown_eur["fixed"] == pytest.approx(sum(price * max(0, count - 1) for price, count in pieces.values()))


def blocks(plan: Plan, name: str) -> list[tuple[int, int]]:
    """Pieces of a job, those that follow each other on other nodes counted as one."""
    found: list[tuple[int, int]] = []
    for run in plan.runs_of(name):
        start = found.pop()[0] if found and found[-1][1] == run.start else run.start
        found.append((start, run.end))
    return found


def lateness_by_hand(problem: Problem, plan: Plan) -> float:
    """Slots after each soft deadline: of a rigid job those up to its end, of others those that they run in."""
    total = 0.0
    for task in problem.jobs:
        slots = [t for run in plan.runs_of(task.name) for t in range(run.start, run.end)]
        if task.due is not None and slots:
            late = max(slots) + 1 - task.due if task.kind is JobKind.RIGID else sum(t >= task.due for t in slots)
            total += task.late_eur_per_slot * max(0, late)
    return total


def test_followers_of_a_job_without_nodes_are_dropped() -> None:
    """The job that finds no node at any time takes the one after it along, by name and with both prices."""
    scenario, _ = fragmented(deadline_h=2)
    last = replace(job("last", cores=1, deadline_h=6, duration_h=1), after=("a", "b", "c"))
    scenario = replace(scenario, jobs=(*scenario.jobs, last))
    after = assign_nodes(scenario, Fifo().plan(build_problem(scenario)))
    check_plan(build_problem(scenario), after)
    assert [item.reason.kind for item in after.dropped] == [ReasonKind.CAPACITY, ReasonKind.AFTER]
    assert after.dropped[0].name in after.dropped[1].reason.text
    assert after.breakdown_eur["dropped"] == pytest.approx(20.0)


def test_a_moved_job_stays_before_those_after_it() -> None:
    """A job that must be moved has a later free hour, but the one after it is planned before that: so it has no place."""
    scenario, _ = fragmented(deadline_h=6)
    moved = try_nodes(scenario, Fifo().plan(build_problem(scenario))).unplaced[0]
    follower = replace(job("last", cores=1, deadline_h=4, duration_h=1), after=(moved,))
    scenario = replace(scenario, jobs=(*scenario.jobs, follower))
    after = assign_nodes(scenario, Fifo().plan(build_problem(scenario)))
    check_plan(build_problem(scenario), after)
    assert {item.name for item in after.dropped} == {moved, "last"}


def test_a_malleable_job_keeps_its_whole_nodes_from_pace_to_pace() -> None:
    """Half of a slot's work still takes the whole node, and the node stays the same when the pace changes."""
    soft = replace(job("soft", duration_h=3, kind=JobKind.MALLEABLE), power_caps=(PowerCap(0.5, 0.3),))
    scenario = small_scenario(jobs=(soft, job("other", duration_h=6)), datasets=())
    problem = build_problem(scenario)
    halves = JobPlace(0, (2, 3, 4, 5), ((1.0, 0.0), (0.0, 1.0), (0.0, 1.0), (1.0, 0.0)))
    schedule = Schedule(jobs={0: halves, 1: JobPlace(0, tuple(range(2, 8)))})
    plan = assign_nodes(scenario, rule_plan(problem, schedule, "hand", ReasonKind.RUN_AT_ONCE, 0.0))
    check_nodes(scenario, plan)
    check_plan(problem, plan)
    assert [(run.speed, run.power) for run in plan.runs_of("soft")] == [(1.0, 1.0), (0.5, 0.3), (1.0, 1.0)]
    assert len({run.nodes for run in plan.runs_of("soft")}) == 1
