"""The fast path: from a limit to a held plan and caps, the twin's meter, the watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from grid.response.event import CapacityEvent
from ozzo.commanding import Order, PilotWorld, carry_out
from ozzo.fast_path import FastPath, hold_slots
from ozzo.limit_watch import LimitWatch
from ozzo.live import NodeFleet
from ozzo.store import Journal
from scheduler.build import build_problem
from scheduler.hold import Hold, held, tail
from scheduler.ladder import Ladders
from scheduler.placement import assign_nodes
from scheduler.plan import Plan
from scheduler.policies.fifo import Fifo
from scheduler.problem import Problem
from scheduler.scenario import ErrorModel, Scenario
from scheduler.workload import JobKind, PowerCap
from sim.rehearsal import rehearse
from sim.world.simulated import SimulatedWorld
from tests.factory import START, job, small_scenario

HOUR = timedelta(hours=1)


@dataclass
class Notes:
    """Hands that only write down what they were told (a fake of nodes and twin)."""

    plans: list[Plan] = field(default_factory=list)
    caps: list[dict[str, float]] = field(default_factory=list)
    entries: list[Mapping[str, object]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def hold(self, plan: Plan) -> None:
        """Take a plan."""
        self.plans.append(plan)

    def cap(self, caps_kw: Mapping[str, float]) -> None:
        """Take caps."""
        self.caps.append(dict(caps_kw))

    def record(self, kind: str, at: datetime, payload: Mapping[str, object]) -> None:
        """Take a journal entry."""
        assert (kind, at.tzinfo) == ("fast_path", UTC)
        self.entries.append(payload)


def busy_hall() -> tuple[Scenario, Problem, Plan]:
    """A hall of four nodes at night: a rigid, an interruptible and a malleable job run from the start."""
    scenario = small_scenario()
    jobs = (
        job("rigid", duration_h=5),
        replace(job("pausable", duration_h=5, kind=JobKind.INTERRUPTIBLE), restart_eur=0.5),
        replace(job("slow", duration_h=5, kind=JobKind.MALLEABLE), power_caps=(PowerCap(0.9, 0.5),)),
    )
    errors = replace(ErrorModel(), solar_sigma=0.0, wind_sigma=0.0, command_delay_s=0.0, duration_low=1.0)
    scenario = replace(scenario, jobs=jobs, datasets=(), errors=errors)
    problem = build_problem(scenario)
    plan = assign_nodes(scenario, Fifo().plan(problem))
    assert {run.job for run in plan.runs if run.start == 0} == {"rigid", "pausable", "slow"}
    return scenario, problem, plan


def test_a_limit_makes_a_held_plan_caps_and_an_entry() -> None:
    """The cap comes first (it is free at night), then the pause; a second look asks for the rest only; at the end caps go."""
    scenario, problem, plan = busy_hall()
    notes = Notes()
    fast = FastPath(scenario, notes, notes.record, notes.lines.append)
    assert fast.on_limit("hall", 0.0, 9.0, START, "too early") is None
    fast.follow(problem, plan)
    now = START + 0.5 * HOUR
    nothing = fast.on_limit("hall", 2.0, 1.9, now, "a look")
    assert nothing is not None
    assert (nothing.steps, notes.plans, notes.entries) == ((), [], [])
    first = fast.on_limit("hall", 2.0, 2.1, now, "event x")
    assert first is not None
    assert [(step.name, step.kind) for step in first.steps] == [("slow", "cap")]
    (node,) = first.steps[0].nodes
    assert notes.caps == [{node: pytest.approx(0.1 + 0.2)}]  # idle, and half of 0.4 kW
    second = fast.on_limit("hall", 0.1, 2.1, now, "event x")
    assert second is not None
    assert [(step.name, step.kind) for step in second.steps] == [("slow", "pause"), ("pausable", "pause")]
    assert second.shortfall_kw == pytest.approx(2.0 - 1.2 * (0.4 + 0.2))
    assert "must run" in notes.lines[-1]
    assert [entry["shortfall_kw"] for entry in notes.entries] == [0.0, second.shortfall_kw]
    assert {run.job for run in notes.plans[-1].runs if run.start == 0} == {"rigid"}
    assert notes.caps[-1] == {}
    third = fast.on_limit("hall", 0.1, 2.1 - second.released_kw, now, "event x")
    assert third is not None
    assert (third.steps, len(notes.entries)) == ((), 2)  # that nothing is left to give is known
    fast.tick(START + (hold_slots(scenario) + 0.5) * HOUR)
    with pytest.raises(KeyError):
        fast.on_limit("nowhere", 0.0, 1.0, now, "x")


def test_caps_are_lifted_when_the_hold_is_over() -> None:
    """A hold ends by itself; then nobody's cap is ours any more, and this is told once."""
    scenario, problem, plan = busy_hall()
    notes = Notes()
    fast = FastPath(scenario, notes, notes.record)
    fast.follow(problem, plan)
    fast.on_limit("hall", 2.0, 2.1, START, "event x")
    assert notes.caps[-1] != {}
    for hours in (0.5, hold_slots(scenario), hold_slots(scenario) + 1):
        fast.tick(START + hours * HOUR)
    assert notes.caps[1:] == [notes.caps[0], {}]


