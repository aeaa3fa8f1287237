"""One file brought from its address: in pieces onto the disk, going on where it was cut off, renamed only when it is right.

What has arrived lies beside the file as ``<name>.part``. It is gone on with (HTTP Range, RFC 9110 section 14) only when it is
sure that it is part of the same file: the server's own mark (ETag, kept in ``<name>.part.tag``) is sent as ``If-Range``, or the
checksum of the whole is known beforehand and judges it. Otherwise the download begins anew. No redirect is followed, as in
``ozzo.feeds.http``.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from grid.errors import FeedError
from grid.feeds.live import url_fault
from ozzo.feeds.http import RETRIED, shown

if TYPE_CHECKING:
    import httpx

    from ozzo.datasets.table import DataFile

Tell = Callable[[int, int | None], None]
"""Told the bytes that have arrived and the bytes of the whole (None: not known)."""


class DiskError(FeedError):
    """What arrives cannot be kept: the disk is full, a limit on sizes is met, or the folder may not be written."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is put up with.

    Attributes:
        timeout_s: to connect, and between two pieces.
        attempts: attempts in a row that bring nothing new, before it is given up.
        backoff_s: pause after the first of them; doubled after each further one, at most ``longest_s``.
        longest_s: longest pause.
        sleep: for tests.
    """

    timeout_s: float = 30.0
    attempts: int = 4
    backoff_s: float = 1.0
    longest_s: float = 30.0
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class _Job:
    """One file on its way: what is meant, the part that has arrived, the server's mark of it, the checksum that it must have."""

    item: DataFile
    part: Path
    tag: Path
    expected: str | None
    tell: Tell
    patience: Patience

    @property
    def have(self) -> int:
        """Bytes that have arrived and may be gone on with."""
        if not self.part.exists() or not (self.expected or self.tag.is_file()):
            return 0
        return self.part.stat().st_size


class _Again(Exception):
    """An attempt ended early, for a reason that may pass."""


