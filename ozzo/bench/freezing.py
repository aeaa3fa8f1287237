"""How long a job of many processes takes to stand still and to go on: with a cgroup, and process by process."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from grid.errors import HardwareError
from ozzo.agent.cgroup import Cgroup, jobs_folder
from ozzo.agent.folders import Surroundings, prepare
from ozzo.agent.kept import KeptChild

TARGET_MS = 100.0
"""A job of 100 processes should stand still within this."""
SPINS = "import os, sys\nfor _ in range(int(sys.argv[1]) - 1):\n    if os.fork() == 0:\n        break\nwhile True:\n    pass\n"
"""A job whose processes all compute for ever: the hardest to stop."""
BEGIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Freezing:
    """What was measured.

    Attributes:
        way: ``cgroup``, or ``signals`` without one.
        processes: of the job.
        turns: how often it was frozen and thawed.
        freeze_ms, freeze_worst_ms: wall time from the call to the kernel's word that all of it stands still; median and worst.
        thaw_ms: the same for going on, median.
        load: of the machine over the last minute, for whoever reads the times.
    """

    way: str
    processes: int
    turns: int
    freeze_ms: float
    freeze_worst_ms: float
    thaw_ms: float
    load: float


def freezing(processes: int, turns: int, say: Callable[[str], None]) -> list[Freezing]:
    """Measure both ways, or the one that this machine has.

    Args:
        processes: of the job.
        turns: how often it is frozen.
        say: takes a line when there is no cgroup.

    Raises:
        HardwareError: the job did not come up, or did not stand still.
    """
    name = f"ozzo-bench-{os.getpid()}"
    folder, why = jobs_folder("auto", name)
    found = []
    if folder is None:
        say(f"no cgroups: {why}")
    else:
        try:
            found.append(_measure("cgroup", folder, processes, turns))
        finally:
            Cgroup(folder).remove()
    found.append(_measure("signals", None, processes, turns))
    return found


def _measure(way: str, cgroups: Path | None, processes: int, turns: int) -> Freezing:
    with tempfile.TemporaryDirectory(prefix="ozzo-bench-") as place:
        around = Surroundings(Path(place), Path(place) / "agent.lock", cgroups)
        lock = prepare(around, "bench", "bench")
        argv = (sys.executable, "-S", "-E", "-c", SPINS, str(processes))
        job = KeptChild.start(argv, "bench", "bench", around, {}, lock)
        os.close(lock)
        try:
            _await(job, processes)
            times = [(_timed(job.freeze), _timed(job.thaw)) for _ in range(turns)]
        finally:
            job.kill()
            job.reap()
    frozen, thawed = [freeze for freeze, _ in times], [thaw for _, thaw in times]
    return Freezing(way, processes, turns, statistics.median(frozen), max(frozen), statistics.median(thawed), os.getloadavg()[0])


def _await(job: KeptChild, processes: int) -> None:
    """Wait until all processes are there."""
    until = time.monotonic() + BEGIN_S
    while len(job.members()) < processes:
        if time.monotonic() > until:
            raise HardwareError(f"{len(job.members())} of {processes} processes began in {BEGIN_S:g} s")
        time.sleep(0.01)


def _timed(act: Callable[[], bool]) -> float:
    """Milliseconds until it is confirmed.

    Raises:
        HardwareError: it is not.
    """
    began = time.perf_counter()
    confirmed = act()
    took_ms = (time.perf_counter() - began) * 1e3
    if not confirmed:
        raise HardwareError(f"not confirmed after {took_ms:.0f} ms")
    return took_ms


def as_rows(found: list[Freezing]) -> list[dict[str, object]]:
    """The figures for JSON."""
    return [asdict(row) | {"target_ms": TARGET_MS, "within": row.freeze_worst_ms <= TARGET_MS} for row in found]


def print_rows(found: list[Freezing], out: IO[str]) -> None:
    """The figures for people."""
    for row in found:
        out.write(
            f"{row.way:8} {row.processes} processes, {row.turns} times: frozen in {row.freeze_ms:.1f} ms (worst "
            f"{row.freeze_worst_ms:.1f}, target {TARGET_MS:g}), thawed in {row.thaw_ms:.1f} ms; load {row.load:.1f}\n"
        )
