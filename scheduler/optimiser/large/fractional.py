"""Fractional decisions of all job classes against prices that answer at once (block-coordinate Frank-Wolfe).

What is minimised, for fixed multipliers, over the convex hull of each class (Lacoste-Julien et al. 2013 for the method):

    own costs + lam . (load - served) + rho / 2 |load - served|^2
              + sum over capacity rows of (max(0, mu + rho_use (use - cap))^2 - mu^2) / (2 rho_use)
              + the same for "what uses a copy is at most what is bought of it"

A class moves from where it is towards its best response, as far as an exact line search says; prices of the cells that it touches
change at once. ``lam``, ``mu`` and ``sigma`` are the multipliers that prove the bound.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from grid.horizon import FloatArray
from scheduler.optimiser.large.compiled import FAST, MAKES_ROOM, WITHIN
from scheduler.optimiser.large.pieces import Tables, tables_of
from scheduler.optimiser.large.respond import MALLEABLE, respond
from scheduler.optimiser.large.special import special


class Bench(NamedTuple):
    """Room to work in: shares of a response and of the best one, values and sizes of its parts, prices of the slots of a class, room.

    ``tables`` are those of responses in pieces.
    """

    response_k: FloatArray
    response_u: FloatArray
    best_k: FloatArray
    best_u: FloatArray
    values: FloatArray
    sizes: FloatArray
    kw_price: FloatArray
    slot_price: FloatArray
    limit: FloatArray
    tables: Tables


@njit(**MAKES_ROOM)
def bench_of(most, widest, terms):
    """A bench for windows up to ``most`` and classes whose windows together have up to ``widest`` slots."""
    return Bench(
        np.empty(most), np.empty(most), np.empty(most), np.empty(most), np.empty(2 * most), np.empty(2 * most),
        np.empty(widest + 1), np.empty(widest + 1), np.empty(widest + 1), tables_of(terms),
    )  # fmt: skip


@njit(**MAKES_ROOM)
def sweep(
    perm, ep, entry, window, count, first, es, ec, ea, em, typ, p, dl, soft, wt, res, entry_kw, drop, speed2, power2,
    cap, xk, xu, y, dropx, own, load, use, served, lam, rho, mu, rho_use, price, use_price, sigma, rho_copy, bought, most, terms,
):  # fmt: skip
    """One pass over all classes in the order ``perm``; returns the sum of the gaps of the linearised problem (EUR)."""
    widest = most
    for k in range(len(ep) - 1):
        widest = max(widest, window[ep[k + 1]] - window[ep[k]])
    return _sweep(
        perm, ep, entry, window, count, first, es, ec, ea, em, typ, p, dl, soft, wt, res, entry_kw, drop, speed2, power2,
        cap, xk, xu, y, dropx, own, load, use, served, lam, rho, mu, rho_use, price, use_price, sigma, rho_copy, bought,
        bench_of(most, widest, terms), terms,
    )  # fmt: skip


@njit(**WITHIN)
def _sweep(
    perm, ep, entry, window, count, first, es, ec, ea, em, typ, p, dl, soft, wt, res, entry_kw, drop, speed2, power2,
    cap, xk, xu, y, dropx, own, load, use, served, lam, rho, mu, rho_use, price, use_price, sigma, rho_copy, bought, bench, terms,
):  # fmt: skip
    """``sweep`` in room that others made."""
    resources = cap.shape[0]
    response_k, response_u, best_k, best_u, values, sizes, kw_price, slot_price, limit, tables = bench
    total_gap = 0.0
    for k in perm:
        j = first[k]
        n = count[k]
        steps = 1
        if n > 1.5:
            steps = 2 if n < 4.5 else 4
        for step in range(steps):
            begin, end = ep[k], ep[k + 1]
            base = window[begin]
            here = own[k] + drop[j] * dropx[k]
            best, best_entry, best_own = drop[j], -1, 0.0
            for e in range(begin, end):
                n0, length = window[e], window[e + 1] - window[e]
                if length <= 0:
                    continue
                s, t0, power = es[entry[e]], ea[entry[e]], entry_kw[entry[e]]
                off = n0 - base
                for i in range(length):
                    t = t0 + i
                    kw_price[off + i] = power * price[s, t]
                    total = 0.0
                    limit[i] = 1.0
                    for r in range(resources):
                        if res[j, r] > 0.0:
                            total += res[j, r] * use_price[r, s, t]
                            if res[j, r] > cap[r, s, t] + 1e-9:
                                limit[i] = min(limit[i], cap[r, s, t] / res[j, r])
                    if limit[i] < 1.0 and (typ[j] != MALLEABLE or limit[i] <= 0.0):
                        total = np.inf
                    slot_price[off + i] = total
                    if xu[n0 + i] > 0.0:
                        here += kw_price[off + i] * xk[n0 + i] + total * xu[n0 + i]
                copy = em[entry[e]]
                pay = 0.0
                if copy >= 0:
                    pay = max(0.0, sigma[e] + rho_copy[e] * (y[e] / n - bought[copy])) / n
                    here += pay * y[e]
                if terms.special[j]:
                    cost, late = special(
                        typ[j], j, terms, kw_price[off : off + length], slot_price[off : off + length], limit[:length], t0, p[j],
                        soft[j], wt[j], response_k[:length], response_u[:length], values, tables,
                    )  # fmt: skip
                else:
                    cost, late = respond(
                        typ[j], kw_price[off : off + length], slot_price[off : off + length], limit, length, t0, p[j], soft[j],
                        wt[j], speed2[j], power2[j], response_k, response_u, values, sizes,
                    )  # fmt: skip
                cost += ec[entry[e]] + pay
                if cost < best:
                    best, best_entry, best_own = cost, e, late + ec[entry[e]]
                    response_k, best_k = best_k, response_k
                    response_u, best_u = best_u, response_u
            gap = here - n * best
            if gap <= 1e-12:
                break
            if step == 0:
                total_gap += gap
            curve = 0.0
            for e in range(begin, end):
                n0, length = window[e], window[e + 1] - window[e]
                if length <= 0:
                    continue
                s, t0, power = es[entry[e]], ea[entry[e]], entry_kw[entry[e]]
                chosen = e == best_entry
                for i in range(length):
                    dk = -xk[n0 + i]
                    du = -xu[n0 + i]
                    if chosen:
                        dk += n * best_k[i]
                        du += n * best_u[i]
                    if dk == 0.0 and du == 0.0:
                        continue
                    t = t0 + i
                    change = power * dk
                    curve += rho[s] * change * change
                    for r in range(resources):
                        if res[j, r] > 0.0:
                            more = res[j, r] * du
                            reach = use[r, s, t] + max(0.0, more)
                            if mu[r, s, t] + rho_use[r, s] * (reach - cap[r, s, t]) > 0.0:
                                curve += rho_use[r, s] * more * more
                if em[entry[e]] >= 0:
                    dy = (n if chosen else 0.0) - y[e]
                    curve += rho_copy[e] * dy * dy / (n * n)
            gamma = 1.0 if curve <= gap else gap / curve
            for e in range(begin, end):
                n0, length = window[e], window[e + 1] - window[e]
                if length <= 0:
                    continue
                s, t0, power = es[entry[e]], ea[entry[e]], entry_kw[entry[e]]
                chosen = e == best_entry
                for i in range(length):
                    dk = -xk[n0 + i]
                    du = -xu[n0 + i]
                    if chosen:
                        dk += n * best_k[i]
                        du += n * best_u[i]
                    if dk == 0.0 and du == 0.0:
                        continue
                    t = t0 + i
                    xk[n0 + i] += gamma * dk
                    xu[n0 + i] += gamma * du
                    if xu[n0 + i] < 1e-12:
                        xu[n0 + i] = 0.0
                        xk[n0 + i] = 0.0
                    load[s, t] += gamma * power * dk
                    price[s, t] = lam[s, t] + rho[s] * (load[s, t] - served[s, t])
                    for r in range(resources):
                        if res[j, r] > 0.0:
                            use[r, s, t] += gamma * res[j, r] * du
                            use_price[r, s, t] = max(0.0, mu[r, s, t] + rho_use[r, s] * (use[r, s, t] - cap[r, s, t]))
                y[e] += gamma * ((n if chosen else 0.0) - y[e])
            dropx[k] += gamma * ((n if best_entry < 0 else 0.0) - dropx[k])
            own[k] += gamma * (n * best_own - own[k])
    return total_gap


@njit(**FAST)
def buy(bought, users_ptr, users, y, count_of_entry, sigma, rho_copy, price_of_copy):
    """Best fraction of each copy to buy given who uses it, then the multipliers ``sigma`` of its users.

    For each copy: minimise ``price * z + sum over users (max(0, sigma / rho + y / n - z))^2 rho / 2`` over ``0 <= z <= 1``.
    """
    for m in range(len(bought)):
        low, high = 0.0, 1.0
        for _ in range(24):
            z = 0.5 * (low + high)
            slope = price_of_copy[m]
            for u in range(users_ptr[m], users_ptr[m + 1]):
                e = users[u]
                slope -= max(0.0, sigma[e] + rho_copy[e] * (y[e] / count_of_entry[e] - z))
            if slope > 0.0:
                high = z
            else:
                low = z
        bought[m] = 0.5 * (low + high)
        if bought[m] < 1e-6:
            bought[m] = 0.0
        for u in range(users_ptr[m], users_ptr[m + 1]):
            e = users[u]
            sigma[e] = max(0.0, sigma[e] + rho_copy[e] * (y[e] / count_of_entry[e] - bought[m]))


@njit(**FAST)
def refresh_prices(load, use, served, lam, rho, mu, rho_use, cap, price, use_price):
    """Prices of every cell from multipliers and penalties."""
    for s in range(load.shape[0]):
        for t in range(load.shape[1]):
            price[s, t] = lam[s, t] + rho[s] * (load[s, t] - served[s, t])
            for r in range(cap.shape[0]):
                use_price[r, s, t] = max(0.0, mu[r, s, t] + rho_use[r, s] * (use[r, s, t] - cap[r, s, t]))


@njit(**MAKES_ROOM)
def class_costs(
    ep, entry, window, first, es, ec, ea, typ, p, dl, soft, wt, res, entry_kw, speed2, power2, cap, price, use_price, most, cost,
    terms,
):  # fmt: skip
    """Cost of the best response of one job of each class at each of its entries, without copies; infinite where it cannot run."""
    _class_costs(
        ep, entry, window, first, es, ec, ea, typ, p, dl, soft, wt, res, entry_kw, speed2, power2, cap, price, use_price, cost,
        bench_of(most, most, terms), terms,
    )  # fmt: skip


@njit(**WITHIN)
def _class_costs(
    ep, entry, window, first, es, ec, ea, typ, p, dl, soft, wt, res, entry_kw, speed2, power2, cap, price, use_price, cost, bench,
    terms,
):  # fmt: skip
    """``class_costs`` in room that others made."""
    response_k, response_u, _, _, values, sizes, kw_price, slot_price, limit, tables = bench
    for k in range(len(ep) - 1):
        j = first[k]
        for e in range(ep[k], ep[k + 1]):
            length = window[e + 1] - window[e]
            cost[e] = np.inf
            if length <= 0:
                continue
            s, t0, power = es[entry[e]], ea[entry[e]], entry_kw[entry[e]]
            for i in range(length):
                t = t0 + i
                kw_price[i] = power * price[s, t]
                total = 0.0
                limit[i] = 1.0
                for r in range(cap.shape[0]):
                    if res[j, r] > 0.0:
                        total += res[j, r] * use_price[r, s, t]
                        if res[j, r] > cap[r, s, t] + 1e-9:
                            limit[i] = min(limit[i], cap[r, s, t] / res[j, r])
                if limit[i] < 1.0 and (typ[j] != MALLEABLE or limit[i] <= 0.0):
                    total = np.inf
                slot_price[i] = total
            if terms.special[j]:
                found, _ = special(
                    typ[j], j, terms, kw_price[:length], slot_price[:length], limit[:length], t0, p[j], soft[j], wt[j],
                    response_k[:length], response_u[:length], values, tables,
                )  # fmt: skip
            else:
                found, _ = respond(
                    typ[j], kw_price, slot_price, limit, length, t0, p[j], soft[j], wt[j], speed2[j], power2[j],
                    response_k, response_u, values, sizes,
                )  # fmt: skip
            cost[e] = found + ec[entry[e]]
