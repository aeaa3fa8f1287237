"""A plan under construction in compiled code: who runs where, what follows from it, and single jobs put in and taken out.

A site pays for its highest import, a cell what ``cells`` says. ``Jobs`` never change while jobs are moved, ``State`` always.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import Case, IntArray
from scheduler.optimiser.large.cells import cell
from scheduler.optimiser.large.compiled import FAST, MAKES_ROOM, WITHIN
from scheduler.optimiser.large.links import Links, links_of
from scheduler.optimiser.large.terms import Terms, terms_of


class Jobs(NamedTuple):
    """Jobs and their entries (arrays of the case), and where each job's slots are stored.

    Job ``j`` needs ``need[q]`` of resource ``row[q]`` for ``q`` in ``row_ptr[j]:row_ptr[j + 1]``, and none of the others: most jobs need
    few of many rows. ``links``: its workflow.
    """

    ep: IntArray
    es: IntArray
    ec: FloatArray
    ea: IntArray
    em: IntArray
    typ: IntArray
    p: IntArray
    dl: IntArray
    soft: IntArray
    wt: FloatArray
    res: FloatArray
    pw: FloatArray
    entry_kw: FloatArray
    drop: FloatArray
    speed2: FloatArray
    power2: FloatArray
    mc: FloatArray
    mgb: FloatArray
    ms: IntArray
    gbmax: FloatArray
    room: IntArray
    row_ptr: IntArray
    row: IntArray
    need: FloatArray
    links: Links
    terms: Terms


class State(NamedTuple):
    """Decisions and what follows from them; ``cost`` is that of a cell's power alone; ``total`` holds one number, EUR."""

    choice: IntArray
    length: IntArray
    slot: IntArray
    kw: FloatArray
    part: FloatArray
    own: FloatArray
    load: FloatArray
    use: FloatArray
    cost: FloatArray
    imported: FloatArray
    peak: FloatArray
    copies: IntArray
    volume: FloatArray
    members: IntArray
    place: IntArray
    number: IntArray
    total: FloatArray


def jobs_of(case: Case) -> Jobs:
    """The jobs of a case with room for their slots."""
    most = np.where(case.typ == 2, np.minimum(case.dl - case.rel, np.ceil(case.p / np.minimum(case.speed2, 1.0)) + 2), case.p)
    shortest = np.maximum(1, np.maximum(most, np.where(case.typ == 2, np.minimum(case.dl - case.rel, 4 * case.p + 4), 0)))
    room = np.concatenate(([0], np.cumsum(shortest))).astype(np.int64)
    needs = case.res > 0.0
    row_ptr = np.concatenate(([0], np.cumsum(needs.sum(axis=1)))).astype(np.int64)
    return Jobs(
        case.ep, case.es, case.ec, case.ea, case.em, case.typ, case.p, case.dl, case.soft, case.wt, case.res, case.pw, case.entry_kw(),
        case.drop,
        case.speed2, case.power2, case.mc, case.mgb, case.ms, case.gbmax, room, row_ptr,
        np.nonzero(needs)[1].astype(np.int64), case.res[needs], links_of(case), terms_of(case),
    )  # fmt: skip


@njit(**WITHIN)
def overload(grid, state, s, t):
    """Price of capacity in a cell (EUR); 0 where capacity is hard.

    For each resource ``(max(0, mu + stiff (use - cap))^2 - mu^2) / (2 stiff)``.
    """
    total = 0.0
    for r in range(grid.cap.shape[0]):
        stiff = grid.stiff[r, s]
        if stiff > 0.0:
            mu = grid.mu[r, s, t]
            price = mu + stiff * (state.use[r, s, t] - grid.cap[r, s, t])
            if price > 0.0:
                total += (price * price - mu * mu) / (2.0 * stiff)
            else:
                total -= mu * mu / (2.0 * stiff)
    return total


@njit(**WITHIN)
def site_peak(grid, state, s):
    """Import of site ``s`` that is paid as its peak, kW."""
    peak = grid.pk0[s]
    for t in range(state.load.shape[1]):
        if state.imported[s, t] > peak:
            peak = state.imported[s, t]
    return peak


