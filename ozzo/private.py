"""Files that only their owner may read: written whole or not at all, refused when others could read them."""

from __future__ import annotations

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
    descriptor = os.open(other, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, so that two commands do not write into it at once."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
