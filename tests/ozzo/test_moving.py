"""The migrations of a plan carried out: real copies and releases by real agents with rsync."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ozzo.agent.config import AgentConfig
from ozzo.agent.data_rules import DataRules
from ozzo.agent.replica import INCOMING, arrived, manifest
from ozzo.broker import Broker
from ozzo.clock import AcceleratedClock
from ozzo.commands import Channel, JobState, Stage, topic
from ozzo.fleet import LocalAgents, NodeSpec, specs_of
from ozzo.live import NodeFleet
from ozzo.serve.fleet import StandingFleet
from ozzo.serve.observe import empty
from ozzo.serve.state import FILE, ServeState
from ozzo.store import Journal
from ozzo.transport import Delivery
from ozzo.wire import TransferState
from scheduler.plan import Run
from scheduler.scenario import Scenario
from tests.ozzo.rig import eventually
from tests.ozzo.test_moves import FROM, TO, moving, piece, stored

FAST = 24 * 3600.0 / 0.4  # a day in less than half a second
pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed (Debian: rsync)")


class DataAgents(LocalAgents):
    """Agents in memory; two of them keep data. ``wrong``: the second has no such peer."""

    keeps_data = True
    wrong = False

    def _config(self, spec: NodeSpec, broker: Broker | None) -> AgentConfig:
        roots, peers = {FROM: ("cold", "hall", "vault"), TO: ("frozen", "vault", "hall")}, "another" if self.wrong else ""
        config = super()._config(spec, broker).model_copy(update={"heartbeat_s": 0.2})
        if spec.name not in roots:
            return config
        root, mine, other = roots[spec.name]
        house = self.folder.parent
        told = {"roots": {root: str(house / mine)}, "peers": {peers or other: {"folder": str(house / other)}}}
        return config.model_copy(update={"data": DataRules.model_validate(told)})


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Two roots; the hall has the dataset."""
    (tmp_path / "vault").mkdir()
    data = tmp_path / "hall/scans/2026"
    (data / "deep").mkdir(parents=True)
    (data / "large").write_bytes(os.urandom(300_000))
    (data / "deep/small").write_text("a\n")
    return tmp_path


@contextmanager
def fleet_of(scenario: Scenario, house: Path, *, speed: float = FAST, wrong: bool = False) -> Iterator[tuple[NodeFleet, Journal]]:
    """A fleet of the nodes of hall and vault, whose clock starts when everything is there."""
    clock = AcceleratedClock(scenario.horizon.start, speed)
    clock.pause()
    agents = DataAgents(scenario.name, specs_of(scenario, (FROM, TO)), house / "agents", memory=True)
    agents.wrong = wrong
    with Journal.open(house / "journal.sqlite") as journal, NodeFleet(scenario, journal, agents, clock, run="run-1/") as fleet:
        clock.resume()
        yield fleet, journal


def test_a_plan_moves_real_data(house: Path) -> None:
    """Copied in two pieces, verified, released at the end; the job that reads it begins after the copy is proven."""
    before = manifest(house / "hall/scans/2026")
    plan = moving(piece(0, 1), piece(2, 3), runs=(Run("read", "vault", 3, 4, (TO,)),))
    with fleet_of(stored(), house) as (fleet, journal):
        done = fleet.carry_out(plan)
        answers = [told for told in journal.acknowledgements() if told.stage in {Stage.APPLIED, Stage.ENDED}]
        kinds = {command.id: command.desired for command in journal.commands()}
    assert (done.migrations_done, done.migrations_failed, done.jobs_run, done.jobs_failed) == (1, 0, 1, 0), done
    assert manifest(house / "vault/scans/2026") == before
    assert not (house / "hall/scans/2026").exists()
    copied = next(
        at for at, told in enumerate(answers) if told.stage is Stage.ENDED and isinstance(kinds[told.command], TransferState)
    )
    started = next(at for at, told in enumerate(answers) if isinstance(kinds[told.command], JobState))
    assert copied < started


