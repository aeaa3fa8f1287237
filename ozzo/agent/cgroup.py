"""A cgroup v2 of one job: its processes wherever they fork to, frozen, thawed and killed as one.

Interface files: ``cgroup.freeze``, ``cgroup.events``, ``cgroup.kill``, ``cgroup.procs`` (kernel documentation,
Documentation/admin-guide/cgroup-v2.rst, "Core Interface Files"). No controller is switched on, so any delegated folder will do.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from ozzo.agent.keeper import signal_all

CONFIRM_S = 1.0
"""How long to wait until the kernel tells that a group is frozen or empty."""


def mounted() -> Path | None:
    """Where cgroup v2 is mounted, or None."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        if after.split(" ")[0] == "cgroup2":
            return Path(before.split(" ")[4])
    return None


def own_folder() -> Path | None:
    """The cgroup that this process is in, or None without cgroup v2."""
    mount = mounted()
    if mount is None:
        return None
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("0::"):
            found = mount / line[3:].lstrip("/")
            return found if found.is_dir() else mount
    return mount


def jobs_folder(setting: str, name: str) -> tuple[Path | None, str]:
    """Folder for the cgroups of a node's jobs, made and tried; or None and why there is none.

    Args:
        setting: ``auto``, ``none``, or a folder of a cgroup v2.
        name: of the folder to make.
    """
    if setting == "none":
        return None, "as the settings say"
    above = own_folder() if setting == "auto" else Path(setting)
    if above is None:
        return None, "no cgroup v2 on this machine"
    folder = above / name
    try:
        folder.mkdir(exist_ok=True)
        probe = folder / "probe"
        probe.mkdir(exist_ok=True)
        with contextlib.suppress(OSError):
            (probe / "cgroup.freeze").write_text("0", encoding="ascii")
        whole = all(os.access(probe / file, os.W_OK) for file in ("cgroup.freeze", "cgroup.kill", "cgroup.procs"))
        probe.rmdir()
    except OSError as error:
        return None, f"{error.strerror}: {folder}"
    return (folder, "") if whole else (None, f"no cgroup.kill in {folder} (Linux 5.14 has it)")


class Cgroup:
    """One group.

    Attributes:
        path: its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make it, empty; what an earlier job left in it is killed.

        Raises:
            OSError: not allowed.
        """
        if self.path.is_dir():
            self.kill()
            self.remove()
        self.path.mkdir(exist_ok=True)

    def members(self) -> list[int]:
        """Processes in it, zombies too; empty when it is gone."""
        try:
            return [int(line) for line in (self.path / "cgroup.procs").read_text(encoding="ascii").split()]
        except OSError:
            return []

    def _event(self, name: str) -> bool | None:
        """A line of ``cgroup.events``; None when the group is gone."""
        try:
            text = (self.path / "cgroup.events").read_text(encoding="ascii")
        except OSError:
            return None
        return f"{name} 1" in text.splitlines()

    @property
    def frozen(self) -> bool:
        """True when the kernel says that every process in it stands still."""
        return bool(self._event("frozen"))

    @property
    def populated(self) -> bool:
        """True while a living process is in it."""
        return bool(self._event("populated"))

    def freeze(self, *, still: bool) -> bool:
        """Freeze or thaw everything in it; True when the kernel confirms it. A group that is gone freezes nothing."""
        try:
            (self.path / "cgroup.freeze").write_text("1" if still else "0", encoding="ascii")
        except OSError:
            return not still and not self.path.is_dir()
        return self._wait("frozen", wanted=still)

    def kill(self) -> bool:
        """SIGKILL to everything in it, frozen or not, forking or not; True when it is empty."""
        try:
            (self.path / "cgroup.kill").write_text("1", encoding="ascii")
        except OSError:
            signal_all(self.members(), signal.SIGKILL)
        return self._wait("populated", wanted=False)

    def signal(self, number: int) -> None:
        """A signal to everything that is in it now."""
        signal_all(self.members(), number)

    def _wait(self, name: str, *, wanted: bool) -> bool:
        until = time.monotonic() + CONFIRM_S
        while (state := self._event(name)) is not None and state is not wanted:
            if time.monotonic() > until:
                return False
            time.sleep(0.001)
        return state is wanted or not wanted

    def remove(self) -> None:
        """Remove it when it is empty; one that is not stays."""
        with contextlib.suppress(OSError):
            self.path.rmdir()
