"""The Lagrangian bound: for any prices, what everyone pays at their best response, less what the prices earn (docs/model.md).

Classes that share copies of a dataset are one subproblem: every set of its copies is tried, so the integrality of buying is in the bound.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import Case, IntArray
from scheduler.optimiser.large.compiled import FAST
from scheduler.optimiser.large.groups import Classes

MOST_COPIES = 12
"""Datasets with more copies than this count all of them as bought for nothing (still valid, less tight)."""


@njit(**FAST)
def copies_bound(group_ptr, group, ep, entry, em, cost, drop, count, first, copies_ptr, copies, copy_price, most):
    """Sum over datasets of the best set of copies with the best choice of every class."""
    total = 0.0
    for d in range(len(group_ptr) - 1):
        number = copies_ptr[d + 1] - copies_ptr[d]
        free = number > most
        best = np.inf
        for mask in range(1 if free else 1 << number):
            value = 0.0
            for c in range(0 if free else number):
                if mask >> c & 1:
                    value += copy_price[copies[copies_ptr[d] + c]]
            for g in range(group_ptr[d], group_ptr[d + 1]):
                k = group[g]
                least = drop[first[k]]
                for e in range(ep[k], ep[k + 1]):
                    m = em[entry[e]]
                    allowed = m < 0 or free
                    if not allowed:
                        allowed = True  # a copy of another dataset than the group's counts as bought
                        for c in range(number):
                            if copies[copies_ptr[d] + c] == m:
                                allowed = (mask >> c & 1) == 1
                    if allowed and cost[e] < least:
                        least = cost[e]
                value += count[k] * least
            best = min(best, value)
        total += best
    return total


class GroupIndex:
    """Datasets with the classes that use their copies; classes without any copy are groups of their own."""

    def __init__(self, case: Case, classes: Classes) -> None:
        dataset = classes.dataset
        order = np.argsort(np.where(dataset >= 0, dataset, 1 << 40), kind="stable")
        with_copies = order[dataset[order] >= 0]
        names, sizes = np.unique(dataset[with_copies], return_counts=True)
        alone = np.flatnonzero(dataset < 0)
        self.group: IntArray = np.concatenate([with_copies, alone]).astype(np.int64)
        self.group_ptr: IntArray = np.concatenate(([0], np.cumsum(np.concatenate([sizes, np.ones(len(alone), dtype=np.int64)]))))
        self.group_ptr = self.group_ptr.astype(np.int64)
        by_dataset = np.argsort(case.md, kind="stable") if len(case.md) else np.zeros(0, dtype=np.int64)
        allowed = case.mgb[by_dataset] <= case.gbmax[case.ms[by_dataset]] + 1e-9 if len(by_dataset) else np.zeros(0, dtype=bool)
        by_dataset = by_dataset[allowed]
        low = (
            np.searchsorted(case.md[by_dataset], names, side="left") if len(by_dataset) else np.zeros(len(names), dtype=np.int64)
        )
        high = (
            np.searchsorted(case.md[by_dataset], names, side="right") if len(by_dataset) else np.zeros(len(names), dtype=np.int64)
        )
        spans = [by_dataset[a:b] for a, b in zip(low, high, strict=True)] + [np.zeros(0, dtype=np.int64)] * len(alone)
        self.copies: IntArray = (np.concatenate(spans) if spans else np.zeros(0)).astype(np.int64)
        self.copies_ptr: IntArray = np.concatenate(([0], np.cumsum([len(span) for span in spans]))).astype(np.int64)

    def value(self, case: Case, classes: Classes, cost: FloatArray, copy_price: FloatArray) -> float:
        """The job side of the bound for costs of entries and prices of copies."""
        total = copies_bound(
            self.group_ptr, self.group, classes.ep, classes.entry, case.em, cost, case.drop, classes.count, classes.first,
            self.copies_ptr, self.copies, copy_price, MOST_COPIES,
        )  # fmt: skip
        return float(total)


def capacity_price_total(case: Case, mu: FloatArray) -> float:
    """What capacity prices earn: ``sum mu * cap``, EUR."""
    return float((mu * case.cap).sum())
