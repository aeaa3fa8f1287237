"""Small sweeps for tests: a sunny hall whose jobs are drawn, planned by the baselines only, so that a run takes moments."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sim.experiments.columns import FIGURES, OF_THIS_SWEEP
from sim.experiments.design import Run
from sim.experiments.store import Store
from sim.experiments.sweep import State, facts
from sim.experiments.sweep_file import load_sweep

ROOT = Path(__file__).parents[3]

HALL = """
ozzo: 1
name: hall
title: A sunny hall
seed: 3
horizon: {start: 2022-07-01T00:00, hours: 8, step_minutes: 60}
errors: {solar_sigma: 0.4, duration_low: 0.5, duration_high: 1.0}
signals:
  price: {constant_eur_per_mwh: 200}
  carbon_average: {constant_g_per_kwh: 300}
sites:
  - name: hall
    tier: cold
    nodes: [{name: rack, count: 4, cores: 16, memory_gb: 64, idle_kw: 0.1, peak_kw: 1.1, failsafe_kw: 0.15}]
    solar: {measured: {csv: sun.csv, time: start, value: kw}}
    battery: {energy_kwh: 6, charge_kw: 3, discharge_kw: 3, initial_soc_kwh: 2, wear_eur_per_kwh: 0.01}
    connection: {import_limit_kw: 10, export_limit_kw: 10}
    tariff: {import_fee_eur_per_mwh: 20, export_fee_eur_per_mwh: 50}
workload:
  jobs:
    - {name: a, duration_minutes: 180, cores: 16}
    - {name: b, duration_minutes: 120, cores: 16, nodes: 2}
    - {name: c, kind: interruptible, duration_minutes: 120, cores: 16}
"""

SWEEP = """
ozzo_sweep: 1
name: small
title: Batteries and margins
scenarios: [hall.yaml]
policies: [fifo, wait_for_sun]
parameters:
  - {path: sites.hall.battery.energy, values: [4 kWh, 8 kWh], label: battery}
seeds: {first: 1, count: 5}
"""


def hall(folder: Path) -> Path:
    """The hall and its measured sun; returns the scenario file."""
    folder.mkdir(parents=True, exist_ok=True)
    sun = [0.0, 0.5, 1.5, 2.5, 2.5, 1.5, 0.5, 0.0]
    rows = [f"2022-07-01T{hour:02}:00,{kw}" for hour, kw in enumerate(sun)]
    (folder / "sun.csv").write_text("\n".join(["start,kw", *rows]) + "\n", encoding="utf-8")
    file = folder / "hall.yaml"
    file.write_text(HALL, encoding="utf-8")
    return file


def sweep_file(folder: Path, text: str = SWEEP) -> Path:
    """The hall and a sweep over it; returns the sweep file."""
    hall(folder)
    file = folder / "small.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def repeatable(folder: Path) -> list[dict[str, Any]]:
    """Rows of a sweep's table without what may differ when the same runs are carried out again."""
    from pyarrow import parquet

    return list(parquet.read_table(folder / "sweep.parquet").drop_columns(list(OF_THIS_SWEEP)).to_pylist())


def children(parent: int) -> set[int]:
    """Living processes whose parent is ``parent`` (fields 3 and 4 of ``/proc/<pid>/stat``, see proc(5))."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, ppid = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(ppid) == parent and state != "Z":
                found.add(int(entry.name))
    return found


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(what: Callable[[], bool], patience_s: float = 200.0) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: it never was.
    """
    until = time.monotonic() + patience_s
    while not what():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.02)


def start(*arguments: str, measured: bool = True, **more: Any) -> subprocess.Popen[str]:
    """``ozzo`` with arguments as a process of its own; ``measured`` lets coverage write its own files from it."""
    command = [sys.executable, "-c", "from ozzo.cli import main; main()", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    environment = {name: value for name, value in os.environ.items() if measured or not name.startswith("COVERAGE_")}
    return subprocess.Popen(command, env=environment | {"PYTHONPATH": path}, **(pipes | more))


def made(folder: Path, figures: Callable[[Run], dict[str, Any]], *, text: str = SWEEP, stop: int | None = None) -> Path:
    """Folder of a sweep whose figures are made up: 0 where ``figures`` says nothing, only the first ``stop`` runs finished."""
    sweep = load_sweep(sweep_file(folder, text))
    blank = {name: "heuristic" if kind == "string" else 0 for name, (kind, _) in FIGURES.items()}
    origin = {"version": "1", "machine": "desk", "python": "3.11", "finished": "2022-07-01T00:00:00Z", "attempts": 1}
    with Store(folder / "out", sweep) as store:
        for run in list(sweep.runs())[:stop]:
            store.add(run.index, blank | origin | {"wall_s": 0.5, "build_s": 0.0, "solve_s": 0.0} | figures(run))
        failed = [(run.index, "<b>no</b> plan") for run in store.missing()]
        store.describe(facts(sweep, State(sweep.size, len(store.rows), failed), 1, 1.0))
        if stop is None:
            store.merge()
    return folder / "out"
