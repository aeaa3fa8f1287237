"""``ozzo bench sweep``: the same sweep by one process and by several, in turn, and whether their tables are the same.

The sweep is every policy on a shipped scenario, the smallest unless asked otherwise, with as many seeds as it takes. Times are
those of the whole sweep, start of the processes, writing and merging included; the speed-up is their ratio. Other work on the
machine takes from several processes what it leaves to one, so the load average before each sweep stands beside it, and a second
ratio that other work hardly touches: that of the computing times which no machine with free cores can go below. A sweep takes
at least the computing time of its busiest process, and at least that of all processes shared by the cores. Waiting for the disk
is not in it.
"""

from __future__ import annotations

import difflib
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from grid.errors import Finding, InputError
from ozzo.bench.rows import machine
from ozzo.examples import names, shipped
from ozzo.version import __version__
from scheduler.policies.registry import POLICIES

TARGET = 1.8
"""Speed-up that two processes should reach over one."""
SMALLEST = "minimal"
"""The smallest shipped scenario, whose runs are short beside the start of a process."""
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SweepBenchOptions:
    """What to measure.

    Attributes:
        runs: at least as many, rounded up to whole seeds. workers: processes beside one. pairs: how often, in turn.
        scenario: name of a shipped one.
    """

    runs: int = 200
    workers: int = 2
    pairs: int = 1
    scenario: str = SMALLEST


@dataclass(frozen=True, slots=True)
class Pair:
    """A sweep by one process and by several.

    Attributes:
        one_s, many_s: wall times. one_cpu_s, many_cpu_s: computing times of all processes together.
        one_load, many_load: load average of the last minute before each.
        one_least_s, many_least_s: least wall times on free cores, by computing times.
        same: whether both tables are equal but for times and places.
    """

    one_s: float
    many_s: float
    one_cpu_s: float
    many_cpu_s: float
    one_load: float
    many_load: float
    one_least_s: float
    many_least_s: float
    same: bool

    @property
    def speedup(self) -> float:
        """Times faster, by the clock."""
        return self.one_s / self.many_s

    @property
    def speedup_by_computing(self) -> float:
        """Times faster on free cores, by computing times."""
        return self.one_least_s / self.many_least_s


@dataclass(frozen=True, slots=True)
class SweepBench:
    """All pairs.

    Attributes:
        scenario, runs: of each sweep. workers: processes beside one. pairs: measured.
    """

    scenario: str
    runs: int
    workers: int
    pairs: tuple[Pair, ...]

    @property
    def speedup(self) -> float:
        """Median over pairs."""
        return statistics.median(pair.speedup for pair in self.pairs)

    @property
    def speedup_by_computing(self) -> float:
        """Median over pairs."""
        return statistics.median(pair.speedup_by_computing for pair in self.pairs)

    @property
    def exit_code(self) -> int:
        """1 when the tables differ; a speed-up is told and not judged, because a busy machine decides it."""
        return 0 if all(pair.same for pair in self.pairs) else 1


