"""What stands behind ``ozzo reproduce``: published, ours and difference as a table or as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.errors import FeedError, Finding, InputError
from ozzo.answer_tables import rendered, table

if TYPE_CHECKING:
    from sim.reproduce.half_hours import HalfHours
    from sim.reproduce.lwa import Saving

LWA_FILES = ("lwa/ger_ci.csv", "lwa/fr_ci.csv")


def lwa(series: Sequence[Path], *, as_json: bool, say: Callable[[str], None]) -> str:
    """Both scenarios of "Let's Wait Awhile" for each file; without a file those of the data folder.

    Raises:
        InputError: a file cannot be used, or there is none.
    """
    from sim.reproduce.lwa import savings

    carbons = _read(series or _data_files())
    found = [(carbon, savings(carbon, say)) for carbon in carbons]
    rows = [row for carbon, ours in found for row in _rows(carbon, ours)]
    if as_json:
        return json.dumps({"experiment": "lwa", "rows": rows}, indent=1)
    return rendered(*(_table(carbon, rows) for carbon in carbons))


def _data_files() -> list[Path]:
    folder = os.environ.get("OZZO_DATA")
    if not folder:
        expected = "a carbon series, or the environment variable OZZO_DATA"
        raise InputError([Finding(file="", line=None, field="--series", found="nothing", expected=expected)])
    return [Path(folder) / name for name in LWA_FILES]


def _read(paths: Sequence[Path]) -> list[HalfHours]:
    """All series, or the faults of all files at once."""
    from sim.reproduce.half_hours import read_half_hours

    carbons, findings = [], []
    for path in paths:
        try:
            carbons.append(read_half_hours(path))
        except FeedError as error:
            expected = "a year of carbon intensity in half or quarter hours, columns Time and Carbon Intensity"
            findings.append(Finding(file=str(path), line=None, field="--series", found=str(error), expected=expected))
    if findings:
        raise InputError(findings)
    return carbons


def _rows(carbon: HalfHours, ours: Sequence[Saving]) -> list[dict[str, Any]]:
    from sim.reproduce.lwa import Rules
    from sim.reproduce.lwa_published import PUBLISHED, zone_of

    zone = zone_of(carbon)
    rows = []
    for saving in ours:
        known = None
        if zone is not None and saving.rules is Rules.COMPATIBLE:
            known = PUBLISHED.get((zone, saving.scenario, saving.case, saving.error))
        difference = None if known is None else saving.saving_pct - known
        row = {"series": carbon.source, "zone": zone, **asdict(saving), "published_pct": known, "difference_points": difference}
        rows.append(row)
    return rows


def _table(carbon: HalfHours, rows: Sequence[dict[str, Any]]) -> Any:
    title = f"Let's Wait Awhile: {carbon.source}, {carbon.start:%Y}, mean {carbon.year_mean:.1f} g/kWh"
    made = table(title, "scenario", "case", "error (%)", "rules", "published (%)", "ours (%)", "difference (points)")
    for row in rows:
        if row["series"] != carbon.source:
            continue
        known, apart = row["published_pct"], row["difference_points"]
        made.add_row(
            row["scenario"],
            row["case"].replace("_", " "),
            f"{100 * row['error']:g}",
            row["rules"].value,
            "" if known is None else f"{known:.2f}",
            f"{row['saving_pct']:.2f}",
            "" if apart is None else f"{apart:+.2f}",
        )
    return made
