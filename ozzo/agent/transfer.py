"""The program that carries out a transfer or a release of a dataset on a node: ``python -S -E transfer.py FOLDER NAME``.

``FOLDER/NAME.json`` is its order, which the agent writes from the node's own settings and which it looks at again as it copies:
a new rate stops the copier and starts it with the new limit, and what has come is kept. rsync or rclone are called with argument
lists, never by a shell. Exit codes: 0 done, and one line of JSON with the digest; 3 refused; 5 not done (what came is kept).

A transfer copies into a folder of its own, compares checksums of everything with the source, mends what differs once, and only
then moves the whole replica into its place. How a release is kept from taking the last good one is told in ``replica``.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

if __name__ == "__main__":  # run as a file by an interpreter without site packages
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from ozzo.agent.replica import DELETING, INCOMING, RELEASING, Manifest, Place, ReplicaError, arrived, manifest, move

DONE, REFUSED, NOT_DONE = 0, 3, 5
LOOK_S = 0.2
"""Time between two looks at the order while the copier works."""
FRUITLESS = 5
"""Failures in a row without a byte more, after which it is given up."""
QUIET_S = 60
"""A copier that hears nothing for so long gives up, and is started again."""
PR_SET_PDEATHSIG = 1


class CopyFailed(ReplicaError):
    """The copier could not do all of it; what came is kept."""


class Stopped(BaseException):
    """Somebody asked it to end."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to do; the agent's settings in one file.

    Attributes:
        kind: ``transfer`` or ``release``; tool: ``rsync`` or ``rclone``.
        program: absolute path of the tool; options: for every call of it (credentials as names of files).
        source: where the other copy is, as the tool names it, without a slash at its end.
        root, path: folder and dataset of this node.
        rate_kib_s: highest rate, KiB/s; None: no limit.
        digest, files, bytes: of a release, what was proven of the other copy.
    """

    kind: str
    tool: str
    program: str
    options: tuple[str, ...]
    source: str
    root: str
    path: str
    rate_kib_s: float | None = None
    digest: str = ""
    files: int = 0
    bytes: int = 0

    @property
    def place(self) -> Place:
        """Where the replica of this node is."""
        return Place(Path(self.root), self.path)

    def copy(self, target: Path, *, mend: bool) -> list[str]:
        """Arguments that copy, going on from what is there; ``mend`` compares checksums and clears what the source has not."""
        if self.tool == "rclone":
            rate = ["--bwlimit", f"{self.rate_kib_s:g}k"] if self.rate_kib_s else []
            verb = ["sync", "--checksum"] if mend else ["copy"]
            return [self.program, *verb, "--retries", "1", *rate, *self.options, self.source, str(target)]
        rate = [f"--bwlimit={max(1, round(self.rate_kib_s))}"] if self.rate_kib_s else []
        how = ["--checksum", "--inplace", "--delete"] if mend else ["--append-verify"]
        return [self.program, *BASE, *how, *rate, *self.options, "--", f"{self.source}/", f"{target}/"]

    def compare(self, target: Path) -> list[str]:
        """Arguments that tell every difference in content between source and ``target``, and change nothing."""
        if self.tool == "rclone":
            return [self.program, "check", "--download", *self.options, self.source, str(target)]
        how = ("--dry-run", "--checksum", "--delete", "--out-format=%i %n")
        return [self.program, *BASE, *how, *self.options, "--", f"{self.source}/", f"{target}/"]


BASE = ("--recursive", "--links", "--safe-links", "--times", "--no-motd", f"--timeout={QUIET_S}")


def read_order(file: Path) -> Order:
    """The order.

    Raises:
        ReplicaError: it cannot be read.
    """
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        return Order(**told | {"options": tuple(told["options"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ReplicaError(f"{file}: {error}") from error


def transfer(file: Path) -> Manifest:
    """Make a verified replica; what it holds.

    Raises:
        ReplicaError: it cannot be made, or a replica that differs is there already.
        OSError: of the disk.
    """
    order = read_order(file)
    place = order.place
    place.check()
    with place.locked() as lock:
        place.settle()
        if place.final.exists():
            found = differences(order, place.final, lock)
            if found:
                raise ReplicaError(f"a replica that differs is in {place.final}: {found}")
            return manifest(place.final)
        incoming = place.folder(INCOMING)
        incoming.mkdir(parents=True, exist_ok=True)
        _copy(file, incoming, lock, mend=False)
        if differences(order, incoming, lock):
            _copy(file, incoming, lock, mend=True)
            found = differences(order, incoming, lock)
            if found:
                raise ReplicaError(f"differs from its source after it was copied twice (is it being written?): {found}")
        os.sync()
        held = manifest(incoming)
        move(incoming, place.final)
        return held


def release(file: Path) -> Manifest:
    """Delete this node's replica if the other copy is as proven; what it held.

    Raises:
        ReplicaError: it is not; the replica is back in its place.
        OSError: of the disk; the replica is in its place, or aside until the next start.
    """
    order = read_order(file)
    place = order.place
    place.check()
    proven = Manifest(order.digest, order.files, order.bytes)
    with place.locked() as lock:
        away, doomed = place.folder(RELEASING), place.folder(DELETING)
        if place.final.exists() and away.exists():
            raise ReplicaError(f"{place.final} is there twice: {away} is left of an earlier release")
        place.settle()
        if not place.final.exists():
            return proven
        try:
            move(place.final, away)
            _compare_all(order, away, proven, lock)
        except BaseException:
            place.settle()
            raise
        move(away, doomed)
        shutil.rmtree(doomed)
        return proven


def _compare_all(order: Order, folder: Path, proven: Manifest, lock: int) -> None:
    """Hold a replica against the proof, and against the other copy as it is now.

    Raises:
        ReplicaError: they are not the same.
    """
    held = manifest(folder)
    if held != proven:
        raise ReplicaError(f"the proof is of another content; here are {held.files} files, {held.bytes} bytes, {held.digest}")
    found = differences(order, folder, lock)
    if found:
        raise ReplicaError(f"the other copy is not the same: {found}")


def differences(order: Order, target: Path, lock: int) -> str:
    """Names in which the source and ``target`` differ in content, the first few; empty when they are the same.

    Raises:
        ReplicaError: the comparison itself failed, for example because the other copy is not there.
    """
    with tempfile.TemporaryFile() as errors:
        done = _start(order.compare(target), lock, subprocess.PIPE, errors)
        text, _ = done.communicate()
        said = _last(errors)
    if order.tool == "rclone":
        return said if done.returncode else ""
    if done.returncode:
        raise ReplicaError(f"could not be compared with {order.source}: {said}")
    changed = [line for line in text.decode("utf-8", "replace").splitlines() if line and not line.startswith(".")]
    return "; ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")


def _copy(file: Path, target: Path, lock: int, *, mend: bool) -> None:
    """Run the copier until it has done all; again after failures for as long as more arrives, and with each new rate.

    Raises:
        CopyFailed: it cannot, or several tries in a row brought nothing.
    """
    fruitless, before = 0, arrived(target)
    while True:
        order = read_order(file)
        with tempfile.TemporaryFile() as errors:
            copier = _start(order.copy(target, mend=mend), lock, subprocess.DEVNULL, errors)
            changed = _watch(copier, file, order)
            said = _last(errors)
        if copier.returncode == 0:
            return
        if changed:
            continue
        now = arrived(target)
        fruitless, before = (0 if now > before else fruitless + 1), now
        if fruitless >= FRUITLESS or _hopeless(order.tool, copier.returncode):
            raise CopyFailed(f"{order.tool} ended with {copier.returncode}: {said}")
        time.sleep(min(30.0, LOOK_S * 2**fruitless))


def _watch(copier: subprocess.Popen[bytes], file: Path, order: Order) -> bool:
    """Wait for the copier's end; True when it was stopped because the order has another rate now."""
    while True:
        try:
            copier.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            if read_order(file).rate_kib_s != order.rate_kib_s:
                copier.terminate()
                copier.wait()
                return True
        else:
            return False


