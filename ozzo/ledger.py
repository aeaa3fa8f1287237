"""What was sent and what came back: open commands, repeats, counts. Used by two threads, so everything takes its lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from ozzo.commands import Acknowledgement, Command, RefusalCode, Stage

REMEMBER_S = 3600.0
"""For how long an answered command is known, so that a late answer to it is understood; then only the totals know of it."""
FORGET_AT_ONCE = 50
"""Commands that are looked at for that with each new one."""
RETRY_S = 1.0
"""An unanswered command is sent again after this long, then after twice as long each time: repeats must not feed a jam."""
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
    """

    command: Command
    payload: bytes
    first_s: float
    again_s: float
    stages: set[Stage] = field(default_factory=set)
    code: RefusalCode | None = None
    answered_s: float | None = None
    given_up: bool = False


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


class Ledger:
    """All commands of a fleet."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._sent: dict[UUID, Sent] = {}
        self._open: dict[UUID, Sent] = {}
        self._forgotten = Counts(0, 0, 0, 0, 0, 0, 0.0)

    def add(self, command: Command, payload: bytes) -> None:
        """A command is about to be sent."""
        now = self._monotonic()
        with self._lock:
            self._sent[command.id] = self._open[command.id] = Sent(command, payload, now, now + RETRY_S)
            self._forget(now)

    def _forget(self, now: float) -> None:
        """Keep only the totals of commands that were sent long ago and are not open; call it with the lock held."""
        old: list[Sent] = []
        for entry in self._sent.values():
            if entry.first_s > now - REMEMBER_S or len(old) == FORGET_AT_ONCE:
                break
            old.append(entry)
        gone = [entry for entry in old if entry.command.id not in self._open]
        for entry in gone:
            del self._sent[entry.command.id]
        self._forgotten = _together(self._forgotten, _counted(gone))

    def knows(self, command: UUID) -> bool:
        """True when such a command was sent, not too long ago."""
        with self._lock:
            return command in self._sent

    def answered(self, acknowledgement: Acknowledgement) -> Sent | None:
        """Book an answer; None when no such command was sent."""
        with self._lock:
            entry = self._sent.get(acknowledgement.command)
            if entry is None:
                return None
            entry.stages.add(acknowledgement.stage)
            if entry.answered_s is None:
                entry.answered_s = self._monotonic()
            if acknowledgement.code is not None:
                entry.code = acknowledgement.code
            if acknowledgement.stage in FINAL:
                self._open.pop(acknowledgement.command, None)
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
                del self._open[entry.command.id]
        return again, lost

    def counts(self) -> Counts:
        """Totals so far."""
        with self._lock:
            return _together(self._forgotten, _counted(list(self._sent.values())))


def _counted(sent: list[Sent]) -> Counts:
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


def _together(a: Counts, b: Counts) -> Counts:
    return Counts(
        a.commands + b.commands,
        a.accepted + b.accepted,
        a.applied + b.applied,
        a.failed + b.failed,
        a.late + b.late,
        a.silent + b.silent,
        max(a.worst_ack_s, b.worst_ack_s),
    )
