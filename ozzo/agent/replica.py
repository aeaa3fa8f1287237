"""A replica of a dataset on disk: its digest, where parts of it wait, how it comes and goes; standard library only.

Below a root lie, beside the datasets, three folders of ours. A name in them stands for one dataset::

    <root>/scans/2026                  a replica: it is whole, because it came here by one rename
    <root>/.ozzo-incoming/<name>       a transfer that is not verified yet; it goes on from what is here
    <root>/.ozzo-releasing/<name>      a replica that is being checked before it may go; it is put back, or
    <root>/.ozzo-deleting/<name>       it was proven that it may go

While a replica is checked before its release it is not in its place, so no other node can take it for the good copy that its own
release needs: of two releases that name each other at most one goes through.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

INCOMING, RELEASING, DELETING = ".ozzo-incoming", ".ozzo-releasing", ".ozzo-deleting"
PIECE = 1 << 20


class ReplicaError(Exception):
    """It cannot be done, in words."""


class Busy(ReplicaError):
    """Another transfer or release of the dataset is at work."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a replica holds.

    Attributes:
        digest: ``sha256:`` of the sorted list of its files (digest, size, path) and links (path, target).
        files, bytes: regular files, and their size together.
    """

    digest: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a dataset is below a root.

    Attributes:
        root: folder; path: of the dataset below it.
    """

    root: Path
    path: str

    @property
    def final(self) -> Path:
        """Where a whole replica is."""
        return self.root / self.path

    def folder(self, which: str) -> Path:
        """Its name in one of our folders."""
        name = self.path.replace("/", "%2F")
        return self.root / which / (name if len(name) <= 200 else hashlib.sha256(name.encode()).hexdigest())

    def check(self) -> None:
        """It stays below its root, also by the links that lie there.

        Raises:
            ReplicaError: the root is missing, or a link leads out of it.
        """
        if not self.root.is_dir():
            raise ReplicaError(f"there is no folder {self.root}")
        if self.final.is_symlink() or not self.final.resolve().is_relative_to(self.root.resolve()):
            raise ReplicaError(f"{self.final} leads out of {self.root}")

    @contextlib.contextmanager
    def locked(self, patience_s: float = 30.0) -> Iterator[int]:
        """Hold the dataset for this process, and for children that get the descriptor.

        Raises:
            Busy: another transfer or release holds it.
        """
        folder = self.folder(INCOMING)
        folder.parent.mkdir(mode=0o755, exist_ok=True)
        descriptor = os.open(folder.with_name(f"{folder.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            until = time.monotonic() + patience_s
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise Busy(f"another transfer or release of {self.path} is at work") from None
                    time.sleep(0.05)
            os.pwrite(descriptor, self.path.encode(), 0)  # so that ``recover`` knows which dataset it is of
            yield descriptor
        finally:
            os.close(descriptor)

    def settle(self) -> None:
        """After a death in a release, under the lock: put back what was only being checked, finish what was decided."""
        away = self.folder(RELEASING)
        if away.exists() and not self.final.exists():
            move(away, self.final)
        shutil.rmtree(self.folder(DELETING), ignore_errors=True)


def recover(root: Path) -> list[str]:
    """Settle every dataset below a root that nobody works on; what could not be settled, in words."""
    trouble = []
    for lock in sorted((root / INCOMING).glob("*.lock")):
        place = Place(root, lock.read_text(encoding="utf-8"))
        if not (place.path and any(place.folder(which).exists() for which in (RELEASING, DELETING))):
            continue
        try:
            place.check()
            with place.locked(patience_s=0.0):
                place.settle()
        except Busy:
            continue
        except (ReplicaError, OSError) as error:
            trouble.append(f"{place.path}: {error}")
    return trouble


def move(source: Path, target: Path) -> None:
    """Rename a folder into its place, on disk when this returns.

    Raises:
        OSError: it cannot be done, for example because something is there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
    for folder in {source.parent, target.parent}:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def manifest(folder: Path) -> Manifest:
    """Read everything in a folder.

    Raises:
        ReplicaError: there is something that a copy cannot hold: a device, a socket, a pipe, or a link that leads out of it.
        OSError: it cannot be read.
    """
    lines, files, size = [], 0, 0
    for path in sorted(walk(folder)):
        name = path.relative_to(folder).as_posix()
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            target = path.readlink()
            if target.is_absolute() or not Path(os.path.normpath(path.parent / target)).is_relative_to(folder):
                raise ReplicaError(f"{name} is a link that leads out of the dataset, which no copy holds")
            lines.append(f"link  {name}  {target}")
        elif stat.S_ISREG(mode):
            digest, length = _read(path)
            lines.append(f"{digest}  {length}  {name}")
            files, size = files + 1, size + length
        else:
            raise ReplicaError(f"{name} is neither file, folder nor link, which no copy holds")
    whole = hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    return Manifest(f"sha256:{whole}", files, size)


def walk(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is no folder itself; links are not followed.

    Raises:
        OSError: a folder cannot be read.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from walk(Path(entry.path))
            else:
                yield Path(entry.path)


def _read(path: Path) -> tuple[str, int]:
    found, length = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            found.update(piece)
            length += len(piece)
    return found.hexdigest(), length


def arrived(folder: Path) -> int:
    """Bytes in a folder so far, 0 when it is not there."""
    total = 0
    with contextlib.suppress(OSError):
        for path in walk(folder):
            with contextlib.suppress(OSError):
                total += path.lstat().st_size
    return total
