"""A child process of the benchmark: fresh for every solver, watched line by line, gone when we are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from ozzo.environment import child_environment
from ozzo.guard import die_with_parent

GRACE_S = 3.0
"""Time that a child gets to leave by itself."""
LAST_WORD_S = 30.0
"""Time that a child that can answer gets for its answer when a person interrupts."""
TAIL = 2000
"""Characters of its last words that are kept."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended.

    Attributes:
        code: exit code, or None when it was ended at its limit.
        output: standard output; words: the end of standard error.
        wall_s: from its start to its end.
        interrupted: a person interrupted, and it gave its answer all the same.
    """

    code: int | None
    output: str
    words: str
    wall_s: float
    interrupted: bool = False

    @property
    def last_word(self) -> str:
        """The last line that it said on standard error."""
        lines = self.words.strip().splitlines()
        return lines[-1] if lines else ""


def run_process(
    argv: Sequence[str], limit_s: float, tell: Callable[[str], None] | None = None, *, answers: bool = False
) -> Ended:
    """Run ``argv`` in a session of its own until it ends, its limit is over, or we are interrupted (then it is ended too).

    Args:
        argv: program and arguments.
        limit_s: wall time after which it is ended.
        tell: called with each line of standard output, from another thread.
        answers: when we are interrupted it is asked to stop (SIGINT) and has ``LAST_WORD_S`` to answer; only then, or when we
            are interrupted again, is it ended and the interruption raised.
    """
    began = time.perf_counter()
    lines: list[str] = []
    with (
        TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(),
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509
        ) as child,
    ):

        def listen() -> None:
            for line in child.stdout or ():
                lines.append(line)
                if tell is not None:
                    tell(line.rstrip())

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        code: int | None = None
        interrupted = False
        try:
            code = child.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            _end(child)
        except KeyboardInterrupt:
            code = _asked(child) if answers else None
            interrupted = code is not None
            if not interrupted:
                _end(child)
                raise
        except BaseException:
            _end(child)
            raise
        wall_s = time.perf_counter() - began
        listener.join(GRACE_S)
        errors.seek(0)
        words = errors.read().decode(errors="replace")[-TAIL:]
    return Ended(code, "".join(lines), words, wall_s, interrupted)


def _asked(child: subprocess.Popen[str]) -> int | None:
    """Ask a child to stop; its exit code, or None when it did not answer in time."""
    try:
        child.send_signal(signal.SIGINT)
        return child.wait(timeout=LAST_WORD_S)
    except subprocess.TimeoutExpired:
        return None
    except KeyboardInterrupt:
        _end(child)
        raise


@dataclass(frozen=True, slots=True)
class Report:
    """What a child process reported.

    Attributes:
        said: its report, or None when it left none; note: then why.
        wall_s: from its start to its end; interrupted: a person interrupted it.
    """

    said: dict[str, Any] | None
    note: str
    wall_s: float
    interrupted: bool = False


def child_report(
    task: dict[str, Any], work: Path, limit_s: float, tell: Callable[[str], None] | None = None, *, answers: bool = False
) -> Report:
    """Report of ``ozzo.bench.child`` on a task.

    Args:
        task: what it is to do; ``report`` is added.
        work: folder for task and report.
        limit_s: wall time after which it is ended.
        tell: called with each line of its progress.
        answers: it has an answer even when it is interrupted.
    """
    report, file = work / "report.json", work / "task.json"
    report.unlink(missing_ok=True)
    file.write_text(json.dumps(task | {"report": str(report)}), encoding="utf-8")
    ended = run_process(module("ozzo.bench.child", str(file)), limit_s, tell, answers=answers)
    if report.is_file() and ended.code == 0:
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return Report(found, "", ended.wall_s, ended.interrupted)
    if ended.interrupted:
        raise KeyboardInterrupt
    if ended.code is None:
        return Report(None, f"did not end within {limit_s:.0f} s and was ended", ended.wall_s)
    return Report(None, f"ended with code {ended.code}: {ended.last_word or 'no word'}", ended.wall_s)


def _end(child: subprocess.Popen[str]) -> None:
    """End a child and what it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.wait(timeout=GRACE_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def environment() -> dict[str, str]:
    """What a child gets to see: the usual short list, and where and how compiled code is cached."""
    more = {name: value for name, value in os.environ.items() if name.startswith(("NUMBA_", "OMP_")) or name == "HOME"}
    return child_environment(os.environ, **more)


def program(script: Path, *arguments: str) -> list[str]:
    """How a judge is called: a Python file by this Python (its libraries are here), anything else as it is."""
    return [*((sys.executable,) if script.suffix == ".py" else ()), str(script), *arguments]


def module(name: str, *arguments: str) -> list[str]:
    """How a module of the product is called, without the working folder on its path."""
    return [sys.executable, "-P", "-m", name, *arguments]


def peak_memory_mb() -> float:
    """Highest resident memory of this process so far, MB (10^6 bytes).

    From ``VmHWM`` in ``/proc``: the usual ``ru_maxrss`` of a child also counts what its parent held when it was started.
    """
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6
    except (OSError, StopIteration):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def free_memory_mb() -> float:
    """Memory that could be had now, MB (10^6 bytes); infinite where that is not known."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("MemAvailable")) * 1024 / 1e6
    except (OSError, StopIteration):
        return float("inf")
