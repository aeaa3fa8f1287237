"""Which plan a session has in force: one of an earlier life, one that is held, one that takes over later. No nodes, no solver."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from grid.errors import TransportError
from grid.response.event import CapacityEvent
from ozzo.clock import AcceleratedClock
from ozzo.serve.earlier import plan_of as earlier_plan
from ozzo.serve.earlier import with_event
from ozzo.serve.evidence import Mode
from ozzo.serve.fleet import StandingFleet
from ozzo.serve.hands import Hands
from ozzo.serve.loop import Lives
from ozzo.serve.options import ServeOptions
from ozzo.serve.overrides import Action, Rules, Target
from ozzo.serve.parts import Parts
from ozzo.serve.session import Session
from ozzo.serve.state import FILE, ServeState
from ozzo.serve.works import Work
from ozzo.serve.world import Twin
from scheduler.hold import Hold, held
from scheduler.plan import Plan, Run
from scheduler.plan_json import plan_to_dict
from scheduler.rungs import Step, StepKind
from tests.factory import START, day_horizon, small_scenario
from tests.ozzo.test_orders import plan_of

SCENARIO = small_scenario()
HOUR = day_horizon().step
WHOLE = plan_of(Run("train", "hall", 0, 9, ("hall.rack-2",)), Run("index", "hall", 0, 4, ("hall.rack-0",)))
PAUSE = Hold("hall", 2, (Step(StepKind.PAUSE, "train", ("hall.rack-2",), 0.5, 0.0),))


@dataclass
class ToldFleet:
    """Takes what nodes would be told (a fake of ``StandingFleet``)."""

    told: list[tuple[str, frozenset[str], bool] | str] = field(default_factory=list)
    works: Mapping[str, Work] = field(default_factory=dict)

    def pursue(self, plan: Plan, _slot: int, aside: Collection[str], *, restate: bool = True) -> None:
        """Take a plan."""
        self.told.append((plan.id, frozenset(aside), restate))

    def send_due(self) -> None:
        """Take the word to send."""
        self.told.append("send")

    def aside(self) -> frozenset[str]:
        """One job stands aside."""
        return frozenset({"render"})

    def rule(self, *_: object) -> None:
        """Overrides are of no concern here."""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[ServeState]:
    """A fresh state."""
    with ServeState.open(tmp_path / FILE) as opened:
        yield opened


def session_of(state: ServeState, fleet: ToldFleet) -> Session:
    """A session at half past midnight whose clock stands still."""
    clock = AcceleratedClock(START + day_horizon().step / 2, 1.0)
    clock.pause()
    other = cast("Any", None)  # nothing of it is used here
    options = ServeOptions(Path("scenario.yaml"))
    nodes = cast("StandingFleet", fleet)
    return Session(
        Parts(
            options,
            Mode.LIVE,
            SCENARIO,
            other,
            state,
            clock,
            nodes,
            other,
            Twin(SCENARIO),
            other,
            str,
            threading.Event(),
            print,
            other,
        )
    )


def test_a_held_plan_is_in_force_until_the_next(state: ServeState) -> None:
    """Nodes are told what it changes, at once; the next life goes on with it; its cause and verdict stay those of before."""
    fleet = ToldFleet()
    session = session_of(state, fleet)
    session._plan, session._left_alone = WHOLE, frozenset({"index"})
    state.keep_facts(plan={"plan": plan_to_dict(WHOLE), "cause": "time has passed", "verdict": "passed"})
    session._hold(held(WHOLE, 0, [PAUSE], "held"))
    assert fleet.told == [("held", frozenset({"index", "render"}), False), "send"]
    assert session._plan is not None
    assert session._plan.id == "held"
    kept = state.fact("plan")
    assert (kept["plan"]["id"], kept["cause"], kept["verdict"]) == ("held", "time has passed", "passed")


def test_a_plan_that_lies_ahead_takes_over_from_a_held_one(state: ServeState) -> None:
    """A limit comes while the next plan waits for its first slot: both are told, in this order; the next one stays the next."""
    fleet = ToldFleet()
    session = session_of(state, fleet)
    coming = plan_of(Run("train", "hall", 0, 5, ("hall.rack-2",)), first_slot=3, name="coming")
    session._plan = coming
    state.keep_facts(plan={"plan": plan_to_dict(coming)})
    session._hold(held(WHOLE, 0, [PAUSE], "held"))
    aside = frozenset({"render"})
    assert fleet.told == [("held", aside, False), "send", ("coming", aside, False)]
    assert session._plan is coming
    assert state.fact("plan")["plan"]["id"] == "coming"


def kept(plan: Plan = WHOLE, **changes: object) -> dict[str, Any]:
    """The fact of a plan in force."""
    return {"plan": plan_to_dict(plan) | changes, "scenario_start": SCENARIO.horizon.start.isoformat()}


def test_the_plan_of_an_earlier_life_fits_the_document_of_now() -> None:
    """Jobs that it names no more are left out and told; one for another horizon or other sites is none; so is a strange one."""
    notes: list[str] = []
    same = earlier_plan(kept(), SCENARIO, "state", notes.append)
    assert same is not None
    assert (same.runs, notes) == (WHOLE.runs, [])
    less = replace(SCENARIO, jobs=tuple(job for job in SCENARIO.jobs if job.name != "train"))
    found = earlier_plan(kept(), less, "state", notes.append)
    assert found is not None
    assert [run.job for run in found.runs] == ["index"]
    assert notes == ["The document does not name these jobs of the plan in force any more: train."]
    assert earlier_plan(kept(), replace(SCENARIO, sites=SCENARIO.sites[:2]), "state", notes.append) is None
    assert earlier_plan(kept(), replace(SCENARIO, horizon=day_horizon(48)), "state", notes.append) is None
    assert earlier_plan(kept() | {"scenario_start": "another"}, SCENARIO, "state", notes.append) is None
    assert len(notes) == 1
    assert earlier_plan(kept(version=99), SCENARIO, "serve/x/state.sqlite", notes.append) is None
    assert "cannot be read, so nothing new is commanded before the next one: serve/x/state.sqlite (plan): version:" in notes[1]


def test_events_are_kept_until_they_are_over() -> None:
    """However many short ones come, a long one is known to the next life; what is over is not."""
    events = [CapacityEvent(f"e{hour}", "hall", START, START + hour * HOUR, 1.0, 1.0, START) for hour in (300, 1)]
    kept: list[dict[str, Any]] = with_event((), events[:1], {"n": "long"}, START)
    for number in range(300):
        kept = with_event(kept, events[1:], {"n": number}, START + number * HOUR / 100)
    assert [item["body"]["n"] for item in kept[:1]] == ["long"]
    last = with_event(kept, events[1:], {"n": "last"}, START + 2 * HOUR)
    assert [item["body"]["n"] for item in last] == ["long", "last"]


def test_a_job_that_is_there_no_more_cannot_be_started_by_hand(state: ServeState) -> None:
    """The override stands in the state, and the document was written anew since: told, once, and everything goes on."""
    state.override(Target.JOB, "gone", Action.RUN, None, "please", "me")
    notes: list[str] = []
    hands = Hands(state, cast("StandingFleet", ToldFleet()), notes.append, notes.append)
    hands.begin(SCENARIO)
    for _ in range(2):
        assert hands.obey(SCENARIO, None, START) == []
    assert notes == ["job gone cannot be started by hand: the document does not name it any more"]


class SomeTimesAway:
    """A fleet whose broker is away for the first two tries (a fake)."""

    tries = 0

    def __init__(self, *_: object, **__: object) -> None: ...

    def know(self, rules: Rules) -> None:
        """Overrides are known before anything is said."""
        assert rules.overrides == ()

    def start(self, _timeout_s: float) -> None:
        """Connect."""
        SomeTimesAway.tries += 1
        if SomeTimesAway.tries < 3:
            raise TransportError("no broker answers at localhost:7")

    def meet(self) -> None:
        """Greet."""


def test_a_broker_that_is_away_at_the_start_is_waited_for(state: ServeState, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told once, tried again until it is there; another trouble than that is raised."""
    monkeypatch.setattr("ozzo.serve.loop.StandingFleet", SomeTimesAway)
    monkeypatch.setattr("ozzo.serve.loop.BROKER_S", 0.0)
    monkeypatch.setattr(Lives, "_agents", lambda *_: None)
    said: list[str] = []
    lead = cast("Any", type("Lead", (), {"check": staticmethod(lambda: "")}))
    options = ServeOptions(Path("scenario.yaml"), broker="mqtts://me@localhost:7")
    lives = Lives(options, SCENARIO, "", Path(), state, lead, threading.Event(), said.append, None)
    clock = AcceleratedClock(datetime.now(UTC), 1.0)
    assert isinstance(lives._fleet(Mode.LIVE, SCENARIO, clock), SomeTimesAway)
    assert said == ["no broker answers at localhost:7; trying again"]
    monkeypatch.setattr(SomeTimesAway, "start", lambda *_: (_ for _ in ()).throw(TransportError("refused: not authorised")))
    with pytest.raises(TransportError, match="not authorised"):
        lives._fleet(Mode.LIVE, SCENARIO, clock)
