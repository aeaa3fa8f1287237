"""The keeper of one job: a small program between agent and job, so that the job outlives the agent and its end is never lost.

Run as ``python -S -E keeper.py`` with standard library imports only; the order comes as JSON on standard input. It starts the job
(own session, own cgroup where there is one, limits, user, folder), answers with one line ``{"pid": ..., "start": ...}`` or
``{"error": ...}``, takes the job's output into a bounded file, and writes ``exit.json`` when the job is over and all that it had
started is gone. It adopts whatever forks away (PR_SET_CHILD_SUBREAPER, prctl(2)). When no agent has been there for ``alone_s``
seconds it pauses the job: nobody could hold it under a cap. ``lock`` in its folder is locked for as long as it lives.

The job's program begins only when ``run.json`` is on disk: without that file it has never begun, with it it may have. A full
disk does not end a keeper: room for ``exit.json`` is taken before the job begins.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import pwd
import resource
import select
import signal
import struct
import sys
import time
from typing import Any

TAIL_BYTES = 2000
LOOK_S = 1.0
"""Time between two looks for the agent."""
DEATH_S = 5.0
"""How long the rest of a job may take to die of SIGKILL before it is told as it is."""
DISK_S = 60.0
"""For how long it tries to write how the job ended, when the disk does not take it."""
ROOM_BYTES = 16_384
"""Room on disk that is taken for ``exit.json`` before the job begins; its longest text is smaller."""
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
FLOCK = "hhqqi4x"
"""``struct flock`` of 64-bit Linux, see fcntl(2): type, whence, start, length, pid."""


def start_time(pid: int) -> int:
    """Start of a process in clock ticks since boot (field 22 of ``/proc/PID/stat``, proc(5)); 0 when it is gone or a zombie.

    Process ids come back, a pair of id and start does not.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])


def descendants(root: int) -> list[int]:
    """Living processes below ``root``, children before grandchildren, read from ``/proc``; zombies do not count."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 (pathlib is not worth its import here)
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                    state, parent = file.read().rpartition(")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != "Z":
                children.setdefault(int(parent), []).append(int(entry))
    found, new = [], [root]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        found += new
    return found


def signal_all(pids: list[int], number: int) -> list[int]:
    """Send a signal to each; who is gone is gone. The ids of those that we may not signal (a program with other rights)."""
    refused = []
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
        except PermissionError:
            refused.append(pid)
    return refused


def put(path: str, text: str) -> None:
    """Write to a file of the kernel."""
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(text)


def take_room(path: str) -> None:
    """Take room on disk for ``write_json`` to the same path; OSError when there is none."""
    descriptor = os.open(path + ".new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, ROOM_BYTES)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise  # other errors: a file system that cannot do this
    finally:
        os.close(descriptor)


def write_json(path: str, value: dict[str, Any]) -> None:
    """Write a file whole or not at all, on disk when this returns; into the room that ``take_room`` took, if it did.

    Raises:
        OSError: the disk does not take it.
    """
    data = json.dumps(value).encode()
    descriptor = os.open(path + ".new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.pwrite(descriptor, data, 0) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(descriptor, len(data))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(path + ".new", path)  # noqa: PTH105


def agent_there(descriptor: int) -> bool:
    """True while a process holds the agent's lock (asked without taking it)."""
    told = fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(FLOCK, fcntl.F_WRLCK, 0, 0, 0, 0))
    return bool(struct.unpack(FLOCK, told)[0] != fcntl.F_UNLCK)


class Output:
    """Two files with the last of what was said: ``path`` of at most ``limit`` bytes, and before it ``path.1`` of ``limit`` bytes.

    What the disk cannot take is dropped.
    """

    def __init__(self, path: str, limit: int) -> None:
        self._path, self._limit, self._size, self.tail = path, limit, 0, b""
        self._file = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def take(self, piece: bytes) -> None:
        """Keep a piece."""
        self.tail = (self.tail + piece)[-TAIL_BYTES:]
        with contextlib.suppress(OSError):  # the disk is full: the job goes on
            while piece:
                if self._size >= self._limit:
                    self._begin_again()
                written = os.write(self._file, piece[: self._limit - self._size])
                self._size, piece = self._size + written, piece[written:]

    def _begin_again(self) -> None:
        """The full file becomes the older one."""
        with contextlib.suppress(FileNotFoundError):  # it was renamed before, and then the disk was full
            os.replace(self._path, self._path + ".1")  # noqa: PTH105
        fresh = self._open()
        os.close(self._file)
        self._file, self._size = fresh, 0


def become_job(order: dict[str, Any], output: int, may_begin: int) -> None:
    """In the child: session, cgroup, user, signals, a word of the keeper, limits, the program; comes back by an error only."""
    os.setsid()
    if order["cgroup"]:
        put(order["cgroup"] + "/cgroup.procs", "0")
    if order["user"]:
        entry = pwd.getpwnam(order["user"])
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which clears it
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(order["cwd"])
    if os.read(may_begin, 1) != b"!":
        os._exit(1)  # the keeper is gone, or could not write down that the job begins
    for name, value in order["limits"].items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (most, most))
    os.execve(order["argv"][0], order["argv"], order["env"])  # noqa: S606


