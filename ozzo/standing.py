"""A Mosquitto that stays: ``ozzo broker``. Passwords, certificates and messages outlive it; when it dies it is started again.

::

    DIR/ca/          authority and server certificate (with TLS); the broker cannot read the authority's key
    DIR/mosquitto/   settings, hashed passwords, access list, snapshot, log: all that the broker's user may read
    DIR/controller/  the controller's credentials and its epochs
    DIR/broker.json  where it listens

It listens beyond loopback with TLS only, with users of this scenario only, and with no password that is a default somewhere.
A password stands in clear in the folder of its user alone; here there are hashes. Decision 0012.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from grid.errors import Finding, InputError, TransportError
from ozzo.address import Place
from ozzo.authority import ServerFiles, server_files, wrong_names
from ozzo.broker import accepts, broker_user, find_mosquitto, free_port, mosquitto_version
from ozzo.broker_files import CONTROLLER, Listener, access_list, is_default, opens, password_line, settings, users_of, weak_users
from ozzo.commands import label
from ozzo.credentials import read_json_object, write_credentials
from ozzo.guarded import Guarded
from ozzo.mqtt import Endpoint
from ozzo.private import closed_to, hand_over, locked, own_text, read_private, write_private

LOOK_S = 0.5
"""Time between two looks at the broker and its files."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Pause before a dead broker is started again: the first, and after many deaths in a row."""
MARK = ".ozzo-broker"
"""File that says that a folder is a broker's, made by ``ozzo broker``."""
LOG_BYTES = 5_000_000
"""A log that is larger when the broker starts becomes ``log.old``."""


