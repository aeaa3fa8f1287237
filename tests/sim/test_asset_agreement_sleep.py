"""Nodes that sleep: plan and world agree to the second, the model's bound holds, and what no plan foresaw waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.horizon import Horizon
from scheduler.build import build_problem
from scheduler.optimiser.highs import Limits, never, solve_linear
from scheduler.optimiser.policy import MilpPolicy, compiled
from scheduler.outcome import JobOutcome
from scheduler.placement import assign_nodes
from scheduler.plan import Plan, Run
from scheduler.policies.registry import POLICIES
from scheduler.scenario import PlanningSettings, Scenario
from scheduler.sleep import Sleep, pause, rest_kwh
from scheduler.workload import JobKind
from sim.plan_check import check_plan
from sim.rehearsal import realise
from sim.world import SimulatedWorld
from tests.factory import START, day_horizon, job, site, small_scenario
from tests.sim.hand import EXACT, hand_plan

SLEEP = Sleep(after_s=600.0, power_kw=0.01, down_s=60.0, down_kw=0.12, up_s=300.0, up_kw=0.3)


def with_sleep(scenario: Scenario, sleep: Sleep | None) -> Scenario:
    """The scenario with this sleep for all nodes."""
    sites = tuple(replace(one, nodes=tuple(replace(group, sleep=sleep) for group in one.nodes)) for one in scenario.sites)
    return replace(scenario, sites=sites)


def test_a_pause_by_hand() -> None:
    """An hour: 10 min idle, 1 min down, 44 min asleep, 5 min up; a quarter is too short; at the end nobody wakes it."""
    assert pause(SLEEP, 0.1, 0.0, 3600.0, needed=True) == [
        (0.0, 600.0, 0.1),
        (600.0, 660.0, 0.12),
        (660.0, 3300.0, 0.01),
        (3300.0, 3600.0, 0.3),
    ]
    assert pause(SLEEP, 0.1, 0.0, 900.0, needed=True) == [(0.0, 900.0, 0.1)]
    assert pause(SLEEP, 0.1, 0.0, 900.0, needed=False) == [(0.0, 600.0, 0.1), (600.0, 660.0, 0.12), (660.0, 900.0, 0.01)]
    assert pause(SLEEP, 0.1, 0.0, 900.0, needed=True, asleep=True) == [(0.0, 600.0, 0.01), (600.0, 900.0, 0.3)]


SLEEPS = st.builds(
    lambda after, power, down, down_more, up, up_more: Sleep(after, power, down, power + down_more, up, power + up_more),
    st.floats(1.0, 9000.0),
    st.floats(0.0, 0.1),
    st.floats(0.0, 3000.0),
    st.floats(0.0, 0.4),
    st.floats(0.0, 4000.0),
    st.floats(0.0, 0.4),
)


@given(SLEEPS, st.lists(st.booleans(), min_size=8, max_size=24), st.booleans())
def test_what_is_saved_in_slots_is_what_is_saved_in_pauses(sleep: Sleep, busy: list[bool], asleep: bool) -> None:
    """Summed over slots, the saving is that of all pauses of the node: idle power less what it drew."""
    horizon = Horizon(START, timedelta(minutes=30), len(busy))
    pieces = [(t, t + 1) for t, works in enumerate(busy) if works]
    total = float(rest_kwh(sleep, 0.1, pieces, horizon, asleep=asleep).sum())
    expected, t = 0.0, 0
    while t < len(busy):
        end = next((later for later in range(t, len(busy)) if busy[later]), len(busy))
        if end > t:
            stretches = pause(sleep, 0.1, t * 1800.0, end * 1800.0, needed=end < len(busy), asleep=asleep and t == 0)
            expected += sum((0.1 - power) * (last - first) for first, last, power in stretches) / 3600.0
        t = end + 1
    assert total == pytest.approx(expected, abs=1e-9)


def days(jobs: tuple[tuple[int, int, int, bool], ...], sleep: Sleep) -> Scenario:
    """One site of four nodes in slots of half an hour, with these jobs (release, slots, nodes, interruptible)."""
    horizon = day_horizon(24, 30)
    work = tuple(
        job(
            f"j{i}",
            release_h=release / 2,
            deadline_h=12.0,
            duration_h=length / 2,
            nodes=nodes,
            kind=JobKind.INTERRUPTIBLE if pauses else JobKind.RIGID,
            cores=16 if i % 3 else 8,
        )
        for i, (release, length, nodes, pauses) in enumerate(jobs)
    )
    base = small_scenario(
        horizon=horizon,
        sites=(site(horizon, "hall", solar_kw=4.0),),
        links=(),
        datasets=(),
        jobs=work,
        errors=EXACT,
        planning=PlanningSettings(limit_margin=0.0),
    )
    return with_sleep(base, sleep)


JOBS = st.lists(st.tuples(st.integers(0, 16), st.integers(1, 5), st.integers(1, 3), st.booleans()), max_size=5).map(tuple)


@settings(max_examples=25)
@given(JOBS, SLEEPS, st.sampled_from(["fifo", "wait_for_sun"]))
def test_the_world_draws_what_the_plan_says(jobs: tuple[tuple[int, int, int, bool], ...], sleep: Sleep, policy: str) -> None:
    """Without errors every slot's load is the planned one to 1e-9, no job waits for a node, and the plan check agrees."""
    scenario = days(jobs, sleep)
    plan = assign_nodes(scenario, POLICIES[policy]().plan(build_problem(scenario)))
    assert check_plan(scenario, plan) == ()
    outcome = realise(scenario, plan, 1)
    hours = scenario.horizon.step_h
    assert np.abs(outcome.energy.load_kwh - plan.energy.load_kw * hours).max() < 1e-9
    planned = {run.job: min(r.start for r in plan.runs_of(run.job)) for run in plan.runs}
    for found in outcome.jobs:
        if found.job in planned:
            assert found.started == scenario.horizon.time(planned[found.job])


