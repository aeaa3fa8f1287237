"""``ozzo replay``: its options. Like ``ozzo.cli`` it imports heavy rooms inside the command only."""

from __future__ import annotations

from typing import Annotated

import typer

from grid.errors import Finding, InputError
from ozzo.cli_words import AsJson, tell


def replay(
    jobs: Annotated[
        str | None,
        typer.Option(
            help="Trace: SWF log, CSV of arrival_time, length, cpus, table of Alibaba or Azure, or OpenDC Parquet; needed.",
            show_default=False,
        ),
    ] = None,
    carbon: Annotated[
        str | None,
        typer.Option(help="Carbon intensity: CSV or Parquet of Electricity Maps, NESO and others; needed.", show_default=False),
    ] = None,
    policy: Annotated[
        str, typer.Option(help="Policy by name, or FILE.py:CLASS for one of your own; 'list' tells all with what they know.")
    ] = "fifo",
    price: Annotated[str | None, typer.Option(help="Price: CSV, Parquet, or ENTSO-E CSV or XML.")] = None,
    start: Annotated[str | None, typer.Option(help="Move the first arrival to this time, for example 2024-03-01T00:00Z.")] = None,
    horizon: Annotated[float | None, typer.Option(help="Only jobs that arrive in the first so many hours.")] = None,
    wait: Annotated[
        str, typer.Option(metavar="SHORT:LONG@LIMIT", help="Hours that jobs of at most LIMIT hours, and longer ones, may wait.")
    ] = "6:24@2",
    done_within: Annotated[
        float | None, typer.Option(help="Instead of --wait: jobs end within so many hours of arrival; longer ones do not wait.")
    ] = None,
    machines: Annotated[
        int | None, typer.Option(help="Processors; 0 takes the size in the trace. Unlimited if not given.")
    ] = None,
    watts: Annotated[float, typer.Option(help="Power of one processor while it runs (GAIA: 1).")] = 1.0,
    place: Annotated[str, typer.Option(metavar="LAT:LON", help="Where the machine stands, for sun-follow.")] = "52.37:4.90",
    time_zone: Annotated[str, typer.Option(help="Clock of a market price file whose times have no zone.")] = "Europe/Amsterdam",
    repair: Annotated[bool, typer.Option("--repair", help="Mend faults and count them instead of refusing the file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Replay a trace of jobs against a signal under a policy: carbon, cost, waiting, and the bounds of perfect foresight."""
    from ozzo.commands_replay import Request, policies_text, replay_text

    if policy == "list":
        tell(policies_text(as_json=as_json))
        return
    if jobs is None or carbon is None:
        missing = [name for name, given in (("--jobs", jobs), ("--carbon", carbon)) if given is None]
        raise InputError([Finding("", None, name, "nothing", "a file (only --policy list does without)") for name in missing])
    request = Request(
        jobs, carbon, price, policy, start, horizon, wait, done_within, machines, watts, place, time_zone, repair=repair
    )
    tell(replay_text(request, as_json=as_json))
