"""The folders of a node's kept jobs: one a job, locked while a keeper lives, and removed when they are old or too many.

::

    lock        locked by the keeper (flock), so that one job never has two
    run.json    who runs: written before the job's program begins; it names the cgroup that the job really has
    exit.json   how it ended
    alone.json  when the keeper paused it because no agent was there
    output      the last of what it said, and before that output.1
    work        its working directory
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ozzo.agent.cgroup import Cgroup
from ozzo.commands import label

GONE = ".gone-"
"""Begin of the name of a folder that is being removed; no job's folder begins with a dot."""
DAY_S = 86_400.0
AT_ONCE = 200
"""Most folders that one sweep removes, so that it does not keep the agent busy."""


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

    def new_cgroup(self, job: str) -> Cgroup | None:
        """The cgroup for a job that is about to start, if it gets one; what a job that runs has stands in its ``run.json``."""
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
    for name in ("run.json", "exit.json", "alone.json", "output.1"):
        (place / name).unlink(missing_ok=True)
    return lock


def cgroup_of(about: dict[str, Any]) -> Cgroup | None:
    """The cgroup that a job has, by what its keeper wrote."""
    return Cgroup(Path(str(about["cgroup"]))) if about.get("cgroup") else None


def read_json_at(path: Path) -> float | None:
    """The instant in a file of the keeper, or None."""
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def never_started(around: Surroundings, job: str, run: str) -> bool:
    """True when the program of this run has never begun."""
    place = around.place(job)
    return read_json(place / "run.json", run) is None and read_json(place / "exit.json", run) is None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which folders of jobs that have ended stay.

    Attributes:
        most: their number.
        days: how long, None for ever.
    """

    most: int
    days: float | None


def sweep(folder: Path, bounds: Bounds, busy: Collection[str], now_s: float | None = None) -> list[str]:
    """Remove folders of jobs beyond the bounds, the oldest first; never one of a job that runs, and no folder of others.

    The deletion itself goes on in a thread, because a working directory may be large.

    Args:
        folder: that the folders lie in.
        bounds: what stays.
        busy: names of folders that are needed still (``short``).
        now_s: seconds since 1970, for tests.

    Returns:
        Names of what was removed.
    """
    ended = []
    for place in folder.iterdir():
        if place.name in busy or place.name.startswith(".") or place.is_symlink() or not (place / "lock").is_file():
            continue
        with contextlib.suppress(OSError):
            end = place / "exit.json"
            ended.append(((end if end.exists() else place / "lock").stat().st_mtime, place))
    ended.sort(reverse=True)
    oldest_s = -1.0 if bounds.days is None else (time.time() if now_s is None else now_s) - bounds.days * DAY_S
    beyond = [place for i, (at_s, place) in enumerate(ended) if i >= bounds.most or at_s < oldest_s]
    removed = [place.name for place in beyond[-AT_ONCE:] if _set_aside(place)]
    left = [path for path in folder.iterdir() if path.name.startswith(GONE)]
    if left:
        threading.Thread(target=_delete, args=(left,), name="old job folders", daemon=True).start()
    return removed


def _set_aside(place: Path) -> bool:
    """Rename a folder that no keeper holds, so that a new run of its job finds none; False when one holds it."""
    lock = take_lock(place)
    if lock is None:
        return False
    try:
        place.rename(place.with_name(f"{GONE}{time.monotonic_ns()}"))
    finally:
        os.close(lock)
    return True


def _delete(folders: list[Path]) -> None:
    for path in folders:
        shutil.rmtree(path, ignore_errors=True)  # what stays is tried again at the next sweep
