"""Simulated nodes: the real state machine with clocks for jobs, one journal for all, and what survives the process."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from grid.errors import InputError
from ozzo.agent.config import AgentConfig
from ozzo.agent.shared_journal import SharedJournal
from ozzo.agent.simulated import SimulatedNode
from ozzo.broker_files import opens, users_of
from ozzo.commands import CapState, Command, Desired, Hello, JobState, JobWish, NodeState, RefusalCode, Stage
from ozzo.fence import Fence
from ozzo.private import write_private
from ozzo.simulated_nodes import simulated_configs
from ozzo.transport import MemoryHub
from ozzo.wire import CopyProof, ReleaseState, TransferState
from tests.factory import small_scenario
from tests.ozzo.rig import Rig, pause, run, stop

NODE = "hall.rack-0"
SPEED = 1000.0


class Ground:
    """One simulated node in memory, driven step by step, and the controller's end."""

    def __init__(self, path: Path | None = None, *, draws: bool = False) -> None:
        self.hub = MemoryHub()
        self.rig = Rig("test", self.hub.connect())
        self.journal = SharedJournal(path, keeps_draws=draws)
        config = AgentConfig(scenario="test", node=NODE, journal="-", programs={}, idle_kw=0.1, failsafe_kw=0.2)
        self.node = SimulatedNode(config, self.hub.connect(), self.journal.page(NODE), speed=SPEED, away_s=0.0)
        self.node.wake_up(self.node.hear)

    def ask(self, desired: Desired) -> tuple[Command, list[Stage]]:
        """Send a command; its answers so far."""
        command = self.rig.send(self.rig.command(NODE, desired))
        self.node.pass_time()
        return command, self.rig.stages(command)

    def until(self, true: Callable[[], bool]) -> None:
        """Let time pass until something is so."""
        end = time.monotonic() + 10.0
        while not true():
            assert time.monotonic() < end
            self.node.pass_time()
            time.sleep(0.005)

    def state(self) -> NodeState:
        """What the node says about itself now."""
        self.ask(Hello())
        return self.rig.states[-1]


def job(name: str, seconds: float) -> JobState:
    """A job of 0.3 kW."""
    return run(name, seconds=seconds, power_kw=0.3)


def test_a_simulated_job_runs_draws_power_pauses_and_ends() -> None:
    """Accepted, applied, ended with 0 after its time at a thousandfold speed; its power is the node's; a pause is a pause."""
    ground = Ground()
    command, stages = ground.ask(job("j", 400.0))
    assert stages == [Stage.ACCEPTED, Stage.APPLIED]
    state = ground.state()
    assert state.power_kw == pytest.approx(0.4)
    assert state.power_source == "simulated"
    ground.ask(pause("j"))
    assert ground.state().power_kw == pytest.approx(0.1)
    time.sleep(0.5)  # longer than it has left
    ground.node.pass_time()
    assert Stage.ENDED not in ground.rig.stages(command)
    ground.ask(run("j", seconds=400.0, power_kw=0.3))
    ground.until(lambda: Stage.ENDED in ground.rig.stages(command))
    assert ground.state().ended == {"j": 0}


def test_cap_and_stop_are_those_of_real_nodes() -> None:
    """A cap holds the later job back, the end of the first lets it go; a stop ends it at once."""
    ground = Ground()
    ground.ask(CapState(cap_kw=0.4))
    ground.ask(job("first", 2_000_000.0))
    ground.ask(job("second", 2_000_000.0))
    assert ground.state().held == ("second",)
    _, stages = ground.ask(stop("first"))
    assert stages[-1] is Stage.APPLIED
    assert ground.state().held == ()
    assert ground.state().ended == {"first": -15}


@pytest.mark.parametrize(
    "desired",
    [
        TransferState(transfer="t", state=JobWish.RUNNING, peer="vault", root="cold", path="scans"),
        ReleaseState(
            release="r",
            root="cold",
            path="scans",
            proof=CopyProof(peer="vault", digest=f"sha256:{'0' * 64}", files=1, bytes=1),
        ),
    ],
)
def test_a_simulated_node_keeps_no_data(desired: TransferState | ReleaseState) -> None:
    """A transfer or a release is accepted and then fails in words: nobody may take it for done, or plan on a copy."""
    ground = Ground()
    command, stages = ground.ask(desired)
    assert stages == [Stage.ACCEPTED, Stage.FAILED]
    told = ground.rig.answers[-1]
    assert (told.command, told.code, told.text) == (command.id, RefusalCode.TRANSFER_NOT_ALLOWED, "this node keeps no data")
    assert (ground.state().jobs, ground.state().ended) == ({}, {})
    ground.rig.send(command)
    assert ground.rig.stages(command) == [Stage.ACCEPTED, Stage.FAILED, Stage.FAILED]  # the stored answer


