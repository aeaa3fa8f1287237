"""A trace run first come, first served on a cluster, with the exact course of its power.

The queue is strict: nobody overtakes the head. Jobs take whole nodes of one kind, the first kind in order that has enough free.
What comes of it, ``FifoRun``, is exact between events; ``FifoRun.series`` hands it to the meter, ``shares.attribute`` gives each
job its part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray, Horizon
from grid.series import Series
from sim.energy_core import fifo_kernel
from sim.energy_core.nodes import NodeKind

IntArray = npt.NDArray[np.int64]
SHOWN = 3
"""Jobs that an error names."""


@dataclass(frozen=True, slots=True, eq=False)
class FifoRun:
    """What came of a trace. Times are seconds after the start; jobs are in the order of the trace.

    Attributes:
        granted_s: when each job got its nodes, ``[n]``; start_s: when it began (its nodes were awake); end_s: when it ended.
        kind: index of the kind of node that it ran on; nodes: how many it held.
        own_kwh: IT energy of its nodes while it held them, waking up included.
        edges_s: instants at which a power changes, from 0 to the end of the account, ``[m + 1]``.
        held_kw: IT power of nodes that jobs hold, ``[m]``; free_kw: of all other nodes; held: number of nodes that jobs hold.
        first, after: piece in which each job begins to hold its nodes, and the first one in which it does no more, ``[n]``.
    """

    granted_s: FloatArray
    start_s: FloatArray
    end_s: FloatArray
    kind: IntArray
    nodes: IntArray
    own_kwh: FloatArray
    edges_s: FloatArray
    held_kw: FloatArray
    free_kw: FloatArray
    held: IntArray
    first: IntArray
    after: IntArray

    def series(self, horizon: Horizon) -> tuple[Series, Series]:
        """IT power of held and of other nodes as series from ``horizon``'s start on, for ``layout.MeteredSite``.

        Raises:
            ValueError: the account ends before the horizon does.
        """
        if self.edges_s[-1] < horizon.end_s - horizon.start_s:
            raise ValueError(
                f"the account ends after {self.edges_s[-1]:.0f} s, the horizon after {horizon.end_s - horizon.start_s:.0f} s"
            )
        edges, powers = horizon.start_s + self.edges_s, (self.held_kw, self.free_kw)
        apart = np.diff(edges) > 0  # Unix seconds resolve 0.24 microseconds: what is closer falls together
        if not apart.all():
            edges, powers = edges[np.concatenate(([True], apart))], (self.held_kw[apart], self.free_kw[apart])
        held, free = (Series(edges, power, "kW", "trace") for power in powers)  # one array of edges, so a layout holds it once
        return held, free


def run_fifo(
    kinds: Sequence[NodeKind],
    submission_s: npt.ArrayLike,
    duration_s: npt.ArrayLike,
    nodes: npt.ArrayLike = 1,
    node_kw: npt.ArrayLike | None = None,
    *,
    least_end_s: float = 0.0,
) -> FifoRun:
    """Run a trace.

    Args:
        kinds: the cluster, in the order in which jobs take its kinds.
        submission_s: when jobs are submitted, ascending, ``[n]``.
        duration_s: run time, ``[n]`` or by kind ``[n, kinds]``; infinite where a job may not run.
        nodes: whole nodes that each job needs, one number or ``[n]``.
        node_kw: IT power of one node that runs the job, ``[n]`` or ``[n, kinds]``; by default that of a busy node of the kind.
        least_end_s: the account goes at least as far, and to the end of the last job.

    Raises:
        ValueError: shapes or values that make no sense, or jobs that fit nowhere; all of it at once.
    """
    submitted = np.ascontiguousarray(submission_s, dtype=np.float64)
    n = len(submitted)
    width = np.ascontiguousarray(np.broadcast_to(np.asarray(nodes, dtype=np.int64), (n,)))
    duration = _by_kind(duration_s, n, len(kinds), "duration_s")
    busy = [float(kind.curve.power_kw[-1]) for kind in kinds] if node_kw is None else node_kw
    kw = np.broadcast_to(np.array(busy), (n, len(kinds))).copy() if node_kw is None else _by_kind(busy, n, len(kinds), "node_kw")
    counts = np.array([kind.count for kind in kinds], np.int64)
    _refuse(submitted, width, duration, kw, counts)
    granted, started, ended, own = (np.zeros(n) for _ in range(4))
    kind, released = np.zeros(n, np.int64), np.zeros(n, np.int64)
    rest = _resting(kinds)
    most = 10 * int(width.sum()) + 2 * n + 4 * int(counts.sum()) if any(item.sleep for item in kinds) else 0
    when, change, whose = np.empty(most), np.empty(most), np.empty(most, np.int8)
    m, end_s = fifo_kernel.fifo(
        submitted, width, duration, kw, counts, *rest, least_end_s,
        granted, started, ended, kind, own, released, when, change, whose,
    )  # fmt: skip
    order = np.argsort(when[:m], kind="stable")
    edges, held_kw, free_kw, held = (np.empty(2 * n + m + 2, dtype) for dtype in (np.float64, np.float64, np.float64, np.int64))
    first, after = np.zeros(n, np.int64), np.zeros(n, np.int64)
    pieces = fifo_kernel.course(
        granted, ended, released, kind, width, kw, counts, rest[0],
        when[order], change[order], whose[order], end_s, edges, held_kw, free_kw, held, first, after,
    )  # fmt: skip
    course = (edges[: pieces + 1], held_kw[:pieces], free_kw[:pieces], held[:pieces])
    return FifoRun(granted, started, ended, kind, width, own, *course, first, after)


def _by_kind(values: npt.ArrayLike, n: int, kinds: int, name: str) -> FloatArray:
    """Values of each job on each kind, ``[n, kinds]``."""
    found = np.asarray(values, dtype=np.float64)
    if found.ndim == 1:
        found = found[:, None]
    if found.shape not in {(n, 1), (n, kinds)}:
        raise ValueError(f"{name} has the shape {found.shape}; needed are {n} jobs, or {n} jobs by {kinds} kinds of nodes")
    return np.ascontiguousarray(np.broadcast_to(found, (n, kinds)))


def _refuse(submitted: FloatArray, width: IntArray, duration: FloatArray, kw: FloatArray, counts: IntArray) -> None:
    """Refuse a trace that cannot be run, with every fault."""
    usable = np.isfinite(duration)
    faults = {
        "submitted before the start or at no time": ~(np.isfinite(submitted) & (submitted >= 0)),
        "submitted before the job above it": np.concatenate(([False], np.diff(submitted) < 0)),
        "without a node": width < 1,
        "without a positive run time": ~(duration > 0).all(axis=1),
        "with a power that is negative or no number": ~(np.isfinite(kw) & (kw >= 0)).all(axis=1),
        "with no kind of node to fit on": ~(usable & (width[:, None] <= counts[None, :])).any(axis=1),
    }
    found = [
        f"{len(which)} job{'s' if len(which) > 1 else ''} {words} (the first: {', '.join(map(str, which[:SHOWN]))})"
        for words, wrong in faults.items()
        if len(which := np.flatnonzero(wrong))
    ]
    if len(submitted) == 0 or len(counts) == 0:
        found.append(f"{len(submitted)} jobs on {len(counts)} kinds of nodes; at least one of each is needed")
    if found:
        raise ValueError("; ".join(found))


def _resting(kinds: Sequence[NodeKind]) -> tuple[FloatArray, ...]:
    """Idling and sleeping of the kinds, as ``fifo_kernel.fifo`` takes it."""
    rows = [
        (kind.idle_kw, np.inf, 0.0, 0.0, 0.0, 0.0, 0.0)
        if (sleep := kind.sleep) is None
        else (kind.idle_kw, sleep.after_s, sleep.power_kw, sleep.down_s, sleep.down_kw, sleep.up_s, sleep.up_kw)
        for kind in kinds
    ]
    return tuple(np.ascontiguousarray(column) for column in np.array(rows).T)
