"""The status as a page: HTML without scripts and without anything from elsewhere, anew every few seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

ANEW_S = 5
STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; color: #1b1f24; }
h1 { font-size: 1.4em } h2 { font-size: 1.1em; margin-top: 1.6em }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .25em .8em .25em 0; vertical-align: top }
tr { border-bottom: 1px solid #d8dee4 } .bad { color: #a40e26; font-weight: 600 } .dim { color: #6a737d }
@media (prefers-color-scheme: dark) {
  body { background: #14171a; color: #e6e8ea } tr { border-color: #333a41 } .bad { color: #ff8a8a }
}
"""


def page_html(told: Mapping[str, Any]) -> str:
    """The page of a status (see ``ozzo.serve.status.status``)."""
    lead = f"epoch {told['epoch']}, process {told['pid']}" if told["serving"] else "nobody serves it now"
    place = f"Scenario time {told['scenario_time']}, at {told['speed']} times real time, over {told['transport']}."
    parts = [
        f"<h1>{escape(str(told['scenario']))}: {escape(told['mode'])}</h1>",
        f"<p>{escape(lead)}. {escape(place)}</p>",
        f"<p class=dim>{escape('planning now: ' + told['planning']) if told['planning'] else ''}</p>",
        _plan(told["plan"]),
        _jobs(told["jobs"]),
        _counters(told["counters"]),
        "<h2>Nodes</h2>",
        _table(("node", "there", "last word", "cap", "power", "jobs"), (_node(n, v) for n, v in told["nodes"].items())),
        "<h2>By hand</h2>",
        _table(
            ("target", "order", "reason", "by", "since"),
            (
                (f"{o['target']} {o['name']}", _order(o), str(o["reason"]), str(o["by"]), str(o["at"])[:16])
                for o in told["overrides"]
            ),
        ),
        _evidence(told),
        _lines("Notes", [*told["notes"], *([told["document_refused"]] if told["document_refused"] else [])]),
    ]
    head = f"<meta charset=utf-8><meta http-equiv=refresh content={ANEW_S}><title>ozzo {escape(str(told['scenario']))}</title>"
    return f"<!doctype html><html lang=en><head>{head}<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>"


def _plan(plan: Mapping[str, Any] | None) -> str:
    if plan is None:
        return "<h2>Plan</h2><p class=bad>No plan is in force.</p>"
    gap = "unknown" if plan["gap"] is None else f"{100 * plan['gap']:.2f} %"
    cost = f"{plan['objective_eur']:.2f} EUR"
    text = f"In force for {plan['age_s']:.0f} s ({plan['cause']}); verdict {plan['verdict']}, gap {gap}, {cost}"
    text += f", {plan['runs']} runs."
    left_out = f" Left out: {', '.join(plan['dropped'])}." if plan["dropped"] else ""
    return f"<h2>Plan</h2><p>{escape(text + left_out)}</p>"


def _jobs(jobs: Mapping[str, Any]) -> str:
    rows = (
        (stage, str(len(names)), ", ".join(names[:20]) + (" ..." if len(names) > 20 else ""))
        for stage, names in jobs["names"].items()
    )
    return "<h2>Jobs</h2>" + _table(("stage", "jobs", "names"), rows)


def _counters(counters: Mapping[str, int]) -> str:
    words = (f"<span class={'bad' if count else 'dim'}>{escape(name)} {count}</span>" for name, count in counters.items())
    return f"<p>{', '.join(words)}</p>"


def _node(name: str, node: Mapping[str, Any]) -> tuple[str, ...]:
    there = "yes" if node["present"] else "lost, surely in failsafe" if node["failsafe_certain"] else "lost"
    age = "never heard" if node["age_s"] is None else f"{node['age_s']:.0f} s ago"
    cap = "" if node["cap_kw"] is None else f"{node['cap_kw']:g} kW" + (" (failsafe)" if node["failsafe"] else "")
    power = "" if node["power_kw"] is None else f"{node['power_kw']:.2f} kW"
    jobs = ", ".join(f"{job.partition('/')[2]} {'held' if job in node['held'] else wish}" for job, wish in node["jobs"].items())
    return (name, there, age, cap, power, jobs)


def _order(item: Mapping[str, Any]) -> str:
    return str(item["action"]) + ("" if item["kw"] is None else f" {item['kw']:g} kW")


def _evidence(told: Mapping[str, Any]) -> str:
    found, asked = told["evidence"], told["thresholds"]
    error = "none yet" if found["error_pct"] is None else f"{found['error_pct']:.1f} %"
    rows = (
        ("rehearsals passed", str(found["passed"]), f"at least {asked['rehearsals']}"),
        ("hours without a violation", f"{found['clean_h']:.2f}", f"at least {asked['clean_h']:g}"),
        ("forecast error of import (twin)", error, f"at most {asked['error_pct']:g} %"),
        ("rehearsals failed, violations", f"{found['failed']}, {found['violations']}", found["last_violation"]),
    )
    return "<h2>Evidence</h2>" + _table(("since this mode", "shown", "asked for"), rows)


def _lines(title: str, lines: Sequence[str]) -> str:
    return f"<h2>{title}</h2>" + "".join(f"<p>{escape(line)}</p>" for line in lines) if lines else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; every cell is escaped. A row that tells of a loss stands out."""
    body = "".join(
        f"<tr{' class=bad' if len(row) > 1 and row[1].startswith('lost') else ''}>"
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    if not body:
        return "<p class=dim>none</p>"
    return f"<table><tr>{''.join(f'<th>{escape(word)}</th>' for word in head)}</tr>{body}</table>"
