"""A job behind its keeper, as the agent sees it: started, or found again by an agent that came later."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ozzo.agent import keeper
from ozzo.agent.child import CONFIRM_S, process_state
from ozzo.agent.folders import Surroundings, cgroup_of, read_json, read_json_at, take_lock

READY_S = 20.0
"""How long a keeper that was just started may take to tell (or a found one to have told) that its job runs."""
STILL = frozenset({"T", "Z", ""})
"""States of a process that gets no computing time (stopped, a zombie, gone)."""
LOST = -int(signal.SIGKILL)
"""Exit code of a job whose keeper was killed: it died with it, and nobody can say how it would have ended."""


class KeptChild:
    """A running job behind its keeper; the same face as ``ozzo.agent.child.Child``.

    Attributes:
        pid: of the job's first process.
        pidfd: of the keeper; becomes readable when everything is over.
        output: -1, because the keeper takes it.
        frozen: it was paused by us.
        cpu_s: computing time, after its end.
    """

    output = -1

    def __init__(
        self,
        about: dict[str, Any],
        place: Path,
        ran_s: float,
        since: float | None,
        process: subprocess.Popen[str] | None = None,
    ) -> None:
        """Take over a job that a keeper holds, or held a moment ago when it is our own child.

        Args:
            about: what the keeper wrote.
            place: folder of the job.
            ran_s: own seconds so far.
            since: monotonic instant since which it runs, None while it is paused.
            process: the keeper, when we started it: until we wait for it, nobody else can have its number.

        Raises:
            ProcessLookupError: the keeper is gone.
        """
        self.pid, self.run, self._keeper = int(about["pid"]), str(about["run"]), int(about["keeper"])
        self._start, self._keeper_start = int(about["start"]), int(about["keeper_start"])
        self._place, self._process, self._cgroup = place, process, cgroup_of(about)
        self._ran_s, self._since, self.frozen = ran_s, since, since is None
        self.cpu_s, self.tail = 0.0, ""
        self.pidfd = os.pidfd_open(self._keeper)
        if process is None and not self._kept:
            os.close(self.pidfd)
            raise ProcessLookupError(self._keeper, "another process has this number now")

    @property
    def _kept(self) -> bool:
        """True while its keeper lives."""
        return keeper.start_time(self._keeper) == self._keeper_start

    @classmethod
    def start(cls, argv: tuple[str, ...], job: str, run: str, around: Surroundings, env: dict[str, str], lock: int) -> KeptChild:
        """Start a keeper and its job in a folder that ``prepare`` has made.

        Raises:
            OSError: the job could not be started.
        """
        place, cgroup = around.place(job), around.new_cgroup(job)
        if cgroup is not None:
            cgroup.make()
        cwd = around.work_folder or str(place / "work")
        if not around.work_folder:
            (place / "work").mkdir(exist_ok=True)
            if around.user:
                entry = pwd.getpwnam(around.user)
                place.chmod(0o711)
                os.chown(place / "work", entry.pw_uid, entry.pw_gid, follow_symlinks=False)
        order = {
            "run": run, "argv": list(argv), "env": env, "cwd": cwd, "folder": str(place), "lock": lock, "user": around.user,
            "agent_lock": str(around.agent_lock), "cgroup": "" if cgroup is None else str(cgroup.path), "limits": around.limits,
            "alone_s": around.alone_s, "output_bytes": around.output_bytes,
        }  # fmt: skip
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-S", "-E", keeper.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            pass_fds=(lock,),
            start_new_session=True,
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        )
        try:
            told = cls._ready(process, json.dumps(order), place, run)
        except OSError:
            if cgroup is not None:
                cgroup.kill()
                cgroup.remove()
            raise
        return cls(told, place, 0.0, time.monotonic(), process)

    @staticmethod
    def _ready(process: subprocess.Popen[str], order: str, place: Path, run: str) -> dict[str, Any]:
        """Give the order and wait for the keeper's line; a keeper that does not tell in time is killed.

        Returns:
            What it wrote. The job has begun; it may be over by now, or have been killed with its keeper.

        Raises:
            OSError: the job has not begun; in words, why.
        """
        if process.stdin is None or process.stdout is None:
            raise OSError(0, "the keeper has no pipes")
        with process.stdout, contextlib.suppress(BrokenPipeError):
            with process.stdin:
                process.stdin.write(order)
            ready, _, _ = select.select([process.stdout], [], [], READY_S)
            line = process.stdout.readline() if ready else ""
        told: dict[str, Any] = json.loads(line) if line.endswith("\n") else {"error": "its keeper did not start"}
        if "error" not in told:
            return told
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and stays a zombie for whoever reaps the job
        begun = read_json(place / "run.json", run)
        if begun is not None:
            return begun
        process.wait()
        raise OSError(0, str(told["error"]))

    @property
    def ran_s(self) -> float:
        """Wall seconds in which it was not frozen, over all lives of the agent."""
        return self._ran_s + (0.0 if self._since is None else time.monotonic() - self._since)

    @property
    def clock(self) -> tuple[float, float | None]:
        """Own seconds up to an instant, and that instant; None while it is frozen."""
        return self._ran_s, self._since

    def members(self) -> set[int]:
        """The job's processes, wherever they have forked or moved to."""
        inside = [] if self._cgroup is None else self._cgroup.members()
        return {*inside, *(keeper.descendants(self._keeper) if self._kept else ())}

    def freeze(self) -> bool:
        """Pause the whole tree; True when the operating system confirms it for every process (or the job is over).

        A cgroup that cannot be frozen, and processes that are not in it, are stopped one by one.
        """
        frozen: set[int] = set()
        if self._cgroup is not None and self._cgroup.freeze(still=True):
            frozen.update(self._cgroup.members())
        confirmed = self._halt(frozen)
        if confirmed and not self.frozen:
            self._ran_s, self._since, self.frozen = self.ran_s, None, True
        return confirmed

    def _halt(self, frozen: set[int]) -> bool:
        """Stop everything that is not ``frozen``; asked again until nothing moves, because it may fork meanwhile."""
        if self.pid not in frozen:
            self._signal_group(signal.SIGSTOP)
        until = time.monotonic() + CONFIRM_S
        while moving := [pid for pid in self.members() - frozen if process_state(pid) not in STILL]:
            keeper.signal_all(moving, signal.SIGSTOP)
            if time.monotonic() > until:
                return False
            time.sleep(0.001)
        return True

    def thaw(self) -> bool:
        """Go on; True when confirmed."""
        keeper.signal_all(list(self.members()), signal.SIGCONT)  # while all stands still, so nobody takes our time
        self._signal_group(signal.SIGCONT)
        confirmed = self._cgroup is None or self._cgroup.freeze(still=False)
        if self.frozen:
            self.frozen, self._since = False, time.monotonic()
        (self._place / "alone.json").unlink(missing_ok=True)
        return confirmed and self._goes()

    def _signal_group(self, number: signal.Signals) -> None:
        """A signal to the job's first process and its group at once: one call, however many compete for the processor."""
        if keeper.start_time(self.pid) == self._start:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it left its group, or has other rights: see members
                os.killpg(self.pid, number)

    def _goes(self) -> bool:
        """True once the first process is not stopped, or is over (which its keeper will tell)."""
        until = time.monotonic() + CONFIRM_S
        while keeper.start_time(self.pid) == self._start and process_state(self.pid) == "T":
            if time.monotonic() > until:
                return False
            time.sleep(0.001)
        return True

    def tell(self, number: signal.Signals) -> None:
        """A signal to the whole tree; a frozen one is woken for it."""
        keeper.signal_all(list(self.members()), number)
        self.thaw()

    def terminate(self) -> None:
        """Ask the tree to end."""
        self.tell(signal.SIGTERM)

    def kill(self) -> None:
        """End the tree."""
        if self._cgroup is not None:
            self._cgroup.kill()
        keeper.signal_all(list(self.members()), signal.SIGKILL)

    def release(self) -> None:
        """Leave the job to its keeper: this agent ends."""
        os.close(self.pidfd)
        if self._process is not None:
            self._process.returncode = 0  # it lives on, and nobody here will wait for it

    def read(self) -> bool:
        """There is nothing to take: the keeper does it."""
        return False

    def reap(self) -> int:
        """After its end: make sure that nothing is left, and take what the keeper wrote; the exit code (negative: signal)."""
        if not self.frozen:
            self._ran_s, self._since, self.frozen = self.ran_s, None, True
        os.close(self.pidfd)
        if self._process is not None:
            self._process.wait()
        code, self.cpu_s, self.tail = over(self._place, self.run)
        return code


