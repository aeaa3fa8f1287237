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

from scheduler.optimiser.large.compiled import FAST, WITHIN

RIGID, INTERRUPTIBLE, MALLEABLE = 0, 1, 2

EPS = 1e-9
"""What a job may need beyond a capacity, for rounding."""

FEW = 3.0
"""Slots of work that are left between two levels when the rest is looked at one by one."""

MOST_LOOKS = 60
"""Most levels that are tried before."""

NO_MODE = -1.0
"""Size of a second increment of a slot whose first one is full speed already."""

TIE = 1e-12
"""Relative difference up to which the second mode counts as no cheaper per work: its two increments would cost the same."""


@njit(**WITHIN, error_model="numpy")
def most_of(cap, need, limit):
    """Lower ``limit`` to the share of a slot that the whole of a row has room for."""
    inverse = 1.0 / need
    for i in range(len(limit)):
        share = cap[i] * inverse
        share = min(limit[i], share)
        limit[i] = share if need > cap[i] + EPS else limit[i]


@njit(**FAST, error_model="numpy", fastmath={"reassoc", "nsz"})
def below(values, sizes, level):
    """Sum of the sizes whose values are below ``level``; sums of few terms, whose order does not matter."""
    total = 0.0
    for i in range(len(values)):
        total += sizes[i] if values[i] < level else 0.0
    return total


@njit(**WITHIN, error_model="numpy")
def _range(values):
    """Least and greatest finite value; infinite when there is none."""
    least, greatest = np.inf, -np.inf
    for i in range(len(values)):
        v = values[i]
        least = min(least, v)
        greatest = v if v > greatest and v < np.inf else greatest
    return least, greatest


@njit(**WITHIN, error_model="numpy")
def _next(values, low):
    """Least value that is not below ``low``."""
    least = np.inf
    for i in range(len(values)):
        v = values[i]
        least = v if low <= v < least else least
    return least


@njit(**FAST, error_model="numpy")
def level_of(values, sizes, work):
    """The least value up to which the sizes sum to ``work``, or the greatest finite value when all of them do not.

    Bisection and regula falsi in turn down to a few increments, then one by one: each look is one pass over contiguous numbers, which
    takes less time than to put them in order.
    """
    low, greatest = _range(values)
    if not low < greatest:
        return greatest
    high, below_low = np.nextafter(greatest, np.inf), 0.0
    below_high = below(values, sizes, high)
    if below_high < work:
        return greatest
    for look in range(MOST_LOOKS):
        if below_high - below_low <= FEW:
            break
        part = 0.5
        if look % 2 == 0:
            part = min(0.95, max(0.05, (work - below_low) / (below_high - below_low)))
        middle = low + part * (high - low)
        if not low < middle < high:
            break
        done = below(values, sizes, middle)
        if done >= work:
            high, below_high = middle, done
        else:
            low, below_low = middle, done
    while True:
        level = _next(values, low)
        low = np.nextafter(level, np.inf)
        if level >= greatest or below(values, sizes, low) >= work:
            return level


@njit(**FAST, error_model="numpy")
def knapsack_level(values, sizes, work):
    """Work that increments must do, rounding left aside, and the value up to which they are taken: 0 when what earns does enough."""
    needed = work - 1e-12
    return needed, level_of(values, sizes, needed) if below(values, sizes, 0.0) < needed else 0.0


@njit(**FAST)
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


@njit(**FAST)
def respond(
    kind, kw_price, use_price, limit, length, first, work, soft, late, speed2, power2, share_kw, share_use, values, sizes
):
    """Best response in a window; returns (cost, lateness part of it), infinite when the work does not fit.

    Args:
        kind: of the job; kw_price, use_price: per slot of the window (see the module); length: slots of the window.
        first: slot of the horizon at which the window begins; work: slots of work; soft, late: due slot and lateness price.
        limit: largest share of each slot that a malleable job may take.
        speed2, power2: second mode of a malleable job.
        share_kw, share_use: filled over ``[0, length)``.
        values, sizes: scratch of at least twice the length.
    """
    if kind == RIGID:
        cost, start = rigid_cost(kw_price, use_price, length, first, work, soft, late)
        share_kw[:length] = 0.0
        share_use[:length] = 0.0
        if start < 0:
            return np.inf, 0.0
        share_kw[start : start + work] = 1.0
        share_use[start : start + work] = 1.0
        over = first + start + work - soft
        return cost, (late * over if over > 0 else 0.0)
    if kind == INTERRUPTIBLE:
        return _interruptible(
            kw_price[:length], use_price[:length], first, work, soft, late, share_kw[:length], share_use[:length],
            values[:length], sizes[:length],
        )  # fmt: skip
    return _malleable(
        kw_price[:length], use_price[:length], limit[:length], first, work, soft, late, speed2, power2, share_kw[:length],
        share_use[:length], values[: 2 * length], sizes[: 2 * length],
    )  # fmt: skip


