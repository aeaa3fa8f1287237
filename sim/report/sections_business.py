"""Section of the page on a published business case, beside what ozzo simulated; the two never mix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim.report.business_case import SIMULATED
from sim.report.markup import bullets, note, section, table
from sim.report.sections import Page
from sim.report.tables import number

MONEY = ["hubs", "capex (M EUR)", "avoided reinforcement (M EUR)", "avoided cost (M EUR a year)"]


def business_section(page: Page) -> str:
    """Published figures, arithmetic on them, and the run before and after; nothing when the scenario names no case."""
    found = page.figures["business_case"]
    if found is None:
        return ""
    published = [[f"set {one['set']}", *_money(one), number(one["payback_years"], 2)] for one in found["published"]]
    body = note(
        f"Figures as published: {found['title']}. Payback is capex over the cost avoided in a year, without reinforcement."
    )
    body += table(["published", *MONEY, "payback (years)"], published, numeric=range(1, 6), firm=[0])
    body += bullets([f"Set {one['set']}: {one['source']}" for one in found["published"]])
    scaled = [[one["words"], *_money(one)] for one in found["arithmetic"]]
    if scaled:
        body += "<h3>Arithmetic on each set alone</h3>\n"
        body += table(["arithmetic", *MONEY], scaled, numeric=range(1, 5), firm=[0])
    return section("Business case", body + _simulated(found) + bullets(found["notes"]), long=True)


def _money(one: Mapping[str, Any]) -> list[str]:
    """Cells of one row of amounts; a span when the source gives one."""
    low, high = (number(one[f"avoided_reinforcement_{end}_meur"], 0) for end in ("low", "high"))
    span = low if low == high else f"{low} to {high}"
    return [number(one["hubs"], 0), number(one["capex_meur"], 0), span, number(one["avoided_cost_meur_per_year"], 0)]


def _simulated(found: Mapping[str, Any]) -> str:
    """What the run came to, before (run at once) and after; nothing when nothing was carried out."""
    before, after = found["before"], found["after"]
    known = after or before
    if known is None:
        return ""
    rows = [
        [f"{label} ({unit})", *(number(side[key] if side else None, decimals) for side in (before, after))]
        for key, label, unit, decimals in SIMULATED
    ]
    body = f"<h3>What ozzo simulated with {known['hubs']} hubs</h3>\n"
    body += note("Before: every hub runs its work at once. After: this run. Same input, same seed, over the scenario's horizon.")
    return body + table(["simulated", "before", "after"], rows, numeric=(1, 2), own=2)
