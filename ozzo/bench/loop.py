"""``ozzo bench loop``: a month of SURF's real jobs in closed loop, planned every hour by the optimiser, timed and compared.

The clock runs from the scenario to the settled outcome: world, forecasts, plans, rehearsals. Reading the files, compiling kernels
(once a machine) and the rows beside it do not count. On a machine with other work computing time says more than the clock; both
are told, and the load average before and after.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from grid.errors import FeedError, Finding, InputError
from ozzo.bench.process import peak_memory_mb
from ozzo.bench.rows import machine

if TYPE_CHECKING:
    from sim.loop.surf import Month

TARGET_S = 600.0
"""Time that a month should take at most on two cores."""
JOBS, CARBON = Path("jobs") / "surf_2022_tasks.parquet", Path("carbon") / "NL_2021-2024.parquet"
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LoopBenchOptions:
    """What to measure.

    Attributes:
        data: folder of the real data.
        days: of submissions; hosts: there are.
        replan_minutes: from one plan to the next.
        known_carbon: carbon ahead is known instead of forecast from the past.
        rounds: of the dual that proves the most any plan could save.
    """

    data: Path
    days: float = 30.0
    hosts: int = 277
    replan_minutes: float = 60.0
    known_carbon: bool = False
    rounds: int = 150


@dataclass(frozen=True, slots=True, eq=False)
class LoopBench:
    """What was measured.

    Attributes:
        options: what was asked for; month: what came of it.
        wall_s, cpu_s: of the loop, computing time of all threads; memory_mb: most of this process.
        load: load average of the last minute before and after.
    """

    options: LoopBenchOptions
    month: Month
    wall_s: float
    cpu_s: float
    memory_mb: float
    load: tuple[float, float]


def measure(options: LoopBenchOptions, progress: Progress) -> LoopBench:
    """Run the month.

    Raises:
        InputError: jobs or carbon cannot be read.
    """
    from scheduler.optimiser.large.prepare import compile_kernels
    from sim.loop.settings import Foresight
    from sim.loop.surf import MonthOptions, compared, loop_of
    from sim.reproduce.steam import read_case

    try:
        case = read_case(options.data / JOBS, options.data / CARBON)
    except FeedError as error:
        raise InputError(
            [Finding(str(options.data), None, "OZZO_DATA", str(error), f"a folder with {JOBS} and {CARBON}")]
        ) from error
    progress("compiling what is not compiled yet")
    compile_kernels()
    foresight = Foresight.KNOWN if options.known_carbon else Foresight.PAST
    month = MonthOptions(options.days, options.hosts, timedelta(minutes=options.replan_minutes), foresight, options.rounds)
    before, began, cpu = os.getloadavg()[0], time.perf_counter(), time.process_time()
    loop = loop_of(case, month, progress)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    load = (before, os.getloadavg()[0])
    progress("rows to compare with, and the proven limit")
    return LoopBench(options, compared(case, month, loop), wall_s, cpu_s, peak_memory_mb(), load)


def figures(found: LoopBench) -> dict[str, Any]:
    """Everything as plain JSON values (keys in docs/output.md)."""
    from sim.loop.figures import plan_figures

    loop = found.month.loop
    parts = {name: round(seconds, 2) for name, seconds in loop.cpu_s.items()}
    return {
        "machine": machine(),
        "surf_month_s": found.wall_s,
        "surf_month_cpu_s": found.cpu_s,
        "target_s": TARGET_S,
        "memory_mb": found.memory_mb,
        "load_before": found.load[0],
        "load_after": found.load[1],
        "days": found.options.days,
        "hosts": found.options.hosts,
        "replan_minutes": found.options.replan_minutes,
        "carbon": "known" if found.options.known_carbon else "forecast from the past",
        "jobs": found.month.jobs,
        "not_run": found.month.not_run,
        "cpu_by_part_s": parts | {"build, place and rest": round(found.cpu_s - sum(parts.values()), 2)},
        "plans": plan_figures(loop.steps),
        "rows": [asdict(row) for row in found.month.rows],
    }


def as_json(found: LoopBench) -> str:
    """Everything, as one JSON object."""
    return json.dumps(figures(found), indent=2)


def print_table(found: LoopBench, out: TextIO) -> None:
    """Rows beside each other, then time and plans in sentences."""
    from rich.console import Console as Printer
    from rich.table import Table

    told = figures(found)
    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in ("way", "carbon (t)", "saved (%)", "at most (%)", "mean delay (h)", "late jobs", "most hosts"):
        made.add_column(column, justify="left" if column == "way" else "right")
    for row in found.month.rows:
        bound = "" if row.bound_pct is None else f"{row.bound_pct:.2f}"
        made.add_row(
            row.name,
            f"{row.carbon_t:.3f}",
            f"{row.saving_pct:.2f}",
            bound,
            f"{row.delay_h:.2f}",
            str(row.late),
            str(row.most_hosts),
        )
    printer, plans = Printer(file=out, highlight=False, width=None if out.isatty() else 120), told["plans"]
    printer.print(
        f"{told['jobs']:,} jobs of {told['days']:g} days, a plan every {told['replan_minutes']:g} min, {told['carbon']} carbon"
    )
    printer.print(made)
    gaps = "" if plans["gap_mean"] is None else f"; gap {plans['gap_mean']:.2%} on average, {plans['gap_max']:.2%} at most"
    printer.print(f"{plans['plans']} plans, {plans['refused']} refused{gaps}. {told['not_run']} jobs never began.")
    printer.print(
        f"{found.wall_s:.0f} s by the clock, {found.cpu_s:.0f} s of computing, {found.memory_mb:.0f} MB; "
        f"load {found.load[0]:.1f} before, {found.load[1]:.1f} after; target {TARGET_S:.0f} s on two cores."
    )
    printer.print("Computing: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in told["cpu_by_part_s"].items()))
