"""Where a broker is: the address that ours listens on, and the URL of any other, with the rule on both.

The rule: beyond this machine's loopback nothing goes without TLS and a password that was not given away by a manual.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from grid.errors import Finding, InputError
from ozzo.broker_files import is_default
from ozzo.mqtt import Endpoint
from ozzo.private import read_private

PLAIN_PORT, TLS_PORT = 1883, 8883
"""Ports that IANA lists for MQTT, and for MQTT over TLS."""


@dataclass(frozen=True, slots=True)
class Place:
    """An interface and a port.

    Attributes:
        host: address of the interface.
        port: TCP port; 0 takes a free one.
        loopback: only this machine reaches it.
        everywhere: it stands for every interface (``0.0.0.0``, ``::``).
    """

    host: str
    port: int
    loopback: bool
    everywhere: bool


def _split(text: str) -> tuple[str, str | None]:
    """Host and port of ``HOST``, ``HOST:PORT``, ``[V6]:PORT`` or a bare IPv6 address; None when there is no port.

    What begins with a bracket and is no ``[V6]`` or ``[V6]:PORT`` is a host as a whole, and then no address.
    """
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or (rest and not rest.startswith(":")):
            return text, None
        return host, rest[1:] if rest else None
    if text.count(":") > 1:
        return text, None
    host, colon, port = text.partition(":")
    return host, port if colon else None


def is_loopback(host: str) -> bool:
    """True when every address that ``host`` stands for is on loopback; False when it stands for none."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):  # no such name, or none that a name could be
        return False
    return bool(found) and all(ipaddress.ip_address(address).is_loopback for address in found)


def listening_place(text: str, *, tls: bool = False) -> Place:
    """The place that ``--listen`` names.

    Args:
        text: ``ADDRESS`` or ``ADDRESS:PORT``; an IP address or ``localhost``.
        tls: TLS was asked for on loopback too, so its port is the default.

    Raises:
        InputError: no IP address, or no port.
    """
    host, port_text = _split(text)
    findings = []
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        expected = "an IP address of this machine, 0.0.0.0 for all of them, or localhost"
        findings.append(Finding("(command line)", None, "--listen", repr(host), expected))
        address = ipaddress.ip_address("127.0.0.1")
    port = PLAIN_PORT if address.is_loopback and not tls else TLS_PORT
    if port_text is not None:
        if port_text.isascii() and port_text.isdigit() and int(port_text) <= 65535:
            port = int(port_text)
        else:
            findings.append(Finding("(command line)", None, "--listen", repr(port_text), "a port from 0 (any free one) to 65535"))
    if findings:
        raise InputError(findings)
    return Place(str(address), port, address.is_loopback, address.is_unspecified)


def url_of(endpoint: Endpoint) -> str:
    """The URL of an endpoint; the password is not in it."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{'mqtts' if endpoint.tls else 'mqtt'}://{endpoint.user}@{host}:{endpoint.port}"


def _password(user: str, file: Path) -> str:
    """The first line of a private file.

    Raises:
        InputError: it cannot be had, or anybody would guess it.
    """
    password = read_private(file, "the password of the broker's user").partition("\n")[0].strip()
    if is_default(user, password):
        raise InputError([Finding(str(file), None, "", "a default password", "one that was made for this user")])
    return password


def endpoint_of(url: str, password_file: Path, ca_file: Path | None = None, *, source: str = "(command line)") -> Endpoint:
    """The endpoint of a broker's URL and a password file.

    Args:
        url: ``mqtts://USER@HOST:PORT``; ``mqtt://`` (no TLS) only where HOST is on loopback.
        password_file: mode 600; its first line is the password.
        ca_file: root that signed the broker's certificate; those of the system when left out.
        source: file or place that the URL comes from, for errors.

    Raises:
        InputError: everything that is wrong with URL, password and root, at once. No password is in an error.
    """
    findings: list[Finding] = []

    def wrong(found: str, expected: str) -> None:
        findings.append(Finding(source, None, "broker", found, expected))

    try:
        parts = urlsplit(url)
    except ValueError as error:  # such as brackets without an IPv6 address
        parts = urlsplit("")
        wrong(f"{error}"[:100], "mqtts://USER@HOST:PORT")
    try:
        port = parts.port
    except ValueError:
        port = None
        wrong("a port that is no number from 0 to 65535", "mqtts://USER@HOST:PORT")
    host, user, tls = parts.hostname or "", unquote(parts.username or ""), parts.scheme == "mqtts"
    if parts.scheme not in {"mqtt", "mqtts"}:
        wrong(f"scheme {parts.scheme!r}", "mqtts, or mqtt on loopback")
    if not host or not user or parts.path not in {"", "/"} or parts.query or parts.fragment:
        wrong("no USER@HOST" if not host or not user else "more than USER@HOST:PORT", "mqtts://USER@HOST:PORT and nothing else")
    if parts.password is not None:
        wrong("a password in the URL", "a URL without it and the password in a file of mode 600: URLs stand in lists and logs")
    if parts.scheme == "mqtt" and host and not is_loopback(host):
        wrong(f"mqtt to {host}, which is beyond loopback", "mqtts: passwords and commands would go in the clear")
    password = ""
    try:
        password = _password(user, password_file)
    except InputError as error:
        findings += error.findings
    if ca_file is not None and not ca_file.is_file():
        findings.append(Finding(str(ca_file), None, "", "no such file", "the root certificate of the broker (PEM)"))
    if findings:
        raise InputError(findings)
    port = port or (TLS_PORT if tls else PLAIN_PORT)
    return Endpoint(host, port, user, password, tls=tls, ca_file="" if ca_file is None else str(ca_file))