def sweep_text(runs: int, scenario: Path) -> str:
    """A sweep file of every policy on ``scenario`` with at least ``runs`` runs."""
    seeds = -(-runs // len(POLICIES))
    return (
        f"ozzo_sweep: 1\nname: bench\nscenarios: ['{scenario}']\npolicies: [{', '.join(POLICIES)}]\n"
        f"seeds: {{first: 1, count: {seeds}}}\n"
    )


def measure(options: SweepBenchOptions, progress: Progress) -> SweepBench:
    """Carry out the sweep by one process and by several, ``options.pairs`` times in turn.

    Raises:
        InputError: there is no such scenario.
        ExperimentError: a folder of results cannot be written, or workers do not start.
    """
    from sim.experiments.sweep_file import load_sweep

    if options.scenario not in names():
        nearest = next(iter(difflib.get_close_matches(options.scenario, names(), 1, 0.0)), None)
        raise InputError([Finding("--scenario", None, "", repr(options.scenario), "a shipped scenario", nearest)])

    with tempfile.TemporaryDirectory(prefix="ozzo-bench-sweep-") as name:
        folder = Path(name)
        (folder / "bench.yaml").write_text(sweep_text(options.runs, shipped() / f"{options.scenario}.yaml"), encoding="utf-8")
        sweep = load_sweep(folder / "bench.yaml", version=__version__)
        pairs = []
        for k in range(options.pairs):
            sides: list[_Side] = []
            for workers in (1, options.workers):
                progress(f"pair {k + 1}: {sweep.size} runs, {workers} {'process' if workers == 1 else 'processes'}")
                sides.append(_timed(sweep, folder / f"{k}-{len(sides)}", workers))
            one, many = sides
            same = one.rows == many.rows
            cpu, load, least = (one.cpu_s, many.cpu_s), (one.load, many.load), (one.least_s, many.least_s)
            pairs.append(Pair(one.wall_s, many.wall_s, *cpu, *load, *least, same=same))
        return SweepBench(options.scenario, sweep.size, options.workers, tuple(pairs))


@dataclass(frozen=True, slots=True)
class _Side:
    """One sweep: wall and computing time, load average before, least wall time, and rows without times and places."""

    wall_s: float
    cpu_s: float
    load: float
    least_s: float
    rows: list[dict[str, Any]]


def _timed(sweep: Any, folder: Path, workers: int) -> _Side:
    """Carry out the sweep in a fresh folder."""
    from pyarrow import parquet

    from sim.experiments.columns import OF_THIS_SWEEP
    from sim.experiments.sweep import cores, run_sweep

    load, cpu_s, own_s = os.getloadavg()[0], _cpu_s(), time.process_time()
    result = run_sweep(sweep, folder, workers=workers)
    cpu_s, own_s = _cpu_s() - cpu_s, time.process_time() - own_s
    least_s = max(*result.worker_cpu_s, own_s, (sum(result.worker_cpu_s) + own_s) / cores())
    rows = parquet.read_table(result.table).drop_columns(list(OF_THIS_SWEEP)).to_pylist() if result.done else []
    return _Side(result.wall_s, cpu_s, load, least_s, rows)


def _cpu_s() -> float:
    """Computing time of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def as_json(found: SweepBench) -> str:
    """Everything, as one JSON object (keys in docs/performance.md)."""
    pairs = [asdict(pair) | {"speedup": pair.speedup, "speedup_by_computing": pair.speedup_by_computing} for pair in found.pairs]
    ratios = {"speedup": found.speedup, "speedup_by_computing": found.speedup_by_computing, "target_of_two": TARGET}
    told = {"scenario": found.scenario, "runs": found.runs, "workers": found.workers, **ratios, "pairs": pairs}
    return json.dumps({"machine": machine(), **told}, indent=2)


def print_table(found: SweepBench, out: TextIO) -> None:
    """The pairs as a table."""
    from rich.console import Console as Printer
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in (
        "1 process (s)",
        f"{found.workers} processes (s)",
        "speed-up",
        "computing (s)",
        "by computing",
        "load before each",
        "same table",
    ):
        table.add_column(column, justify="right")
    for pair in found.pairs:
        loads = f"{pair.one_load:.1f}, {pair.many_load:.1f}"
        computing = f"{pair.one_cpu_s:.1f}, {pair.many_cpu_s:.1f}"
        same = "yes" if pair.same else "NO"
        free = f"{pair.speedup_by_computing:.2f}"
        table.add_row(f"{pair.one_s:.1f}", f"{pair.many_s:.1f}", f"{pair.speedup:.2f}", computing, free, loads, same)
    printer = Printer(file=out, highlight=False, width=None if out.isatty() else 120)
    printer.print(f"{found.runs} runs: every policy on {found.scenario}")
    printer.print(table)
    printer.print(
        f"{machine()['cores']} cores; a load above 0 before a sweep is other work, which lowers the speed-up by the clock. "
        "By computing: what free cores would give.",
        style="dim",
    )