@njit(**FAST)
def recount(jobs, grid, state):
    """Everything that follows from the decisions, afresh."""
    sites, slots = state.load.shape
    state.load[:] = 0.0
    state.use[:] = 0.0
    state.copies[:] = 0
    state.volume[:] = 0.0
    state.number[:] = 0
    total = 0.0
    for j in range(len(state.choice)):
        e = state.choice[j]
        if e < 0:
            state.own[j] = jobs.drop[j]
            total += jobs.drop[j]
            continue
        s = jobs.es[e]
        for i in range(jobs.room[j], jobs.room[j] + state.length[j]):
            t = state.slot[i]
            state.load[s, t] += jobs.entry_kw[e] * state.kw[i]
            for q in range(jobs.row_ptr[j], jobs.row_ptr[j + 1]):
                state.use[jobs.row[q], s, t] += jobs.need[q] * state.part[i]
        total += state.own[j]
        state.members[s, state.number[s]] = j
        state.place[j] = state.number[s]
        state.number[s] += 1
        m = jobs.em[e]
        if m >= 0:
            if state.copies[m] == 0:
                total += jobs.mc[m]
                state.volume[s] += jobs.mgb[m]
            state.copies[m] += 1
    for s in range(sites):
        for t in range(slots):
            state.cost[s, t], state.imported[s, t] = cell(grid, s, t, state.load[s, t])
            total += state.cost[s, t] + overload(grid, state, s, t)
        state.peak[s] = site_peak(grid, state, s)
        total += grid.dc[s] * (state.peak[s] - grid.pk0[s])
    state.total[0] = total


@njit(**WITHIN)
def _touch(jobs, grid, state, j, sign):
    """Add (sign 1) or take away (-1) the load of job ``j``; peaks are left to the caller."""
    e = state.choice[j]
    s, power = jobs.es[e], jobs.entry_kw[e]
    load, cost, slot, part_of = state.load, state.cost, state.slot, state.part
    rho, lam, target, imported = grid.rho[s], grid.lam, grid.target, state.imported
    at, end = jobs.room[j], jobs.room[j] + state.length[j]
    fixed, pue, base, width, value, imports, steps = (
        grid.fixed, grid.pue, grid.base, grid.width, grid.value, grid.imports, grid.steps,
    )  # fmt: skip
    change = 0.0
    for q in range(jobs.row_ptr[j], jobs.row_ptr[j + 1]):
        r, need = jobs.row[q], sign * jobs.need[q]
        use, stiff = state.use[r, s], grid.stiff[r, s]
        if stiff <= 0.0:
            for i in range(at, end):
                use[slot[i]] += need * part_of[i]
            continue
        cap, mu, half = grid.cap[r, s], grid.mu[r, s], 1.0 / (2.0 * stiff)
        for i in range(at, end):
            t = slot[i]
            before = mu[t] + stiff * (use[t] - cap[t])
            use[t] += need * part_of[i]
            after = mu[t] + stiff * (use[t] - cap[t])
            if after > 0.0:
                change += after * after * half
            if before > 0.0:
                change -= before * before * half
    for i in range(at, end):
        t = slot[i]
        load[s, t] += sign * power * state.kw[i]
        new, bought = 0.0, 0.0
        if rho > 0.0:
            off = load[s, t] - target[s, t]
            new += lam[s, t] * load[s, t] + 0.5 * rho * off * off
        else:
            left = fixed[s, t] + pue[s, t] * load[s, t] - base[s, t]
            for q in range(steps[s, t]):
                if left <= 0.0:
                    break
                part = min(left, width[s, t, q])
                new += part * value[s, t, q]
                bought += part * imports[s, t, q]
                left -= part
        change += new - cost[s, t]
        cost[s, t] = new
        imported[s, t] = bought
    state.total[0] += change
    m = jobs.em[e]
    if m >= 0:
        if sign > 0:
            if state.copies[m] == 0:
                state.total[0] += jobs.mc[m]
                state.volume[s] += jobs.mgb[m]
            state.copies[m] += 1
        else:
            state.copies[m] -= 1
            if state.copies[m] == 0:
                state.total[0] -= jobs.mc[m]
                state.volume[s] -= jobs.mgb[m]


