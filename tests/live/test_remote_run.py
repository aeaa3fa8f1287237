"""Plans carried out by agents that were there before: over a standing broker, through its death and an agent's."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from grid.errors import TransportError
from ozzo.address import listening_place
from ozzo.clock import AcceleratedClock
from ozzo.credentials import read_credentials
from ozzo.enrolment import enrol
from ozzo.fleet import specs_of
from ozzo.live import NodeFleet
from ozzo.remote import RemoteAgents
from ozzo.standing import StandingBroker
from ozzo.store import Journal
from scheduler.scenario import Scenario
from tests.live.processes import MAIN, ROOT, SCENARIO, minimal, open_folder, running
from tests.ozzo.rig import eventually
from tests.ozzo.test_fleet import FIRST, fleet_scenario
from tests.ozzo.test_orders import plan_of

pytestmark = [pytest.mark.live, pytest.mark.slow]
AGENT = [sys.executable, str(ROOT / "tests" / "live" / "agent_process.py")]


class Site:
    """A standing broker for a scenario and the folders of its nodes."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.nodes = [spec.name for spec in specs_of(scenario)]
        self.broker = StandingBroker(scenario.name, self.nodes, folder / "b", listening_place("127.0.0.1:0"))
        self.broker.start()
        self.folders = {name: enrol(scenario, name, folder / "b", None) for name in self.nodes}
        self.controller = folder / "b" / "controller"
        self.broker.look()

    def agent(self, node: str, log: Path) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """An agent process."""
        return running([*AGENT, str(self.folders[node])], log, PYTHONPATH=str(ROOT))

    def ended(self, node: str) -> list[int]:
        """Exit codes of the jobs that have ended on a node, as its journal has them."""
        with closing(sqlite3.connect(self.folders[node] / "state" / "journal.sqlite")) as journal:
            return [code for (code,) in journal.execute("SELECT exit_code FROM ended")]


@contextmanager
def site_of(scenario: Scenario) -> Iterator[Site]:
    """A site whose broker is watched over."""
    with open_folder() as folder:
        site = Site(scenario, folder)
        stop = threading.Event()
        watch = threading.Thread(target=site.broker.serve, args=(stop, lambda _: None))
        watch.start()
        try:
            yield site
        finally:
            stop.set()
            watch.join()
            site.broker.stop()


def test_ozzo_run_over_a_standing_broker(mosquitto: str, tmp_path: Path) -> None:
    """Twice the same scenario: all jobs run each time, by a higher epoch the second time, and the agents stay."""
    assert mosquitto
    with site_of(minimal()) as site, contextlib.ExitStack() as stack:
        agents = [stack.enter_context(site.agent(name, tmp_path / "agents.log")) for name in site.nodes]
        epochs = []
        for number in (1, 2):
            command = [*MAIN, "run", SCENARIO, "--broker", str(site.controller), "--runs", str(tmp_path / str(number)), "--json"]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
            assert done.returncode == 0, done.stderr + (tmp_path / "agents.log").read_text()
            commanding = json.loads(done.stdout)["commanding"]
            assert (commanding["nodes"], commanding["jobs_run"], commanding["jobs_failed"]) == (4, 3, 0), commanding
            assert commanding["transport"] == f"mqtt (127.0.0.1:{site.broker.port})"
            (file,) = (tmp_path / str(number)).glob("*/journal.sqlite")
            with Journal.open(file) as journal:
                epochs.append({sent.epoch for sent in journal.commands()})
            with closing(sqlite3.connect(file.with_name("telemetry.sqlite"))) as store:  # what the agents told of their power
                told = store.execute("SELECT DISTINCT node, source FROM nodes WHERE power_kw > 0").fetchall()
            assert sorted(told) == [(name, "model") for name in sorted(site.nodes)]
        assert epochs[1] == {max(epochs[0]) + 1}
        assert all(agent.poll() is None for agent in agents)
        assert sum(map(len, (site.ended(name) for name in site.nodes))) == 2 * 4  # render takes two nodes
        assert {code for name in site.nodes for code in site.ended(name)} == {0}


