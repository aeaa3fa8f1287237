"""What a cell (site and slot) costs at a load, in compiled code: tracked, or by the steps of its supply.

Costs by steps are exact for a given value of stored energy within the room that the battery is given. A ``Grid`` does not change while
jobs are moved.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import Case, IntArray
from scheduler.optimiser.large.compiled import FAST, MAKES_ROOM, WITHIN
from scheduler.optimiser.large.prox import STEPS, supply_steps

PEAK_SHARE = 0.4
"""Share of the peak charge that one slot above the peak is thought to cost when a place is chosen (several may share it)."""


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


def grid_of(case: Case, flex: Flex, limit: FloatArray, penalty: FloatArray, mu: FloatArray, adder: FloatArray) -> Grid:
    """Steps of supply of every cell, with a battery that may leave its schedule a little at the value of stored energy.

    ``adder``: on the price of import and on the worth of export, EUR per kW and slot, ``[2, S, T]``, or ``[S, T]`` where both are
    the same.
    """
    buy, sell = np.broadcast_to(adder / case.dt, (2, case.S, case.T))
    shape = (case.S, case.T)
    width, value = np.zeros((*shape, STEPS + 2)), np.zeros((*shape, STEPS + 2))
    imports, steps, base = np.zeros((*shape, STEPS + 2)), np.zeros(shape, dtype=np.int64), np.zeros(shape)
    _all_steps(
        case.dt, case.ren, case.gmax, case.emax, case.pi + buy, case.po + sell, limit, penalty, case.unserved,
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


@njit(**WITHIN)
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


@njit(**MAKES_ROOM)
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


@njit(**FAST)
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
