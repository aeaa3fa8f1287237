"""The keeper of one job: a small program between agent and job, so that the job outlives the agent and its end is never lost.

Run as ``python -S -E keeper.py`` with standard library imports only; the order comes as JSON on standard input. It starts the job
(own session, own cgroup where there is one, limits, user, folder), answers with one line ``{"pid": ..., "start": ...}`` or
``{"error": ...}``, takes the job's output into a bounded file, and writes ``exit.json`` when the job is over and all that it had
started is gone. It adopts whatever forks away (PR_SET_CHILD_SUBREAPER, prctl(2)). When no agent has been there for ``alone_s``
seconds it pauses the job: nobody could hold it under a cap. ``lock`` in its folder is locked for as long as it lives.
"""

from __future__ import annotations

import contextlib
import ctypes
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


def signal_all(pids: list[int], number: int) -> None:
    """Send a signal to each; who is gone is gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def write_json(path: str, value: dict[str, Any]) -> None:
    """Write a file whole or not at all, on disk when this returns."""
    with open(path + ".new", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)  # noqa: PTH105


def agent_there(descriptor: int) -> bool:
    """True while a process holds the agent's lock (asked without taking it)."""
    told = fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(FLOCK, fcntl.F_WRLCK, 0, 0, 0, 0))
    return bool(struct.unpack(FLOCK, told)[0] != fcntl.F_UNLCK)


class Output:
    """A file that holds the last ``limit`` to two times ``limit`` bytes; what the disk cannot take is dropped."""

    def __init__(self, path: str, limit: int) -> None:
        self._path, self._limit, self._size, self.tail = path, limit, 0, b""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def take(self, piece: bytes) -> None:
        """Keep a piece."""
        self.tail = (self.tail + piece)[-TAIL_BYTES:]
        with contextlib.suppress(OSError):  # the disk is full: the job goes on
            if self._size > self._limit:
                os.replace(self._path, self._path + ".1")  # noqa: PTH105
                os.close(self._file)
                self._file, self._size = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), 0
            self._size += os.write(self._file, piece[-self._limit :])


def become_job(order: dict[str, Any], output: int) -> None:
    """In the child: session, cgroup, limits, user, signals, then the program; only comes back by an error."""
    os.setsid()
    if order["cgroup"]:
        with open(order["cgroup"] + "/cgroup.procs", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write("0")
    for name, value in order["limits"].items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (most, most))
    if order["user"]:
        entry = pwd.getpwnam(order["user"])
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which clears it
    if parent == 1:
        os._exit(1)
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(order["cwd"])
    os.execve(order["argv"][0], order["argv"], order["env"])  # noqa: S606


def start(order: dict[str, Any], output: int) -> int:
    """Fork the job; its process id.

    Raises:
        OSError: it could not be started.
    """
    told, tell = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            become_job(order, output)
        except BaseException as error:  # noqa: BLE001 (the child must never come back)
            code = error.errno if isinstance(error, OSError) and error.errno else 0
            os.write(tell, f"{code} {error}".encode())
        os._exit(127)
    os.close(tell)
    with os.fdopen(told, "rb") as pipe:
        text = pipe.read().decode(errors="replace")
    if text:
        os.waitpid(pid, 0)
        number, _, message = text.partition(" ")
        raise OSError(int(number), os.strerror(int(number)) if int(number) else message)
    return pid


def pause(order: dict[str, Any]) -> None:
    """Stop the job because no agent is there, and write when."""
    if order["cgroup"]:
        with open(order["cgroup"] + "/cgroup.freeze", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write("1")
    else:
        signal_all(descendants(os.getpid()), signal.SIGSTOP)
    write_json(order["folder"] + "/alone.json", {"at": time.monotonic()})


def keep(order: dict[str, Any], pid: int, pipe: int) -> tuple[int, float, bytes]:
    """Wait for the end of the job and take its output; exit code (negative: signal), computing time, end of the output."""
    output = Output(order["folder"] + "/output", order["output_bytes"])
    agent = os.open(order["agent_lock"], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, output.tail


def end_rest(order: dict[str, Any], pid: int) -> None:
    """Kill what the job left behind: its cgroup, else everything that was handed down to us; the job itself stays a zombie."""
    until = time.monotonic() + DEATH_S
    while time.monotonic() < until:
        if order["cgroup"]:
            with contextlib.suppress(OSError), open(order["cgroup"] + "/cgroup.kill", "w", encoding="ascii") as file:  # noqa: PTH123
                file.write("1")
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
    pipe, output = os.pipe2(os.O_CLOEXEC)
    try:
        pid = start(order, output)
    except OSError as error:
        print(json.dumps({"error": error.strerror or str(error)}), flush=True)
        return 1
    os.close(output)
    about = {
        "run": order["run"],
        "pid": pid,
        "start": start_time(pid),
        "keeper": os.getpid(),
        "keeper_start": start_time(os.getpid()),
    }
    write_json(order["folder"] + "/run.json", about)
    with contextlib.suppress(OSError):  # the agent has died meanwhile
        print(json.dumps(about), flush=True)
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    code, cpu_s, tail = keep(order, pid, pipe)
    about |= {"exit_code": code, "cpu_s": cpu_s, "tail": tail.decode("utf-8", "replace")}
    write_json(order["folder"] + "/exit.json", about)
    if order["cgroup"]:
        with contextlib.suppress(OSError):
            os.rmdir(order["cgroup"])  # noqa: PTH106
    return 0


if __name__ == "__main__":
    sys.exit(main())
