"""A plan under construction in compiled code: who runs where, what every cell costs, and single insertions and removals.

Costs are exact for a given value of stored energy within the room that the battery is given: a cell (site and slot) costs what its steps of supply cost at its demand, a
site pays for its highest import. ``Grid`` does not change while jobs are moved, ``Jobs`` never, ``State`` always.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import Case, IntArray
from scheduler.optimiser.large.prox import STEPS, supply_steps
from scheduler.optimiser.large.respond import MALLEABLE, respond

PEAK_SHARE = 0.4
"""Share of the peak charge that one slot above the peak is thought to cost when a place is chosen (several may share it)."""

EPS = 1e-9

LEAST_SHARE = 1e-3
"""A malleable job does not begin a slot that has less room than this share of it."""


class Jobs(NamedTuple):
    """Jobs and their entries (arrays of the case), and where each job's slots are stored."""

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
    drop: FloatArray
    speed2: FloatArray
    power2: FloatArray
    mc: FloatArray
    mgb: FloatArray
    ms: IntArray
    gbmax: FloatArray
    room: IntArray


class Grid(NamedTuple):
    """Capacity, and the steps of supply of every cell in EUR per kW and slot, for one battery schedule."""

    cap: FloatArray
    pue: FloatArray
    fixed: FloatArray
    base: FloatArray
    width: FloatArray
    value: FloatArray
    imports: FloatArray
    steps: IntArray
    dc: FloatArray
    pk0: FloatArray
    over: FloatArray
    mu: FloatArray
    lam: FloatArray
    target: FloatArray
    rho: FloatArray
    stiff: FloatArray


class Flex(NamedTuple):
    """What the battery of each cell may do while jobs are moved.

    ``least`` and ``most`` bound its power (charging positive, kW), ``theta`` is the value of stored energy, EUR/kWh, ``[S, T]`` each.
    """

    least: FloatArray
    most: FloatArray
    theta: FloatArray


class State(NamedTuple):
    """Decisions and what follows from them; ``total`` holds one number, EUR."""

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
    return Jobs(
        case.ep, case.es, case.ec, case.ea, case.em, case.typ, case.p, case.dl, case.soft, case.wt, case.res, case.pw, case.drop,
        case.speed2, case.power2, case.mc, case.mgb, case.ms, case.gbmax, room,
    )  # fmt: skip


def grid_of(case: Case, flex: Flex, limit: FloatArray, penalty: FloatArray, mu: FloatArray, adder: FloatArray) -> Grid:
    """Steps of supply of every cell, with a battery that may leave its schedule a little at the value of stored energy."""
    shape = (case.S, case.T)
    width, value = np.zeros((*shape, STEPS + 2)), np.zeros((*shape, STEPS + 2))
    imports, steps, base = np.zeros((*shape, STEPS + 2)), np.zeros(shape, dtype=np.int64), np.zeros(shape)
    _all_steps(
        case.dt, case.ren, case.gmax, case.emax, case.pi + adder / case.dt, case.po + adder / case.dt, limit, penalty, case.unserved,
        flex.least, flex.most, flex.theta, case.eta_c, case.eta_d, case.wear, width, value, imports, steps, base,
    )  # fmt: skip
    return Grid(
        case.cap, case.pue, case.a, base, width, value, imports, steps, case.dc, case.pk0, PEAK_SHARE * case.dc, mu,
        np.zeros(shape), np.zeros(shape), np.zeros(case.S), np.zeros(case.cap.shape[:2]),
    )  # fmt: skip


def flexible(case: Case, battery: FloatArray, theta: FloatArray, part: float) -> Flex:
    """A battery that may move by ``part`` of its power around ``battery`` (charging positive, kW, ``[S, T]``)."""
    least = np.maximum(-case.Pd[:, None], battery - part * case.Pd[:, None])
    most = np.minimum(case.Pc[:, None], battery + part * case.Pc[:, None])
    has = (case.E > 0)[:, None]
    return Flex(np.where(has, least, 0.0), np.where(has, np.maximum(least, most), 0.0), theta)


