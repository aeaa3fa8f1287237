"""``report.html``: one file that shows a run, readable offline for as long as there are browsers.

Pictures are drawn in the browser by plotly's own script, which is written into the page once; nothing is loaded from
anywhere. Every figure in the page comes from the record.
"""

from __future__ import annotations

import json
from importlib import resources

from sim.record import RunRecord
from sim.report.markup import slug, text
from sim.report.sections import (
    Page,
    balance_section,
    charge_section,
    events_section,
    header,
    headline_words,
    limits_section,
    network_section,
    summary_section,
)
from sim.report.sections_assets import assets_section
from sim.report.sections_batteries import batteries_section
from sim.report.sections_business import business_section
from sim.report.sections_charging import charging_section
from sim.report.sections_contracts import contracts_section
from sim.report.sections_grid import grid_section
from sim.report.sections_kpis import kpi_section
from sim.report.sections_shares import mains_section, shares_section
from sim.report.sections_why import (
    commanding_section,
    dropped_section,
    jobs_section,
    placement_section,
    provenance_section,
    rehearsal_section,
    why_section,
)

SECTIONS = (
    summary_section,
    kpi_section,
    business_section,
    balance_section,
    limits_section,
    charge_section,
    batteries_section,
    assets_section,
    charging_section,
    contracts_section,
    shares_section,
    jobs_section,
    events_section,
    mains_section,
    network_section,
    grid_section,
    placement_section,
    why_section,
    dropped_section,
    rehearsal_section,
    commanding_section,
    provenance_section,
)

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:; font-src data:"
"""Content-Security-Policy of the page: the browser itself refuses anything from outside."""


def asset(name: str) -> str:
    """Text of a file of this room."""
    return resources.files("sim.report").joinpath(name).read_text(encoding="utf-8")


def script_json(value: object) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _titles(body: str) -> list[str]:
    """Titles of the sections, in order."""
    return [part.split("</h2>", 1)[0] for part in body.split("<h2>")[1:]]


def report_html(record: RunRecord) -> str:
    """The page of a run, complete or partial."""
    from plotly.offline import get_plotlyjs

    page = Page.of(record)
    top = header(page)
    body = "".join(make(page) for make in SECTIONS)
    links = "".join(f'<a href="#{slug(title)}">{title}</a>' for title in _titles(body))
    title = text(f"{record.scenario.name}: {headline_words(page.figures)}")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<style>\n{asset('page.css')}</style>\n</head>\n<body>\n"
        f"{top}<nav>{links}</nav></header>\n<main>\n"
        "<noscript><p>Pictures and filters need JavaScript; every table is readable without.</p></noscript>\n"
        f"{body}</main>\n<footer>Made by ozzo {text(record.version)} from the record of this run; times are local to "
        f"{text(record.scenario.time_zone)} unless marked UTC.</footer>\n"
        f'<script type="application/json" id="figures">{script_json(page.pictures)}</script>\n'
        f"<script>{get_plotlyjs()}</script>\n<script>\n{asset('page.js')}</script>\n</body>\n</html>\n"
    )
