"""Decisions of jobs in the form of solution files, and what follows from them."""

from __future__ import annotations

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import MALLEABLE, PIECED, RIGID, Case, IntArray, Solution


def owner_of(case: Case, found: Solution) -> IntArray:
    """Job of each slot that is run."""
    owner: IntArray = np.repeat(np.arange(case.J), np.diff(found.run_ptr))
    return owner


def solution_of(
    case: Case, room: IntArray, choice: IntArray, length: IntArray, slot: IntArray, kw: FloatArray, part: FloatArray
) -> Solution:
    """Decisions in the form of solution files: shares of power and use become shares of the two modes."""
    count = np.where(choice >= 0, length, 0)
    ptr = np.concatenate(([0], np.cumsum(count))).astype(np.int64)
    owner = np.repeat(np.arange(case.J), count)
    index = room[owner] + np.arange(ptr[-1]) - ptr[owner]
    full, use = kw[index], part[index]
    saving = 1.0 - case.power2[owner]
    both = (case.typ[owner] == MALLEABLE) & (saving > 1e-12)
    second = np.where(both, (use - full) / np.where(saving > 1e-12, saving, 1.0), 0.0)
    second = np.where(np.abs(second) < 1e-12, 0.0, second)
    return Solution(choice.copy(), ptr, slot[index], use - second, second)


def own_costs(case: Case, found: Solution) -> FloatArray:
    """Fixed cost, lateness and restarts of each job that runs, EUR, ``[J]``; 0 for the others."""
    owner = owner_of(case, found)
    late = np.bincount(owner, (found.run_full + found.run_eco) * (found.run_slot >= case.soft[owner]), case.J)
    last = np.full(case.J, -1, dtype=np.int64)
    np.maximum.at(last, owner, found.run_slot)
    late = np.where(case.typ == RIGID, np.maximum(0, last + 1 - case.soft), late)
    runs = found.choice >= 0
    fixed = case.ec[np.where(runs, found.choice, 0)] if len(case.ec) else np.zeros(case.J)
    own: FloatArray = np.where(runs, fixed + late * case.wt + _restart_costs(case, found, owner), 0.0)
    return own


def _restart_costs(case: Case, found: Solution, owner: IntArray) -> FloatArray | float:
    """What pieces after the first cost each job, EUR, ``[J]``."""
    if not (case.typ == PIECED).any():
        return 0.0
    again = (owner[1:] == owner[:-1]) & (np.diff(found.run_slot) > 1)
    number = np.bincount(owner[1:][again], minlength=case.J).astype(np.float64)
    restarts: FloatArray = number * np.where(case.typ == PIECED, case.restart, 0.0)
    return restarts


def load_and_use(case: Case, found: Solution) -> tuple[FloatArray, FloatArray]:
    """IT power of the jobs, kW, ``[S, T]``, and their use of each resource, ``[R, S, T]``."""
    owner = owner_of(case, found)
    site = case.es[found.choice[owner]]
    load, use = np.zeros((case.S, case.T)), np.zeros_like(case.cap)
    np.add.at(
        load, (site, found.run_slot), case.entry_kw()[found.choice[owner]] * (found.run_full + case.power2[owner] * found.run_eco)
    )
    for r in range(len(use)):
        np.add.at(use[r], (site, found.run_slot), case.res[owner, r] * (found.run_full + found.run_eco))
    return load, use
