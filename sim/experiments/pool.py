"""Processes that carry out runs: one thread of ours beside each, so that we always know which run a lost process had.

A process that dies (killed, out of memory) is told, replaced, and its run repeated; a run that takes ``ATTEMPTS`` processes with
it has failed. Processes are fresh Pythons (``sim.experiments.worker``), so a script that starts a sweep needs no main guard.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self

from grid.errors import ExperimentError

ATTEMPTS = 3
GRACE_S = 5.0
"""Time that an idle process gets to leave by itself."""
TAIL = 500
"""Characters of a lost process's last words."""
WORKER = (sys.executable, "-P", "-m", "sim.experiments.worker")
"""How a worker is called."""
HOME = Path(__file__).parents[2]
"""Where this very product is imported from."""


@dataclass(frozen=True, slots=True)
class Done:
    """A run that is over.

    Attributes:
        run: index of the run.
        row: its figures, or None when it failed; trouble: then why.
        attempts: processes that tried.
        process: pid of the process that answered and its computing time so far (s, start included); None where nobody told.
    """

    run: int
    row: dict[str, Any] | None
    trouble: str
    attempts: int = 1
    process: tuple[int, float] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Lost:
    """A process that died with a run.

    Attributes:
        run: index of the run; pid: of the process; how: its end in words.
    """

    run: int
    pid: int
    how: str


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Processes do not even start."""

    words: str


class _Child:
    """One worker process and the pipes to it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._errors = TemporaryFile()  # noqa: SIM115 - lives as long as the process
        path = os.pathsep.join(filter(None, (str(HOME), os.environ.get("PYTHONPATH", ""))))
        try:
            self.process = subprocess.Popen(  # noqa: S603 - this very program
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                encoding="utf-8",
                env=os.environ | {"PYTHONPATH": path},
                start_new_session=True,
            )
        except OSError:
            self._errors.close()
            raise

    def ready(self) -> bool:
        """Wait until it is there; False when it died before."""
        return self._line() is not None

    def ask(self, task: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to a task; None when the process died."""
        try:
            (self.process.stdin or sys.stdin).write(json.dumps(task) + "\n")
            (self.process.stdin or sys.stdin).flush()
        except (BrokenPipeError, ValueError):
            return None
        return self._line()

    def _line(self) -> dict[str, Any] | None:
        """The next line of answers; None when there is none, or only half of one."""
        line = self.process.stdout.readline() if self.process.stdout else ""
        found: dict[str, Any] | None = json.loads(line) if line.endswith("\n") else None
        return found

    def end_words(self) -> str:
        """How a process that died ended, with its last words."""
        code = self.process.wait()
        self._errors.seek(0)
        words = self._errors.read()[-TAIL:].decode(errors="replace").strip().splitlines()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return how + (f": {words[-1]}" if words else "")

    def kill(self) -> None:
        """End it and all that it started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def close(self) -> None:
        """Let it leave, or end it; the pipes are closed afterwards."""
        if self.process.stdin:
            with contextlib.suppress(BrokenPipeError):  # it may be gone already
                self.process.stdin.close()
        try:
            self.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self._errors.close()


class ProcessPool:
    """Carries out tasks in ``workers`` processes; a context, so that no process outlives it.

    Args:
        workers: number of processes.
        command: how a worker is called.
    """

    def __init__(self, workers: int, command: Sequence[str] = WORKER) -> None:
        self.workers, self._command = workers, command
        self._tasks: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Done | Lost | _Unusable] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._children: set[_Child] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def results(self, tasks: Sequence[dict[str, Any]]) -> Iterator[Done | Lost]:
        """What becomes of the tasks, as it happens: every task is ``Done`` once, lost processes are told in between.

        Raises:
            ExperimentError: a process died before it could take any task.
        """
        count = min(self.workers, len(tasks))
        for task in [*tasks, *[None] * count]:
            self._tasks.put(task)
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()
        left = len(tasks)
        while left:
            event = self._events.get()
            if isinstance(event, _Unusable):
                raise ExperimentError(f"a worker process does not start: {event.words}")
            left -= isinstance(event, Done)
            yield event

    def close(self) -> None:
        """End every process; those that are at work are killed."""
        self._stop.set()
        with self._lock:
            children = list(self._children)
        for child in children:
            child.kill()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        """Hand tasks to a process of our own until there are no more."""
        child: _Child | None = None
        try:
            while not self._stop.is_set():
                task = self._tasks.get()
                if task is None:
                    break
                done, child = self._carry_out(task, child)
                self._events.put(done)
        except OSError as error:
            self._events.put(_Unusable(str(error)))
        finally:
            self._forget(child)

    def _carry_out(self, task: dict[str, Any], child: _Child | None) -> tuple[Done | _Unusable, _Child | None]:
        """One task, by ``child`` or a fresh process; returns the process that is left."""
        run = int(task["run"])
        how = ""
        for attempt in range(1, ATTEMPTS + 1):
            if child is None:
                child = self._start()
                if not child.ready() and not self._stop.is_set():
                    return _Unusable(child.end_words()), child
            answer = None if self._stop.is_set() else child.ask(task)
            if answer is not None:
                used = None if "cpu_s" not in answer else (child.process.pid, float(answer["cpu_s"]))
                return Done(run, answer.get("row"), answer.get("trouble", ""), attempt, used), child
            how, pid = child.end_words() if not self._stop.is_set() else "stopped", child.process.pid
            self._forget(child)
            child = None
            if self._stop.is_set():
                break
            self._events.put(Lost(run, pid, how))
        return Done(run, None, f"{ATTEMPTS} worker processes were lost with it, the last one {how}", ATTEMPTS), child

    def _start(self) -> _Child:
        """A fresh process that ``close`` knows of."""
        child = _Child(self._command)
        with self._lock:
            self._children.add(child)
        if self._stop.is_set():
            child.kill()
        return child

    def _forget(self, child: _Child | None) -> None:
        """Close a process that is not needed any more."""
        if child is not None:
            child.close()
            with self._lock:
                self._children.discard(child)
