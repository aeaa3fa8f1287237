"""What a node does with messages and with time, without a loop: the state machine that every agent shares.

A command is put into the journal first, then the broker may forget it, then it is answered *accepted*, then it is carried out
and answered again. ``NodeAgent`` drives one of these with real processes; ``ozzo.agent.crowd`` drives many with simulated ones.

A node whose journal cannot be written (disk full) obeys nobody: what it is told does not count, so the controller says it again,
or the lease runs out and the failsafe cap holds.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID

from ozzo.agent.config import AgentConfig
from ozzo.agent.data import NotAllowed, job_name
from ozzo.agent.jobs import JobTable
from ozzo.agent.power import Meter
from ozzo.commands import (
    ENDED_TOLD,
    Acknowledgement,
    CapState,
    Channel,
    Command,
    Desired,
    Hello,
    JobState,
    NodeState,
    RefusalCode,
    Stage,
    answer,
    decode,
    topic,
)
from ozzo.fence import Fence, decide
from ozzo.lease import CapMode, CapRules, Lease, capped, heard, tick
from ozzo.transport import Delivery, Transport


class Memory(Protocol):
    """The journal of a node: ``ozzo.agent.journal.NodeJournal`` or a part of ``ozzo.agent.shared_journal.SharedJournal``."""

    def fence(self) -> Fence:
        """Highest epoch and sequence seen."""

    def position(self) -> int:
        """Number of commands ever accepted."""

    def answer(self, command: UUID) -> Acknowledgement | None:
        """The last answer to a command, or None."""

    def unfinished(self) -> tuple[Command, ...]:
        """Commands that were accepted and have no further answer."""

    def raise_fence(self, fence: Fence) -> None:
        """Keep a higher fence."""

    def accept(self, command: Command, acknowledgement: Acknowledgement, fence: Fence) -> None:
        """Keep an accepted command, its answer and the fence."""

    def keep_answer(self, acknowledgement: Acknowledgement) -> None:
        """Keep a later answer."""


class NodeCore:
    """The state machine of one node.

    Attributes:
        config: its settings; orphaned: nobody has spoken for ``orphan_s``.
    """

    _journal: Memory
    _jobs: JobTable

    def __init__(self, config: AgentConfig, transport: Transport, meter: Meter | None, note: Callable[[str], None]) -> None:
        """Prepare; whoever drives it sets journal and jobs before ``_wake_up``.

        Args:
            config: settings.
            transport: the node's end.
            meter: of its power, or None.
            note: takes a line for whoever keeps the node.
        """
        self.config, self._transport, self._meter, self._note = config, transport, meter, note
        self.orphaned = False
        self._malformed, self._disk_told = 0, False
        self._fence = Fence()
        self._topics = {channel: topic(config.scenario, config.node, channel) for channel in Channel}
        self._rules = CapRules(config.failsafe_kw, timedelta(seconds=config.failsafe_hold_s))
        self._lease = Lease()
        self._last_word = self._next_beat = time.monotonic()

    def _wake_up(self, deliver: Callable[[Delivery], None]) -> None:
        """Take up what an earlier life has left, then listen and say that we are there."""
        self._fence = self._journal.fence()
        if self._fence.epoch:  # an earlier life obeyed somebody: not free before a controller speaks again
            self._lease = Lease(mode=CapMode.FAILSAFE, failsafe_since=datetime.now(UTC))
        self._jobs.adopt(self._cap_for_jobs())
        self._finish()
        self._transport.subscribe(self._topics[Channel.COMMAND], deliver)
        self._say_state("birth")

    def _finish(self) -> None:
        """What an earlier life accepted and did not answer: the last word on each job is carried out if it still counts."""
        now, last = datetime.now(UTC), {}
        unfinished = self._journal.unfinished()
        for command in unfinished:
            if (name := job_name(command.desired)) is not None:
                last[name] = command
        for command in unfinished:
            name = job_name(command.desired)
            code = self._jobs.began(command)
            if code is not None:
                self._say_and_keep(answer(command, Stage.ENDED, now, measured={"exit_code": float(code)}))
            elif name is None or last[name] is not command or command.epoch < self._fence.epoch:
                text = "the agent was started again before it was carried out"
                self._say_and_keep(answer(command, Stage.FAILED, now, code=RefusalCode.NOT_CONFIRMED, text=text))
            elif now >= command.not_after:
                text = "accepted in time, but the agent was gone until after its not-after"
                self._say_and_keep(answer(command, Stage.FAILED, now, code=RefusalCode.EXPIRED, text=text))
            else:
                self._carry_out(command)

    def _carry_out(self, command: Command) -> None:
        """A command for a job, a transfer or a release."""
        try:
            applied = self._jobs.apply(command, self._as_job(command.desired))
        except NotAllowed as error:
            code = RefusalCode.TRANSFER_NOT_ALLOWED
            applied = answer(command, Stage.FAILED, datetime.now(UTC), code=code, text=str(error))
        if applied is not None:
            self._say_and_keep(applied)

    def _as_job(self, desired: Desired) -> JobState:
        """The job that carries out a wish.

        Raises:
            NotAllowed: the node does not do such a thing.
        """
        if isinstance(desired, JobState):
            return desired
        raise NotAllowed("this node keeps no data")

    def _due(self) -> float:
        """Monotonic instant at which something is due by itself."""
        moments = [self._next_beat]
        jobs_due = self._jobs.deadline()
        if jobs_due is not None:
            moments.append(jobs_due)
        if self.config.orphan_s is not None:
            moments.append(self._last_word + self.config.orphan_s)
        lease_due = self._lease.deadline(self._rules)
        if lease_due is not None:
            moments.append(time.monotonic() + (lease_due - datetime.now(UTC)).total_seconds())
        return min(moments)

    def _keep_time(self) -> None:
        """Heartbeat, lease, and the end when nobody speaks any more."""
        before = self._lease
        self._lease = tick(self._lease, datetime.now(UTC), self._rules)
        if self._lease.mode is not before.mode:
            self._next_beat = 0.0  # tell at once
        if self._cap_for_jobs() != self._jobs.cap_kw:
            self._hold()
        now = time.monotonic()
        if self.config.orphan_s is not None and now >= self._last_word + self.config.orphan_s:
            self.orphaned = True
        if now >= self._next_beat:
            self._say_state("heartbeat")

    def _cap_for_jobs(self) -> float | None:
        """The cap that freezing must keep; None without a cap, or while something else is known to hold it."""
        return self._lease.cap_kw(self._rules)

    def _hold(self) -> None:
        """Let jobs stand still or go on by the cap in force."""
        self._jobs.enforce(self._cap_for_jobs())

    def take(self, delivery: Delivery) -> None:
        """One message: decide, keep, let the broker forget it, answer, act."""
        try:
            command = decode(Command, delivery.payload)
        except ValueError:
            self._malformed += 1  # it has no id to answer to; the state says how many there were
            delivery.acknowledge()
            return
        now = datetime.now(UTC)
        stored = self._journal.answer(command.id)
        decision = decide(command, node=self.config.node, now=now, fence=self._fence, stored=stored)
        beat = isinstance(command.desired, Hello)
        try:
            if decision.act and not beat:
                self._journal.accept(command, decision.acknowledgement, decision.fence)
            elif decision.fence != self._fence:
                self._journal.raise_fence(decision.fence)
        except sqlite3.Error as error:  # it does not count: the controller says it again, or the lease ends and failsafe holds
            delivery.acknowledge()
            self._disk_trouble(error)
            return
        self._disk_told = False
        self._fence = decision.fence
        delivery.acknowledge()
        if not (decision.act and beat):
            self._say(decision.acknowledgement)
        if decision.act:
            self._obey(command)

    def _obey(self, command: Command) -> None:
        """Carry out a command that is in the journal."""
        now, desired = datetime.now(UTC), command.desired
        self._last_word = time.monotonic()
        self._lease = heard(self._lease, now, command.lease_s, self._rules, heartbeat=isinstance(desired, Hello))
        if isinstance(desired, CapState):
            self._lease = capped(self._lease, now, desired.cap_kw, command.lease_s, self._rules)
        if self._cap_for_jobs() != self._jobs.cap_kw or self._jobs.restless:
            self._hold()
        if isinstance(desired, Hello):
            self._say_state("heartbeat")
        elif not isinstance(desired, CapState):
            self._carry_out(command)
        else:
            failsafe = self._lease.mode is CapMode.FAILSAFE
            text = "kept for the end of failsafe" if failsafe else ""
            cap_kw = self._lease.cap_kw(self._rules)
            measured = {"cap_kw": cap_kw or 0.0, "failsafe": float(failsafe), "held": float(len(self._jobs.held))}
            measured |= self._about_cap(cap_kw)
            restless = "; ".join(self._jobs.restless.values())
            stage, code = (Stage.FAILED, RefusalCode.NOT_CONFIRMED) if restless else (Stage.APPLIED, None)
            self._say_and_keep(answer(command, stage, now, code=code, text=restless or text, measured=measured))

    def _about_cap(self, cap_kw: float | None) -> dict[str, float]:
        """What else is to be told about a cap."""
        del cap_kw
        return {}

    def _measure(self) -> float | None:
        """Power of the node since the measurement before, kW."""
        return None if self._meter is None else self._meter.power_kw()

    def _say(self, acknowledgement: Acknowledgement) -> None:
        self._transport.publish(self._topics[Channel.ACK], acknowledgement.encode())

    def _say_and_keep(self, acknowledgement: Acknowledgement) -> None:
        try:
            self._journal.keep_answer(acknowledgement)
        except sqlite3.Error as error:  # after a restart it is carried out once more: states are absolute
            self._disk_trouble(error)
        self._say(acknowledgement)

    def _disk_trouble(self, error: sqlite3.Error) -> None:
        """Tell once that the journal takes nothing."""
        if not self._disk_told:
            self._disk_told = True
            self._note(f"the journal cannot be written, so no command is taken: {error}")

    def _say_state(self, event: Literal["birth", "heartbeat", "death"]) -> None:
        now = datetime.now(UTC)
        power_kw = self._measure()
        state = NodeState(
            node=self.config.node,
            pid=os.getpid(),
            event=event,
            epoch=self._fence.epoch,
            sequence=self._fence.sequence,
            position=self._journal.position(),
            jobs=self._jobs.wishes(),
            ended=self._jobs.exits(ENDED_TOLD),
            held=tuple(sorted(self._jobs.held)),
            cap_kw=self._lease.cap_kw(self._rules),
            failsafe=self._lease.mode is CapMode.FAILSAFE,
            lease_left_s=self._lease.left_s(now),
            power_kw=power_kw,
            power_source="" if self._meter is None else self._meter.source,
            malformed=self._malformed,
            at=now,
        )
        self._transport.publish(self._topics[Channel.STATE], state.encode(), retain=True)
        self._next_beat = time.monotonic() + self.config.heartbeat_s
