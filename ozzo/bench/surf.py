"""The whole SURF trace first come, first served, with power and energy of every job: a process of its own.

``python -m ozzo.bench.surf TASK.json`` carries out ``{"trace", "jobs", "runs", "report"}``; ``jobs`` is a list: the first so many
jobs of the trace, or null for all of them.

277 hosts, 32 W idle and 180 W busy: the cluster of the STEAM study (CCGrid 2026), every job on whole hosts at full power, which
the trace does not say. PUE 1.2 and 2 kW of overhead are assumptions of this bench. No sun and no battery.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grid.connection import Connection
from grid.errors import OzzoError
from grid.horizon import Horizon
from grid.series import Series
from grid.tariff import Carbon, Tariff
from ozzo.bench.process import peak_memory_mb
from scheduler.data import Tier
from scheduler.facility import Site
from scheduler.traces import Tasks, read_tasks
from sim.energy_core.fifo import FifoRun, run_fifo
from sim.energy_core.layout import MeteredSite
from sim.energy_core.meter import meter_sites
from sim.energy_core.nodes import NodeKind, PowerCurve
from sim.energy_core.shares import attribute

HOSTS, CORES, IDLE_KW, BUSY_KW = 277, 16, 0.032, 0.180
PUE, OVERHEAD_KW = 1.2, 2.0
REPORT = timedelta(hours=1)
UNLIMITED_KW = 1e9


@dataclass(frozen=True, slots=True)
class SurfResult:
    """What the trace took and gave.

    Attributes:
        jobs: how many; run_s: CPU seconds of event loop, accounts and meter, the fastest of some runs.
        load_kwh: facility energy by the meter; parts_kwh: sum of the parts of jobs and nobody's; it_kwh: of the jobs' nodes.
        most_held: most hosts in use; mean_wait_s, longest_wait_s: from submission to start.
    """

    jobs: int
    run_s: float
    load_kwh: float
    parts_kwh: float
    it_kwh: float
    most_held: int
    mean_wait_s: float
    longest_wait_s: float


def measure(trace: Path, jobs: Sequence[int | None], runs: int) -> list[SurfResult]:
    """Run the first so many jobs (None: all) for each entry of ``jobs``, some times in turn; the first time may compile.

    Raises:
        FeedError: the trace cannot be read.
    """
    tasks = read_tasks(trace)
    counts = [len(tasks.ids) if limit is None else min(limit, len(tasks.ids)) for limit in jobs]
    fastest, last = [math.inf] * len(counts), [once(tasks, 1)] * len(counts)
    for _ in range(runs):
        for k, count in enumerate(counts):
            began = time.process_time()
            last[k] = once(tasks, count)
            fastest[k] = min(fastest[k], time.process_time() - began)
    submitted_s = tasks.submission_s - tasks.submission_s[0]
    return [
        SurfResult(
            jobs=count,
            run_s=run_s,
            load_kwh=load_kwh,
            parts_kwh=parts_kwh,
            it_kwh=float(run.own_kwh.sum()),
            most_held=int(run.held.max()),
            mean_wait_s=float((run.start_s - submitted_s[:count]).mean()),
            longest_wait_s=float((run.start_s - submitted_s[:count]).max()),
        )
        for count, run_s, (run, load_kwh, parts_kwh) in zip(counts, fastest, last, strict=True)
    ]


def once(tasks: Tasks, count: int) -> tuple[FifoRun, float, float]:
    """Run the first ``count`` jobs, give each its part of the energy, meter by the hour: also load and sum of the parts, kWh."""
    begin_s = float(tasks.submission_s[0])
    submitted, duration = tasks.submission_s[:count] - begin_s, tasks.duration_s[:count]
    nodes = -(-tasks.cores[:count] // CORES)
    hosts = [NodeKind("host", HOSTS, PowerCurve.linear(IDLE_KW, BUSY_KW))]
    hours = math.ceil(float((submitted + duration).max()) / 3600.0)
    run = run_fifo(hosts, submitted, duration, nodes, least_end_s=hours * 3600.0)
    if run.edges_s[-1] > hours * 3600.0:  # jobs waited, so the last one ends in a later hour
        hours = math.ceil(run.edges_s[-1] / 3600.0)
        run = run_fifo(hosts, submitted, duration, nodes, least_end_s=hours * 3600.0)
    shares = attribute(run, pue=PUE, overhead_kw=OVERHEAD_KW)
    horizon = Horizon(datetime.fromtimestamp(begin_s, UTC), REPORT, hours)
    held, free = run.series(horizon)
    found = meter_sites([MeteredSite(_site(horizon), it_kw=held, idle_it_kw=free)], horizon, REPORT)
    return run, float(found.total_kwh("load_kwh")[0]), shares.total_kwh


def _site(horizon: Horizon) -> Site:
    """The data centre: nodes are the trace's business, so it has none of its own."""
    unlimited, nothing = Series.constant(UNLIMITED_KW, horizon, "kW"), Series.constant(0.0, horizon, "EUR/MWh")
    return Site(
        name="surf",
        tier=Tier.HOT,
        nodes=(),
        pue=PUE,
        overhead_kw=OVERHEAD_KW,
        solar_kw=None,
        wind_kw=None,
        battery=None,
        connection=Connection(unlimited, unlimited),
        tariff=Tariff(nothing, nothing, 0.0),
        carbon=Carbon(nothing),
    )


def main(task_file: str) -> None:
    """Carry out a task and write its report."""
    task = json.loads(Path(task_file).read_text(encoding="utf-8"))
    report: dict[str, Any]
    try:
        results = [asdict(result) for result in measure(Path(task["trace"]), task["jobs"], task["runs"])]
        report = {"results": results, "peak_memory_mb": peak_memory_mb()}
    except OzzoError as error:
        report = {"failed": str(error)}
    Path(task["report"]).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
