"""The fleet without a broker: agents as threads, real processes; and the ledger of what was sent and answered."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import TransportError
from ozzo.agent.config import AgentConfig, builtin_programs
from ozzo.agent.node import NodeAgent
from ozzo.clock import AcceleratedClock
from ozzo.commands import Channel, NodeState, RefusalCode, Stage, answer, topic
from ozzo.fleet import specs_of
from ozzo.ledger import RETRY_S, Ledger
from ozzo.live import NodeFleet
from ozzo.node_power import PowerLog
from ozzo.store import Journal
from ozzo.transport import Delivery, MemoryHub, Transport
from scheduler.plan import Run
from scheduler.scenario import Scenario
from tests.factory import small_scenario
from tests.ozzo.test_commands import command
from tests.ozzo.test_orders import plan_of

FAST = 24 * 3600.0 / 2.0  # a day in two seconds
FIRST = (
    Run("index", "cabinet", 0, 2, ("cabinet.rack-0",)),
    Run("render", "hall", 1, 4, ("hall.rack-0", "hall.rack-1")),
    Run("train", "hall", 2, 5, ("hall.rack-2",)),
    Run("train", "hall", 18, 20, ("hall.rack-2",)),
    Run("backup", "hall", 16, 17, ("hall.rack-3",)),
)


def fleet_scenario() -> Scenario:
    """The small scenario with jobs that keep their own time."""
    scenario = small_scenario()
    return replace(scenario, jobs=tuple(replace(job, command=("work", "{seconds}", "0.1")) for job in scenario.jobs))


@contextmanager
def running_fleet(scenario: Scenario, folder: Path, *, memory: bool = False) -> Iterator[tuple[NodeFleet, Journal]]:
    """A fleet whose clock starts when everything is there."""
    clock = AcceleratedClock(scenario.horizon.start, FAST)
    clock.pause()
    with (
        Journal.open(folder / "journal.sqlite") as journal,
        NodeFleet.local(scenario, journal, folder / "agents", clock, memory=memory) as fleet,
    ):
        clock.resume()
        yield fleet, journal


def test_without_mosquitto_it_works_in_memory_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan is carried out by real processes, every order is applied, and the note tells that there was no broker."""
    monkeypatch.setattr("ozzo.fleet.find_mosquitto", lambda: None)
    with running_fleet(fleet_scenario(), tmp_path) as (fleet, journal):
        result = fleet.carry_out(plan_of(*FIRST))
        answers = journal.acknowledgements()
    assert (result.commands, result.accepted, result.applied, result.failed, result.late) == (7, 7, 7, 0, 0)
    assert (result.jobs_run, result.nodes, result.transport) == (4, 7, "memory")
    assert "mosquitto is not installed" in result.note
    pids = {int(item.measured["pid"]) for item in answers if "pid" in item.measured}
    assert len(pids) == 5  # one process a job and node


def test_a_failing_command_is_told(tmp_path: Path) -> None:
    """A job whose program is not allowed, and one that ends with an error, are not counted as run."""
    scenario = fleet_scenario()
    argv = {"index": ("rm", "-rf", "nothing"), "backup": ("work", "no number")}
    scenario = replace(scenario, jobs=tuple(replace(job, command=argv.get(job.name, job.command)) for job in scenario.jobs))
    with running_fleet(scenario, tmp_path, memory=True) as (fleet, journal):
        result = fleet.carry_out(plan_of(*FIRST))
        codes = {item.code for item in journal.acknowledgements()}
    assert (result.failed, result.jobs_run) == (1, 2)
    assert RefusalCode.PROGRAM_NOT_ALLOWED in codes


def test_a_plan_with_unknown_nodes_is_refused(tmp_path: Path) -> None:
    """Nodes without an agent are named; runs without nodes are told in the note."""
    with running_fleet(fleet_scenario(), tmp_path, memory=True) as (fleet, _):
        with pytest.raises(TransportError, match=r"hall\.rack-9"):
            fleet.replace(plan_of(Run("train", "hall", 0, 5, ("hall.rack-9",))))
        fleet.replace(plan_of(Run("train", "hall", 0, 5)))
        assert "1 runs" in fleet.commanding().note


