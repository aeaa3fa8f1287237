"""What the commands of ``ozzo`` share: options that mean the same everywhere, a line for people, and the end of a command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

ScenarioFile = Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario document (YAML).", show_default=False)]
Out = Annotated[Path | None, typer.Option("--out", help="Write to this file instead of standard output.", dir_okay=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON on standard output.")]


def say(line: str) -> None:
    """One line for people, on standard error, so that standard output stays machine-readable."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def tell(text: str) -> None:
    """What the command found, on standard output."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def tell_or_write(text: str, out: Path | None) -> None:
    """What the command found, on standard output or in a file whose folder is made when it is not there."""
    if out is None:
        tell(text)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")


def finish(text: str, code: int | bool) -> NoReturn:
    """Tell, and leave.

    Args:
        text: what the command found.
        code: exit code; or whether all is well (0), otherwise 1.
    """
    tell(text)
    raise typer.Exit(code if type(code) is int else 1 - code)
