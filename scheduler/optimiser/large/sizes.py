"""Size rows: how many large jobs fit side by side.

For any size ``g`` whole jobs obey ``sum floor(need / g) <= floor(capacity / g)`` (rounding, Chvatal 1973). The rows say
nothing that hard capacity does not say, but while capacity is soft they let large jobs settle before small ones: two jobs of 16
do not fit into 30, though on average they hardly overload it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import MALLEABLE, Case, IntArray

LEAST_PART = 0.2
"""Sizes below this part of the smallest site have no row."""

MOST_ROWS = 4
"""Most rows of one resource."""

EPS = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Sizes:
    """A case with size rows after its resources.

    Attributes:
        case: the case; rows ``len(resource)`` more than the original.
        resource: resource that each size row counts, ``[Q]``.
        size: its ``g``, ``[Q]``.
        part: ``g`` as a part of the capacity of the smallest site that it fits into, at most 1, ``[Q]``.
    """

    case: Case
    resource: IntArray
    size: FloatArray
    part: FloatArray

    def extended(self, array: FloatArray, power: int) -> FloatArray:
        """``array`` ``[R, ...]`` with one more row per size row: that of its resource times ``g ** power``."""
        factor = self.size**power
        rows = array[self.resource] * factor.reshape((-1,) + (1,) * (array.ndim - 1))
        both: FloatArray = np.concatenate([array, rows])
        return both

    def padded(self, array: FloatArray) -> FloatArray:
        """``array`` ``[R, ...]`` with rows of zeros for the size rows."""
        both: FloatArray = np.concatenate([array, np.zeros((len(self.size), *array.shape[1:]))])
        return both


def with_size_rows(case: Case, least_part: float = LEAST_PART, most_rows: int = MOST_ROWS) -> Sizes:
    """Size rows for the sizes of whole jobs that are large for some site that they may run at.

    Args:
        case: the case.
        least_part: of a site that a job must need to be large there.
        most_rows: of one resource.
    """
    whole = case.typ != MALLEABLE
    owner = np.repeat(np.arange(case.J), np.diff(case.ep))
    resource: list[int] = []
    size: list[float] = []
    part: list[float] = []
    for r in range(len(case.cap)):
        middle = np.median(case.cap[r], axis=1) if case.T else np.zeros(case.S)
        room = middle[case.es]
        need = case.res[owner, r]
        fits = whole[owner] & (need > 0) & (need <= room + EPS)
        large = fits & (need >= least_part * room)
        for g in _spread(np.unique(need[large]), most_rows):
            resource.append(r)
            size.append(float(g))
            part.append(float(np.max(g / room[fits & (need >= g - EPS)], initial=0.0)))
    if not size:
        return Sizes(case, np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
    counts = [np.where(whole, np.floor(case.res[:, r] / g + EPS), 0.0) for r, g in zip(resource, size, strict=True)]
    limits = [np.floor(case.cap[r] / g + EPS) for r, g in zip(resource, size, strict=True)]
    wider = replace(
        case,
        res=np.ascontiguousarray(np.column_stack([case.res, *counts])),
        cap=np.ascontiguousarray(np.concatenate([case.cap, np.stack(limits)])),
    )
    return Sizes(wider, np.array(resource, dtype=np.int64), np.array(size), np.minimum(1.0, np.array(part)))


def _spread(sizes: FloatArray, most_rows: int) -> FloatArray:
    """At most ``most_rows`` of ``sizes`` (rising), the largest and others evenly between."""
    if len(sizes) <= most_rows:
        return sizes
    chosen: FloatArray = sizes[np.unique(np.linspace(0, len(sizes) - 1, most_rows).round().astype(int))]
    return chosen
