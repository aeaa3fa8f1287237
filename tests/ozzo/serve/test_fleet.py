"""The fleet of a controller that stays, on agents in memory: restarts, lost nodes, overrides. Jobs are real processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ozzo.agent.node import NodeAgent
from ozzo.clock import AcceleratedClock
from ozzo.commands import Acknowledgement, CapState, JobState, JobWish, Stage, uuid7
from ozzo.fleet import LocalAgents, specs_of
from ozzo.orders import Order
from ozzo.serve.fleet import StandingFleet
from ozzo.serve.overrides import Action, Override, Rules, Target
from ozzo.serve.state import FILE, ServeState
from ozzo.serve.telling import places_of
from ozzo.serve.works import Stage as WorkStage
from ozzo.transport import Transport
from scheduler.plan import Run
from tests.ozzo.rig import eventually
from tests.ozzo.test_fleet import fleet_scenario
from tests.ozzo.test_orders import plan_of

SCENARIO = fleet_scenario()
DAY_S = 24.0  # an hour of the plan is a second
HALL = ("hall.rack-0", "hall.rack-1", "hall.rack-2", "hall.rack-3")
CERTAIN_S = 1.0


class OnlyTheWill:
    """A carrier that loses all that a node says but its death, as when its power is cut and the broker sends its will."""

    def __init__(self, real: Transport) -> None:
        self._real = real

    def publish(self, topic: str, payload: bytes, *, expiry_s: float | None = None, retain: bool = False) -> None:
        """See ``Transport``."""
        if b'"death"' in payload:
            self._real.publish(topic, payload, expiry_s=expiry_s, retain=retain)


class SomeAgents(LocalAgents):
    """Agents in memory of which one can be taken away and brought back, as by a cut of its power."""

    def lose(self, node: str, *, silently: bool = True) -> None:
        """End an agent and its jobs; silently: nobody hears of it but by its will."""
        for agent, thread in [entry for entry in self._threads if entry[0].config.node == node]:
            carrier = agent._transport
            if silently:
                agent.__dict__["_transport"] = OnlyTheWill(carrier)
            agent.stop()
            thread.join()
            carrier.close()
            self._threads.remove((agent, thread))

    def bring_back(self, node: str) -> None:
        """Start it again, with its journal."""
        spec = next(spec for spec in self.nodes if spec.name == node)
        agent = NodeAgent(self._config(spec, None), self._hub.connect())
        thread = threading.Thread(target=agent.run, daemon=True)
        self._threads.append((agent, thread))
        thread.start()

    def launch(self) -> None:
        """Only once: they outlive a controller."""
        if not self._threads:
            super().launch()

    def start(self) -> None:
        """Only once."""
        if hasattr(self, "_hub"):
            self.transport = self._hub.connect()
        else:
            super().start()

    def stop(self) -> None:
        """The controller's end only."""
        self.transport.close()

    def end(self) -> None:
        """All of them."""
        super().stop()


@dataclass
class Rig:
    """State and agents, and fleets that come and go."""

    state: ServeState
    agents: SomeAgents
    clock: AcceleratedClock
    silenced: str = ""

    @contextmanager
    def fleet(self, rules: Rules | None = None) -> Iterator[StandingFleet]:
        """A life of the controller."""
        fleet = StandingFleet(
            SCENARIO, self.state, self.agents, self.clock, permit=lambda: self.silenced, run="a.1/", certain_s=CERTAIN_S
        )
        fleet.know(rules or Rules())
        fleet.start(10.0)
        fleet.meet()
        try:
            yield fleet
        finally:
            fleet.close()

    def starts(self, job: str) -> int:
        """Processes that a job had, by what nodes have answered."""
        answers: tuple[Acknowledgement, ...] = self.state.acknowledgements()
        mine = {item.id for item in self.state.commands() if getattr(item.desired, "job", "") == f"a.1/{job}"}
        return len({(a.node, a.measured["pid"]) for a in answers if a.command in mine and "pid" in a.measured})

    def runs(self, job: str, node: str, *, running: bool = True) -> bool:
        """True when a node's last answer about a job says that it runs (or stands still)."""
        about = {item.id for item in self.state.commands() if getattr(item.desired, "job", "") == f"a.1/{job}"}
        last = [a for a in self.state.acknowledgements() if a.command in about and a.node == node and "running" in a.measured]
        return bool(last) and bool(last[-1].measured["running"]) is running

    def cap_kw(self, node: str) -> float | None:
        """The cap that a node has answered with last, kW."""
        told = [item.measured.get("cap_kw") for item in self.state.acknowledgements() if item.node == node]
        return next((cap_kw for cap_kw in reversed(told) if cap_kw is not None), None)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Agents of the small scenario's hall in memory."""
    monkeypatch.setattr("ozzo.serve.fleet.LOOK_S", 0.05)
    agents = SomeAgents(SCENARIO.name, specs_of(SCENARIO, HALL), tmp_path / "agents", memory=True)
    with ExitStack() as stack:
        state = stack.enter_context(ServeState.open(tmp_path / FILE))
        stack.callback(agents.end)
        yield Rig(state, agents, AcceleratedClock(SCENARIO.horizon.start, 86400.0 / DAY_S))