def test_caps_are_lifted_at_the_end_of_the_horizon() -> None:
    """Whatever was held is held no longer, although no plan follows and nobody looked meanwhile."""
    scenario, problem, plan = busy_hall()
    notes = Notes()
    fast = FastPath(scenario, notes, notes.record)
    fast.follow(problem, plan)
    fast.on_limit("hall", 2.0, 2.1, START, "event x")
    assert notes.caps[-1] != {}
    fast.tick(scenario.horizon.end + HOUR)
    assert notes.caps[1:] == [{}]


def test_the_twin_draws_less_at_once_and_goes_on_later() -> None:
    """An event in force that nobody planned for: seconds later the meter is under its limit; the jobs get done all the same."""
    scenario, problem, plan = busy_hall()
    twin = SimulatedWorld(scenario, seed=1, stressed=False)
    world, notes = PilotWorld(twin, None, None), Notes()
    world.command(plan)
    fast = FastPath(scenario, world, notes.record)
    fast.follow(problem, plan)
    watch = LimitWatch(world, fast, tuple(site.name for site in scenario.sites))
    world.advance(START + 0.5 * HOUR)
    before_kw, connection_kw = world.reading("hall")
    assert connection_kw == 50.0
    assert watch.look(world.now()) == []
    moment = world.now()
    world.announce((CapacityEvent("sudden", "hall", START, START + 3 * HOUR, before_kw - 0.6, 1.0, moment),))
    assert watch.look(world.now(), "event sudden") == ["hall"]
    world.advance(moment + timedelta(seconds=5))
    after_kw, limit_kw = world.reading("hall")
    assert limit_kw == pytest.approx(before_kw - 0.6)
    assert after_kw <= limit_kw + 1e-9
    assert watch.look(world.now()) == []
    outcome = twin.outcome()
    assert all(item.finished is not None for item in outcome.jobs)


@dataclass
class ToldFleet:
    """Takes what nodes would be told (a fake of ``NodeFleet``)."""

    told: list[tuple[str, bool] | str] = field(default_factory=list)

    def replace(self, plan: Plan, _from_slot: int = 0, *, restate: bool = True) -> None:
        """Take a plan."""
        self.told.append((plan.id, restate))

    def send_due(self) -> None:
        """Take the word to send."""
        self.told.append("send")


def test_a_hold_is_at_nodes_and_twin_and_the_coming_plan_takes_over_all_the_same() -> None:
    """Nodes get what changes, at once, and then what the plan to come changes; at its time the twin follows that one again."""
    scenario, problem, plan = busy_hall()
    twin, fleet = SimulatedWorld(scenario, seed=1, stressed=False), ToldFleet()
    world = PilotWorld(twin, cast("NodeFleet", fleet), None)
    world.command(plan)
    twin.advance(START + 0.5 * HOUR)
    coming = tail(plan, 2, "coming")
    world.command(coming)
    before_kw, _ = world.reading("hall")
    steps = Ladders(problem, plan).at("hall", 0).steps
    world.hold(held(plan, 0, [Hold("hall", 4, steps)], "held"))
    assert fleet.told == [(plan.id, True), ("coming", True), ("held", False), "send", ("coming", False)]
    twin.advance(START + 0.6 * HOUR)
    held_kw, _ = world.reading("hall")
    assert held_kw < before_kw - 0.5
    twin.advance(START + 2.1 * HOUR)
    again_kw, _ = world.reading("hall")
    assert again_kw == pytest.approx(before_kw)  # though the hold would have lasted for four hours


def test_a_new_plan_is_asked_for_once_an_hour() -> None:
    """The ladder answers each time; the planner is called for a site's meter at most once an hour."""
    scenario, _, _ = busy_hall()
    watch = LimitWatch(SimulatedWorld(scenario, seed=1, stressed=False), FastPath(scenario, Notes(), Notes().record), ())
    asked = [watch.to_plan(["hall"], START + minutes * timedelta(minutes=1)) for minutes in (0, 59, 60, 61)]
    assert asked == [["hall"], [], ["hall"], []]


def test_a_run_answers_first_and_plans_then(tmp_path: Path) -> None:
    """An event that holds as it arrives: the journal has the fast path, then the event and its plan; delivery starts at once."""
    scenario, problem, plan = busy_hall()
    moment = START + 0.5 * HOUR
    event = CapacityEvent("sudden", "hall", moment, START + 4 * HOUR, 1.2, 1.0, moment)
    rehearsal = rehearse(scenario, plan)
    assert rehearsal.verdict.passed
    assert rehearsal.nominal is not None
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        order = Order(
            scenario, problem, plan, rehearsal.verdict, rehearsal.nominal, Fifo(), None, [(event,)], tmp_path, 60.0, False, 0
        )
        carried = carry_out(order, journal, lambda _: None)
        kinds = [entry.kind for entry in journal.entries()]
        (answer,) = [entry.payload for entry in journal.entries("fast_path")][:1]
    assert kinds.index("fast_path") < kinds.index("event")
    assert (answer["site"], answer["cause"]) == ("hall", "event sudden")
    assert answer["released_kw"] > 0
    assert carried.outcome is not None
    assert all(item.finished is not None for item in carried.outcome.jobs)
