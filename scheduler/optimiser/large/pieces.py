"""Best response of a job that runs in pieces: none shorter than a least run, pauses of a least gap, a price of every restart.

A dynamic programme over the slots of a window and the work done (the textbook's knapsack by work, for example Wolsey 1998,
*Integer Programming*, chapter 5; least runs and gaps as those of a generator in Frangioni and Gentile 2006). With ``c[t]`` the
price of slot ``t``, ``w`` the slots of work done, ``run`` and ``gap`` the least lengths:

    running[t, w] = min(running[t - 1, w - 1] + c[t - 1],
                        ready[t - run, w - run] + c[t - run] + ... + c[t - 1] + (restart where w > run))
    ready[t, w]   = min(ready[t - 1, w], running[t - gap, w]),   ready[0, 0] = 0

``running[t]`` is the least cost of a piece, long enough already, whose last slot is right before ``t``; ``ready[t]`` that of
being free to begin one in slot ``t``. A piece begins with all its ``run`` slots at once, so none is too short, not even the
last one. The answer is the least ``running[t, work]``. Time and memory are slots of the window times slots of work, a byte each
for the way back.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import NOBODY
from scheduler.optimiser.large.compiled import FAST, MAKES_ROOM, WITHIN

BEGAN, PAUSED = np.uint8(1), np.uint8(2)
"""Marks of the way back: a piece of least length ends here; a pause of least length ends here."""

ByteArray = npt.NDArray[np.uint8]


class Tables(NamedTuple):
    """Room for a response in pieces: costs of states, and the way back."""

    reals: FloatArray
    marks: ByteArray


@njit(**MAKES_ROOM)
def tables_of(terms):
    """Room for the longest response in pieces of the jobs of ``terms``."""
    return Tables(np.empty(terms.reals), np.empty(terms.marks, dtype=np.uint8))


@njit(**WITHIN, error_model="numpy")
def _go_on(before, price, running, marks):
    """The piece goes on for one more slot of work."""
    for i in range(len(running)):
        running[i] = before[i] + price
        marks[i] = 0


@njit(**WITHIN, error_model="numpy")
def _begin(ready, block, running, marks):
    """A piece of least length ends here where that costs less."""
    for i in range(len(running)):
        fresh = ready[i] + block
        better = fresh < running[i]
        running[i] = fresh if better else running[i]
        marks[i] = 1 if better else 0


@njit(**WITHIN, error_model="numpy")
def _wait(running, kept, before, paused, ready, marks):
    """Keep what runs for the pause after it; wait for another slot, or end a pause of least length here where that costs less."""
    for i in range(len(ready)):
        kept[i] = running[i]
        better = paused[i] < before[i]
        ready[i] = paused[i] if better else before[i]
        marks[i] |= 2 if better else 0


@njit(**FAST, error_model="numpy")
def pieced(kw_price, use_price, first, work, soft, late, run, gap, restart, share_kw, share_use, values, tables):
    """Best response of a job in pieces in a window; returns (cost, lateness and restarts in it), infinite when it does not fit.

    Args:
        kw_price, use_price: EUR per slot, of power and of resources; a slot whose ``use_price`` is infinite is closed.
        first: slot of the horizon at which the window begins; work: slots of work.
        soft, late: due slot, and price of each slot at or after it.
        run, gap: least length of a piece and of a pause, slots, at least 1; restart: EUR for each piece after the first.
        share_kw, share_use: filled, as long as the window.
        values: scratch as long as the window; tables: of ``tables_of``, large enough for this job.
    """
    length, due, fewer = len(kw_price), soft - first, work - run
    share_kw[:] = 0.0
    share_use[:] = 0.0
    if fewer < 0 or work > length:
        return np.inf, 0.0
    for i in range(length):
        values[i] = kw_price[i] + use_price[i] + (late if i >= due else 0.0)
    gap = min(gap, length)
    width, narrow = work + 1, fewer + 1
    back, ahead, begins, pauses = tables.reals[:width], tables.reals[width : 2 * width], 2 * width, 2 * width + (run + 1) * narrow
    tables.reals[: pauses + (gap + 1) * narrow] = np.inf
    tables.reals[begins] = 0.0
    best, end = np.inf, NOBODY
    block, open_ = 0.0, 0
    for t in range(1, length + 1):
        price = values[t - 1]
        least, most = max(0, work - (length - t)), min(work, t)  # less cannot be made up for, more cannot be done
        one = max(1, least)
        marks = tables.marks[t * width : (t + 1) * width]
        ahead[least] = np.inf
        marks[least] = 0
        if price < np.inf:
            open_ += 1
            block = block + price if open_ > 1 else price
            block -= values[t - 1 - run] if open_ > run else 0.0
            _go_on(back[one - 1 : most], price, ahead[one : most + 1], marks[one : most + 1])
        else:
            open_ = 0
            ahead[one : most + 1] = np.inf
            marks[one : most + 1] = 0
        if open_ >= run:
            row = begins + (t - run) % (run + 1) * narrow
            if least <= run:
                _begin(tables.reals[row : row + 1], block, ahead[run : run + 1], marks[run : run + 1])
            low = max(run + 1, least)
            if low <= most:
                ready = tables.reals[row + low - run : row + most - run + 1]
                _begin(ready, block + restart, ahead[low : most + 1], marks[low : most + 1])
        row, before = begins + t % (run + 1) * narrow, begins + (t - 1) % (run + 1) * narrow
        here, then = pauses + t % (gap + 1) * narrow, pauses + (t - gap) % (gap + 1) * narrow
        low, high = least, min(most, fewer)
        if low <= high:
            _wait(
                ahead[low : high + 1], tables.reals[here + low : here + high + 1], tables.reals[before + low : before + high + 1],
                tables.reals[then + low : then + high + 1], tables.reals[row + low : row + high + 1], marks[low : high + 1],
            )  # fmt: skip
        if most == work and ahead[work] < best - 1e-15:
            best, end = ahead[work], t
        back, ahead = ahead, back
    if end < 0:
        return np.inf, 0.0
    return _way_back(tables.marks, width, end, work, run, gap, due, late, restart, values, share_kw, share_use)


@njit(**WITHIN, error_model="numpy")
def _way_back(marks, width, end, work, run, gap, due, late, restart, values, share_kw, share_use):
    """Shares of the job that ends before slot ``end``, and what they cost."""
    t, done, running, own = end, work, True, 0.0
    while done > 0:
        mark = marks[t * width + done]
        if not running:
            running = mark & PAUSED != 0
            t -= gap if running else 1
            continue
        stay = mark & BEGAN == 0
        begin = t - (1 if stay else run)
        share_kw[begin:t] = 1.0
        share_use[begin:t] = 1.0
        done -= t - begin
        t = begin
        running = stay
        own += restart if not stay and done > 0 else 0.0
    cost = own
    for i in range(end):
        cost += values[i] * share_use[i] if share_use[i] > 0.0 else 0.0
        own += late if share_use[i] > 0.0 and i >= due else 0.0
    return cost, own
