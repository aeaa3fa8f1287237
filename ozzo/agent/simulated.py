"""Simulated jobs on a node: the real rules of ``ozzo.agent.jobs``, with a clock in place of a process.

A simulated job runs for the time that its wish names, ``speed`` times faster than the wall clock; it can be paused, stopped and
killed like a real one, and goes on while its agent is dead (for ``alone_s`` at most, as under a real keeper). Its node draws its
idle power and the planned power of the jobs that run. Nothing is executed, so any program is allowed.
"""

from __future__ import annotations

import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ozzo.agent.child import Child
from ozzo.agent.config import AgentConfig
from ozzo.agent.core import NodeCore
from ozzo.agent.entry import Entry
from ozzo.agent.jobs import JobTable
from ozzo.agent.shared_journal import NodePage, SimulatedRun
from ozzo.commands import Acknowledgement, Command, JobState, JobWish
from ozzo.transport import Delivery, Transport


class SimulatedChild(Child):
    """A clock with the face of a process.

    Attributes:
        pid: a number of its own; frozen: it stands still; since: Unix time since which it runs, None while it does not.
    """

    def __init__(self, desired: JobState, speed: float, number: int, *, ran_s: float = 0.0, since: float | None = None) -> None:
        """Start it, or take it over.

        Args:
            desired: names its run time (``seconds``).
            speed: seconds of its own time in a second of the wall clock.
            number: stands for a process id.
            ran_s: own seconds so far.
            since: Unix time since which it runs; it is frozen when None.
        """
        self.pid, self.pidfd, self.output, self.cpu_s = number, -1, -1, 0.0
        self._seconds, self._speed = desired.seconds, speed
        self._before_s, self.since = ran_s, since
        self.frozen = since is None
        self._killed: int | None = None

    @property
    def clock(self) -> tuple[float, float | None]:
        """Own seconds up to ``since``, and ``since``."""
        return self._before_s, self.since

    @property
    def ran_s(self) -> float:
        """Own seconds in which it was not frozen."""
        return self._before_s if self.since is None else self._before_s + max(0.0, time.time() - self.since) * self._speed

    @property
    def tail(self) -> str:
        """It says nothing."""
        return ""

    def freeze(self) -> bool:
        """Stand still."""
        self._before_s, self.since, self.frozen = self.ran_s, None, True
        return True

    def thaw(self) -> bool:
        """Go on."""
        if self.since is None:
            self.since, self.frozen = time.time(), False
        return True

    def tell(self, number: signal.Signals) -> None:
        """It saves its work when told to, in no time."""
        del number

    def terminate(self) -> None:
        """It obeys at once."""
        self._end(-int(signal.SIGTERM))

    def kill(self) -> None:
        """End it."""
        self._end(-int(signal.SIGKILL))

    def _end(self, code: int) -> None:
        if self._killed is None:
            self._killed = code

    def read(self) -> bool:
        """Nothing comes."""
        return False

    def reap(self) -> int:
        """Exit code; only after ``over``."""
        self.freeze()
        return 0 if self._killed is None else self._killed

    def left_s(self) -> float:
        """Wall seconds until it ends by itself, infinite while it stands still; 0 once it has ended."""
        if self._killed is not None:
            return 0.0
        return float("inf") if self.since is None else max(0.0, self._seconds - self.ran_s) / self._speed


class _AnyProgram(dict[str, tuple[str, ...]]):
    """A list of programs with everything on it, since none is executed."""

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str)


