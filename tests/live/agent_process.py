"""An agent for tests that strikes itself, or another process, dead in a chosen phase of its first job command.

``python agent_process.py FOLDER [PHASE [PID]]``. Without a phase it is ``ozzo agent FOLDER``. The phases are points between two
lines of the product's code, reached by wrapping the function that comes next; then there is SIGKILL, for itself or for ``PID``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ozzo.agent.__main__ import run_agent
from ozzo.agent.config import read_config
from ozzo.agent.journal import NodeJournal
from ozzo.agent.node import NodeAgent
from ozzo.commands import Command, JobState

PHASES = {
    "before the journal": (NodeJournal, "accept", "before"),
    "after the journal, before PUBACK": (NodeJournal, "accept", "after"),
    "after PUBACK, before accepted": (NodeAgent, "_say", "before"),
    "after accepted, before the start": (NodeAgent, "_obey", "before"),
    "after the start, before applied": (NodeAgent, "_say_and_keep", "before"),
}


def is_job(arguments: tuple[Any, ...]) -> bool:
    """True for a call about a job command, or an answer (only job commands are answered in these tests)."""
    about = arguments[0]
    return not isinstance(about, Command) or isinstance(about.desired, JobState)


def strike(phase: str, victim: int) -> None:
    """Wrap the function of a phase."""
    owner, name, when = PHASES[phase]
    real: Callable[..., Any] = getattr(owner, name)
    done: list[bool] = []

    def kill() -> None:
        done.append(True)
        os.kill(victim, signal.SIGKILL)
        time.sleep(0.5 if victim != os.getpid() else 60.0)

    def wrapped(self: Any, *arguments: Any) -> Any:
        if done or not is_job(arguments):
            return real(self, *arguments)
        if when == "before":
            kill()
            return real(self, *arguments)
        result = real(self, *arguments)
        kill()
        return result

    setattr(owner, name, wrapped)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        strike(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else os.getpid())
    sys.exit(run_agent(read_config(Path(sys.argv[1])), None, patient=True))