@settings(max_examples=10)
@given(JOBS, SLEEPS)
def test_the_bound_of_the_model_holds(jobs: tuple[tuple[int, int, int, bool], ...], sleep: Sleep) -> None:
    """The relaxation of the model lies below what both baselines cost once each of their nodes has its pauses."""
    scenario = days(jobs, sleep)
    problem = build_problem(scenario)
    bound = solve_linear(compiled(problem)[1], Limits(60.0), never).bound
    assert bound is not None
    for name in ("fifo", "wait_for_sun"):
        plan = assign_nodes(scenario, POLICIES[name]().plan(problem))
        assert bound <= plan.objective_eur + 1e-6 * max(1.0, abs(plan.objective_eur))


def test_the_optimiser_keeps_nodes_asleep_that_a_plan_without_sleep_would_use() -> None:
    """Two jobs of one node in a flat day: side by side nothing is gained, one after the other a second node never wakes up."""
    sleep = Sleep(60.0, 0.0, 60.0, 0.1, 60.0, 2.0)  # waking up is dear
    horizon = day_horizon(12, 60)
    place = site(horizon, "hall", nodes=2, peak_eur_per_kw=0.0)
    work = tuple(job(name, duration_h=2, deadline_h=12, nodes=1) for name in ("a", "b"))
    base = small_scenario(horizon=horizon, sites=(place,), links=(), datasets=(), jobs=work, errors=EXACT)
    scenario = with_sleep(base, sleep)
    awake = assign_nodes(base, MilpPolicy().plan(build_problem(base)))
    asleep = assign_nodes(scenario, MilpPolicy().plan(build_problem(scenario)))
    assert asleep.objective_eur < awake.objective_eur
    assert wakings(asleep) <= wakings(awake)


def wakings(plan: Plan) -> int:
    """Pauses of all nodes that end in work."""
    nodes: dict[str, set[int]] = {}
    for run in plan.runs:
        for node in run.nodes:
            nodes.setdefault(node, set()).update(range(run.start, run.end))
    return sum(1 for slots in nodes.values() for t in slots if t > 0 and t - 1 not in slots)


def ended(outcome_jobs: tuple[JobOutcome, ...]) -> float:
    """Hours after the start at which the only job ended."""
    (found,) = outcome_jobs
    assert found.finished is not None
    return (found.finished - START) / timedelta(hours=1)


