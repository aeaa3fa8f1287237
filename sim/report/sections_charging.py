"""The section on charging points: a fleet's curve charged at once and as planned, its figures, the cars that leave short."""

from __future__ import annotations

from typing import Any

import numpy as np

from grid.assets.charging import ChargingFleet
from sim.report.axes import Figure, band, layout, steps, time_axis, value_axis
from sim.report.charging import AT_ONCE, fleets, peak_share, run_in
from sim.report.markup import note, section, table, text
from sim.report.sections import Page
from sim.report.tables import number

HEAD = ["", "charged at once", "as planned"]


def charging_section(page: Page) -> str:
    """A curve and a table for each fleet; nothing without charging points."""
    figures = page.figures["charging"]
    if figures is None:
        return ""
    body = note(
        "What all cars of a fleet draw from the site, less what they give back, as the first plan has it, beside charging "
        "every car at full power from its arrival. Shaded: peak hours of the grid."
    )
    for index, ((site, fleet), found) in enumerate(zip(fleets(page.record), figures["fleets"], strict=True)):
        body += f"<h3>{text(fleet.name)} at {text(site)}</h3>\n"
        label = f"power of {fleet.name} at {site}, charged at once and as planned"
        body += page.picture(f"charging-{index}", _curve(page, site, fleet), label)
        body += table(HEAD, _rows(found), numeric=(1, 2), firm=[0])
        body += _words(found)
    benefit = figures["v2g_benefit_eur"]
    if benefit is not None:
        body += note(f"Letting cars give back is worth EUR {number(benefit, 2)} beyond shifting their charging.")
    return section("Charging points", body)


def _curve(page: Page, site: str, fleet: ChargingFleet) -> Figure | None:
    """Draw of the fleet, planned and at once."""
    record, clock = page.record, page.clock
    horizon, traces = record.scenario.horizon, list[dict[str, Any]]()
    before = run_in(record.baseline_plans.get(AT_ONCE), site, fleet.name)
    after = run_in(record.plans[0].plan, site, fleet.name)
    if before is not None:
        style = {"dash": "dot", "width": 1.4}
        traces.append(steps(clock, horizon, before.draw_kw, "charged at once", "var(--faint)", line=style))
    if after is not None and after.draw_kw.shape == (horizon.slots,):
        traces.append(steps(clock, horizon, after.draw_kw, "as planned", "var(--site0)"))
    if not traces:
        return None
    peaks = np.concatenate(([0.0], (peak_share(fleet, horizon) > 0).astype(float), [0.0]))
    begins, ends = np.flatnonzero(np.diff(peaks) > 0), np.flatnonzero(np.diff(peaks) < 0)
    shapes = [
        band(clock, horizon.time(first), horizon.time(last)) for first, last in zip(begins.tolist(), ends.tolist(), strict=True)
    ]
    axis = value_axis("draw of the fleet (kW)", zeroline=True)
    return {"data": traces, "layout": layout(320, xaxis=time_axis(clock, horizon), yaxis=axis, shapes=shapes)}


def _rows(found: dict[str, Any]) -> list[list[str]]:
    """Figures at once and as planned."""
    shares = [None if found[key] is None else 100 * found[key] for key in ("at_once_off_peak_share", "off_peak_share")]
    return [
        ["highest draw (kW)", number(found["at_once_peak_kw"], 1), number(found["peak_kw"], 1)],
        ["taken outside peak hours (%)", *(number(share, 1) for share in shares)],
        ["given back (kWh)", number(0.0, 1), number(found["given_back_kwh"], 1)],
    ]


def _words(found: dict[str, Any]) -> str:
    """How many cars there are, and which of them leave short."""
    words = (
        f"{number(found['sessions'], 0)} cars in {number(found['groups'], 0)} groups ask for {number(found['asked_kwh'], 0)} kWh."
    )
    if found["may_give"]:
        words += f" {number(found['may_give'], 0)} of them may give back, {number(found['gave'], 0)} do."
    if found["short_cars"]:
        named = ", ".join(f"{car['session']} ({number(car['missing_kwh'], 2)} kWh)" for car in found["short"])
        words += f" {number(found['short_cars'], 0)} leave with less than they asked for: {named}."
    else:
        words += " Every car has its energy when it leaves."
    return note(words)
