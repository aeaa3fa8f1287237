"""Weeks of real sun for GreenSlot, and its rows beside what was published.

The paper used a PV array in New Jersey; its weeks are not open. Any irradiance by the hour will do: power is the array's peak
times irradiance over 1 kW/m2 (no temperature, no tilt), so weeks are compared by how much of the baseline's energy the sun
gives, which the paper states for its average week (26 %).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from grid.errors import FeedError
from grid.horizon import FloatArray
from sim.reproduce.greenslot import LOOK_H, WEEK_MIN, Outcome, baseline, greenslot, outcome
from sim.reproduce.greenslot_jobs import PV_KW, Work, week_of_work

COLUMNS = ("Year", "Month", "Day", "Hour", "GHI")
AVERAGE_GREEN = 0.26
"""Share of sun in the baseline of the paper's average week."""
PUBLISHED = {"average": -25.0, "no sun": -13.0}
"""Cost against the baseline, percent. Over its four weeks: -13 to -39 with prices, -7 to -35 without; sun used +11 to +117."""
STAND_IN = (datetime(2019, 1, 7), 154, 227.1)  # noqa: DTZ001 - local standard time
"""First Monday, number of weeks and mean irradiance (W/m2) of the series that stands in for the paper's: NSRDB, Los Angeles, 2019
to 2021. Its average week is known to get as much of the baseline's energy from the sun as the paper's does."""


@dataclass(frozen=True, slots=True, eq=False)
class Week:
    """Sun from a Monday on: kW in every minute, ``[WEEK_MIN]``."""

    monday: datetime
    green_kw: FloatArray


@dataclass(frozen=True, slots=True)
class Row:
    """GreenSlot against the baseline in one week, percent; ``monday`` is None without sun."""

    case: str
    monday: str | None
    baseline_green_pct: float
    green_pct: float | None
    published_cost_pct: float | None
    cost_pct: float
    cost_without_price_pct: float
    missed: int
    baseline_missed: int
    utilisation_pct: float


def read_weeks(path: Path) -> list[Week]:
    """All weeks from Monday to Sunday that a file of hourly irradiance holds whole.

    Columns Year, Month, Day, Hour and GHI (W/m2) on local standard time, as in the National Solar Radiation Database.

    Raises:
        FeedError: the file cannot be read, a column is missing, a row is no row, or there is no whole week.
    """
    ghi: dict[datetime, float] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or [])]
            if missing:
                raise FeedError(f"{path}:1: no column {', '.join(missing)}; there are {', '.join(rows.fieldnames or ['none'])}")
            for row in rows:
                year, month, day, hour = (int(row[name]) for name in COLUMNS[:4])
                ghi[datetime(year, month, day, hour)] = float(row["GHI"])  # noqa: DTZ001 - local standard time
    except (OSError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise FeedError(f"{path}: not hourly irradiance: {error}") from error
    weeks = list(_weeks(ghi))
    if not weeks:
        raise FeedError(f"{path}: no whole week from Monday to Sunday in {len(ghi)} hours")
    return weeks


def _weeks(ghi: dict[datetime, float]) -> Iterator[Week]:
    if not ghi:
        return
    first = min(ghi).replace(hour=0)
    monday = first + timedelta(days=-first.weekday() % 7)
    while monday <= max(ghi):
        hours = [ghi.get(monday + timedelta(hours=hour), float("nan")) for hour in range(WEEK_MIN // 60)]
        if np.isfinite(hours).all():
            yield Week(monday, np.repeat(PV_KW * np.array(hours) / 1000.0, 60))
        monday += timedelta(days=7)


def stands_in(weeks: list[Week]) -> bool:
    """The weeks are those of ``STAND_IN``, whose average week may be held against the published one."""
    mean_w_per_m2 = 1000.0 * float(np.mean([week.green_kw.mean() for week in weeks])) / PV_KW
    return (weeks[0].monday, len(weeks)) == STAND_IN[:2] and abs(mean_w_per_m2 - STAND_IN[2]) < 0.05


CASES = ("average", "no sun", "least sun", "median sun", "most sun")


def rows(
    weeks: list[Week], say: Callable[[str], None], seed: int = 0, cases: tuple[str, ...] = CASES, look_h: float = LOOK_H
) -> list[Row]:
    """The week whose baseline has the paper's share of sun, no sun at all, and the weeks of least, median and most sun.

    What was published stands beside ours where it belongs: without sun always, of the average week for ``STAND_IN`` alone.

    Args:
        weeks: to choose from.
        say: told of each case before it is run.
        seed: of the run times.
        cases: which of ``CASES``.
        look_h: how far GreenSlot's plans look ahead.
    """
    work = week_of_work(seed)
    begin = baseline(work)
    told = [(week, outcome(work, begin, week.green_kw)) for week in weeks]
    by_sun = sorted(told, key=lambda pair: pair[1].green_share)
    average = min(told, key=lambda pair: abs(pair[1].green_share - AVERAGE_GREEN))[0]
    chosen = dict(zip(CASES, (average, None, by_sun[0][0], by_sun[len(by_sun) // 2][0], by_sun[-1][0]), strict=True))
    known = PUBLISHED if stands_in(weeks) else {"no sun": PUBLISHED["no sun"]}
    found = []
    for case in cases:
        week = chosen[case]
        say(f"GreenSlot: {case}")
        green_kw = np.zeros(WEEK_MIN) if week is None else week.green_kw
        found.append(_row(case, week, work, outcome(work, begin, green_kw), green_kw, look_h, known.get(case)))
    return found


def _row(
    case: str, week: Week | None, work: Work, base: Outcome, green_kw: FloatArray, look_h: float, published_pct: float | None
) -> Row:
    ours = outcome(work, greenslot(work, green_kw, look_h=look_h), green_kw)
    blind = outcome(work, greenslot(work, green_kw, priced=False, look_h=look_h), green_kw)
    return Row(
        case=case,
        monday=None if week is None else f"{week.monday:%Y-%m-%d}",
        baseline_green_pct=100 * base.green_share,
        green_pct=None if base.green_kwh <= 0 else 100 * (ours.green_kwh / base.green_kwh - 1),
        published_cost_pct=published_pct,
        cost_pct=100 * (ours.cost_usd / base.cost_usd - 1),
        cost_without_price_pct=100 * (blind.cost_usd / base.cost_usd - 1),
        missed=ours.missed,
        baseline_missed=base.missed,
        utilisation_pct=100 * base.utilisation,
    )