@njit(cache=True, nogil=True)
def _step_in(n, width, value, imports, w, v):
    """Insert a step by its value; returns the new number of steps."""
    if w <= 0.0:
        return n
    k = n - 1
    while k >= 0 and value[k] > v:
        width[k + 1], value[k + 1], imports[k + 1] = width[k], value[k], imports[k]
        k -= 1
    width[k + 1], value[k + 1], imports[k + 1] = w, v, 0.0
    return n + 1


@njit(cache=True, nogil=True)
def _all_steps(
    dt, ren, gmax, emax, pi, po, limit, penalty, unserved, least, most, theta, eta_c, eta_d, wear, width, value, imports, steps, base
):  # fmt: skip
    for s in range(ren.shape[0]):
        for t in range(ren.shape[1]):
            n, base[s, t] = supply_steps(
                dt, ren[s, t], gmax[s, t], emax[s, t], pi[s, t], po[s, t], limit[s, t], penalty[s, t], unserved[s], 0.0, np.inf,
                width[s, t], value[s, t],
            )  # fmt: skip
            for i in range(n):
                v = value[s, t, i]
                imports[s, t, i] = 1.0 if (v == pi[s, t] or v == pi[s, t] + penalty[s, t]) and v != unserved[s] else 0.0
            low, high = least[s, t], most[s, t]
            if high > low or high != 0.0:
                base[s, t] -= high
                buy = theta[s, t] * eta_c[s] - wear[s] / 2.0
                sell = max(buy, theta[s, t] / eta_d[s] + wear[s] / 2.0)
                n = _step_in(n, width[s, t], value[s, t], imports[s, t], max(0.0, high) - max(0.0, low), buy)
                n = _step_in(n, width[s, t], value[s, t], imports[s, t], min(0.0, high) - min(0.0, low), sell)
            steps[s, t] = n
            for i in range(n):
                value[s, t, i] *= dt


@njit(cache=True, nogil=True)
def cell(grid, s, t, load):
    """Cost (EUR, up to a constant) and import (kW) of a cell at an IT load."""
    if grid.rho[s] > 0.0:
        off = load - grid.target[s, t]
        return grid.lam[s, t] * load + 0.5 * grid.rho[s] * off * off, 0.0
    left = grid.fixed[s, t] + grid.pue[s, t] * load - grid.base[s, t]
    cost, bought = 0.0, 0.0
    for i in range(grid.steps[s, t]):
        if left <= 0.0:
            break
        take = min(left, grid.width[s, t, i])
        cost += take * grid.value[s, t, i]
        bought += take * grid.imports[s, t, i]
        left -= take
    return cost, bought


@njit(cache=True, nogil=True)
def overload(grid, state, jobs, j, part, s, t):
    """Price of capacity in a cell (EUR) with ``part`` of job ``j`` more on it; 0 where capacity is hard.

    For each resource ``(max(0, mu + stiff (use - cap))^2 - mu^2) / (2 stiff)``.
    """
    total = 0.0
    for r in range(grid.cap.shape[0]):
        stiff = grid.stiff[r, s]
        if stiff > 0.0:
            use = state.use[r, s, t]
            if part > 0.0:
                use += part * jobs.res[j, r]
            mu = grid.mu[r, s, t]
            price = mu + stiff * (use - grid.cap[r, s, t])
            if price > 0.0:
                total += (price * price - mu * mu) / (2.0 * stiff)
            else:
                total -= mu * mu / (2.0 * stiff)
    return total


@njit(cache=True, nogil=True)
def site_peak(grid, state, s):
    """Import of site ``s`` that is paid as its peak, kW."""
    peak = grid.pk0[s]
    for t in range(state.load.shape[1]):
        if state.imported[s, t] > peak:
            peak = state.imported[s, t]
    return peak


