"""Many simulated nodes in one process, each with its own user and session at the broker: ``ozzo agent --simulate N``.

One thread, one selector over all connections, no thread a node. What has come in is worked off, written to the shared journal
in one commit, and only then acknowledged and answered::

    sockets --> inbox --> nodes (ozzo.agent.core) --> shared journal: commit --> PUBACK, accepted, applied --> sockets

``python -m ozzo.agent.crowd FILE`` reads a list of settings (JSON, mode 600) and runs until SIGTERM.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import resource
import selectors
import signal
import sqlite3
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from grid.errors import OzzoError, TransportError
from ozzo.agent.config import AgentConfig
from ozzo.agent.node_client import NodeClient
from ozzo.agent.shared_journal import SharedJournal
from ozzo.agent.simulated import SimulatedNode
from ozzo.private import read_private
from ozzo.transport import Delivery

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

TURN = 500
"""Most messages that one commit waits for."""
CONNECTS_A_TURN = 50
"""New connections that are begun before the others are looked after again."""
LOOK_S = 1.0
"""Between two looks at each connection's keepalive."""
RETRY_S = (0.5, 2.0)
"""Range of the pause before a lost connection is made again (drawn, so that not all come at once)."""


@dataclass(frozen=True, slots=True)
class CrowdOptions:
    """How to simulate.

    Attributes:
        journal: file of the shared journal; None keeps it in memory.
        speed: how much faster jobs run than the wall clock.
        draws: also write down what each node draws.
    """

    journal: Path | None = None
    speed: float = 1.0
    draws: bool = False


