"""Best response of one job at one site to prices: the innermost compiled code.

Every function fills ``share_kw`` (share of full power) and ``share_use`` (share of the resources) over the window of one entry and
returns the cost of that response, so that ``sum(share_kw * kw_price + share_use * use_price)`` + lateness equals it. A
response is an extreme point of the convex hull of what the job may do there:

- rigid: one block of ``work`` slots, found with a sliding sum;
- interruptible: the ``work`` cheapest slots;
- malleable: a continuous knapsack over the slots, each with up to two increments of rising cost per work (second mode first
  where it is cheaper per work, then from there to full speed), taken in the order of cost per work.

``kw_price`` is EUR per kW of IT and slot, already times the power of the job; ``use_price`` EUR per slot for all its resources; a slot
that cannot hold the job has an infinite ``use_price``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

RIGID, INTERRUPTIBLE, MALLEABLE = 0, 1, 2

TIE = 1e-12
"""Relative difference up to which the second mode counts as no cheaper per work: its two increments would cost the same."""


@njit(cache=True, nogil=True)
def _partition(values, order, left, right):
    """Reorder ``order[left:right + 1]`` about the value of its middle; returns that value, ``i`` and ``j``.

    Up to ``j`` no value is above it, from ``i`` on none is below it, and at most one, equal to it, is between.
    """
    pivot = values[order[(left + right) // 2]]
    i, j = left, right
    while i <= j:
        while values[order[i]] < pivot:
            i += 1
        while values[order[j]] > pivot:
            j -= 1
        if i <= j:
            order[i], order[j] = order[j], order[i]
            i += 1
            j -= 1
    return pivot, i, j


@njit(cache=True, nogil=True)
def select(values, order, length, k):
    """Reorder ``order[:length]`` so that its first ``k`` entries have the smallest ``values`` (quickselect); smallest first part."""
    left, right = 0, length - 1
    while left < right:
        _, i, j = _partition(values, order, left, right)
        if k - 1 <= j:
            right = j
        elif k - 1 >= i:
            left = i
        else:
            return


@njit(cache=True, nogil=True)
def rigid_cost(kw_price, use_price, length, first, work, soft, late):
    """Cheapest start of a rigid job, as (cost, start in the window); infinite when nothing fits."""
    best, start = np.inf, -1
    if length < work:
        return best, start
    total = 0.0
    blocked = 0
    for i in range(length):
        if np.isinf(use_price[i]):
            blocked += 1
        else:
            total += kw_price[i] + use_price[i]
        if i >= work:
            if np.isinf(use_price[i - work]):
                blocked -= 1
            else:
                total -= kw_price[i - work] + use_price[i - work]
        if i >= work - 1 and blocked == 0:
            over = first + i + 1 - soft
            cost = total + (late * over if over > 0 else 0.0)
            if cost < best - 1e-15:
                best, start = cost, i - work + 1
    return best, start


@njit(cache=True, nogil=True)
def respond(
    kind, kw_price, use_price, limit, length, first, work, soft, late, speed2, power2, share_kw, share_use, values, order
):
    """Best response in a window; returns (cost, lateness part of it), infinite when the work does not fit.

    Args:
        kind: of the job; kw_price, use_price: per slot of the window (see the module); length: slots of the window.
        first: slot of the horizon at which the window begins; work: slots of work; soft, late: due slot and lateness price.
        limit: largest share of each slot that a malleable job may take.
        speed2, power2: second mode of a malleable job.
        share_kw, share_use: filled over ``[0, length)``.
        values, order: scratch of at least twice the length.
    """
    for i in range(length):
        share_kw[i] = 0.0
        share_use[i] = 0.0
    if kind == RIGID:
        cost, start = rigid_cost(kw_price, use_price, length, first, work, soft, late)
        if start < 0:
            return np.inf, 0.0
        for i in range(start, start + work):
            share_kw[i] = 1.0
            share_use[i] = 1.0
        over = first + start + work - soft
        return cost, (late * over if over > 0 else 0.0)
    count = 0
    if kind == INTERRUPTIBLE:
        for i in range(length):
            if not np.isinf(use_price[i]):
                values[i] = kw_price[i] + use_price[i] + (late if first + i >= soft else 0.0)
                order[count] = i
                count += 1
        if count < work:
            return np.inf, 0.0
        if count > work:
            select(values, order, count, work)
        cost, lateness = 0.0, 0.0
        for k in range(work):
            i = order[k]
            cost += values[i]
            share_kw[i] = 1.0
            share_use[i] = 1.0
            if first + i >= soft:
                lateness += late
        return cost, lateness
    return _malleable(
        kw_price, use_price, limit, length, first, work, soft, late, speed2, power2, share_kw, share_use, values, order
    )


@njit(cache=True, nogil=True)
def _malleable(
    kw_price, use_price, limit, length, first, work, soft, late, speed2, power2, share_kw, share_use, values, order
):  # fmt: skip
    """Continuous knapsack over increments; index ``2 i`` is from nothing, ``2 i + 1`` from the second mode to full speed."""
    count, possible = 0, 0.0
    for i in range(length):
        if np.isinf(use_price[i]):
            continue
        base = use_price[i] + (late if first + i >= soft else 0.0)
        full, eco = kw_price[i] + base, power2 * kw_price[i] + base
        if eco < speed2 * full - TIE * abs(full):
            values[2 * i] = eco / speed2
            order[count] = 2 * i
            count += 1
            values[2 * i + 1] = 1e300
            if speed2 < 1.0 - 1e-9:  # else the second mode does all the work, and full speed has no place
                values[2 * i + 1] = (full - eco) / (1.0 - speed2)
                order[count] = 2 * i + 1
                count += 1
        else:
            values[2 * i] = full
            values[2 * i + 1] = -1e300  # marks a slot without second mode
            order[count] = 2 * i
            count += 1
        possible += limit[i]
    if possible < work - 1e-9:
        return np.inf, 0.0
    count = _cheapest(values, limit, speed2, order, count, float(work))
    done, cost, lateness, last = 0.0, 0.0, 0.0, count - 1
    for k in range(count):
        increment = order[k]
        size = _size(values, limit, speed2, increment)
        part = 1.0 if k < last or values[increment] < 0.0 else min(1.0, max(0.0, work - done) / size)
        done += part * size
        cost += part * size * values[increment]
        i = increment // 2
        most = limit[i]
        if increment % 2:
            share_kw[i] += part * most * (1.0 - power2)
        else:
            share_kw[i] += part * most * (1.0 if values[increment + 1] == -1e300 else power2)
            share_use[i] += part * most
            if first + i >= soft:
                lateness += part * most * late
    return cost, lateness


@njit(cache=True, nogil=True)
def _size(values, limit, speed2, increment):
    """Work that an increment does, slots."""
    most = limit[increment // 2]
    if increment % 2:
        return most * (1.0 - speed2)
    return most if values[increment + 1] == -1e300 else most * speed2


@njit(cache=True, nogil=True)
def _cheapest(values, limit, speed2, order, count, work):
    """Reorder ``order[:count]`` so that its first entries are the cheapest that do ``work``, and all that cost less than nothing.

    The dearest of them is the last. Returns how many they are (quickselect by weight; the rest has no order).
    """
    left, right, lacking = 0, count - 1, work
    while left < right:
        pivot, i, j = _partition(values, order, left, right)
        cheaper = 0.0
        for k in range(left, j + 1):
            cheaper += _size(values, limit, speed2, order[k])
        if j >= left and cheaper >= lacking and pivot >= 0.0:
            right = j
            continue
        lacking -= cheaper
        left = j + 1
        if left < i:  # one between, equal to the pivot
            middle = _size(values, limit, speed2, order[left])
            if middle >= lacking and pivot >= 0.0:
                return left + 1
            lacking -= middle
            left += 1
    if left < count and (lacking > 1e-12 or values[order[left]] < 0.0):
        return left + 1
    return left
