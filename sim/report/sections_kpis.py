"""Section of the page on key figures: the plan beside the baselines, and each site under the plan."""

from __future__ import annotations

from sim.report.markup import note, section, table
from sim.report.sections import Page
from sim.report.tables import number, policy_words

ROWS: tuple[tuple[str, str, str, int], ...] = (
    ("self_sufficiency_pct", "Self-sufficiency", "%", 1),
    ("self_consumption_pct", "Self-consumption", "%", 1),
    ("renewable_share_pct", "Renewable share of the load, quarter by quarter", "%", 1),
    ("load_factor_pct", "Load factor of the connections", "%", 1),
    ("group_peak_kw", "Peak import, all sites together", "kW", 2),
    ("group_export_peak_kw", "Peak export, all sites together", "kW", 2),
    ("avoided_peak_kw", "Avoided peak, sum of sites", "kW", 2),
    ("avoided_group_peak_kw", "Avoided peak, all sites together", "kW", 2),
    ("avoided_curtailed_kwh", "Curtailment avoided", "kWh", 1),
    ("curtailed_eur", "Value of what was curtailed", "EUR", 2),
    ("released_kw", "Grid capacity released, connections", "kW", 1),
    ("feeders_released_kw", "Grid capacity released, feeders", "kW", 1),
    ("fairness_savings", "Fairness of savings among sites (Jain)", "0 to 1", 3),
    ("fairness_waits", "Fairness of waits (Jain)", "0 to 1", 3),
)
"""Key, label, unit and decimals of the rows of the page."""

SITES_SHOWN = 40
"""At most so many sites have a row on the page; all are in ``summary.json``."""


def kpi_section(page: Page) -> str:
    """Key figures of the plan beside the baselines, and of each site; nothing when nothing was realised."""
    figures, names = page.figures, list(page.figures["baselines"])
    entries = [figures["kpis"], *(figures["baselines"][name]["kpis"] for name in names)]
    if all(entry is None for entry in entries):
        return ""
    rows = [
        [f"{label} ({unit})", *(number(entry[key] if entry else None, decimals) for entry in entries)]
        for key, label, unit, decimals in ROWS
        if any(entry is not None and entry[key] is not None for entry in entries)
    ]
    head = ["", policy_words(figures["policy"]), *(policy_words(name) for name in names)]
    body = note(
        "As realised, settled on 15-minute means. Avoided is against running at once. Local generation is available sun and "
        "wind and what biogas units and generators gave. Formulas: docs/output.md, “Key figures”."
    )
    body += table(head, rows, numeric=range(1, len(head)), own=1)
    if figures["kpis"] is not None and len(figures["kpis"]["sites"]) > 1:
        body += _site_table(figures["kpis"]["sites"])
    return section("Key figures", body, long=True)


def _site_table(sites: dict[str, dict[str, float | None]]) -> str:
    """Key figures of each site under the plan."""
    columns = (
        ("self_sufficiency_pct", "self-sufficiency %", 1),
        ("self_consumption_pct", "self-consumption %", 1),
        ("load_factor_pct", "load factor %", 1),
        ("peak_kw", "peak kW", 2),
        ("released_kw", "released kW", 2),
        ("curtailed_kwh", "curtailed kWh", 1),
        ("cost_eur", "energy cost EUR", 2),
        ("saved_eur", "saved EUR", 2),
    )
    rows = [
        [name, *(number(own[key], decimals) for key, _, decimals in columns)] for name, own in list(sites.items())[:SITES_SHOWN]
    ]
    body = "<h3>Each site under the plan</h3>\n"
    body += table(["site", *(words for _, words, _ in columns)], rows, numeric=range(1, len(columns) + 1), firm=[0])
    rest = len(sites) - SITES_SHOWN
    return body + (note(f"{rest} further sites are in summary.json only.") if rest > 0 else "")
