"""Putting one job where it costs least, in compiled code."""

from __future__ import annotations

import numpy as np
from numba import njit

from scheduler.optimiser.large.case import NOBODY
from scheduler.optimiser.large.compiled import FAST, MAKES_ROOM, WITHIN
from scheduler.optimiser.large.order import span_of
from scheduler.optimiser.large.pieces import tables_of
from scheduler.optimiser.large.respond import EPS, MALLEABLE, most_of, respond
from scheduler.optimiser.large.special import special
from scheduler.optimiser.large.state import put

LEAST_SHARE = 1e-3
"""A malleable job does not begin a slot that has less room than this share of it."""


FOR_OTHERS = 0.7
"""How often a job of a workflow is put where those that come after it still fit, for what all of them are worth."""

POOL = 4096
"""Random numbers that are drawn at once; noise on a window is a stretch of them."""


@njit(**MAKES_ROOM)
def scratch_of(jobs, longest):
    """Room that ``insert`` works in, for windows up to ``longest``: numbers, noise between -0.5 and 0.5, and tables of pieces."""
    return np.empty((10, 2 * longest + 2)), np.random.random(POOL + longest) - 0.5, tables_of(jobs.terms)


# Each of the small functions below is one loop over contiguous slots without branches or checks, which the compiler turns into
# instructions on many slots at once: slices instead of offsets, numpy's rules of division, conditions as values.


@njit(**WITHIN, error_model="numpy")
def _soft_row(cap, use, mu, stiff, need, extra):
    """Add the EUR of overload that ``need`` more of a row brings in each slot."""
    half, push = 1.0 / (2.0 * stiff), stiff * need
    for i in range(len(extra)):
        before = mu[i] + stiff * (use[i] - cap[i])
        after = before + push
        before = max(0.0, before)
        after = max(0.0, after)
        extra[i] += (after * after - before * before) * half


@njit(**WITHIN, error_model="numpy")
def _hard_row(cap, use, mu, need, limit, scarce):
    """Lower ``limit`` to what ``need`` of a row leaves of a slot, and add the EUR that it is worth."""
    inverse = 1.0 / need
    for i in range(len(limit)):
        left = cap[i] - use[i]
        share = left * inverse
        share = min(limit[i], share)
        limit[i] = share if need > left + EPS else limit[i]
        scarce[i] += need * mu[i]


@njit(**WITHIN, error_model="numpy")
def _tracked(lam, load, target, rho, pw, price):
    """EUR of ``pw`` kW more in each slot that follows a target."""
    half = 0.5 * pw
    for i in range(len(price)):
        price[i] = pw * (lam[i] + rho * (load[i] - target[i] + half))


@njit(**WITHIN, error_model="numpy")
def _shake(price, extra, noise, pool):
    """Noise on both costs of each slot."""
    for i in range(len(price)):
        spread = 1.0 + noise * pool[i]
        price[i] *= spread
        extra[i] *= spread


@njit(**WITHIN, error_model="numpy")
def _close(limit, least, guide, extra, price, use_price):
    """Both parts of the cost of each slot; slots with less room than ``least`` are closed."""
    for i in range(len(limit)):
        open_ = limit[i] >= least
        use_price[i] = guide * use_price[i] + extra[i] if open_ else np.inf
        price[i] = price[i] if open_ else 0.0


@njit(**WITHIN)
def _stepped(grid, state, s, t0, pw, price):
    """EUR of ``pw`` kW more in each slot by its steps of supply."""
    fixed, pue, base, width, value, imports, steps = (
        grid.fixed[s], grid.pue[s], grid.base[s], grid.width[s], grid.value[s], grid.imports[s], grid.steps[s],
    )  # fmt: skip
    load, imported, peak, over = state.load[s], state.imported[s], state.peak[s], grid.over[s]
    for i in range(len(price)):
        t = t0 + i
        left = fixed[t] + pue[t] * load[t] - base[t]
        more = pue[t] * pw
        cost, bought = 0.0, imported[t]
        for q in range(steps[t]):
            w = width[t, q]
            if left >= w:
                left -= w
                continue
            take_kw = min(more, w - max(0.0, left))
            if left < 0.0:
                more = max(0.0, more + left)
                take_kw = min(more, w)
            left = 0.0
            cost += take_kw * value[t, q]
            bought += take_kw * imports[t, q]
            more -= take_kw
            if more <= 0.0:
                break
        above = bought - peak
        if above > 0.0:
            cost += above * over
        price[i] = cost


