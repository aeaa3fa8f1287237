"""The loop of a node agent: one thread, one selector, no polling.

It wakes for a message, for the end or output of a job, for its standard input's end (the controller is gone), and for the next
deadline (heartbeat, lease, a job's limit). What it does then is ``ozzo.agent.core``'s; here are processes and hardware caps.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ozzo.agent.config import AgentConfig
from ozzo.agent.core import NodeCore
from ozzo.agent.data import PROGRAM, DataDesk
from ozzo.agent.jobs import JobTable
from ozzo.agent.journal import NodeJournal
from ozzo.agent.keeping import Keeping
from ozzo.agent.limiter import HardwareCap, limiter_for
from ozzo.agent.power import meter_for
from ozzo.commands import Channel, Desired, JobState, NodeState, topic
from ozzo.transport import Delivery, Transport


def death_of(config: AgentConfig) -> tuple[str, bytes]:
    """Topic and payload of the will of this node."""
    state = NodeState(node=config.node, pid=os.getpid(), event="death", at=datetime.now(UTC))
    return topic(config.scenario, config.node, Channel.STATE), state.encode()


class NodeAgent(NodeCore):
    """An agent; ``run`` returns after ``stop``, when it is orphaned, or when ``watch_fd`` ends."""

    _journal: NodeJournal

    def __init__(
        self,
        config: AgentConfig,
        transport: Transport,
        *,
        watch_fd: int | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(config, transport, meter_for(config, note), note)
        self._watch_fd = watch_fd
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._inbox: deque[Delivery] = deque()
        self._stopping = False
        self._jobs = JobTable(config, self._selector, self._say_and_keep)
        self._data = DataDesk(config)
        self._jobs.offer(PROGRAM, self._data.program)
        limiter = limiter_for(config, note)
        self._hardware = None if limiter is None else HardwareCap(limiter, self._wake, note)

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
            for line in self._data.trouble:
                self._note(line)
            self._begin()
            while not (self._stopping or self.orphaned):
                for key, _ in self._selector.select(self._patience()):
                    action, entry = key.data
                    action(entry)
                self._read_inbox()
                self._jobs.tick()
                self._keep_time()
        finally:
            if self._jobs.keeping is not None and not self.orphaned:
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
        self._selector.register(self._wake_read, selectors.EVENT_READ, (self._drain, None))
        if self._watch_fd is not None:
            self._selector.register(self._watch_fd, selectors.EVENT_READ, (self._input_ended, None))
        self._wake_up(self._deliver)

    def _drain(self, _: None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def _input_ended(self, _: None) -> None:
        if self._watch_fd is not None and not os.read(self._watch_fd, 4096):
            self._stopping = True

    def _patience(self) -> float:
        """Seconds until something is due by itself."""
        return 0.0 if self._inbox else max(0.001, self._due() - time.monotonic())

    def _cap_for_jobs(self) -> float | None:
        """The cap that freezing must keep; None without a cap, or while the hardware is known to hold it."""
        cap_kw = self._lease.cap_kw(self._rules)
        if self._hardware is not None:
            self._hardware.want(cap_kw)
            if self._hardware.holds(cap_kw):
                return None
        return cap_kw

    def _about_cap(self, cap_kw: float | None) -> dict[str, float]:
        """Whether the hardware holds it."""
        return {} if self._hardware is None else {"hardware": float(self._hardware.holds(cap_kw))}

    def _measure(self) -> float | None:
        """Power of the node, which its hardware's cap is judged by."""
        power_kw = super()._measure()
        if self._hardware is not None:
            self._hardware.saw(power_kw)
        return power_kw

    def _say_state(self, event: Literal["birth", "heartbeat", "death"]) -> None:
        if event == "heartbeat" and self._jobs.keeping is not None:
            self._jobs.keeping.tidy()
        super()._say_state(event)

    def _read_inbox(self) -> None:
        while self._inbox and not self._stopping:
            self.take(self._inbox.popleft())

    def _as_job(self, desired: Desired) -> JobState:
        return self._data.as_job(desired)