def sha256_of(path: Path) -> str:
    """Checksum of a file, in hex.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(item: DataFile, target: Path, expected: str | None, tell: Tell, patience: Patience | None = None) -> str:
    """Bring a file to ``target``; returns its checksum. A file that lies there stays whole until the new one is right.

    Args:
        item: address, and size when known.
        target: where it shall lie.
        expected: checksum that it must have, or None.
        tell: progress.
        patience: with the server.

    Raises:
        DiskError: it cannot be kept; what has arrived stays for the next time.
        FeedError: the address is not allowed, the server refuses or does not deliver (what has arrived stays), or what it
            delivered is not the file that was meant (thrown away).
    """
    fault = url_fault(item.url)
    if fault:
        raise FeedError(f"{shown(item.url)} is not asked: {fault}; expected https, or http on this machine")
    part, tag = target.with_name(target.name + ".part"), target.with_name(target.name + ".part.tag")
    job = _Job(item, part, tag, expected, tell, patience or Patience())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _bring(job)
        found = sha256_of(part)
        if expected is not None and found != expected:
            part.unlink()
            tag.unlink(missing_ok=True)
            raise FeedError(f"{shown(item.url)}: found a file of sha256 {found}; expected {expected}; it was thrown away")
        part.replace(target)
        tag.unlink(missing_ok=True)
    except OSError as error:
        words = error.strerror or type(error).__name__
        raise DiskError(f"{target}: cannot be written: {words}; {_kept(job)}") from error
    return found


def _kept(job: _Job) -> str:
    """What is left of a download that did not end, in words."""
    have = job.have
    return f"{have} bytes are kept, and the same command goes on from there" if have else "the same command begins anew"


def _bring(job: _Job) -> None:
    """Attempts until the part is whole.

    Raises:
        FeedError: none of the last attempts brought more than there had been.
        OSError: from the disk.
    """
    import httpx

    proxies = urlsplit(job.item.url).scheme == "https"  # plain http stays on this machine
    idle, most = 0, job.have
    with httpx.Client(timeout=job.patience.timeout_s, follow_redirects=False, trust_env=proxies) as client:
        while True:
            try:
                _attempt(job, client)
            except _Again as reason:
                after = job.part.stat().st_size if job.part.exists() else 0
                idle, most = (0, after) if after > most else (idle + 1, most)
                if idle >= job.patience.attempts:
                    raise FeedError(f"{shown(job.item.url)}: {reason}; {_kept(job)}") from reason
                job.patience.sleep(min(job.patience.longest_s, job.patience.backoff_s * 2.0 ** max(0, idle - 1)))
            else:
                return


def _attempt(job: _Job, client: httpx.Client) -> None:
    """One request; returns when the part is whole.

    Raises:
        _Again: it ended early.
        FeedError: another attempt is no use.
        OSError: from the disk.
    """
    import httpx

    have = job.have
    if have and have == job.item.size:
        return
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if job.tag.is_file():
            headers["If-Range"] = job.tag.read_text(encoding="ascii")
    try:
        with client.stream("GET", job.item.url, headers=headers) as answer:
            begin, whole = _accepted(job, answer, have)
            mark = answer.headers.get("etag", "")
            if mark.isascii() and mark.startswith('"'):  # a weak mark (W/) does not promise the same bytes
                job.tag.write_text(mark, encoding="ascii")
            else:
                job.tag.unlink(missing_ok=True)
            _keep(answer, job, begin, whole)
    except httpx.TimeoutException as error:
        raise _Again(f"nothing in {job.patience.timeout_s:g} s") from error
    except httpx.TransportError as error:
        raise _Again(f"no connection, or one that broke ({type(error).__name__})") from error


def _accepted(job: _Job, answer: httpx.Response, have: int) -> tuple[int, int | None]:
    """First byte that the answer holds, and the bytes of the whole file (None: not said).

    Raises:
        _Again: the answer may be another one later; a part that does not fit is thrown away first.
        FeedError: the server refuses, or has another file than the one meant.
    """
    status, item = answer.status_code, job.item
    whole: int | None
    if status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("content-range", ""))
        if match is None or int(match.group(1)) != have:
            job.part.unlink(missing_ok=True)
            raise _Again("an answer that goes on at another place than asked")
        begin, whole = have, int(match.group(2))
    elif status == 200:
        length = answer.headers.get("content-length", "")
        begin, whole = 0, int(length) if length.isdecimal() else None
    elif status == 416:
        job.part.unlink(missing_ok=True)
        raise _Again("the part at hand does not fit the file")
    elif status in RETRIED:
        raise _Again(f"status {status} {answer.reason_phrase}".strip())
    else:
        raise FeedError(f"{shown(item.url)}: status {status} {answer.reason_phrase}".rstrip() + _moved(answer))
    if item.size is not None and whole is not None and whole != item.size:
        raise FeedError(f"{shown(item.url)}: found a file of {whole} bytes; expected {item.size}; nothing was taken")
    return begin, whole


def _moved(answer: httpx.Response) -> str:
    """Where a redirect points, in words."""
    place = answer.headers.get("location", "")
    return f", which points to {shown(place)}; redirects are not followed" if place else ""


def _keep(answer: httpx.Response, job: _Job, begin: int, whole: int | None) -> None:
    """Write what arrives, and put it on the disk for good."""
    have = begin
    with job.part.open("r+b" if begin else "wb") as file:
        file.seek(begin)
        file.truncate()
        job.tell(have, whole)
        for piece in answer.iter_raw():  # no size of pieces: what waits for a whole one is lost in a cut
            file.write(piece)
            have += len(piece)
            job.tell(have, whole)
        file.flush()
        os.fsync(file.fileno())
    if whole is not None and have < whole:
        raise _Again(f"an answer of {have} of {whole} bytes")
