"""What stands behind ``ozzo reproduce steam``: SURF's jobs on the Dutch grid, published, by their rules, and as optima."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.errors import FeedError, Finding, InputError
from ozzo.answer_tables import rendered, table

if TYPE_CHECKING:
    from sim.reproduce.steam import Case, Shift
    from sim.reproduce.steam_battery import Stored
    from sim.reproduce.steam_published import Published

Say = Callable[[str], None]

JOBS_FILE, CARBON_FILE = "jobs/surf_2022_tasks.parquet", "carbon/NL_2021-2024.parquet"
WAITS_G_PER_H = (0.0, 0.05)
"""Assumption: what an hour of waiting must save: nothing, or 0.05 g ("waiting priced"), what a job emits in eight seconds."""
SPARE = 20
"""Hosts that a job that can still wait leaves free in the online rows."""
PASSES = 3


def steam(jobs: Path | None, carbon: Path | None, rounds: int, *, as_json: bool, say: Say) -> str:
    """Both tables, shifting and battery.

    Raises:
        InputError: a file is missing or cannot be used.
    """
    from sim.reproduce.steam import read_case
    from sim.reproduce.steam_published import PUBLISHED

    paths = [given or _data_file(name, option) for given, name, option in _wanted(jobs, carbon)]
    try:
        case = read_case(*paths)
    except FeedError as error:
        expected = "jobs with submission_time and duration, and an hourly series with timestamp and carbon_intensity (Parquet)"
        raise InputError([Finding(file="", line=None, field="--jobs, --carbon", found=str(error), expected=expected)]) from error
    shifts, batteries = results(case, rounds, say)
    published = PUBLISHED if case.is_published else {}
    if not published:
        say("other jobs or another carbon intensity than in the published experiment: its figures are not put beside these")
    if as_json:
        rows = [_row(asdict(shift), published) for shift in shifts] + [_row(asdict(battery), published) for battery in batteries]
        return json.dumps({"experiment": "steam", "rows": rows}, indent=1)
    return rendered(_shift_table(shifts, published), _battery_table(batteries, published))


def results(case: Case, rounds: int, say: Say) -> tuple[list[Shift], list[Stored]]:
    """Every row; ``rounds`` of the dual, more make the proven limit tighter."""
    import numpy as np

    from sim.reproduce import steam as steam_of
    from sim.reproduce.steam_published import HOSTS

    say(f"{len(case.jobs.length):,} jobs: at once, and by the published rule")
    once = steam_of.at_once(case, HOSTS)
    shifts = [steam_of.shift_of(case, "at once", once, HOSTS, None)]
    base_t = shifts[0].carbon_t
    ruled = steam_of.by_their_rule(case, HOSTS)
    shifts.append(steam_of.shift_of(case, "their rule", ruled, HOSTS, base_t))
    say("offline: a first plan, the proven limit, the plan against its price")
    greedy = steam_of.planned(case, HOSTS, np.zeros(4 * len(case.carbon)), 0, 0.0, say)
    least_g, price = steam_of.dual(case, HOSTS, rounds, say, case.job_carbon_g(greedy))
    bound = 100.0 * (1.0 - (least_g + case.idle_carbon_g(HOSTS)) / 1e6 / base_t)
    best = once
    for wait in reversed(WAITS_G_PER_H):
        best = steam_of.planned(case, HOSTS, price, PASSES, wait, say)
        shifts.append(steam_of.shift_of(case, _name("offline", wait), best, HOSTS, base_t, bound))
    for foresight, words in ((True, "online, carbon known"), (False, "online, carbon forecast")):
        for wait in WAITS_G_PER_H:
            say(f"{words}, {wait:g} g an hour of waiting")
            starts = steam_of.online(case, HOSTS, SPARE, wait, foresight=foresight)
            shifts.append(steam_of.shift_of(case, _name(words, wait), starts, HOSTS, base_t, bound))
    return shifts, _batteries(case, once, ruled, best, base_t, say)


def _batteries(case: Case, once: Any, ruled: Any, best: Any, base_t: float, say: Say) -> list[Stored]:
    """Rows of the battery, with the load at once, by the rule and of the best plan."""
    from sim.reproduce import steam_battery as of
    from sim.reproduce.steam_published import BATTERY_KWH, BATTERY_WITH_SHIFTING_KWH, HOSTS, PEAK_KW

    say("battery")
    plain, by_rule, shifted = (of.quarter_loads(case, starts, HOSTS) for starts in (once, ruled, best))
    large, small = BATTERY_KWH, BATTERY_WITH_SHIFTING_KWH
    rows = [
        ("battery, their rule", plain, large, None, of.by_running_mean(case, plain, large)),
        ("battery, best", plain, large, None, of.at_best(case, plain, large, None)),
        ("battery, best within the peak", plain, large, PEAK_KW, of.at_best(case, plain, large, PEAK_KW)),
        ("battery, every hour", plain, large, None, of.every_hour(case, plain, large, None)),
        ("battery, every hour within the peak", plain, large, PEAK_KW, of.every_hour(case, plain, large, PEAK_KW)),
        ("shifting and battery, their rules", by_rule, small, None, of.by_running_mean(case, by_rule, small)),
        ("shifting and battery, best", shifted, small, None, of.at_best(case, shifted, small, None)),
        ("shifting and battery, best within the peak", shifted, small, PEAK_KW, of.at_best(case, shifted, small, PEAK_KW)),
    ]
    return [of.stored(name, case, load, imported, size, limit, base_t) for name, load, size, limit, imported in rows]


def _name(words: str, wait_g_per_h: float) -> str:
    return words if not wait_g_per_h else f"{words}, waiting priced"


def _wanted(jobs: Path | None, carbon: Path | None) -> list[tuple[Path | None, str, str]]:
    return [(jobs, JOBS_FILE, "--jobs"), (carbon, CARBON_FILE, "--carbon")]


def _data_file(name: str, option: str) -> Path:
    folder = os.environ.get("OZZO_DATA")
    if not folder:
        raise InputError(
            [Finding(file="", line=None, field=option, found="nothing", expected="a file, or the environment variable OZZO_DATA")]
        )
    return Path(folder) / name


def _row(figures: dict[str, Any], published: Mapping[str, Published]) -> dict[str, Any]:
    """A row with what was published beside it, where it was."""
    known = published.get(figures["name"])
    more = {"published_carbon_t": None, "published_saving_pct": None, "published_delay_h": None, "published_peak_kw": None}
    if known is not None:
        more = {f"published_{key}": value for key, value in asdict(known).items()}
        more["difference_points"] = figures["saving_pct"] - known.saving_pct
    return figures | more


def _shift_table(shifts: list[Shift], published: Mapping[str, Published]) -> Any:
    heads = ("published (%)", "saved (%)", "at most (%)", "carbon (t)", "mean delay (h)", "published (h)", "late jobs", "hosts")
    made = table("STEAM: SURF's jobs on the Dutch grid, shifting", "way", *heads)
    for shift in shifts:
        row = _row(asdict(shift), published)
        bound = "" if shift.bound_pct is None else f"{shift.bound_pct:.2f}"
        made.add_row(
            shift.name, _text(row["published_saving_pct"], 1), f"{shift.saving_pct:.2f}", bound, f"{shift.carbon_t:.3f}",
            f"{shift.delay_h:.2f}", _text(row["published_delay_h"], 1), str(shift.late), str(shift.most_hosts),
        )  # fmt: skip
    return made


def _battery_table(batteries: list[Stored], published: Mapping[str, Published]) -> Any:
    heads = ("kWh", "limit (kW)", "published (%)", "saved (%)", "carbon (t)", "peak import (kW)", "published (kW)", "cycles")
    made = table("The same with a battery", "way", *heads)
    for battery in batteries:
        row = _row(asdict(battery), published)
        made.add_row(
            battery.name, f"{battery.energy_kwh:g}", _text(battery.limit_kw, 0), _text(row["published_saving_pct"], 1),
            f"{battery.saving_pct:.2f}", f"{battery.carbon_t:.3f}", f"{battery.peak_kw:.1f}", _text(row["published_peak_kw"], 1),
            f"{battery.cycles:.0f}",
        )  # fmt: skip
    return made


def _text(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"
