"""What a controller hears from its nodes, and what it remembers of it: states, answers, who is silent, who may not know enough.

``ozzo.live.NodeFleet`` is one of these and carries plans out. Used by one thread.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from uuid import UUID

from grid.errors import TransportError
from ozzo.book import JobBook
from ozzo.commands import Acknowledgement, Channel, Command, JobState, JobWish, NodeState, RefusalCode, Stage, topic
from ozzo.fleet import Agents
from ozzo.ledger import Ledger
from ozzo.mail import understood
from ozzo.orders import Order
from ozzo.sender import Sender
from ozzo.store import Journal
from ozzo.transport import Delivery
from ozzo.wire import ReleaseState, TransferState

AT_ONCE = 500
"""Most messages that are taken together."""


class Hearing:
    """Takes what nodes say, writes answers down, and states again what a node may have missed.

    Attributes:
        states: last state of each node; heard: how many were taken.
    """

    def __init__(self, journal: Journal, agents: Agents, progress: Callable[[str], None]) -> None:
        """Prepare; the transport of ``agents`` is there later.

        Args:
            journal: of the run.
            agents: broker and agents.
            progress: takes a line whenever there is something to tell.
        """
        self._journal, self._agents, self._progress = journal, agents, progress
        self._inbox: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._sender: Sender | None = None
        self._again: list[Order] = []
        self._book, self._ledger = JobBook(), Ledger()
        self._silent: set[str] = set()
        self._unsure: set[str] = set()
        self._thaw: set[str] = set()
        self._connections = 0
        self._notes: list[str] = []
        self.states: dict[str, NodeState] = {}
        self.heard = 0

    @property
    def _voice(self) -> Sender:
        if self._sender is None:
            raise TransportError("the fleet was not started")
        return self._sender

    @property
    def waiting(self) -> int:
        """Messages that have come and were not taken yet."""
        return self._inbox.qsize()

    def listen(self, timeout_s: float) -> None:
        """Take what nodes say, waiting at most so long for the first of it, and repeat what they did not answer."""
        self._take(timeout_s)
        self._repeat()

    def restate_all(self) -> None:
        """Every node is told again what it should do, as soon as it speaks (as after a lost connection)."""
        self._unsure |= self.states.keys()

    def _repeat(self) -> None:
        """Repeat what is not answered; remember which nodes may not know what they should do."""
        if self.waiting > AT_ONCE:
            return  # the answers may be among these
        self._unsure |= self._voice.repeat()
        if self._agents.transport.connections != self._connections:
            self._connections = self._agents.transport.connections
            self._unsure |= self.states.keys()
            self._journal.append("reconnected", datetime.now(UTC), {"connections": self._connections})

    def _give(self, *orders: Order) -> None:
        """Book and send orders, as far as they may be given now (``_admit``)."""
        self._dispatch(orders, self._admit)

    def _insist(self, *orders: Order) -> None:
        """Book and send orders as they are."""
        self._dispatch(orders, lambda order: order)

    def _admit(self, order: Order) -> Order | None:
        """The order as it may be given now, or None; what was admitted before is in the book."""
        return order

    def _dispatch(self, orders: Iterable[Order], admit: Callable[[Order], Order | None]) -> None:
        sent = []
        for asked in orders:
            order = admit(asked)
            if order is not None:
                self._book.give(order)
                sent.append(order)
        for order, command in zip(sent, self._voice.send_orders(sent) if sent else (), strict=True):
            self._book.sequences[order.key] = command.sequence

    def _take(self, timeout_s: float) -> None:
        """Take all messages that are there, waiting at most ``timeout_s`` for the first."""
        deliveries = []
        try:
            deliveries.append(self._inbox.get(timeout=max(0.0, timeout_s)))
            while len(deliveries) < AT_ONCE:
                deliveries.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        if deliveries:
            self._read(*deliveries)

    def _read(self, *deliveries: Delivery) -> None:
        """Understand them, write all answers down at once, then do what they ask for."""
        said = understood(deliveries, self._unreadable)
        known = [item for item, _ in said if isinstance(item, Acknowledgement) and self._to_keep(item.command)]
        if known:
            self._journal.record_acknowledgement(*known)
        for item, retained in said:
            if isinstance(item, NodeState):
                self._hear(item, retained=retained)
            else:
                self._answered(item)
        if self._sender is not None:
            self._state_again(self._sender)

    def _to_keep(self, number: UUID) -> bool:
        """True when the journal takes answers to a command: it has it, be it so old that only the journal knows it."""
        kept = self._ledger.kept(number)
        return self._journal.command(number) is not None if kept is None else kept

    def _state_again(self, voice: Sender) -> None:
        """State what nodes may have missed; only then may they come out of failsafe, so that nothing thaws that is to stop."""
        again, self._again = self._again, []
        thaw, self._thaw = self._thaw, set()
        if not voice.retired:
            self._give(*(order for order in again if order.key not in self._book.exits))  # it may have ended since
        voice.needs_cap |= thaw

    def _unreadable(self, where: str, why: str) -> None:
        self._journal.append("unreadable", datetime.now(UTC), {"topic": where, "error": why[:500]})

    def _hear(self, state: NodeState, *, retained: bool) -> None:
        """A node speaks about itself. What the broker retained is of any age: it counts when it is newer than its last word."""
        node = state.node
        before = self.states.get(node)
        if state.event == "death":
            if before is not None and before.pid == state.pid:
                self._silent.add(node)
                self._progress(f"node {node} went silent")
                self._journal.append("node_gone", datetime.now(UTC), {"node": node, "pid": state.pid})
            return
        if retained and (before is None or state.at <= before.at):
            return
        self.states[node] = state
        self.heard += 1
        self._took(state)
        if node in self._silent:
            self._silent.discard(node)
            self._notes.append(f"Node {node} went silent and came back.")
            self._unsure.add(node)
        if before is None or before.pid != state.pid:
            self._journal.append("node", datetime.now(UTC), {"node": node, "pid": state.pid, "epoch": state.epoch})
            self._agents.watch(state.pid)
            if before is not None:
                self._unsure.add(node)
        if self._sender is not None:
            self._reconcile(self._sender, state)

    def _took(self, state: NodeState) -> None:
        """A node has told something new."""

    def _reconcile(self, voice: Sender, state: NodeState) -> None:
        """Book what a node says has ended, and state again what it should do when something may have got lost on the way."""
        if state.epoch > voice.epoch:
            voice.retire(f"another controller, of epoch {state.epoch}, has taken over; this one had {voice.epoch}")
        if state.epoch == voice.epoch:
            self._book.heard(state.node, state.ended, state.sequence)
        if state.node in self._unsure:
            self._unsure.discard(state.node)
            self._again += self._lost_on(state)
            self._forgot(state.node)
        if state.cap_kw is not None:  # in failsafe, or under a cap that somebody stated: it lasts no longer than its lease
            self._thaw.add(state.node)

    def _forgot(self, node: str) -> None:
        """A node may not know what it was told about data."""

    def _lost_on(self, state: NodeState) -> list[Order]:
        """What a node may not know any more."""
        return self._book.lost(state.node)

    def _answered(self, acknowledgement: Acknowledgement) -> None:
        node = acknowledgement.node
        if acknowledgement.code is RefusalCode.STALE_EPOCH and acknowledgement.epoch == self._voice.epoch:
            self._voice.retire(f"another controller has taken over: node {node} says that {acknowledgement.text}")
        entry = self._ledger.answered(acknowledgement)
        command = entry.command if entry is not None else self._journal.command(acknowledgement.command)
        if command is None:
            # heartbeats are not in the ledger, and only refusals answer them; nor is a cap that an earlier life renewed
            if acknowledgement.stage is not Stage.REFUSED and acknowledgement.epoch >= self._voice.epoch:
                self._unreadable(
                    topic(self._agents.scenario, node, Channel.ACK), f"an answer to {acknowledgement.command}, never sent"
                )
            return
        desired = command.desired
        if isinstance(desired, TransferState | ReleaseState):
            self._moved(command, acknowledgement)
        elif isinstance(desired, JobState):
            told = acknowledgement.measured
            gone = acknowledgement.stage is Stage.APPLIED and "exit_code" in told and not told.get("running")
            if acknowledgement.stage is Stage.ENDED or gone:
                self._book.ended((desired.job, node), int(acknowledgement.measured.get("exit_code", -1)))
            elif acknowledgement.stage in {Stage.FAILED, Stage.REFUSED}:
                self._failed(command, acknowledgement, desired)

    def _moved(self, command: Command, acknowledgement: Acknowledgement) -> None:
        """An answer to a command about data."""

    def _failed(self, command: Command, acknowledgement: Acknowledgement, desired: JobState) -> None:
        """A refused job command: state it again when a later command overtook it, else remember the job as not run."""
        key = (desired.job, acknowledgement.node)
        order = self._book.given.get(key)
        overtaken = acknowledgement.code is RefusalCode.STALE_SEQUENCE and order is not None and order.desired == desired
        if overtaken and order is not None:
            if not self._ledger.waits_for(command):
                self._give(order)
        elif acknowledgement.code is RefusalCode.EXPIRED and order is not None and order.desired == desired:
            self._unsure.add(acknowledgement.node)  # it is still wanted: told again when the node speaks next
        elif desired.state is JobWish.RUNNING:
            self._book.refused(key)
        self._progress(f"{acknowledgement.node}: {desired.job} {desired.state}: {acknowledgement.code} {acknowledgement.text}")
