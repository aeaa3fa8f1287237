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
SUN_FILE = "weather/solar_radiation.csv"


def lwa(series: Sequence[Path], *, as_json: bool, say: Callable[[str], None]) -> str:
    """Both scenarios of "Let's Wait Awhile" for each file; without a file those of the data folder.

    Raises:
        InputError: a file cannot be used, or there is none.
    """
    from sim.reproduce.lwa import savings

    carbons = _read(series or _data_files("--series", "a carbon series", LWA_FILES))
    found = [(carbon, savings(carbon, say)) for carbon in carbons]
    rows = [row for carbon, ours in found for row in _rows(carbon, ours)]
    if as_json:
        return json.dumps({"experiment": "lwa", "rows": rows}, indent=1)
    return rendered(*(_table(carbon, rows) for carbon in carbons))


def greenslot(sun: Path | None, seed: int, look_h: float, *, as_json: bool, say: Callable[[str], None]) -> str:
    """GreenSlot against EASY backfilling in five weeks; without a file the irradiance of the data folder.

    Raises:
        InputError: the file cannot be used, or there is none.
    """
    from sim.reproduce.greenslot_weeks import read_weeks, rows, stands_in

    path = sun or _data_files("--sun", "a file of hourly irradiance", (SUN_FILE,))[0]
    try:
        weeks = read_weeks(path)
    except FeedError as error:
        expected = "whole weeks of hourly irradiance, columns Year, Month, Day, Hour and GHI"
        raise InputError([Finding(file=str(path), line=None, field="--sun", found=str(error), expected=expected)]) from error
    found, known = rows(weeks, say, seed, look_h=look_h), stands_in(weeks)
    content = [{**asdict(row), "difference_points": _apart(row.cost_pct, row.published_cost_pct)} for row in found]
    if as_json:
        return json.dumps({"experiment": "greenslot", "seed": seed, "look_h": look_h, "rows": content}, indent=1)
    columns = ("published (%)", "ours (%)", "difference (points)", "without price (%)", "sun used (%)", "missed (n)")
    made = table(
        f"GreenSlot: cost against EASY backfilling, {path.name}, seed {seed}, {look_h:g} h ahead",
        "case",
        "Monday",
        "sun (%)",
        *columns,
    )
    for row in content:
        numbers = ("published_cost_pct", "cost_pct", "difference_points", "cost_without_price_pct", "green_pct")
        cells = ["" if row[name] is None else f"{row[name]:+.1f}" for name in numbers]
        made.add_row(row["case"], row["monday"] or "", f"{row['baseline_green_pct']:.1f}", *cells, str(row["missed"]))
    note = "sun: share of the baseline's energy; published for the average week 26 %."
    other = (
        "" if known else " The published saving of that week is left out: this is another series than the one it is compared on."
    )
    return rendered(made, note + other)


def _apart(ours: float, published: float | None) -> float | None:
    return None if published is None else ours - published


def _data_files(option: str, what: str, names: Sequence[str]) -> list[Path]:
    folder = os.environ.get("OZZO_DATA")
    if not folder:
        expected = f"{what}, or the environment variable OZZO_DATA"
        raise InputError([Finding(file="", line=None, field=option, found="nothing", expected=expected)])
    return [Path(folder) / name for name in names]


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
