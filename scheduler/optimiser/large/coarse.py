"""Coarse slots first: a case with several slots merged into one is planned, and its prices and places start the fine one.

The coarse case is only a guide. Its slots hold the means of the fine ones, so neither its plan nor its bound says anything about
the fine case. What comes out does: places are laid on the fine grid and repaired there, and the bound is proven on the fine grid
by the lifted prices, because any prices prove one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import INTERRUPTIBLE, MALLEABLE, PIECED, RIGID, Case, IntArray, Solution
from scheduler.optimiser.large.curves import fastest, work_of
from scheduler.optimiser.large.decisions import owner_of
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.pieces import pieced, tables_of
from scheduler.optimiser.large.prepare import compile_kernels
from scheduler.optimiser.large.solve import LargeLimits, Outcome, never, silent, solve_case
from scheduler.optimiser.large.terms import Terms, terms_of
from scheduler.optimiser.large.warm import Warm, warm_of

LEAST_FACTOR = 2
"""Fewest slots that one coarse slot can be."""

COARSE_SHARE = 0.4
"""Share of the time for the coarse case."""

Mask = npt.NDArray[np.bool_]


def coarsen(case: Case, factor: int) -> Case:
    """``case`` with ``factor`` slots merged into one; jobs, entries, copies and sites keep their numbers.

    Powers and prices of a slot are means, so energies and their prices are kept in total; capacity and limits of import and
    export are the least of the merged slots. A job has ``ceil(p / factor)`` slots of work at a power that keeps its energy, and
    holds its resources in all of them. Its window is the whole coarse slots inside the fine one; where the job does not fit into
    them at some entry, the coarse slots that the fine one touches, into which it always fits. An entry whose fine window is too
    short for the job stays closed. Least lengths of pieces are rounded up, of pauses down: work and pieces of the coarse case are
    longer than those of the fine one.

    Args:
        case: the problem, ``T`` slots of ``dt`` hours.
        factor: slots that become one, at least 2; divides ``T``.

    Returns:
        A case of ``T / factor`` slots of ``factor * dt`` hours.

    Raises:
        ValueError: ``factor`` is below 2 or does not divide the number of slots.
    """
    if factor < LEAST_FACTOR:
        raise ValueError(f"a coarse slot is at least {LEAST_FACTOR} slots, not {factor}")
    if case.T % factor:
        raise ValueError(f"{case.T} slots cannot be merged {factor} at a time: {case.T % factor} would be left")

    def merged(array: FloatArray) -> FloatArray:
        return array.reshape(*array.shape[:-1], -1, factor)

    def mean(array: FloatArray) -> Any:
        return np.ascontiguousarray(merged(array).mean(axis=-1))

    def least(array: FloatArray) -> Any:
        return np.ascontiguousarray(merged(array).min(axis=-1))

    work = -(-case.p // factor)
    kept = case.p / np.maximum(1, factor * work)  # share of its coarse slots that a job works
    opens, closes = _windows(case, factor, work)
    first, last = case.dr_start // factor, -(-case.dr_end // factor)
    return replace(
        case,
        dt=case.dt * factor,
        cap=least(case.cap),
        **{name: mean(getattr(case, name)) for name in ("a", "pue", "ren", "pi", "po")},
        **{name: least(getattr(case, name)) for name in ("gmax", "emax")},
        dr_start=first,
        dr_end=last,
        dr_penalty=case.dr_penalty * (case.dr_end - case.dr_start) / np.maximum(1, factor * (last - first)),
        p=work,
        rel=case.rel // factor,
        dl=closes,
        ea=opens,
        soft=(case.soft + factor // 2) // factor,
        wt=case.wt * factor * np.where(case.typ == RIGID, 1.0, kept),
        pw=case.pw * kept,
        least_run=-(-case.least_run // factor),
        least_gap=case.least_gap // factor,
        rows=case.rows.merged(factor),
    )


def _windows(case: Case, factor: int, work: IntArray) -> tuple[IntArray, IntArray]:
    """First coarse slot of each entry, ``[N]``, and end of each job's window, ``[J]``, for jobs of ``work`` coarse slots."""
    owner = np.repeat(np.arange(case.J), np.diff(case.ep))
    fits = case.dl[owner] - case.ea >= case.p[owner]
    inside = case.dl[owner] // factor - -(-case.ea // factor)
    tight = np.bincount(owner, fits & (inside < work[owner]), case.J) > 0
    closes = np.where(tight, -(-case.dl // factor), case.dl // factor)
    opens = np.where(tight[owner], case.ea // factor, -(-case.ea // factor))
    return np.where(fits, opens, closes[owner]), closes


def fine_prices(case: Case, coarse: FloatArray, factor: int) -> FloatArray:
    """Prices of load for the slots of ``case`` from those of its coarse slots, EUR per kW and slot, ``[S, T]``.

    A coarse price is shared evenly among its slots and follows what the import price does within it.

    Args:
        case: the fine problem.
        coarse: prices of the coarse one, EUR per kW and coarse slot, ``[S, T / factor]``.
        factor: slots in a coarse slot.
    """
    paid = case.pi * case.pue * case.dt
    mean = np.repeat(paid.reshape(case.S, -1, factor).mean(axis=2), factor, axis=1)
    prices: FloatArray = np.repeat(coarse, factor, axis=1) / factor + paid - mean
    return prices


def lifted(case: Case, factor: int, dual: Dual, plan: Solution, names: tuple[str, ...] | None = None) -> Warm:
    """A warm start for ``case`` from a solve of ``coarsen(case, factor)``.

    Prices of a coarse slot become those of its slots; places become places of the fine grid (``fine_places``).

    Args:
        case: the fine problem.
        factor: slots in a coarse slot.
        dual: the price search of the coarse case.
        plan: its plan.
        names: of the jobs; their numbers when None.

    Raises:
        ValueError: not as many names as jobs, or two jobs have one name.
    """
    known = warm_of(dual.case, dual, plan, names)
    prices = fine_prices(case, known.lam, factor)
    places = fine_places(case, factor, dual.case, plan, prices)

    def spread(array: FloatArray) -> Any:
        return np.repeat(array, factor, axis=-1)

    return replace(
        known,
        dt=case.dt,
        lam=prices,
        mu=spread(known.mu) / factor,
        adder=spread(known.adder) / factor,
        row_adder=spread(known.row_adder) / factor,
        served=spread(known.served),
        run_ptr=places.run_ptr,
        run_slot=places.run_slot,
        run_full=places.run_full,
        run_eco=places.run_eco,
    )


def fine_places(case: Case, factor: int, coarse: Case, found: Solution, price: FloatArray) -> Solution:
    """The places ``found`` of the jobs of ``coarse`` on the grid of ``case``: in their windows, with their work.

    A rigid job starts where its run is cheapest within its coarse slots. An interruptible one takes the cheapest of their slots,
    one in pieces the cheapest legal pieces with as few slots outside of them as can be. A malleable one keeps its pace, less
    what rounding up added. Where the window cuts slots off, the nearest others of the window are taken. Capacity is kept except
    where that happens.

    Args:
        case: the fine problem.
        factor: slots in a coarse slot.
        coarse: ``coarsen(case, factor)``.
        found: places in it.
        price: by which slots are chosen, EUR per kW and slot, ``[S, T]``.

    Returns:
        Places of the same jobs at the same entries.
    """
    owner = owner_of(coarse, found)
    rigid = np.flatnonzero((found.choice >= 0) & (case.typ == RIGID))
    start = _rigid_starts(case, factor, coarse, found, rigid, price)
    parts = [_runs(rigid, start, case.p[rigid])]
    of, slot, full, eco = _spread_runs(case, factor, owner, found)
    pieces = case.typ[of] == INTERRUPTIBLE
    parts.append(_cheapest(case, of[pieces], slot[pieces], price[case.es[found.choice[of[pieces]]], slot[pieces]]))
    pace = case.typ[of] == MALLEABLE
    kept = (case.p / np.maximum(1, factor * coarse.p))[of[pace]]
    parts.append((of[pace], slot[pace], full[pace] * kept, eco[pace] * kept))
    terms = terms_of(case)
    for job in np.flatnonzero((found.choice >= 0) & (case.typ == PIECED)):
        parts.append(_pieces(case, terms, int(job), int(found.choice[job]), slot[of == job], price))
    made = _assembled(case, found.choice, parts)
    return _filled(case, factor, made, found)


Runs = tuple[IntArray, IntArray, FloatArray, FloatArray]
"""Job, slot and shares of the two modes of each run."""


def _rigid_starts(case: Case, factor: int, coarse: Case, found: Solution, jobs: IntArray, price: FloatArray) -> IntArray:
    """Cheapest first slot of each rigid job of ``jobs`` within its coarse slots, moved into its window."""
    if not len(jobs):
        return jobs
    earliest, latest = case.ea[found.choice[jobs]], case.dl[jobs] - case.p[jobs]
    begin = factor * found.run_slot[found.run_ptr[jobs]]
    low = np.clip(begin, earliest, latest)
    high = np.clip(begin + factor * coarse.p[jobs] - case.p[jobs], earliest, latest)
    total = np.concatenate([np.zeros((case.S, 1)), np.cumsum(price, axis=1)], axis=1)
    site = case.es[found.choice[jobs]]
    starts = np.stack([np.minimum(low + shift, high) for shift in range(factor)])
    cost = total[site, starts + case.p[jobs]] - total[site, starts]
    best: IntArray = starts[np.argmin(cost.round(12), axis=0), np.arange(len(jobs))]
    return best


def _runs(jobs: IntArray, start: IntArray, length: IntArray) -> Runs:
    """Runs of ``length`` slots in a row from ``start``, at full speed."""
    of = np.repeat(jobs, length)
    begin = np.repeat(start - (np.cumsum(length) - length), length)
    return of, begin + np.arange(len(of)), np.ones(len(of)), np.zeros(len(of))


def _spread_runs(case: Case, factor: int, owner: IntArray, found: Solution) -> Runs:
    """The slots of the coarse slots of all runs, those inside the windows only."""
    of = np.repeat(owner, factor)
    slot = np.repeat(factor * found.run_slot, factor) + np.tile(np.arange(factor), len(owner))
    full, eco = np.repeat(found.run_full, factor), np.repeat(found.run_eco, factor)
    inside = (slot >= case.ea[found.choice[of]]) & (slot < case.dl[of])
    return of[inside], slot[inside], full[inside], eco[inside]


def _cheapest(case: Case, of: IntArray, slot: IntArray, price: FloatArray) -> Runs:
    """Of the slots of each job as many as its work has, the cheapest, the earlier one where two cost the same."""
    order = np.lexsort((slot, price.round(12), of))
    of, slot = of[order], slot[order]
    count = np.bincount(of, minlength=case.J)
    rank = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)
    taken = rank < case.p[of]
    return of[taken], slot[taken], np.ones(int(taken.sum())), np.zeros(int(taken.sum()))


def _pieces(case: Case, terms: Terms, job: int, entry: int, near: IntArray, price: FloatArray) -> Runs:
    """The cheapest legal pieces of ``job`` at ``entry``, as many slots as can be among ``near``."""
    window = np.arange(case.ea[entry], case.dl[job])
    cost = price[case.es[entry], window]
    away = np.where(np.isin(window, near), 0.0, 1.0 + 2.0 * np.abs(cost).sum() + case.restart[job] * case.p[job])
    use = np.zeros(len(window))
    pieced(
        cost, away, window[0], case.p[job], case.T, 0.0, terms.run[job], terms.gap[job], terms.restart[job],
        np.zeros(len(window)), use, np.empty(len(window)), tables_of(terms),
    )  # fmt: skip
    slots = window[use > 0.0]
    return np.full(len(slots), job), slots, np.ones(len(slots)), np.zeros(len(slots))


def _assembled(case: Case, choice: IntArray, parts: list[Runs]) -> Solution:
    """A solution of runs in any order."""
    of, slot, full, eco = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((slot, of))
    ptr = np.concatenate(([0], np.cumsum(np.bincount(of, minlength=case.J)))).astype(np.int64)
    return Solution(choice.copy(), ptr, slot[order].astype(np.int64), full[order], eco[order])


def _filled(case: Case, factor: int, made: Solution, found: Solution) -> Solution:
    """``made`` with the work that its jobs lack in their own slots first, then in those of the window that are nearest."""
    owner = owner_of(case, made)
    done = np.bincount(owner, work_of(case, owner, made.run_full, made.run_eco), case.J)
    lacking = np.flatnonzero((made.choice >= 0) & (done < case.p - 1e-9))
    if not len(lacking):
        return made
    others = ~np.isin(owner, lacking)
    parts: list[Runs] = [(owner[others], made.run_slot[others], made.run_full[others], made.run_eco[others])]
    for job in lacking:
        own = slice(int(made.run_ptr[job]), int(made.run_ptr[job + 1]))
        full, eco = np.zeros(case.T), np.zeros(case.T)
        full[made.run_slot[own]], eco[made.run_slot[own]] = made.run_full[own], made.run_eco[own]
        window = np.arange(case.ea[made.choice[job]], case.dl[job])
        near = found.run_slot[found.run_ptr[job] : found.run_ptr[job + 1]] * factor + (factor - 1) / 2.0
        away = np.abs(window[:, None] - near[None, :]).min(axis=1)
        away[full[window] + eco[window] > 0.0] = -1.0
        _raise(case, int(job), full, eco, window[np.argsort(away, kind="stable")], float(case.p[job] - done[job]))
        slots = np.flatnonzero(full + eco > 0.0)
        parts.append((np.full(len(slots), job), slots, full[slots], eco[slots]))
    return _assembled(case, made.choice, parts)


def _raise(case: Case, job: int, full: FloatArray, eco: FloatArray, slots: IntArray, work: float) -> None:
    """Shares of ``slots``, one after the other, go towards the fastest mode until ``work`` more is done."""
    speed, all_full, all_eco = fastest(case, job)
    done = work_of(case, np.full(len(full), job), full, eco)
    for slot in slots:
        if work <= 1e-12:
            return
        most = speed - done[slot]
        if most <= 0.0:
            continue
        step = min(1.0, work / most)
        full[slot] += step * (all_full - full[slot])
        eco[slot] += step * (all_eco - eco[slot])
        work -= step * most


def solve_coarse_first(
    case: Case,
    limits: LargeLimits,
    factor: int,
    progress: Callable[[str], None] = silent,
    stop: Callable[[], bool] = never,
    seed: int = 0,
    names: tuple[str, ...] | None = None,
) -> Outcome:
    """Plan ``case`` with ``factor`` slots merged into one, then on its own slots from there.

    Args:
        case: the problem.
        limits: when to stop, both solves together.
        factor: slots that become one, at least 2; divides the number of slots.
        progress: told what happens.
        stop: asked often; True returns what there is.
        seed: of every random draw.
        names: of the jobs; their numbers when None.

    Returns:
        Plan and bound of ``case`` itself; its solve time has the coarse solve in it.

    Raises:
        ValueError: ``factor`` is below 2 or does not divide the number of slots.
        SolverError: the energy side could not be solved, in the solver's words.
    """
    compile_kernels()
    begun = time.perf_counter()
    coarse = coarsen(case, factor)
    progress(f"coarse: {coarse.T} slots of {60.0 * coarse.dt:g} min")
    first = solve_case(coarse, LargeLimits(COARSE_SHARE * limits.time_s, limits.gap), progress, stop, seed=seed, settle=False)
    warm = lifted(case, factor, first.dual, first.solution, names)
    spent = time.perf_counter() - begun
    progress(f"fine: {case.T} slots of {60.0 * case.dt:g} min")
    left = LargeLimits(max(0.0, limits.time_s - spent), limits.gap)
    found = solve_case(case, left, progress, stop, warm=warm, seed=seed, names=names)
    return replace(found, solve_s=found.solve_s + spent)