def test_an_interrupted_fleet_leaves_its_commands_in_the_journal(tmp_path: Path) -> None:
    """Ctrl-C in mid-run goes through; what was sent stands in the journal, and the next life has a higher epoch."""

    def pressed() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), running_fleet(fleet_scenario(), tmp_path, memory=True) as (fleet, _):
        fleet.carry_out(plan_of(Run("train", "hall", 0, 20, ("hall.rack-2",))), wake=pressed)
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        assert [sent.node for sent in journal.commands()] == ["hall.rack-2"]
        assert journal.next_epoch() == 2


def test_specs_of_the_nodes_of_a_scenario() -> None:
    """The nodes of a scenario with their powers, all or the named ones."""
    scenario = small_scenario()
    assert tuple(spec.name for spec in specs_of(scenario)) == tuple(n for site in scenario.sites for n in site.node_names())
    assert [(spec.name, spec.failsafe_kw, spec.peak_kw) for spec in specs_of(scenario, ["vault.rack-0"])] == [
        ("vault.rack-0", 0.2, 0.5)
    ]


def test_unanswered_commands_are_repeated_and_then_given_up() -> None:
    """A command without final answer is due again after the retry time; after its not-after it is given up, once."""
    wall = [0.0]
    ledger = Ledger(lambda: wall[0])
    now = datetime.now(UTC)
    fresh = command(issued_at=now, not_after=now + timedelta(hours=1))
    dead = command(issued_at=now - timedelta(hours=2), not_after=now - timedelta(hours=1))
    done = command(issued_at=now, not_after=now + timedelta(hours=1))
    for item in (fresh, dead, done):
        ledger.add(item, item.encode())
    ledger.answered(answer(fresh, Stage.ACCEPTED, now))
    wall[0] += 0.25
    ledger.answered(answer(done, Stage.APPLIED, now))
    assert ledger.due() == ([], [])
    wall[0] += RETRY_S
    again, lost = ledger.due()
    assert ([entry.command for entry in again], [entry.command for entry in lost]) == ([fresh], [dead])
    assert ledger.due() == ([], [])  # not again before the next retry time
    assert ledger.is_open()
    ledger.answered(answer(fresh, Stage.REFUSED, now, code=RefusalCode.EXPIRED))
    assert not ledger.is_open()
    counts = ledger.counts()
    assert (counts.commands, counts.accepted, counts.applied, counts.failed, counts.late, counts.silent) == (3, 1, 1, 0, 1, 1)
    assert counts.worst_ack_s == 0.25


def test_answers_to_nothing_are_not_booked() -> None:
    """An answer to a command that was never sent is given back as unknown."""
    assert Ledger().answered(answer(command(), Stage.APPLIED, datetime.now(UTC))) is None


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("ozzo.agent.__main__", {"numpy", "pandas", "fastapi", "scheduler", "sim", "yaml", "typer"}),
        ("ozzo.web.events", {"fastapi", "uvicorn", "pydantic"}),
        ("ozzo.guard", {"pydantic", "paho", "numpy"}),
    ],
)
def test_imports_stay_light(module: str, heavy: set[str]) -> None:
    """What runs on every node, beside every broker, or is imported by the command line pulls in nothing heavy."""
    code = f"import sys, {module}; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & {name.partition(".")[0] for name in loaded}


class DeadNodes:
    """Agents that are not there: a broker that is faked in memory retains what they said long ago."""

    broker, stays, keeps_data = None, True, False
    transport: Transport

    def __init__(self, scenario: Scenario, hub: MemoryHub) -> None:
        self.scenario, self.nodes = scenario.name, specs_of(scenario, ["hall.rack-0"])
        self.hub = hub
        self.transport = self.hub.connect()
        self.description = self.note = ""
        old = NodeState(node="hall.rack-0", pid=1, event="heartbeat", at=datetime(2020, 1, 1, tzinfo=UTC))
        self.hub.connect().publish(topic(self.scenario, "hall.rack-0", Channel.STATE), old.encode(), retain=True)

    def start(self) -> None:
        """They are not there."""

    launch = stop = start

    def next_epoch(self, journal: Journal, above: int) -> int:
        """Nobody asks."""
        return journal.next_epoch(above)

    def watch(self, pid: int) -> None:
        """Nobody is there to be watched."""

    def ended(self) -> bool:
        """Nobody has ended."""
        return False

    def trouble(self) -> str:
        """Nobody complains."""
        return ""


def test_what_the_broker_retained_is_no_sign_of_life(tmp_path: Path) -> None:
    """A state from long ago is kept by the broker, its agent is dead: the node counts as silent, and is named."""
    scenario = fleet_scenario()
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        fleet = NodeFleet(scenario, journal, DeadNodes(scenario, MemoryHub()), AcceleratedClock(scenario.horizon.start, FAST))
        with pytest.raises(TransportError, match=r"no word from node hall\.rack-0"):
            fleet.start(0.2)


