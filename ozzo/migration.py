"""A dataset moved from node to node by hand: copied and verified where it shall be, then released where it was.

This is a controller with one thing to say. It takes a new epoch, so it stays away from nodes that somebody else commands.
"""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from grid.errors import TransportError
from ozzo.commands import Acknowledgement, Channel, JobWish, NodeState, RefusalCode, Stage, answer, topic, uuid7
from ozzo.ledger import Ledger
from ozzo.mail import understood
from ozzo.remote import RemoteAgents
from ozzo.sender import LEASE_S, Sender
from ozzo.store import Journal
from ozzo.transport import Delivery, taken
from ozzo.wire import CopyProof, ReleaseState, TransferState

LAST = frozenset({Stage.ENDED, Stage.FAILED, Stage.REFUSED})


@dataclass(frozen=True, slots=True)
class Copy:
    """One end of a migration.

    Attributes:
        node: whose agent does it; root: in its settings; peer: in its settings, what it calls the other end.
    """

    node: str
    root: str
    peer: str


@dataclass(frozen=True, slots=True)
class Migration:
    """What is to be done.

    Attributes:
        path: of the dataset, the same everywhere.
        to: where it shall be.
        rate_mbit_per_s: highest rate, or None.
        away: where it is released afterwards, or None: there are two replicas then.
    """

    path: str
    to: Copy
    rate_mbit_per_s: float | None = None
    away: Copy | None = None

    @property
    def nodes(self) -> tuple[str, ...]:
        """Nodes that are spoken to."""
        return tuple(dict.fromkeys([self.to.node, *([self.away.node] if self.away else [])]))


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of it.

    Attributes:
        proof: what was verified, or None: it was not copied.
        released: the other replica is gone.
        trouble: what was not done and why, or empty.
    """

    proof: CopyProof | None
    released: bool
    trouble: str = ""


class Mover:
    """Speaks to the nodes of a migration: ``start``, ``carry_out``, and ``close`` in any case."""

    def __init__(self, migration: Migration, agents: RemoteAgents, journal: Journal, say: Callable[[str], None]) -> None:
        """Prepare.

        Args:
            migration: what to do.
            agents: connection to their broker.
            journal: keeps commands and answers.
            say: takes lines for people.
        """
        self._migration, self._agents, self._journal, self._say = migration, agents, journal, say
        self._inbox: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._ledger = Ledger()
        self._sender: Sender | None = None
        self._states: dict[str, NodeState] = {}
        self._ends: dict[UUID, Acknowledgement] = {}

    def start(self, timeout_s: float = 20.0) -> None:
        """Connect, wait for the nodes, and take an epoch.

        Raises:
            TransportError: no broker, a node stays silent, or another controller commands one.
        """
        self._agents.start()
        scenario = self._agents.scenario
        for channel in (Channel.ACK, Channel.STATE):
            self._agents.transport.subscribe(topic(scenario, "+", channel), self._inbox.put)
        until = time.monotonic() + timeout_s
        while missing := [node for node in self._migration.nodes if node not in self._states]:
            if time.monotonic() > until:
                raise TransportError(f"no word from {', '.join(missing)}. {self._agents.trouble()}")
            self._listen(0.1)
        self._wait_for_leases()
        epoch = self._agents.next_epoch(self._journal, max(state.epoch for state in self._states.values()))
        power_kw = dict.fromkeys(self._migration.nodes, 0.0)
        self._sender = Sender(scenario, self._agents.transport, self._journal, self._ledger, power_kw, epoch)
        self._sender.greet()  # at once, so that the nodes' states tell the next one who comes of our lease
        self._sender.begin_heartbeats()

    def _wait_for_leases(self) -> None:
        """Another controller's lease runs out when it is gone, and is renewed when it is not."""
        began, until = datetime.now(UTC), time.monotonic() + LEASE_S + 10.0
        while led := [state.node for state in self._states.values() if state.node in self._migration.nodes and _left(state) > 0]:
            if time.monotonic() > until:
                raise TransportError(
                    f"another controller commands {', '.join(sorted(led))} (since {began:%H:%M:%S} UTC at least)"
                )
            self._listen(0.2)

    def carry_out(self) -> Moved:
        """Copy, and release when that was asked for; returns when both have ended.

        Raises:
            TransportError: another controller has taken over.
            KeyboardInterrupt: a person pressed Ctrl-C; the copying was told to stop, what has come is kept.
        """
        migration, to = self._migration, self._migration.to
        wish = TransferState(
            transfer=f"by-hand-{uuid7()}",
            state=JobWish.RUNNING,
            peer=to.peer,
            root=to.root,
            path=migration.path,
            rate_mbit_per_s=migration.rate_mbit_per_s,
        )
        self._say(f"{to.node} copies {migration.path} from {to.peer} into {to.root}")
        try:
            copied = self._ask(to.node, wish)
        except KeyboardInterrupt:
            self._voice.send(to.node, wish.model_copy(update={"state": JobWish.STOPPED}), None, "a person stopped it")
            raise
        if not _well(copied):
            return Moved(None, released=False, trouble=f"{to.node} did not copy it: {copied.text or copied.code}")
        proof = CopyProof(peer=to.peer, **json.loads(copied.text))
        self._say(f"{to.node} has a verified replica: {proof.files} files, {proof.bytes} bytes, {proof.digest}")
        if migration.away is None:
            return Moved(proof, released=False)
        away = migration.away
        proven = proof.model_copy(update={"peer": away.peer})
        goal = ReleaseState(release=f"by-hand-{uuid7()}", root=away.root, path=migration.path, proof=proven)
        self._say(f"{away.node} compares it with {away.peer}, and releases it from {away.root} if they are the same")
        released = self._ask(away.node, goal)
        if not _well(released):
            return Moved(proof, released=False, trouble=f"{away.node} did not release it: {released.text or released.code}")
        return Moved(proof, released=True)

    def close(self) -> None:
        """Say goodbye; twice does no harm."""
        if self._sender is not None:
            self._sender.close()
        self._agents.stop()

    @property
    def _voice(self) -> Sender:
        if self._sender is None:
            raise TransportError("not started")
        return self._sender

    def _ask(self, node: str, desired: TransferState | ReleaseState) -> Acknowledgement:
        """Send it, again while nobody answers, and wait for its end."""
        sent = self._voice.send(node, desired, None, "moved by hand")
        while sent.id not in self._ends:
            self._listen(0.2)
            if node in self._voice.repeat():
                return answer(sent, Stage.FAILED, datetime.now(UTC), code=RefusalCode.NOT_CONFIRMED, text="it never answered")
        return self._ends[sent.id]

    def _listen(self, timeout_s: float) -> None:
        """Take what has come, waiting for the first at most ``timeout_s``; what cannot be read is written down and left."""
        for told, _ in understood(taken(self._inbox, timeout_s), self._unreadable):
            if isinstance(told, NodeState):
                self._hear(told)
            else:
                self._answered(told)

    def _unreadable(self, where: str, why: str) -> None:
        self._journal.append("unreadable", datetime.now(UTC), {"topic": where, "error": why[:500]})

    def _hear(self, state: NodeState) -> None:
        if state.event == "death":
            self._states.pop(state.node, None)
        else:
            self._states[state.node] = state

    def _answered(self, told: Acknowledgement) -> None:
        if self._ledger.answered(told) is None:
            return
        self._journal.record_acknowledgement(told)
        if told.code is RefusalCode.STALE_EPOCH:
            self._voice.retire("another controller has taken over")
        if told.stage in LAST:
            self._ends[told.command] = told


def _well(answer: Acknowledgement) -> bool:
    return answer.stage is Stage.ENDED and answer.measured.get("exit_code") == 0.0


def _left(state: NodeState) -> float:
    """Seconds of another controller's lease that are left by now."""
    return state.lease_left_s - (datetime.now(UTC) - state.at).total_seconds()
