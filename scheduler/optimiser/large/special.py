"""Best responses of jobs on terms of their own: in pieces, or on a power-cap curve.

On a curve (modes ``k`` with ``speed[k]`` and ``power[k]``) a slot costs ``power[k] * kw_price + use_price`` in mode ``k``. Its
cheapest ways to do more and more work are the lower convex hull of these points and of doing nothing: increments of rising cost
per work, each along one edge of the hull. As with two modes (``respond``) the response is a continuous knapsack over the
increments of all slots, taken in the order of cost per work (Dantzig 1957), the last of them in part.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from scheduler.optimiser.large.case import PIECED
from scheduler.optimiser.large.compiled import FAST, WITHIN
from scheduler.optimiser.large.pieces import pieced
from scheduler.optimiser.large.respond import TIE, knapsack_level


@njit(**FAST, error_model="numpy")
def special(kind, j, terms, kw_price, use_price, limit, first, work, soft, late, share_kw, share_use, values, tables):
    """``respond.respond`` for a job ``j`` whose ``terms.special`` is set; all arrays but ``values`` are as long as the window."""
    if kind == PIECED:
        return pieced(
            kw_price, use_price, first, work, soft, late, terms.run[j], terms.gap[j], terms.restart[j], share_kw, share_use,
            values, tables,
        )  # fmt: skip
    speed, power = terms.speed[j, : terms.modes[j]], terms.power[j, : terms.modes[j]]
    return curved(kw_price, use_price, limit, first, work, soft, late, speed, power, share_kw, share_use, tables)


@njit(**WITHIN, error_model="numpy")
def _hull(price, base, speed, power, at, cost, kw):
    """Lower convex hull of doing nothing and all modes; fills work, cost and power of its corners, returns the last corner."""
    top = 0
    at[0], cost[0], kw[0] = 0.0, 0.0, 0.0
    for k in range(len(speed)):
        x, y = speed[k], power[k] * price + base
        if x - at[top] <= TIE:
            if y >= cost[top]:
                continue
            top -= 1
        while top > 0:
            before = (cost[top] - cost[top - 1]) / (at[top] - at[top - 1])
            after = (y - cost[top]) / (x - at[top])
            if before < after - TIE * abs(after):
                break
            top -= 1
        top += 1
        at[top], cost[top], kw[top] = x, y, power[k]
    return top


@njit(**FAST, error_model="numpy")
def curved(kw_price, use_price, limit, first, work, soft, late, speed, power, share_kw, share_use, tables):
    """Best response of a malleable job on a curve in a window; returns (cost, lateness in it), infinite when it does not fit.

    Args:
        kw_price, use_price, first, work, soft, late: as for ``respond.respond``.
        limit: largest share of each slot that the job may take.
        speed, power: of each mode, rising speed.
        share_kw, share_use: filled, as long as the window.
        tables: of ``tables_of``, large enough for this job.
    """
    length, modes, due, possible = len(limit), len(speed), soft - first, 0.0
    size = modes * length
    values, sizes, more = tables.reals[:size], tables.reals[size : 2 * size], tables.reals[2 * size : 3 * size]
    corner = tables.reals[3 * size : 3 * size + 3 * (modes + 1)]
    at, cost, kw = corner[: modes + 1], corner[modes + 1 : 2 * (modes + 1)], corner[2 * (modes + 1) :]
    share_kw[:] = 0.0
    share_use[:] = 0.0
    values[:] = np.inf
    sizes[:] = 0.0
    for i in range(length):
        if use_price[i] < np.inf and limit[i] > 0.0:
            top = _hull(kw_price[i], use_price[i] + (late if i >= due else 0.0), speed, power, at, cost, kw)
            for k in range(top):
                n = k * length + i
                work_more = at[k + 1] - at[k]
                values[n] = (cost[k + 1] - cost[k]) / work_more
                sizes[n] = limit[i] * work_more
                more[n] = kw[k + 1] - kw[k]
            possible += limit[i] * at[top]
    if possible < work - 1e-9:
        return np.inf, 0.0
    needed, level = knapsack_level(values, sizes, work)
    done, total, lateness = 0.0, 0.0, 0.0
    for last in range(2):
        for n in range(size):
            part = 0.0
            if last == 0 and values[n] < level:
                part = 1.0
            elif last == 1 and values[n] == level and done < needed:
                part = min(1.0, (work - done) / sizes[n])
            if part > 0.0:
                i = n % length
                done += part * sizes[n]
                total += part * sizes[n] * values[n]
                share_kw[i] += part * limit[i] * more[n]
                if n < length:
                    share_use[i] = part * limit[i]
                    lateness += part * limit[i] * late if i >= due else 0.0
    return total, lateness
