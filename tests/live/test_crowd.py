"""Many simulated nodes on a real Mosquitto: commands, a broker that dies, a process that dies; the bench and the soak, small."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from ozzo.bench.control import ControlOptions, at_share, figures_json, measure, slope
from ozzo.bench.soak import SoakOptions, print_result, result_json, soak
from ozzo.commands import Command, Stage
from ozzo.credentials import read_credentials
from ozzo.mqtt import MqttTransport
from ozzo.private import write_private
from ozzo.simulated_nodes import simulated_configs
from tests.live.plane import lasting, many_nodes
from tests.live.processes import ROOT, open_folder, running, standing
from tests.ozzo.rig import Rig, eventually, run

pytestmark = pytest.mark.live
COUNT = 30


@pytest.mark.usefixtures("patience")
def test_a_crowd_obeys_and_outlives_its_broker_and_itself(mosquitto: str, tmp_path: Path) -> None:
    """Thirty nodes, each its own session, run a job each; after SIGKILL of broker and process the same jobs are there, once."""
    assert mosquitto
    scenario = many_nodes()
    with open_folder() as folder, standing(folder / "b", names=scenario.sites[0].node_names()) as broker:
        configs = simulated_configs(scenario, COUNT, broker.folder, heartbeat_s=0.5)
        write_private(tmp_path / "nodes.json", json.dumps([config.model_dump(mode="json") for config in configs]))
        command = [sys.executable, "-m", "ozzo.agent.crowd", str(tmp_path / "nodes.json"), "--journal", str(tmp_path / "j")]
        rig = Rig("minimal", MqttTransport(read_credentials(broker.folder / "controller").endpoint))
        names = [config.node for config in configs]
        with running(command, tmp_path / "log", PYTHONPATH=str(ROOT)) as first:
            for name in names:
                rig.birth(name)
            sent = [rig.send(lasting(rig.command(name, run("j", seconds=10_000.0)))) for name in names]
            for item in sent:
                assert rig.answer(item).stage is Stage.APPLIED
            before = broker.pid
            os.kill(before, signal.SIGKILL)
            eventually(lambda: broker.pid not in {0, before}, "another broker")
            first.kill()
            first.wait()
        with running(command, tmp_path / "log", PYTHONPATH=str(ROOT)) as second:
            for name in names:
                assert rig.state(name, lambda state: state.pid == second.pid, "a state").jobs == {"j": "running"}
            for item in sent:
                again(rig, item)
        rig.transport.close()


def again(rig: Rig, command: Command) -> None:
    """Send a command once more: its stored answer comes."""
    count = len(rig.stages(command))
    rig.send(command)
    eventually(lambda: len(rig.stages(command)) > count, "the stored answer")
    assert rig.stages(command)[-1] is Stage.APPLIED


@pytest.mark.slow
def test_the_control_bench_runs_small(mosquitto: str) -> None:
    """Every figure is there for a handful of nodes; no command fails. Nothing is said about times."""
    assert mosquitto
    lines: list[str] = []
    figures = measure(ControlOptions(agents=10, rounds=2, registered=12, telemetry_s=1.5), lines.append)
    assert figures["commands"] == 10 + 2 * 2 * 10
    assert figures["late"] == 0
    assert figures["telemetry_per_s"] > 1
    assert figures["registered"] == 12
    assert json.loads(figures_json(figures))["fast_p50_s"] > 0


def test_shares_and_slopes() -> None:
    """The nearest rank, and the least-squares line."""
    assert [at_share([3.0, 1.0, 2.0], share) for share in (0.01, 0.5, 0.99, 1.0)] == [1.0, 2.0, 3.0, 3.0]
    assert slope([0.0, 1.0, 2.0], [5.0, 7.0, 9.0]) == pytest.approx(2.0)
    assert slope([1.0], [5.0]) == 0.0


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_minute_of_random_faults(mosquitto: str) -> None:
    """``ozzo bench soak --minutes 1``: things were broken, jobs were done all the same, and every counter is zero."""
    assert mosquitto
    lines: list[str] = []
    result = soak(SoakOptions(minutes=1.0, seed=3), lines.append)
    assert result.counts.clean, result_json(result) + "\n".join(lines)
    assert sum(result.faults.values()) > 3
    assert result.done["starts"] > 10
    print_result(result, sys.stdout)
