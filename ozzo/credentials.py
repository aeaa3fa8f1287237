"""A folder of credentials: where a broker is, as whom to speak to it, and how to know it. It can be carried to another machine.

::

    broker.json   {"scenario": ..., "url": "mqtts://USER@HOST:PORT"}
    password      mode 600
    ca.pem        the root that signed the broker's certificate (with TLS)
    agent.json    settings of the node's agent (of a node)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from grid.errors import Finding, InputError
from ozzo.address import endpoint_of, url_of
from ozzo.mqtt import Endpoint
from ozzo.private import write_private

WHAT = "a folder that 'ozzo broker' or 'ozzo enrol' wrote"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a folder holds.

    Attributes:
        scenario: name in the topics.
        endpoint: where and as whom; its root certificate lies in the folder.
        folder: the folder.
    """

    scenario: str
    endpoint: Endpoint
    folder: Path


def write_credentials(folder: Path, scenario: str, endpoint: Endpoint, root: Path | None) -> None:
    """Write a folder of mode 700; what was in these files is replaced.

    Args:
        folder: where.
        scenario: name in the topics.
        endpoint: where and as whom.
        root: certificate to copy, None without TLS.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root is not None:
        write_private(folder / "ca.pem", root.read_text(encoding="ascii"))
    write_private(folder / "password", endpoint.password + "\n")
    write_private(folder / "broker.json", json.dumps({"scenario": scenario, "url": url_of(endpoint)}, indent=1) + "\n")


def read_credentials(folder: Path) -> Credentials:
    """Read a folder of credentials.

    Raises:
        InputError: everything that is wrong with it.
    """
    file = folder / "broker.json"
    told = read_json_object(file, WHAT)
    values = {name: told.get(name) for name in ("scenario", "url")}
    findings = [
        Finding(str(file), None, name, "nothing" if value is None else repr(value)[:80], "a text, not empty")
        for name, value in values.items()
        if not isinstance(value, str) or not value
    ]
    findings += [
        Finding(str(file), None, name, "an unknown field", "scenario and url") for name in sorted(told.keys() - values.keys())
    ]
    if findings:
        raise InputError(findings)
    root = folder / "ca.pem"
    endpoint = endpoint_of(str(values["url"]), folder / "password", root if root.exists() else None, source=str(file))
    return Credentials(str(values["scenario"]), endpoint, folder)


def read_json_object(file: Path, what: str) -> dict[str, object]:
    """The JSON object in a file.

    Raises:
        InputError: missing, no JSON, or something else than an object.
    """
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        text = error.strerror or "" if isinstance(error, OSError) else str(error)
        raise InputError([Finding(str(file), line, "", text[:200], what)]) from error
    if not isinstance(told, dict):
        raise InputError([Finding(str(file), None, "", "no JSON object", what)])
    return told
