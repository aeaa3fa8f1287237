"""The jobs of a node: what the controller wishes, what runs, and what the cap holds back."""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable
from datetime import UTC, datetime

from ozzo.agent.child import Child
from ozzo.agent.config import AgentConfig
from ozzo.agent.entry import Entry
from ozzo.agent.keeping import Gone, Keeping
from ozzo.agent.kept import KeptChild
from ozzo.commands import Acknowledgement, Command, JobState, JobWish, RefusalCode, Stage, answer
from ozzo.lease import held_back

DEATH_S = 10.0
"""How long a job may take to die of SIGKILL before an agent that leaves goes without it."""
RESTLESS_S = 3.0
"""Time before a job that should stand still and does not is stopped again (each try keeps the agent busy for up to a second)."""
NEVER_RAN = -1
"""Exit code of a job that was held back at first and could not be started later."""
REMEMBER = 5_000
"""Ended jobs that are remembered, so that a job that ended well is not run twice."""


class JobTable:
    """All jobs of one node; ``say`` takes answers that come later than the command.

    Attributes:
        cap_kw: cap in force; held: jobs that it keeps still; restless: jobs that should stand still and do not, and why.
        keeping: keeps jobs over the agent's deaths; None: they die with it.
    """

    def __init__(self, config: AgentConfig, selector: selectors.BaseSelector, say: Callable[[Acknowledgement], None]) -> None:
        self._config, self._selector, self._say = config, selector, say
        self._programs = config.allowed()
        self._alive: dict[str, Entry] = {}
        self._ended: dict[str, int] = {}
        self.cap_kw: float | None = None
        self.held: frozenset[str] = frozenset()
        self.restless: dict[str, str] = {}
        self._again_at: float | None = None
        self.keeping: Keeping | None = None

    def adopt(self, cap_kw: float | None) -> None:
        """Take over what an earlier agent has left: jobs that run go on under a cap, ends that nobody has told are told."""
        if self.keeping is None:
            self.cap_kw = cap_kw
            return
        self._ended = {job: code for job, (_, code) in self.keeping.exits().items()}
        for record, child in self.keeping.found():
            entry = Entry(record.command, record.desired, record.wish)
            name = record.desired.job
            self._ended.pop(name, None)
            if isinstance(child, Gone):
                self._over(entry, child, child.exit_code)
                continue
            entry.child, self._alive[name] = child, entry
            self._watch(entry)
        self.enforce(cap_kw)
        for entry in self._alive.values():
            if entry.wish is JobWish.STOPPED:
                entry.ask_to_end(self._config)

    def began(self, command: Command) -> int | None:
        """Exit code of the run that a command started and that has ended, or None."""
        known = {} if self.keeping is None else self.keeping.exits()
        return next((code for run, code in known.values() if run == str(command.id)), None)

    def exits(self, most: int) -> dict[str, int]:
        """Exit codes of the jobs that ended last."""
        return dict(list(self._ended.items())[-most:])

    def wishes(self) -> dict[str, JobWish]:
        """Wish by job that is not gone, oldest first."""
        return {name: entry.wish for name, entry in self._alive.items()}

    def apply(self, command: Command, desired: JobState) -> Acknowledgement | None:
        """Bring a job into the wished state; None when the answer comes later (a stop is applied when the job is gone)."""
        entry = self._alive.get(desired.job)
        if desired.state is JobWish.RUNNING:
            return self._run(command, desired, entry)
        if entry is None:
            return self._already_gone(command, desired)
        if entry.wish is JobWish.STOPPED and desired.state is JobWish.PAUSED:
            return _failed(command, RefusalCode.UNKNOWN_JOB, "the job is being stopped")
        entry.wish = desired.state
        if desired.state is JobWish.STOPPED:
            return self._stop(command, entry)
        return self._settle(command, entry)

    def _already_gone(self, command: Command, desired: JobState) -> Acknowledgement:
        known = self._ended.get(desired.job)
        if known is None and desired.state is JobWish.PAUSED:
            return _failed(command, RefusalCode.UNKNOWN_JOB, f"job {desired.job} was never started here")
        measured = {"running": 0.0} | ({} if known is None else {"exit_code": float(known)})
        return answer(command, Stage.APPLIED, _now(), text="nothing of it runs", measured=measured)

    def _run(self, command: Command, desired: JobState, entry: Entry | None) -> Acknowledgement | None:
        if entry is None and self._ended.get(desired.job) == 0:
            return answer(
                command, Stage.APPLIED, _now(), text="had ended well before", measured={"running": 0.0, "exit_code": 0.0}
            )
        if desired.argv[0] not in self._programs:
            return _failed(command, RefusalCode.PROGRAM_NOT_ALLOWED, f"this node does not allow {desired.argv[0]!r}")
        if entry is None and len(self._alive) >= self._config.max_jobs:
            return _failed(command, RefusalCode.TOO_MANY_JOBS, f"{len(self._alive)} jobs are here already")
        if entry is None:
            entry = self._alive[desired.job] = Entry(command, desired, JobWish.RUNNING)
            self._ended.pop(desired.job, None)
        elif entry.wish is JobWish.STOPPED:
            return _failed(command, RefusalCode.NOT_CONFIRMED, "the job is being stopped")
        entry.wish, entry.desired = JobWish.RUNNING, desired
        return self._settle(command, entry)

    def _settle(self, command: Command, entry: Entry) -> Acknowledgement:
        """Do what the wish and the cap ask for now, and say what came of it."""
        name = entry.desired.job
        failures = self.enforce(self.cap_kw, answering=name)
        if name in failures:
            return _failed(command, RefusalCode.PROGRAM_FAILED_TO_START, failures[name])
        child = entry.child
        if child is None:
            text = "waits: the power cap holds it back" if name in self.held else "not started"
            return answer(command, Stage.APPLIED, _now(), text=text, measured={"running": 0.0, "held": float(name in self.held)})
        wants_frozen = entry.wish is JobWish.PAUSED or name in self.held
        if not (child.freeze() if wants_frozen else child.thaw()):
            return _failed(command, RefusalCode.NOT_CONFIRMED, f"process {child.pid} did not change its state")
        measured = {"pid": float(child.pid), "running": float(not wants_frozen), "ran_s": child.ran_s}
        return answer(command, Stage.APPLIED, _now(), measured=measured | {"held": float(name in self.held)})

    def _stop(self, command: Command, entry: Entry) -> Acknowledgement | None:
        if entry.child is None:  # it was held back and never started
            del self._alive[entry.desired.job]
            self.enforce(self.cap_kw)
            return answer(command, Stage.APPLIED, _now(), text="it had not started", measured={"running": 0.0})
        entry.stops.append(command)
        self.enforce(self.cap_kw)  # it is woken for its end: first others make room for it under the cap
        entry.ask_to_end(self._config)
        return None

    def _keep(self) -> None:
        """Write down what has changed about kept jobs."""
        if self.keeping is not None:
            for entry in self._alive.values():
                if isinstance(entry.child, KeptChild):
                    self.keeping.save(entry.command, entry.desired, entry.wish, entry.child)

    def enforce(self, cap_kw: float | None, answering: str = "") -> dict[str, str]:
        """Freeze, thaw and start jobs so that wishes and cap hold.

        Args:
            cap_kw: cap in force, None for none. A job that is being stopped counts until it is gone; others make room for it.
            answering: job about which a command is being answered; of the others that cannot start it is told here.

        Returns:
            Why jobs could not start, by name. While there are ``restless`` ones under a cap, nothing is let go.
        """
        self.cap_kw = cap_kw
        wanted = {name: entry.desired.power_kw for name, entry in self._alive.items() if entry.wish is JobWish.RUNNING}
        leaving_kw = sum(entry.leaving_kw for entry in self._alive.values())
        self.held = held_back(cap_kw, self._config.idle_kw + leaving_kw, wanted)
        self._hold()
        if self.restless and cap_kw is not None:  # more is drawn than was planned
            self.held |= {name for name in wanted if not self._alive[name].runs}
        failures = self._let_go([name for name in wanted if name not in self.held])
        self._keep()
        for name, why in failures.items():
            entry = self._alive.pop(name)
            if name != answering:
                self._over(entry, Gone(NEVER_RAN, 0.0, 0.0, why), NEVER_RAN, Stage.FAILED)
        return failures | self.enforce(cap_kw, answering) if failures else failures  # what they were to draw is free for others

    def _hold(self) -> None:
        """Freeze what should stand still: everything that lowers power comes first."""
        self.restless = {}
        for name, entry in self._alive.items():
            stands = entry.wish is JobWish.PAUSED or name in self.held
            if entry.child is not None and stands and not entry.child.frozen and not entry.child.freeze():
                self.restless[name] = f"process {entry.child.pid} of {name} does not stand still"
        self._again_at = time.monotonic() + RESTLESS_S if self.restless else None

    def _let_go(self, names: list[str]) -> dict[str, str]:
        """Start or thaw jobs; why some could not start, by name."""
        failures = {}
        for name in names:
            entry = self._alive[name]
            if entry.child is None:
                try:
                    self._start(entry)
                except OSError as error:
                    failures[name] = f"{entry.desired.argv[0]}: {error.strerror}"
            elif entry.child.frozen:
                entry.child.thaw()
        return failures

    def _start(self, entry: Entry) -> None:
        name, arguments = entry.desired.argv[0], entry.desired.argv[1:]
        env = {"PATH": os.defpath, "LANG": "C.UTF-8", "OZZO_NODE": self._config.node, "OZZO_JOB": entry.desired.job}
        argv = (*self._programs[name], *arguments)
        if self.keeping is not None:
            entry.child = self.keeping.start(entry.command, entry.desired, argv, env)
        else:
            entry.child = Child(argv, self._config.work_folder or "/", env)
        self._watch(entry)

    def _watch(self, entry: Entry) -> None:
        """Wake up for what a child says (a kept one says it to its keeper) and for its end."""
        if entry.child is not None:
            self._selector.register(entry.child.pidfd, selectors.EVENT_READ, (self.on_end, entry))
            if entry.child.output >= 0:
                self._selector.register(entry.child.output, selectors.EVENT_READ, (self.on_output, entry))

    def on_output(self, entry: Entry) -> None:
        """A job said something."""
        if entry.child is not None and not entry.child.read():
            self._selector.unregister(entry.child.output)

    def on_end(self, entry: Entry) -> None:
        """A job's process has ended: reap it, report it, and let others go on under the cap."""
        child = entry.child
        if child is None:
            return
        self._selector.unregister(child.pidfd)
        if child.output >= 0 and child.output in self._selector.get_map():
            self._selector.unregister(child.output)
        code = child.reap()
        entry.child = None
        del self._alive[entry.desired.job]
        self._over(entry, child, code)
        self.enforce(self.cap_kw)

    def _over(self, entry: Entry, child: Child | KeptChild | Gone, code: int, stage: Stage = Stage.ENDED) -> None:
        """Remember and report an end (or, as a failure, that it never began)."""
        entry.exit_code = code
        self._ended[entry.desired.job] = code
        if len(self._ended) > REMEMBER:
            del self._ended[next(iter(self._ended))]
        if self.keeping is not None:
            self.keeping.ended(entry.command, entry.desired, code)
        if stage is Stage.FAILED:
            self._say(_failed(entry.command, RefusalCode.PROGRAM_FAILED_TO_START, child.tail))
        else:
            self._report(entry, child, code)

    def _report(self, entry: Entry, child: Child | KeptChild | Gone, code: int) -> None:
        measured = {"pid": float(child.pid), "exit_code": float(code), "ran_s": child.ran_s, "cpu_s": child.cpu_s}
        stopped = float(entry.asked)
        self._say(
            answer(
                entry.command,
                Stage.ENDED,
                _now(),
                code=RefusalCode.TIME_LIMIT if entry.over_limit else None,
                text=child.tail[-1000:] if code else "",
                measured=measured | {"stopped": stopped},
            )
        )
        for command in entry.stops:
            self._say(answer(command, Stage.APPLIED, _now(), measured={"running": 0.0, "exit_code": float(code)}))

    def deadline(self) -> float | None:
        """Monotonic instant at which ``tick`` has something to do, or None."""
        moments = [moment for entry in self._alive.values() for moment in entry.moments()]
        return min([*moments, *([] if self._again_at is None else [self._again_at])], default=None)

    def tick(self) -> None:
        """End jobs that ran too long, bring on the end of those that were asked to, stop again those that do not stand still."""
        now = time.monotonic()
        if self._again_at is not None and now >= self._again_at:
            self.enforce(self.cap_kw)
        for entry in self._alive.values():
            entry.tick(now, self._config)

    def end_all(self) -> None:
        """Ask every job to end, then kill the rest; returns when all are reaped and reported."""
        for entry in self._alive.values():
            entry.wish = JobWish.STOPPED
            entry.ask_to_end(self._config)
        grace_s = self._config.stop_grace_s + (self._config.checkpoint_grace_s if self._config.checkpoint else 0.0)
        until = time.monotonic() + grace_s + DEATH_S
        while (running := [entry for entry in self._alive.values() if entry.child is not None]) and time.monotonic() < until:
            with selectors.DefaultSelector() as waiting:
                for entry in running:
                    if entry.child is not None:
                        waiting.register(entry.child.pidfd, selectors.EVENT_READ, entry)
                due = self.deadline() or until
                ready = waiting.select(max(0.001, min(due, until) - time.monotonic()))
            for key, _ in ready:
                self.on_end(key.data)
            self.tick()
        self._alive.clear()

    def leave(self) -> None:
        """Leave kept jobs to their keepers and to the next agent."""
        self._keep()
        for entry in self._alive.values():
            if isinstance(entry.child, KeptChild):
                self._selector.unregister(entry.child.pidfd)
                entry.child.release()
        self._alive.clear()


def _failed(command: Command, code: RefusalCode, text: str) -> Acknowledgement:
    return answer(command, Stage.FAILED, _now(), code=code, text=text)


def _now() -> datetime:
    return datetime.now(UTC)