def until(fleet: StandingFleet, true: Callable[[], bool], what: str) -> None:
    """Let a fleet work until something is true."""

    def worked() -> bool:
        fleet.advance(fleet._clock.now(), lambda: True)
        fleet._take(0.02)
        fleet._repeat()
        fleet.look()
        return true()

    eventually(worked, what)


def stage(fleet: StandingFleet, job: str) -> WorkStage | None:
    """Where a job is."""
    work = fleet.works.get(job)
    return None if work is None else work.stage


def told(fleet: StandingFleet, node: str) -> dict[str, JobWish]:
    """Jobs that a node says it has."""
    return dict(fleet.states[node].jobs)


@pytest.mark.slow
def test_the_next_life_goes_on_with_the_same_processes(rig: Rig) -> None:
    """A controller ends in mid-run without a word; the next one states everything again: one process, one end, booked."""
    plan = plan_of(Run("train", "hall", 0, 11, ("hall.rack-2",)))
    with rig.fleet() as first:
        first.pursue(plan, 0, ())
        until(first, lambda: rig.runs("train", "hall.rack-2"), "the start of train")
        epoch = first._voice.epoch
    with rig.fleet() as second:
        assert second._voice.epoch > epoch
        assert stage(second, "train") is WorkStage.RUNNING
        second.resume(plan, 1)
        until(second, lambda: stage(second, "train") is WorkStage.DONE, "the end of train")
    assert rig.starts("train") == 1
    assert not second.doubled


def test_an_end_between_two_lives_is_heard(rig: Rig) -> None:
    """A job that ended while no controller was there is done in the next life, and is not started again."""
    with rig.fleet() as first:
        first.pursue(plan_of(Run("train", "hall", 0, 1, ("hall.rack-2",))), 0, ())
        until(first, lambda: rig.runs("train", "hall.rack-2"), "the start of train")
    eventually(lambda: not any(agent._jobs.wishes() for agent, _ in rig.agents._threads), "the end of train")
    with rig.fleet() as second:
        until(second, lambda: stage(second, "train") is WorkStage.DONE, "the end of train, heard later")
    assert rig.starts("train") == 1


def test_a_lost_node_is_planned_around_and_told_to_stop_when_it_is_back(rig: Rig) -> None:
    """Its job is aside until the node is surely in failsafe, then free; it runs elsewhere; the node that is back stops it."""
    with rig.fleet() as fleet:
        fleet.pursue(plan_of(Run("train", "hall", 0, 20, ("hall.rack-2",))), 0, ())
        until(fleet, lambda: rig.runs("train", "hall.rack-2"), "the start of train")
        rig.agents.lose("hall.rack-2")
        until(fleet, lambda: "hall.rack-2" in fleet.closed_nodes(), "the loss of the node")
        assert "train" in fleet.aside()
        fleet.pursue(plan_of(Run("train", "hall", 0, 20, ("hall.rack-3",)), name="too early"), 0, fleet.aside())
        until(fleet, lambda: "train" not in fleet.aside(), "the moment when it is surely in failsafe")
        assert stage(fleet, "train") is WorkStage.STOPPED
        assert rig.starts("train") == 1
        fleet.pursue(plan_of(Run("train", "hall", 0, 5, ("hall.rack-3",)), name="around it"), 0, fleet.aside())
        until(fleet, lambda: rig.runs("train", "hall.rack-3"), "the start of train elsewhere")
        rig.agents.bring_back("hall.rack-2")
        until(fleet, lambda: "hall.rack-2" not in fleet.closed_nodes(), "the node that is back")
        until(fleet, lambda: stage(fleet, "train") is WorkStage.DONE, "the end of train")
        assert "a.1/train" not in told(fleet, "hall.rack-2")
        assert fleet.processes()["train"].orders["hall.rack-2"].desired.state is JobWish.STOPPED
    assert rig.starts("train") == 2
    assert not fleet.doubled
    assert rig.state.entries("given_up")[0].payload == {"job": "a.1/train", "node": "hall.rack-2"}


