"""Classes of identical jobs of a case, and the index arrays that the compiled code walks over.

Jobs with equal rows in every array form a class with a count: exact, because a class may do what its jobs may do. Fractional
decisions are kept per class; plans are made job by job.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import Case, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """Classes of identical jobs.

    Attributes:
        of: class of each job, ``[J]``.
        first: a job of each class, ``[K]``.
        count: number of jobs of each class, ``[K]``.
        ep: entries of class ``k`` are ``entry[ep[k]:ep[k + 1]]``, ``[K + 1]``.
        entry: entry of eligibility in the case, ``[N']``.
        window: shares of entry ``n`` lie in ``window[n]:window[n + 1]``, ``[N' + 1]``.
        dataset: dense index of the dataset whose copies the class may use, or -1, ``[K]``.
    """

    of: IntArray
    first: IntArray
    count: FloatArray
    ep: IntArray
    entry: IntArray
    window: IntArray
    dataset: IntArray


def classes_of(case: Case, *, merge: bool = True) -> Classes:
    """Classes of the jobs of ``case``; without ``merge`` each job is its own."""
    of = _merged(case) if merge else np.arange(case.J)
    first = np.unique(of, return_index=True)[1].astype(np.int64)
    count = np.bincount(of, minlength=len(first)).astype(np.float64)
    sizes = case.ep[first + 1] - case.ep[first]
    ep = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    owner = np.repeat(first, sizes)
    entry: IntArray = np.arange(ep[-1]) + np.repeat(case.ep[first] - ep[:-1], sizes)
    length = np.maximum(0, case.dl[owner] - case.ea[entry])
    copy = case.em[entry]
    if len(case.mgb):
        length[(copy >= 0) & (case.mgb[copy] > case.gbmax[case.ms[copy]] + 1e-9)] = 0
    window = np.concatenate(([0], np.cumsum(length))).astype(np.int64)
    dataset = np.full(len(first), -1, dtype=np.int64)
    copies = case.em[entry]
    user = np.repeat(np.arange(len(first)), sizes)
    has = copies >= 0
    dataset[user[has]] = case.md[copies[has]]
    return Classes(of.astype(np.int64), first, count, ep, entry, window, dataset)


def _merged(case: Case) -> IntArray:
    """Class of each job; equal rows, entries included, have the same class. Classes in order of their first job."""
    known: dict[bytes, int] = {}
    of = np.zeros(case.J, dtype=np.int64)
    columns = [case.typ, case.p, case.rel, case.dl, case.soft, case.wt, case.res, case.pw, case.drop, *case.extra_columns()]
    rows = np.ascontiguousarray(np.column_stack(columns))
    entries = np.ascontiguousarray(np.column_stack([case.es, case.ec, case.ea, case.em, *case.extra_entries()]))
    for j in range(case.J):
        key = rows[j].tobytes() + entries[case.ep[j] : case.ep[j + 1]].tobytes()
        of[j] = known.setdefault(key, len(known))
    return of