def test_a_node_that_may_not_copy_is_told_in_the_report(house: Path) -> None:
    """The run says what its node's settings lack; the job that waited for the data never ran, and counts as failed."""
    plan = moving(piece(0, 1), runs=(Run("read", "vault", 3, 4, (TO,)),))
    with fleet_of(stored(), house, wrong=True) as (fleet, _):
        done = fleet.carry_out(plan)
    assert (done.migrations_done, done.migrations_failed, done.jobs_run, done.jobs_failed) == (0, 1, 0, 1), done
    assert "Migration scans was not done: no peer 'hall'" in done.note
    assert (house / "hall/scans/2026").exists()


def test_a_copy_goes_on_after_a_restart_of_the_controller(house: Path) -> None:
    """A controller that stays dies in mid-copy; the copy ends unheard; the next one has it verified and plans on it."""
    scenario = stored()
    size_tb = next(data.size_tb for data in scenario.datasets if data.name == "scans")
    clock = AcceleratedClock(scenario.horizon.start, 1.0)
    agents = DataAgents(scenario.name, specs_of(scenario, (FROM, TO)), house / "agents", memory=True)
    agents.start()
    part, replica = house / "vault" / INCOMING, house / "vault/scans/2026"
    heard: list[Delivery] = []
    agents._hub.connect().subscribe(topic(scenario.name, TO, Channel.ACK), heard.append)
    with ServeState.open(house / FILE) as state:
        try:
            with life(state, agents, clock, scenario) as fleet:
                eventually(lambda: passed(fleet) and arrived(part) > 20_000, "a part")
                assert fleet.with_data(empty(scenario, 1)).moved_tb == {"scans": 0.0}
                assert not replica.exists()
                assert "read" not in fleet.works  # it waits for the data
            eventually(
                lambda: any(b'"ended"' in told.payload for told in heard), "the end of the copy, which no controller hears"
            )
            with life(state, agents, clock, scenario) as fleet:
                eventually(lambda: passed(fleet) and proven(fleet), "a proof")
                assert fleet.with_data(empty(scenario, 1)).moved_tb == {"scans": size_tb}
                eventually(lambda: passed(fleet) and "read" in fleet.works, "the job that reads the data")
            names = {sent.desired.transfer for sent in state.commands() if isinstance(sent.desired, TransferState)}
        finally:
            agents.stop()
    assert manifest(replica) == manifest(house / "hall/scans/2026")
    assert len(names) == 2  # the second one is the look at what the first had brought


@contextmanager
def life(state: ServeState, agents: DataAgents, clock: AcceleratedClock, scenario: Scenario) -> Iterator[StandingFleet]:
    """A life of the controller, under the plan."""
    agents.transport = agents._hub.connect()
    fleet = StandingFleet(scenario, state, OneLife(agents), clock, permit=lambda: "", run="a.1/")
    fleet.start(10.0)
    try:
        fleet.meet()
        fleet.pursue(moving(piece(0, 2, 2.0), runs=(Run("read", "vault", 0, 1, (TO,)),)), 0, ())
        yield fleet
    finally:
        fleet.close()


class OneLife:
    """Agents that were there before a controller, and stay after it."""

    stays = keeps_data = True
    broker = None

    def __init__(self, agents: DataAgents) -> None:
        self._agents = agents
        self.scenario, self.nodes, self.transport = agents.scenario, agents.nodes, agents.transport
        self.description, self.note = "memory", ""

    def start(self) -> None:
        """They are there."""

    def next_epoch(self, journal: Journal, above: int) -> int:
        """As of any controller."""
        return journal.next_epoch(above)

    def launch(self) -> None:
        """Only once."""
        if not self._agents._threads:
            self._agents.launch()

    def watch(self, pid: int) -> None:
        """They outlive it."""

    def ended(self) -> bool:
        """They do not."""
        return False

    def trouble(self) -> str:
        """None."""
        return ""

    def stop(self) -> None:
        """The controller's end only."""
        self.transport.close()


def passed(fleet: StandingFleet) -> bool:
    """Let a fleet work for a moment."""
    fleet.send_due()
    fleet.listen(0.02)
    fleet.look()
    return True


def proven(fleet: StandingFleet) -> bool:
    """True when its move has a proof."""
    return all(move.proof is not None for move in fleet._moves.moves.values()) and bool(fleet._moves.moves)
