"""Section of the page on contracts with the grid operator: who pays what, as planned and as realised."""

from __future__ import annotations

from collections import defaultdict

from scheduler.contract_bill import Charge
from sim.report.contract_figures import WORDS, contract_figures
from sim.report.markup import note, section, table
from sim.report.sections import Page
from sim.report.tables import number

HEAD = ["contract", "site", "for", "quantity", "", "planned EUR", "realised EUR"]


def contracts_section(page: Page) -> str:
    """A row for each line of the bill and one for each site; nothing without contracts."""
    lines = contract_figures(page.record)
    if not lines:
        return ""
    body = note(
        "What contracts with the grid operator cost (positive) and bring (negative), settled on quarter-hours. Penalties and "
        "peaks are in the objective; rewards are the same for every plan and are not."
    )
    rows: list[list[str]] = []
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for line in lines:
        planned, realised = line["planned_eur"], line["eur"]
        sums[line["site"]][0] += planned or 0.0
        sums[line["site"]][1] += realised
        quantity = number(line["quantity"], 2)
        words = WORDS[Charge(line["charge"])]
        rows.append([line["contract"], line["site"], words, quantity, line["unit"], number(planned, 2), number(realised, 2)])
    rows += [["all", site, "sum", "", "", number(planned, 2), number(realised, 2)] for site, (planned, realised) in sums.items()]
    return section("Contracts", body + table(HEAD, rows, numeric=(3, 5, 6), firm=[0, 1], own=6))