def lone(sleep: Sleep) -> Scenario:
    """One node and one job of an hour."""
    horizon = day_horizon()
    base = small_scenario(
        sites=(site(horizon, "hall", nodes=1),), links=(), datasets=(), jobs=(job("a", duration_h=1),), errors=EXACT
    )
    return with_sleep(base, sleep)


def test_a_start_that_no_plan_foresaw_waits_for_the_node() -> None:
    """The node has slept since minute 11; told at 5 h to run at once, the job begins five minutes later, and energy says so."""
    scenario = lone(SLEEP)
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.advance(scenario.horizon.time(5))
    assert world.pools["hall"].resting_nodes() == {"hall.rack-0"}
    world.command(hand_plan(scenario, (Run("a", "hall", 5, 6, ("hall.rack-0",)),)))
    outcome = world.outcome()
    assert ended(outcome.jobs) == pytest.approx(6 + 5 / 60)
    sixth_hour = 0.1 + 1.2 * (0.3 * 5 + (0.1 + 0.4) * 55) / 60
    assert outcome.energy.load_kwh[0, 5] == pytest.approx(sixth_hour, abs=1e-9)


def test_going_to_sleep_cannot_be_broken_off() -> None:
    """Told half a minute after the node began to go down, the job waits for the rest of that minute and the five of waking up."""
    scenario = lone(SLEEP)
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.advance(START + timedelta(seconds=630))
    world.command(hand_plan(scenario, (Run("a", "hall", 0, 1, ("hall.rack-0",)),)))
    assert ended(world.outcome().jobs) == pytest.approx((660 + 300 + 3600) / 3600)


def test_a_plan_wakes_its_node_in_time_whenever_it_comes() -> None:
    """Commanded at 2 h for 5 h, the node is ready at 5 h; dropped again at 3 h by another plan, it goes on sleeping."""
    scenario = lone(SLEEP)
    planned = hand_plan(scenario, (Run("a", "hall", 5, 6, ("hall.rack-0",)),))
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.advance(scenario.horizon.time(2))
    world.command(planned)
    assert ended(world.outcome().jobs) == pytest.approx(6.0)
    other = SimulatedWorld(scenario, seed=1, stressed=False)
    other.advance(scenario.horizon.time(2))
    other.command(planned)
    other.advance(scenario.horizon.time(3))
    other.command(hand_plan(scenario))
    outcome = other.outcome()
    assert outcome.energy.load_kwh[0, 4:] == pytest.approx(0.1 + 1.2 * 0.01)


def test_an_observation_tells_which_nodes_sleep_and_the_rest_comes_true() -> None:
    """Planned again at 4 h with a sleeping node, the world that begins there draws what the new plan says."""
    scenario = replace(lone(SLEEP), jobs=(job("a", release_h=8, duration_h=2),))
    first = SimulatedWorld(scenario, seed=1, stressed=False)
    seen = first.observe(0)
    first.advance(scenario.horizon.time(4))
    seen = first.observe(4)
    assert seen.asleep == {"hall.rack-0"}
    plan = assign_nodes(scenario, POLICIES["fifo"]().plan(build_problem(scenario, seen)), seen)
    assert check_plan(scenario, plan, seen) == ()
    outcome = realise(scenario, plan, 1, observation=seen)
    assert np.abs(outcome.energy.load_kwh - plan.energy.load_kw).max() < 1e-9


def test_a_failed_node_draws_nothing_and_is_awake_when_it_is_back() -> None:
    """A node that fails asleep is down for two hours; repaired, it idles and goes to sleep again."""
    scenario = replace(lone(SLEEP), errors=replace(EXACT, node_failures=1, repair_h=2.0))
    world = SimulatedWorld(scenario, seed=1, stressed=True)
    world.command(hand_plan(scenario, (Run("a", "hall", 5, 6, ("hall.rack-0",)),)))
    outcome = world.outcome()
    (found,) = outcome.jobs
    assert found.restarts == 1
    assert found.finished is not None
    assert outcome.energy.load_kwh.min() == pytest.approx(0.1, abs=1e-9)
