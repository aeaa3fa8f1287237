"""What stands behind ``ozzo scenarios``: every shipped scenario run, and a page that tells what came of it.

Each scenario runs in a process of its own, up to its rehearsal (no node is commanded). The page holds nothing that was not
computed in that run or written in the scenario's file.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grid.errors import Finding, InputError
from sim.report.charging_words import charging_sentences

ROWS = (
    ("Weighted objective (EUR)", "objective_eur", 2),
    ("Energy cost (EUR)", "cost_eur", 2),
    ("Carbon, average intensity (kg)", "carbon_kg", 1),
    ("Imported (kWh)", "import_kwh", 1),
    ("Exported (kWh)", "export_kwh", 1),
    ("Sun and wind used on site (kWh)", "self_used_kwh", 1),
    ("Curtailed (kWh)", "curtailed_kwh", 1),
    ("Peaks of the sites, summed (kW)", "peak_kw", 2),
    ("Deadline misses", "deadline_misses", 0),
    ("Not done", "dropped", 0),
)
"""Rows of the figures table: words, key of the summary, decimals."""

HEAT_ROWS = (
    ("Heat delivered (MWh)", "delivered_mwh", 2),
    ("Gas avoided (m3)", "gas_avoided_m3", 0),
    ("Carbon avoided in boilers, not taken off (kg)", "co2_avoided_kg", 0),
    ("Electricity of heat pumps (kWh)", "electricity_kwh", 0),
    ("Cooling spared (kWh)", "cooling_saved_kwh", 0),
)
"""The same of what stands under ``heat``, where a site reuses heat."""

TITLES = {"fifo": "run at once", "wait_for_sun": "wait for sun", "shift_only": "cars give nothing back"}
NETWORK = {
    "transformer_loading_pct": ("highest transformer loading", "%", 1),
    "line_loading_pct": ("highest line loading", "%", 1),
    "voltage_low_pu": ("lowest voltage", "pu", 4),
    "voltage_high_pu": ("highest voltage", "pu", 4),
}


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of one scenario.

    Attributes:
        name: id. story: head of its file, plain text; document: its YAML.
        summary: ``ozzo run --json``, or None when it could not run.
        trouble: why not, else empty.
    """

    name: str
    story: str
    document: dict[str, Any]
    summary: dict[str, Any] | None
    trouble: str


def scenarios_page(folder: Path, only: Sequence[str], say: Callable[[str], None]) -> tuple[str, int]:
    """The page, and how many scenarios could not run.

    Raises:
        InputError: a name of ``only`` is no scenario of ``folder``.
    """
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    unknown = [name for name in only if name not in names]
    if unknown:
        raise InputError([_unknown(name, names) for name in unknown])
    told = []
    for name in only or names:
        say(f"running {name}")
        told.append(run_one(folder / f"{name}.yaml"))
    return page(told), sum(one.summary is None for one in told)


def _unknown(name: str, names: Sequence[str]) -> Finding:
    import difflib

    nearest = difflib.get_close_matches(name, names, 1, 0.0)
    return Finding("", None, "--only", repr(name), "a shipped scenario", nearest[0] if nearest else None)


