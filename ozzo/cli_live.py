"""``ozzo broker``, ``enrol``, ``agent`` and ``migrate``: real nodes. Heavy rooms are imported inside the commands only."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from grid.errors import Finding, InputError
from ozzo.cli_words import AsJson, ScenarioFile, finish, say, tell

Folder = Annotated[
    Path | None,
    typer.Option("--dir", help="Private folder of the broker.", show_default="broker/NAME, after the scenario", file_okay=False),
]


def broker(
    scenario: ScenarioFile,
    folder: Folder = None,
    listen: Annotated[
        str, typer.Option(help="Address, or address:port. Beyond loopback there is TLS always, and port 8883 unless given.")
    ] = "127.0.0.1",
    name: Annotated[
        list[str] | None,
        typer.Option(help="Host name or address under which nodes reach it (in its certificate); may be repeated."),
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="TLS on loopback too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start Mosquitto for a scenario's nodes and watch over it: own users, access list, certificates; until SIGTERM or Ctrl-C."""
    from ozzo.commands_broker import BrokerOptions, serve_broker

    def ready(about: dict[str, object]) -> None:
        if as_json:
            tell(json.dumps(about))
            sys.stdout.flush()

    serve_broker(BrokerOptions(scenario, folder, listen, tuple(name or ()), tls), ready, say)


def enrol(
    scenario: ScenarioFile,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Name of a node, such as hall.rack-0.", show_default=False)],
    folder: Folder = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder to write.", show_default="nodes/NODE in the broker's folder", file_okay=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give a node a new password and write the folder that its agent needs: password, root certificate, address, settings."""
    from ozzo.commands_broker import enrol_node

    target = enrol_node(scenario, node, folder, out)
    if as_json:
        tell(json.dumps({"node": node, "folder": str(target)}))
    say(f"wrote {target}: carry it to the node (it holds a password) and start 'ozzo agent' with it; older passwords are void")


def agent(
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="CONFIG",
            help="Folder that 'ozzo enrol' wrote, or a settings file; with --simulate the scenario document.",
            show_default=False,
        ),
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Tell what this machine (and the Redfish controller of CONFIG) offers, and leave.")
    ] = False,
    simulate: Annotated[
        int | None,
        typer.Option(
            help="Run this many simulated nodes of a scenario instead: real protocol, no processes.", min=1, show_default=False
        ),
    ] = None,
    folder: Folder = None,
    time_factor: Annotated[float, typer.Option(help="Simulated jobs run so many times faster than the clock.", min=0.001)] = 1.0,
    heartbeat_s: Annotated[
        float, typer.Option("--heartbeat", help="Seconds between two states of a simulated node.", min=0.1)
    ] = 5.0,
    journal: Annotated[
        Path | None, typer.Option(help="Shared journal of simulated nodes (SQLite); in memory if not given.", show_default=False)
    ] = None,
    draws: Annotated[
        bool, typer.Option("--draws", help="Also write down what each simulated node draws, in the journal.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the agent of this node until SIGTERM: it obeys its controller, keeps its jobs, and its cap when nobody speaks."""
    if probe:
        from ozzo.agent.config import read_config
        from ozzo.agent.power import probe as look

        rows = look(config=None if config is None else read_config(config))
        sys.stdout.write(json.dumps(dict(rows)) + "\n" if as_json else "".join(f"{name}: {text}\n" for name, text in rows))
        return
    if simulate is not None:
        _simulate(config, simulate, folder, (time_factor, heartbeat_s, journal, draws))
        return
    if config is None:
        expected = "the folder that 'ozzo enrol' wrote, or --probe"
        raise InputError([Finding("(command line)", None, "CONFIG", "nothing", expected)])
    from ozzo.agent.__main__ import run_agent
    from ozzo.agent.config import read_config

    raise typer.Exit(run_agent(read_config(config), None, patient=True))


def migrate(
    path: Annotated[str, typer.Argument(metavar="PATH", help="Dataset: a folder below the roots, such as scans/2026.")],
    broker_folder: Annotated[
        Path,
        typer.Option("--broker", help="The controller's folder that 'ozzo broker' wrote.", show_default=False),
    ],
    to: Annotated[str, typer.Option(metavar="NODE:ROOT:PEER", help="Who copies it, into which root, from which peer.")],
    release: Annotated[
        str | None,
        typer.Option(metavar="NODE:ROOT:PEER", help="Who releases its replica from which root, comparing with which peer."),
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Highest rate, Mbit/s.", min=0.01, show_default="no limit")] = None,
    as_json: AsJson = False,
) -> None:
    """Move a dataset between nodes by hand: copy, verify, and release where it was only when the copy is proven."""
    from ozzo.commands_migrate import migrate as move

    text, done = move(path, broker_folder, to, release, rate, as_json=as_json, say=say)
    finish(text, done)


def _simulate(document: Path | None, count: int, folder: Path | None, options: tuple[float, float, Path | None, bool]) -> None:
    """``ozzo agent SCENARIO --simulate N``."""
    from ozzo.agent.crowd import CrowdOptions, run_crowd
    from ozzo.commands_broker import usual_folder
    from ozzo.simulated_nodes import simulated_configs
    from scheduler.document import load_scenario

    if document is None:
        raise InputError([Finding("(command line)", None, "CONFIG", "nothing", "the scenario document that has the nodes")])
    speed, heartbeat_s, journal, draws = options
    if draws and journal is None:
        raise InputError([Finding("(command line)", None, "--draws", "no --journal", "a file to write to: --journal FILE")])
    scenario = load_scenario(document)
    configs = simulated_configs(scenario, count, folder or usual_folder(scenario.name), heartbeat_s=heartbeat_s)
    run_crowd(configs, CrowdOptions(journal, speed, draws), say)


def add_live_commands(app: typer.Typer) -> None:
    """Add the commands of this room to the command line."""
    for command in (broker, enrol, agent, migrate):
        app.command()(command)
