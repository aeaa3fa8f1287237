"""A private Mosquitto on loopback: found, configured, started, and surely stopped.

It lives in a temporary folder of its own with generated passwords and an access list: the controller may write commands and
read answers and states; each node may read its own commands and write its own answers and state; nobody is anonymous. A small
guard process (``ozzo.guard``) owns it, so it ends with the controller however that dies. Settings: see ``_settings``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from grid.errors import TransportError
from ozzo import guard
from ozzo.commands import MAX_BYTES, Channel, label, topic
from ozzo.environment import child_environment
from ozzo.mqtt import Endpoint

CONTROLLER = "controller"
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


def password_line(user: str, password: str) -> str:
    """A line of Mosquitto's password file: ``user:$7$iterations$salt$hash``, PBKDF2 with SHA-512 (mosquitto_passwd(1))."""
    salt, iterations = secrets.token_bytes(12), 101
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, dklen=64)
    return f"{user}:$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(derived).decode()}\n"


def access_list(scenario: str, nodes: Iterable[str]) -> str:
    """Mosquitto's access list: what each user may read and write; all else is denied."""
    lines = [
        f"user {CONTROLLER}",
        f"topic write {topic(scenario, '+', Channel.COMMAND)}",
        f"topic read {topic(scenario, '+', Channel.ACK)}",
        f"topic read {topic(scenario, '+', Channel.STATE)}",
    ]
    for node in nodes:
        lines += [
            "",
            f"user {label(node)}",
            f"topic read {topic(scenario, node, Channel.COMMAND)}",
            f"topic write {topic(scenario, node, Channel.ACK)}",
            f"topic write {topic(scenario, node, Channel.STATE)}",
        ]
    return "\n".join(lines) + "\n"


def free_port() -> int:
    """A port that was free on loopback a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
        self._guard: subprocess.Popen[str] | None = None
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
        owner = ""
        if os.geteuid() == 0:
            owner = "mosquitto" if any(entry.pw_name == "mosquitto" for entry in pwd.getpwall()) else ""
        passwords = "".join(password_line(label(user), secret) for user, secret in self._passwords.items())
        files = {
            "passwords": passwords,
            "access": access_list(self._scenario, self._nodes),
            "mosquitto.conf": self._settings(as_root=os.geteuid() == 0 and not owner),
        }
        for name, text in files.items():
            path = self.folder / name
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")
        if owner:
            entry = pwd.getpwnam(owner)
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        return owner

    def _settings(self, *, as_root: bool) -> str:
        """What each setting is for, with measurements: docs/decisions/0007-broker-settings.md."""
        lines = [
            "per_listener_settings false",
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous false",
            "use_username_as_clientid true",  # nobody can take over the session of another user
            f"password_file {self.folder}/passwords",
            f"acl_file {self.folder}/access",
            "persistence true",
            f"persistence_location {self.folder}/",
            "autosave_on_changes false",
            "autosave_interval 5",
            "max_inflight_messages 100",
            "max_queued_messages 10000",
            f"max_packet_size {4 * MAX_BYTES}",
            "set_tcp_nodelay true",
            f"log_dest file {self.folder}/log",
            "log_type error",
            "log_type warning",
        ]
        if as_root:
            lines.append("user root")
        return "\n".join(lines) + "\n"

    def _launch(self, user: str) -> None:
        """Start the guard, which starts the broker."""
        self._guard = subprocess.Popen(  # noqa: S603
            [sys.executable, "-S", "-E", guard.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=child_environment(),
        )
        argv = [self._program, "-c", str(self.folder / "mosquitto.conf")]
        self._order({"argv": argv, "folder": str(self.folder), "user": user})
        if self._guard.stdout is None:
            raise TransportError("the guard has no output")
        answer = self._guard.stdout.readline()
        if not answer:
            raise TransportError(f"the guard could not start {self._program}")
        told = json.loads(answer)
        if "error" in told:
            raise TransportError(f"{self.description} did not start: {told['error']}")
        self.pid = int(told["pid"])

    def _order(self, order: dict[str, object]) -> None:
        if self._guard is None or self._guard.stdin is None:
            raise TransportError("the broker is not running")
        self._guard.stdin.write(json.dumps(order) + "\n")
        self._guard.stdin.flush()

    def watch(self, session: int) -> None:
        """When the broker ends, whatever is left of this session is killed (a node agent is a session leader)."""
        self._order({"session": session})

    def _accepts(self) -> bool:
        """Wait until the port answers; False when the broker ended or time is up."""
        until = time.monotonic() + self._timeout_s
        while time.monotonic() < until and self.pid in guard.members(self._guard.pid if self._guard else 0):
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
                    return True
            except OSError:
                time.sleep(0.02)
        return False

    def _last_words(self) -> str:
        log = self.folder / "log"
        return log.read_text(encoding="utf-8", errors="replace")[-500:].strip() if log.exists() else "it wrote no log"

    def stop(self) -> None:
        """Stop the broker and remove its folder; twice does no harm."""
        process, self._guard = self._guard, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(3 * guard.GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                guard.end_sessions([process.pid], 0.0)
            if process.stdout is not None:
                process.stdout.close()
        if self.folder.name.startswith("ozzo-broker-"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
