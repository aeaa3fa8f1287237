"""The curve of cost against jobs: what the steps of a solve take on cases that differ in nothing but the number of jobs.

Every case is made and measured in a process of its own, so that its memory is its own. No two of its jobs are the same: merging
identical jobs, which makes large cases cheaper, does not help the curve. Sites and slots stay the same, so that jobs times window
grows with the jobs and the energy side does not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

import numpy as np

from grid.errors import Finding, InputError
from ozzo.bench.process import child_report, free_memory_mb
from ozzo.bench.rows import machine
from ozzo.console import Console
from scheduler.optimiser.large.measure import StepTimes

JOBS = (1_000, 3_000, 10_000, 30_000, 100_000)
SITES, SLOTS, DT_H = 20, 192, 0.25
"""As in instances of size L."""
LEAST_JOBS = 10
LIMIT_S = 1800.0
"""A case may take so long."""
STEPS = {"sweep_s": "sweep of prices", "bound_s": "bound", "first_plan_s": "first plan", "round_s": "round of the search"}
"""Steps whose growth is told."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One case of the curve.

    Attributes:
        jobs: how many it has; times: of the steps, or None when it was not measured.
        peak_memory_mb: highest resident memory of its process, 10^6 bytes, or None.
        note: why it was not measured.
    """

    jobs: int
    times: StepTimes | None = None
    peak_memory_mb: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """What was measured.

    Attributes:
        points: by rising number of jobs; interrupted: a person stopped it.
    """

    points: tuple[CurvePoint, ...]
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 everything was measured, 1 something was not, 130 interrupted."""
        return 130 if self.interrupted else int(any(point.times is None for point in self.points))

    def exponents(self, last: int | None = None) -> dict[str, float]:
        """For each of ``STEPS`` the exponent ``k`` of the fit ``time = c (jobs x window)^k``; empty below two points.

        Args:
            last: fit the last points only; all when left out.
        """
        times = [point.times for point in self.points if point.times is not None][-(last or len(self.points)) :]
        if len({one.entries for one in times}) < 2:
            return {}
        size = np.log([one.entries for one in times])
        return {name: float(np.polyfit(size, np.log([max(1e-9, getattr(one, name)) for one in times]), 1)[0]) for name in STEPS}


def run_curve(jobs: Sequence[int], seed: int, console: Console) -> Curve:
    """Measure cases of these numbers of jobs, the smallest first; Ctrl-C keeps what was measured.

    A case is left out when the memory of the one before, grown with the jobs, would not fit.

    Raises:
        InputError: a number of jobs is too small, or there are fewer than two.
    """
    small = [count for count in jobs if count < LEAST_JOBS]
    if small or len(set(jobs)) < 2:
        found = ", ".join(map(str, small or jobs)) or "nothing"
        raise InputError([Finding("--curve-jobs", None, "", found, f"at least two numbers of at least {LEAST_JOBS} jobs")])
    points: list[CurvePoint] = []
    with TemporaryDirectory(prefix="ozzo-curve-") as folder:
        try:
            for count in sorted(set(jobs)):
                points.append(_measured(count, seed, points[-1] if points else None, Path(folder), console))
        except KeyboardInterrupt:
            return Curve(tuple(points), interrupted=True)
    return Curve(tuple(points))


def _measured(jobs: int, seed: int, before: CurvePoint | None, work: Path, console: Console) -> CurvePoint:
    """One case, or why it was left out."""
    point = CurvePoint(jobs)
    if before is not None and before.peak_memory_mb is not None:
        need_mb, free_mb = before.peak_memory_mb * jobs / before.jobs, free_memory_mb()
        if need_mb > free_mb:
            return replace(point, note=f"would take up to {need_mb / 1e3:.1f} GB, and {free_mb / 1e3:.1f} GB are free")
    task = {"role": "curve", "jobs": jobs, "sites": SITES, "slots": SLOTS, "dt_h": DT_H, "seed": seed}
    with console.phase(f"{jobs} jobs, {SITES} sites, {SLOTS} slots"):
        report = child_report(task, work, LIMIT_S)
    said = report.said
    if said is None or "sweep_s" not in said:
        return replace(point, note=report.note or str((said or {}).get("words", "")))
    memory_mb = said.pop("peak_memory_mb")
    return CurvePoint(jobs, StepTimes(**said), memory_mb)


def curve_json(curve: Curve) -> str:
    """Everything, as one JSON object (keys in docs/output.md)."""
    points: list[dict[str, Any]] = []
    for point in curve.points:
        measured = asdict(point.times) if point.times is not None else {}
        points.append({"jobs": point.jobs} | measured | {"peak_memory_mb": point.peak_memory_mb, "note": point.note})
    told = {"machine": machine(), "interrupted": curve.interrupted, "points": points}
    for key, last in (("exponents", None), ("exponents_of_last_two", 2)):
        told[key] = {name.removesuffix("_s"): value for name, value in curve.exponents(last).items()}
    return json.dumps(told, indent=2)


def print_curve(curve: Curve, out: TextIO) -> None:
    """The curve as a table, and the exponents of its growth."""
    from rich.console import Console as Printer
    from rich.table import Table

    printer = Printer(file=out, highlight=False, width=None if out.isatty() else 100)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for name in ("jobs", "jobs x window", "build", "sweep", "bound", "first plan", "round", "ns/entry: sweep", "round", "MB"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in curve.points:
        one = point.times
        if one is None:
            table.add_row(f"{point.jobs:,}", point.note)
            continue
        seconds = (one.build_s, one.sweep_s, one.bound_s, one.first_plan_s, one.round_s)
        each = (1e9 * took / max(1, one.entries) for took in (one.sweep_s, one.round_s))
        memory = "" if point.peak_memory_mb is None else f"{point.peak_memory_mb:.0f}"
        row = (*(f"{took:.3f}" for took in seconds), *(f"{took:.0f}" for took in each), memory)
        table.add_row(f"{one.jobs:,}", f"{one.entries:,}", *row)
    printer.print(table)
    what = machine()
    printer.print(
        f"Seconds, one thread of {what['cores']} cores; {SITES} sites, {SLOTS} slots, no two jobs the same; "
        "round: as many moves as jobs.",
        style="dim",
    )
    last = curve.exponents(2)
    for name, exponent in curve.exponents().items():
        told = f"{STEPS[name]}: time grows as (jobs x window)^{exponent:.2f} over all, ^{last[name]:.2f} between the last two"
        printer.print(told, markup=False)
