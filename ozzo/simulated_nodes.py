"""Users and settings of simulated nodes behind the broker of a scenario, for ``ozzo agent --simulate``.

All their passwords stand in one private file in the broker's folder and are used again; a broker that runs takes new users up by
itself. A node that was enrolled for a real machine is not taken over: its user has another password, so it is refused here.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path

from grid.errors import Finding, InputError
from ozzo.agent.config import AgentConfig
from ozzo.broker import broker_user
from ozzo.broker_files import access_list, opens, password_line, users_of
from ozzo.commands import label
from ozzo.credentials import read_json_object
from ozzo.enrolment import agent_settings, broker_place
from ozzo.fleet import specs_of
from ozzo.private import locked, write_private
from scheduler.scenario import Scenario

FILE = "simulated.json"
"""Name of the file with the passwords."""


def simulated_configs(scenario: Scenario, count: int, folder: Path, *, heartbeat_s: float = 5.0) -> list[AgentConfig]:
    """Settings of the first ``count`` nodes of a scenario; users that are missing at its broker are made.

    Args:
        scenario: has the nodes.
        count: how many to simulate.
        folder: of the broker (``ozzo broker --dir``).
        heartbeat_s: time between two states of a node.

    Raises:
        InputError: too few nodes, no broker there, or a node that belongs to a real machine.
        OSError: something cannot be written.
    """
    specs = specs_of(scenario)
    if not 1 <= count <= len(specs):
        expected = f"1 to {len(specs)}, the nodes of {scenario.name}"
        raise InputError([Finding("(command line)", None, "--simulate", str(count), expected)])
    place, owner = broker_place(folder, scenario.name), broker_user()
    with locked(folder):
        own, kept = folder / "mosquitto" / "passwords", folder / FILE
        lines = users_of(own.read_text(encoding="utf-8"))
        known = {name: str(secret) for name, secret in read_json_object(kept, "passwords").items()} if kept.exists() else {}
        findings, fresh = [], False
        for spec in specs[:count]:
            user = label(spec.name)
            if user in lines and not (user in known and opens(lines[user], known[user])):
                expected = "a node that no real machine was enrolled as"
                findings.append(Finding("(command line)", None, "--simulate", spec.name, expected))
            elif user not in lines:
                known[user] = secrets.token_urlsafe(24)
                lines[user] = password_line(user, known[user]).rstrip("\n")
                fresh = True
        if findings:
            raise InputError(findings)
        if fresh:
            write_private(kept, json.dumps(known, indent=1) + "\n")
            write_private(folder / "mosquitto" / "access", access_list(scenario.name, [spec.name for spec in specs]), owner)
            write_private(own, "".join(line + "\n" for line in lines.values()), owner)
    root = str((folder / "ca" / "ca.pem").resolve()) if place.tls else ""
    configs = []
    for spec in specs[:count]:
        endpoint = replace(place, user=label(spec.name))
        told = agent_settings(scenario.name, spec, endpoint)
        more = {
            "password": known[endpoint.user],
            "password_file": "",
            "ca_file": root,
            "journal": "-",
            "heartbeat_s": heartbeat_s,
        }
        configs.append(told.model_copy(update=more))
    return configs