@njit(cache=True, nogil=True)
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
            state.load[s, t] += jobs.pw[j] * state.kw[i]
            for r in range(grid.cap.shape[0]):
                state.use[r, s, t] += jobs.res[j, r] * state.part[i]
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
            state.cost[s, t] += overload(grid, state, jobs, 0, 0.0, s, t)
            total += state.cost[s, t]
        state.peak[s] = site_peak(grid, state, s)
        total += grid.dc[s] * (state.peak[s] - grid.pk0[s])
    state.total[0] = total


@njit(cache=True, nogil=True)
def _touch(jobs, grid, state, j, sign):
    """Add (sign 1) or take away (-1) the load of job ``j``; peaks are left to the caller."""
    e = state.choice[j]
    s = jobs.es[e]
    cap, use, mu_all, stiff_all, load, cost = grid.cap, state.use, grid.mu, grid.stiff, state.load, state.cost
    rho, lam, target, imported = grid.rho[s], grid.lam, grid.target, state.imported
    fixed, pue, base, width, value, imports, steps = (
        grid.fixed, grid.pue, grid.base, grid.width, grid.value, grid.imports, grid.steps,
    )  # fmt: skip
    change = 0.0
    for i in range(jobs.room[j], jobs.room[j] + state.length[j]):
        t = state.slot[i]
        load[s, t] += sign * jobs.pw[j] * state.kw[i]
        new, bought = 0.0, 0.0
        for r in range(cap.shape[0]):
            use[r, s, t] += sign * jobs.res[j, r] * state.part[i]
            stiff = stiff_all[r, s]
            if stiff > 0.0:
                mu = mu_all[r, s, t]
                price = mu + stiff * (use[r, s, t] - cap[r, s, t])
                new -= mu * mu / (2.0 * stiff)
                if price > 0.0:
                    new += price * price / (2.0 * stiff)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def put(jobs, grid, state, j, e, own):
    """Put a job in at entry ``e`` with the slots that its room holds; ``own`` is its fixed cost and lateness."""
    state.choice[j] = e
    s = jobs.es[e]
    _touch(jobs, grid, state, j, 1.0)
    state.members[s, state.number[s]] = j
    state.place[j] = state.number[s]
    state.number[s] += 1
    state.total[0] += own - state.own[j]
    state.own[j] = own


@njit(cache=True, nogil=True)
def settle_peaks(grid, state, touched):
    """Peaks of the touched sites and their price in the total."""
    for s in range(len(touched)):
        if touched[s]:
            now = site_peak(grid, state, s)
            state.total[0] += grid.dc[s] * (now - state.peak[s])
            state.peak[s] = now


