"""How to serve, and what is wrong with it before anything is started."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from grid.errors import Finding, InputError
from ozzo.remote import controller_credentials
from ozzo.serve.evidence import Mode, Thresholds
from ozzo.serve.leader import LEASE_S
from ozzo.serve.presence import CERTAIN_S
from scheduler.scenario import Scenario

COMMAND_LINE = "(command line)"
STATES = Path("serve")
"""Folder of the states of all scenarios that are served from here."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How to serve.

    Attributes:
        scenario: document; state: folder of the state, ``serve/NAME`` when None.
        mode: asked for; None keeps that of the state.
        nodes: nodes of a pilot.
        without_evidence: reason to go to ``mode`` although evidence is missing, or None.
        replan: scenario time from one plan to the next.
        day_seconds: wall seconds that 24 hours take; None: real time.
        broker, password_file, ca_file: of agents that are there already; None: broker and agents of its own.
        standby: wait for the end of another controller's lease.
        once: leave at the end of the horizon; repeat: begin it again there.
        port: loopback port of the door for events, 0 for a free one; page: show the status there too.
        thresholds: what a promotion asks for.
        lease_s: of this controller; certain_s: wall seconds after which a silent node is surely in failsafe.
    """

    scenario: Path
    state: Path | None = None
    mode: Mode | None = None
    nodes: tuple[str, ...] = ()
    without_evidence: str | None = None
    replan: timedelta = timedelta(minutes=15)
    day_seconds: float | None = None
    broker: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    standby: bool = False
    once: bool = False
    repeat: bool = False
    port: int = 0
    page: bool = False
    thresholds: Thresholds = field(default_factory=Thresholds)
    lease_s: float = LEASE_S
    certain_s: float = CERTAIN_S


def option_findings(options: ServeOptions, scenario: Scenario) -> list[Finding]:
    """What contradicts itself or the scenario."""
    findings = []
    if options.standby and options.broker is None:
        expected = "--broker: agents of its own end with a controller, so nobody could take them over"
        findings.append(Finding(COMMAND_LINE, None, "--standby", "no --broker", expected))
    if options.once and options.repeat:
        findings.append(Finding(COMMAND_LINE, None, "--once", "--repeat too", "one of them"))
    if options.replan <= timedelta(0):
        findings.append(Finding(COMMAND_LINE, None, "--replan-every", str(options.replan), "more than 0 minutes"))
    known = [name for site in scenario.sites for name in site.node_names()]
    for name in options.nodes:
        if name not in known:
            findings.append(unknown("--node", name, known, "a node of the scenario"))
    if options.mode is Mode.PILOT and not options.nodes:
        findings.append(Finding(COMMAND_LINE, None, "--node", "nothing", "the nodes of the pilot, such as " + known[0]))
    if options.mode in {Mode.SHADOW, Mode.LIVE} and options.nodes:
        findings.append(Finding(COMMAND_LINE, None, "--node", f"--mode {options.mode}", "--mode pilot: only a pilot names nodes"))
    if options.without_evidence is not None and not options.without_evidence.strip():
        findings.append(Finding(COMMAND_LINE, None, "--promote-without-evidence", "an empty text", "the reason"))
    if options.broker is not None:  # a shadow does not use it yet; the promotion is a bad moment to find out
        try:
            controller_credentials(options.broker, scenario.name, options.password_file, options.ca_file)
        except InputError as error:
            findings += error.findings
    return findings


def unknown(field_name: str, name: str, known: Iterable[str], expected: str) -> Finding:
    """The finding for a name that is not there, with the nearest one."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return Finding(COMMAND_LINE, None, field_name, repr(name), expected, nearest[0] if nearest else None)


def state_folder(given: Path | None) -> Path:
    """The state that a command is about: the given folder, or the only one in ``serve/``.

    Raises:
        InputError: none is there, or there are several.
    """
    if given is not None:
        return given
    from ozzo.serve.state import FILE

    found = sorted(path.parent for path in STATES.glob(f"*/{FILE}"))
    if len(found) == 1:
        return found[0]
    told = "none in serve/" if not found else "several: " + ", ".join(map(str, found))
    raise InputError([Finding(COMMAND_LINE, None, "--state", told, "the folder of a controller's state")])
