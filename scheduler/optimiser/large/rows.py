"""Linear limits that sites share on the energy side: limits of the network, caps of groups, feeders that are no chain of a case.

A row is a weighted sum of imports and exports of some sites in one slot that stays at or below a limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SharedRows:
    """Rows ``sum of imports[k] * import + exports[k] * export <= limit[q]`` over the terms ``k`` in ``ptr[q]:ptr[q + 1]``.

    Attributes:
        slot: slot of each row, ``[Q]``; limit: its limit, not negative (so that drawing nothing keeps it), ``[Q]``.
        ptr: terms of row ``q`` are ``ptr[q]:ptr[q + 1]``, ``[Q + 1]``.
        site: site of each term, ``[K]``; no site twice in a row.
        imports, exports: weight of a kW of its import and of its export, ``[K]``; a net import has the weights ``w`` and ``-w``.
    """

    slot: IntArray
    limit: FloatArray
    ptr: IntArray
    site: IntArray
    imports: FloatArray
    exports: FloatArray

    def __len__(self) -> int:
        return len(self.slot)

    @property
    def row(self) -> IntArray:
        """Row of each term, ``[K]``."""
        of: IntArray = np.repeat(np.arange(len(self)), np.diff(self.ptr))
        return of

    def total(self, term: FloatArray) -> FloatArray:
        """Sum over the terms of each row, ``[K]`` to ``[Q]``."""
        found: FloatArray = np.bincount(self.row, term, len(self)).astype(np.float64)
        return found

    def left_side(self, import_kw: FloatArray, export_kw: FloatArray) -> FloatArray:
        """What the rows add up to, ``[Q]``, for imports and exports ``[S, T]``."""
        slot = self.slot[self.row]
        return self.total(self.imports * import_kw[self.site, slot] + self.exports * export_kw[self.site, slot])

    def adders(self, price: FloatArray, sites: int, slots: int) -> FloatArray:
        """What prices of the rows (``[Q]``, EUR per unit and slot) add to a kW of import and to the worth of one of export.

        Returns:
            EUR per kW and slot, ``[2, S, T]``. Of a limit on net import both are equal.
        """
        cell, each = self.site * slots + self.slot[self.row], price[self.row]
        parts = [
            np.bincount(cell, sign * weight * each, sites * slots).astype(np.float64)
            for sign, weight in ((1.0, self.imports), (-1.0, self.exports))
        ]
        found: FloatArray = np.stack(parts).reshape(2, sites, slots)
        return found

    def merged(self, factor: int) -> SharedRows:
        """The same rows where ``factor`` slots are one: each holds for the mean of its coarse slot."""
        return replace(self, slot=self.slot // factor)


@dataclass(slots=True)
class RowList:
    """Rows while they are collected."""

    slot: list[int] = field(default_factory=list)
    limit: list[float] = field(default_factory=list)
    count: list[int] = field(default_factory=list)
    site: list[int] = field(default_factory=list)
    imports: list[float] = field(default_factory=list)
    exports: list[float] = field(default_factory=list)

    def add(self, slot: int, limit: float, sites: Sequence[int], imports: Sequence[float], exports: Sequence[float]) -> None:
        """One row."""
        self.slot.append(slot)
        self.limit.append(limit)
        self.count.append(len(sites))
        self.site += sites
        self.imports += imports
        self.exports += exports

    def add_net(self, slot: int, limit: float, sites: Sequence[int], weights: Sequence[float]) -> None:
        """One row on net import."""
        self.add(slot, limit, sites, weights, [-weight for weight in weights])

    def rows(self, import_limit_kw: FloatArray, export_limit_kw: FloatArray) -> SharedRows:
        """The rows that can bind at all where sites import and export at most so much, ``[S, T]`` kW."""
        whole = np.int64
        made = SharedRows(
            np.array(self.slot, dtype=whole),
            np.array(self.limit, dtype=np.float64),
            np.concatenate(([0], np.cumsum(self.count))).astype(whole),
            np.array(self.site, dtype=whole),
            np.array(self.imports, dtype=np.float64),
            np.array(self.exports, dtype=np.float64),
        )
        upward = replace(made, imports=np.maximum(0.0, made.imports), exports=np.maximum(0.0, made.exports))
        binds = upward.left_side(import_limit_kw, export_limit_kw) > made.limit
        kept = binds[made.row]
        ptr = np.concatenate(([0], np.cumsum(np.diff(made.ptr)[binds]))).astype(whole)
        return SharedRows(
            made.slot[binds], made.limit[binds], ptr, made.site[kept], made.imports[kept], made.exports[kept]
        )  # fmt: skip


def no_rows() -> SharedRows:
    """Nothing is shared."""
    none = np.zeros(0, dtype=np.int64)
    return SharedRows(none, np.zeros(0), np.zeros(1, dtype=np.int64), none, np.zeros(0), np.zeros(0))
