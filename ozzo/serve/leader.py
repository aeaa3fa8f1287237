"""Who may speak: one controller at a time, by a lease in the state; a standby takes over when it has run out.

The holder renews the lease from a thread of its own. A controller that stood still for longer than its lease (SIGSTOP, a machine
that slept) never speaks again, whether or not another has taken over: it cannot know what became of the world. What it had
already handed to the network is refused by the nodes, whose fence is at the epoch of its successor.

A lock on a file of its own, held for as long as the process lives, tells a dead holder at once; while it is locked (a holder that
lives, or is only stopped) a successor waits for the end of the lease. The file has the holder's name, so the death of one that
had lost the lease before says nothing about who has it now.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from ozzo.serve.state import FILE, ServeState

LEASE_S = 10.0
"""Wall seconds for which a controller may speak without having renewed its lease; below that of its commands (15 s)."""


def steady_s() -> float:
    """Seconds that never go back and count while the machine sleeps (CLOCK_BOOTTIME, clock_gettime(2))."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def lock_file(folder: Path, name: str) -> Path:
    """What a controller of this name has locked while it lives."""
    return folder / f"leader-{name}.lock"


def is_dead(folder: Path, name: str) -> bool:
    """True when the process of a controller is gone without having given the lease back."""
    try:
        descriptor = os.open(lock_file(folder, name), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # not known here; its lease will tell
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


class Leadership:
    """The lease of one controller; use ``take`` or ``wait``, then ``keep``; ``close`` gives it back.

    Attributes:
        lost: why this controller may not speak any more, or empty.
    """

    def __init__(self, folder: Path, lease_s: float = LEASE_S) -> None:
        self._folder, self._lease_s = folder, lease_s
        self._name = f"{os.getpid()}-{uuid4().hex[:8]}"
        self._state = ServeState.open(folder / FILE)
        self._file = lock_file(folder, self._name)
        self._lock: int | None = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._renewed_s = 0.0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost = ""

    def take(self) -> bool:
        """Take the lease if its holder is dead or it has run out; True when it is ours."""
        held = self._state.holder()
        dead = held if held is not None and is_dead(self._folder, held) else None
        began_s, now = steady_s(), time.time()
        free = self._state.claim(self._name, os.getpid(), now + self._lease_s, now, dead=dead)
        if free:
            self._renewed_s = began_s
            if dead is not None:
                lock_file(self._folder, dead).unlink(missing_ok=True)
        return free

    def wait(self, stop: threading.Event, look_s: float = 0.5) -> bool:
        """Wait until it can be taken; False when ``stop`` came first."""
        while not self.take():
            if stop.wait(look_s):
                return False
        return True

    def keep(self, on_loss: Callable[[str], None]) -> None:
        """Renew it from a thread; ``on_loss`` is called there once, with the reason."""
        self._thread = threading.Thread(target=self._renew_on, args=(on_loss,), name="leader", daemon=True)
        self._thread.start()

    def check(self) -> str:
        """Why nothing may be said now, or empty; looks at the clock, so it is right the moment a stopped process goes on."""
        stood_s = steady_s() - self._renewed_s
        if not self.lost and stood_s > self._lease_s:
            self.lost = (
                f"this controller stood still for {stood_s:.0f} s, longer than its lease of {self._lease_s:g} s: "
                "another may have taken over; it falls silent and leaves"
            )
        return self.lost

    def renew(self) -> str:
        """Renew it once; why it is lost, or empty."""
        if self.check():
            return self.lost
        now_s = steady_s()
        if self._state.hold(self._name, time.time() + self._lease_s):
            self._renewed_s = now_s
        else:
            held = self._state.leader()
            by = f"process {held[0]}" if held else "nobody"
            self.lost = f"another controller has taken over ({by} holds the lease); this one falls silent and leaves"
        return self.lost

    def _renew_on(self, on_loss: Callable[[str], None]) -> None:
        while not self._over.wait(self._lease_s / 5):
            try:
                self.renew()
            except sqlite3.Error as error:
                self.lost = f"the state cannot be written ({error}): this controller falls silent and leaves"
            if self.lost:
                on_loss(self.lost)
                return

    def close(self) -> None:
        """Give it back; twice does no harm."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        try:
            if self._lock is not None:
                self._state.give_back(self._name)
        finally:
            if self._lock is not None:
                self._file.unlink(missing_ok=True)
                os.close(self._lock)
                self._lock = None
            self._state.close()