@njit(**FAST)
def take(jobs, grid, state, j):
    """Take a running job out: it is dropped until it is put in again."""
    e = state.choice[j]
    s = jobs.es[e]
    _touch(jobs, grid, state, j, -1.0)
    last = state.members[s, state.number[s] - 1]
    state.members[s, state.place[j]] = last
    state.place[last] = state.place[j]
    state.number[s] -= 1
    state.total[0] += jobs.drop[j] - state.own[j]
    state.own[j] = jobs.drop[j]
    state.choice[j] = -1


@njit(**FAST)
def put(jobs, grid, state, j, e, own):
    """Put a job in at entry ``e`` with the slots that its room holds; ``own`` is its fixed cost, lateness and restarts."""
    state.choice[j] = e
    s = jobs.es[e]
    _touch(jobs, grid, state, j, 1.0)
    state.members[s, state.number[s]] = j
    state.place[j] = state.number[s]
    state.number[s] += 1
    state.total[0] += own - state.own[j]
    state.own[j] = own


@njit(**MAKES_ROOM)
def room_for_places(jobs, count):
    """Arrays that hold the places of ``count`` jobs: slots, power shares, use shares, ``[count, widest room]`` each."""
    width = 1
    for j in range(len(jobs.room) - 1):
        width = max(width, jobs.room[j + 1] - jobs.room[j])
    return np.empty((count, width), dtype=np.int64), np.empty((count, width)), np.empty((count, width))


@njit(**WITHIN)
def keep(jobs, state, j, slot, kw, part):
    """Copy the place of job ``j`` into one row of ``room_for_places``."""
    at = jobs.room[j]
    for q in range(state.length[j]):
        slot[q], kw[q], part[q] = state.slot[at + q], state.kw[at + q], state.part[at + q]


@njit(**WITHIN)
def put_back(jobs, grid, state, j, entry, own, length, slot, kw, part):
    """Put job ``j``, which is out, where ``keep`` found it; peaks are left to the caller."""
    at = jobs.room[j]
    for q in range(length):
        state.slot[at + q], state.kw[at + q], state.part[at + q] = slot[q], kw[q], part[q]
    state.length[j] = length
    put(jobs, grid, state, j, entry, own)


@njit(**WITHIN)
def drop_followers(jobs, grid, state, j, touched):
    """Take out all jobs of the plan that come after ``j``, which is out; marks the sites whose peaks are left to the caller."""
    links = jobs.links
    for q in range(links.all_after_ptr[j], links.all_after_ptr[j + 1]):
        n = links.all_after[q]
        if state.choice[n] >= 0:
            touched[jobs.es[state.choice[n]]] = True
            take(jobs, grid, state, n)


@njit(**FAST)
def settle_peaks(grid, state, touched):
    """Peaks of the touched sites and their price in the total."""
    for s in range(len(touched)):
        if touched[s]:
            now = site_peak(grid, state, s)
            state.total[0] += grid.dc[s] * (now - state.peak[s])
            state.peak[s] = now


def new_state(case: Case, jobs: Jobs) -> State:
    """Everything dropped."""
    size, grid = int(jobs.room[-1]), (case.S, case.T)
    return State(
        choice=np.full(case.J, -1, dtype=np.int64),
        length=np.zeros(case.J, dtype=np.int64),
        slot=np.zeros(size, dtype=np.int64),
        kw=np.zeros(size),
        part=np.zeros(size),
        own=case.drop.copy(),
        load=np.zeros(grid),
        use=np.zeros_like(case.cap),
        cost=np.zeros(grid),
        imported=np.zeros(grid),
        peak=case.pk0.copy(),
        copies=np.zeros(len(case.mc), dtype=np.int64),
        volume=np.zeros(case.S),
        members=np.zeros((case.S, case.J), dtype=np.int64),
        place=np.zeros(case.J, dtype=np.int64),
        number=np.zeros(case.S, dtype=np.int64),
        total=np.zeros(1),
    )