class SimulatedJobs(JobTable):
    """The jobs of a simulated node, kept on its page."""

    def __init__(
        self, config: AgentConfig, say: Callable[[Acknowledgement], None], page: NodePage, speed: float, away_s: float
    ) -> None:
        """Prepare.

        Args:
            config: settings of the node.
            say: takes answers that come later than the command.
            page: of the node.
            speed: how much faster jobs run than the wall clock.
            away_s: for how long no agent was there, beyond ``alone_s``: jobs stood still then.
        """
        super().__init__(config, selectors.DefaultSelector(), say)
        self._selector.close()  # nothing here has a file to wait for
        self._programs = _AnyProgram()
        self._page, self._speed, self._away_s, self._numbers = page, speed, away_s, 0

    def adopt(self, cap_kw: float | None) -> None:
        """Take over what an earlier process has left; what ended meanwhile ends at the first ``tick``."""
        self._ended = {job: code for job, (_, code) in self._page.ends.items()}
        for job, run in self._page.runs.items():
            entry = Entry(run.command, run.desired, run.wish)
            since = None if run.since is None else run.since + self._away_s
            entry.child = SimulatedChild(run.desired, self._speed, self._number(), ran_s=run.ran_s, since=since)
            self._alive[job] = entry
        self.enforce(cap_kw)
        for entry in self._alive.values():
            if entry.wish is JobWish.STOPPED:
                entry.ask_to_end(self._config)

    def began(self, command: Command) -> int | None:
        """Exit code of the run that a command started and that has ended, or None."""
        return next((code for run, code in self._page.ends.values() if run == str(command.id)), None)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _start(self, entry: Entry) -> None:
        entry.child = SimulatedChild(entry.desired, self._speed, self._number(), since=time.time())

    def _keep(self) -> None:
        for entry in self._alive.values():
            if isinstance(entry.child, SimulatedChild):
                self._page.save_run(SimulatedRun(entry.command, entry.desired, entry.wish, *entry.child.clock))

    def tick(self) -> None:
        """Limits and stops as everywhere; then whatever has come to its end ends."""
        super().tick()
        over = [entry for entry in self._alive.values() if isinstance(entry.child, SimulatedChild) and not entry.child.left_s()]
        for entry in over:
            child, entry.child = entry.child, None
            if child is None:
                continue
            code = child.reap()
            del self._alive[entry.desired.job]
            self._page.end_run(entry.desired.job, str(entry.command.id), code)
            self._over(entry, child, code)
        if over:
            self.enforce(self.cap_kw)

    def deadline(self) -> float | None:
        """Monotonic instant at which ``tick`` has something to do, or None."""
        now = time.monotonic()
        ends = [now + entry.child.left_s() for entry in self._alive.values() if isinstance(entry.child, SimulatedChild)]
        known = super().deadline()
        moments = [moment for moment in (known, *ends) if moment is not None and moment != float("inf")]
        return min(moments, default=None)

    def power_kw(self) -> float:
        """Planned IT power of the jobs that run."""
        return sum(entry.desired.power_kw for entry in self._alive.values() if entry.child is not None and not entry.child.frozen)


@dataclass(slots=True)
class SimulatedMeter:
    """Idle power and the planned power of the jobs that run.

    Attributes:
        idle_kw: of the node; jobs: of the node, once they are there.
    """

    idle_kw: float
    jobs: SimulatedJobs | None = None
    source = "simulated"

    def power_kw(self) -> float | None:
        """IT power now, kW."""
        return None if self.jobs is None else self.idle_kw + self.jobs.power_kw()


class SimulatedNode(NodeCore):
    """The state machine of a node with simulated jobs; ``ozzo.agent.crowd`` drives many of them."""

    def __init__(self, config: AgentConfig, transport: Transport, page: NodePage, *, speed: float, away_s: float) -> None:
        """Prepare; see ``SimulatedJobs``."""
        meter = SimulatedMeter(config.idle_kw)
        super().__init__(config, transport, meter, lambda _: None)
        self._journal = self._page = page
        self._jobs = meter.jobs = SimulatedJobs(config, self._say_and_keep, page, speed, away_s)
        self._simulated, self._drawn = meter, (-1.0, None, None)

    _drawn: tuple[float, float | None, float | None]

    def wake_up(self, deliver: Callable[[Delivery], None]) -> None:
        """Take up what an earlier process has left, listen, and announce the node."""
        self._wake_up(deliver)
        self._log()

    def hear(self, delivery: Delivery) -> None:
        """Take a message."""
        self.take(delivery)
        self._log()

    def due(self) -> float:
        """Monotonic instant at which something is due."""
        return self._due()

    def pass_time(self) -> float:
        """Do what is due; the monotonic instant at which something is due again."""
        self._jobs.tick()
        self._keep_time()
        self._log()
        return self._due()

    def _log(self) -> None:
        """Write down power and cap when they have changed (or the lease, once it has moved by a second)."""
        kw, cap_kw = self._simulated.power_kw() or 0.0, self._lease.cap_kw(self._rules)
        until = None if self._lease.until is None else round(self._lease.until.timestamp())
        if (kw, cap_kw, until) != self._drawn:
            self._drawn = (kw, cap_kw, until)
            self._page.draws(datetime.now(UTC).timestamp(), kw, cap_kw, until)

    def leave(self) -> None:
        """Say goodbye; the jobs stay."""
        self._say_state("death")
