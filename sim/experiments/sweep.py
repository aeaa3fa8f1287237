"""Carry out a sweep: what is missing in its folder is run, kept at once, and merged at the end.

A killed sweep is started again with the same command and ends with the same table as one that was left alone, but for the
columns of ``OF_THIS_SWEEP``.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from sim.experiments.design import Sweep
from sim.experiments.pool import Done, Lost, ProcessPool
from sim.experiments.store import PLANS, TABLE, Store


class Engine(Protocol):
    """What carries out tasks: a pool of processes, or a cluster."""

    def results(self, tasks: Sequence[dict[str, Any]]) -> Iterator[Done | Lost]:
        """What becomes of each task, as it happens."""


@dataclass(frozen=True, slots=True)
class News:
    """How far a sweep is.

    Attributes:
        runs: of the sweep; done: finished ones, those of earlier attempts included; failed: failed ones.
        words: what just happened when it was not simply a run, else empty.
    """

    runs: int
    done: int
    failed: int
    words: str = ""


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep came to.

    Attributes:
        folder: where it is; table: its Parquet file.
        runs: of the sweep; kept: finished before this time; done: finished in all.
        failed: index and reason of each run that failed; lost: processes that died.
        wall_s: wall time of this time.
        worker_cpu_s: computing time of each process that carried out runs.
        facts: what ``sweep.json`` holds.
    """

    folder: Path
    table: Path
    runs: int
    kept: int
    done: int
    failed: tuple[tuple[int, str], ...]
    lost: tuple[Lost, ...]
    wall_s: float
    facts: dict[str, Any] = field(default_factory=dict)
    worker_cpu_s: tuple[float, ...] = ()


def silent(_: News) -> None:
    """Nobody wants to see it."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def run_sweep(
    sweep: Sweep,
    folder: str | Path,
    *,
    workers: int | None = None,
    engine: AbstractContextManager[Engine] | None = None,
    tell: Callable[[News], None] = silent,
) -> SweepResult:
    """Carry out what is missing of ``sweep`` in ``folder``.

    Args:
        sweep: of ``load_sweep``.
        folder: of results; made when it is not there, gone on with when it holds this sweep.
        workers: processes; as many as there are cores if not given.
        engine: carries out the runs in place of a pool of processes.
        tell: told how far it is.

    Raises:
        InputError: the folder holds another sweep.
        ExperimentError: the folder cannot be written, or workers do not start; what is finished is kept.
        KeyboardInterrupt: somebody pressed Ctrl-C; what is finished is kept.
    """
    began = time.perf_counter()
    count = workers or cores()
    with Store(Path(folder), sweep) as store:
        missing, state = store.missing(), State(sweep.size, sweep.size)
        state.done -= len(missing)
        kept = state.done
        for name in store.spoilt:
            tell(state.news(f"{name} could not be read; its run is carried out again"))
        store.describe(facts(sweep, state, count, time.perf_counter() - began))
        tell(state.news())
        if missing:
            try:
                with engine or ProcessPool(count) as carrying:
                    plans = {"plans": str(Path(folder).resolve() / PLANS)}
                    for event in carrying.results([sweep.task(run) | plans for run in missing]):
                        _keep(event, store, state, tell)
            finally:
                state.failed.sort()
                store.describe(facts(sweep, state, count, time.perf_counter() - began))
        table = store.merge() if store.rows else Path(folder) / TABLE
        wall_s = time.perf_counter() - began
        told = facts(sweep, state, count, wall_s)
        store.describe(told)
    failed, lost, used = tuple(state.failed), tuple(state.lost), tuple(state.cpu_s.values())
    return SweepResult(Path(folder), table, sweep.size, kept, state.done, failed, lost, wall_s, told, used)


@dataclass(slots=True)
class State:
    """How far the sweep is: as ``SweepResult``, while it grows; computing times by pid."""

    runs: int
    done: int
    failed: list[tuple[int, str]] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    cpu_s: dict[int, float] = field(default_factory=dict)

    def news(self, words: str = "") -> News:
        """What there is to tell."""
        return News(self.runs, self.done, len(self.failed), words)


def _keep(event: Done | Lost, store: Store, state: State, tell: Callable[[News], None]) -> None:
    """Keep what became of a run, and tell it."""
    if isinstance(event, Lost):
        state.lost.append(event)
        tell(state.news(f"worker {event.pid} {event.how}; run {event.run} is carried out again"))
        return
    if event.process is not None:
        state.cpu_s[event.process[0]] = event.process[1]
    if event.row is None:
        state.failed.append((event.run, event.trouble))
        tell(state.news(f"run {event.run} failed: {event.trouble}"))
    else:
        store.add(event.run, event.row | {"version": store.sweep.version, "attempts": event.attempts})
        state.done += 1
        tell(state.news())


def facts(sweep: Sweep, state: State, workers: int, wall_s: float) -> dict[str, Any]:
    """What ``sweep.json`` holds; keys in docs/output.md."""
    return {
        "name": sweep.name,
        "title": sweep.title,
        "version": sweep.version,
        "written": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {
            "name": platform.node(),
            "system": platform.platform(),
            "cores": cores(),
            "python": platform.python_version(),
        },
        "scenarios": [
            {"label": scenario.label, "file": scenario.written, "sha256": scenario.digest} for scenario in sweep.scenarios
        ],
        "policies": list(sweep.policies),
        "reference": sweep.reference,
        "parameters": [
            {"path": parameter.path, "label": parameter.label, "values": list(parameter.values)} for parameter in sweep.parameters
        ],
        "seeds": list(sweep.seeds),
        "redraw": sweep.redraw,
        "power_flow": sweep.power_flow,
        "runs": sweep.size,
        "done": state.done,
        "failed": [{"run": run, "why": why} for run, why in state.failed],
        "lost_workers": [{"run": lost.run, "pid": lost.pid, "how": lost.how} for lost in state.lost],
        "workers": workers,
        "wall_s": wall_s,
    }
