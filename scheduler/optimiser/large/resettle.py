"""Every job once: out of its place and into the one that costs least now, in compiled code.

Ruin and recreate (``improve.anneal``) looks at jobs by chance; after a small change most jobs are right where they are, and one
pass over all of them finds the ones that are not.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from scheduler.optimiser.large.compiled import MAKES_ROOM
from scheduler.optimiser.large.insert import insert, scratch_of
from scheduler.optimiser.large.order import is_needed
from scheduler.optimiser.large.state import keep, put_back, recount, room_for_places, settle_peaks, take


@njit(**MAKES_ROOM)
def resettle(jobs, grid, state, order, guide, longest, gain):
    """Each job of ``order`` is taken out and put where it costs least, or back where it was unless that costs less.

    Args:
        jobs, grid, state: the plan; dropped jobs are tried too.
        order: jobs, in the order in which they are tried.
        guide: weight of capacity prices in the choice (they are not paid).
        longest: longest window.
        gain: what a job must save to leave its place, EUR; a dropped one always may.

    Returns:
        How many jobs have another place.
    """
    scratch = scratch_of(jobs, longest)
    opened = np.zeros(max(1, len(jobs.mc)), dtype=np.int64)
    slot, kw, part = room_for_places(jobs, 1)
    touched = np.zeros(len(grid.dc), dtype=np.bool_)
    moved = 0
    for j in order:
        before, entry, own, n = state.total[0], state.choice[j], state.own[j], state.length[j]
        s = -1
        peak = 0.0
        if entry >= 0:
            s = jobs.es[entry]
            peak = state.peak[s]
            keep(jobs, state, j, slot[0], kw[0], part[0])
            take(jobs, grid, state, j)
            touched[s] = True
            settle_peaks(grid, state, touched)
        to = insert(jobs, grid, state, j, guide, 0.0, opened, scratch)
        peak_to = 0.0
        if to >= 0:
            peak_to = state.peak[to]
            touched[to] = True
            settle_peaks(grid, state, touched)
            touched[to] = False
        if s >= 0:
            touched[s] = False
        least = 1e-9
        if entry >= 0:
            least += gain
        if state.total[0] < before - least and (to >= 0 or not is_needed(jobs, state, j)):
            moved += 1
            continue
        if entry < 0:
            if to >= 0:
                take(jobs, grid, state, j)
                state.peak[to] = peak_to
            state.total[0] = before
            continue
        if to >= 0:
            take(jobs, grid, state, j)
            state.peak[to] = peak_to
        put_back(jobs, grid, state, j, entry, own, n, slot[0], kw[0], part[0])
        state.peak[s] = peak
        state.total[0] = before
    recount(jobs, grid, state)
    return moved
