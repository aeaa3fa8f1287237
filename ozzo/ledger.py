"""What was sent and what came back: open commands, repeats, counts. Used by two threads, so everything takes its lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from uuid import UUID

from ozzo.commands import Acknowledgement, Command, RefusalCode, Stage

RETRY_S = 1.0
"""An unanswered command is sent again after this long, then after twice as long each time: repeats must not feed a jam."""
REMEMBER_S = 3600.0
"""For how long an answered command is known at most; then only the totals, and the journal, know of it."""
MOST_KEPT = 20_000
"""Commands that are known at most, open ones aside: with thousands of nodes an hour of them would be millions."""
FORGET_AT_ONCE = 50
"""Commands that are looked at for that with each new one."""
FINAL = frozenset({Stage.APPLIED, Stage.FAILED, Stage.REFUSED, Stage.ENDED})
"""After these a command is not sent again."""


@dataclass(slots=True, eq=False)
class Sent:
    """A command that was sent.

    Attributes:
        command: the command; payload: as it was sent.
        first_s, again_s: monotonic instants of the first sending and of the next repeat.
        stages: answers so far; code: why it was refused or failed.
        answered_s: monotonic instant of the first answer.
        given_up: its not-after passed without a final answer.
        kept: the journal has it.
    """

    command: Command
    payload: bytes
    first_s: float
    again_s: float
    stages: set[Stage] = field(default_factory=set)
    code: RefusalCode | None = None
    answered_s: float | None = None
    given_up: bool = False
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals over all commands; the words of ``sim.record.Commanding``.

    Attributes:
        commands: sent (each once, however often it was repeated).
        accepted, applied, failed: commands with that answer (refused ones count as failed, except the late).
        late: refused because their not-after had passed.
        silent: not answered for good before their not-after.
        worst_ack_s: longest wait for a first answer.
    """

    commands: int
    accepted: int
    applied: int
    failed: int
    late: int
    silent: int
    worst_ack_s: float

    def plus(self, other: Counts) -> Counts:
        """Totals of both."""
        return Counts(
            commands=self.commands + other.commands,
            accepted=self.accepted + other.accepted,
            applied=self.applied + other.applied,
            failed=self.failed + other.failed,
            late=self.late + other.late,
            silent=self.silent + other.silent,
            worst_ack_s=max(self.worst_ack_s, other.worst_ack_s),
        )


class Ledger:
    """All commands of a fleet."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._open: dict[UUID, Sent] = {}
        self._closed: dict[UUID, Sent] = {}  # in the order in which they were answered for good, or given up
        self._forgotten = Counts(0, 0, 0, 0, 0, 0, 0.0)

    def add(self, command: Command, payload: bytes, *, kept: bool = True) -> None:
        """A command is about to be sent; ``kept``: the journal has it."""
        now = self._monotonic()
        with self._lock:
            self._open[command.id] = Sent(command, payload, now, now + RETRY_S, kept=kept)
            self._forget(now)

    def kept(self, command: UUID) -> bool | None:
        """Whether the journal has a command; None when it is not known here (any more)."""
        with self._lock:
            entry = self._find(command)
            return None if entry is None else entry.kept

    def _find(self, command: UUID) -> Sent | None:
        """A command that is known; call it with the lock held."""
        return self._open.get(command) or self._closed.get(command)

    def _close(self, entry: Sent) -> None:
        """Nothing more is expected of a command; call it with the lock held."""
        if self._open.pop(entry.command.id, None) is not None:
            self._closed[entry.command.id] = entry

    def answered(self, acknowledgement: Acknowledgement) -> Sent | None:
        """Book an answer; None when no such command was sent."""
        with self._lock:
            entry = self._find(acknowledgement.command)
            if entry is None:
                return None
            entry.stages.add(acknowledgement.stage)
            if entry.answered_s is None:
                entry.answered_s = self._monotonic()
            if acknowledgement.code is not None:
                entry.code = acknowledgement.code
            if acknowledgement.stage in FINAL:
                self._close(entry)
            return entry

    def is_open(self, silent: Collection[str] = ()) -> bool:
        """True while a command waits for a final answer of a node that is not ``silent``."""
        with self._lock:
            return any(entry.command.node not in silent for entry in self._open.values())

    def unheard(self, silent: Collection[str] = ()) -> int:
        """Number of open commands without any answer, of nodes that are not ``silent``: they may not have arrived."""
        with self._lock:
            return sum(entry.answered_s is None and entry.command.node not in silent for entry in self._open.values())

    def waits_for(self, command: Command) -> bool:
        """True when another open command asks its node for the same state."""
        with self._lock:
            return any(
                entry.command.id != command.id and entry.command.node == command.node and entry.command.desired == command.desired
                for entry in self._open.values()
            )

    def due(self) -> tuple[list[Sent], list[Sent]]:
        """Commands to send again now, and commands that are given up now because their not-after has passed."""
        now, wall = self._monotonic(), datetime.now(UTC)
        again, lost = [], []
        with self._lock:
            for entry in self._open.values():
                if now < entry.again_s:
                    continue
                if wall >= entry.command.not_after:
                    entry.given_up = True
                    lost.append(entry)
                else:
                    entry.again_s = now + 2.0 * (entry.again_s - entry.first_s)
                    again.append(entry)
            for entry in lost:
                self._close(entry)
        return again, lost

    def counts(self) -> Counts:
        """Totals so far."""
        with self._lock:
            sent, before = [*self._open.values(), *self._closed.values()], self._forgotten
        return before.plus(_count(sent))

    def _forget(self, now: float) -> None:
        """Keep only the totals of commands that are old, or too many, and not open; call it with the lock held."""
        surplus = len(self._closed) - MOST_KEPT
        old: list[Sent] = []
        for entry in islice(self._closed.values(), FORGET_AT_ONCE):
            if entry.first_s > now - REMEMBER_S and surplus <= len(old):
                break
            old.append(entry)
        for entry in old:
            del self._closed[entry.command.id]
        if old:
            self._forgotten = self._forgotten.plus(_count(old))


def _count(sent: Collection[Sent]) -> Counts:
    """Totals of some commands."""
    late = sum(entry.code is RefusalCode.EXPIRED for entry in sent)
    waits = [entry.answered_s - entry.first_s for entry in sent if entry.answered_s is not None]
    return Counts(
        commands=len(sent),
        accepted=sum(entry.answered_s is not None and Stage.REFUSED not in entry.stages for entry in sent),
        applied=sum(Stage.APPLIED in entry.stages for entry in sent),
        failed=sum(bool(entry.stages & {Stage.FAILED, Stage.REFUSED}) for entry in sent) - late,
        late=late,
        silent=sum(entry.given_up and not entry.stages & FINAL for entry in sent),
        worst_ack_s=max(waits, default=0.0),
    )