def run_one(file: Path) -> Told:
    """Run a scenario up to its rehearsal in a process of its own."""
    import yaml

    text = file.read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    with tempfile.TemporaryDirectory(prefix="ozzo-scenarios-") as runs:
        command = [
            sys.executable,
            "-c",
            "from ozzo.cli import main; main()",
            "run",
            str(file),
            "--no-nodes",
            "--json",
            "--runs",
            runs,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this very program
    try:
        summary = json.loads(done.stdout)
    except ValueError:
        summary = None
    if summary is not None and "findings" in summary:
        summary = None
    trouble = ""
    if summary is None:
        lines = done.stderr.strip().splitlines()
        trouble = lines[-1] if lines else f"exit code {done.returncode}"
    return Told(file.stem, story_of(text), document, summary, trouble.replace(str(file.parent) + "/", "configs/"))


def story_of(text: str) -> str:
    """The comment at the head of a scenario file as Markdown: paragraphs, with commands (indented lines) as code."""
    parts: list[str] = []
    code = False
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        content = line[1:].removeprefix(" ")
        is_code = content.startswith("  ") and bool(content.strip())
        if is_code != code:
            parts.append("```sh" if is_code else "```")
            code = is_code
        parts.append(_command(content.strip()) if is_code else content.rstrip())
    if code:
        parts.append("```")
    return "\n".join(parts).strip()


def _command(line: str) -> str:
    """A line of a command block that a shell takes: words after a command, or without one, become a comment."""
    command, *words = re.split(r"\s{2,}", line, maxsplit=1)
    if not command.startswith(("ozzo ", "--")):
        return f"# {line}"
    return command if not words else f"{command}  # {words[0]}"


def page(told: Sequence[Told]) -> str:
    """The Markdown page of all scenarios."""
    head = [
        "# The scenarios that ship",
        "",
        "Written by `ozzo scenarios --out docs/scenarios.md` from runs of every file in `configs/`; do not edit.",
        "Figures are as realised in the simulated world of the scenario's seed; how they are reckoned: [output.md](output.md).",
        "Another run may differ in the last digits, because the search ends by its gap.",
        "",
        "| scenario | jobs | sites | better than running at once | proven within | verdict |",
        "|---|---|---|---|---|---|",
        *(_overview(one) for one in told),
    ]
    return "\n".join(head) + "\n" + "".join("\n" + _section(one) for one in told)


def _overview(one: Told) -> str:
    summary = one.summary
    if summary is None:
        return f"| [{one.name}](#{one.name}) | | | | | not run |"
    verdict, gap = summary.get("verdict") or "no plan", summary.get("gap")
    better = ""
    at_once = summary.get("baselines", {}).get("fifo")
    if at_once and summary.get("objective_eur") is not None and at_once["objective_eur"]:
        saved = at_once["objective_eur"] - summary["objective_eur"]
        better = f"{saved:.2f} EUR"
        if at_once["objective_eur"] > 0 and saved <= at_once["objective_eur"]:  # of a bill below nothing there is no share
            better += f" ({saved / at_once['objective_eur']:.1%})"
    proven = "" if gap is None else f"{gap:.2%}"
    return f"| [{one.name}](#{one.name}) | {summary['jobs']} | {summary['sites']} | {better} | {proven} | {verdict} |"


def _section(one: Told) -> str:
    lines = [f"## {one.name}", "", f"*{one.document.get('title', '')}*", "", one.story, ""]
    if one.summary is None:
        return "\n".join([*lines, f"Not run when this page was written: {one.trouble}", ""])
    lines += _figures(one.summary)
    lines += _worst_of_network(one.summary)
    lines += _charging(one.summary)
    lines += _contracts(one.summary)
    lines += [f"- broken rule: {fault['kind']} at {fault['subject']}: {fault['advice']}" for fault in one.summary["violations"]]
    assumed = (one.document.get("provenance") or {}).get("assumed") or []
    if assumed:
        lines += ["", "Assumed:", "", *(f"- {' '.join(str(sentence).split())}" for sentence in assumed)]
    return "\n".join([*lines, ""])


def _figures(summary: dict[str, Any]) -> list[str]:
    policies = [("optimised plan", summary)]
    policies += [(TITLES.get(name, name), figures) for name, figures in summary.get("baselines", {}).items()]
    lines = ["| | " + " | ".join(title for title, _ in policies) + " |", "|---|" + "---|" * len(policies)]
    lines += [_row(words, [figures.get(key) for _, figures in policies], digits) for words, key, digits in ROWS]
    if summary.get("heat"):
        heat = [figures.get("heat") or {} for _, figures in policies]
        lines += [_row(words, [figures.get(key) for figures in heat], digits) for words, key, digits in HEAT_ROWS]
    return [*lines, ""]


def _row(words: str, values: Sequence[float | None], digits: int) -> str:
    return f"| {words} | " + " | ".join("" if value is None else f"{value:.{digits}f}" for value in values) + " |"


def _contracts(summary: dict[str, Any]) -> list[str]:
    """Sentences about what contracts cost and bring, lines of 0 left out."""
    from scheduler.contract_bill import Charge
    from sim.report.contract_figures import WORDS

    lines = []
    for line in summary.get("contracts", []):
        if abs(line["quantity"]) >= 0.005:
            planned = "" if line["planned_eur"] is None else f" (planned {line['planned_eur']:.2f} EUR)"
            lines.append(
                f"- contract {line['contract']} of {line['site']}: {WORDS[Charge(line['charge'])]}, {line['quantity']:.2f} "
                f"{line['unit']}: {line['eur']:.2f} EUR{planned}"
            )
    return [*lines, ""] if lines else []


def _worst_of_network(summary: dict[str, Any]) -> list[str]:
    """Sentences about the electrical network, plan beside running at once."""
    network = summary.get("network")
    if not network:
        return []
    before = (summary.get("baselines", {}).get("fifo") or {}).get("network") or {}
    lines = []
    for key, (words, unit, digits) in NETWORK.items():
        worst, other = network.get(key), before.get(key)
        if worst:
            than = f"; run at once: {other['value']:.{digits}f} {unit}" if other else ""
            lines.append(f"- {words}: {worst['value']:.{digits}f} {unit} at {worst['element']}{than}")
    return [*lines, ""]


def _charging(summary: dict[str, Any]) -> list[str]:
    """Sentences about charging points, plan beside charging at once."""
    charging = summary.get("charging")
    return [f"- {sentence}" for sentence in charging_sentences(charging)] + [""] if charging else []
