"""``ozzo kubernetes``: its commands and options. Like ``ozzo.cli`` it imports heavy rooms inside the commands only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grid.errors import Finding, InputError
from ozzo.cli_slurm import Apply, Book, Kw, Reason, SiteName
from ozzo.cli_words import AsJson, ScenarioFile, finish, say, tell

if TYPE_CHECKING:
    from ozzo.engines.kubernetes import Kubernetes

kubernetes_app = typer.Typer(help="Drive a Kubernetes cluster: its Jobs as jobs of a plan.", no_args_is_help=True)

Namespaces = Annotated[
    list[str] | None, typer.Option("--namespace", help="Namespace that ozzo drives; repeat for more. [default]")
]
Config = Annotated[
    Path | None, typer.Option("--kubeconfig", help="Instead of KUBECONFIG, ~/.kube/config or the pod's own.", show_default=False)
]
Context = Annotated[str | None, typer.Option(help="Of the kubeconfig, instead of its current one.", show_default=False)]
Nodes = Annotated[str, typer.Option(help="Label selector of the nodes that the site has.", show_default=False)]
BOOK = Path("ozzo-kubernetes-shed.json")
NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""RFC 1123 label, as namespaces are named (Kubernetes, "Object Names and IDs")."""


@kubernetes_app.callback()
def kubernetes() -> None:
    """Drive a Kubernetes cluster: its Jobs as jobs of a plan."""


@kubernetes_app.command("queue")
def queue(namespaces: Namespaces = None, kubeconfig: Config = None, context: Context = None, as_json: AsJson = False) -> None:
    """Show the Jobs: which are ozzo's to move, by when, and which annotations cannot be read."""
    from ozzo.commands_queue import queue_text

    text, readable = queue_text(_engine(namespaces, kubeconfig, context), as_json=as_json)
    finish(text, readable)


@kubernetes_app.command("plan")
def plan(
    scenario: ScenarioFile,
    site: SiteName,
    namespaces: Namespaces = None,
    kubeconfig: Config = None,
    context: Context = None,
    nodes: Nodes = "",
    apply: Apply = False,
    as_json: AsJson = False,
) -> None:
    """Plan the Jobs into the rest of the scenario, rehearse the plan, and show (or apply) what it means for each."""
    from ozzo.commands_queue import plan_text

    engine = _engine(namespaces, kubeconfig, context, nodes)
    text, good = plan_text(engine, scenario, site, apply=apply, as_json=as_json, say=say)
    finish(text, good)


@kubernetes_app.command("shed")
def shed(
    scenario: ScenarioFile,
    site: SiteName,
    kw: Kw,
    reason: Reason,
    namespaces: Namespaces = None,
    kubeconfig: Config = None,
    context: Context = None,
    book: Book = BOOK,
    as_json: AsJson = False,
) -> None:
    """Suspend interruptible Jobs at once and hold ours that wait; the exit code is 1 when less than asked could be freed."""
    from ozzo.commands_queue import shed_text

    text, enough = shed_text(_engine(namespaces, kubeconfig, context), scenario, site, kw, reason, book, as_json=as_json)
    finish(text, enough)


@kubernetes_app.command("restore")
def restore(
    namespaces: Namespaces = None,
    kubeconfig: Config = None,
    context: Context = None,
    book: Book = BOOK,
    as_json: AsJson = False,
) -> None:
    """Give back what was shed: exactly the Jobs that this shedding suspended or held."""
    from ozzo.commands_queue import restore_text

    tell(restore_text(_engine(namespaces, kubeconfig, context), book, as_json=as_json))


def _engine(namespaces: list[str] | None, kubeconfig: Path | None, context: str | None, nodes: str = "") -> Kubernetes:
    from ozzo.engines.kubernetes import Kubernetes
    from ozzo.engines.kubernetes_api import Access, KubernetesApi

    wanted = tuple(dict.fromkeys(namespaces or ["default"]))
    wrong = [name for name in wanted if not NAMESPACE.fullmatch(name)]
    if wrong:
        expected = "small letters, digits and hyphens, at most 63"
        raise InputError([Finding("--namespace", None, "", repr(name), expected) for name in wrong])
    return Kubernetes(KubernetesApi(Access(kubeconfig, context)), wanted, nodes)
