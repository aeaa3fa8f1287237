"""What stands behind ``ozzo override``: checked against the names that the serving controller knows, written into its state."""

from __future__ import annotations

import json
import math
from pathlib import Path

from grid.errors import Finding, InputError
from ozzo.serve.options import COMMAND_LINE, unknown
from ozzo.serve.overrides import Action, Override, Target
from ozzo.serve.promotion import who
from ozzo.serve.state import ServeState


def override(folder: Path, target: Target, name: str, action: str, kw: float | None, reason: str) -> str:
    """Put an override into force; the line to print.

    Raises:
        InputError: everything that is wrong with it.
    """
    with ServeState.there(folder) as state:
        findings = _findings(state, target, name, action, kw, reason)
        if findings:
            raise InputError(findings)
        number = state.override(target, name, Action(action), kw, reason.strip(), who())
        told = next(str(item) for item in state.overrides() if item.id == number)
    return f"override {number} is in force: {told}"


def _findings(state: ServeState, target: Target, name: str, action: str, kw: float | None, reason: str) -> list[Finding]:
    known = (state.fact("inventory") or {}).get(str(target), [])
    findings = [] if name in known else [unknown("NAME", name, known, f"a {target} of {state.fact('scenario')}")]
    actions = [str(item) for item in Action if not (item is Action.CAP and target is Target.JOB)]
    if action not in actions:
        findings.append(unknown("ACTION", action, actions, "one of " + ", ".join(actions)))
    if action == Action.CAP and (kw is None or not math.isfinite(kw) or kw < 0):
        findings.append(Finding(COMMAND_LINE, None, "KW", "nothing" if kw is None else f"{kw:g}", "power in kW, not negative"))
    if action != Action.CAP and kw is not None:
        findings.append(Finding(COMMAND_LINE, None, "KW", f"{kw:g}", f"nothing with {action}"))
    if not reason.strip():
        findings.append(Finding(COMMAND_LINE, None, "--reason", "an empty text", "why, in words"))
    return findings


def release(folder: Path, target: Target | None, name: str | None, reason: str, *, everything: bool = False) -> list[str]:
    """Release the overrides of a target, or all; the lines to print.

    Raises:
        InputError: none is in force there, or nothing was named.
    """
    with ServeState.there(folder) as state:
        standing = state.overrides()
        found = [item for item in standing if everything or (item.target, item.name) == (target, name)]
        if not found:
            names = [f"{item.target} {item.name}" for item in standing]
            expected = "an override in force: " + (", ".join(names) or "there is none")
            if everything:
                raise InputError([Finding(COMMAND_LINE, None, "--all", "nothing to release", expected)])
            raise InputError([unknown("TARGET NAME", f"{target} {name}", names, expected)])
        state.release([item.id for item in found], reason)
    return [f"override {item.id} is released: {item}" for item in found]


def listed(folder: Path, *, as_json: bool) -> str:
    """The overrides in force."""
    with ServeState.there(folder) as state:
        standing = state.overrides()
    if as_json:
        return json.dumps({"overrides": [as_dict(item) for item in standing]}, indent=2)
    return "\n".join(f"{item.id}: {item}" for item in standing) or "no override is in force"


def as_dict(item: Override) -> dict[str, object]:
    """An override as JSON values."""
    return {
        "id": item.id,
        "target": str(item.target),
        "name": item.name,
        "action": str(item.action),
        "kw": item.kw,
        "reason": item.reason,
        "by": item.by,
        "at": item.at.isoformat(),
    }
