"""The function behind ``ozzo migrate``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from grid.errors import Finding, InputError
from ozzo.migration import Copy, Migration, Moved, Mover
from ozzo.wire import DataPath

PLACE = "NODE:ROOT:PEER, such as vault.rack-0:frozen:hall"


def migrate(
    path: str,
    broker: Path,
    to: str,
    release: str | None,
    rate_mbit_per_s: float | None,
    *,
    as_json: bool,
    say: Callable[[str], None],
) -> tuple[str, bool]:
    """Move a dataset; what to print, and whether all that was asked for was done.

    Args:
        path: of the dataset below the roots.
        broker: folder of the controller's credentials.
        to: ``NODE:ROOT:PEER`` of the copy.
        release: the same of the replica that goes, or None.
        rate_mbit_per_s: highest rate, or None.
        as_json: print for programs.
        say: takes lines for people.

    Raises:
        InputError: everything that is wrong with the arguments, or the credentials.
        TransportError: no broker, a node is silent, or another controller commands it.
    """
    from ozzo.credentials import read_credentials
    from ozzo.remote import RemoteAgents
    from ozzo.store import Journal

    wanted = _wanted(path, to, release, rate_mbit_per_s)
    credentials = read_credentials(broker)
    with Journal.open(credentials.folder / "migrations.sqlite") as journal:
        mover = Mover(wanted, RemoteAgents(credentials, ()), journal, say)
        try:
            mover.start()
            moved = mover.carry_out()
        finally:
            mover.close()
    return _told(wanted, moved, as_json=as_json), not moved.trouble


def _wanted(path: str, to: str, release: str | None, rate_mbit_per_s: float | None) -> Migration:
    """The migration.

    Raises:
        InputError: everything that is wrong with it.
    """
    findings = []
    try:
        TypeAdapter(DataPath).validate_python(path)
    except ValidationError:
        expected = "names joined by slashes, of letters, digits and ._-, none beginning with a dot"
        findings.append(Finding("(command line)", None, "PATH", repr(path), expected))
    places: dict[str, Copy | None] = {"--to": None, "--release": None}
    for option, text in (("--to", to), ("--release", release)):
        if text is not None:
            parts = text.split(":")
            if len(parts) == 3 and all(parts):
                places[option] = Copy(*parts)
            else:
                findings.append(Finding("(command line)", None, option, repr(text), PLACE))
    target = places["--to"]
    if findings or target is None:
        raise InputError(findings)
    return Migration(path, target, rate_mbit_per_s, places["--release"])


def _told(wanted: Migration, moved: Moved, *, as_json: bool) -> str:
    if as_json:
        copied = None if moved.proof is None else moved.proof.model_dump()
        return json.dumps(
            {"migration": asdict(wanted), "copied": copied, "released": moved.released, "trouble": moved.trouble}, indent=1
        )
    if moved.trouble:
        return moved.trouble
    return f"{wanted.path}: copied, verified{' and released where it was' if moved.released else ''}."
