"""Columns of the plain model of a case: which decision stands where (see ``scheduler.optimiser.plain``).

Only what can be chosen has a column: an entry of eligibility of a rigid job one for each slot in which the job can start, any
other entry one for the site and one for each slot between its earliest slot and the due end of its window (malleable: two, on a
curve three; in pieces: one more for a beginning).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import INTERRUPTIBLE, MALLEABLE, PIECED, RIGID, Case, IntArray, Solution

SHARE_TOLERANCE = 1e-6
"""Shares of a slot below this are not run (the solver's own tolerance on whole numbers)."""


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Entries of one kind of job and the slots that each may use, flattened: ``entry`` and ``slot`` have one element a column."""

    entries: IntArray
    pointer: IntArray
    entry: IntArray
    slot: IntArray

    @classmethod
    def of(cls, entries: IntArray, first: IntArray, counts: IntArray) -> Spans:
        """Spans of ``counts`` slots from ``first`` on."""
        pointer = np.concatenate(([0], np.cumsum(counts)))
        place = np.repeat(np.arange(len(entries)), counts)
        slot = np.arange(pointer[-1]) - pointer[place] + first[place]
        return cls(entries, pointer, entries[place], slot)


class Columns:
    """Where each decision of ``case`` stands.

    Attributes:
        job: job of each entry.
        start, whole, share: spans of rigid, interruptible (in pieces or not) and malleable jobs.
        pieces, bent: spans of the jobs in pieces and of those on curves again.
        drop, move: first column of the drops ``[J]`` and of the copies ``[M]``.
        site: column of "at this site" of the entries of jobs that are not rigid, else -1.
        first: first column of ``start``, ``whole``, ``full``, ``eco``, ``begin`` (a piece begins) and ``done`` (work done).
        size: number of columns of the jobs' side; the energy side follows.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.job: IntArray = np.repeat(np.arange(case.J), np.diff(case.ep))
        kind, work = case.typ[self.job], case.p[self.job]
        ready = np.maximum(case.ea, 0)
        room = case.dl[self.job] - ready
        usable = room >= work
        spans = {}
        kinds = {
            "start": (RIGID,),
            "whole": (INTERRUPTIBLE, PIECED),
            "share": (MALLEABLE,),
            "pieces": (PIECED,),
            "bent": (MALLEABLE,),
        }
        for name, those in kinds.items():
            chosen = usable & np.isin(kind, those)
            entries = np.flatnonzero(chosen & case.has_curve[self.job] if name == "bent" else chosen)
            count = room[entries] - (work[entries] - 1 if name == "start" else 0)
            spans[name] = Spans.of(entries, ready[entries], count)
        self.start, self.whole, self.share, self.pieces, self.bent = map(spans.__getitem__, kinds)
        self.drop = 0
        self.move = case.J
        size = case.J + len(case.ms)
        chosen = np.concatenate((self.whole.entries, self.share.entries))
        self.site = np.full(len(case.es), -1)
        self.site[chosen] = size + np.arange(len(chosen))
        size += len(chosen)
        self.first: dict[str, int] = {}
        for name, span in self.spans:
            self.first[name] = size
            size += len(span.slot)
        self.size = size

    @property
    def spans(self) -> tuple[tuple[str, Spans], ...]:
        """Families of columns with a slot, in their order, and where each of their columns belongs."""
        return (
            ("start", self.start), ("whole", self.whole), ("full", self.share), ("eco", self.share), ("begin", self.pieces),
            ("done", self.bent),
        )  # fmt: skip

    def solution(self, values: FloatArray) -> Solution:
        """The decisions in ``values``, whole numbers rounded."""
        case = self.case
        choice = np.full(case.J, -1)
        runs: list[tuple[IntArray, IntArray, FloatArray, FloatArray]] = []
        begun = np.flatnonzero(self._values(values, "start", self.start) > 0.5)
        entry, begin = self.start.entry[begun], self.start.slot[begun]
        choice[self.job[entry]] = entry
        length = case.p[self.job[entry]]
        job = np.repeat(self.job[entry], length)
        slot = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length) + np.repeat(begin, length)
        runs.append((job, slot, np.ones(len(job)), np.zeros(len(job))))
        taken = self.site >= 0
        taken[taken] = values[self.site[taken]] > 0.5
        choice[self.job[taken]] = np.flatnonzero(taken)
        used = taken[self.whole.entry] & (self._values(values, "whole", self.whole) > 0.5)
        job, slot = self.job[self.whole.entry[used]], self.whole.slot[used]
        runs.append((job, slot, np.ones(len(job)), np.zeros(len(job))))
        full, eco = (np.clip(self._values(values, name, self.share), 0.0, 1.0) for name in ("full", "eco"))
        used = taken[self.share.entry] & (full + eco > SHARE_TOLERANCE)
        runs.append((self.job[self.share.entry[used]], self.share.slot[used], full[used], eco[used]))
        jobs, slots = (np.concatenate([run[k] for run in runs]) for k in (0, 1))
        fulls, ecos = (np.concatenate([run[k] for run in runs]) for k in (2, 3))
        order = np.lexsort((slots, jobs))
        pointer = np.concatenate(([0], np.cumsum(np.bincount(jobs, minlength=case.J))))
        return Solution(choice, pointer, slots[order], fulls[order], ecos[order])

    def _values(self, values: FloatArray, name: str, span: Spans) -> FloatArray:
        return values[self.first[name] : self.first[name] + len(span.slot)]
