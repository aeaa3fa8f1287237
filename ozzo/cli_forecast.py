"""``ozzo forecast``: its commands and options. Like ``ozzo.cli`` it imports heavy rooms inside the commands only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ozzo.cli_words import AsJson, tell

forecast_app = typer.Typer(help="Score ways to forecast, and fit the errors of real forecasts.", no_args_is_help=True)


@forecast_app.callback()
def forecast() -> None:
    """Score ways to forecast, and fit the errors of real forecasts."""


@forecast_app.command("score")
def score(
    series: Annotated[
        Path | None,
        typer.Option(help="Hourly CSV file: times (UTC) first, then values.", show_default=False, exists=True, dir_okay=False),
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="Column of the values; the second when not given.", show_default=False)
    ] = None,
    zone: Annotated[str, typer.Option(help="Zone of $OZZO_DATA: SE, CISO (generation), or NL, DE and others (carbon).")] = "SE",
    what: Annotated[
        str, typer.Option(help="wind, solar, hydro, nuclear (beside the real day-ahead forecast), or carbon.")
    ] = "wind",
    at: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LAT LON", help="Place of a series of the sun, for the clear sky.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """MAE, RMSE, bias, pinball loss, CRPS and cover of every method at leads of 1 to 48 hours."""
    from ozzo.commands_forecast import score_text

    tell(score_text(series, column, zone, what, at, as_json=as_json))


@forecast_app.command("fit")
def fit(
    zone: Annotated[
        str | None, typer.Option(help="Zone of $OZZO_DATA: SE or CISO; all of them when not given.", show_default=False)
    ] = None,
    what: Annotated[
        str | None, typer.Option(help="wind, solar, hydro or nuclear; all that there is when not given.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File for the fit (JSON), for solar.fitted_errors and wind.fitted_errors.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Size, shape and duration of the errors of real day-ahead forecasts ($OZZO_DATA), and the same drawn from the fit."""
    from ozzo.commands_forecast import fit_text

    tell(fit_text(zone, what, out, as_json=as_json))