@pytest.mark.parametrize(
    ("known_s", "retained_s", "counts"),
    [(None, 5, False), (10, 5, False), (10, 10, False), (10, 11, True)],
)
def test_after_a_reconnect_a_newer_retained_word_counts(
    tmp_path: Path, known_s: int | None, retained_s: int, counts: bool
) -> None:
    """A node that never spoke to us, an older word and the same one do not count; one said while we were away does."""
    scenario, start = fleet_scenario(), datetime(2026, 1, 1, tzinfo=UTC)

    def word(pid: int, at_s: int) -> bytes:
        return NodeState(node="hall.rack-0", pid=pid, event="birth", at=start + timedelta(seconds=at_s)).encode()

    name = topic(scenario.name, "hall.rack-0", Channel.STATE)
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        hub = MemoryHub()
        fleet = NodeFleet(scenario, journal, DeadNodes(scenario, hub), AcceleratedClock(scenario.horizon.start, FAST))
        if known_s is not None:
            fleet._read(Delivery(name, word(1, known_s)))
        fleet._read(Delivery(name, word(2, retained_s), retained=True))
        assert ("hall.rack-0" in fleet.states and fleet.states["hall.rack-0"].pid == 2) == counts


class LosingHub(MemoryHub):
    """A carrier that loses the first command to stop a job."""

    lost = 0

    def deliver(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """See ``MemoryHub``."""
        if b'"stopped"' in payload and topic.endswith("command") and not LosingHub.lost:
            LosingHub.lost += 1
        else:
            MemoryHub.deliver(self, topic, payload, retain=retain)


class StayingNode(DeadNodes):
    """One real agent that outlives the controller."""

    def __init__(self, scenario: Scenario, hub: MemoryHub, folder: Path) -> None:
        super().__init__(scenario, hub)
        config = AgentConfig(
            scenario=self.scenario,
            node="hall.rack-0",
            journal=str(folder / "node.sqlite"),
            programs=builtin_programs(),
            stop_grace_s=0.2,
        )
        self.agent = NodeAgent(config, hub.connect())
        self.thread = threading.Thread(target=self.agent.run)

    def launch(self) -> None:
        """Start the agent."""
        self.thread.start()


def test_a_stop_that_gets_lost_at_the_end_is_repeated(tmp_path: Path) -> None:
    """The controller leaves while a job runs on a node that stays: it repeats the lost stop, and leaves when the node has it."""
    scenario = fleet_scenario()
    agents, clock = StayingNode(scenario, LosingHub(), tmp_path), AcceleratedClock(scenario.horizon.start, 60.0)
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        with NodeFleet(scenario, journal, agents, clock) as fleet:
            fleet.replace(plan_of(Run("render", "hall", 0, 20, ("hall.rack-0",))))
            fleet.advance(scenario.horizon.end, lambda: any(a.stage is Stage.APPLIED for a in journal.acknowledgements()))
        stops = [a for a in journal.acknowledgements() if a.stage is Stage.ACCEPTED]
    agents.agent.stop()
    agents.thread.join()
    assert LosingHub.lost == 1
    assert len(stops) == 2


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.none() | st.floats(0, 100)), max_size=30))
def test_power_of_nodes_is_a_mean_over_slots(told: list[tuple[str, int, float | None]]) -> None:
    """However often nodes speak, there is one mean a node and slot; states without a figure, and after the end, do not count."""
    horizon = small_scenario().horizon
    log = PowerLog(horizon)
    expected: dict[tuple[str, datetime], list[float]] = {}
    for node, quarter, power_kw in told:
        at = horizon.start + quarter * timedelta(seconds=horizon.step_s)
        source = "" if power_kw is None else "model"
        log.take(NodeState(node=f"hall.{node}", pid=1, event="heartbeat", power_kw=power_kw, power_source=source, at=at), at)
        if power_kw is not None and quarter < horizon.slots:
            expected.setdefault((f"hall.{node}", at), []).append(power_kw)
    means = log.means()
    assert {(mean.node, mean.time): mean.power_kw for mean in means} == {
        key: pytest.approx(sum(values) / len(values)) for key, values in expected.items()
    }
    assert {mean.site for mean in means} <= {"hall"}
