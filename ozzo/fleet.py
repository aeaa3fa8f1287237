"""Node agents on this machine: a broker and one agent process a node, or threads when there is no broker.

This is what ``ozzo run`` commands. The agents are real processes that run real programs. With Mosquitto they are forked from
one ``python -m ozzo.agent`` and talk MQTT; without it they are threads of the controller on the in-memory transport, and the
description says so. Whatever happens to the controller, nothing is left: agents end with their input, the broker's guard
kills what remains, and each job's process dies with its agent.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from grid.errors import TransportError
from ozzo.agent.config import AgentConfig, builtin_programs, write_config
from ozzo.agent.node import NodeAgent
from ozzo.book import few
from ozzo.broker import Broker, find_mosquitto
from ozzo.broker_files import CONTROLLER
from ozzo.commands import label
from ozzo.environment import child_environment
from ozzo.store import Journal
from ozzo.transport import MemoryHub, Transport
from scheduler.scenario import Scenario

LEAVE_S = 8.0
"""How long agents get to end their jobs and leave."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What an agent is told about its node.

    Attributes:
        name: of the node.
        idle_kw, failsafe_kw, peak_kw: IT power without jobs, cap without a controller, with all cores busy.
    """

    name: str
    idle_kw: float = 0.0
    failsafe_kw: float = 0.0
    peak_kw: float = 0.0


class Agents(Protocol):
    """Broker and agents as the fleet needs them: ``LocalAgents`` here, or ``ozzo.remote.RemoteAgents``.

    Attributes:
        scenario, nodes: name in the topics, nodes to command.
        transport: the controller's end.
        description, note: for reports.
        stays: agents and jobs outlive the controller.
        keeps_data: agents may have roots and peers for datasets in their settings.
    """

    scenario: str
    nodes: tuple[NodeSpec, ...]
    transport: Transport
    description: str
    note: str
    stays: bool
    keeps_data: bool

    @property
    def broker(self) -> Broker | None:
        """The broker that was started for them, if one was."""

    def start(self) -> None:
        """Make the connection (and the broker)."""

    def next_epoch(self, journal: Journal, above: int) -> int:
        """A new epoch of the controller, above ``above``."""

    def launch(self) -> None:
        """Start the agents, if that is for us."""

    def watch(self, pid: int) -> None:
        """An agent has told its process id."""

    def ended(self) -> bool:
        """True when the agents' program is gone although nobody asked it to."""

    def trouble(self) -> str:
        """What a person should know when a node stays silent."""

    def stop(self) -> None:
        """End what was started; twice does no harm."""


def specs_of(scenario: Scenario, only: Iterable[str] | None = None) -> tuple[NodeSpec, ...]:
    """The nodes of a scenario, or those of them whose names are in ``only``."""
    wanted = None if only is None else set(only)
    return tuple(
        NodeSpec(name, group.idle_kw, group.failsafe_kw, group.peak_kw)
        for site in scenario.sites
        for group in site.nodes
        for name in (f"{site.name}.{group.name}-{i}" for i in range(group.count))
        if wanted is None or name in wanted
    )


