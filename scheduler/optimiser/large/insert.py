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