@njit(**FAST)
def insert(jobs, grid, state, j, guide, noise, opened, scratch):
    """Put a dropped job where it costs least, if that is less than dropping it; returns the site or -1.

    In a workflow it runs between its neighbours there. Mostly it may cost as much as those are worth that come after it, too, and leaves
    them room; else, and where there is no such place, it looks after itself.
    """
    begin, end, wide = span_of(jobs, state, j)
    if (end < wide or jobs.links.worth[j] > jobs.drop[j]) and np.random.random() < FOR_OTHERS:
        s = _insert(jobs, grid, state, j, begin, end, jobs.links.worth[j], guide, noise, opened, scratch)
        if s >= 0:
            return s
    return _insert(jobs, grid, state, j, begin, wide, jobs.drop[j], guide, noise, opened, scratch)


@njit(**WITHIN)
def _insert(jobs, grid, state, j, begin, end, most, guide, noise, opened, scratch):
    """``insert`` in the slots ``[begin, end)``, where that costs less than ``most`` EUR.

    Args:
        guide: weight of capacity prices in the choice (they are not paid).
        opened: copies that count as bought already when ``opened[m]`` is 1, and as impossible when -1.
        noise: relative noise on the cost of every slot and entry.
        scratch: of ``scratch_of``.
    """
    reals, pool, tables = scratch
    share_kw, share_use, best_kw, best_use = reals[0], reals[1], reals[2], reals[3]
    values, sizes = reals[6], reals[9]
    best, best_entry, best_own, best_length = most, NOBODY, 0.0, 0
    kind = jobs.typ[j]
    least = LEAST_SHARE if kind == MALLEABLE else 1.0
    for e in range(jobs.ep[j], jobs.ep[j + 1]):
        s, t0, m = jobs.es[e], max(begin, jobs.ea[e]), jobs.em[e]
        length = end - t0
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
        kw_price, use_price, limit, extra_cost = reals[4, :length], reals[5, :length], reals[7, :length], reals[8, :length]
        limit[:] = 1.0
        extra_cost[:] = 0.0
        use_price[:] = 0.0
        soft_capacity = grid.stiff[0, s] > 0.0
        for q in range(jobs.row_ptr[j], jobs.row_ptr[j + 1]):
            r, need = jobs.row[q], jobs.need[q]
            cap, use, mu = grid.cap[r, s, t0:end], state.use[r, s, t0:end], grid.mu[r, s, t0:end]
            if soft_capacity:
                most_of(cap, need, limit)
                _soft_row(cap, use, mu, grid.stiff[r, s], need, extra_cost)
            else:
                _hard_row(cap, use, mu, need, limit, use_price)
        pw = jobs.entry_kw[e]
        if grid.rho[s] > 0.0:
            _tracked(grid.lam[s, t0:end], state.load[s, t0:end], grid.target[s, t0:end], grid.rho[s], pw, kw_price)
        else:
            _stepped(grid, state, s, t0, pw, kw_price)
        if noise > 0.0:
            at = np.random.randint(POOL)
            _shake(kw_price, extra_cost, noise, pool[at : at + length])
        _close(limit, least, guide, extra_cost, kw_price, use_price)
        if jobs.terms.special[j]:
            found, late = special(
                kind, j, jobs.terms, kw_price, use_price, limit, t0, jobs.p[j], jobs.soft[j], jobs.wt[j], share_kw[:length],
                share_use[:length], values, tables,
            )  # fmt: skip
        else:
            found, late = respond(
                kind, kw_price, use_price, limit, length, t0, jobs.p[j], jobs.soft[j], jobs.wt[j], jobs.speed2[j], jobs.power2[j],
                share_kw, share_use, values, sizes,
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
            state.slot[at] = max(begin, jobs.ea[best_entry]) + i
            state.kw[at] = best_kw[i]
            state.part[at] = best_use[i]
            at += 1
    state.length[j] = at - jobs.room[j]
    put(jobs, grid, state, j, best_entry, best_own)
    return jobs.es[best_entry]
