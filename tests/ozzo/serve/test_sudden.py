"""Sudden limits under ``ozzo serve``, on agents in memory: commanded from the ladder, without a planner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from grid.response.event import CapacityEvent
from ozzo.clock import AcceleratedClock
from ozzo.commands import JobState, JobWish
from ozzo.fleet import specs_of
from ozzo.serve.fleet import StandingFleet
from ozzo.serve.observe import empty
from ozzo.serve.state import FILE, ServeState
from ozzo.serve.sudden import SETTLE, SuddenLimits
from ozzo.serve.world import Twin
from scheduler.build import build_problem
from scheduler.controller import Decision
from scheduler.outcome import Verdict
from scheduler.placement import assign_nodes
from scheduler.plan import Plan
from scheduler.policies.fifo import Fifo
from scheduler.scenario import ErrorModel
from scheduler.workload import JobKind, PowerCap
from tests.factory import START, job, small_scenario
from tests.ozzo.serve.test_fleet import HALL, SomeAgents, until

ERRORS = replace(ErrorModel(), solar_sigma=0.0, wind_sigma=0.0, command_delay_s=0.0, duration_low=1.0)
JOBS = (job("rigid", duration_h=5), replace(job("pausable", duration_h=5, kind=JobKind.INTERRUPTIBLE), restart_eur=0.5))
SCENARIO = replace(small_scenario(), jobs=JOBS, datasets=(), errors=ERRORS)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[tuple[StandingFleet, ServeState, AcceleratedClock]]:
    """A fleet in memory; an hour of the plan is two seconds."""
    agents = SomeAgents(SCENARIO.name, specs_of(SCENARIO, HALL), tmp_path / "agents", memory=True)
    clock = AcceleratedClock(SCENARIO.horizon.start, 1800.0)
    with ExitStack() as stack:
        state = stack.enter_context(ServeState.open(tmp_path / FILE))
        stack.callback(agents.end)
        fleet = StandingFleet(SCENARIO, state, agents, clock, permit=lambda: "", run="a.1/")
        fleet.start(10.0)
        stack.callback(fleet.close)
        fleet.meet()
        yield fleet, state, clock


def test_a_limit_is_commanded_without_a_solve(serving: tuple[StandingFleet, ServeState, AcceleratedClock]) -> None:
    """An event that holds as it comes: the interruptible job is told to pause, the rigid one runs on, and no plan was made."""
    fleet, state, clock = serving
    problem = build_problem(SCENARIO)
    plan = assign_nodes(SCENARIO, Fifo().plan(problem))
    twin, put = Twin(SCENARIO), list[Plan]()

    def hold(held: Plan) -> None:
        fleet.pursue(held, 0, (), restate=False)
        fleet.send_due()
        twin.hold(held)
        put.append(held)

    sudden = SuddenLimits(SCENARIO, state, fleet, twin, hold, lambda _: None)
    assert not sudden.on_limit("hall", 0.5, "before the first plan", clock.now())
    twin.follow(SCENARIO, plan, empty(SCENARIO, 0), START)
    sudden.follow(Decision(0, "first plan", problem, plan, Verdict(True, plan.id, ()), commanded=True))
    fleet.pursue(plan, 0, ())

    def wishes() -> list[tuple[str, JobWish]]:
        orders = [item.desired for item in state.commands() if isinstance(item.desired, JobState)]
        return [(order.job.removeprefix("a.1/"), order.state) for order in orders]

    until(fleet, lambda: {name for name, _ in wishes()} == {"rigid", "pausable"}, "both starts")
    now = clock.now()
    twin.advance(now)
    before_kw, _ = sudden.reading("hall")
    assert not sudden.on_limit("hall", before_kw - 0.1, "one that does not hold yet", now)
    limit_kw = before_kw - 0.1
    twin.announce((CapacityEvent("sudden", "hall", START, SCENARIO.horizon.end, limit_kw, 1.0, now),))
    assert sudden.on_limit("hall", limit_kw, "event sudden", now)
    assert ("pausable", JobWish.PAUSED) in wishes()  # sent already: nobody has waited for anything
    assert ("rigid", JobWish.PAUSED) not in wishes()
    assert sudden.look(now) == []  # the meter has not had the time to show it
    twin.advance(now + 2 * SETTLE)
    net_kw, limit_now_kw = sudden.reading("hall")
    assert net_kw <= limit_now_kw == pytest.approx(limit_kw)
    assert sudden.look(now + 2 * SETTLE) == []
    assert [entry.payload["cause"] for entry in state.entries("fast_path")] == ["event sudden"]
    assert state.entries("plan") == ()
    assert len(put) == 1


class Caps:
    """Takes caps (a fake of ``StandingFleet``)."""

    def __init__(self) -> None:
        self.told: list[dict[str, float]] = []

    def cap(self, caps_kw: Mapping[str, float]) -> None:
        """Take caps."""
        self.told.append(dict(caps_kw))


def test_no_cap_stays_when_the_horizon_is_over(tmp_path: Path) -> None:
    """Nobody looked while the hold ended, and no plan follows: at the first look after the end the nodes are free of ours."""
    slow = replace(job("slow", duration_h=5, kind=JobKind.MALLEABLE), power_caps=(PowerCap(0.9, 0.5),))
    scenario = replace(SCENARIO, jobs=(slow,))
    problem = build_problem(scenario)
    plan = assign_nodes(scenario, Fifo().plan(problem))
    caps, twin, now = Caps(), Twin(scenario), START + timedelta(minutes=30)
    with ServeState.open(tmp_path / FILE) as state:
        sudden = SuddenLimits(scenario, state, cast("StandingFleet", caps), twin, twin.hold, lambda _: None)
        twin.follow(scenario, plan, empty(scenario, 0), START)
        sudden.follow(Decision(0, "first plan", problem, plan, Verdict(True, plan.id, ()), commanded=True))
        twin.advance(now)
        limit_kw = sudden.reading("hall")[0] - 0.1
        twin.announce((CapacityEvent("sudden", "hall", START, scenario.horizon.end, limit_kw, 1.0, now),))
        assert sudden.on_limit("hall", limit_kw, "event sudden", now)
        assert len(caps.told) == 1
        assert caps.told[0] != {}
        assert sudden.look(scenario.horizon.end + timedelta(hours=1)) == []
    assert caps.told[1:] == [{}]
