"""The section on batteries: cycles by depth, counted by rainflow as realised, and what they cost in life."""

from __future__ import annotations

from itertools import pairwise

from sim.battery_life import BUCKETS
from sim.report.battery_figures import batteries
from sim.report.markup import note, section, table
from sim.report.sections import Page
from sim.report.tables import number


def batteries_section(page: Page) -> str:
    """A row for each battery; nothing when there is none."""
    found = batteries(page.record)
    if not found:
        return ""
    edges = (0.0, *BUCKETS)
    classes = [f"{100 * low:.0f}-{100 * high:.0f} %" for low, high in pairwise(edges)]
    head = ["site", "full cycles", "deepest %", "mean %", *classes, "wear EUR", "by count EUR"]
    rows = [
        [
            life.site,
            number(life.full_cycles, 2),
            number(100 * life.deepest, 0),
            number(100 * life.mean_soc, 0),
            *[number(count, 1) for count in life.cycles],
            number(life.wear_eur, 3),
            number(life.wear_by_rainflow_eur, 3),
        ]
        for life in found
    ]
    body = note(
        "Cycles are counted by rainflow (ASTM E1049), by depth, as realised; a half cycle counts a half. Where wear "
        "is priced by depth, the last two columns are one price from two countings: by layers, as the optimiser has it, and by "
        "rainflow."
    )
    return section("Batteries", body + table(head, rows, numeric=range(1, len(head))))