def over(place: Path, run: str) -> tuple[int, float, str]:
    """How a run ended whose keeper is gone: exit code, computing time and end of its output. What is left of it is killed."""
    about = read_json(place / "run.json", run)
    cgroup = None if about is None else cgroup_of(about)
    if cgroup is not None:
        cgroup.kill()
        cgroup.remove()
    told = read_json(place / "exit.json", run)
    if told is None:
        until = time.monotonic() + CONFIRM_S
        while about is not None and keeper.start_time(int(about["pid"])) == int(about["start"]) and time.monotonic() < until:
            keeper.signal_all([int(about["pid"])], signal.SIGKILL)  # it was to die with its keeper
            time.sleep(0.001)
        return LOST, 0.0, "its keeper was killed (and so it was), or could not write how it ended"
    return int(told["exit_code"]), float(told["cpu_s"]), str(told["tail"]).strip()


def find(around: Surroundings, job: str, run: str, ran_s: float, since: float | None) -> KeptChild | None:
    """The job of an earlier life of the agent, or None when its keeper is gone (see ``over``) or never came to be."""
    place = around.place(job)
    if not place.is_dir():
        return None
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        lock = take_lock(place)
        if lock is not None:
            os.close(lock)
            return None
        about = read_json(place / "run.json", run)
        if about is not None:
            with contextlib.suppress(ProcessLookupError):
                stopped = read_json_at(place / "alone.json")
                if stopped is not None and since is not None:  # its keeper paused it while no agent was there
                    ran_s, since = ran_s + max(0.0, stopped - since), None
                return KeptChild(about, place, ran_s, since)
        time.sleep(0.01)
    return None
