"""One job that was wished to run on a node: its wish, its process, and how it is brought to its end."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field

from ozzo.agent.child import Child
from ozzo.agent.config import AgentConfig
from ozzo.agent.kept import KeptChild
from ozzo.commands import Command, JobState, JobWish

SLOW_S = 1.0
"""Beside the grace, the time before SIGKILL is sent once more to a job that is slow to die."""


@dataclass(slots=True, eq=False)
class Entry:
    """A job that was wished to run here.

    Attributes:
        command: command that started it; wish: wish now in force; desired: last wish with a program.
        child: its process, or None before it may start and after its end.
        exit_code: after its end.
        stops: commands that wait for its end.
        term_at: monotonic instant of SIGTERM, once it was told to save its work.
        kill_at: monotonic instant of SIGKILL, once it was asked to end.
        over_limit: it was stopped for running too long.
    """

    command: Command
    desired: JobState
    wish: JobWish
    child: Child | KeptChild | None = None
    exit_code: int | None = None
    stops: list[Command] = field(default_factory=list)
    term_at: float | None = None
    kill_at: float | None = None
    over_limit: bool = False

    @property
    def asked(self) -> bool:
        """It was asked to end."""
        return self.kill_at is not None or self.term_at is not None

    @property
    def leaving_kw(self) -> float:
        """Planned power of a job that is being stopped and is not gone yet, kW; 0 for any other."""
        return self.desired.power_kw if self.wish is JobWish.STOPPED and self.child is not None else 0.0

    @property
    def runs(self) -> bool:
        """It has a process that is not frozen."""
        return self.child is not None and not self.child.frozen

    def ask_to_end(self, config: AgentConfig) -> None:
        """Let it save its work first when its program knows how; then, or else at once, SIGTERM."""
        if self.child is None or self.asked:
            return
        number = config.checkpoint.get(self.desired.argv[0])
        if number is None:
            self._terminate(config)
        else:
            self.child.tell(signal.Signals[number])
            self.term_at = time.monotonic() + config.checkpoint_grace_s

    def _terminate(self, config: AgentConfig) -> None:
        if self.child is not None:
            self.child.terminate()
            self.term_at, self.kill_at = None, time.monotonic() + config.stop_grace_s

    def moments(self) -> list[float]:
        """Monotonic instants at which ``tick`` has something to do."""
        found = [moment for moment in (self.term_at, self.kill_at) if moment is not None]
        limit_s = self.desired.limit_s
        if self.child is not None and self.runs and limit_s is not None and not self.asked:
            found.append(time.monotonic() + max(0.0, limit_s - self.child.ran_s))
        return found

    def tick(self, now: float, config: AgentConfig) -> None:
        """End it when it ran too long; SIGTERM after its time to save its work; SIGKILL when it did not end when asked.

        Args:
            now: monotonic instant.
            config: settings of the agent, with its graces.
        """
        if self.child is None:
            return
        limit_s = self.desired.limit_s
        if not self.asked and limit_s is not None and self.child.ran_s >= limit_s:
            self.over_limit, self.wish = True, JobWish.STOPPED
            self.ask_to_end(config)
        elif self.term_at is not None and now >= self.term_at:
            self._terminate(config)
        elif self.kill_at is not None and now >= self.kill_at:
            self.child.kill()
            self.kill_at = now + config.stop_grace_s + SLOW_S
