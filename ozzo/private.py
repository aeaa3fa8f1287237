"""Files that only their owner may read: written whole or not at all, refused when others could read them."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grid.errors import Finding, InputError

LONGEST = 1_000_000
"""Bytes of a private file that are read at most; a password or a certificate is far smaller."""


def write_private(path: Path, text: str, owner: str = "") -> None:
    """Write a file of mode 600, whole or not at all: a new file takes the place of the old one when it is on disk.

    Args:
        path: the file.
        text: all that stands in it.
        owner: user that it is given to (then we are root); the present one when empty.

    Raises:
        OSError: it cannot be written.
    """
    other = path.with_name(f".{path.name}.{os.getpid()}.new")
    other.unlink(missing_ok=True)  # of an earlier process with our number, or a trap: nothing that is there is written through
    descriptor = os.open(other, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            if owner:
                entry = pwd.getpwnam(owner)
                os.fchown(file.fileno(), entry.pw_uid, entry.pw_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        other.replace(path)
    except BaseException:
        other.unlink(missing_ok=True)
        raise


def read_private(path: Path, what: str, longest: int = LONGEST) -> str:
    """Read a file that nobody but its owner may read.

    Args:
        path: the file.
        what: what should stand in it, in words, for the error.
        longest: bytes that are read at most.

    Raises:
        InputError: it is missing, too large, no text, or others may read it. Its content is in no error.
    """
    try:
        mode, size = path.stat().st_mode, path.stat().st_size
        text = path.read_text(encoding="utf-8") if size <= longest else ""
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror or "" if isinstance(error, OSError) else "no UTF-8 text"
        raise InputError([Finding(str(path), None, "", told, what)]) from None
    if size > longest:
        raise InputError([Finding(str(path), None, "", f"{size} bytes", what)])
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        found = f"mode {stat.S_IMODE(mode):o}"
        raise InputError([Finding(str(path), None, "", found, f"mode 600: it holds {what} (chmod 600)")])
    return text


def own_text(path: Path) -> str:
    """Text of a file in a folder that another user may write; empty when there is none.

    Raises:
        InputError: it is a link, or no plain file: that user may want us to read another one.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise InputError([Finding(str(path), None, "", error.strerror or "", "a plain file, no link")]) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError([Finding(str(path), None, "", "no plain file", "a plain file, no link")])
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read().decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def hand_over(owner: str, *paths: Path) -> None:
    """Give files and folders to a user (then we are root); nothing happens when ``owner`` is empty.

    A link is never followed, and a file with a second name is not given away: whoever may write there could mean another file.

    Raises:
        InputError: all that are links, or have a second name, or are neither file nor folder; those are left as they are.
        OSError: one cannot be opened or given.
    """
    if not owner:
        return
    entry, findings = pwd.getpwnam(owner), []
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in {errno.ELOOP, errno.ENXIO}:
                raise
            findings.append(Finding(str(path), None, "", "a link, or a socket", "a plain file of the broker: remove it"))
            continue
        try:
            about = os.fstat(descriptor)
            if stat.S_ISDIR(about.st_mode) or (stat.S_ISREG(about.st_mode) and about.st_nlink == 1):
                os.fchown(descriptor, entry.pw_uid, entry.pw_gid)
            else:
                findings.append(Finding(str(path), None, "", "no plain file with one name", "one: remove it"))
        finally:
            os.close(descriptor)
    if findings:
        raise InputError(findings)


def closed_to(user: str, path: Path) -> Path | None:
    """The topmost of ``path`` and the folders above it that ``user`` may not enter; None when it can reach ``path``."""
    entry = pwd.getpwnam(user)
    groups = set(os.getgrouplist(user, entry.pw_gid))
    whole = path.resolve()
    for folder in [*reversed(whole.parents), whole]:
        about = folder.stat()
        owner = stat.S_IXUSR if about.st_uid == entry.pw_uid else 0
        group = stat.S_IXGRP if about.st_gid in groups else 0
        if entry.pw_uid != 0 and not about.st_mode & (owner or group or stat.S_IXOTH):
            return folder
    return None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, so that two commands do not write into it at once."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
