"""``ozzo reproduce``: published experiments, run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ozzo.cli_words import AsJson, say, tell

reproduce_app = typer.Typer(help="Run published experiments again, beside what was published.", no_args_is_help=True)


@reproduce_app.callback()
def reproduce() -> None:
    """Run published experiments again, beside what was published."""


@reproduce_app.command("lwa")
def lwa(
    series: Annotated[
        list[Path] | None,
        typer.Option(
            help="CSV file with Time (UTC) and Carbon Intensity; those of OZZO_DATA if not given.",
            show_default=False,
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let's Wait Awhile (Middleware 2021), scenarios I and II: published beside ours, under their rules and strict ones."""
    from ozzo.commands_reproduce import lwa as run

    tell(run(series or [], as_json=as_json, say=say))


@reproduce_app.command("greenslot")
def greenslot(
    sun: Annotated[
        Path | None,
        typer.Option(
            help="Hourly irradiance (CSV: Year, Month, Day, Hour, GHI); that of OZZO_DATA if not given.",
            show_default=False,
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the run times.", min=0)] = 0,
    look_h: Annotated[float, typer.Option("--look", help="Hours that its plans look ahead.", min=12, max=168)] = 48.0,
    as_json: AsJson = False,
) -> None:
    """GreenSlot (SC 2011) beside EASY backfilling on real weeks of sun: cost, sun used, deadlines; and what was published."""
    from ozzo.commands_reproduce import greenslot as run

    tell(run(sun, seed, look_h, as_json=as_json, say=say))


@reproduce_app.command("steam")
def steam(
    jobs: Annotated[
        Path | None,
        typer.Option(
            help="Jobs (Parquet: submission_time, duration, ms); SURF's of OZZO_DATA if not given.", exists=True, dir_okay=False
        ),
    ] = None,
    carbon: Annotated[
        Path | None,
        typer.Option(
            help="Hourly carbon (Parquet: timestamp, carbon_intensity); that of OZZO_DATA if not given.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of the dual; more make the proven limit tighter.")] = 150,
    as_json: AsJson = False,
) -> None:
    """STEAM (CCGrid 2026), SURF's jobs on the Dutch grid: published, by their rule, offline with a bound, online, battery."""
    from ozzo.commands_steam import steam as run

    tell(run(jobs, carbon, rounds, as_json=as_json, say=say))
