"""A private Mosquitto on loopback: found, configured, started, and surely stopped.

It lives in a temporary folder of its own with generated passwords and an access list: the controller may write commands and
read answers and states; each node may read its own commands and write its own answers and state; nobody is anonymous. A small
guard process (``ozzo.guard``) owns it, so it ends with the controller however that dies. A broker that stays: ``ozzo.standing``.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from grid.errors import TransportError
from ozzo.broker_files import CONTROLLER, Listener, access_list, password_line, settings
from ozzo.commands import label
from ozzo.environment import child_environment
from ozzo.guarded import Guarded
from ozzo.mqtt import Endpoint
from ozzo.private import hand_over

PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/sbin")
"""Where to look beside ``PATH``: Debian puts the broker into ``/usr/sbin``, which is not on a user's path."""


def find_mosquitto() -> str | None:
    """Path of the broker's program, or None when it is not installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=os.pathsep.join(PLACES))


def mosquitto_version(program: str) -> str:
    """Version of the broker's program, ``unknown`` when it does not say."""
    told = subprocess.run([program, "-h"], capture_output=True, text=True, check=False, timeout=10, env=child_environment())  # noqa: S603
    found = re.search(r"mosquitto version (\S+)", told.stdout)
    return found.group(1) if found else "unknown"


def free_port() -> int:
    """A port that was free on loopback a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def broker_user() -> str:
    """User that the broker runs as: Debian's ``mosquitto`` when we are root and it exists, else the present one (empty)."""
    if os.geteuid() != 0:
        return ""
    return "mosquitto" if any(entry.pw_name == "mosquitto" for entry in pwd.getpwall()) else ""


def listens(pid: int, port: int) -> bool:
    """True when process ``pid`` itself listens on TCP port ``port`` (``/proc/PID/fd`` and ``/proc/PID/net/tcp``, proc(5))."""
    sockets, rows = set(), []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                sockets.add(str(entry.readlink()))
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a machine without IPv6
            rows += [line.split() for line in Path(f"/proc/{pid}/net/{name}").read_text(encoding="ascii").splitlines()[1:]]
    listening = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    return bool(sockets & listening)


def accepts(host: str, port: int, guarded: Guarded, timeout_s: float) -> bool:
    """Wait until our broker takes connections; False when it ended or time is up. Another program on that port does not count."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until and guarded.runs():
        if listens(guarded.broker_pid, port):
            try:
                with socket.create_connection((host, port), timeout=1.0):
                    return guarded.runs()
            except OSError:
                pass  # it begins to listen
        time.sleep(0.02)
    return False


class Broker:
    """A running broker; use it as a context manager.

    Attributes:
        port: where it listens on 127.0.0.1.
        version: of Mosquitto.
        folder: its private folder.
        pid: of the broker process.
    """

    def __init__(self, scenario: str, nodes: Iterable[str], *, program: str | None = None, timeout_s: float = 10.0) -> None:
        """Prepare; nothing is started before ``start`` (or entering the context).

        Args:
            scenario: name in the topics.
            nodes: names of the nodes that get a user.
            program: path of Mosquitto, found when not given.
            timeout_s: how long to wait until it accepts connections.

        Raises:
            TransportError: Mosquitto is not installed, or two names become the same user.
        """
        found = program or find_mosquitto()
        if found is None:
            raise TransportError("mosquitto is not installed (Debian: apt install mosquitto)")
        self._program, self._scenario, self._nodes, self._timeout_s = found, scenario, tuple(nodes), timeout_s
        if CONTROLLER in self._nodes or len(set(self._nodes)) < len(self._nodes):
            raise TransportError(f"node names must be unique and none may be {CONTROLLER!r}")
        self._passwords = {user: secrets.token_urlsafe(24) for user in (CONTROLLER, *self._nodes)}
        self._guard: Guarded | None = None
        self.version = mosquitto_version(found)
        self.port, self.pid = 0, 0
        self.folder = Path()

    @property
    def description(self) -> str:
        """Name and version for reports."""
        return f"mosquitto {self.version}"

    def endpoint(self, user: str) -> Endpoint:
        """Where and with which password ``user`` (a node, or ``controller``) connects."""
        return Endpoint("127.0.0.1", self.port, label(user), self._passwords[user])

    def start(self) -> Self:
        """Start it and wait until it accepts connections.

        Raises:
            TransportError: it ended at once on several ports, or did not accept in time.
        """
        said = ""
        for _ in range(5):  # the free port may be taken by somebody else in between
            self.folder = Path(tempfile.mkdtemp(prefix="ozzo-broker-"))
            try:
                self.port = free_port()
                self._launch(self._write_files())
                if self._accepts():
                    return self
                said = self._last_words()
            except BaseException:
                self.stop()
                raise
            self.stop()
        raise TransportError(f"{self.description} did not start: {said}")

    def _write_files(self) -> str:
        """Write configuration, passwords and access list; returns the user to run as, empty for the present one."""
        owner = broker_user()
        listener = Listener("127.0.0.1", self.port)
        files = {
            "passwords": "".join(password_line(label(user), secret) for user, secret in self._passwords.items()),
            "access": access_list(self._scenario, self._nodes),
            "mosquitto.conf": settings(self.folder, listener, as_root=os.geteuid() == 0 and not owner),
        }
        for name, text in files.items():
            path = self.folder / name
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")
        hand_over(owner, self.folder, *self.folder.iterdir())
        return owner

    def _launch(self, user: str) -> None:
        """Start the guard, which starts the broker."""
        argv = [self._program, "-c", str(self.folder / "mosquitto.conf")]
        self._guard = Guarded(argv, user=user, folder=self.folder)
        self.pid = self._guard.broker_pid

    def watch(self, session: int) -> None:
        """When the broker ends, whatever is left of this session is killed (a node agent is a session leader)."""
        if self._guard is None:
            raise TransportError("the broker is not running")
        self._guard.watch(session)

    def _accepts(self) -> bool:
        """Wait until the port answers; False when the broker ended or time is up."""
        return self._guard is not None and accepts("127.0.0.1", self.port, self._guard, self._timeout_s)

    def _last_words(self) -> str:
        log = self.folder / "log"
        return log.read_text(encoding="utf-8", errors="replace")[-500:].strip() if log.exists() else "it wrote no log"

    def stop(self) -> None:
        """Stop the broker and remove its folder; twice does no harm."""
        guarded, self._guard = self._guard, None
        if guarded is not None:
            guarded.stop()
        if self.folder.name.startswith("ozzo-broker-"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
