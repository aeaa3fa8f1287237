"""``ozzo mock-signals``: its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ozzo.cli_words import say


def mock_signals(
    carbon: Annotated[Path, typer.Option(help="Carbon intensity (CSV, Parquet; as 'ozzo replay' reads it).", show_default=False)],
    price: Annotated[Path | None, typer.Option(help="Day-ahead prices.", show_default=False)] = None,
    weather: Annotated[Path | None, typer.Option(help="Weather: a file with an Open-Meteo answer.", show_default=False)] = None,
    zone: Annotated[str, typer.Option(help="Name that the services give the place (zone, region, location).")] = "NL",
    start: Annotated[
        str | None, typer.Option(help="First moment of the clock; the series' when not given.", show_default=False)
    ] = None,
    speed: Annotated[float, typer.Option(help="Simulated seconds a second: 3600 passes an hour a second.")] = 1.0,
    forecast: Annotated[str, typer.Option(help="known: the series itself; past: what can be said from the past only.")] = "known",
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 for a free one.", min=0, max=65535)] = 0,
) -> None:
    """Serve recorded carbon, price and weather on paths like those of public services, to test other applications."""
    from ozzo.commands_mock import MockOptions, serve_mock

    options = MockOptions(carbon, price, weather, zone, start, speed, forecast, port)
    serve_mock(options, say)
