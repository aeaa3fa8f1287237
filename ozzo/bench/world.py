"""``ozzo bench world``: how fast sites are metered beside Vessim, and how a whole trace scales.

Vessim runs as a process of its own, with this Python or with one that is given, from the same arrays; ozzo and Vessim take
turns, and a speed-up is the median of the ratios of the turns. What cannot be measured is None, with the reason. Seconds are
CPU seconds of the process, which other work on the machine stretches far less than the wall clock (both sides run in one thread,
up to the writing of CSV). Vessim's clock runs during its ``Environment.run`` only; ozzo's during everything from the sites to the
figures, or to the CSV file.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

import numpy as np

from ozzo.bench import vessim_week
from ozzo.bench.process import module, run_process
from ozzo.bench.rows import machine
from ozzo.bench.week import C_RATE, CAPACITY_KWH, INITIAL, LEAST, STEPS, Week, make_week, meter_week, sites_of

ROUNDS = 3
RUNS = 5
"""Turns of ozzo and Vessim; runs of ozzo in one of its turns, whose median counts."""
SITES, VESSIM_STEPS = 1000, 60
"""Sites at once, and steps of them that Vessim makes (ozzo makes the whole week)."""
FEW_JOBS = 20_000
LIMIT_S = 900.0
KEEP_MEMORY = ("env", "MALLOC_MMAP_THRESHOLD_=33554432", "MALLOC_TRIM_THRESHOLD_=4294967295")
"""glibc keeps what is freed. Otherwise every large array of every run is asked of the system anew, page by page, which small
traces are spared, and the cost of a job would show that instead of the algorithm's."""
TRACE = Path("jobs") / "surf_2022_tasks.parquet"

Progress = Callable[[str], None]

WORDS = {
    "speedup_bare": "times Vessim's steps per second: one site with sun, battery and load, a week at 60 s, nothing recorded",
    "speedup_logged": "the same, every step written to a CSV file by both",
    "speedup_1000_sites": "times Vessim's site-steps per second: 1,000 sites at once, nothing recorded",
    "ozzo_steps_per_s": "steps of one site a CPU second",
    "ozzo_logged_steps_per_s": "the same with the CSV file",
    "ozzo_1000_sites_steps_per_s": "site-steps a second with 1,000 sites, the whole week",
    "vessim_steps_per_s": "Vessim: steps of one site a second",
    "vessim_logged_steps_per_s": "Vessim: the same with its CSV recorder",
    "vessim_1000_sites_steps_per_s": f"Vessim: site-steps a second with 1,000 sites, {VESSIM_STEPS} steps of the week",
    "vessim_difference_kwh": "largest difference of import, export and final charge to Vessim over the week, kWh",
    "surf_fifo_s": "wall seconds of a whole process: the trace read, run, every job's energy, metered by the hour",
    "surf_fifo_gb": "its highest memory, 10^9 bytes",
    "fifo_20k_us_per_job": "CPU microseconds a job for the first 20,000 jobs (loop, accounts and meter; freed memory is kept)",
    "fifo_195k_us_per_job": "the same for all jobs of the trace",
    "surf_jobs": "jobs of the trace",
    "surf_load_kwh": "facility energy of the trace by the meter, kWh",
    "surf_parts_difference": "relative difference of the parts of all jobs and nobody's to that",
    "surf_most_hosts": "most hosts in use at once, of 277",
    "surf_mean_wait_s": "mean wait of a job, s",
}
"""What each figure is."""

TARGETS = {
    "speedup_bare": "at least 3",
    "speedup_logged": "at least 3",
    "speedup_1000_sites": "at least 50",
    "surf_fifo_s": "below 60",
    "surf_fifo_gb": "below 2",
    "fifo_195k_us_per_job": "no more than for 20,000 jobs",
}


@dataclass(frozen=True, slots=True)
class WorldBenchOptions:
    """What to measure.

    Attributes:
        vessim_python: a Python that has Vessim; this one when None.
        data: folder of the real data, or None.
        steps: steps of the week; sites: how many at once; rounds: turns.
        seed: of the weeks.
    """

    vessim_python: Path | None = None
    data: Path | None = None
    steps: int = STEPS
    sites: int = SITES
    rounds: int = ROUNDS
    seed: int = 0


