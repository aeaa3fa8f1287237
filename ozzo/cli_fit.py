"""``ozzo fit``: its commands and options. Like ``ozzo.cli`` it imports heavy rooms inside the commands only."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated

import typer

from ozzo.cli_words import AsJson, Out, tell_or_write

fit_app = typer.Typer(help="Fit the small tables in configs/data from real data.", no_args_is_help=True)


@fit_app.command("jobs")
def fit_jobs(
    tasks: Annotated[
        Path, typer.Argument(help="OpenDC task table (Parquet), for example the SURF trace.", exists=True, dir_okay=False)
    ],
    source: Annotated[str | None, typer.Option(help="What the trace is and how to cite it, for the file that is made.")] = None,
    out: Out = None,
    as_json: AsJson = False,  # noqa: ARG001 - it is JSON either way
) -> None:
    """Fit the job generator's distributions to a real trace; JSON with or without --json."""
    from ozzo.fit import fit_jobs_text

    tell_or_write(fit_jobs_text(tasks, source=source), out)


@fit_app.command("table")
def fit_table(
    prices: Annotated[
        Path, typer.Option(help="Day-ahead market prices of one year (CSV, local clock).", exists=True, dir_okay=False)
    ],
    carbon: Annotated[Path, typer.Option(help="Average carbon intensity (Parquet, UTC).", exists=True, dir_okay=False)],
    year: Annotated[int, typer.Option(help="Year to take.", min=1900, max=2200)] = 2023,
    price_source: Annotated[str | None, typer.Option(help="What the prices are and how to cite them.")] = None,
    carbon_source: Annotated[str | None, typer.Option(help="What the carbon intensity is and how to cite it.")] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Make the hour-by-month table of prices and carbon intensity (CSV with its source in comments, or rows as JSON)."""
    from ozzo.fit import hour_by_month_text

    text = hour_by_month_text(prices, carbon, year, price_source=price_source, carbon_source=carbon_source)
    if as_json:
        rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
        text = json.dumps({"rows": list(rows)}, indent=1)
    tell_or_write(text, out)
