"""``ozzo slurm``: its commands and options. Like ``ozzo.cli`` it imports heavy rooms inside the commands only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ozzo.cli_words import AsJson, ScenarioFile, finish, say, tell

slurm_app = typer.Typer(help="Drive an existing Slurm cluster: its queue as jobs of a plan.", no_args_is_help=True)

Partition = Annotated[str, typer.Option(help="Partition that ozzo drives.")]
Conf = Annotated[
    Path | None,
    typer.Option(help="slurm.conf, when it is not where Slurm looks.", show_default=False, exists=True, dir_okay=False),
]
SiteName = Annotated[str, typer.Option(help="Site of the scenario that the cluster is.", show_default=False)]
Book = Annotated[Path, typer.Option(help="File that remembers what was shed.", dir_okay=False)]
Apply = Annotated[bool, typer.Option("--apply", help="Carry the actions out, when the plan passes its rehearsal.")]
Kw = Annotated[float, typer.Option(min=0.0, help="IT power to free, kW.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]
BOOK = Path("ozzo-slurm-shed.json")


@slurm_app.callback()
def slurm() -> None:
    """Drive an existing Slurm cluster: its queue as jobs of a plan."""


@slurm_app.command("queue")
def queue(partition: Partition = "main", conf: Conf = None, as_json: AsJson = False) -> None:
    """Show the queue: which jobs are ozzo's to move, by when, and which comments cannot be read."""
    from ozzo.commands_queue import queue_text
    from ozzo.engines.slurm import Slurm

    text, readable = queue_text(Slurm(partition, conf), as_json=as_json)
    finish(text, readable)


@slurm_app.command("plan")
def plan(
    scenario: ScenarioFile,
    site: SiteName,
    partition: Partition = "main",
    conf: Conf = None,
    apply: Apply = False,
    as_json: AsJson = False,
) -> None:
    """Plan the queue into the rest of the scenario, rehearse the plan, and show (or apply) what it means for each job."""
    from ozzo.commands_queue import plan_text
    from ozzo.engines.slurm import Slurm

    text, good = plan_text(Slurm(partition, conf), scenario, site, apply=apply, as_json=as_json, say=say)
    finish(text, good)


@slurm_app.command("shed")
def shed(
    scenario: ScenarioFile,
    site: SiteName,
    kw: Kw,
    reason: Reason,
    partition: Partition = "main",
    conf: Conf = None,
    book: Book = BOOK,
    as_json: AsJson = False,
) -> None:
    """Close the partition and suspend pausable jobs at once; the exit code is 1 when less than asked could be freed."""
    from ozzo.commands_queue import shed_text
    from ozzo.engines.slurm import Slurm

    text, enough = shed_text(Slurm(partition, conf), scenario, site, kw, reason, book, as_json=as_json)
    finish(text, enough)


@slurm_app.command("restore")
def restore(partition: Partition = "main", conf: Conf = None, book: Book = BOOK, as_json: AsJson = False) -> None:
    """Give back what was shed: resume the jobs, open the partition."""
    from ozzo.commands_queue import restore_text
    from ozzo.engines.slurm import Slurm

    tell(restore_text(Slurm(partition, conf), book, as_json=as_json))
