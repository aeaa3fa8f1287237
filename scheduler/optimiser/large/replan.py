"""Planning again from a warm start: prices near where they were, jobs where they were.

The price search begins at the earlier prices with the earlier plan as its fractional plan, so a few sweeps are enough. The search
for a plan begins at the earlier plan: what no longer fits is moved, what is new is put in. That is soon done, and enough after
little news. After more, such a plan is at rest far from the best one (decision 0025): where there is time, prices are driven to
where they belong now, and the plan goes once more through soft limits, without their softest and hottest part.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from scheduler.optimiser.large.case import MALLEABLE, Case, IntArray, Solution
from scheduler.optimiser.large.cells import Grid, flexible, grid_of
from scheduler.optimiser.large.decisions import load_and_use, own_costs, owner_of
from scheduler.optimiser.large.dual import HEAD_START, Dual
from scheduler.optimiser.large.energy import EnergyBlock, feeder_sites
from scheduler.optimiser.large.improve import construct
from scheduler.optimiser.large.links import by_level, kept_in_order
from scheduler.optimiser.large.primal import Primal
from scheduler.optimiser.large.resettle import resettle
from scheduler.optimiser.large.respond import EPS
from scheduler.optimiser.large.row_prices import from_adders
from scheduler.optimiser.large.state import recount
from scheduler.optimiser.large.warm import Warm

ENOUGH_KEPT = 0.5
"""Share of the jobs that must have kept their place for the earlier plan to be a start; below it the plan is made afresh."""

PASSES = 6
"""Passes over all jobs with soft capacity."""

SOFT_SHARE = 0.6
"""Most of the time for them."""

LOOSE = 10.0
"""Factor on the price of overload in the first of them; it rises to ``Tuning.tight``."""

BUMP = 0.2
"""How much of an overload's price becomes lasting after each of them."""

FLEX = 0.3
"""Part of a battery's power that may leave its schedule in them."""

LEAST_GAIN = 0.02
"""What a job must save to leave its place in a pass, as a share of the mean cost of a job: less is not worth a changed plan."""

JUDGEMENTS_KEPT = 3.0
"""Time that is kept free at the end, in judgements."""

EXACT_HOT, EXACT_COLD = 0.001, 0.0002
"""Temperatures of the search from there on, as shares of the mean cost of a job."""

PRICE_SHARE = 0.15
"""Share of the time left then for better prices."""

LEFT_OUT = 0.2
"""Share of the tracked phase that a plan carried over does not go through again."""

TRACKED, CLEANS = 0.75, 4.0
"""``Tuning.tracked`` and ``Tuning.cleans`` of a plan carried over: there is a plan already."""

NEARLY = 1.5
"""Up to how many times the asked gap a plan carried over only cools down first, for as long as carrying over took."""

SOFTEN = 1.5
"""How many times as long as carrying over there must be left for soft limits: with less the plan only cools down."""

MOST_BROKEN = 0.001
"""Share of the facility energy of kept jobs that rows may leave unserved for the earlier plan to be a start.

Passes over single jobs know what rows leave to each site, but not what a kW is worth to the others: where much has to move, a
search that begins with soft limits does better.
"""


def start_prices(dual: Dual, warm: Warm, placed: Solution) -> None:
    """Prices of ``warm`` and the places ``placed`` as the fractional plan, with the bound that these prices prove.

    Raises:
        ValueError: the grids differ.
    """
    case = dual.case
    if not warm.fits(case):
        raise ValueError(f"a warm start needs the same sites, slots and resources: {warm.mu.shape} against {case.cap.shape}")
    dual.lam, dual.mu = warm.lam.copy(), warm.mu.copy()
    dual.mean_lam, dual.mean_mu = warm.lam.copy(), warm.mu.copy()
    dual.served, dual.peak = warm.served.copy(), np.maximum(case.pk0, warm.peak)
    dual.adder, dual.nu = warm.adder.copy(), warm.nu.copy()
    dual.row_price = from_adders(case.rows, warm.row_adder)
    dual.mean_row_price = dual.row_price.copy()
    dual.best = (dual.lam.copy(), dual.mu.copy())
    dual.head_start = HEAD_START
    _fractional(dual, placed)
    dual.evaluate(dual.lam, dual.mu)


def _fractional(dual: Dual, placed: Solution) -> None:
    """The places of jobs as shares of their classes, and the load, use, own costs and copies that follow."""
    case, k = dual.case, dual.classes
    runs = placed.choice >= 0
    jobs = np.flatnonzero(runs)
    entry = k.ep[k.of[jobs]] + placed.choice[jobs] - case.ep[jobs]  # entries of a class are those of each of its jobs
    owner = owner_of(case, placed)
    full, eco, slot = placed.run_full, placed.run_eco, placed.run_slot
    kw, use = full + case.power2[owner] * eco, full + eco
    entry_of = np.full(case.J, -1, dtype=np.int64)
    entry_of[jobs] = entry
    at = k.window[entry_of[owner]] + slot - case.ea[placed.choice[owner]]
    np.add.at(dual.xk, at, kw)
    np.add.at(dual.xu, at, use)
    np.add.at(dual.y, entry, 1.0)
    np.add.at(dual.dropx, k.of[jobs], -1.0)
    np.add.at(dual.own, k.of[jobs], own_costs(case, placed)[jobs])
    dual.load, dual.use = load_and_use(case, placed)
    copies = np.unique(case.em[placed.choice[jobs]])
    dual.bought[copies[copies >= 0]] = 1.0