@njit(**WITHIN, error_model="numpy")
def _interruptible(kw_price, use_price, first, work, soft, late, share_kw, share_use, values, sizes):
    """The ``work`` cheapest slots; of equally dear ones the first."""
    count, due = 0, soft - first
    for i in range(len(values)):
        v = kw_price[i] + use_price[i] + (late if i >= due else 0.0)
        values[i] = v
        sizes[i] = 1.0
        count += 1 if v < np.inf else 0
    if count < work:
        share_kw[:] = 0.0
        share_use[:] = 0.0
        return np.inf, 0.0
    level = level_of(values, sizes, float(work))
    cost, late_slots, taken = 0.0, 0, 0
    for i in range(len(values)):
        chosen = values[i] < level
        share = 1.0 if chosen else 0.0
        share_kw[i] = share
        share_use[i] = share
        cost += values[i] if chosen else 0.0
        taken += 1 if chosen else 0
        late_slots += 1 if chosen and i >= due else 0
    i = 0
    while taken < work:
        if values[i] == level:
            share_kw[i] = 1.0
            share_use[i] = 1.0
            cost += level
            taken += 1
            late_slots += 1 if i >= due else 0
        i += 1
    return cost, late * late_slots


@njit(**WITHIN, error_model="numpy")
def _increments(kw_price, use_price, limit, first, soft, late, speed2, power2, values, sizes):
    """Increments of every slot: from nothing to its first mode, then, ``length`` further, from there to full speed.

    Fills ``values`` (EUR per slot of work, infinite where there is none) and ``sizes`` (work, slots; of the second ``NO_MODE`` where
    the first is full speed). Returns the most work possible.
    """
    length, due, possible = len(limit), soft - first, 0.0
    rest = 1.0 - speed2
    two = rest > 1e-9  # else the second mode does all the work, and full speed has no place
    for i in range(length):
        base = use_price[i] + (late if i >= due else 0.0)
        full, eco = kw_price[i] + base, power2 * kw_price[i] + base
        open_ = use_price[i] < np.inf
        most = limit[i] if open_ else 0.0
        slowly = eco < speed2 * full - TIE * abs(full)
        more = open_ and slowly and two
        value = eco / speed2 if slowly else full
        values[i] = value if open_ else np.inf
        sizes[i] = most * (speed2 if slowly else 1.0)
        values[length + i] = (full - eco) / rest if more else np.inf
        second = most * rest if more else 0.0
        sizes[length + i] = second if slowly else NO_MODE
        possible += most
    return possible


@njit(**WITHIN, error_model="numpy")
def _malleable(
    kw_price, use_price, limit, first, work, soft, late, speed2, power2, share_kw, share_use, values, sizes
):  # fmt: skip
    """Continuous knapsack over increments: the cheapest, the last of them in part, and all that cost less than nothing."""
    length, due = len(limit), soft - first
    possible = _increments(kw_price, use_price, limit, first, soft, late, speed2, power2, values, sizes)
    share_kw[:] = 0.0
    share_use[:] = 0.0
    if possible < work - 1e-9:
        return np.inf, 0.0
    needed, level = knapsack_level(values, sizes, work)
    done, cost, lateness = 0.0, 0.0, 0.0
    for second in range(2):
        for i in range(length):
            n = second * length + i
            if values[n] < level:
                part = limit[i]
                done += sizes[n]
                cost += sizes[n] * values[n]
                if second:
                    share_kw[i] += part * (1.0 - power2)
                    continue
                share_kw[i] = part * (1.0 if sizes[length + i] == NO_MODE else power2)
                share_use[i] = part
                lateness += part * late if i >= due else 0.0
    n = 0
    while done < needed and n < 2 * length:
        if values[n] == level and sizes[n] > 0.0:
            share = min(1.0, (work - done) / sizes[n])
            i = n % length
            part = share * limit[i]
            done += share * sizes[n]
            cost += share * sizes[n] * level
            if n >= length:
                share_kw[i] += part * (1.0 - power2)
            else:
                share_kw[i] = part * (1.0 if sizes[length + i] == NO_MODE else power2)
                share_use[i] = part
                lateness += part * late if i >= due else 0.0
        n += 1
    return cost, lateness
