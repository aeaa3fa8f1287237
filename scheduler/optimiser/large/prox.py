"""The energy side of one site in compiled code: what it serves and at which price, for a load that is wanted.

For multipliers ``lam`` (EUR per kW of IT and slot) and a wanted load ``q`` it minimises, exactly but for the peak level that is given,

    energy cost - lam . served + rho / 2 |served - q|^2

Sources of a slot are steps of rising price: export given up (``po``), sun and wind (0), import (``pi``, above an event's limit with
its penalty), load unserved. The battery moves energy between slots: within a stretch in which the state of charge meets no bound
its energy has one value ``theta``; charging pays up to ``theta * eta_c - wear / 2`` and discharging earns from ``theta / eta_d +
wear / 2``. Stretches are found by solving the whole horizon, fixing the state of charge where it leaves its bounds most, and solving
both parts again (optimal for separable convex costs: Schoot Uiterkamp, Hurink and Gerards 2021, resource allocation with nested
bounds).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from scheduler.optimiser.large.compiled import FAST, MAKES_ROOM, WITHIN

STEPS = 8
"""Most steps of a slot: curtailment, export twice, import three times, unserved."""


@njit(**FAST)
def supply_steps(dt, ren, gmax, emax, pi, po, limit, penalty, unserved, over_peak, peak, width, value):
    """Steps of a slot by rising price; returns (number of steps, supply below the first one).

    Args:
        dt: hours; ren, gmax, emax: kW; pi, po, penalty, unserved: EUR/kWh; limit: of an event on import minus export, kW (infinite:
            none); over_peak: EUR/kWh on import above ``peak`` kW.
        width, value: filled, kW and EUR/kWh.
    """
    n = 0
    edges = width  # at most five; a step overwrites none that is still needed
    edges[0], edges[1], edges[2] = -emax, 0.0, gmax
    count = 3
    for edge in (limit, peak):
        if -emax < edge < gmax and edge != 0.0:
            edges[count] = edge
            count += 1
    for i in range(1, count):
        edge, k = edges[i], i - 1
        while k >= 0 and edges[k] > edge:
            edges[k + 1] = edges[k]
            k -= 1
        edges[k + 1] = edge
    high = edges[0]
    for i in range(count - 1):
        low, high = high, edges[i + 1]
        if high > low:
            middle = 0.5 * (low + high)
            v = pi if middle > 0.0 else po
            if middle > limit:
                v += penalty
            if middle > peak:
                v += over_peak
            width[n], value[n] = high - low, v
            n += 1
    if ren > 0.0:
        width[n], value[n] = ren, 0.0
        n += 1
    width[n], value[n] = 1e9, unserved
    n += 1
    for i in range(1, n):  # insertion sort, stable
        w, v = width[i], value[i]
        k = i - 1
        while k >= 0 and value[k] > v:
            width[k + 1], value[k + 1] = width[k], value[k]
            k -= 1
        width[k + 1], value[k + 1] = w, v
    return n, -emax


@njit(**WITHIN)
def _clear(n, base, width, value, a, pue, dt, lam, rho, q, most, charge, discharge, buy, sell):
    """Price at which a slot clears, its served load and battery power (charging positive), as (price, load, battery)."""
    supply = base - charge
    previous = -1e18
    i = 0
    charge_done, discharge_done = charge <= 0.0, discharge <= 0.0
    while True:
        v, w, kind = 1e18, 0.0, 0
        if i < n:
            v, w = value[i], width[i]
        if not charge_done and buy < v:
            v, w, kind = buy, charge, 1
        if not discharge_done and sell < v:
            v, w, kind = sell, discharge, 2
        wanted = q + (lam - v * pue * dt) / rho
        served = min(most, max(0.0, wanted))
        demand = a + pue * served
        if demand <= supply:
            served = min(most, max(0.0, (supply - a) / pue))
            price = (lam - rho * (served - q)) / (pue * dt)
            price = min(v, max(previous, price))
            battery = (0.0 if charge_done else charge) - (discharge if discharge_done and discharge > 0.0 else 0.0)
            return price, served, battery
        if demand <= supply + w or (kind == 0 and i == n - 1):
            part = demand - supply
            battery = (0.0 if charge_done else charge) - (discharge if discharge_done and discharge > 0.0 else 0.0)
            if kind:
                battery -= part
            return v, served, battery
        supply += w
        previous = v
        if kind == 0:
            i += 1
        elif kind == 1:
            charge_done = True
        else:
            discharge_done = True


@njit(**WITHIN)
def _stretch(
    i0, i1, theta, steps, base, width, value, a, pue, dt, lam, rho, q, most, pc, pd, eta_c, eta_d, wear, price, served, battery
):
    """Clear the slots ``[i0, i1)`` at one value of stored energy; returns the energy stored, kWh."""
    stored = 0.0
    buy, sell = theta * eta_c - wear / 2.0, theta / eta_d + wear / 2.0
    if sell < buy:
        sell = buy
    for t in range(i0, i1):
        price[t], served[t], battery[t] = _clear(
            steps[t], base[t], width[t], value[t], a[t], pue[t], dt, lam[t], rho, q[t], most[t], pc, pd, buy, sell
        )
        stored += dt * (battery[t] * eta_c if battery[t] > 0.0 else battery[t] / eta_d)
    return stored


@njit(**MAKES_ROOM)
def serve_site(
    dt, a, pue, steps, base, width, value, energy, floor, pc, pd, eta_c, eta_d, wear, soc0, soc_end, lam, rho, q, most, price,
    served, battery,
):  # fmt: skip
    """Serve a site over the horizon; fills ``price`` (EUR/kWh of facility), ``served`` (kW of IT) and ``battery`` (kW)."""
    slots = len(a)
    if energy <= 0.0:
        for t in range(slots):
            price[t], served[t], battery[t] = _clear(
                steps[t], base[t], width[t], value[t], a[t], pue[t], dt, lam[t], rho, q[t], most[t], 0.0, 0.0, 0.0, 0.0
            )
        return
    price2, served2, battery2 = np.empty(slots), np.empty(slots), np.empty(slots)
    low_soc = min(floor, soc0)
    stack = [(0, slots, soc0, soc_end)]
    while len(stack) > 0:
        i0, i1, start, end = stack.pop()
        target = end - start
        low, high, bottom, top = -2.0, 8.0, -2.0, 8.0
        stored_low = stored_high = 0.0
        while True:
            for _ in range(26):
                theta = 0.5 * (low + high)
                stored = _stretch(
                    i0, i1, theta, steps, base, width, value, a, pue, dt, lam, rho, q, most, pc, pd, eta_c, eta_d, wear, price, served, battery
                )  # fmt: skip
                if stored >= target:
                    high = theta
                else:
                    low = theta
                if abs(stored - target) < 1e-7:
                    low = high = theta
                    break
            if high == top and top < 1e5:  # stored energy is worth more than any value tried so far
                low, high, top = top, 10.0 * top, 10.0 * top
            elif low == bottom and bottom > -1e5:
                low, high, bottom = 10.0 * bottom, bottom, 10.0 * bottom
            else:
                break
        stored_low = _stretch(
            i0, i1, low, steps, base, width, value, a, pue, dt, lam, rho, q, most, pc, pd, eta_c, eta_d, wear, price2, served2, battery2
        )  # fmt: skip
        stored_high = _stretch(
            i0, i1, high, steps, base, width, value, a, pue, dt, lam, rho, q, most, pc, pd, eta_c, eta_d, wear, price, served, battery
        )  # fmt: skip
        if stored_high - stored_low > 1e-12:
            mix = min(1.0, max(0.0, (target - stored_low) / (stored_high - stored_low)))
            for t in range(i0, i1):
                served[t] = mix * served[t] + (1.0 - mix) * served2[t]
                battery[t] = mix * battery[t] + (1.0 - mix) * battery2[t]
                price[t] = mix * price[t] + (1.0 - mix) * price2[t]
        soc, worst, at, bound = start, 1e-6, -1, 0.0
        for t in range(i0, i1 - 1):
            soc += dt * (battery[t] * eta_c if battery[t] > 0.0 else battery[t] / eta_d)
            if soc - energy > worst:
                worst, at, bound = soc - energy, t + 1, energy
            if low_soc - soc > worst:
                worst, at, bound = low_soc - soc, t + 1, low_soc
        if at >= 0:
            stack.append((i0, at, start, bound))
            stack.append((at, i1, bound, end))


@njit(**MAKES_ROOM)
def serve(
    dt, a, pue, ren, gmax, emax, pi, po, limit, penalty, unserved, peak, over_peak, energy, floor, pc, pd, eta_c, eta_d, wear, soc0,
    soc_end, lam, rho, q, most, price, served, battery, peak_value,
):  # fmt: skip
    """Serve every site; also fills ``peak_value``, EUR per kW of more peak, ``[S]`` (to compare with its price)."""
    sites, slots = a.shape
    width, value = np.empty((slots, STEPS)), np.empty((slots, STEPS))
    steps, base = np.empty(slots, dtype=np.int64), np.empty(slots)
    for s in range(sites):
        for t in range(slots):
            steps[t], base[t] = supply_steps(
                dt, ren[s, t], gmax[s, t], emax[s, t], pi[s, t], po[s, t], limit[s, t], penalty[s, t], unserved[s], over_peak[s],
                peak[s], width[t], value[t],
            )  # fmt: skip
        serve_site(
            dt, a[s], pue[s], steps, base, width, value, energy[s], floor[s], pc[s], pd[s], eta_c[s], eta_d[s], wear[s], soc0[s],
            soc_end[s], lam[s], rho[s], q[s], most[s], price[s], served[s], battery[s],
        )  # fmt: skip
        peak_value[s] = 0.0
        for t in range(slots):
            if peak[s] < gmax[s, t]:
                at = pi[s, t] + (penalty[s, t] if peak[s] > limit[s, t] else 0.0)
                peak_value[s] += dt * max(0.0, min(price[s, t], at + over_peak[s]) - at)


@njit(**MAKES_ROOM)
def grid_powers(
    dt, a, pue, ren, gmax, emax, pi, po, limit, penalty, unserved, peak, over_peak, served, battery, grid
):  # fmt: skip
    """Fill ``grid`` (``[2, S, T]`` kW) with import and export of an answer of ``serve``, whose arguments these are."""
    width, value = np.empty(STEPS), np.empty(STEPS)
    for s in range(a.shape[0]):
        for t in range(a.shape[1]):
            n, base = supply_steps(
                dt, ren[s, t], gmax[s, t], emax[s, t], pi[s, t], po[s, t], limit[s, t], penalty[s, t], unserved[s], over_peak[s],
                peak[s], width, value,
            )  # fmt: skip
            net = a[s, t] + pue[s, t] * served[s, t] + battery[s, t]
            left = net - base
            for i in range(n):
                take = min(max(left, 0.0), width[i])
                if width[i] >= 1e9 or (value[i] == 0.0 and width[i] == ren[s, t]):
                    net -= take
                left -= take
            grid[0, s, t] = min(max(net, 0.0), gmax[s, t])
            grid[1, s, t] = min(max(-net, 0.0), emax[s, t])
