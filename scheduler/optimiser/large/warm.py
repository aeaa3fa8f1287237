"""A warm start: what an earlier solve knows, in a form that outlives it.

Prices, the answer of the energy side and the places of the jobs by name are enough. They can be shifted when the horizon has
moved on, kept in a file, and laid on another case with the same sites, slots and resources: its jobs may be others. A job of the
same name keeps its place when the place is still one that it may have; whether the plan as a whole still fits is left to the
search (``replan``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import MALLEABLE, PIECED, RIGID, Case, IntArray, Solution
from scheduler.optimiser.large.curves import work_of

if TYPE_CHECKING:
    from scheduler.optimiser.large.dual import Dual

DAY_H = 24.0
"""Prices of slots that the horizon gains are those of a day before, where it is as long as that."""

WORK_TOLERANCE = 1e-7
"""Slots of work that a malleable job may lack in a place that is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Warm:
    """What an earlier solve knows.

    Attributes:
        dt: length of a slot, hours.
        names: name of each job, ``[J]``.
        lam: prices of load, EUR per kW and slot, ``[S, T]``; mu: of capacity, EUR per unit and slot, ``[R, S, T]``, not
            negative; nu: of the volume of copies, EUR per GB, ``[S]``; adder: of feeders, EUR per kW and slot, ``[S, T]``;
            row_adder: what rows add to the price of import and to the worth of export, EUR per kW and slot, ``[2, S, T]`` (their
            own prices would mean nothing on a case with other rows).
        served: IT power that the energy side serves, kW, ``[S, T]``; peak: paid import, kW, ``[S]``.
        site: of each job, or -1 when it does not run, ``[J]``; entry: which of its entries, counted from its first, ``[J]``.
        run_ptr, run_slot, run_full, run_eco: when each job runs, as in ``Solution``.
    """

    dt: float
    names: tuple[str, ...]
    lam: FloatArray
    mu: FloatArray
    nu: FloatArray
    adder: FloatArray
    row_adder: FloatArray
    served: FloatArray
    peak: FloatArray
    site: IntArray
    run_ptr: IntArray
    run_slot: IntArray
    run_full: FloatArray
    run_eco: FloatArray

    @property
    def slots(self) -> int:
        """Number of slots."""
        return int(self.lam.shape[1])

    def fits(self, case: Case) -> bool:
        """True when ``case`` has the same sites, slots and resources."""
        return self.mu.shape == case.cap.shape and abs(self.dt - case.dt) < 1e-9

    def shifted(self, gone: int, slots: int | None = None) -> Warm:
        """The same for a horizon that begins ``gone`` slots later and has ``slots`` slots (as many as now when None).

        Prices of slots that are new are those of a day before, or of the last slot that is known. What a job has done in the
        slots that are gone is forgotten, so a job that has begun keeps the rest of its slots.

        Raises:
            ValueError: ``gone`` is negative, or nothing would be left.
        """
        slots = self.slots if slots is None else slots
        if gone < 0 or slots < 1:
            raise ValueError(f"a horizon cannot begin {gone} slots later and have {slots} slots")
        take = _columns(gone, slots, self.slots, max(1, round(DAY_H / self.dt)))
        owner = np.repeat(np.arange(len(self.names)), np.diff(self.run_ptr))
        slot = self.run_slot - gone
        kept = (slot >= 0) & (slot < slots)
        count = np.bincount(owner[kept], minlength=len(self.names))
        grids: dict[str, Any] = {
            name: np.ascontiguousarray(getattr(self, name)[..., take]) for name in ("lam", "mu", "adder", "row_adder", "served")
        }
        return replace(
            self,
            **grids,
            site=np.where(count > 0, self.site, -1),
            run_ptr=np.concatenate(([0], np.cumsum(count))).astype(np.int64),
            run_slot=slot[kept],
            run_full=self.run_full[kept],
            run_eco=self.run_eco[kept],
        )

    def placed(self, case: Case, names: tuple[str, ...]) -> Solution:
        """The places that the jobs of ``case`` (named ``names``) still may have; the others do not run.

        A place is kept when the job may run at the site, the slots lie in its window there, and they hold its work and no more
        (a malleable job may do more than its work) in pieces and pauses that are long enough. Capacity is not looked at.
        """
        known = {name: i for i, name in enumerate(self.names)}
        old = np.array([known.get(name, -1) for name in names], dtype=np.int64)
        entry = self._entries(case, old)
        count = np.where(entry >= 0, np.diff(self.run_ptr)[np.maximum(old, 0)], 0) if len(self.names) else np.zeros_like(old)
        owner, index = _spans(self.run_ptr[np.maximum(old, 0)], count)
        slot, full, eco = self.run_slot[index], self.run_full[index], self.run_eco[index]
        wrong = _misplaced(case, entry, count, owner, slot, full, eco)
        entry = np.where(wrong, -1, entry)
        kept = ~wrong[owner]
        count = np.where(wrong, 0, count)
        ptr = np.concatenate(([0], np.cumsum(count))).astype(np.int64)
        return Solution(entry, ptr, slot[kept], full[kept], eco[kept])

    def _entries(self, case: Case, old: IntArray) -> IntArray:
        """Cheapest entry of each job of ``case`` at the site where the job ``old`` runs, or -1."""
        site = np.where(old >= 0, self.site[np.maximum(old, 0)], -1) if len(self.names) else np.full(case.J, -1)
        owner = np.repeat(np.arange(case.J), np.diff(case.ep))
        here = np.flatnonzero((case.es == site[owner]) & (site[owner] >= 0))
        here = here[np.lexsort((-case.ec[here], owner[here]))]
        entry = np.full(case.J, -1, dtype=np.int64)
        entry[owner[here]] = here  # the last one written is the cheapest
        return entry


