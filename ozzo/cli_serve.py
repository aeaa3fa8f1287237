"""``ozzo serve``, ``status``, ``promote``, ``override``: the controller that stays. Heavy rooms are imported inside commands."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from grid.errors import Finding, InputError, TransportError
from ozzo.cli_words import AsJson, ScenarioFile, say, tell
from ozzo.serve.evidence import Mode

State = Annotated[
    Path | None,
    typer.Option("--state", help="Folder of the controller's state.", show_default="the only one in serve/", file_okay=False),
]
Reason = Annotated[str, typer.Option("--reason", help="Why, in words; it is recorded.", show_default=False)]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name in the scenario.", show_default=False)]
Kw = Annotated[float | None, typer.Argument(metavar="[KW]", help="With cap: highest power, kW.", show_default=False)]

override_app = typer.Typer(
    name="override", help="Order a job, a node or a site by hand, until it is released.", no_args_is_help=True
)


def serve(
    scenario: ScenarioFile,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="Folder of the state.", show_default="serve/NAME, after the scenario", file_okay=False),
    ] = None,
    mode: Annotated[
        str | None, typer.Option(help="shadow, pilot or live.", show_default="that of the state; a new one is a shadow")
    ] = None,
    node: Annotated[list[str] | None, typer.Option(help="A node of the pilot; may be repeated.")] = None,
    promote_without_evidence: Annotated[
        str | None, typer.Option(metavar="REASON", help="Go to --mode although evidence is missing; the reason is recorded.")
    ] = None,
    replan_every: Annotated[float, typer.Option(help="Minutes of scenario time from one plan to the next.")] = 15.0,
    day_seconds: Annotated[
        float | None,
        typer.Option(help="Wall seconds that 24 hours take; real time when left out.", min=0.5, show_default=False),
    ] = None,
    broker: Annotated[
        str | None, typer.Option(help="Agents that are there already: folder of the controller's credentials, or URL.")
    ] = None,
    password_file: Annotated[Path | None, typer.Option(help="With a URL: file of mode 600 with the password.")] = None,
    ca: Annotated[Path | None, typer.Option(help="With a URL: root that signed the broker's certificate (PEM).")] = None,
    standby: Annotated[
        bool, typer.Option("--standby", help="Wait, and take over when the serving controller's lease ends.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Leave at the end of the horizon.")] = False,
    repeat: Annotated[bool, typer.Option("--repeat", help="Begin the horizon again at its end (for trials).")] = False,
    port: Annotated[int, typer.Option(help="Loopback port of the event endpoint; 0 takes a free one.", min=0, max=65535)] = 0,
    page: Annotated[bool, typer.Option("--page", help="Show the status as a page on that port (password: the token).")] = False,
    need_rehearsals: Annotated[int, typer.Option(help="A promotion asks for so many passed rehearsals.", min=0)] = 20,
    need_hours: Annotated[float, typer.Option(help="... for so many hours without a violation.", min=0)] = 24.0,
    need_error: Annotated[
        float, typer.Option(help="... and for a forecast error of import of at most so many per cent.", min=0)
    ] = 25.0,
    lease: Annotated[float, typer.Option(help="Wall seconds of this controller's lease.", min=2, max=14)] = 10.0,
    failsafe_after: Annotated[
        float, typer.Option(help="Wall seconds after which a silent node is surely in failsafe (lease, alone_s, margin).", min=20)
    ] = 80.0,
) -> None:
    """Serve a scenario until SIGTERM: observe, plan, rehearse, command, record; killed, it goes on where it was."""
    from ozzo.serve.evidence import Thresholds
    from ozzo.serve.loop import serve as run
    from ozzo.serve.options import ServeOptions

    options = ServeOptions(
        scenario=scenario,
        state=state,
        mode=None if mode is None else _mode(mode, "--mode"),
        nodes=tuple(node or ()),
        without_evidence=promote_without_evidence,
        replan=timedelta(minutes=replan_every),
        day_seconds=day_seconds,
        broker=broker,
        password_file=password_file,
        ca_file=ca,
        standby=standby,
        once=once,
        repeat=repeat,
        port=port,
        page=page,
        thresholds=Thresholds(need_rehearsals, need_hours, need_error),
        lease_s=lease,
        certain_s=failsafe_after,
    )
    try:
        code = run(options, say)
    except TransportError as error:
        say(f"error: {error}")
        code = 1
    except sqlite3.Error as error:  # such as a full disk: what cannot be kept must not be commanded
        say(f"error: the state cannot be read or written ({error}); nodes fall back to their failsafe when their lease is over")
        code = 1
    _leave(code)


def _leave(code: int) -> None:
    """Leave; at once when a plan is being made: a thread in compiled code would tear the interpreter down with it."""
    if any(thread.name in {"planner", "document"} for thread in threading.enumerate()):
        sys.stdout.flush()
        os._exit(code)
    raise typer.Exit(code)


def status(state: State = None, as_json: AsJson = False) -> None:
    """Tell mode, epoch, plan, nodes, jobs, overrides and evidence of a controller, whether or not it runs."""
    from ozzo.serve.options import state_folder
    from ozzo.serve.status import as_text
    from ozzo.serve.status import status as look

    told = look(state_folder(state))
    tell(json.dumps(told, indent=2) if as_json else as_text(told))


def promote(
    scenario: ScenarioFile,
    to: Annotated[str, typer.Option("--to", help="shadow, pilot or live; back is always allowed.", show_default=False)],
    reason: Reason,
    node: Annotated[
        list[str] | None, typer.Option(help="A node of the pilot; may be repeated.", show_default="those that it had before")
    ] = None,
    state: State = None,
    without_evidence: Annotated[bool, typer.Option("--without-evidence", help="Although evidence is missing; recorded.")] = False,
) -> None:
    """Give a controller more power, or less: one step up at a time, when the evidence is there; a running one obeys at once."""
    from ozzo.serve.promotion import promote as go
    from ozzo.serve.promotion import state_of
    from ozzo.serve.state import ServeState

    with ServeState.there(state or state_of(scenario)) as kept:
        missing = go(kept, _mode(to, "--to"), reason, nodes=tuple(node or ()), without_evidence=without_evidence)
    for line in missing:
        say(f"not promoted: {line}")
    if missing:
        raise typer.Exit(1)
    say(f"the mode is {to}")


def _ordered(target: str, name: str, action: str, kw: float | None, reason: str, state: Path | None) -> None:
    from ozzo.serve.by_hand import override
    from ozzo.serve.options import state_folder
    from ozzo.serve.overrides import Target

    say(override(state_folder(state), Target(target), name, action, kw, reason))


JobAction = Annotated[str, typer.Argument(metavar="ACTION", help="pause, run or stop.", show_default=False)]
PlaceAction = Annotated[str, typer.Argument(metavar="ACTION", help="pause, run, stop or cap.", show_default=False)]


@override_app.command("job")
def override_job(name: Name, action: JobAction, reason: Reason, kw: Kw = None, state: State = None) -> None:
    """Pause, run or stop a job, whatever the plan says."""
    _ordered("job", name, action, kw, reason, state)


@override_app.command("node")
def override_node(name: Name, action: PlaceAction, reason: Reason, kw: Kw = None, state: State = None) -> None:
    """Pause, run or stop all jobs of a node, or cap its IT power; it gets no new work meanwhile (with run it does)."""
    _ordered("node", name, action, kw, reason, state)


@override_app.command("site")
def override_site(name: Name, action: PlaceAction, reason: Reason, kw: Kw = None, state: State = None) -> None:
    """Pause, run or stop all jobs of a site, or cap its facility power (shared among its nodes by their peak power)."""
    _ordered("site", name, action, kw, reason, state)


@override_app.command("release")
def override_release(
    target: Annotated[str | None, typer.Argument(metavar="[job|node|site]", show_default=False)] = None,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Release all of them.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why, in words; it is recorded.")] = "",
    state: State = None,
) -> None:
    """Release the overrides of a job, a node or a site, or all."""
    from ozzo.serve.by_hand import release
    from ozzo.serve.options import COMMAND_LINE, state_folder, unknown
    from ozzo.serve.overrides import Target

    kinds = [str(item) for item in Target]
    if not everything and target not in kinds:
        raise InputError([unknown("TARGET", target or "nothing", kinds, "one of " + ", ".join(kinds) + ", or --all")])
    if not everything and name is None:
        raise InputError([Finding(COMMAND_LINE, None, "NAME", "nothing", f"the name of a {target}")])
    for line in release(state_folder(state), Target(target) if target else None, name, reason, everything=everything):
        say(line)


@override_app.command("list")
def override_list(state: State = None, as_json: AsJson = False) -> None:
    """List the overrides in force."""
    from ozzo.serve.by_hand import listed
    from ozzo.serve.options import state_folder

    tell(listed(state_folder(state), as_json=as_json))


def _mode(text: str, option: str) -> Mode:
    from ozzo.serve.evidence import STEPS
    from ozzo.serve.options import unknown

    if text not in STEPS:
        raise InputError([unknown(option, text, STEPS, "one of " + ", ".join(STEPS))])
    return Mode(text)


def add_serve_commands(app: typer.Typer) -> None:
    """Add the commands of this room to the command line."""
    for command in (serve, status, promote):
        app.command()(command)
    app.add_typer(override_app, name="override")
