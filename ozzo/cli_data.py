"""``ozzo data``: its commands and options. Like ``ozzo.cli`` it imports heavy rooms inside the commands only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ozzo.cli_words import AsJson, finish, tell

data_app = typer.Typer(help="Public datasets: list them, bring them, verify them.", no_args_is_help=True)

Folder = Annotated[
    Path,
    typer.Option(
        "--folder", metavar="DIR", help="Data folder; what OZZO_DATA names if not given.", envvar="OZZO_DATA", file_okay=False
    ),
]


@data_app.callback()
def data() -> None:
    """Public datasets by name: what they are and whose, brought and verified. Nothing of them ships with ozzo."""


@data_app.command("list")
def list_datasets(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Only these.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """List datasets with licence, citation, address and checksums; no connection is opened."""
    from ozzo.commands_data import listed

    tell(listed(names or [], as_json=as_json))


@data_app.command("get")
def get(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Datasets of 'ozzo data list'.", show_default=False)],
    folder: Folder = Path("data"),
    force: Annotated[bool, typer.Option("--force", help="Bring also what is there already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring datasets into the data folder, going on where an earlier download ended; the exit code is 1 when a file failed."""
    from ozzo.commands_data import bring

    text, code = bring(names, folder, force=force, as_json=as_json)
    finish(text, code)


@data_app.command("verify")
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="Only these; all of which a file is there if not given.", show_default=False),
    ] = None,
    folder: Folder = Path("data"),
    as_json: AsJson = False,
) -> None:
    """Hold the files of the data folder against known or recorded checksums; the exit code is 1 when one is not right."""
    from ozzo.commands_data import verified

    text, code = verified(names or [], folder, as_json=as_json)
    finish(text, code)
