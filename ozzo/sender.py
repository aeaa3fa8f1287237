"""The controller's voice: commands in order of their sequence, the journal first, repeats, and heartbeats from a thread."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from grid.errors import TransportError
from ozzo.commands import CapState, Channel, Command, Desired, Hello, topic, uuid7
from ozzo.ledger import Ledger
from ozzo.orders import Order
from ozzo.store import Journal
from ozzo.transport import Transport

LEASE_S = 15.0
"""For how long a command speaks for the controller (more where there are very many nodes: ``lease_for``)."""
NOT_AFTER_S = 5.0
"""Wall seconds after which a node refuses a command (more where there are very many nodes)."""


BATCH = 100
"""Orders that are written to the journal in one commit."""
GREETINGS_PER_S = 500.0
"""Assumption: heartbeats that a controller sends without getting into the way of commands."""
GREETED_AT_ONCE = 20
"""Heartbeats that go out without a pause."""
LONGEST_LEASE_S = 60.0
"""However many nodes there are, each learns within this time that its controller is gone."""


def lease_for(nodes: int) -> float:
    """Lease for so many nodes, s: three heartbeats to each fit into it, and no more than ``GREETINGS_PER_S`` are sent."""
    return min(LONGEST_LEASE_S, max(LEASE_S, 3.0 * nodes / GREETINGS_PER_S))


class Origin(Protocol):
    """What a command comes from.

    Attributes:
        plan_id: plan that it carries out; due: instant on the plan's time axis.
    """

    @property
    def plan_id(self) -> str:
        """Plan that it carries out."""

    @property
    def due(self) -> datetime:
        """Instant on the plan's time axis."""


