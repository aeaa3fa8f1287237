"""One node of a live broker, its agent as a process, and the controller's end: what tests of faults break."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ozzo.commands import Command, Hello, Stage
from ozzo.credentials import read_credentials
from ozzo.enrolment import enrol
from ozzo.ledger import FINAL
from ozzo.mqtt import MqttTransport
from ozzo.standing import StandingBroker
from scheduler.scenario import Scenario
from tests.live.processes import ROOT, minimal, open_folder, running, standing
from tests.ozzo import rig as rig_module
from tests.ozzo.rig import Rig, eventually

AGENT = ROOT / "tests" / "live" / "agent_process.py"
COUNT = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(float(sys.argv[2]))"
"""A job that writes a line whenever it starts."""
NUMBERS = itertools.count()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers come back after seconds, and machines are busy."""
    monkeypatch.setattr(rig_module, "PATIENCE_S", 90.0)


class Plane:
    """One node of a live broker, its agent as a process, and the controller's end.

    Attributes:
        broker: it; node: name; folder: of the agent; log: the job's starts; output: of agent and controllers.
    """

    def __init__(self, broker: StandingBroker, tmp_path: Path) -> None:
        self.broker, self.node, self.tmp = broker, f"hall.rack-{next(NUMBERS)}", tmp_path
        self.folder = enrol(many_nodes(), self.node, broker.folder, tmp_path / "node")
        self.log, self.output = tmp_path / "starts", tmp_path / "output.log"
        settings_file = self.folder / "agent.json"
        told = json.loads(settings_file.read_text())
        python = [sys.executable, "-S", "-E", "-c"]
        told["programs"] = {"count": [*python, COUNT, str(self.log)], "python": python}
        settings_file.write_text(json.dumps(told | {"heartbeat_s": 0.5, "failsafe_hold_s": 0.2, "stop_grace_s": 0.5}))
        self._rig: Rig | None = None

    def agent(self, *phase: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """An agent process, which strikes in a phase of its first job command if one is named."""
        return running([sys.executable, str(AGENT), str(self.folder), *phase], self.output, PYTHONPATH=str(ROOT))

    @property
    def rig(self) -> Rig:
        """The controller's end, of this process."""
        if self._rig is None:
            self._rig = Rig("minimal", MqttTransport(read_credentials(self.broker.folder / "controller").endpoint))
        return self._rig

    def hang_up(self) -> None:
        """Wait for the agent, then leave the controller's user to somebody else."""
        self.there()
        self.rig.transport.close()
        self._rig = None

    def close(self) -> None:
        """End the controller's end, and the jobs."""
        if self._rig is not None:
            self._rig.transport.close()
        for path in self.tmp.rglob("run.json"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(json.loads(path.read_text())["keeper"]), signal.SIGKILL)

    def starts(self) -> list[int]:
        """Process ids of all starts of the counting job."""
        return [int(line) for line in self.log.read_text().split()] if self.log.exists() else []

    def started(self, count: int = 1) -> list[int]:
        """The starts, once there are so many (a process is there before it has written its line)."""
        eventually(lambda: len(self.starts()) >= count, f"{count} starts")
        return self.starts()

    def there(self) -> None:
        """Wait until the agent speaks."""
        before = len(self.rig.states)
        self.rig.send(self.rig.command(self.node, Hello()))
        eventually(lambda: self._speaks(before), "the agent")

    def _speaks(self, before: int) -> bool:
        self.rig.listen()
        return any(state.node == self.node and state.event != "death" for state in self.rig.states[before:])

    def insist(self, command: Command) -> list[Stage]:
        """Send a command again and again until its final answer, as a controller does; all stages of its answers."""
        again = [0.0]

        def final() -> bool:
            if time.monotonic() > again[0]:
                again[0] = time.monotonic() + 1.0
                self.rig.send(command)
            return bool(set(self.rig.stages(command)) & FINAL)

        eventually(final, f"a final answer to {command.desired}")
        return self.rig.stages(command)


def many_nodes() -> Scenario:
    """The scenario with a node for every test."""
    scenario = minimal()
    site = scenario.sites[0]
    return replace(scenario, sites=(replace(site, nodes=(replace(site.nodes[0], count=100),)),))


@pytest.fixture(scope="module")
def plane_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandingBroker]:
    """One broker for all; some tests kill it, and its supervision brings it back."""
    with open_folder() as folder, standing(folder / "b", names=many_nodes().sites[0].node_names()) as running_one:
        yield running_one


@pytest.fixture
def plane(mosquitto: str, plane_broker: StandingBroker, patience: None, tmp_path: Path) -> Iterator[Plane]:
    """A node that no other test has used."""
    assert mosquitto
    assert patience is None
    made = Plane(plane_broker, tmp_path)
    yield made
    made.close()


def lasting(command: Command) -> Command:
    """The same command with time for a broker or an agent to come back."""
    return command.model_copy(update={"not_after": command.issued_at + timedelta(seconds=120)})