@njit(cache=True, nogil=True)
def insert(jobs, grid, state, j, guide, noise, opened, scratch):
    """Put a dropped job where it costs least, if that is less than dropping it; returns the site or -1.

    Args:
        guide: weight of capacity prices in the choice (they are not paid).
        opened: copies that count as bought already when ``opened[m]`` is 1, and as impossible when -1.
        noise: relative noise on the cost of every slot and entry.
        scratch: eight arrays of twice the longest window, real, and one of whole numbers.
    """
    reals, order = scratch
    share_kw, share_use, best_kw, best_use = reals[0], reals[1], reals[2], reals[3]
    kw_price, use_price, values, limit = reals[4], reals[5], reals[6], reals[7]
    best, best_entry, best_own, best_length = jobs.drop[j], -1, 0.0, 0
    kind, pw = jobs.typ[j], jobs.pw[j]
    resources = grid.cap.shape[0]
    needs = jobs.res[j]
    cap, use, mu_all, stiff_all, grid_rho = grid.cap, state.use, grid.mu, grid.stiff, grid.rho
    lam, target, load, imported = grid.lam, grid.target, state.load, state.imported
    fixed, pue, base, width, value, imports, steps = (
        grid.fixed, grid.pue, grid.base, grid.width, grid.value, grid.imports, grid.steps,
    )  # fmt: skip
    for e in range(jobs.ep[j], jobs.ep[j + 1]):
        s, t0, m = jobs.es[e], jobs.ea[e], jobs.em[e]
        length = jobs.dl[j] - t0
        if length <= 0:
            continue
        extra = jobs.ec[e]
        if m >= 0 and state.copies[m] == 0:
            if state.volume[s] + jobs.mgb[m] > jobs.gbmax[s] + EPS or opened[m] < 0:
                continue
            if opened[m] == 0:
                extra += jobs.mc[m]
        if extra >= best:
            continue
        rho, soft_capacity = grid_rho[s], stiff_all[0, s] > 0.0
        pue_pw = pw
        for i in range(length):
            t = t0 + i
            scarce, extra_cost, most = 0.0, 0.0, 1.0
            for r in range(resources):
                need = needs[r]
                if need > 0.0:
                    mu = mu_all[r, s, t]
                    if soft_capacity:
                        if need > cap[r, s, t] + EPS:
                            most = min(most, cap[r, s, t] / need)
                            if kind != MALLEABLE:
                                break
                        stiff = stiff_all[r, s]
                        before = mu + stiff * (use[r, s, t] - cap[r, s, t])
                        after = before + stiff * need
                        if after > 0.0:
                            extra_cost += after * after / (2.0 * stiff)
                            if before > 0.0:
                                extra_cost -= before * before / (2.0 * stiff)
                    else:
                        if use[r, s, t] + need > cap[r, s, t] + EPS:
                            most = min(most, (cap[r, s, t] - use[r, s, t]) / need)
                            if kind != MALLEABLE:
                                break
                        scarce += need * mu
            limit[i] = most
            if most < 1.0 and (kind != MALLEABLE or most < LEAST_SHARE):
                use_price[i] = np.inf
                kw_price[i] = 0.0
                continue
            if rho > 0.0:
                cost = pw * (lam[s, t] + rho * (load[s, t] - target[s, t] + 0.5 * pw))
            else:
                left = fixed[s, t] + pue[s, t] * load[s, t] - base[s, t]
                more = pue[s, t] * pue_pw
                cost, bought = 0.0, imported[s, t]
                for q in range(steps[s, t]):
                    w = width[s, t, q]
                    if left >= w:
                        left -= w
                        continue
                    take_kw = min(more, w - max(0.0, left))
                    if left < 0.0:
                        more = max(0.0, more + left)
                        take_kw = min(more, w)
                    left = 0.0
                    cost += take_kw * value[s, t, q]
                    bought += take_kw * imports[s, t, q]
                    more -= take_kw
                    if more <= 0.0:
                        break
                above = bought - state.peak[s]
                if above > 0.0:
                    cost += above * grid.over[s]
            cost += extra_cost
            if noise > 0.0:
                cost *= 1.0 + noise * (np.random.random() - 0.5)
            kw_price[i] = cost
            use_price[i] = guide * scarce
        found, late = respond(
            kind, kw_price, use_price, limit, length, t0, jobs.p[j], jobs.soft[j], jobs.wt[j], jobs.speed2[j], jobs.power2[j],
            share_kw, share_use, values, order,
        )  # fmt: skip
        found += extra
        if noise > 0.0:
            found *= 1.0 + 0.3 * noise * (np.random.random() - 0.5)
        if found < best - 1e-12:
            count = 0
            for i in range(length):
                if share_use[i] > 0.0:
                    count += 1
            if count <= jobs.room[j + 1] - jobs.room[j]:
                best, best_entry, best_own, best_length = found, e, late + jobs.ec[e], length
                share_kw, best_kw = best_kw, share_kw
                share_use, best_use = best_use, share_use
    if best_entry < 0:
        return -1
    at = jobs.room[j]
    for i in range(best_length):
        if best_use[i] > 0.0:
            state.slot[at] = jobs.ea[best_entry] + i
            state.kw[at] = best_kw[i]
            state.part[at] = best_use[i]
            at += 1
    state.length[j] = at - jobs.room[j]
    put(jobs, grid, state, j, best_entry, best_own)
    return jobs.es[best_entry]


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
