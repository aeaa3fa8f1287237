"""The folder that datasets are put in, and ``SHA256SUMS`` in it: the checksum of every file that was brought.

The list of datasets has checksums where they are known; otherwise the first download records what it found, and from then on
that is what the file must be. The record has the format of coreutils, so ``sha256sum --check SHA256SUMS`` reads it too. One
``get`` at a time works in a folder (``flock``).
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from grid.errors import FeedError, Finding, InputError
from ozzo.datasets.download import DiskError, Patience, download, sha256_of
from ozzo.datasets.table import DataFile, Dataset

SUMS = "SHA256SUMS"
LOCK = ".ozzo-data.lock"


class State(StrEnum):
    """What is known of a file after ``get`` or ``verify``."""

    BROUGHT = "brought"
    """Downloaded, and its checksum is right or was recorded now."""
    RIGHT = "right"
    """It is there, with the checksum that it must have."""
    DIFFERS = "differs"
    """It is there, with another checksum."""
    UNRECORDED = "unrecorded"
    """It is there, but nothing is known that it could be held against."""
    MISSING = "missing"
    FAILED = "failed"
    """The download ended without a file."""
    NOT_TRIED = "not tried"
    """An earlier file met a disk that takes no more."""


@dataclass(frozen=True, slots=True)
class FileState:
    """One file of one dataset.

    Attributes:
        dataset: its name. path: place below the folder.
        state: what is known. words: why, in words, or empty.
        sha256: checksum that was found, or None.
        pinned: the list of datasets says the checksum (otherwise only the record does).
    """

    dataset: str
    path: str
    state: State
    words: str = ""
    sha256: str | None = None
    pinned: bool = False


Tell = Callable[[DataFile, int, int | None], None]
"""Told the file, the bytes that have arrived and the bytes of the whole (None: not known)."""


def read_sums(folder: Path) -> dict[str, str]:
    """Recorded checksums by path; empty when there is no record.

    Raises:
        InputError: lines that are no record, all at once.
        OSError: it cannot be read.
    """
    file = folder / SUMS
    if not file.is_file():
        return {}
    sums, wrong = {}, []
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if match:
            sums[match.group(2)] = match.group(1)
        elif line.strip():
            wrong.append(Finding(str(file), number, "", repr(line[:60]), "64 hex digits, two blanks and a path"))
    if wrong:
        raise InputError(wrong)
    return sums


def write_sums(folder: Path, sums: dict[str, str]) -> None:
    """Write the record, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    new = folder / f"{SUMS}.new"
    with new.open("w", encoding="utf-8") as file:
        file.writelines(f"{value}  {path}\n" for path, value in sorted(sums.items()))
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / SUMS)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder against another ``get``.

    Raises:
        FeedError: another one works in it. DiskError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise DiskError(f"{folder}: cannot be written: {error.strerror or type(error).__name__}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FeedError(f"{folder}: another 'ozzo data get' works in this folder; try again when it is done") from error
        yield


def get(
    datasets: list[Dataset], folder: Path, tell: Tell, *, force: bool = False, patience: Patience | None = None
) -> list[FileState]:
    """Bring the files of datasets that are not there yet; one that fails does not hold up the others, a full disk does.

    Args:
        datasets: which.
        folder: where to.
        tell: progress.
        force: bring also what is there already; the old file stays until the new one is right.
        patience: with servers.

    Raises:
        InputError: the record in the folder is broken.
        FeedError: another ``get`` works there, or the folder cannot be written.
    """
    states: list[FileState] = []
    with _alone(folder):
        sums = read_sums(folder)
        full = False
        for item, file in [(one, file) for one in datasets for file in one.files]:
            if full:
                states.append(FileState(item.name, file.path, State.NOT_TRIED, "the disk took no more", pinned=bool(file.sha256)))
                continue
            state = _there(item, file, folder, sums)
            if force or state.state is State.MISSING:
                try:
                    state = _brought(item, file, folder, sums, partial(tell, file), patience)
                except FeedError as error:
                    full = isinstance(error, DiskError)
                    state = FileState(item.name, file.path, State.FAILED, str(error), pinned=bool(file.sha256))
            if state.sha256 and state.state in (State.BROUGHT, State.RIGHT) and sums.get(file.path) != state.sha256:
                sums[file.path] = state.sha256
                write_sums(folder, sums)
            states.append(state)
    return states


def verify(datasets: list[Dataset], folder: Path) -> list[FileState]:
    """Hold every file against the checksum of the list, or else against the recorded one.

    Raises:
        InputError: the record in the folder is broken.
        OSError: a file cannot be read.
    """
    sums = read_sums(folder)
    return [_there(item, file, folder, sums) for item in datasets for file in item.files]


def _there(item: Dataset, file: DataFile, folder: Path, sums: dict[str, str]) -> FileState:
    """What is known of a file without asking anybody."""
    path, pinned = folder / file.path, bool(file.sha256)
    if not path.is_file():
        part = path.with_name(path.name + ".part")
        words = f"{part.stat().st_size} bytes have arrived; 'ozzo data get {item.name}' goes on" if part.is_file() else ""
        return FileState(item.name, file.path, State.MISSING, words, pinned=pinned)
    found, expected = sha256_of(path), file.sha256 or sums.get(file.path)
    if expected is None:
        words = "no checksum is known or recorded; 'get --force' brings it again and records one"
        return FileState(item.name, file.path, State.UNRECORDED, words, found)
    if found == expected:
        return FileState(item.name, file.path, State.RIGHT, "", found, pinned)
    source = "the list of datasets" if pinned else SUMS
    words = f"found sha256 {found}; expected {expected} by {source}; 'get --force' brings it again"
    return FileState(item.name, file.path, State.DIFFERS, words, found, pinned)


def _brought(
    item: Dataset,
    file: DataFile,
    folder: Path,
    sums: dict[str, str],
    tell: Callable[[int, int | None], None],
    patience: Patience | None,
) -> FileState:
    """Download a file.

    Raises:
        FeedError: as ``download``.
    """
    expected = file.sha256 or sums.get(file.path)
    found = download(file, folder / file.path, expected, tell, patience)
    words = "" if expected else f"no checksum was known; recorded {found}"
    return FileState(item.name, file.path, State.BROUGHT, words, found, bool(file.sha256))
