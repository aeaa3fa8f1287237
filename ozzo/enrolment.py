"""``ozzo enrol``: a node's user at the broker, and the folder that its agent needs, to be carried there."""

from __future__ import annotations

import difflib
import json
import secrets
from pathlib import Path

from grid.errors import Finding, InputError
from ozzo.agent.config import AgentConfig
from ozzo.broker import broker_user
from ozzo.broker_files import access_list, password_line, users_of
from ozzo.commands import label
from ozzo.credentials import read_json_object, write_credentials
from ozzo.fleet import NodeSpec, specs_of
from ozzo.mqtt import Endpoint
from ozzo.private import locked, own_text, write_private
from scheduler.scenario import Scenario

PLACE = frozenset({"scenario", "node", "host", "port", "user", "password", "password_file", "tls", "ca_file"})
"""Settings of an agent that enrolment decides; the rest belongs to whoever keeps the node."""


def _spec(scenario: Scenario, node: str, file: str) -> NodeSpec:
    specs = {spec.name: spec for spec in specs_of(scenario)}
    if node not in specs:
        nearest = difflib.get_close_matches(node, specs, n=1, cutoff=0.0)
        expected = f"a node of {file}, which has {len(specs)}"
        raise InputError([Finding("(command line)", None, "NODE", repr(node), expected, nearest[0] if nearest else None)])
    return specs[node]


def broker_place(folder: Path, scenario: str) -> Endpoint:
    """Where the broker of a folder listens.

    Raises:
        InputError: no broker was ever started there, or it is one of another scenario.
    """
    record = folder / "broker.json"
    if not record.exists():
        raise InputError([Finding(str(record), None, "", "no such file", "the folder of a broker that was started: ozzo broker")])
    told = read_json_object(record, "the record of this broker")
    host, port, tls, name = (told.get(key) for key in ("host", "port", "tls", "scenario"))
    if not isinstance(host, str) or not isinstance(port, int) or not isinstance(tls, bool):
        raise InputError([Finding(str(record), None, "", "no host, port and tls", "what 'ozzo broker' writes")])
    if name != scenario:
        raise InputError([Finding(str(record), None, "scenario", repr(name), f"{scenario!r}, the scenario that was given")])
    return Endpoint(host, port, "", "", tls=tls)


def agent_settings(scenario: str, spec: NodeSpec, endpoint: Endpoint) -> AgentConfig:
    """Settings of a node's agent; paths are relative to the folder that they lie in."""
    return AgentConfig(
        scenario=scenario,
        node=spec.name,
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        password_file="password",  # noqa: S106 (the name of the file)
        tls=endpoint.tls,
        ca_file="ca.pem" if endpoint.tls else "",
        journal="state/journal.sqlite",
        keep_jobs=True,
        builtin=True,
        programs={},
        idle_kw=spec.idle_kw,
        failsafe_kw=spec.failsafe_kw,
        peak_kw=spec.peak_kw or None,
    )


def enrol(scenario: Scenario, node: str, folder: Path, out: Path | None, *, file: str = "the scenario") -> Path:
    """Give a node a new password and write its folder; an older password of it is worth nothing from now on.

    Args:
        scenario: has the node.
        node: its name.
        folder: of the broker (``ozzo broker --dir``); a broker that runs takes the change up by itself.
        out: folder to write, ``nodes/NODE`` in the broker's when left out. What a person changed in its settings stays.
        file: name of the scenario's document, for errors.

    Returns:
        The folder that was written.

    Raises:
        InputError: no such node, or no broker was started in ``folder``.
        OSError: something cannot be written.
    """
    spec = _spec(scenario, node, file)
    place = broker_place(folder, scenario.name)
    user = label(node)
    endpoint = Endpoint(place.host, place.port, user, secrets.token_urlsafe(24), tls=place.tls)
    target = folder / "nodes" / user if out is None else out
    with locked(folder):
        own, owner = folder / "mosquitto", broker_user()
        passwords = own / "passwords"
        lines = users_of(own_text(passwords)) | {user: password_line(user, endpoint.password).rstrip("\n")}
        write_credentials(target, scenario.name, endpoint, folder / "ca" / "ca.pem" if place.tls else None)
        settings = target / "agent.json"
        fresh = agent_settings(scenario.name, spec, endpoint).model_dump(mode="json", exclude_defaults=True)
        if settings.exists():  # what a person wrote there stays; where the broker is may have changed
            kept = read_json_object(settings, "settings of an agent")
            fresh |= {name: value for name, value in kept.items() if name not in PLACE}
        write_private(settings, json.dumps(fresh, indent=1) + "\n")
        write_private(own / "access", access_list(scenario.name, [item.name for item in specs_of(scenario)]), owner)
        write_private(passwords, "".join(line + "\n" for line in lines.values()), owner)
    return target