class StandingBroker:
    """A broker with a folder of its own; use it as a context manager.

    Attributes:
        host, port: under which nodes reach it.
        tls: it speaks TLS only.
        version: of Mosquitto.
        pid: of the broker process, 0 while it is down.
        restarts: how often it was started again.
    """

    def __init__(
        self, scenario: str, nodes: Iterable[str], folder: Path, place: Place, *, tls: bool = False, names: Iterable[str] = ()
    ) -> None:
        """Prepare; nothing listens before ``start``.

        Args:
            scenario: name in the topics.
            nodes: names of the nodes that may have a user; each gets its password by ``ozzo enrol``.
            folder: private folder, made when missing.
            place: where to listen.
            tls: also on loopback; beyond it always.
            names: host names or addresses under which nodes reach it, the one to tell them first.

        Raises:
            TransportError: Mosquitto is not installed.
        """
        found = find_mosquitto()
        if found is None:
            raise TransportError("mosquitto is not installed (Debian: apt install mosquitto)")
        self._program, self._scenario, self._nodes = found, scenario, tuple(nodes)
        self.folder, self._place, self.tls = folder.resolve(), place, tls or not place.loopback
        self._names, self._own = tuple(names), self.folder / "mosquitto"
        self.host = next(iter(self._names), socket.gethostname() if place.everywhere else place.host)
        self.port, self.pid, self.restarts = place.port, 0, 0
        self.version = mosquitto_version(found)
        self._guarded: Guarded | None = None
        self._seen: tuple[int, ...] = ()
        self._owner = broker_user()

    @property
    def description(self) -> str:
        """Name, version and place, for people."""
        return f"mosquitto {self.version} on {self._place.host}:{self.port}, {'TLS only' if self.tls else 'loopback without TLS'}"

    def prepare(self) -> None:
        """Write all files, and refuse to go on when something would stand open.

        Raises:
            InputError: the folder cannot be used, a certificate is broken, or a user has a default password.
        """
        wrong = wrong_names(self._names)
        if wrong:
            raise InputError(wrong)
        self._take_folder()
        self.folder.chmod(0o711 if self._owner else 0o700)  # the broker's user may pass through, not look around
        self._own.mkdir(mode=0o700, exist_ok=True)
        if self._owner:
            self._reachable()
        with locked(self.folder):
            self._choose_port()
            files = self._certificates() if self.tls else None
            self._write_users(files.root if files else None)
            self._write(files)

    def _take_folder(self) -> None:
        """Make the folder, or go on with our own; any other, unless it is empty, is left as it is.

        Raises:
            InputError: it is something else, somebody else's, or that of another scenario's broker.
        """
        found, mark = "", self.folder / MARK
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.folder.stat().st_uid != os.geteuid():
                found = f"a folder of user number {self.folder.stat().st_uid}"
            elif not mark.is_file() and any(not path.name.startswith(f".{MARK}") for path in self.folder.iterdir()):
                found = "a folder with something else in it"
        except OSError as error:
            found = error.strerror or ""
        record = self.folder / "broker.json"
        if not found and record.exists():
            other = read_json_object(record, "the record of this broker").get("scenario")
            found = "" if other == self._scenario else f"the folder of the broker of scenario {other!r}"
        if found:
            expected = "an empty or new folder, or one that 'ozzo broker' made for this scenario"
            raise InputError([Finding("(command line)", None, "--dir", f"{self.folder}: {found}", expected)])
        if not mark.exists():
            write_private(mark, "A folder of 'ozzo broker'. Its files are rewritten when the broker starts.\n")

    def _reachable(self) -> None:
        """The broker's user must be able to enter every folder above its own."""
        closed = closed_to(self._owner, self.folder)
        if closed is not None:
            found = f"{closed}, which user {self._owner} cannot enter"
            raise InputError(
                [Finding("(command line)", None, "--dir", found, "a folder that it can reach, such as one in /var/lib")]
            )

    def _choose_port(self) -> None:
        """A free port when 0 was asked for: the one of the last time, because nodes were told it, else any."""
        record = self.folder / "broker.json"
        if self._place.port == 0:
            last = read_json_object(record, "the record of this broker").get("port") if record.exists() else None
            self.port = last if isinstance(last, int) and _free(self._place.host, last) else free_port()
        told = {"scenario": self._scenario, "host": self.host, "port": self.port, "tls": self.tls}
        write_private(record, json.dumps(told, indent=1) + "\n")

    def _certificates(self) -> ServerFiles:
        names = [*self._names, self.host, "localhost", "127.0.0.1", "::1"]
        return server_files(self.folder / "ca", f"ozzo {self._scenario}", names)

    def _write_users(self, root: Path | None) -> None:
        """Passwords of this scenario's users; the controller keeps its own if it has one. Refuses default passwords."""
        file = self._own / "passwords"
        text = own_text(file)
        weak = weak_users(text)
        if weak:
            expected = "passwords that 'ozzo enrol' makes; nothing listens with a default one"
            raise InputError([Finding(str(file), None, user, "a default password, or none", expected) for user in weak])
        lines = {user: line + "\n" for user, line in users_of(text).items() if user in {label(node) for node in self._nodes}}
        secret = self.folder / "controller" / "password"
        password = secrets.token_urlsafe(24)
        if secret.exists():
            password = read_private(secret, "the controller's password").partition("\n")[0].strip()
            if is_default(CONTROLLER, password):
                expected = "one that nobody guesses, or no file: then one is made; nothing listens with a default password"
                raise InputError([Finding(str(secret), None, "", "a default password, or none", expected)])
        line = users_of(text).get(CONTROLLER, "")
        lines[CONTROLLER] = line + "\n" if line and opens(line, password) else password_line(CONTROLLER, password)
        endpoint = Endpoint(self.host, self.port, CONTROLLER, password, tls=self.tls)
        write_private(file, "".join(lines.values()))
        write_credentials(self.folder / "controller", self._scenario, endpoint, root)

    def _write(self, files: ServerFiles | None) -> None:
        """Access list, settings and copies of the certificate, all for the broker's user."""
        listener = Listener(self._place.host, self.port)
        if files is not None:
            listener = Listener(self._place.host, self.port, self._own / "server.pem", self._own / "server.key")
            write_private(self._own / "server.pem", files.certificate.read_text(encoding="ascii"))
            write_private(self._own / "server.key", files.key.read_text(encoding="ascii"))
        write_private(self._own / "access", access_list(self._scenario, self._nodes))
        write_private(self._own / "mosquitto.conf", settings(self._own, listener, as_root=os.geteuid() == 0 and not self._owner))
        hand_over(self._owner, self._own, *self._own.iterdir())

    def start(self) -> Self:
        """Write the files, start the broker and wait until it takes connections.

        Raises:
            InputError: see ``prepare``.
            TransportError: it did not start.
        """
        self.prepare()
        self._launch()
        return self

    def _launch(self) -> None:
        log = self._own / "log"
        if log.exists() and log.lstat().st_size > LOG_BYTES:
            log.replace(log.with_name("log.old"))
        self._seen = self._stamps()
        self._guarded = Guarded([self._program, "-c", str(self._own / "mosquitto.conf")], user=self._owner)
        host = self._place.host if not self._place.everywhere else ("::1" if ":" in self._place.host else "127.0.0.1")
        if not accepts(host, self.port, self._guarded, 10.0):
            said = own_text(log)[-500:].strip() or "it wrote no log"
            self.stop()
            if not _free(self._place.host, self.port):
                said = f"port {self.port} is taken by another program; {said}"
            raise TransportError(f"{self.description} did not start: {said}")
        self.pid = self._guarded.broker_pid

    def _stamps(self) -> tuple[int, ...]:
        return tuple((self._own / name).stat().st_mtime_ns for name in ("passwords", "access"))

    def look(self) -> bool:
        """Let the broker read changed passwords (it throws out whose password is gone); True while it lives."""
        if self._guarded is None or not self._guarded.runs():
            return False
        stamps = self._stamps()
        if stamps != self._seen:
            os.kill(self.pid, signal.SIGHUP)
            self._seen = stamps
        return True

    def serve(self, stop: threading.Event, say: Callable[[str], None]) -> None:
        """Watch over the broker until ``stop``, and start it again when it dies.

        Args:
            stop: set it to come back.
            say: takes a line for each death and each new start.
        """
        pause_s = FIRST_PAUSE_S
        looks = 0
        while not stop.wait(LOOK_S):
            if self.look():
                looks += 1
                pause_s = FIRST_PAUSE_S if looks * LOOK_S > LONGEST_PAUSE_S else pause_s
                continue
            looks = 0
            say(f"the broker (process {self.pid}) has ended; it is started again in {pause_s:g} s")
            self.stop()
            if stop.wait(pause_s):
                return
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            try:
                self._launch()
            except TransportError as error:
                say(str(error))
            else:
                self.restarts += 1
                say(f"the broker is back (process {self.pid}): {self.description}")

    def stop(self) -> None:
        """End the broker; its folder stays. Twice does no harm."""
        guarded, self._guarded = self._guarded, None
        self.pid = 0
        if guarded is not None:
            guarded.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def _free(host: str, port: int) -> bool:
    """True when nothing listens there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
