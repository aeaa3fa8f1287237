"""Prices of the rows that sites share (``rows``), and what of their room each site may count on while jobs are moved.

The price of a row rises while the energy side's answer breaks it, and falls while it has room (the method of multipliers again:
with the answer held near the load by ``rho``, a step is what would close the excess of that row alone). So rows need no
programme of their own to find prices; the bound has them inside its linear programme, whatever these prices are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.prox import grid_powers
from scheduler.optimiser.large.rows import SharedRows

if TYPE_CHECKING:
    from scheduler.optimiser.large.case import Case


STEP = 0.5
"""Share of the step of a row's price that would close its excess alone: jobs and batteries answer too."""


def driven(
    rows: SharedRows, price: FloatArray, grid_kw: FloatArray, pue: FloatArray, rho: FloatArray, share: float = STEP
) -> FloatArray:
    """Prices of the rows a step on, ``[Q]`` EUR per unit and slot, not negative.

    Args:
        rows: the rows.
        price: their prices so far.
        grid_kw: import and export of the energy side's last answer, ``[2, S, T]``.
        pue: facility kW per IT kW, ``[S, T]``.
        rho: stiffness of the answer, EUR per kW of IT, per kW and slot, ``[S]``.
        share: of the step that would close the excess of a row if it were alone in its slot and no battery answered.
    """
    excess = rows.left_side(grid_kw[0], grid_kw[1]) - rows.limit
    slot = rows.slot[rows.row]
    weight = np.maximum(np.abs(rows.imports), np.abs(rows.exports))
    gives = rows.total((weight * pue[rows.site, slot]) ** 2 / np.maximum(rho[rows.site], 1e-12))
    active = (price > 0.0) | (excess > 0.0)
    beside = np.maximum(1.0, np.bincount(rows.slot[active], minlength=pue.shape[1]))[rows.slot]
    found: FloatArray = np.maximum(0.0, price + share * excess / (np.maximum(gives, 1e-12) * beside))
    return found


def from_adders(rows: SharedRows, adder: FloatArray) -> FloatArray:
    """Prices of the rows, ``[Q]``, that come nearest to what earlier ones added, ``[2, S, T]``, slot by slot (least squares)."""
    from scipy.optimize import nnls

    price, sites = np.zeros(len(rows)), adder.shape[1]
    order = np.argsort(rows.slot, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(rows.slot[order])) + 1 if len(order) else []):
        wanted = adder[:, :, rows.slot[part[0]]].ravel() if len(part) else np.zeros(0)
        if not wanted.any():
            continue
        weights = np.zeros((len(wanted), len(part)))
        for column, q in enumerate(part):
            terms = slice(int(rows.ptr[q]), int(rows.ptr[q + 1]))
            weights[rows.site[terms], column] = rows.imports[terms]
            weights[sites + rows.site[terms], column] = -rows.exports[terms]
        price[part] = nnls(weights, wanted)[0]
    return price


def limits_for_moves(
    case: Case, load: FloatArray, battery: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Import and export that each site may count on while jobs are moved, ``[S, T]`` kW each, for the plan as it stands.

    Jobs of all sites together keep a row when each site stays at or below its part of it. Where a row has room, its sites share
    what is left, by chance, so that each gets much of it now and then; where the plan breaks it, what jobs draw is cut in equal
    proportion. Weights below zero (more import there makes room) are taken as they are.

    Args:
        case: the problem.
        load: IT power of the jobs, ``[S, T]`` kW.
        battery: battery power, charging positive, ``[S, T]`` kW.
        rng: draws the shares.
    """
    rows = case.rows
    slot, of = rows.slot[rows.row], rows.row
    here = rows.site, slot
    idle = case.a + battery - case.ren
    net = idle + case.pue * load
    powers = [
        (np.clip(sign * net, 0.0, most), np.clip(sign * idle, 0.0, most)) for sign, most in ((1, case.gmax), (-1, case.emax))
    ]
    weights = (rows.imports, rows.exports)
    terms = [(weight * now[here], weight * rest[here]) for weight, (now, rest) in zip(weights, powers, strict=True)]
    whole, least = (rows.total(sum((term[k] for term in terms), np.zeros(len(of)))) for k in (0, 1))
    inside = least <= rows.limit
    base = np.where(inside, least, 0.0)
    part = np.clip((rows.limit - base) / np.maximum(whole - base, 1e-12), 0.0, 1.0)[of]
    chance = rng.random(len(of)) ** 2 + 1e-3
    room = (np.maximum(0.0, rows.limit - whole) / np.maximum(rows.total(chance), 1e-12))[of] * chance
    kept = np.where(inside, 1.0, 0.0)[of]
    found = []
    for weight, most, (now, rest) in zip(weights, (case.gmax, case.emax), powers, strict=True):
        start = kept * rest[here]
        allowed = np.where(
            whole[of] > rows.limit[of], start + part * (now[here] - start), now[here] + room / np.maximum(weight, 1e-12)
        )
        bound, used = most.copy(), weight > 0.0
        np.minimum.at(bound, (rows.site[used], slot[used]), np.maximum(0.0, allowed[used]))
        found.append(bound)
    return found[0], found[1]


def answer_kw(
    case: Case, events: tuple[FloatArray, FloatArray], peak: FloatArray, over_peak: FloatArray, adder: FloatArray,
    served: FloatArray, battery: FloatArray,
) -> FloatArray:  # fmt: skip
    """Import and export of the energy side's answer, ``[2, S, T]`` kW, at the prices at which it was given.

    Args:
        case: the problem.
        events: limit, kW, and penalty, EUR/kWh, that hold in each slot, ``[S, T]`` each.
        peak: import above which the peak charge counts, kW, ``[S]``.
        over_peak: what is asked above it, EUR/kWh, ``[S]``.
        adder: on the price of import and the worth of export, EUR per kW and slot, ``[2, S, T]``.
        served: IT power served, kW, ``[S, T]``.
        battery: its power, charging positive, kW, ``[S, T]``.
    """
    grid = np.empty((2, *served.shape))
    grid_powers(
        case.dt, case.a, case.pue, case.ren, case.gmax, case.emax, case.pi + adder[0] / case.dt, case.po + adder[1] / case.dt,
        *events, case.unserved, peak, over_peak, served, battery, grid,
    )  # fmt: skip
    return grid
