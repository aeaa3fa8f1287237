"""The stage of ``ozzo bench control``: a made scenario, a private broker, simulated nodes in processes of their own, a fleet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from grid.connection import Connection
from grid.errors import TransportError
from grid.horizon import Horizon
from grid.series import Series
from grid.tariff import Carbon, Tariff
from ozzo.broker import Broker
from ozzo.broker_files import CONTROLLER
from ozzo.clock import AcceleratedClock
from ozzo.credentials import Credentials
from ozzo.enrolment import agent_settings
from ozzo.environment import child_environment
from ozzo.fleet import NodeSpec, specs_of
from ozzo.live import NodeFleet, spare_the_collector
from ozzo.mqtt import Endpoint
from ozzo.private import write_private
from ozzo.remote import RemoteAgents
from ozzo.store import Journal
from scheduler.build import build_problem
from scheduler.data import Tier
from scheduler.facility import NodeGroup, Site
from scheduler.plan import BatteryControl, EnergySchedule, Plan, Run, SolveStatus
from scheduler.problem import Problem
from scheduler.scenario import PlanningSettings, Scenario
from scheduler.workload import Job, JobKind

SLOTS, STEP = 16, timedelta(minutes=15)
IDLE_KW, PEAK_KW = 0.1, 0.4
PER_PROCESS = 5_000
"""Simulated nodes of one process at most (a process may open 20,000 files on many systems)."""
ALL_THERE_S = 600.0
"""Longest wait until every node has announced itself."""


def made(nodes: int) -> tuple[Scenario, Problem, Plan]:
    """A hall of equal nodes and a plan with a pausable job on each of them from now on."""
    start = datetime.now(UTC).replace(second=0, microsecond=0)
    horizon = Horizon(start, STEP, SLOTS)
    flat = Series.constant(100.0, horizon, "EUR/MWh")
    far = Series.constant(10.0 * nodes, horizon, "kW")
    site = Site(
        "hall", Tier.COLD, (NodeGroup("n", nodes, 16, 64.0, 0, IDLE_KW, PEAK_KW, IDLE_KW),), 1.2, 0.0, None, None, None,
        Connection(far, far), Tariff(flat, flat, 0.0), Carbon(Series.constant(300.0, horizon, "g/kWh")),
    )  # fmt: skip
    end = horizon.end
    jobs = tuple(
        Job(f"job-{i}", JobKind.INTERRUPTIBLE, start, end, SLOTS // 2 * STEP, cores=16, sites=("hall",)) for i in range(nodes)
    )
    planning = PlanningSettings(limit_margin=0.0)
    scenario = Scenario("bench", "a hall of equal nodes", 0, horizon, (site,), jobs=jobs, planning=planning)
    problem = build_problem(scenario)
    runs = tuple(Run(job.name, "hall", 0, SLOTS // 2, (f"hall.n-{i}",)) for i, job in enumerate(jobs))
    energy = EnergySchedule.zeros(1, SLOTS)
    load = np.full((1, SLOTS), 1.2 * nodes * PEAK_KW)
    plan = Plan(
        "bench", "made", horizon, ("hall",), runs, (), replace(energy, load_kw=load, import_kw=load.copy()), (), {},
        BatteryControl.FOLLOW_PLAN, 0.0, None, None, SolveStatus.HEURISTIC, "", 0.0, 0.0, {},
    )  # fmt: skip
    return scenario, problem, plan


class _CrowdAgents(RemoteAgents):
    """Agents that are there already, in processes that we know.

    Attributes:
        crowds: the processes; log: what they say.
    """

    crowds: list[subprocess.Popen[bytes]]
    log: Path

    def ended(self) -> bool:
        """One of the processes is gone."""
        return any(process.poll() is not None for process in self.crowds)

    def trouble(self) -> str:
        """What they said last."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-500:] if self.log.exists() else ""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that a measure needs.

    Attributes:
        fleet: started; journal: of the controller; agents: its end of the broker; broker: it.
        scenario, problem, plan: as made; folder: for files.
    """

    fleet: NodeFleet
    journal: Journal
    agents: RemoteAgents
    broker: Broker
    scenario: Scenario
    problem: Problem
    plan: Plan
    folder: Path


@contextmanager
def stage(nodes: int, say: Callable[[str], None], *, heartbeat_s: float = 5.0) -> Iterator[Stage]:
    """Broker, simulated nodes and fleet, all there; everything ends with the context.

    Args:
        nodes: how many.
        say: takes lines for people.
        heartbeat_s: time between two states of a node.

    Raises:
        TransportError: Mosquitto is missing, or not every node came.
    """
    scenario, problem, plan = made(nodes)
    specs = specs_of(scenario)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ozzo-bench-")))
        broker = stack.enter_context(Broker(scenario.name, [spec.name for spec in specs], timeout_s=60.0))
        journal = stack.enter_context(Journal.open(folder / "journal.sqlite"))
        own = folder / "controller"
        own.mkdir(mode=0o700)
        agents = _CrowdAgents(Credentials(scenario.name, broker.endpoint(CONTROLLER), own), specs)
        fleet = NodeFleet(scenario, journal, agents, AcceleratedClock(plan.horizon.start, 1.0), progress=say)
        agents.crowds, agents.log = [], folder / "nodes.log"
        for number, first in enumerate(range(0, nodes, PER_PROCESS)):
            agents.crowds.append(
                stack.enter_context(_crowd(specs[first : first + PER_PROCESS], broker, folder, number, heartbeat_s))
            )
        stack.callback(fleet.close)
        fleet.start(ALL_THERE_S)
        spare_the_collector()
        yield Stage(fleet, journal, agents, broker, scenario, problem, plan, folder)


@contextmanager
def _crowd(
    specs: Sequence[NodeSpec], broker: Broker, folder: Path, number: int, heartbeat_s: float
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with simulated nodes."""
    told = []
    for spec in specs:
        endpoint = replace(broker.endpoint(spec.name), keepalive_s=60)
        config = agent_settings("bench", spec, endpoint)
        more = {"password": endpoint.password, "password_file": "", "journal": "-", "heartbeat_s": heartbeat_s}
        told.append(config.model_copy(update=more).model_dump(mode="json"))
    file = folder / f"nodes-{number}.json"
    write_private(file, json.dumps(told))
    command = [sys.executable, "-m", "ozzo.agent.crowd", str(file), "--journal", str(folder / f"nodes-{number}.sqlite")]
    with child(command, folder / "nodes.log") as process:
        yield process


@contextmanager
def child(command: Sequence[str], log: Path, *, ready: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours; it is asked to end, and killed when it does not.

    Raises:
        TransportError: it ended before it said that it is ready.
    """
    with (
        log.open("ab") as sink,
        subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE if ready else sink, stderr=sink, env=child_environment(PYTHONPATH=search_path())
        ) as process,
    ):
        killer = threading.Timer(20.0, process.kill)
        try:
            if ready and (process.stdout is None or not process.stdout.readline()):
                raise TransportError(f"{command[2]} did not start: {log.read_text(errors='replace')[-300:]}")
            yield process
        finally:
            process.terminate()
            killer.start()
            with suppress(KeyboardInterrupt):
                process.wait()
            killer.cancel()


def search_path() -> str:
    """Where a process of ours finds this ozzo."""
    return os.pathsep.join(part for part in (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")) if part)


def told_private(endpoint: Endpoint, file: Path) -> Path:
    """A user of the broker in a private file."""
    about = {"host": endpoint.host, "port": endpoint.port, "user": endpoint.user, "password": endpoint.password}
    write_private(file, json.dumps(about))
    return file