def _hopeless(tool: str, code: int) -> bool:
    """True for ends that another try does not change: wrong usage, files that cannot be read (rsync(1), rclone docs)."""
    return code in ({1, 2, 3, 4, 5, 6, 13, 23} if tool == "rsync" else {3, 4, 7})


def _start(argv: list[str], lock: int, output: int, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the tool; it dies with us, and holds our lock until it is gone.

    Raises:
        ReplicaError: it is not there.
    """
    try:
        return subprocess.Popen(  # noqa: S603 - an argument list from the node's own settings
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            pass_fds=(lock,),
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - this program has one thread
        )
    except OSError as error:
        raise ReplicaError(f"{argv[0]}: {error.strerror}") from error


def _die_with_parent() -> None:
    """SIGKILL when the parent is gone (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _last(errors: IO[bytes]) -> str:
    """The last of what a tool complained about."""
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - 4000))
    lines = [line.strip() for line in errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return " | ".join(lines[-3:])[-400:] or "it said nothing"


def stopping(*_: Any) -> None:
    """A signal to end: what was begun is put in order on the way out."""
    raise Stopped


def main(folder: str, name: str) -> int:
    """Carry the order out; the exit code."""
    signal.signal(signal.SIGTERM, stopping)
    file = Path(folder) / f"{name}.json"
    try:
        kind = read_order(file).kind
        held = transfer(file) if kind == "transfer" else release(file)
    except ReplicaError as error:
        print(f"{error}", file=sys.stderr)
        return NOT_DONE if isinstance(error, CopyFailed) else REFUSED
    except OSError as error:
        print(f"{error.strerror}: {error.filename}", file=sys.stderr)
        return NOT_DONE
    except Stopped:
        return 128 + int(signal.SIGTERM)
    print(json.dumps(asdict(held)))
    return DONE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