class Crowd:
    """Simulated nodes; ``run`` returns after ``stop``.

    Attributes:
        nodes: the state machines; connected: connections that the broker has accepted.
    """

    def __init__(self, configs: Sequence[AgentConfig], options: CrowdOptions, say: Callable[[str], None]) -> None:
        """Open the journal and take up what an earlier process has left; nothing is connected yet.

        Args:
            configs: settings, one a node.
            options: how.
            say: takes lines for people.
        """
        self._say, self._stopping = say, False
        self._selector = selectors.DefaultSelector()
        self._journal = SharedJournal(options.journal, keeps_draws=options.draws)
        self._inbox: deque[tuple[int, Delivery]] = deque()
        self._outbox: deque[tuple[NodeClient, Callable[[], object]]] = deque()
        self._to_connect: list[tuple[float, int]] = []
        self._due: list[tuple[float, int, int]] = []
        self._turns = [0] * len(configs)
        self.connected = 0
        self._clients: list[NodeClient] = []
        self.nodes: list[SimulatedNode] = []
        self._trouble = ""
        left_at, now = self._journal.left_at, time.time()
        for i, config in enumerate(configs):
            client = NodeClient(config, i, self)
            away_s = 0.0 if left_at is None else max(0.0, now - left_at - config.alone_s)
            self._clients.append(client)
            self.nodes.append(SimulatedNode(config, client, self._journal.page(config.node), speed=options.speed, away_s=away_s))

    def stop(self, *_: object) -> None:
        """Ask the loop to end; may be called from a signal handler."""
        self._stopping = True

    # ---- what connections tell ---------------------------------------------------------------------------------

    def arrived(self, node: int, delivery: Delivery) -> None:
        """A message for a node."""
        self._inbox.append((node, delivery))

    def opened(self, client: NodeClient, sock: SocketLike) -> None:
        """A socket is there."""
        self._selector.register(sock, selectors.EVENT_READ, client)

    def closed(self, sock: SocketLike) -> None:
        """A socket is about to be closed."""
        self._selector.unregister(sock)

    def up(self) -> None:
        """The broker has accepted a connection."""
        self.connected += 1
        if self.connected == len(self._clients):
            self._say(f"{self.connected} simulated nodes are connected")

    def down(self, node: int, *, was_up: bool, why: str) -> None:
        """A connection is gone, or was refused; it is made again."""
        self.connected -= was_up
        if self._stopping:
            return
        if why != self._trouble:
            self._trouble = why
            self._say(f"a simulated node has lost its broker: {why}")
        self._connect_later(node)

    def later(self, client: NodeClient, action: Callable[[], object]) -> None:
        """Something that a node says."""
        self._outbox.append((client, action))

    def _connect_later(self, node: int) -> None:
        heapq.heappush(self._to_connect, (time.monotonic() + random.uniform(*RETRY_S), node))  # noqa: S311 (no secret)

    # ---- the loop ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Obey until ``stop``."""
        now = time.monotonic()
        for i, node in enumerate(self.nodes):
            node.wake_up(partial(self.arrived, i))
            heapq.heappush(self._to_connect, (now, i))
            self._schedule(i)
        self._settle()
        look_s = now
        try:
            while not self._stopping:
                self._poll()
                self._work()
                self._connect()
                if time.monotonic() >= look_s:
                    look_s = time.monotonic() + LOOK_S
                    for client in self._clients:
                        client.look()
                self._settle()
        finally:
            self._leave()

    def _poll(self) -> None:
        """Wait for sockets, at most until something is due."""
        now = time.monotonic()
        moments = [queue[0][0] for queue in (self._due, self._to_connect) if queue]
        wait_s = 0.0 if self._inbox or self._outbox else max(0.0, min(0.2, min(moments, default=now + 1.0) - now))
        for key, mask in self._selector.select(wait_s):
            client: NodeClient = key.data
            if mask & selectors.EVENT_READ:
                client.read()
            if mask & selectors.EVENT_WRITE and client.write():
                self._watch(client, writing=False)

    def _work(self) -> None:
        """Messages first, then what is due by itself."""
        for _ in range(min(TURN, len(self._inbox))):
            i, delivery = self._inbox.popleft()
            self.nodes[i].hear(delivery)
            self._schedule(i)
        now = time.monotonic()
        for _ in range(TURN):
            if not self._due or self._due[0][0] > now:
                break
            _, turn, i = heapq.heappop(self._due)
            if turn == self._turns[i]:  # else it was put off since
                self._schedule(i, self.nodes[i].pass_time())

    def _schedule(self, node: int, due: float | None = None) -> None:
        """Look after a node when something is due there."""
        self._turns[node] += 1
        moment = self.nodes[node].due() if due is None else due
        heapq.heappush(self._due, (max(moment, time.monotonic() + 0.001), self._turns[node], node))

    def _connect(self) -> None:
        for _ in range(CONNECTS_A_TURN):
            if not self._to_connect or self._to_connect[0][0] > time.monotonic():
                return
            _, i = heapq.heappop(self._to_connect)
            why = self._clients[i].connect()
            if why:
                self.down(i, was_up=False, why=why)

    def _settle(self) -> None:
        """Write down what was decided, then let it out."""
        try:
            self._journal.commit()
        except sqlite3.Error as error:
            self._mute(str(error))
            return
        spoke = {}
        while self._outbox:
            client, action = self._outbox.popleft()
            action()
            spoke[id(client)] = client
        for client in spoke.values():
            if client.wants_to_write():
                self._watch(client, writing=True)

    def _mute(self, why: str) -> None:
        """The journal cannot be written: nothing leaves until it can."""
        if why != self._trouble:
            self._trouble = why
            self._say(f"the journal of the simulated nodes cannot be written ({why}): nothing is answered")
        time.sleep(0.1)

    def _watch(self, client: NodeClient, *, writing: bool) -> None:
        sock = client.socket()
        if sock is not None:
            self._selector.modify(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0), client)

    def _leave(self) -> None:
        """Say goodbye; jobs stay on the journal's pages."""
        for node in self.nodes:
            node.leave()
        self._settle()
        for client in self._clients:
            client.close()
        self._journal.close()
        self._selector.close()


def run_crowd(configs: Sequence[AgentConfig], options: CrowdOptions, say: Callable[[str], None]) -> None:
    """Simulate these nodes until SIGTERM or SIGINT."""
    raise_file_limit(len(configs))
    crowd = Crowd(configs, options, say)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, crowd.stop)
    say(f"{len(configs)} simulated nodes, jobs {options.speed:g} times as fast, journal {options.journal or 'in memory'}")
    crowd.run()


def raise_file_limit(nodes: int) -> None:
    """Let this process hold a connection a node.

    Raises:
        TransportError: the system does not allow so many files.
    """
    needed = nodes + 100
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise TransportError(f"{nodes} simulated nodes need {needed} open files; this process may have {hard} (ulimit -n)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m ozzo.agent.crowd", description=__doc__)
    parser.add_argument("configs", type=Path, help="file with a list of settings (JSON, mode 600)")
    parser.add_argument("--journal", type=Path, help="file of the shared journal; without it in memory")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--draws", action="store_true", help="also write down what each node draws")
    options = parser.parse_args()
    try:
        told = json.loads(read_private(options.configs, "settings of simulated nodes, with passwords", longest=100_000_000))
        configs = [AgentConfig.model_validate_json(json.dumps(item)) for item in told]
        crowd = CrowdOptions(options.journal, options.speed, options.draws)
        run_crowd(configs, crowd, lambda line: print(line, file=sys.stderr, flush=True))
    except OzzoError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
