"""The loop of a node agent: one thread, one selector, no polling.

It wakes for a message, for the end or output of a job, for its standard input's end (the controller is gone), and for the next
deadline (heartbeat, lease, a job's limit). A command is put into the journal first, then the broker may forget it, then it is
answered *accepted*, then it is carried out and answered again.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from ozzo.agent.config import AgentConfig
from ozzo.agent.jobs import JobTable
from ozzo.agent.journal import NodeJournal
from ozzo.agent.keeping import Keeping
from ozzo.agent.limiter import HardwareCap, limiter_for
from ozzo.agent.power import meter_for
from ozzo.commands import (
    ENDED_TOLD,
    Acknowledgement,
    CapState,
    Channel,
    Command,
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


def death_of(config: AgentConfig) -> tuple[str, bytes]:
    """Topic and payload of the will of this node."""
    state = NodeState(node=config.node, pid=os.getpid(), event="death", at=datetime.now(UTC))
    return topic(config.scenario, config.node, Channel.STATE), state.encode()


class NodeAgent:
    """An agent; ``run`` returns after ``stop``, when it is orphaned, or when ``watch_fd`` ends."""

    def __init__(
        self,
        config: AgentConfig,
        transport: Transport,
        *,
        watch_fd: int | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.config, self._transport, self._watch_fd, self._note = config, transport, watch_fd, note
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._inbox: deque[Delivery] = deque()
        self._stopping = self._orphaned = False
        self._malformed, self._disk_told = 0, False
        self._fence = Fence()
        self._topics = {channel: topic(config.scenario, config.node, channel) for channel in Channel}
        self._rules = CapRules(config.failsafe_kw, timedelta(seconds=config.failsafe_hold_s))
        self._lease = Lease()
        self._jobs = JobTable(config, self._selector, self._say_and_keep)
        self._meter = meter_for(config, note)
        limiter = limiter_for(config, note)
        self._hardware = None if limiter is None else HardwareCap(limiter, self._wake, note)
        self._last_word = self._next_beat = time.monotonic()

    def stop(self) -> None:
        """Ask the loop to end; may be called from a signal handler or another thread."""
        self._stopping = True
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the pipe is full: the loop will wake anyway
            os.write(self._wake_write, b"x")

    def _deliver(self, delivery: Delivery) -> None:
        """Called in the transport's thread."""
        self._inbox.append(delivery)
        self._wake()

    def run(self) -> None:
        """Obey until the end; then end all jobs (kept ones: leave them, unless the controller is gone) and say goodbye.

        Raises:
            TransportError: another agent keeps jobs with this journal.
        """
        self._journal = NodeJournal(Path(self.config.journal))
        try:
            if self.config.keep_jobs:
                self._jobs.keeping = Keeping(self.config, self._note)
                self._note(self._jobs.keeping.note)
            self._begin()
            while not self._stopping:
                for key, _ in self._selector.select(self._patience()):
                    action, entry = key.data
                    action(entry)
                self._read_inbox()
                self._jobs.tick()
                self._keep_time()
        finally:
            if self._jobs.keeping is not None and not self._orphaned:
                self._jobs.leave()
            else:
                self._jobs.end_all()
            self._say_state("death")
            if self._hardware is not None:
                self._hardware.close()
            if self._jobs.keeping is not None:
                self._jobs.keeping.close()
            self._journal.close()
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _begin(self) -> None:
        self._fence = self._journal.fence()
        if self._fence.epoch:  # an earlier life obeyed somebody: not free before a controller speaks again
            self._lease = Lease(mode=CapMode.FAILSAFE, failsafe_since=datetime.now(UTC))
        self._jobs.adopt(self._cap_for_jobs())
        self._selector.register(self._wake_read, selectors.EVENT_READ, (self._drain, None))
        if self._watch_fd is not None:
            self._selector.register(self._watch_fd, selectors.EVENT_READ, (self._input_ended, None))
        self._finish()
        self._transport.subscribe(self._topics[Channel.COMMAND], self._deliver)
        self._say_state("birth")

    def _finish(self) -> None:
        """What an earlier life accepted and did not answer: the last word on each job is carried out if it still counts."""
        now, last = datetime.now(UTC), {}
        unfinished = self._journal.unfinished()
        for command in unfinished:
            if isinstance(command.desired, JobState):
                last[command.desired.job] = command
        for command in unfinished:
            desired = command.desired
            code = self._jobs.began(command)
            if code is not None:
                self._say_and_keep(answer(command, Stage.ENDED, now, measured={"exit_code": float(code)}))
            elif not isinstance(desired, JobState) or last[desired.job] is not command or command.epoch < self._fence.epoch:
                text = "the agent was started again before it was carried out"
                self._say_and_keep(answer(command, Stage.FAILED, now, code=RefusalCode.NOT_CONFIRMED, text=text))
            elif now >= command.not_after:
                text = "accepted in time, but the agent was gone until after its not-after"
                self._say_and_keep(answer(command, Stage.FAILED, now, code=RefusalCode.EXPIRED, text=text))
            else:
                applied = self._jobs.apply(command, desired)
                if applied is not None:
                    self._say_and_keep(applied)

    def _drain(self, _: None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def _input_ended(self, _: None) -> None:
        if self._watch_fd is not None and not os.read(self._watch_fd, 4096):
            self._stopping = True

    def _patience(self) -> float:
        """Seconds until something is due by itself."""
        now = time.monotonic()
        moments = [self._next_beat]
        jobs_due = self._jobs.deadline()
        if jobs_due is not None:
            moments.append(jobs_due)
        if self.config.orphan_s is not None:
            moments.append(self._last_word + self.config.orphan_s)
        lease_due = self._lease.deadline(self._rules)
        if lease_due is not None:
            moments.append(now + (lease_due - datetime.now(UTC)).total_seconds())
        return 0.0 if self._inbox else max(0.001, min(moments) - now)

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
            self._stopping = self._orphaned = True
        if now >= self._next_beat:
            if self._jobs.keeping is not None:
                self._jobs.keeping.tidy()
            self._say_state("heartbeat")

    def _cap_for_jobs(self) -> float | None:
        """The cap that freezing must keep; None without a cap, or while the hardware is known to hold it."""
        cap_kw = self._lease.cap_kw(self._rules)
        if self._hardware is not None:
            self._hardware.want(cap_kw)
            if self._hardware.holds(cap_kw):
                return None
        return cap_kw

    def _hold(self) -> None:
        """Let jobs stand still or go on by the cap in force."""
        self._jobs.enforce(self._cap_for_jobs())

    def _read_inbox(self) -> None:
        while self._inbox and not self._stopping:
            self.take(self._inbox.popleft())

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
        elif isinstance(desired, JobState):
            applied = self._jobs.apply(command, desired)
            if applied is not None:
                self._say_and_keep(applied)
        else:
            failsafe = self._lease.mode is CapMode.FAILSAFE
            text = "kept for the end of failsafe" if failsafe else ""
            cap_kw = self._lease.cap_kw(self._rules)
            measured = {"cap_kw": cap_kw or 0.0, "failsafe": float(failsafe), "held": float(len(self._jobs.held))}
            if self._hardware is not None:
                measured["hardware"] = float(self._hardware.holds(cap_kw))
            restless = "; ".join(self._jobs.restless.values())
            stage, code = (Stage.FAILED, RefusalCode.NOT_CONFIRMED) if restless else (Stage.APPLIED, None)
            self._say_and_keep(answer(command, stage, now, code=code, text=restless or text, measured=measured))

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
        power_kw = None if self._meter is None else self._meter.power_kw()
        if self._hardware is not None:
            self._hardware.saw(power_kw)
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