def test_what_an_agent_ends_when_it_leaves_may_run_again(rig: Rig) -> None:
    """An agent that leaves takes its jobs along and says so: that is no failure of the job, which is free for the next plan."""
    with rig.fleet() as fleet:
        fleet.pursue(plan_of(Run("train", "hall", 0, 20, ("hall.rack-2",))), 0, ())
        until(fleet, lambda: rig.runs("train", "hall.rack-2"), "the start of train")
        rig.agents.lose("hall.rack-2", silently=False)
        until(fleet, lambda: stage(fleet, "train") is WorkStage.STOPPED, "the end of train")
        assert "train" not in fleet.aside()


def test_a_paused_job_that_its_node_has_lost_is_free(rig: Rig) -> None:
    """The node comes back without the job that was paused there: it is not waited for, and may begin from nothing."""
    plan = plan_of(Run("train", "hall", 0, 1, ("hall.rack-2",)), Run("train", "hall", 22, 24, ("hall.rack-2",)))
    with rig.fleet() as fleet:
        fleet.pursue(plan, 0, ())
        until(fleet, lambda: rig.runs("train", "hall.rack-2", running=False), "the pause of train")
        rig.agents.lose("hall.rack-2")
        until(fleet, lambda: "hall.rack-2" in fleet.closed_nodes(), "the loss of the node")
        rig.agents.bring_back("hall.rack-2")
        until(fleet, lambda: stage(fleet, "train") is WorkStage.STOPPED, "the word of the node")
        assert "train" not in fleet.aside()


def test_a_job_waits_for_a_node_that_is_still_taken(rig: Rig) -> None:
    """Another job runs there longer than planned: the start is tried again until its cores are free, and then it happens."""
    with rig.fleet() as fleet:
        fleet.pursue(plan_of(Run("train", "hall", 0, 2, ("hall.rack-2",))), 0, ())
        until(fleet, lambda: rig.runs("train", "hall.rack-2"), "the start of train")
        fleet._give(replace(fleet._book.given["a.1/train", "hall.rack-2"], desired=_of("index")))
        assert ("a.1/index", "hall.rack-2") not in fleet._book.given
        until(fleet, lambda: rig.runs("index", "hall.rack-2"), "the start of index")
        assert stage(fleet, "train") is WorkStage.DONE


def _of(job: str) -> JobState:
    """The state that a job of a whole node runs for long."""
    return JobState(job=f"a.1/{job}", state=JobWish.RUNNING, argv=("work", "60", "0.1"), seconds=60.0)


