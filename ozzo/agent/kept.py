"""A job behind its keeper, as the agent sees it: started, or found again by an agent that came later."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ozzo.agent import keeper
from ozzo.agent.cgroup import Cgroup
from ozzo.agent.child import CONFIRM_S, process_state
from ozzo.commands import label

READY_S = 20.0
"""How long a keeper that was just started may take to tell (or a found one to have told) that its job runs."""
LOST = -int(signal.SIGKILL)
"""Exit code of a job whose keeper was killed: it died with it, and nobody can say how it would have ended."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a kept job gets from its node.

    Attributes:
        folder: one folder a job is made in it.
        agent_lock: file that the agent holds locked while it lives.
        cgroups: folder for cgroups, or None: then process trees are stopped one by one.
        alone_s, output_bytes: see the agent's settings.
        user: to run as, or empty; limits: by the name of their resource in setrlimit(2).
        work_folder: working directory, or empty for one of its own.
    """

    folder: Path
    agent_lock: Path
    cgroups: Path | None = None
    alone_s: float = 60.0
    output_bytes: int = 1_000_000
    user: str = ""
    limits: dict[str, int] = field(default_factory=dict)
    work_folder: str = ""

    def place(self, job: str) -> Path:
        """Folder of a job."""
        return self.folder / short(job)

    def cgroup(self, job: str) -> Cgroup | None:
        """Its cgroup, if it gets one."""
        return None if self.cgroups is None else Cgroup(self.cgroups / short(job))


def short(job: str) -> str:
    """A job's name as that of a folder: quoted, and cut with a digest when a file system could not hold it."""
    name = label(job).replace(".", "%2E")
    return name if len(name) <= 120 else f"{name[:80]}-{hashlib.sha256(job.encode()).hexdigest()[:24]}"


def take_lock(folder: Path) -> int | None:
    """Lock a job's folder; None when a keeper holds it. The lock lives as long as any process has this descriptor."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def read_json(path: Path, run: str) -> dict[str, Any] | None:
    """What a keeper wrote about this run; None when it did not (or about an earlier run)."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and told.get("run") == run else None