def breaks_rows(case: Case, placed: Solution) -> bool:
    """Whether rows leave so much of the load of ``placed`` unserved that it is no start."""
    if not len(case.rows):
        return False
    load, dark_kw = load_and_use(case, placed)[0], 0.0
    for sites in feeder_sites(case):
        block = EnergyBlock(case, sites, np.full(load.shape, np.inf), feeders=True)
        dark_kw += float((block.fix_load(load)[1]["unserved"] - block.fix_load(np.zeros_like(load))[1]["unserved"]).sum())
    return dark_kw > MOST_BROKEN * float((case.pue * load).sum())


def lay(primal: Primal, placed: Solution) -> None:
    """The places ``placed`` as the state of the search.

    Jobs that have too little room for their slots are left out, those that no longer come after what they wait for, and those
    for whose copies a site has no volume any more.
    """
    case, jobs = primal.case, primal.jobs
    count = np.diff(placed.run_ptr)
    placed = replace(placed, choice=_with_room_for_copies(case, placed.choice))
    placed = replace(placed, choice=kept_in_order(case, placed, np.diff(jobs.room)))
    runs = placed.choice >= 0
    owner = np.repeat(np.arange(case.J), count)
    kept = runs[owner]
    index = (jobs.room[owner] + np.arange(len(owner)) - placed.run_ptr[owner])[kept]
    slot, kw, part = np.zeros_like(primal.state.slot), np.zeros_like(primal.state.kw), np.zeros_like(primal.state.part)
    second = np.where(case.typ[owner] == MALLEABLE, placed.run_eco, 0.0)
    slot[index] = placed.run_slot[kept]
    kw[index] = (placed.run_full + case.power2[owner] * second)[kept]
    part[index] = (placed.run_full + second)[kept]
    length = np.where(runs, count, 0).astype(np.int64)
    primal.lay_out((np.where(runs, placed.choice, -1).astype(np.int64), length, slot, kw, part))


def _with_room_for_copies(case: Case, choice: IntArray) -> IntArray:
    """``choice`` without the jobs of copies for which their sites have no volume; copies with most readers are kept first."""
    copy = np.where(choice >= 0, case.em[np.maximum(choice, 0)], -1) if len(case.em) else np.full(case.J, -1)
    readers = np.bincount(copy[copy >= 0], minlength=len(case.mc))
    left, gone = case.gbmax.copy(), np.zeros(len(case.mc) + 1, dtype=bool)  # the last: no copy
    for m in np.argsort(-readers, kind="stable"):
        if readers[m] and case.mgb[m] > left[case.ms[m]] + EPS:
            gone[m] = True
        elif readers[m]:
            left[case.ms[m]] -= case.mgb[m]
    kept: IntArray = np.where(gone[copy], -1, choice)
    return kept