class LocalAgents:
    """Broker and agents; use it as a context manager.

    Attributes:
        transport: the controller's end.
        description: transport in words, for reports.
        note: what a reader must know about it, or empty.
    """

    transport: Transport
    stays = False
    keeps_data = False

    def __init__(
        self,
        scenario: str,
        nodes: Iterable[NodeSpec],
        folder: Path,
        *,
        programs: Mapping[str, tuple[str, ...]] | None = None,
        memory: bool = False,
        orphan_s: float = 30.0,
        failsafe_hold_s: float = 10.0,
    ) -> None:
        """Prepare.

        Args:
            scenario: name in the topics.
            nodes: the nodes.
            folder: for the agents' journals and their log.
            programs: programs that jobs may run; ``sleep`` and ``work`` when not given.
            memory: use threads even when Mosquitto is there.
            orphan_s: an agent without word for this long leaves.
            failsafe_hold_s: shortest stay in failsafe.
        """
        self.scenario, self.nodes, self.folder = scenario, tuple(nodes), folder
        self._programs = dict(programs) if programs is not None else builtin_programs()
        self._memory, self._orphan_s, self._hold_s = memory, orphan_s, failsafe_hold_s
        self._broker: Broker | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._threads: list[tuple[NodeAgent, threading.Thread]] = []
        self.description, self.note = "", ""

    @property
    def broker(self) -> Broker | None:
        """The broker, or None in memory."""
        return self._broker

    def start(self) -> None:
        """Start broker, transport and agents (births come over the transport).

        Raises:
            TransportError: the broker does not start.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            if self._memory or find_mosquitto() is None:
                self._prepare_memory()
            else:
                self._prepare_mqtt()
        except BaseException:
            self.stop()
            raise

    def next_epoch(self, journal: Journal, above: int) -> int:
        """The epoch of this run, from its journal; ``above`` that of every node."""
        return journal.next_epoch(above)

    def _config(self, spec: NodeSpec, broker: Broker | None) -> AgentConfig:
        endpoint = broker.endpoint(spec.name) if broker is not None else None
        return AgentConfig(
            scenario=self.scenario,
            node=spec.name,
            port=endpoint.port if endpoint else 0,
            user=endpoint.user if endpoint else "",
            password=endpoint.password if endpoint else "",
            journal=str(self.folder.resolve() / f"{label(spec.name)}.sqlite"),
            programs=self._programs,
            idle_kw=spec.idle_kw,
            failsafe_kw=spec.failsafe_kw,
            failsafe_hold_s=self._hold_s,
            orphan_s=self._orphan_s,
        )

    def _prepare_memory(self) -> None:
        why = "as asked" if self._memory else "mosquitto is not installed"
        self.description = "memory"
        self.note = f"No broker ({why}): node agents ran as threads of the controller; the jobs were real processes."
        self._hub = MemoryHub()
        self.transport = self._hub.connect()

    def _prepare_mqtt(self) -> None:
        from ozzo.mqtt import MqttTransport

        self._broker = Broker(self.scenario, [spec.name for spec in self.nodes]).start()
        self.transport = MqttTransport(self._broker.endpoint(CONTROLLER), broker=self._broker.description)
        self.description = self.transport.description

    def launch(self) -> None:
        """Start the agents; call it when the controller listens, so that it hears their births."""
        if self._broker is None:
            for spec in self.nodes:
                agent = NodeAgent(self._config(spec, None), self._hub.connect())
                thread = threading.Thread(target=agent.run, name=f"agent {spec.name}", daemon=True)
                self._threads.append((agent, thread))
                thread.start()
            return
        secrets = self._broker.folder / "agents"  # passwords stay in the broker's private folder
        secrets.mkdir(mode=0o700)
        paths = []
        for spec in self.nodes:
            path = secrets / f"{label(spec.name)}.json"
            write_config(self._config(spec, self._broker), path)
            paths.append(str(path))
        root = str(Path(__file__).resolve().parent.parent)
        search = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
        with (self.folder / "agents.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "ozzo.agent", "--end-with-input", "--config", *paths],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=child_environment(PYTHONPATH=search),
            )
        self._broker.watch(self._process.pid)

    def watch(self, pid: int) -> None:
        """An agent has told its process id: whatever is left of its session at the end is killed (a thread has none)."""
        if self._broker is not None:
            self._broker.watch(pid)

    def ended(self) -> bool:
        """True when the agents' program is gone although nobody asked it to."""
        return self._process is not None and self._process.poll() is not None

    def trouble(self) -> str:
        """What the agents complained about, shortened; empty when they did not."""
        log = self.folder / "agents.log"
        text = log.read_text(encoding="utf-8", errors="replace").strip()[-800:] if log.exists() else ""
        code = self._process.poll() if self._process is not None else None
        return f"the agents' program ended with code {code}; {text}" if code is not None else text

    def stop(self) -> None:
        """End agents, transport and broker; twice does no harm."""
        process, self._process = self._process, None
        try:
            if process is not None and process.stdin is not None:
                process.stdin.close()
            for agent, _ in self._threads:
                agent.stop()
            for _, thread in self._threads:
                thread.join(LEAVE_S)
            self._threads.clear()
            if process is not None:
                try:
                    process.wait(LEAVE_S)
                except subprocess.TimeoutExpired:
                    process.kill()  # the guard kills its children's sessions when the broker stops
                    process.wait()
            if hasattr(self, "transport"):
                self.transport.close()
        finally:
            broker, self._broker = self._broker, None
            if broker is not None:
                broker.stop()


def missing(nodes: Iterable[str], trouble: str, timeout_s: float) -> TransportError:
    """The error for agents that did not announce themselves."""
    return TransportError(f"no word from node {few(nodes)} in {timeout_s:.0f} s. {trouble}".strip())