def test_what_was_accepted_outlives_the_process(tmp_path: Path) -> None:
    """Another process on the same file: same fence, the job goes on, its command is not done twice, failsafe until it is told."""
    ground = Ground(tmp_path / "nodes.sqlite")
    command, _ = ground.ask(job("j", 2_000_000.0))
    ground.ask(job("gone", 0.001))
    ground.until(lambda: ground.state().ended == {"gone": 0})
    ground.journal.commit()
    ground.journal.close()
    again = Ground(tmp_path / "nodes.sqlite")
    again.rig.sequence = ground.rig.sequence
    state = again.state()
    assert (state.jobs, state.ended, state.failsafe) == ({"j": "running"}, {"gone": 0}, True)
    assert state.held == ("j",)  # 0.1 + 0.3 kW is above the failsafe cap
    again.rig.send(command)
    assert again.rig.stages(command) == [Stage.APPLIED]  # the stored answer, and nothing else
    again.journal.commit()
    with sqlite3.connect(tmp_path / "nodes.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM starts WHERE job = 'j'").fetchone() == (1,)
    connection.close()


def test_what_was_not_committed_never_was(tmp_path: Path) -> None:
    """A process that dies before the commit leaves nothing of what came last: nobody was told of it either."""
    ground = Ground(tmp_path / "nodes.sqlite")
    ground.ask(job("kept", 2_000_000.0))
    ground.journal.commit()
    ground.ask(job("unkept", 2_000_000.0))
    ground.journal.close()
    page = SharedJournal(tmp_path / "nodes.sqlite").page(NODE)
    assert list(page.runs) == ["kept"]
    assert page.fence() == Fence(1, 1)


def test_power_and_caps_are_logged_only_when_wanted(tmp_path: Path) -> None:
    """Without the option there is no row; with it there is one whenever power, cap or lease have changed."""
    for draws in (False, True):
        ground = Ground(tmp_path / f"{draws}.sqlite", draws=draws)
        ground.ask(CapState(cap_kw=1.0))
        ground.ask(job("j", 2_000_000.0))
        ground.journal.commit(datetime.now(UTC))
        with sqlite3.connect(tmp_path / f"{draws}.sqlite") as connection:
            rows = connection.execute("SELECT kw, cap_kw FROM draws ORDER BY position").fetchall()
        connection.close()
        assert rows == ([(0.1, None), (0.1, 1.0), (pytest.approx(0.4), 1.0)] if draws else [])


def test_a_node_that_cannot_write_obeys_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands get no answer, heartbeats do not count, and nothing has changed."""
    ground = Ground()

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    for name in ("accept", "raise_fence"):
        monkeypatch.setattr(ground.node._journal, name, full)
    command, _ = ground.ask(job("j", 1.0))
    assert ground.rig.stages(command) == []
    before = len(ground.rig.states)
    ground.ask(Hello())
    assert len(ground.rig.states) == before
    assert ground.node._fence == Fence()


def test_users_of_simulated_nodes(tmp_path: Path) -> None:
    """Each has a password that opens its line and is used again; a node of a real machine, and too many, are refused."""
    scenario = small_scenario()
    folder = tmp_path / "broker"
    (folder / "mosquitto").mkdir(parents=True)
    with pytest.raises(InputError, match="ozzo broker"):
        simulated_configs(scenario, 1, folder)
    write_private(folder / "broker.json", '{"scenario": "small", "host": "localhost", "port": 1, "tls": false}')
    write_private(folder / "mosquitto" / "passwords", "")
    first, second = simulated_configs(scenario, 2, folder)
    lines = users_of((folder / "mosquitto" / "passwords").read_text())
    assert [config.node for config in (first, second)] == ["cabinet.rack-0", "cabinet.rack-1"]
    assert opens(lines["cabinet.rack-1"], second.password)
    assert [config.password for config in simulated_configs(scenario, 3, folder)][:2] == [first.password, second.password]
    with pytest.raises(InputError, match="--simulate: found 8; expected 1 to 7"):
        simulated_configs(scenario, 8, folder)
    real = lines["cabinet.rack-0"].replace("$7$", "$7$1")
    write_private(folder / "mosquitto" / "passwords", real + "\n")
    with pytest.raises(InputError, match="cabinet"):
        simulated_configs(scenario, 1, folder)
