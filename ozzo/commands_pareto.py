"""What stands behind ``ozzo pareto``: the front as a table, as JSON and as a page with a picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.errors import Finding, InputError
from ozzo.answer_tables import percent, rendered, table

if TYPE_CHECKING:
    from scheduler.answers.pareto import Front

MOST_POINTS = 50
"""More points would take long and tell nothing new."""


def pareto(scenario_file: Path, points: int, *, out: Path | None, as_json: bool, say: Callable[[str], None]) -> tuple[str, bool]:
    """The front of cost against carbon; returns the text to print and whether every point does all work.

    Raises:
        InputError: the scenario or the number of points is wrong.
    """
    from scheduler.answers.pareto import carbon_prices, front
    from scheduler.build import build_problem
    from scheduler.document import load_scenario
    from sim.report.pareto_page import pareto_html

    if not 2 <= points <= MOST_POINTS:
        raise InputError([Finding("--points", None, "", str(points), f"a number from 2 to {MOST_POINTS}")])
    scenario = load_scenario(scenario_file, progress=say)
    problem = build_problem(scenario)
    found = front(problem, carbon_prices(problem, points), say)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(pareto_html(scenario.name, scenario.title, found), encoding="utf-8")
        say(f"wrote {out}")
    complete = all(point.dropped == 0 for point in found.points)
    if as_json:
        return json.dumps(front_dict(found), indent=2), complete
    return rendered(*_told(scenario.title, found)), complete


def front_dict(found: Front) -> dict[str, Any]:
    """The front as plain JSON values; keys in docs/output.md."""
    from scheduler.answers.pareto import kg_per_eur

    kept = found.kept
    steps = [kg_per_eur(before, after) for before, after in pairwise(kept)]
    saved = dict(zip((id(point) for point in kept[1:]), steps, strict=True))
    return {
        "points": [
            {
                "carbon_eur_per_kg": point.carbon_eur_per_kg,
                "cost_eur": point.cost_eur,
                "carbon_kg": point.carbon_kg,
                "gap": point.gap,
                "not_done": point.dropped,
                "solve_s": point.solve_s,
                "beaten_by": point.beaten_by,
                "saved_kg_per_extra_eur": saved.get(id(point)),
            }
            for point in found.points
        ]
    }


def _told(title: str, found: Front) -> list[Any]:
    """Table of the front, and the sentences around it."""
    from scheduler.answers.pareto import kg_per_eur

    kept = found.kept
    shown = table(
        f"{title}: cost against carbon",
        "made for carbon at (EUR/kg)",
        "cost without carbon (EUR)",
        "carbon (kg)",
        "saved per EUR extra (kg/EUR)",
        "gap (%)",
        "carbon, most to least",
    )
    most, least = kept[0].carbon_kg, kept[-1].carbon_kg
    for k, point in enumerate(kept):
        step = f"{kg_per_eur(kept[k - 1], point):.2f}" if k else ""
        share = (point.carbon_kg - least) / (most - least) if most > least else 0.0
        gap = "unproven" if point.gap is None else f"{100 * point.gap:.2f}"
        row = (f"{point.carbon_eur_per_kg:.3g}", f"{point.cost_eur:.2f}", f"{point.carbon_kg:.2f}", step, gap)
        shown.add_row(*row, "█" * max(1, round(20 * share)))
    lines: list[Any] = [shown]
    cheapest, greenest = kept[0], kept[-1]
    if len(kept) > 1:
        extra, less = greenest.cost_eur - cheapest.cost_eur, cheapest.carbon_kg - greenest.carbon_kg
        lines.append(
            f"From the cheapest plan to the one with least carbon: {extra:.2f} EUR more, {less:.2f} kg less "
            f"({less / max(cheapest.carbon_kg, 1e-9):.1%})."
        )
    else:
        lines.append("One plan is best in both: here cost and carbon do not conflict.")
    for k, point in enumerate(found.points):
        if point.beaten_by is not None:
            other = found.points[point.beaten_by]
            lines.append(
                f"Left out: the plan made for {point.carbon_eur_per_kg:.3g} EUR/kg ({point.cost_eur:.2f} EUR, "
                f"{point.carbon_kg:.2f} kg, gap {percent(point.gap)}) is not better in anything than the one made for "
                f"{other.carbon_eur_per_kg:.3g} EUR/kg."
            )
        if point.dropped:
            lines.append(f"Point {k + 1} leaves {point.dropped} jobs or moves undone; their price is part of its cost.")
    return lines
