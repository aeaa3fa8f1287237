"""Putting one job where it costs least, in compiled code."""

from __future__ import annotations

import numpy as np
from numba import njit

from scheduler.optimiser.large.respond import MALLEABLE, respond
from scheduler.optimiser.large.state import put

EPS = 1e-9

LEAST_SHARE = 1e-3
"""A malleable job does not begin a slot that has less room than this share of it."""


@njit(cache=True, nogil=True)
def _room(row_ptr, row, needs, j, cap_all, use_all, mu_all, stiff_all, s, t0, length, soft, limit, extra, scarce):
    """What capacity says of job ``j`` in the slots from ``t0`` on, row by row: only the rows that it needs, slots side by side.

    Fills ``limit`` (largest share of a slot that fits), ``extra`` (EUR of overload, where capacity is ``soft``) and ``scarce`` (EUR at
    the prices of capacity, where it is hard).
    """
    for i in range(length):
        limit[i], extra[i], scarce[i] = 1.0, 0.0, 0.0
    for q in range(row_ptr[j], row_ptr[j + 1]):
        r, need = row[q], needs[q]
        cap, use, mu = cap_all[r, s], use_all[r, s], mu_all[r, s]
        if soft:
            stiff = stiff_all[r, s]
            half = 1.0 / (2.0 * stiff)
            for i in range(length):
                t = t0 + i
                if need > cap[t] + EPS:
                    limit[i] = min(limit[i], cap[t] / need)
                before = mu[t] + stiff * (use[t] - cap[t])
                after = max(0.0, before + stiff * need)
                before = max(0.0, before)
                extra[i] += (after * after - before * before) * half
        else:
            for i in range(length):
                t = t0 + i
                left = cap[t] - use[t]
                if need > left + EPS:
                    limit[i] = min(limit[i], left / need)
                scarce[i] += need * mu[t]


@njit(cache=True, nogil=True)
def insert(jobs, grid, state, j, guide, noise, opened, scratch):
    """Put a dropped job where it costs least, if that is less than dropping it; returns the site or -1.

    Args:
        guide: weight of capacity prices in the choice (they are not paid).
        opened: copies that count as bought already when ``opened[m]`` is 1, and as impossible when -1.
        noise: relative noise on the cost of every slot and entry.
        scratch: nine arrays of twice the longest window, real, and one of whole numbers.
    """
    reals, order = scratch
    share_kw, share_use, best_kw, best_use = reals[0], reals[1], reals[2], reals[3]
    kw_price, use_price, values, limit, extra_cost = reals[4], reals[5], reals[6], reals[7], reals[8]
    best, best_entry, best_own, best_length = jobs.drop[j], -1, 0.0, 0
    kind = jobs.typ[j]
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
        rho, soft_capacity = grid.rho[s], grid.stiff[0, s] > 0.0
        pw = jobs.entry_kw[e]
        _room(
            jobs.row_ptr, jobs.row, jobs.need, j, grid.cap, state.use, grid.mu, grid.stiff, s, t0, length, soft_capacity, limit,
            extra_cost, use_price,
        )  # fmt: skip
        for i in range(length):
            t = t0 + i
            if limit[i] < 1.0 and (kind != MALLEABLE or limit[i] < LEAST_SHARE):
                use_price[i] = np.inf
                kw_price[i] = 0.0
                continue
            if rho > 0.0:
                cost = pw * (lam[s, t] + rho * (load[s, t] - target[s, t] + 0.5 * pw))
            else:
                left = fixed[s, t] + pue[s, t] * load[s, t] - base[s, t]
                more = pue[s, t] * pw
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
            spread = 1.0
            if noise > 0.0:
                spread += noise * (np.random.random() - 0.5)
            kw_price[i] = cost * spread
            use_price[i] = guide * use_price[i] + extra_cost[i] * spread
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
