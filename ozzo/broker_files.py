"""What Mosquitto reads: passwords, access list, settings. Text in, text out; files are written elsewhere.

Who may do what: the controller writes commands and reads answers and states; each node reads its own commands and writes its
own answers and state; nobody is anonymous. What each setting is for: docs/decisions/0007 and 0012.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ozzo.commands import MAX_BYTES, Channel, label, topic

CONTROLLER = "controller"
DEFAULTS = (
    *("", "admin", "broker", "changeme", "default", "guest", "mosquitto", "mqtt", "ozzo", "pass", "password", "public"),
    *("root", "secret", "test", "user", "123456", "12345678"),
)
"""Passwords that manuals and images come with, beside the user's own name: with one of them a broker must not be reachable."""
MOST_ITERATIONS = 10_000_000
"""More rounds than this are taken for a broken line: they would take seconds to try."""
ITERATIONS = 101
"""Rounds of PBKDF2 in Mosquitto's own password files; the passwords here are 192 random bits, so nobody guesses them anyway."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where the broker listens.

    Attributes:
        host: address of an interface (no name).
        port: TCP port.
        certificate, key: files for TLS, or None for none.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None

    def lines(self) -> list[str]:
        """Its settings."""
        lines = [f"listener {self.port} {self.host}"]
        if self.certificate is not None and self.key is not None:
            lines += [f"certfile {self.certificate}", f"keyfile {self.key}", "tls_version tlsv1.2"]  # that or later
        return lines


def _derived(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, dklen=64)


def password_line(user: str, password: str) -> str:
    """A line of Mosquitto's password file: ``user:$7$iterations$salt$hash``, PBKDF2 with SHA-512 (mosquitto_passwd(1))."""
    salt = secrets.token_bytes(12)
    derived = _derived(password, salt, ITERATIONS)
    return f"{user}:$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(derived).decode()}\n"


def users_of(passwords: str) -> dict[str, str]:
    """Line by user of a password file (without its line end)."""
    return {line.partition(":")[0]: line for line in passwords.splitlines() if ":" in line}


@dataclass(frozen=True, slots=True)
class _Hash:
    """What a line of the password file says of a password; ``iterations`` 0 for the older kind."""

    iterations: int
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, line: str) -> _Hash | None:
        """Read a line; None when it holds no hash of a known kind."""
        parts = line.partition(":")[2].split("$")
        try:
            if len(parts) == 5 and parts[1] == "7" and 1 <= int(parts[2]) <= MOST_ITERATIONS:
                return cls(int(parts[2]), base64.b64decode(parts[3], validate=True), base64.b64decode(parts[4], validate=True))
            if len(parts) == 4 and parts[1] == "6":  # Mosquitto before 1.6: one round of SHA-512
                return cls(0, base64.b64decode(parts[2], validate=True), base64.b64decode(parts[3], validate=True))
        except ValueError:  # no number, no base64
            return None
        return None

    def opens(self, password: str) -> bool:
        """True when it is that of ``password``."""
        if self.iterations:
            return hmac.compare_digest(_derived(password, self.salt, self.iterations), self.digest)
        return hmac.compare_digest(hashlib.sha512(password.encode() + self.salt).digest(), self.digest)


def opens(line: str, password: str) -> bool:
    """True when ``password`` is that of a line of the password file; false too for lines that hold no hash of a known kind."""
    found = _Hash.of(line)
    return found is not None and found.opens(password)


def is_default(user: str, password: str) -> bool:
    """True for a password that anybody would try first: none, a default of some manual, or the user's name."""
    return password.casefold() in {user.casefold(), *DEFAULTS}


def weak_users(passwords: str) -> tuple[str, ...]:
    """Users of a password file whose password is their name or one of ``DEFAULTS``, or whose line holds no hash."""
    weak = []
    for user, line in users_of(passwords).items():
        found = _Hash.of(line)
        if found is None or any(map(found.opens, (user, *DEFAULTS))):
            weak.append(user)
    return tuple(weak)


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


def settings(folder: Path, listener: Listener, *, as_root: bool) -> str:
    """Mosquitto's settings; passwords, access list, snapshot and log lie in ``folder``.

    Args:
        folder: the broker's own.
        listener: where it listens, with or without TLS.
        as_root: the broker keeps the rights of root (there is no user for it).
    """
    lines = [
        "per_listener_settings false",
        *listener.lines(),
        "allow_anonymous false",
        "use_username_as_clientid true",  # nobody can take over the session of another user
        f"password_file {folder}/passwords",
        f"acl_file {folder}/access",
        "persistence true",
        f"persistence_location {folder}/",
        "autosave_on_changes false",
        "autosave_interval 5",
        "max_inflight_messages 100",
        "max_queued_messages 10000",
        f"max_packet_size {4 * MAX_BYTES}",
        "set_tcp_nodelay true",
        f"log_dest file {folder}/log",
        "log_type error",
        "log_type warning",
    ]
    if as_root:
        lines.append("user root")
    return "\n".join(lines) + "\n"