def carry_over(
    primal: Primal, placed: Solution, end: float, done: Callable[[], bool], report: Callable[[str], None], seed: int = 0
) -> None:
    """A first plan without overload from the places ``placed``, in a part of the time until ``end`` (of ``time.perf_counter``).

    Jobs without a place are put in where capacity is soft, all jobs are looked at again and again while it hardens, and what is
    still overloaded is repaired. When every job has a place, the plan as it was is judged first, so it is never made worse.
    """
    lay(primal, placed)
    begun, primal.deadline = time.perf_counter(), end
    if (primal.state.choice >= 0).all():
        primal.judge("plan in force", report)
    rng = np.random.default_rng(seed)
    soft_end = begun + SOFT_SHARE * max(0.0, end - begun)
    hard, step = 0.0, 1.0 / (PASSES - 1)
    while True:
        before = time.perf_counter()
        _soft_pass(primal, hard, rng)
        now = time.perf_counter()
        if hard >= 1.0 or done() or now + (now - before) > soft_end:
            break
        left = max(1.0, (soft_end - now) // max(1e-6, now - before))
        hard = min(1.0, hard + max(step, (1.0 - hard) / left))
    primal.repair()
    made = primal.judge("plan carried over", report)
    if (primal.unserved_now(), made) > primal.rank:
        primal.lay_out(primal.best)


def begin_again(
    primal: Primal,
    placed: Solution,
    end: float,
    spare: float,
    done: Callable[[float], bool],
    report: Callable[[str], None],
    seed: int = 0,
) -> bool:
    """Carry the places ``placed`` over, and drive prices when there is time for soft limits until ``end``; whether there is.

    Args:
        primal: the search, at the earlier prices.
        placed: the earlier places.
        end: of ``time.perf_counter``.
        spare: seconds before ``end`` at which carrying over is done at the latest.
        done: whether somebody asked to stop or the plan is within so many times the asked gap.
        report: told what happens.
        seed: of the order in which jobs are looked at.
    """

    def enough() -> bool:
        return done(1.0)

    begun = time.perf_counter()
    carry_over(primal, placed, end - spare, enough, report, seed)
    now = time.perf_counter()
    carried = now - begun
    if not enough() and done(NEARLY):
        refine(primal, min(end, now + carried), enough, report, seed)
        now = time.perf_counter()
    if enough() or end - now < SOFTEN * carried:
        return False
    primal.dual.run(now + PRICE_SHARE * (end - now), enough)
    return True


def go_on(
    primal: Primal, end: float, done: Callable[[], bool], report: Callable[[str], None], seed: int = 0, *, soften: bool
) -> None:
    """Improve the plan carried over until ``end``, through soft limits when ``soften``."""
    if soften:
        through_soft_limits(primal, end, done, report)
    else:
        refine(primal, end, done, report, seed)


def through_soft_limits(primal: Primal, end: float, done: Callable[[], bool], report: Callable[[str], None]) -> None:
    """Improve the plan carried over through soft limits at the prices of now until ``end`` (of ``time.perf_counter``).

    The last judgement and the finish are within the time: what they take is measured and kept free.
    """
    before = time.perf_counter()
    primal.judge("", None)
    keep = JUDGEMENTS_KEPT * (time.perf_counter() - before)
    primal.served, primal.peak = primal.dual.served.copy(), primal.dual.peak.copy()
    primal.deadline, primal.tuning = end - keep, replace(primal.tuning, tracked=TRACKED, cleans=CLEANS)
    primal.both_phases(end - keep, done, report, LEFT_OUT)


def refine(primal: Primal, end: float, done: Callable[[], bool], report: Callable[[str], None], seed: int = 0) -> None:
    """Improve the plan as it stands until ``end`` (of ``time.perf_counter``) or ``done()``, capacity hard.

    The last judgement and the finish are within the time: what they take is measured and kept free.
    """
    before = time.perf_counter()
    if before >= end or done():
        return
    primal.judge("", None)
    keep = JUDGEMENTS_KEPT * (time.perf_counter() - before)
    _hard_passes(primal, np.random.default_rng(seed), end - keep, done)
    usual = primal.tuning
    primal.tuning = replace(usual, exact_hot=EXACT_HOT, exact_cold=EXACT_COLD)
    primal.exact(end - keep, done, report)
    primal.tuning = usual


def _soft_pass(primal: Primal, hard: float, rng: np.random.Generator) -> None:
    """A pass with soft capacity: batteries answer, jobs without a place are put in, all others are looked at.

    ``hard``: 0 where overload is cheap, 1 where it is dearest.
    """
    case, tune = primal.case, primal.tuning
    tight = LOOSE * (tune.tight / LOOSE) ** hard
    if hard > 0.0:
        primal.mu = primal.mu + np.maximum(0.0, primal.state.use - case.cap) * (primal.stiffness * tight)[:, :, None] * BUMP
    primal.answer(tune.stiff)
    grid = _grid(primal, FLEX, tight)
    recount(primal.jobs, grid, primal.state)
    size = (case.res / np.maximum(1e-9, case.res.max(axis=0, initial=0.0))).sum(axis=1) * case.p
    waiting = by_level(primal.jobs.links, np.argsort(-size, kind="stable"))
    waiting = waiting[primal.state.choice[waiting] < 0]
    opened = np.zeros(max(1, len(case.mc)), dtype=np.int64)
    construct(primal.jobs, grid, primal.state, waiting, 0.0, opened, primal.dual.longest)
    resettle(primal.jobs, grid, primal.state, rng.permutation(case.J), 0.0, primal.dual.longest, LEAST_GAIN * primal.scale)


def trial_pass(primal: Primal) -> None:
    """Every compiled function of these passes once."""
    _soft_pass(primal, 0.0, np.random.default_rng(0))


def _hard_passes(primal: Primal, rng: np.random.Generator, end: float, done: Callable[[], bool]) -> None:
    """Passes with hard capacity, each for the batteries of the judgement before it, while there is time and they find something.

    The last of a few is the third: the exact phase goes on from there.
    """
    took = 0.0
    for guide in (1.0, 0.0, 1.0):
        before = time.perf_counter()
        if done() or before + took >= end:
            return
        grid = _grid(primal, FLEX, 0.0)
        recount(primal.jobs, grid, primal.state)
        moved = resettle(
            primal.jobs, grid, primal.state, rng.permutation(primal.case.J), guide, primal.dual.longest, LEAST_GAIN * primal.scale
        )
        primal.judge("passed", None)
        took = time.perf_counter() - before
        if not moved:
            return


def _grid(primal: Primal, flex: float, tight: float) -> Grid:
    """Cells that cost what their supply costs, with overload at a price (hard when ``tight`` is 0)."""
    dual, case = primal.dual, primal.case
    battery, theta, adder = primal.priced
    grid = grid_of(
        primal.case_for_moves(), flexible(case, battery, theta, flex), dual.events.limit, dual.events.penalty, primal.mu, adder
    )
    return grid._replace(stiff=primal.stiffness * tight)
