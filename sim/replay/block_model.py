"""A block of jobs on a machine as a mixed-integer programme, in the arrays of the product's HiGHS seam.

::

    min   sum cost[w] x[w] + sum far[j] late[j]
    s.t.  sum of x[w] over the ways w of job j + late[j] = 1            for each job
          sum of width[j(w)] x[w] over the ways that touch slot t <= room[t]   for each slot that could overflow
          x binary, late continuous in [0, 1]
"""

from __future__ import annotations

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.compiled import Compiled
from sim.replay.batch import IntArray

FAR = 10.0
"""Being left out costs this many times the dearest way of the block: a last resort, but never a reason to have no answer."""


def block_model(
    row: IntArray, cost: FloatArray, first: IntArray, last: IntArray, width: FloatArray, room: FloatArray
) -> Compiled:
    """The programme.

    Args:
        row: job of each way, ``[m]``, ascending.
        cost: of each way, ``[m]``.
        first: first slot that each way touches, ``[m]``.
        last: slot after the last one, ``[m]``.
        width: processors of each job, ``[n]``.
        room: processors free in every slot.

    Returns:
        Columns: the ways, then one for each job that it is left out. Rows: the jobs, then the joined slots that could overflow.
    """
    from scipy.sparse import coo_matrix

    jobs, ways = len(width), len(row)
    first, last, room = _segments(first, last, room)
    spans = (last - first).astype(np.int64)
    slot = np.repeat(first, spans) + (np.arange(int(spans.sum())) - np.repeat(np.cumsum(spans) - spans, spans))
    way = np.repeat(np.arange(ways), spans)
    tight = _could_overflow(row[way], slot, width, room)
    position = np.full(len(room), -1)
    position[tight] = np.arange(len(tight))
    inside = position[slot] >= 0
    entries = np.concatenate((np.ones(ways), np.ones(jobs), width[row[way[inside]]]))
    rows = np.concatenate((row, np.arange(jobs), jobs + position[slot[inside]]))
    columns = np.concatenate((np.arange(ways), ways + np.arange(jobs), way[inside]))
    far = FAR * max(float(np.abs(cost).max()), 1.0)
    size = ways + jobs
    integer = np.zeros(size, dtype=bool)
    integer[:ways] = True
    return Compiled(
        cost=np.concatenate((cost, np.full(jobs, far))),
        offset=0.0,
        matrix=coo_matrix((entries, (rows, columns)), shape=(jobs + len(tight), size)).tocsc(),
        row_lower=np.concatenate((np.ones(jobs), np.full(len(tight), -np.inf))),
        row_upper=np.concatenate((np.ones(jobs), room[tight])),
        lower=np.zeros(size),
        upper=np.ones(size),
        integer=integer,
        columns={},
        rows={},
    )


def _segments(first: IntArray, last: IntArray, room: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Slots joined where no way begins or ends: their rows differ in the room only, so the least room stands for all."""
    edges = np.unique(np.concatenate((first, last)))
    least = np.minimum.reduceat(room[: edges[-1]], edges[:-1])
    return np.searchsorted(edges, first), np.searchsorted(edges, last), least


def _could_overflow(job: IntArray, slot: IntArray, width: FloatArray, room: FloatArray) -> IntArray:
    """Slots in which all jobs that may be there need more than there is."""
    pairs = np.unique(np.column_stack((slot, job)), axis=0)
    need = np.bincount(pairs[:, 0], weights=width[pairs[:, 1]], minlength=len(room))
    return np.flatnonzero(need > room + 1e-9)
