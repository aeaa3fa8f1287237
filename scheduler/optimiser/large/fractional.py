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
from scheduler.optimiser.large.case import NOBODY, Case, IntArray
from scheduler.optimiser.large.compiled import FAST, MAKES_ROOM, WITHIN
from scheduler.optimiser.large.groups import Classes
from scheduler.optimiser.large.pieces import Tables, tables_of
from scheduler.optimiser.large.respond import EPS, MALLEABLE, most_of, respond
from scheduler.optimiser.large.special import special

NOTHING = 1e-12
"""Shares below this are none."""

LEAST_OPEN = 1e-12
"""A malleable job runs in no slot that has less room than this share of it."""


class Bench(NamedTuple):
    """Room to work in: shares of a response and of the best one, values and sizes of its parts, prices and room of the slots of an entry.

    ``step_k`` and ``step_u`` are how far a class moves at all of its entries, ``tables`` those of responses in pieces.
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
    step_k: FloatArray
    step_u: FloatArray
    tables: Tables


class ClassRows(NamedTuple):
    """What a job of each class needs: ``need[q]`` of the row ``row[q]`` for ``q`` in ``row_ptr[k]:row_ptr[k + 1]``.

    ``least_cap`` is the least capacity of each row at each site, ``[R, S]``.
    """

    row_ptr: IntArray
    row: IntArray
    need: FloatArray
    least_cap: FloatArray


def rows_of(case: Case, classes: Classes) -> ClassRows:
    """The rows of all classes of a case."""
    res = case.res[classes.first]
    needs = res > 0.0
    row_ptr = np.concatenate(([0], np.cumsum(needs.sum(axis=1)))).astype(np.int64)
    return ClassRows(row_ptr, np.nonzero(needs)[1].astype(np.int64), res[needs], case.cap.min(axis=2, initial=np.inf))


@njit(**MAKES_ROOM)
def bench_of(most, widest, terms):
    """A bench for windows up to ``most`` and classes whose windows together have up to ``widest`` slots."""
    return Bench(
        np.empty(most), np.empty(most), np.empty(most), np.empty(most), np.empty(2 * most), np.empty(2 * most),
        np.empty(most), np.empty(most), np.empty(most), np.empty(widest + 1), np.empty(widest + 1), tables_of(terms),
    )  # fmt: skip


@njit(**MAKES_ROOM)
def sweep(
    perm, ep, entry, window, count, first, es, ec, ea, em, typ, p, dl, soft, wt, rows, entry_kw, drop, speed2, power2,
    cap, xk, xu, y, dropx, own, load, use, served, lam, rho, mu, rho_use, price, use_price, sigma, rho_copy, bought, most, terms,
):  # fmt: skip
    """One pass over all classes in the order ``perm``; returns the sum of the gaps of the linearised problem (EUR)."""
    widest = most
    for k in range(len(ep) - 1):
        widest = max(widest, window[ep[k + 1]] - window[ep[k]])
    return _sweep(
        perm, ep, entry, window, count, first, es, ec, ea, em, typ, p, dl, soft, wt, rows, entry_kw, drop, speed2, power2,
        cap, xk, xu, y, dropx, own, load, use, served, lam, rho, mu, rho_use, price, use_price, sigma, rho_copy, bought,
        bench_of(most, widest, terms), terms,
    )  # fmt: skip


@njit(**WITHIN, error_model="numpy")
def _priced(power, lam, price):
    """EUR of full power in each slot."""
    for i in range(len(price)):
        price[i] = power * lam[i]


@njit(**WITHIN, error_model="numpy")
def _priced_row(need, row, total):
    """Add the EUR of ``need`` of a row in each slot."""
    for i in range(len(total)):
        total[i] += need * row[i]


@njit(**WITHIN, error_model="numpy", fastmath={"reassoc", "nsz"})
def _paid(price, xk, total, xu):
    """What shares pay; sums of few terms, whose order does not matter."""
    paid = 0.0
    for i in range(len(price)):
        paid += price[i] * xk[i] + total[i] * xu[i]
    return paid


@njit(**WITHIN, error_model="numpy")
def _closed(limit, least, total):
    """Slots with less room than ``least`` have no price."""
    for i in range(len(limit)):
        total[i] = np.inf if limit[i] < least else total[i]


@njit(**WITHIN, error_model="numpy")
def _towards(n, best, x, step):
    """How far it is from ``x`` to ``n`` times ``best``."""
    for i in range(len(x)):
        step[i] = n * best[i] - x[i]


@njit(**WITHIN, error_model="numpy")
def _away(x, step):
    """How far it is from ``x`` to nothing."""
    for i in range(len(x)):
        step[i] = -x[i]


@njit(**WITHIN, error_model="numpy", fastmath={"reassoc", "nsz"})
def _square(step):
    """Sum of squares."""
    total = 0.0
    for i in range(len(step)):
        total += step[i] * step[i]
    return total


@njit(**WITHIN, error_model="numpy", fastmath={"reassoc", "nsz"})
def _square_where_scarce(mu, rho, use, cap, need, step):
    """Sum of squares over the slots in which the row has a price when the step is made."""
    total = 0.0
    for i in range(len(step)):
        more = need * step[i]
        after = mu[i] + rho * (use[i] + max(0.0, more) - cap[i])
        total += more * more if after > 0.0 else 0.0
    return total


@njit(**WITHIN, error_model="numpy")
def _moved(gamma, step_k, step_u, xk, xu):
    """Make a part of a step; what is next to nothing becomes nothing."""
    for i in range(len(xk)):
        u = xu[i] + gamma * step_u[i]
        k = xk[i] + gamma * step_k[i]
        xu[i] = u if u >= NOTHING else 0.0
        xk[i] = k if u >= NOTHING else 0.0


@njit(**WITHIN, error_model="numpy")
def _moved_load(more, step, lam, rho, served, load, price):
    """Add ``more`` times the step to a load, which is paid at a price that answers."""
    for i in range(len(step)):
        load[i] += more * step[i]
        price[i] = lam[i] + rho * (load[i] - served[i])


@njit(**WITHIN, error_model="numpy")
def _moved_use(more, step, mu, rho, cap, use, price):
    """Add ``more`` times the step to the use of a row, which has a price that answers."""
    for i in range(len(step)):
        use[i] += more * step[i]
        answer = mu[i] + rho * (use[i] - cap[i])
        price[i] = max(0.0, answer)


@njit(**WITHIN)
def _slot_prices(power, begin, end, row, need, price, use_price, s, t0, kw, slot):
    """Fill ``kw`` and ``slot`` with what power and resources of a job cost in each slot from ``t0`` on at site ``s``, EUR."""
    _priced(power, price[s, t0 : t0 + len(kw)], kw)
    slot[:] = 0.0
    for q in range(begin, end):
        _priced_row(need[q], use_price[row[q], s, t0 : t0 + len(slot)], slot)


@njit(**WITHIN)
def _limits(kind, begin, end, row, need, least_cap, cap, s, t0, limit, total):
    """Fill ``limit`` with the share of each slot that all rows have room for when nobody else is there, and close slots."""
    limit[:] = 1.0
    tight = False
    for q in range(begin, end):
        if need[q] > least_cap[row[q], s] + EPS:
            most_of(cap[row[q], s, t0 : t0 + len(limit)], need[q], limit)
            tight = True
    if tight:
        _closed(limit, LEAST_OPEN if kind == MALLEABLE else 1.0, total)


@njit(**WITHIN)
def _sweep(
    perm, ep, entry, window, count, first, es, ec, ea, em, typ, p, dl, soft, wt, rows, entry_kw, drop, speed2, power2,
    cap, xk, xu, y, dropx, own, load, use, served, lam, rho, mu, rho_use, price, use_price, sigma, rho_copy, bought, bench, terms,
):  # fmt: skip
    """``sweep`` in room that others made."""
    response_k, response_u, best_k, best_u, values, sizes, kw_price, slot_price, limit, step_k, step_u, tables = bench
    row_ptr, row, need, least_cap = rows
    total_gap = 0.0
    for k in perm:
        j = first[k]
        n = count[k]
        row_begin, row_end = row_ptr[k], row_ptr[k + 1]
        steps = 1
        if n > 1.5:
            steps = 2 if n < 4.5 else 4
        for step in range(steps):
            begin, end = ep[k], ep[k + 1]
            here = own[k] + drop[j] * dropx[k]
            best, best_entry, best_own = drop[j], NOBODY, 0.0
            for e in range(begin, end):
                n0, length = window[e], window[e + 1] - window[e]
                if length <= 0:
                    continue
                s, t0 = es[entry[e]], ea[entry[e]]
                kw, slot, most = kw_price[:length], slot_price[:length], limit[:length]
                _slot_prices(entry_kw[entry[e]], row_begin, row_end, row, need, price, use_price, s, t0, kw, slot)
                if y[e] > 0.0:
                    here += _paid(kw, xk[n0 : n0 + length], slot, xu[n0 : n0 + length])
                _limits(typ[j], row_begin, row_end, row, need, least_cap, cap, s, t0, most, slot)
                copy = em[entry[e]]
                pay = 0.0
                if copy >= 0:
                    pay = max(0.0, sigma[e] + rho_copy[e] * (y[e] / n - bought[copy])) / n
                    here += pay * y[e]
                if terms.special[j]:
                    cost, late = special(
                        typ[j], j, terms, kw, slot, most, t0, p[j], soft[j], wt[j], response_k[:length], response_u[:length],
                        values, tables,
                    )  # fmt: skip
                else:
                    cost, late = respond(
                        typ[j], kw, slot, most, length, t0, p[j], soft[j], wt[j], speed2[j], power2[j], response_k, response_u,
                        values, sizes,
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
                if length <= 0 or (e != best_entry and y[e] <= 0.0):
                    continue
                s, t0, power = es[entry[e]], ea[entry[e]], entry_kw[entry[e]]
                off = n0 - window[begin]
                dk, du = step_k[off : off + length], step_u[off : off + length]
                if e == best_entry:
                    _towards(n, best_k, xk[n0 : n0 + length], dk)
                    _towards(n, best_u, xu[n0 : n0 + length], du)
                else:
                    _away(xk[n0 : n0 + length], dk)
                    _away(xu[n0 : n0 + length], du)
                curve += rho[s] * power * power * _square(dk)
                for q in range(row_begin, row_end):
                    r = row[q]
                    curve += rho_use[r, s] * _square_where_scarce(
                        mu[r, s, t0 : t0 + length], rho_use[r, s], use[r, s, t0 : t0 + length], cap[r, s, t0 : t0 + length],
                        need[q], du,
                    )  # fmt: skip
                if em[entry[e]] >= 0:
                    dy = (n if e == best_entry else 0.0) - y[e]
                    curve += rho_copy[e] * dy * dy / (n * n)
            gamma = 1.0 if curve <= gap else gap / curve
            for e in range(begin, end):
                n0, length = window[e], window[e + 1] - window[e]
                chosen = e == best_entry
                if length <= 0 or (not chosen and y[e] <= 0.0):
                    continue
                s, t0 = es[entry[e]], ea[entry[e]]
                off = n0 - window[begin]
                dk, du = step_k[off : off + length], step_u[off : off + length]
                _moved(gamma, dk, du, xk[n0 : n0 + length], xu[n0 : n0 + length])
                _moved_load(
                    gamma * entry_kw[entry[e]], dk, lam[s, t0 : t0 + length], rho[s], served[s, t0 : t0 + length],
                    load[s, t0 : t0 + length], price[s, t0 : t0 + length],
                )  # fmt: skip
                for q in range(row_begin, row_end):
                    r = row[q]
                    _moved_use(
                        gamma * need[q], du, mu[r, s, t0 : t0 + length], rho_use[r, s], cap[r, s, t0 : t0 + length],
                        use[r, s, t0 : t0 + length], use_price[r, s, t0 : t0 + length],
                    )  # fmt: skip
                y[e] += gamma * ((n if chosen else 0.0) - y[e])
                if y[e] < NOTHING:
                    y[e] = 0.0
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
    ep, entry, window, first, es, ec, ea, typ, p, dl, soft, wt, rows, entry_kw, speed2, power2, cap, price, use_price, most, cost,
    terms,
):  # fmt: skip
    """Cost of the best response of one job of each class at each of its entries, without copies; infinite where it cannot run."""
    _class_costs(
        ep, entry, window, first, es, ec, ea, typ, p, dl, soft, wt, rows, entry_kw, speed2, power2, cap, price, use_price, cost,
        bench_of(most, most, terms), terms,
    )  # fmt: skip


@njit(**WITHIN)
def _class_costs(
    ep, entry, window, first, es, ec, ea, typ, p, dl, soft, wt, rows, entry_kw, speed2, power2, cap, price, use_price, cost, bench,
    terms,
):  # fmt: skip
    """``class_costs`` in room that others made."""
    response_k, response_u, _, _, values, sizes, kw_price, slot_price, limit, _, _, tables = bench
    row_ptr, row, need, least_cap = rows
    for k in range(len(ep) - 1):
        j = first[k]
        for e in range(ep[k], ep[k + 1]):
            length = window[e + 1] - window[e]
            cost[e] = np.inf
            if length <= 0:
                continue
            s, t0 = es[entry[e]], ea[entry[e]]
            kw, slot, most = kw_price[:length], slot_price[:length], limit[:length]
            _slot_prices(entry_kw[entry[e]], row_ptr[k], row_ptr[k + 1], row, need, price, use_price, s, t0, kw, slot)
            _limits(typ[j], row_ptr[k], row_ptr[k + 1], row, need, least_cap, cap, s, t0, most, slot)
            if terms.special[j]:
                found, _ = special(
                    typ[j], j, terms, kw, slot, most, t0, p[j], soft[j], wt[j], response_k[:length], response_u[:length], values,
                    tables,
                )  # fmt: skip
            else:
                found, _ = respond(
                    typ[j], kw, slot, most, length, t0, p[j], soft[j], wt[j], speed2[j], power2[j], response_k, response_u,
                    values, sizes,
                )  # fmt: skip
            cost[e] = found + ec[entry[e]]