@dataclass(slots=True)
class WorldFigures:
    """What was measured.

    Attributes:
        figures: by name (``WORDS``), None where it was not measured; missing: why not, by the same name.
        vessim: version of Vessim, or None.
    """

    figures: dict[str, float | None] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    vessim: str | None = None

    def miss(self, reason: str, *names: str) -> None:
        """Note that figures could not be measured."""
        for name in names:
            self.figures[name] = None
            self.missing[name] = reason


class Vessim:
    """Vessim in a process of its own.

    Attributes:
        version: of Vessim, once it ran; reason: why it cannot be had, or None.
    """

    def __init__(self, python: Path | None, work: Path) -> None:
        self.version: str | None = None
        self.reason: str | None = None
        self._work = work
        self._python = str(python) if python is not None else sys.executable
        if python is None and importlib.util.find_spec("vessim") is None:
            self.reason = "Vessim is not installed here (extra: bench) and --vessim-python names no other Python"

    def run(self, week: Week, sites: int, *, log: bool) -> dict[str, float] | None:
        """Run a week of equal sites once: its seconds, steps and energies, or None with ``reason`` when it fails."""
        if self.reason is not None:
            return None
        given, report = self._work / "week.npz", self._work / "vessim.json"
        report.unlink(missing_ok=True)
        np.savez(
            given,
            load_w=1000.0 * week.load_kw,
            sun_w=1000.0 * week.sun_kw,
            step_s=week.step_s,
            capacity_wh=1000.0 * CAPACITY_KWH,
            initial_soc=INITIAL,
            min_soc=LEAST,
            c_rate=C_RATE,
            sites=sites,
            log=int(log),
        )
        ended = run_process([self._python, str(Path(vessim_week.__file__)), str(given), str(report)], LIMIT_S)
        if ended.code != 0 or not report.is_file():
            self.reason = f"Vessim failed: {ended.last_word or f'exit code {ended.code}'}"
            return None
        said: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        self.version = said.pop("vessim")
        return said


def run_world_bench(options: WorldBenchOptions, progress: Progress) -> WorldFigures:
    """Measure everything that can be measured."""
    found = WorldFigures()
    with TemporaryDirectory() as folder:
        work = Path(folder)
        vessim = Vessim(options.vessim_python, work)
        week = make_week(options.seed, options.steps)
        meter_week(sites_of([week]), week.horizon)  # compiles, or reads what was compiled
        progress(f"one site, {options.steps} steps of {week.step_s} s, {options.rounds} turns")
        _beside(found, "", [week], vessim, 1, options, None)
        progress("the same, recorded")
        logged = _beside(found, "_logged", [week], vessim, 1, options, work / "week.csv")
        _difference(found, week, logged, vessim)
        progress(f"{options.sites} sites at once")
        weeks = [make_week(options.seed + k, options.steps) for k in range(options.sites)]
        _beside(found, "_1000_sites", weeks, vessim, options.sites, options, None)
        found.vessim = vessim.version
        measure_surf(found, options, work, progress)
    return found


def _beside(
    found: WorldFigures, suffix: str, weeks: list[Week], vessim: Vessim, sites: int, options: WorldBenchOptions, csv: Path | None
) -> dict[str, float] | None:
    """Take turns with Vessim and note both speeds and their ratio; returns what Vessim said last."""
    metered, horizon = sites_of(weeks), weeks[0].horizon
    theirs = weeks[0] if sites == 1 else make_week(options.seed, min(VESSIM_STEPS, options.steps))
    ours_per_s, theirs_per_s, said = [], [], None
    for _ in range(options.rounds):
        times = []
        for _ in range(RUNS if sites == 1 else 1):
            began = time.process_time()
            meter_week(metered, horizon, csv)
            times.append(time.process_time() - began)
        ours_per_s.append(horizon.slots * sites / statistics.median(times))
        said = vessim.run(theirs, sites, log=csv is not None)
        if said is not None:
            theirs_per_s.append(said["steps"] * sites / said["seconds"])
    found.figures[f"ozzo{suffix}_steps_per_s"] = statistics.median(ours_per_s)
    ratio, speed = f"speedup{suffix or '_bare'}", f"vessim{suffix}_steps_per_s"
    if len(theirs_per_s) < options.rounds:
        found.miss(vessim.reason or "Vessim gave no figure", ratio, speed)
    else:
        found.figures[ratio] = statistics.median(a / b for a, b in zip(ours_per_s, theirs_per_s, strict=True))
        found.figures[speed] = statistics.median(theirs_per_s)
    return said