def test_what_a_job_was_to_do_before_the_new_plan_begins_is_done(rig: Rig) -> None:
    """A job that will be done before the new plan begins is not in it: its last piece stays ordered, nothing later does."""
    with rig.fleet() as fleet:
        slot = rig.clock.now() - SCENARIO.horizon.start
        first = int(slot.total_seconds() // 3600) + 2
        old = (Run("train", "hall", first, first + 1, ("hall.rack-2",)), Run("train", "hall", 22, 23, ("hall.rack-2",)))
        fleet.pursue(plan_of(*old), 0, ())
        rest = plan_of(Run("index", "hall", 5, 6, ("hall.rack-0",)), first_slot=first + 1, name="rest")
        fleet.pursue(rest, 0, {"train"})
        orders = [(order.desired.job, str(order.desired.state)) for order in fleet.pending]
        assert orders == [("train", "running"), ("index", "running")]


def test_a_job_that_the_document_names_no_more_does_not_start(rig: Rig) -> None:
    """Its start is still ordered when the document is written anew: it is withheld, in words; what runs of another goes on."""
    with rig.fleet() as fleet:
        fleet.pursue(plan_of(Run("index", "hall", 0, 20, ("hall.rack-0",)), Run("train", "hall", 2, 9, ("hall.rack-2",))), 0, ())
        until(fleet, lambda: rig.runs("index", "hall.rack-0"), "the start of index")
        fleet.use(replace(SCENARIO, jobs=tuple(job for job in SCENARIO.jobs if job.name != "train")))
        until(fleet, lambda: bool(rig.state.entries("withheld")), "the word on train")
        assert stage(fleet, "index") is WorkStage.RUNNING
    assert rig.state.entries("withheld")[0].payload == {
        "job": "train",
        "node": "hall.rack-2",
        "why": "the document does not name it any more",
    }
    assert rig.starts("train") == 0


def test_no_start_beyond_the_width_of_a_job(rig: Rig) -> None:
    """A plan that moves a job: the new process starts when the old one has ended, never beside it."""
    with rig.fleet() as fleet:
        fleet.pursue(plan_of(Run("train", "hall", 0, 20, ("hall.rack-2",))), 0, ())
        until(fleet, lambda: rig.runs("train", "hall.rack-2"), "the start of train")
        moved = Order(
            rig.clock.now(), "hall.rack-3", fleet._book.given["a.1/train", "hall.rack-2"].desired, "", "", rig.clock.now()
        )
        fleet._give(moved)
        assert ("a.1/train", "hall.rack-3") not in fleet._book.given
        assert [order.node for order in fleet.pending] == ["hall.rack-3"]


def test_a_gang_of_which_one_part_has_ended_well_gets_no_third(rig: Rig) -> None:
    """Two nodes, one of them done a moment before the other: an order for a third node that waited meanwhile is never given."""
    with rig.fleet() as fleet:
        fleet.pursue(plan_of(Run("render", "hall", 0, 20, ("hall.rack-0", "hall.rack-1"))), 0, ())
        until(fleet, lambda: all(rig.runs("render", f"hall.rack-{i}") for i in (0, 1)), "the start of render")
        third = replace(fleet._book.given["a.1/render", "hall.rack-0"], node="hall.rack-2")
        fleet._book.ended(("a.1/render", "hall.rack-0"), 0)
        fleet._give(third)
        assert third.key not in fleet._book.given
        assert [order.node for order in fleet.pending] == ["hall.rack-2"]


def test_overrides_are_obeyed_at_once_and_until_they_are_released(rig: Rig) -> None:
    """Paused by its name, run by its name, its node stopped; a released one follows the plan again."""
    plan = plan_of(Run("train", "hall", 0, 20, ("hall.rack-2",)))

    def rules(*orders: tuple[Target, str, Action]) -> Rules:
        items = tuple(Override(i, *order, None, "a test", "me", datetime.now(UTC)) for i, order in enumerate(orders))
        return Rules(items, places_of(SCENARIO))

    def planned(job: str, node: str) -> JobWish:
        assert (job, node) == ("train", "hall.rack-2")
        return JobWish.RUNNING

    with rig.fleet() as fleet:
        fleet.pursue(plan, 0, ())
        until(fleet, lambda: rig.runs("train", "hall.rack-2"), "the start of train")
        fleet.rule(rules((Target.JOB, "train", Action.PAUSE)), planned)
        assert stage(fleet, "train") is not None
        assert "train" in fleet.aside()
        until(fleet, lambda: stage(fleet, "train") is WorkStage.PAUSED, "the pause")
        until(fleet, lambda: rig.runs("train", "hall.rack-2", running=False), "the pause, applied")
        fleet._give(fleet._book.given["a.1/train", "hall.rack-2"])
        fleet.rule(rules(), planned)
        until(fleet, lambda: stage(fleet, "train") is WorkStage.RUNNING, "the release")
        fleet.rule(rules((Target.NODE, "hall.rack-2", Action.STOP)), planned)
        assert fleet.closed_nodes() == {"hall.rack-2"}
        until(fleet, lambda: stage(fleet, "train") is WorkStage.STOPPED, "the stop")
        assert fleet.room("train")[0] != "hall.rack-2"
        fleet.rule(rules((Target.JOB, "index", Action.RUN)), planned)
        fleet.start_now("train", fleet.room("train"), "by hand")
        until(fleet, lambda: stage(fleet, "train") is WorkStage.RUNNING, "a start by hand")


def test_a_cap_by_hand_is_sent_and_renewed(rig: Rig) -> None:
    """The node answers with the cap that a person set, and with its full power after the release."""
    cap = Override(1, Target.NODE, "hall.rack-0", Action.CAP, 0.2, "hot", "me", datetime.now(UTC))
    with rig.fleet() as fleet:
        fleet.rule(Rules((cap,), places_of(SCENARIO)), lambda *_: None)
        until(fleet, lambda: rig.cap_kw("hall.rack-0") == 0.2, "the cap")
        assert "hall.rack-0" in fleet._voice.needs_cap
        assert fleet.closed_nodes() == {"hall.rack-0"}
        fleet.rule(Rules((), places_of(SCENARIO)), lambda *_: None)
        until(fleet, lambda: rig.cap_kw("hall.rack-0") == 0.5, "its full power")


def test_caps_of_an_earlier_life_are_lifted_or_renewed_at_the_first_greeting(rig: Rig) -> None:
    """A sudden limit's cap is gone and a person's stands, before the next life has said anything else; no node fell to failsafe.

    Each cap is in the journal once a life, however often it is renewed.
    """
    hand = Override(1, Target.NODE, "hall.rack-1", Action.CAP, 0.2, "hot", "me", datetime.now(UTC))
    rules = Rules((hand,), places_of(SCENARIO))

    def cap_kw(fleet: StandingFleet, node: str) -> float | None:
        return fleet.states[node].cap_kw if node in fleet.states else None

    with rig.fleet() as first:
        first.rule(rules, lambda *_: None)
        first.cap({"hall.rack-0": 0.3})
        first._voice.greet()
        until(first, lambda: (cap_kw(first, "hall.rack-0"), cap_kw(first, "hall.rack-1")) == (0.3, 0.2), "both caps")
    with rig.fleet(rules) as second:
        until(second, lambda: (cap_kw(second, "hall.rack-0"), cap_kw(second, "hall.rack-1")) == (0.5, 0.2), "what people left")
        second.rule(rules, lambda *_: None)
        assert {"hall.rack-0", "hall.rack-1"} <= second._voice.needs_cap
        for _ in range(3):
            second._voice.greet()
        assert second.answered(10.0)
        mine = [item for item in rig.state.commands() if item.epoch == second._voice.epoch and isinstance(item.desired, CapState)]
        assert sorted(item.node for item in mine) == ["hall.rack-0", "hall.rack-1"]
        answers = {item.command for item in rig.state.acknowledgements() if item.epoch == second._voice.epoch}
        assert answers == {item.id for item in mine}
    assert rig.state.entries("unreadable") == ()


@pytest.mark.parametrize(("behind", "told"), [(1, 0), (0, 1)])
def test_a_late_answer_to_an_earlier_life_is_no_fault(rig: Rig, behind: int, told: int) -> None:
    """It may be to a cap that was renewed, which no journal holds; of this life, an answer to nothing that it said is told."""
    with rig.fleet() as fleet:
        late = Acknowledgement(
            command=uuid7(),
            epoch=fleet._voice.epoch - behind,
            sequence=1,
            node="hall.rack-0",
            stage=Stage.APPLIED,
            at=datetime.now(UTC),
        )
        fleet._answered(late)
    assert len(rig.state.entries("unreadable")) == told


def test_a_controller_without_its_lease_says_nothing(rig: Rig) -> None:
    """Neither orders nor heartbeats: who tries is told why."""
    with rig.fleet() as fleet:
        rig.silenced = "its lease is over"
        with pytest.raises(Exception, match="its lease is over"):
            fleet._voice.greet()
        assert fleet.retired == "its lease is over"
        assert all(item.stage is not Stage.REFUSED for item in rig.state.acknowledgements())


@pytest.mark.slow
def test_a_job_that_its_cap_holds_does_not_get_on(rig: Rig) -> None:
    """A cap by hand below the job's power: the node says that it is held, and its time stops until the cap is gone."""
    cap = Override(1, Target.NODE, "hall.rack-2", Action.CAP, 0.2, "hot", "me", datetime.now(UTC))
    with rig.fleet() as fleet:
        fleet.pursue(plan_of(Run("train", "hall", 0, 20, ("hall.rack-2",))), 0, ())
        until(fleet, lambda: rig.runs("train", "hall.rack-2"), "the start of train")
        fleet.look()
        assert fleet.works["train"].since is not None
        fleet.rule(Rules((cap,), places_of(SCENARIO)), lambda *_: None)
        until(fleet, lambda: fleet.works["train"].since is None, "the word of the node that holds it")
        assert stage(fleet, "train") is WorkStage.RUNNING
        worked_s = fleet.works["train"].worked_s
        assert fleet.works["train"].worked_at(rig.clock.now()) == worked_s
        fleet.rule(Rules((), places_of(SCENARIO)), lambda *_: None)
        until(fleet, lambda: fleet.works["train"].since is not None, "the word of the node that lets it go")
