"""Real agents over a real broker with real processes, and that nothing of it outlives the controller."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ozzo.agent.child import process_state
from ozzo.commands import Hello, RefusalCode, Stage
from ozzo.fleet import LocalAgents, NodeSpec
from ozzo.store import Journal
from scheduler.plan import Dropped, Reason, ReasonKind, Run
from tests.factory import small_scenario
from tests.live.conftest import NODES
from tests.ozzo.rig import Rig, alive, eventually, pause, run, stop
from tests.ozzo.test_fleet import FAST, FIRST, fleet_scenario, running_fleet
from tests.ozzo.test_orders import plan_of

pytestmark = pytest.mark.live

CONTROLLER = """
import json, sys, time
from pathlib import Path
from ozzo.clock import AcceleratedClock
from ozzo.live import NodeFleet
from ozzo.store import Journal
from scheduler.plan import Run
from tests.factory import small_scenario
from tests.ozzo.test_fleet import FAST, FIRST, fleet_scenario, running_fleet
from tests.ozzo.test_orders import plan_of
folder = Path(sys.argv[1])
scenario = small_scenario()
clock = AcceleratedClock(scenario.horizon.start, 60.0)
with Journal.open(folder / "journal.sqlite") as journal, NodeFleet.local(scenario, journal, folder / "agents", clock) as fleet:
    fleet.replace(plan_of(Run("train", "hall", 0, 20, ("hall.rack-0",)), Run("backup", "hall", 0, 20, ("hall.rack-1",))))
    fleet.advance(clock.now(), lambda: False)
    while len([a for a in journal.acknowledgements() if a.stage == "applied"]) < 2:
        fleet.advance(scenario.horizon.end, lambda: True)
        fleet._take(0.05)
    pids = [int(a.measured["pid"]) for a in journal.acknowledgements() if a.stage == "applied"]
    pids += [state.pid for state in fleet.states.values()] + [fleet._agents.broker.pid]
    print(json.dumps({"pids": pids, "folder": str(fleet._agents.broker.folder)}), flush=True)
    fleet.advance(scenario.horizon.end)
"""


def test_a_job_is_started_paused_resumed_and_stopped(agents: tuple[LocalAgents, Rig]) -> None:
    """Each command is answered accepted and applied, and the operating system shows the state on a real process."""
    _, rig = agents
    begun = rig.send(rig.command(NODES[0], run("j")))
    pid = int(rig.answer(begun).measured["pid"])
    assert rig.stages(begun)[:2] == [Stage.ACCEPTED, Stage.APPLIED]
    assert "sleep" in Path(f"/proc/{pid}/cmdline").read_text()
    rig.ask(NODES[0], pause("j"))
    assert process_state(pid) == "T"
    rig.ask(NODES[0], run("j"))
    assert process_state(pid) != "T"
    assert rig.ask(NODES[0], stop("j")).measured["exit_code"] == -signal.SIGTERM
    assert not alive(pid)


def test_repeated_stale_and_late_commands(agents: tuple[LocalAgents, Rig]) -> None:
    """Over the wire as in memory: a repeated id changes nothing, an old epoch and a late command are refused."""
    _, rig = agents
    begun = rig.send(rig.command(NODES[0], run("j"), epoch=4))
    pid = int(rig.answer(begun).measured["pid"])
    rig.ask(NODES[0], pause("j"), epoch=4)
    rig.send(begun)
    eventually(lambda: rig.stages(begun).count(Stage.APPLIED) == 2, "the stored answer")
    assert process_state(pid) == "T"
    assert rig.ask(NODES[0], run("k"), epoch=3).code is RefusalCode.STALE_EPOCH
    past = datetime.now(UTC) - timedelta(seconds=60)
    late = rig.command(NODES[0], run("k"), epoch=4, issued_at=past, not_after=past + timedelta(seconds=1))
    assert rig.answer(rig.send(late)).code is RefusalCode.EXPIRED
    rig.send(rig.command(NODES[0], Hello(), epoch=4))
    assert rig.state(NODES[0], lambda state: state.position == 2, "journal position").jobs.keys() == {"j"}


def test_a_killed_agent_leaves_no_orphan(agents: tuple[LocalAgents, Rig]) -> None:
    """After SIGKILL of an agent its job is gone, paused or not, the broker says that the node is gone, others go on."""
    _, rig = agents
    pids = [int(rig.ask(NODES[0], run(name)).measured["pid"]) for name in ("a", "b")]
    rig.ask(NODES[0], pause("b"))
    other = int(rig.ask(NODES[1], run("c")).measured["pid"])
    os.kill(rig.birth(NODES[0]).pid, signal.SIGKILL)
    eventually(lambda: not any(map(alive, pids)), "the end of its jobs")
    rig.state(NODES[0], lambda state: state.event == "death", "the will")
    assert alive(other)


def test_the_agents_end_with_everything(agents: tuple[LocalAgents, Rig]) -> None:
    """Stopping the agents ends jobs, agents and broker, and removes the passwords; the nodes' journals stay."""
    local, rig = agents
    pids = [int(rig.ask(name, run("j")).measured["pid"]) for name in NODES] + [rig.birth(name).pid for name in NODES]
    assert local.broker is not None
    pids.append(local.broker.pid)
    folder = local.broker.folder
    local.stop()
    assert not any(map(alive, pids))
    assert not folder.exists()
    assert sorted(path.name for path in local.folder.glob("*.sqlite")) == [f"{name}.sqlite" for name in NODES]