def _difference(found: WorldFigures, week: Week, said: dict[str, float] | None, vessim: Vessim) -> None:
    """How far ozzo and Vessim are apart in what came of the week."""
    if said is None:
        found.miss(vessim.reason or "Vessim gave no figure", "vessim_difference_kwh")
        return
    ours = meter_week(sites_of([week]), week.horizon)
    pairs = (
        (float(ours.total_kwh("import_kwh")[0]), said["import_kwh"]),
        (float(ours.total_kwh("export_kwh")[0]), said["export_kwh"]),
        (float(ours.soc_kwh[0]), said["soc_kwh"]),
    )
    found.figures["vessim_difference_kwh"] = max(abs(a - b) for a, b in pairs)


def measure_surf(found: WorldFigures, options: WorldBenchOptions, work: Path, progress: Progress) -> None:
    """The SURF trace in processes of their own: cost of a job in a part and in the whole, then the whole once, by the clock."""
    names = [name for name in WORDS if name.startswith(("surf_", "fifo_"))]
    trace = None if options.data is None else options.data / TRACE
    if trace is None or not trace.is_file():
        found.miss("OZZO_DATA names no folder with " + TRACE.as_posix(), *names)
        return
    progress("the SURF trace, first come, first served")
    first = _surf(trace, work, [FEW_JOBS, None], RUNS, KEEP_MEMORY)
    last = first if isinstance(first, str) else _surf(trace, work, [None], 1)
    if isinstance(first, str) or isinstance(last, str):
        found.miss(f"the trace was not run: {first if isinstance(first, str) else last}", *names)
        return
    (few, whole), result = first["results"], last["results"][0]
    found.figures |= {
        "surf_fifo_s": last["wall_s"],
        "surf_fifo_gb": last["peak_memory_mb"] / 1000.0,
        "fifo_20k_us_per_job": few["run_s"] / few["jobs"] * 1e6,
        "fifo_195k_us_per_job": whole["run_s"] / whole["jobs"] * 1e6,
        "surf_jobs": float(result["jobs"]),
        "surf_load_kwh": result["load_kwh"],
        "surf_parts_difference": abs(result["parts_kwh"] / result["load_kwh"] - 1.0),
        "surf_most_hosts": float(result["most_held"]),
        "surf_mean_wait_s": result["mean_wait_s"],
    }


def _surf(trace: Path, work: Path, jobs: list[int | None], runs: int, before: tuple[str, ...] = ()) -> dict[str, Any] | str:
    """What ``ozzo.bench.surf`` says in a process of its own, with its wall time, or why it says nothing."""
    task, report = work / "surf.json", work / "surf-report.json"
    report.unlink(missing_ok=True)
    task.write_text(json.dumps({"trace": str(trace), "jobs": jobs, "runs": runs, "report": str(report)}), encoding="utf-8")
    ended = run_process([*before, *module("ozzo.bench.surf", str(task))], LIMIT_S)
    if not report.is_file():
        return ended.last_word or "its process said nothing"
    said: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return str(said["failed"]) if "failed" in said else said | {"wall_s": ended.wall_s}


def figures_json(found: WorldFigures) -> str:
    """Everything, as one JSON object (keys in docs/output.md)."""
    about = {"machine": machine(), "load": os.getloadavg()[0], "vessim": found.vessim, "not_measured": found.missing}
    return json.dumps(about | {name: found.figures[name] for name in WORDS if name in found.figures}, indent=2)


def print_figures(found: WorldFigures, out: TextIO) -> None:
    """The figures as a table; below it why some are not there."""
    from rich.console import Console as Printer
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("figure", no_wrap=True)
    table.add_column("target", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("what it is")
    for name, words in WORDS.items():
        if name in found.figures:
            value = found.figures[name]
            shown = "not measured" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
            table.add_row(name, TARGETS.get(name, ""), shown, words)
    printer = Printer(file=out, highlight=False, width=None if out.isatty() else 150)
    printer.print(table)
    for reason in dict.fromkeys(found.missing.values()):
        printer.print(f"not measured: {reason}")
    printer.print(
        f"Vessim {found.vessim or 'not run'}; {machine()['cores']} cores, load {os.getloadavg()[0]:.1f}; trust the ratios.",
        style="dim",
    )
