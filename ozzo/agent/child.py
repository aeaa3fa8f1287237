"""One child process with its process group: started, frozen, thawed, ended, always reaped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path

OUTPUT_BYTES = 2000
"""How much of a job's output is kept: the last this many bytes."""
CONFIRM_S = 0.5
"""How long to wait for the operating system to confirm a pause."""


@lru_cache(maxsize=1)
def launcher() -> tuple[str, ...]:
    """What makes a program die with the agent: ``setpriv`` (util-linux, 1 ms), else our own (10 ms)."""
    found = shutil.which("setpriv")
    if found:
        return (found, "--pdeathsig", "KILL", "--")
    return (sys.executable, "-S", "-E", str(Path(__file__).with_name("launch.py")))


def process_state(pid: int) -> str:
    """State letter of a process (``T`` stopped, ``Z`` zombie, see proc(5)); empty when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return text.rpartition(")")[2].split()[0]


class Child:
    """A running program.

    Attributes:
        pid: process id, also that of its group.
        pidfd: becomes readable when it has ended.
        output: end of its standard output and error; becomes readable when it says something.
        frozen: it was paused by us.
    """

    def __init__(self, argv: tuple[str, ...], folder: str, env: dict[str, str]) -> None:
        """Start it.

        Raises:
            OSError: it could not be started.
        """
        self._process = subprocess.Popen(  # noqa: S603
            [*launcher(), *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=env,
            process_group=0,
        )
        self.pid = self._process.pid
        self.pidfd = os.pidfd_open(self.pid)
        self.frozen = False
        self.cpu_s = 0.0
        self._tail = b""
        self._ran_s, self._since = 0.0, time.monotonic()
        self.output = -1 if self._process.stdout is None else self._process.stdout.fileno()
        os.set_blocking(self.output, False)

    @property
    def ran_s(self) -> float:
        """Wall seconds in which it was not frozen."""
        return self._ran_s if self.frozen else self._ran_s + time.monotonic() - self._since

    @property
    def tail(self) -> str:
        """The last of its output."""
        return self._tail.decode("utf-8", "replace").strip()

    def freeze(self) -> bool:
        """Pause the whole group; True when the operating system confirms it for the first process."""
        self._signal(signal.SIGSTOP)
        confirmed = self._confirm(stopped=True)
        if confirmed and not self.frozen:
            self._ran_s, self.frozen = self.ran_s, True
        return confirmed

    def thaw(self) -> bool:
        """Go on; True when confirmed."""
        self._signal(signal.SIGCONT)
        if self.frozen:
            self.frozen, self._since = False, time.monotonic()
        return self._confirm(stopped=False)

    def _confirm(self, *, stopped: bool) -> bool:
        until = time.monotonic() + CONFIRM_S
        while (state := process_state(self.pid)) not in {"", "Z"}:
            if (state == "T") == stopped:
                return True
            if time.monotonic() > until:
                return False
            time.sleep(0.001)
        return True  # it has ended meanwhile, which its pidfd will tell

    def tell(self, number: signal.Signals) -> None:
        """A signal to the group; a frozen one is woken for it."""
        self._signal(number)
        self.thaw()

    def terminate(self) -> None:
        """Ask the group to end."""
        self.tell(signal.SIGTERM)

    def kill(self) -> None:
        """End the group."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return  # nobody left: what was to be reached is reached, and the pidfd tells
        except PermissionError:
            return  # a program with other rights than ours: what does not come about is told as not confirmed

    def read(self) -> bool:
        """Take what it said; False when there will be no more."""
        try:
            piece = os.read(self.output, 65536)
        except BlockingIOError:
            return True
        self._tail = (self._tail + piece)[-OUTPUT_BYTES:]
        return bool(piece)

    def reap(self) -> int:
        """After its end: kill what is left of its group, take its exit code (negative: signal) and close everything."""
        if not self.frozen:
            self._ran_s, self.frozen = self.ran_s, True
        self._signal(signal.SIGKILL)  # the zombie still holds the group's number, so it can mean nobody else
        _, status, usage = os.wait4(self.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_s = usage.ru_utime + usage.ru_stime
        self.read()
        os.close(self.pidfd)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return self._process.returncode