def test_a_plan_is_carried_out(mosquitto: str, tmp_path: Path) -> None:
    """Every order is accepted and applied, all four jobs end well, and the journal holds each command and answer."""
    assert mosquitto
    with running_fleet(fleet_scenario(), tmp_path) as (fleet, journal):
        result = fleet.carry_out(plan_of(*FIRST))
        assert (result.commands, result.accepted, result.applied) == (7, 7, 7)
        assert (result.failed, result.late, result.jobs_run, result.nodes) == (0, 0, 4, 7)
        assert result.transport.startswith("mqtt (mosquitto")
        assert result.note == ""
        commands, answers = journal.commands(), journal.acknowledgements()
    assert [command.sequence for command in commands] == sorted(command.sequence for command in commands)
    assert {answer.command for answer in answers} == {command.id for command in commands}
    assert {command.epoch for command in commands} == {1}
    assert {command.plan_id for command in commands} == {"plan"}
    trained = [answer for answer in answers if answer.stage is Stage.ENDED and answer.node == "hall.rack-2"]
    assert trained[0].measured["ran_s"] >= 5 * 3600 / FAST - 0.05  # its own time, the pause not counted


def test_a_new_plan_takes_over(mosquitto: str, tmp_path: Path) -> None:
    """In mid-run a running job is paused, another is dropped and stopped with its reason, and the rest is carried out."""
    assert mosquitto
    scenario = fleet_scenario()
    before = plan_of(Run("train", "hall", 0, 15, ("hall.rack-2",)), Run("render", "hall", 0, 20, ("hall.rack-0", "hall.rack-1")))
    why = (Dropped("render", Reason(ReasonKind.EVENT, "no power during the event")),)
    after = plan_of(Run("train", "hall", 6, 11, ("hall.rack-2",)), first_slot=10, name="second", dropped=why)
    with running_fleet(scenario, tmp_path) as (fleet, journal):
        fleet.replace(before)
        fleet.advance(scenario.horizon.time(9))
        result = fleet.carry_out(after)
        stops = [c for c in journal.commands() if getattr(c.desired, "state", "") == "stopped"]
        states = [c.desired.state for c in journal.commands() if getattr(c.desired, "job", "") == "train"]  # type: ignore[union-attr]
    assert [str(state) for state in states] == ["running", "paused", "running"]
    assert {(c.node, c.reason, c.plan_id) for c in stops} == {
        (f"hall.rack-{i}", "no power during the event", "second") for i in range(2)
    }
    assert (result.applied, result.failed, result.jobs_run) == (7, 0, 1)


def test_waking_up_for_an_event(mosquitto: str, tmp_path: Path) -> None:
    """``advance`` comes back before its end when something happened."""
    assert mosquitto
    rung = threading.Event()
    with running_fleet(fleet_scenario(), tmp_path) as (fleet, _):
        fleet.replace(plan_of(*FIRST))
        rung.set()
        assert fleet.advance(small_scenario().horizon.end, rung.is_set) < small_scenario().horizon.end


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_outlives_the_controller(mosquitto: str, tmp_path: Path, how: signal.Signals) -> None:
    """However the controller ends: jobs, agents, broker and passwords are gone; the journal holds the commands so far."""
    assert mosquitto
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, cwd=root,
    ) as controller:  # fmt: skip
        assert controller.stdout is not None
        told = json.loads(controller.stdout.readline())
        assert len(told["pids"]) == 2 + 7 + 1
        assert all(map(alive, told["pids"]))
        os.kill(controller.pid, how)
        controller.communicate(timeout=30)
    eventually(lambda: not any(map(alive, told["pids"])), "the end of all processes")
    eventually(lambda: not Path(told["folder"]).exists(), "the end of the passwords")
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        assert len(journal.commands()) == 2
        assert journal.next_epoch() == 2


def test_killed_agents_are_told(mosquitto: str, tmp_path: Path) -> None:
    """When all agents of a plan are killed in mid-run, the nodes are named, the jobs count as failed, and settling ends."""
    assert mosquitto
    scenario = fleet_scenario()
    nodes = ("hall.rack-0", "hall.rack-1")
    with running_fleet(scenario, tmp_path) as (fleet, journal):
        fleet.replace(plan_of(Run("train", "hall", 0, 20, nodes), Run("backup", "hall", 22, 23, nodes[:1])))
        fleet.advance(scenario.horizon.end, lambda: sum(a.stage == "applied" for a in journal.acknowledgements()) >= 2)
        for node in nodes:
            os.kill(fleet.states[node].pid, signal.SIGKILL)
        fleet.advance(scenario.horizon.end)

        def both_gone() -> bool:
            fleet.settle(0.1)
            return len(fleet.commanding().silent_nodes) == 2

        eventually(both_gone, "the wills")
        result = fleet.commanding()
    assert result.silent_nodes == nodes
    assert (result.jobs_run, result.jobs_failed) == (0, 2)
    assert "backup, train" in result.note


def test_a_secret_of_the_controller_reaches_no_child(mosquitto: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither agents nor their jobs, the broker nor its guard can read a token out of their environment."""
    assert mosquitto
    monkeypatch.setenv("OZZO_INFLUX_TOKEN", "s3cret-token")
    local = LocalAgents("test", [NodeSpec(name, idle_kw=0.1, failsafe_kw=0.2, peak_kw=0.5) for name in NODES], tmp_path)
    local.start()
    try:
        rig = Rig("test", local.transport)
        local.launch()
        pids = [rig.birth(name).pid for name in NODES]
        pids.append(int(rig.ask(NODES[0], run("j")).measured["pid"]))
        assert local.broker is not None
        assert local.broker._guard is not None
        pids += [local.broker.pid, local.broker._guard.pid]
        environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in pids]
    finally:
        local.stop()
    assert all(b"PATH=" in environment for environment in environments)
    assert not any(b"s3cret-token" in environment for environment in environments)
