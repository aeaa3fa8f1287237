"""``ozzo sweep`` and ``ozzo report``: their options. Like ``ozzo.cli`` it imports heavy rooms inside the commands only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ozzo.cli_words import AsJson, finish, tell


def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Sweep file (YAML; docs/researcher.md).", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of results; sweeps/<name> if not given. One with part of them goes on.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; as many as there are cores if not given.", min=1)] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Carry the runs out on the Dask cluster of this scheduler instead.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run every scenario, policy, parameter and seed of a sweep file; what is finished is kept, whatever happens."""
    from ozzo.commands_sweep import Wish
    from ozzo.commands_sweep import sweep as carry_out

    text, code = carry_out(Wish(file, out, workers, dask), as_json=as_json)
    finish(text, code)


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a sweep, finished or not.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", help="The page; DIR/report.html if not given.", dir_okay=False)] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="POLICY", help="Policy that the others are compared with; the sweep's if not given.")
    ] = None,
    level: Annotated[float, typer.Option(help="Confidence of intervals, between 0 and 1.")] = 0.95,
    pictures: Annotated[
        str | None, typer.Option(metavar="FORMATS", help="Also pictures for a paper beside the page: svg, pdf or svg,pdf.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make one page of a sweep: policies with intervals, paired tests, distributions, cost against carbon."""
    from ozzo.commands_report import Wish
    from ozzo.commands_report import report as make

    tell(make(folder, Wish(out, reference, level, pictures), as_json=as_json))
