"""``ozzo feed``: its commands and options. Like ``ozzo.cli`` it imports heavy rooms inside the commands only."""

from __future__ import annotations

from typing import Annotated

import typer

from ozzo.cli_words import AsJson, ScenarioFile, tell

feed_app = typer.Typer(help="Fetch the live feeds of a scenario, or show how old they are.", no_args_is_help=True)

Only = Annotated[list[str] | None, typer.Option("--feed", metavar="NAME", help="Only this feed; may be repeated.")]


@feed_app.callback()
def feed() -> None:
    """Fetch the live feeds of a scenario, or show how old they are."""


@feed_app.command("fetch")
def fetch(
    scenario: ScenarioFile,
    only: Only = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch what is still fresh too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch what is not fresh; a failed fetch keeps the last good answer, and the exit code is 1."""
    from ozzo.feeds.fetch import feed_states, states_text

    states = feed_states(scenario, fetch=True, force=force, only=tuple(only or ()))
    tell(states_text(states, as_json=as_json))
    raise typer.Exit(1 if any(state.error for state in states) else 0)


@feed_app.command("show")
def show(scenario: ScenarioFile, only: Only = None, as_json: AsJson = False) -> None:
    """Show age and content of the last answers; the exit code is 1 when one is missing or too old."""
    from ozzo.feeds.fetch import feed_states, states_text

    states = feed_states(scenario, fetch=False, only=tuple(only or ()))
    tell(states_text(states, as_json=as_json))
    raise typer.Exit(0 if all(state.usable for state in states) else 1)
