"""A small watchman beside the controller: it owns the broker process and tidies up when the controller is gone.

Run as ``python -S -E guard.py`` with standard library imports only. Line by line on standard input, JSON:
``{"argv": [...], "folder": "...", "user": "..."}`` first, then any number of ``{"session": pid}``. When standard input ends
(the controller closed it, or died in whatever way), it ends the broker, kills what is left in the sessions (node agents and
everything that they started), removes the folder, and leaves.
"""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from typing import IO

GRACE_S = 2.0
"""Time that the broker and the sessions get to leave by themselves."""


def die_with_parent() -> None:
    """In the child: usual signals again, and SIGKILL when the parent thread is gone (PR_SET_PDEATHSIG, see prctl(2)).

    It runs after the change of user, which would clear it.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def start_child(argv: list[str], user: str) -> subprocess.Popen[bytes]:
    """Start the broker, as ``user`` when one is given (then we are root)."""
    if not user:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)  # noqa: PLW1509, S603
    group = pwd.getpwnam(user).pw_gid
    return subprocess.Popen(  # noqa: S603
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509
        user=user,
        group=group,
        extra_groups=[],
    )


def members(session: int) -> list[int]:
    """Living processes of a session, read from ``/proc`` (field 6 of ``stat``, see proc(5)); zombies do not count."""
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 (pathlib is not worth its import here)
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                    state, _, _, sid = file.read().rpartition(")")[2].split()[:4]
            except (FileNotFoundError, ProcessLookupError):
                continue  # gone in the meantime
            if int(sid) == session and state != "Z":
                found.append(int(entry))
    return found


def end_sessions(sessions: list[int], grace_s: float = GRACE_S) -> None:
    """Wait for the sessions to empty, then kill what is left in them."""
    until = time.monotonic() + grace_s
    while any(members(session) for session in sessions) and time.monotonic() < until:
        time.sleep(0.05)
    for session in sessions:
        for pid in members(session):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def end_child(child: subprocess.Popen[bytes], grace_s: float = GRACE_S) -> None:
    """SIGTERM, then SIGKILL."""
    child.terminate()
    try:
        child.wait(grace_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def watch(orders: IO[str]) -> int:
    """Carry out the orders until they end; 0 when everything is tidy."""
    first = orders.readline()
    if not first:
        return 0
    start = json.loads(first)
    sessions: list[int] = []
    child = None
    try:
        if start["argv"]:
            try:
                child = start_child(start["argv"], start["user"])
            except OSError as error:
                print(json.dumps({"pid": 0, "error": str(error)}), flush=True)
                return 1
        print(json.dumps({"pid": child.pid if child else 0}), flush=True)
        for line in orders:
            sessions += [int(json.loads(line)["session"])]
    finally:
        end_sessions(sessions)
        if child is not None:
            end_child(child)
        if start["folder"]:
            shutil.rmtree(start["folder"], ignore_errors=True)
    return 0


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(watch(sys.stdin))
