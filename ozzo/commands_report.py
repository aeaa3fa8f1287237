"""What stands behind ``ozzo report``: a sweep's page, its pictures for a paper, and its statistics in the terminal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.errors import Finding, InputError
from ozzo.answer_tables import rendered, table
from ozzo.version import __version__

if TYPE_CHECKING:
    from sim.experiments.analysis import Results


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        out: the page, or None for ``report.html`` in the folder. reference: policy, or None for the sweep's.
        level: confidence of intervals. pictures: formats in a list, or None.
    """

    out: Path | None = None
    reference: str | None = None
    level: float = 0.95
    pictures: str | None = None


def report(folder: Path, wish: Wish, *, as_json: bool) -> str:
    """Write the page and what else is asked for; returns the text to print.

    Raises:
        InputError: there is no sweep in ``folder``, or an option is wrong.
    """
    from sim.experiments.analysis import read_results
    from sim.experiments.told import told
    from sim.report.files import write_whole
    from sim.report.sweep_page import sweep_html

    if not 0.0 < wish.level < 1.0:
        raise InputError([Finding("--level", None, "", f"{wish.level:g}", "a number between 0 and 1, such as 0.95")])
    results = read_results(folder)
    page = sweep_html(results, wish.reference, wish.level, __version__)
    file = wish.out or folder / "report.html"
    wrote: list[Path] = []
    if wish.pictures is not None:
        from sim.report.paper import write_pictures

        formats = tuple(word.strip() for word in wish.pictures.split(",") if word.strip())
        wrote += write_pictures(results, file.parent / "pictures", formats)
    file.parent.mkdir(parents=True, exist_ok=True)
    wrote.append(write_whole(file, lambda part: part.write_text(page, encoding="utf-8")))
    if as_json:
        return json.dumps(told(results, wish.reference, wish.level) | {"wrote": [str(path) for path in wrote]}, indent=2)
    return rendered(*_told(results, wish), *(f"wrote {path}" for path in wrote))


def _told(results: Results, wish: Wish) -> list[Any]:
    """The objective by policy, and each policy beside the reference."""
    from sim.experiments.analysis import comparisons, summaries
    from sim.report.sweep_page import headlines

    beside = wish.reference or results.reference
    shown = table(
        f"{results.facts['name']}: {len(results.rows)} of {results.facts.get('runs')} runs", "setting", "policy",
        "seeds (n)", "objective (EUR)", "± (EUR)", "carbon (kg)", "late (n)", "not done (n)",
    )  # fmt: skip
    for cell, policy, found in summaries(results, wish.level):
        objective = found["objective_eur"]
        shown.add_row(
            results.words(cell), policy, str(objective.count), f"{objective.mean:.3f}",
            "" if objective.count == 1 else f"{objective.interval.half_width:.3f}", f"{found['carbon_kg'].mean:.2f}",
            f"{found['deadline_misses'].mean:.2f}", f"{found['dropped'].mean:.2f}",
        )  # fmt: skip
    told = comparisons(results, "objective_eur", beside, wish.level)
    return [
        shown,
        f"±: half the {100 * wish.level:g} % interval of the mean (Student's t).",
        *headlines(told, beside, wish.level),
    ]