def prepare(around: Surroundings, job: str, run: str) -> int:
    """Make a job's folder fresh and lock it, before anybody writes down that the job starts.

    Returns:
        Descriptor of the lock.

    Raises:
        OSError: the folder cannot be made, or an earlier run of this job is still there.
    """
    place = around.place(job)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = take_lock(place)
    if lock is None:
        raise OSError(0, f"an earlier run of it is still there, and this is run {run}")
    for name in ("run.json", "exit.json", "alone.json"):
        (place / name).unlink(missing_ok=True)
    return lock


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

    def __init__(self, about: dict[str, Any], place: Path, cgroup: Cgroup | None, ran_s: float, since: float | None) -> None:
        """Take over a job that a keeper holds.

        Args:
            about: what the keeper wrote.
            place: folder of the job.
            cgroup: its cgroup, if it has one.
            ran_s: own seconds so far.
            since: monotonic instant since which it runs, None while it is paused.

        Raises:
            ProcessLookupError: the keeper is gone.
        """
        self.pid, self.run, self._keeper = int(about["pid"]), str(about["run"]), int(about["keeper"])
        self.pidfd = os.pidfd_open(self._keeper)
        if keeper.start_time(self._keeper) != int(about["keeper_start"]):
            os.close(self.pidfd)
            raise ProcessLookupError(self._keeper, "another process has this number now")
        self._start = int(about["start"])
        self._place, self._cgroup = place, cgroup
        self._ran_s, self._since, self.frozen = ran_s, since, since is None
        self.cpu_s, self.tail = 0.0, ""
        self._process: subprocess.Popen[str] | None = None

    @classmethod
    def start(cls, argv: tuple[str, ...], job: str, run: str, around: Surroundings, env: dict[str, str], lock: int) -> KeptChild:
        """Start a keeper and its job in a folder that ``prepare`` has made.

        Raises:
            OSError: the job could not be started.
        """
        place, cgroup = around.place(job), around.cgroup(job)
        if cgroup is not None:
            cgroup.make()
        cwd = around.work_folder or str(place / "work")
        if not around.work_folder:
            (place / "work").mkdir(exist_ok=True)
            if around.user:
                place.chmod(0o711)
                shutil.chown(place / "work", around.user)
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
        told = cls._ready(process, json.dumps(order))
        child = cls(told, place, cgroup, 0.0, time.monotonic())
        child._process = process
        return child

    @staticmethod
    def _ready(process: subprocess.Popen[str], order: str) -> dict[str, Any]:
        """Give the order and wait for the keeper's line.

        Raises:
            OSError: it has none, or says why the job did not start.
        """
        if process.stdin is None or process.stdout is None:
            raise OSError(0, "the keeper has no pipes")
        with process.stdout, contextlib.suppress(BrokenPipeError):
            with process.stdin:
                process.stdin.write(order)
            ready, _, _ = select.select([process.stdout], [], [], READY_S)
            line = process.stdout.readline() if ready else ""
        told: dict[str, Any] = json.loads(line) if line else {"error": "its keeper did not start"}
        if "error" in told:
            process.kill()
            process.wait()
            raise OSError(0, str(told["error"]))
        return told

    @property
    def ran_s(self) -> float:
        """Wall seconds in which it was not frozen, over all lives of the agent."""
        return self._ran_s + (0.0 if self._since is None else time.monotonic() - self._since)

    @property
    def clock(self) -> tuple[float, float | None]:
        """Own seconds up to an instant, and that instant; None while it is frozen."""
        return self._ran_s, self._since

    def _tree(self) -> list[int]:
        """The job's processes, wherever they have forked to."""
        if self._cgroup is not None:
            return self._cgroup.members()
        return keeper.descendants(self._keeper)

    def freeze(self) -> bool:
        """Pause the whole tree; True when the operating system confirms it."""
        if not self.frozen:
            self._ran_s, self._since, self.frozen = self.ran_s, None, True
        if self._cgroup is not None:
            return self._cgroup.freeze(still=True)
        keeper.signal_all(self._tree(), signal.SIGSTOP)
        return self._confirm(stopped=True)

    def thaw(self) -> bool:
        """Go on; True when confirmed."""
        confirmed = self._cgroup is None or self._cgroup.freeze(still=False)
        keeper.signal_all(self._tree(), signal.SIGCONT)
        if self.frozen:
            self.frozen, self._since = False, time.monotonic()
        (self._place / "alone.json").unlink(missing_ok=True)
        return confirmed and self._confirm(stopped=False)

    def _confirm(self, *, stopped: bool) -> bool:
        until = time.monotonic() + CONFIRM_S
        while keeper.start_time(self.pid) == self._start:
            if (process_state(self.pid) == "T") == stopped:
                return True
            if time.monotonic() > until:
                return False
            time.sleep(0.001)
        return True  # it has ended meanwhile, which its keeper will tell

    def tell(self, number: signal.Signals) -> None:
        """A signal to the whole tree; a frozen one is woken for it."""
        keeper.signal_all(self._tree(), number)
        self.thaw()

    def terminate(self) -> None:
        """Ask the tree to end."""
        self.tell(signal.SIGTERM)

    def kill(self) -> None:
        """End the tree."""
        if self._cgroup is not None:
            self._cgroup.kill()
        else:
            keeper.signal_all(self._tree(), signal.SIGKILL)

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
        code, self.cpu_s, self.tail = over(self._place, self.run, self._cgroup)
        return code


def over(place: Path, run: str, cgroup: Cgroup | None) -> tuple[int, float, str]:
    """How a run ended whose keeper is gone: exit code, computing time and end of its output. What is left of it is killed."""
    if cgroup is not None:
        cgroup.kill()
        cgroup.remove()
    told = read_json(place / "exit.json", run)
    if told is None:
        about = read_json(place / "run.json", run)
        until = time.monotonic() + CONFIRM_S
        while about is not None and keeper.start_time(int(about["pid"])) == int(about["start"]) and time.monotonic() < until:
            keeper.signal_all([int(about["pid"])], signal.SIGKILL)  # it was to die with its keeper
            time.sleep(0.001)
        return LOST, 0.0, "its keeper was killed, and so it was"
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
                cgroup = around.cgroup(job)
                stopped = read_json_at(place / "alone.json")
                if stopped is not None and since is not None:  # its keeper paused it while no agent was there
                    ran_s, since = ran_s + max(0.0, stopped - since), None
                return KeptChild(about, place, cgroup, ran_s, since)
        time.sleep(0.01)
    return None


def read_json_at(path: Path) -> float | None:
    """The instant in a file of the keeper, or None."""
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def never_started(around: Surroundings, job: str, run: str) -> bool:
    """True when no keeper ever took this run up."""
    place = around.place(job)
    return read_json(place / "run.json", run) is None and read_json(place / "exit.json", run) is None
