"""Section of the page on grid capacity: what is full before and after, what the plan releases, and how well it was foreseen."""

from __future__ import annotations

from sim.record import RunRecord
from sim.report.grid_capacity import grid_capacity, overloaded_words
from sim.report.markup import note, section, table
from sim.report.sections import Page
from sim.report.tables import number

LINES_SHOWN = 5
"""Lines in the table: the fullest ones before."""


def grid_section(page: Page) -> str:
    """What is full, before and after, and what the plan leaves."""
    found = grid_capacity(page.record)
    if found is None:
        return ""
    entries = found["elements"]
    lines = sorted((e for e in entries if e["kind"] == "line"), key=lambda e: -(e["before_pct"] or e["after_pct"] or 0.0))
    shown = [e for e in entries if e["kind"] != "line"] + lines[:LINES_SHOWN]
    rows = [[e["kind"], e["element"], number(e["before_pct"], 1), number(e["after_pct"], 1)] for e in shown]
    body = note(
        "Highest flow through each element in percent of its rating: before is run at once, after is this run. "
        f"Of the lines the fullest {LINES_SHOWN} are shown."
    )
    body += table(["kind", "element", "before (%)", "after (%)"], rows, numeric=(2, 3), firm=[0, 1], own=3)
    body += note(f"Share of elements above their rating: {overloaded_words(found)}.")
    return section("Grid capacity", body + _plan_words(page.record), long=True)


def _plan_words(record: RunRecord) -> str:
    """What the plan itself says: headroom, rounds of cutting back, error of the linear model."""
    report = record.plans[-1].plan.network if record.plans else None
    if report is None:
        return ""
    rows = [
        [str(room.kind), room.element, *(number(value, 1) for value in (room.rating, room.peak, room.released))]
        for room in report.headroom
    ]
    body = ""
    if rows:
        body += "<h3>Capacity that the plan releases</h3>\n"
        body += note("Rating minus planned peak, for others to use; kVA at nominal voltage, of feeders kW.")
        body += table(["kind", "element", "rating", "peak", "released"], rows, numeric=(2, 3, 4), firm=[0, 1], own=4)
    words = f"The plan kept {report.cuts} linear limits and was made again {report.rounds} times after an AC power flow."
    if report.voltage_error_max_pu is not None:
        words += (
            f" Between the linear model and AC lie at most {report.voltage_error_max_pu:.2g} pu of voltage (99 % of all buses "
            f"and slots: {report.voltage_error_p99_pu:.2g} pu) and {report.loading_error_max_pct:.2g} percentage points of "
            f"loading (99 %: {report.loading_error_p99_pct:.2g})."
        )
    return body + note(words + "".join(f" The network does not carry the plan: {sentence}." for sentence in report.left))
