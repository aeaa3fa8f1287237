"""From shadow to pilot to live: evidence and a person's command, both recorded."""

from __future__ import annotations

import getpass
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from grid.errors import Finding, InputError
from ozzo.serve.evidence import STEPS, Evidence, Mode, Thresholds, evidence, lacking, next_step
from ozzo.serve.options import COMMAND_LINE, STATES, ServeOptions, unknown
from ozzo.serve.state import FILE, ServeState


def evidence_of(state: ServeState) -> Evidence:
    """What the controller has shown since it got its present mode."""
    counts = state.fact("rehearsals") or {"passed": 0, "failed": 0}
    return evidence(counts["passed"], counts["failed"], state.slots(above=int(state.fact("mode_since_slot") or 0)))


def thresholds_of(state: ServeState) -> Thresholds:
    """What the controller was told that a promotion asks for."""
    told = state.fact("thresholds")
    return Thresholds() if told is None else Thresholds(int(told["rehearsals"]), told["clean_h"], told["error_pct"])


def mode_of(state: ServeState) -> Mode:
    """The mode that is recorded; a fresh state is a shadow."""
    return Mode(state.fact("mode") or Mode.SHADOW)


def who() -> str:
    """Name of the present user, for records."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def state_of(document: Path) -> Path:
    """The state in ``serve/`` of the controller that serves a document.

    Raises:
        InputError: none does.
    """
    damaged: list[Finding] = []
    for file in sorted(STATES.glob(f"*/{FILE}")):
        try:
            with ServeState.open(file) as state:
                if state.fact("document") == str(document.resolve()):
                    return file.parent
        except InputError as error:  # it may be another document's; told when no state is this one's
            damaged += error.findings
    expected = "a document that was served from here (ozzo serve), or --state"
    raise InputError([*damaged, Finding(str(document), None, "", "no state in serve/", expected)])


def set_mode(state: ServeState, mode: Mode, reason: str, missing: tuple[str, ...] = ()) -> None:
    """Record a mode, why, by whom, and what evidence there was; evidence begins anew."""
    facts = {
        "from": str(mode_of(state)),
        "to": str(mode),
        "reason": reason,
        "by": who(),
        "evidence": asdict(evidence_of(state)),
        "thresholds": asdict(thresholds_of(state)),
        "missing": list(missing),
    }
    state.append("mode", datetime.now(UTC), facts)
    since = {"mode_since": datetime.now(UTC).isoformat(), "mode_since_slot": state.last_slot()}
    state.keep_facts(mode=str(mode), rehearsals={"passed": 0, "failed": 0}, **since)


def promote(
    state: ServeState, to: Mode, reason: str, *, nodes: tuple[str, ...] = (), without_evidence: bool = False
) -> tuple[str, ...]:
    """Change the mode by a person's command; what is missing for it, then nothing was changed.

    Args:
        state: of the controller.
        to: the mode.
        reason: in words.
        nodes: of a pilot; those that it had or was told before when left out.
        without_evidence: although evidence is missing.

    Raises:
        InputError: no reason, no such step, or no such nodes.
    """
    present = mode_of(state)
    findings = _node_findings(state, to, nodes)
    if not reason.strip():
        findings.append(Finding(COMMAND_LINE, None, "--reason", "an empty text", "why, in words"))
    wrong = next_step(present, to)
    if wrong and not (without_evidence and to is not present):
        findings.append(Finding(COMMAND_LINE, None, "--to", str(to), wrong))
    if findings:
        raise InputError(findings)
    up = STEPS.index(to) > STEPS.index(present)
    missing = lacking(evidence_of(state), thresholds_of(state)) if up else ()
    if missing and not without_evidence:
        return missing
    if nodes:
        state.keep_facts(pilot_nodes=list(nodes))
    set_mode(state, to, reason, missing)
    return ()


def _node_findings(state: ServeState, to: Mode, nodes: tuple[str, ...]) -> list[Finding]:
    """What is wrong with the nodes of a promotion."""
    known = (state.fact("inventory") or {}).get("node", [])
    if to is not Mode.PILOT:
        expected = "--to pilot: only a pilot names nodes"
        return [Finding(COMMAND_LINE, None, "--node", f"--to {to}", expected)] if nodes else []
    if not nodes and not state.fact("pilot_nodes"):
        such = f", such as {known[0]}" if known else ""
        return [Finding(COMMAND_LINE, None, "--node", "nothing", f"the nodes of the pilot{such}")]
    return [unknown("--node", name, known, "a node of the scenario") for name in nodes if name not in known]


def initial_mode(options: ServeOptions, state: ServeState) -> tuple[Mode, ServeOptions]:
    """The mode to begin in, recorded; with the nodes of a pilot that an earlier life was told.

    Raises:
        InputError: it asks for more than the state gives, without a reason to do without evidence.
    """
    present = mode_of(state)
    asked = options.mode or present
    if asked is not present or state.fact("mode") is None:
        up = STEPS.index(asked) > STEPS.index(present)
        if up and options.without_evidence is None:
            missing = "; ".join(lacking(evidence_of(state), options.thresholds)) or "a person's command (ozzo promote)"
            expected = f"--mode {present}, 'ozzo promote' when the evidence is there, or --promote-without-evidence REASON"
            found = f"{asked}, but the state's mode is {present} and this is missing: {missing}"
            raise InputError([Finding(COMMAND_LINE, None, "--mode", found, expected)])
        reason = options.without_evidence or "ozzo serve --mode"
        set_mode(state, asked, reason, lacking(evidence_of(state), options.thresholds) if up else ())
    nodes = options.nodes or tuple(state.fact("pilot_nodes") or ())
    if options.nodes:
        state.keep_facts(pilot_nodes=list(options.nodes))
    if asked is Mode.PILOT and not nodes:
        raise InputError([Finding(COMMAND_LINE, None, "--node", "nothing", "the nodes of the pilot")])
    return asked, replace(options, nodes=nodes)