class Sender:
    """Sends commands of one epoch; may be used while its heartbeat thread runs.

    Attributes:
        epoch: number of this controller's life; lease_s: for how long each command speaks for it.
        retired: why it may not speak any more, or empty.
        needs_cap: nodes that are or were in failsafe or under a cap, whoever stated it. A cap lasts for its lease only, so each
            heartbeat renews theirs. Add to it, any time.
        caps_kw: caps below the highest power, by node; replace the whole mapping, any time.
    """

    def __init__(
        self,
        scenario: str,
        transport: Transport,
        journal: Journal,
        ledger: Ledger,
        peak_kw: Mapping[str, float],
        epoch: int,
        permit: Callable[[], str] = lambda: "",
    ) -> None:
        """Begin an epoch.

        Args:
            scenario: name in the topics.
            transport: the controller's end.
            journal: keeps every command before it is sent.
            epoch: number of this controller's life, above all before.
            ledger: waits for answers.
            peak_kw: highest IT power by node; all these nodes get heartbeats.
            permit: asked before every message: why nothing may be said any more, or empty.
        """
        self._scenario, self._transport, self._journal, self._ledger = scenario, transport, journal, ledger
        self._permit = permit
        self._peak_kw, self.lease_s = peak_kw, lease_for(len(peak_kw))
        self._not_after_s = max(NOT_AFTER_S, self.lease_s / 3)  # with very many nodes, messages wait longer for each other
        self.epoch, self._sequence = epoch, 0
        self._lock = threading.Lock()
        self._quiet = threading.Event()
        self._heart: threading.Thread | None = None
        self.needs_cap: set[str] = set()
        self.caps_kw: Mapping[str, float] = {}
        self._stated_kw: dict[str, float] = {}
        self.retired = ""

    def begin_heartbeats(self) -> None:
        """Start the thread."""
        self._heart = threading.Thread(target=self._beat, name="heartbeats", daemon=True)
        self._heart.start()

    def close(self) -> None:
        """End the thread; twice does no harm."""
        self._quiet.set()
        if self._heart is not None:
            self._heart.join()

    def retire(self, why: str) -> None:
        """Another controller has taken over: nothing is sent from now on, and who tries gets a ``TransportError``."""
        self.retired = self.retired or why
        self._quiet.set()

    def send(self, node: str, desired: Desired, order: Origin | None, reason: str) -> Command:
        """Journal first, then send; the ledger waits for the answer.

        Returns:
            What was sent.

        Raises:
            TransportError: another controller has taken over, or the carrier refused it.
        """
        return self._send([(node, desired, order, reason)])[0]

    def send_orders(self, orders: Sequence[Order]) -> list[Command]:
        """The same for many orders: the journal is written once for each ``BATCH`` of them, before these are sent.

        Returns:
            What was sent, in the order of ``orders``.

        Raises:
            TransportError: another controller has taken over, or the carrier refused it.
        """
        sent = []
        for first in range(0, len(orders), BATCH):
            sent += self._send([(order.node, order.desired, order, order.reason) for order in orders[first : first + BATCH]])
        return sent

    def _send(self, wishes: Sequence[tuple[str, Desired, Origin | None, str]], *, kept: bool = True) -> list[Command]:
        with self._lock:
            if self.retired:
                raise TransportError(self.retired)
            commands = [self._command(*wish) for wish in wishes]
            if kept:
                self._journal.record_command(*commands)
            for command in commands:
                payload = command.encode()
                self._ledger.add(command, payload, kept=kept)
                self._publish(command.node, payload)
        return commands

    def repeat(self) -> set[str]:
        """Send unanswered commands again, with the same id, until their not-after; nodes that let one pass.

        Raises:
            TransportError: another controller has taken over, or the carrier refused it.
        """
        if self.retired:
            raise TransportError(self.retired)
        again, lost = self._ledger.due()
        for entry in again:
            with self._lock:
                self._publish(entry.command.node, entry.payload)
        for entry in (entry for entry in lost if entry.kept):
            facts = {"command": str(entry.command.id), "node": entry.command.node}
            self._journal.append("unanswered", datetime.now(UTC), facts)
        return {entry.command.node for entry in lost}

    def _command(self, node: str, desired: Desired, order: Origin | None, reason: str) -> Command:
        """The next command of this epoch; call it with the lock held, so that sequences leave in order."""
        self._sequence += 1
        now = datetime.now(UTC)
        return Command(
            id=uuid7(),
            epoch=self.epoch,
            sequence=self._sequence,
            issued_at=now,
            not_after=now + timedelta(seconds=self._not_after_s),
            lease_s=self.lease_s,
            plan_id=order.plan_id if order else "",
            node=node,
            desired=desired,
            reason=reason[:1000],
            planned_for=order.due if order else None,
        )

    def _publish(self, node: str, payload: bytes) -> None:
        why = self._permit()
        if why:
            self.retire(why)
            raise TransportError(why)
        self._transport.publish(topic(self._scenario, node, Channel.COMMAND), payload, expiry_s=self._not_after_s)

    def _beat(self) -> None:
        """The heartbeat thread: renew every node's lease, and the cap of those that came out of failsafe."""
        while not self._quiet.wait(self.lease_s / 3):
            try:
                self.greet()
            except TransportError as error:  # the next one who sends is told
                self.retire(str(error))
            except sqlite3.Error as error:  # a cap that cannot be written down is not said
                self.retire(f"the journal cannot be written ({error}), so nothing is commanded any more")

    def greet(self) -> None:
        """Send every node a heartbeat, the caps that need it too; spread over a while where there are many nodes.

        Raises:
            TransportError: the carrier refused it, or nothing may be said any more.
        """
        pause_s = self.lease_s / 6 / max(1, len(self._peak_kw))  # spread over half of the time between two rounds
        for count, node in enumerate(self._peak_kw, 1):
            if count % GREETED_AT_ONCE == 0 and self._quiet.wait(GREETED_AT_ONCE * pause_s):
                return
            with self._lock:
                if self._quiet.is_set():
                    return
                self._publish(node, self._command(node, Hello(), None, "").encode())
            if node in self.needs_cap:
                self.cap(node, again=True)

    def cap(self, node: str, reason: str = "", *, again: bool = False) -> None:
        """State the cap of a node: its highest power, or the one in ``caps_kw`` where that is lower.

        Args:
            node: its name.
            reason: in words; by what the cap is when left out.
            again: a renewal: of the same cap neither it nor its answer is written down (in months they would fill any disk).

        Raises:
            TransportError: another controller has taken over, or the carrier refused it.
        """
        peak_kw = self._peak_kw[node]
        cap_kw = min(peak_kw, self.caps_kw.get(node, peak_kw))
        why = "a sudden limit at its site" if cap_kw < peak_kw else "the node may use its full power again"
        kept = not (again and self._stated_kw.get(node) == cap_kw)
        self._send([(node, CapState(cap_kw=cap_kw), None, reason or why)], kept=kept)
        self._stated_kw[node] = cap_kw