def test_a_plan_survives_broker_and_agent(mosquitto: str, tmp_path: Path) -> None:
    """SIGKILL of the broker in mid-run, and of an agent whose job runs: every job ends well, on every node once."""
    assert mosquitto
    scenario = fleet_scenario()
    clock = AcceleratedClock(scenario.horizon.start, 24 * 3600.0 / 24.0)
    clock.pause()
    with site_of(scenario) as site, contextlib.ExitStack() as stack:
        agents = {name: stack.enter_context(site.agent(name, tmp_path / "agents.log")) for name in site.nodes}
        journal = stack.enter_context(Journal.open(tmp_path / "journal.sqlite"))
        remote = RemoteAgents(read_credentials(site.controller), specs_of(scenario))
        fleet = stack.enter_context(NodeFleet(scenario, journal, remote, clock, run="first/"))
        clock.resume()
        fleet.replace(plan_of(*FIRST))
        fleet.advance(scenario.horizon.time(2))
        before = site.broker.pid
        os.kill(before, signal.SIGKILL)
        fleet.advance(scenario.horizon.time(3))
        agents["hall.rack-2"].kill()
        agents["hall.rack-2"].wait()
        stack.enter_context(site.agent("hall.rack-2", tmp_path / "agents.log"))
        fleet.advance(scenario.horizon.end)
        fleet.settle(60.0)
        result = fleet.commanding()
        assert site.broker.pid not in {0, before}
        assert (result.jobs_run, result.jobs_failed) == (4, 0), result
        ends = [site.ended(run.nodes[0]) for run in FIRST]
    assert ends == [[0]] * 5


def test_a_run_that_ends_early_takes_its_jobs_along(mosquitto: str, tmp_path: Path) -> None:
    """The controller leaves in mid-run: what it had started on nodes that stay is stopped."""
    assert mosquitto
    scenario = fleet_scenario()
    clock = AcceleratedClock(scenario.horizon.start, 60.0)
    with site_of(scenario) as site, contextlib.ExitStack() as stack:
        for name in site.nodes:
            stack.enter_context(site.agent(name, tmp_path / "agents.log"))
        with Journal.open(tmp_path / "journal.sqlite") as journal:
            remote = RemoteAgents(read_credentials(site.controller), specs_of(scenario))
            with NodeFleet(scenario, journal, remote, clock, run="first/") as fleet:
                fleet.replace(plan_of(*FIRST[:1]))
                fleet.advance(scenario.horizon.end, lambda: any(a.stage == "applied" for a in journal.acknowledgements()))
        eventually(lambda: site.ended("cabinet.rack-0") == [-signal.SIGTERM], "the end of the job")


def test_a_controller_that_was_replaced_says_so(mosquitto: str, tmp_path: Path) -> None:
    """A younger controller takes the nodes over: the older one ends with an error that names it."""
    assert mosquitto
    scenario = fleet_scenario()
    clock = AcceleratedClock(scenario.horizon.start, 60.0)
    with site_of(scenario) as site, contextlib.ExitStack() as stack:
        for name in site.nodes:
            stack.enter_context(site.agent(name, tmp_path / "agents.log"))
        journal = stack.enter_context(Journal.open(tmp_path / "journal.sqlite"))
        fleets = []
        for number in (1, 2):
            remote = RemoteAgents(read_credentials(site.controller), specs_of(scenario))
            fleets.append(stack.enter_context(NodeFleet(scenario, journal, remote, clock, run=f"{number}/")))
            fleets[-1].replace(plan_of(*FIRST[:1]))
            fleets[-1].advance(clock.now())
        until = time.monotonic() + 90

        def replaced() -> bool:
            assert time.monotonic() < until, "nobody told the older controller"
            return False

        with pytest.raises(TransportError, match="another controller"):
            fleets[0].advance(scenario.horizon.end, replaced)


def test_nodes_that_are_not_there_are_named(mosquitto: str, tmp_path: Path) -> None:
    """Without agents nothing is commanded: the error names nodes and what to look at."""
    assert mosquitto
    scenario = fleet_scenario()
    clock = AcceleratedClock(scenario.horizon.start, 60.0)
    with site_of(scenario) as site, Journal.open(tmp_path / "journal.sqlite") as journal:
        fleet = NodeFleet(scenario, journal, RemoteAgents(read_credentials(site.controller), specs_of(scenario)), clock)
        with pytest.raises(TransportError, match=r"no word from node cabinet\.rack-0.*enrolled"):
            fleet.start(1.0)