def warm_of(case: Case, dual: Dual, solution: Solution, names: tuple[str, ...] | None = None) -> Warm:
    """What a solve of ``case`` knows: its best prices and its plan.

    Args:
        case: the problem.
        dual: its price search.
        solution: the plan.
        names: of the jobs; their numbers when None.

    Raises:
        ValueError: not as many names as jobs, or two jobs have one name.
    """
    names = job_numbers(case) if names is None else names
    if len(names) != case.J or len(set(names)) != case.J:
        raise ValueError(f"{len(set(names))} names for {case.J} jobs")
    site = np.where(solution.choice >= 0, case.es[np.maximum(solution.choice, 0)], -1) if case.J else solution.choice
    return Warm(
        case.dt, names, dual.best[0].copy(), dual.best[1].copy(), dual.nu.copy(), dual.adder.copy(),
        case.rows.adders(dual.mean_row_price, case.S, case.T), dual.served.copy(), dual.peak.copy(), site, solution.run_ptr,
        solution.run_slot, solution.run_full, solution.run_eco,
    )  # fmt: skip


def job_numbers(case: Case) -> tuple[str, ...]:
    """Names of jobs that have none."""
    return tuple(map(str, range(case.J)))


def _columns(gone: int, slots: int, known: int, day: int) -> IntArray:
    """Which of the ``known`` slots stands for each slot of the new horizon."""
    at = np.arange(gone, gone + slots)
    late = at >= known
    if known >= day:
        at[late] -= day * np.ceil((at[late] - known + 1) / day).astype(np.int64)
    return np.minimum(at, known - 1)


def _spans(first: IntArray, count: IntArray) -> tuple[IntArray, IntArray]:
    """Owner and index of each member of the spans ``first[j]:first[j] + count[j]``."""
    owner = np.repeat(np.arange(len(count)), count)
    begin = np.concatenate(([0], np.cumsum(count)))[:-1]
    index: IntArray = first[owner] + np.arange(len(owner)) - begin[owner]
    return owner, index


def _misplaced(
    case: Case, entry: IntArray, count: IntArray, owner: IntArray, slot: IntArray, full: FloatArray, eco: FloatArray
) -> Any:
    """Jobs whose slots are not ones that they may have, boolean ``[J]``."""
    wrong = (entry < 0) | (count == 0)
    if not len(owner):
        return wrong
    outside = (slot < case.ea[np.maximum(entry[owner], 0)]) | (slot >= case.dl[owner])
    wrong |= np.bincount(owner, outside, case.J) > 0
    whole = case.typ != MALLEABLE
    wrong |= whole & (count != case.p)
    partial = (np.abs(full - 1.0) > WORK_TOLERANCE) | (eco != 0.0)
    wrong |= whole & (np.bincount(owner, partial, case.J) > 0)
    last = np.full(case.J, -1, dtype=np.int64)
    np.maximum.at(last, owner, slot)
    first = np.full(case.J, case.T, dtype=np.int64)
    np.minimum.at(first, owner, slot)
    wrong |= (case.typ == RIGID) & (last - first + 1 != case.p)
    wrong |= (case.typ == PIECED) & _too_short(case, owner, slot)
    done = np.bincount(owner, work_of(case, owner, full, eco), case.J)
    wrong |= (case.typ == MALLEABLE) & (done < case.p - WORK_TOLERANCE)
    return wrong


def _too_short(case: Case, owner: IntArray, slot: IntArray) -> Any:
    """Jobs with a piece or a pause (between slots of theirs, which ascend) below the least length, boolean ``[J]``."""
    begins = np.flatnonzero(np.append(True, (np.diff(owner) != 0) | (np.diff(slot) != 1)))
    piece, job = np.diff(np.append(begins, len(slot))), owner[begins]
    wrong = np.bincount(job, piece < case.least_run[job], case.J) > 0
    later = begins[1:][job[1:] == job[:-1]]
    pause = slot[later] - slot[later - 1] - 1
    return wrong | (np.bincount(owner[later], pause < case.least_gap[owner[later]], case.J) > 0)