def start(order: dict[str, Any], output: int) -> dict[str, Any]:
    """Fork the job, write down who it is, then let its program begin.

    Returns:
        What was written: ids and starts of job and keeper, the run, and its cgroup (empty without one).

    Raises:
        OSError: it could not be started; nothing of it is left, and nothing is written.
    """
    take_room(order["folder"] + "/exit.json")
    told, tell = os.pipe2(os.O_CLOEXEC)
    may_begin, begin = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            os.close(begin)  # only the keeper's end may be left, so that its death ends the wait
            become_job(order, output, may_begin)
        except BaseException as error:  # noqa: BLE001 (the child must never come back)
            code = error.errno if isinstance(error, OSError) and error.errno else 0
            os.write(tell, f"{code} {error}".encode())
        os._exit(127)
    os.close(tell)
    os.close(may_begin)
    about = {
        "run": order["run"],
        "pid": pid,
        "start": start_time(pid),
        "keeper": os.getpid(),
        "keeper_start": start_time(os.getpid()),
        "cgroup": order["cgroup"],
    }
    path, text = order["folder"] + "/run.json", ""
    try:
        write_json(path, about)
        with contextlib.suppress(BrokenPipeError):  # it has ended, and the other pipe tells why
            os.write(begin, b"!")
    except OSError as error:
        text = f"{error.errno or 0} {error}"
    os.close(begin)
    with os.fdopen(told, "rb") as pipe:
        text = text or pipe.read().decode(errors="replace")
    if text:
        os.waitpid(pid, 0)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108
        number, _, message = text.partition(" ")
        raise OSError(int(number), os.strerror(int(number)) if int(number) else message)
    return about


def pause(order: dict[str, Any]) -> None:
    """Stop the job because no agent is there, and write when (if the disk takes it)."""
    try:
        if not order["cgroup"]:
            raise FileNotFoundError(order["folder"])
        put(order["cgroup"] + "/cgroup.freeze", "1")
    except OSError:
        signal_all(descendants(os.getpid()), signal.SIGSTOP)
    with contextlib.suppress(OSError):
        write_json(order["folder"] + "/alone.json", {"at": time.monotonic()})


def write_end(path: str, about: dict[str, Any]) -> None:
    """Write how the job ended; a disk that does not take it gets time.

    Raises:
        OSError: it did not take it for ``DISK_S``.
    """
    until = time.monotonic() + DISK_S
    while time.monotonic() < until:
        try:
            return write_json(path, about)
        except OSError:
            time.sleep(LOOK_S)
    return write_json(path, about)


def keep(order: dict[str, Any], pid: int, pipe: int, agent: int, output: Output) -> tuple[int, float]:
    """Wait for the end of the job and take its output; exit code (negative: signal), computing time."""
    poll, pidfd = select.poll(), os.pidfd_open(pid)
    poll.register(pidfd, select.POLLIN)
    poll.register(pipe, select.POLLIN)
    seen, paused = time.monotonic(), False
    while True:
        ready = {descriptor for descriptor, _ in poll.poll(1000 * LOOK_S)}
        if pipe in ready:
            piece = os.read(pipe, 65536)
            output.take(piece)
            if not piece:
                poll.unregister(pipe)
        if pidfd in ready:
            break
        if agent_there(agent):
            seen, paused = time.monotonic(), False
        elif not paused and time.monotonic() > seen + order["alone_s"]:
            pause(order)
            paused = True
    end_rest(order, pid)
    os.set_blocking(pipe, False)
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(pipe, 65536):
            output.take(piece)
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def end_rest(order: dict[str, Any], pid: int) -> None:
    """Kill what the job left behind: its cgroup, else everything that was handed down to us; the job itself stays a zombie."""
    until = time.monotonic() + DEATH_S
    while time.monotonic() < until:
        if order["cgroup"]:
            with contextlib.suppress(OSError):
                put(order["cgroup"] + "/cgroup.kill", "1")
        rest = descendants(os.getpid())
        if not rest:
            break
        signal_all(rest, signal.SIGKILL)
        time.sleep(0.005)
    with contextlib.suppress(ChildProcessError):
        while True:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None or dead.si_pid == pid:
                break
            os.waitpid(dead.si_pid, 0)


def main() -> int:
    """Carry out the order."""
    order = json.load(sys.stdin)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    os.set_inheritable(order["lock"], False)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    pipe, end = os.pipe2(os.O_CLOEXEC)
    try:
        output = Output(order["folder"] + "/output", order["output_bytes"])
        agent = os.open(order["agent_lock"], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        about = start(order, end)
    except OSError as error:
        print(json.dumps({"error": error.strerror or str(error)}), flush=True)
        return 1
    os.close(end)
    with contextlib.suppress(OSError):  # the agent has died meanwhile
        print(json.dumps(about), flush=True)
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    code, cpu_s = keep(order, about["pid"], pipe, agent, output)
    ended = {"exit_code": code, "cpu_s": cpu_s, "tail": output.tail.decode("utf-8", "replace")}
    write_end(order["folder"] + "/exit.json", about | ended)
    if order["cgroup"]:
        with contextlib.suppress(OSError):
            os.rmdir(order["cgroup"])  # noqa: PTH106
    return 0


if __name__ == "__main__":
    sys.exit(main())
