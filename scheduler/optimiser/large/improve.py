"""Ruin and recreate (Schrimpf et al. 2000) with simulated annealing, on exact costs, in compiled code.

A few related jobs are taken out: neighbours at one site and time, or all jobs of one dataset with a fresh idea of which of its
copies to buy; then each is put in again where it costs least. Worse plans are accepted with the probability that the temperature
gives.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import NOBODY, Case, IntArray
from scheduler.optimiser.large.compiled import MAKES_ROOM, WITHIN
from scheduler.optimiser.large.groups import Classes
from scheduler.optimiser.large.insert import insert, scratch_of
from scheduler.optimiser.large.order import is_linked, is_needed, price_of_dropping_followers
from scheduler.optimiser.large.state import drop_followers, keep, put_back, recount, room_for_places, settle_peaks, take
from scheduler.optimiser.restrict import BoolArray

PUSH = 0.2
"""Share of the moves that push a large job to one of its sites."""

PUSH_FACTOR = 4
"""How many times more jobs may be in the way of such a job."""


PUSH_FIRST, LEVEL_FIRST = 1e11, 1e12
"""Parts of the keys by which jobs are put in: the pushed one first, but every job after those that it comes after."""

NEIGHBOURS = 0.5
"""Share of the moves of a job of a workflow that take out its neighbours in it, too."""

AIMED = 0.7
"""Share of the pushes that go where the fractional plan has the job (Danna, Rothberg and Le Pape 2005 for the idea)."""


class Datasets(NamedTuple):
    """Dataset of each job, or -1; jobs of each dataset and its copies, flattened with pointers."""

    of: IntArray
    jobs_ptr: IntArray
    jobs: IntArray
    copies_ptr: IntArray
    copies: IntArray


def datasets_of(case: Case, classes: Classes) -> Datasets:
    """Jobs and copies of each dataset."""
    of = classes.dataset[classes.of] if case.J else np.zeros(0, dtype=np.int64)
    count = int(max(of.max(initial=-1), case.md.max(initial=-1))) + 1
    order = np.argsort(np.where(of >= 0, of, 1 << 40), kind="stable")
    jobs = order[of[order] >= 0].astype(np.int64)
    copies = np.argsort(case.md, kind="stable").astype(np.int64)
    each = np.arange(count + 1)
    jobs_ptr, copies_ptr = (np.searchsorted(sets, each).astype(np.int64) for sets in (of[jobs], case.md[copies]))
    return Datasets(of, jobs_ptr, jobs, copies_ptr, copies)


class Likely(NamedTuple):
    """A fractional plan: class of each job, entries ``ep`` of each class with their shares ``y``, slots ``window`` with theirs.

    The entries of a class are those of each of its jobs, in the same order.
    """

    of: IntArray
    ep: IntArray
    window: IntArray
    y: FloatArray
    xu: FloatArray


class Aside(NamedTuple):
    """Room for the jobs that a round takes out, in which order they come back, and how they and the sites were before."""

    out: IntArray
    order: IntArray
    choice: IntArray
    length: IntArray
    own: FloatArray
    keys: FloatArray
    peak: FloatArray
    touched: BoolArray
    opened: IntArray


@njit(**WITHIN)
def _aim(jobs, likely, j):
    """Entry and slot of job ``j`` by chance, as likely as the fractional plan has it there."""
    k = likely.of[j]
    begin, total = likely.ep[k], 0.0
    for n in range(begin, likely.ep[k + 1]):
        total += likely.y[n]
    left, chosen = np.random.random() * total, begin
    for n in range(begin, likely.ep[k + 1]):
        if likely.y[n] > 0.0:
            chosen = n
            left -= likely.y[n]
            if left <= 0.0:
                break
    e = jobs.ep[j] + chosen - begin
    total = 0.0
    for i in range(likely.window[chosen], likely.window[chosen + 1]):
        total += likely.xu[i]
    left, slot = np.random.random() * total, 0
    for i in range(likely.window[chosen], likely.window[chosen + 1]):
        if likely.xu[i] > 0.0:
            slot = i - likely.window[chosen]
            left -= likely.xu[i]
            if left <= 0.0:
                break
    return e, jobs.ea[e] + slot


@njit(**MAKES_ROOM)
def construct(jobs, grid, state, order, guide, opened, longest):
    """Put every dropped job of ``order`` in, in that order (a job of a workflow after those that it comes after)."""
    scratch = scratch_of(jobs, longest)
    touched = np.zeros(len(grid.dc), dtype=np.bool_)
    for j in order:
        if state.choice[j] < 0:
            s = insert(jobs, grid, state, j, guide, 0.0, opened, scratch)
            if s >= 0:
                touched[s] = True
                settle_peaks(grid, state, touched)
                touched[s] = False
    recount(jobs, grid, state)


@njit(**MAKES_ROOM)
def relieve(jobs, grid, state, longest, tries):
    """Move jobs out of overloaded cells until there are none: in each cell the job whose best other place costs least more.

    ``grid`` has hard capacity. At most ``tries`` jobs of a cell are tried; a job without another place is dropped, at its price.
    Returns how many were moved.
    """
    scratch = scratch_of(jobs, longest)
    opened = np.zeros(max(1, len(jobs.mc)), dtype=np.int64)
    slot, kw, part = room_for_places(jobs, 1)
    touched = np.zeros(len(grid.dc), dtype=np.bool_)
    moved = 0
    for s in range(state.load.shape[0]):
        for t in range(state.load.shape[1]):
            for r in range(grid.cap.shape[0]):
                while state.use[r, s, t] > grid.cap[r, s, t] + 1e-7:
                    best, best_job, tried = np.inf, NOBODY, 0
                    for m in range(state.number[s] - 1, -1, -1):
                        j = state.members[s, m]
                        if jobs.res[j, r] <= 0.0 or tried >= tries:
                            continue
                        at, n = jobs.room[j], state.length[j]
                        here = False
                        for q in range(n):
                            here = here or state.slot[at + q] == t
                        if not here:
                            continue
                        tried += 1
                        before, entry, own, peak = state.total[0], state.choice[j], state.own[j], state.peak[s]
                        keep(jobs, state, j, slot[0], kw[0], part[0])
                        take(jobs, grid, state, j)
                        insert(jobs, grid, state, j, 0.3, 0.0, opened, scratch)
                        cost = state.total[0] - before
                        if state.choice[j] < 0:
                            cost += price_of_dropping_followers(jobs, state, j)
                        if state.choice[j] >= 0:
                            take(jobs, grid, state, j)
                        put_back(jobs, grid, state, j, entry, own, n, slot[0], kw[0], part[0])
                        state.total[0], state.peak[s] = before, peak
                        if cost < best:
                            best, best_job = cost, j
                    if best_job < 0:
                        break
                    take(jobs, grid, state, best_job)
                    to = insert(jobs, grid, state, best_job, 0.3, 0.0, opened, scratch)
                    touched[s] = True
                    if to >= 0:
                        touched[to] = True
                    else:
                        drop_followers(jobs, grid, state, best_job, touched)
                    settle_peaks(grid, state, touched)
                    touched[:] = False
                    moved += 1
    recount(jobs, grid, state)
    return moved


@njit(**MAKES_ROOM)
def anneal(
    jobs,
    grid,
    state,
    datasets,
    bought,
    likely,
    longest,
    rounds,
    hot,
    cold,
    seed,
    most_jobs,
    focus,
    eager,
):
    """``rounds`` of ruin and recreate at temperatures falling from ``hot`` to ``cold`` EUR; returns how many were accepted.

    Args:
        datasets: jobs and copies of each dataset.
        bought: fraction of each copy that the fractional plan buys.
        likely: where the fractional plan has each job.
        most_jobs: most jobs taken out at once.
        focus: jobs that are looked at more often (dropped, or in an overloaded cell); eager: how often.
    """
    np.random.seed(seed)
    sites, most = len(grid.dc), max(PUSH_FACTOR * most_jobs, 400)
    whole = np.empty((4, most), dtype=np.int64)
    aside = Aside(
        whole[0], whole[1], whole[2], whole[3], np.empty(most), np.empty(most), np.empty(sites), np.zeros(sites, dtype=np.bool_),
        np.zeros(max(1, len(bought)), dtype=np.int64),
    )  # fmt: skip
    places, scratch = room_for_places(jobs, most), scratch_of(jobs, longest)
    accepted = _anneal(
        jobs, grid, state, datasets, bought, likely, rounds, hot, cold, most_jobs, focus, eager, aside, places, scratch
    )
    recount(jobs, grid, state)
    return accepted


@njit(**WITHIN)
def _in_order(keys, order, n):
    """Fill ``order[:n]`` with ``0 .. n - 1`` by rising ``keys``."""
    for i in range(n):
        k = i - 1
        while k >= 0 and keys[order[k]] > keys[i]:
            order[k + 1] = order[k]
            k -= 1
        order[k + 1] = i


@njit(**WITHIN)
def _add(out, n, j):
    """Append ``j`` to ``out[:n]`` unless it is there or there is no room; returns the new number."""
    for i in range(n):
        if out[i] == j:
            return n
    if n < len(out):
        out[n] = j
        n += 1
    return n


@njit(**WITHIN)
def _with_neighbours(jobs, state, out, n, j, near):
    """Add the neighbours of ``j`` in its workflow when ``near``, and what is dropped and comes before any of ``out``."""
    links = jobs.links
    if near:
        for q in range(links.before_ptr[j], links.before_ptr[j + 1]):
            n = _add(out, n, links.before[q])
        for q in range(links.following_ptr[j], links.following_ptr[j + 1]):
            n = _add(out, n, links.following[q])
    i = 0
    while i < n:
        for q in range(links.before_ptr[out[i]], links.before_ptr[out[i] + 1]):
            if state.choice[links.before[q]] < 0:
                n = _add(out, n, links.before[q])
        i += 1
    return n


@njit(**WITHIN)
def _anneal(
    jobs, grid, state, datasets, bought, likely, rounds, hot, cold, most_jobs, focus, eager, aside, places, scratch
):  # fmt: skip
    """The rounds of ``anneal`` in room that others made."""
    dataset, data_ptr, data_jobs, copies_ptr, copies = datasets
    out, order, keep_choice, keep_length, keep_own, keys, keep_peak, touched, opened = aside
    keep_slot, keep_kw, keep_part = places
    n_jobs, sites = len(state.choice), len(grid.dc)
    accepted = 0
    cooling = (cold / hot) ** (1.0 / max(1, rounds))
    temperature = hot
    for _ in range(rounds):
        temperature *= cooling
        j0 = np.random.randint(n_jobs)
        if len(focus) and np.random.random() < eager:
            j0 = focus[np.random.randint(len(focus))]
        n = 0
        push = False
        kind = np.random.random()
        d = dataset[j0]
        if d >= 0 and kind < 0.2 and data_ptr[d + 1] - data_ptr[d] <= 60:
            for i in range(data_ptr[d], data_ptr[d + 1]):
                out[n] = data_jobs[i]
                n += 1
            for i in range(copies_ptr[d], copies_ptr[d + 1]):
                m = copies[i]
                chance = 0.15 + 0.7 * bought[m]
                draw = np.random.random()
                opened[m] = 1 if draw < chance else (-1 if np.random.random() < 0.5 else 0)
        else:
            push = np.random.random() < PUSH
            if push:  # the largest of three goes first into one of its sites, whoever is in its way there
                for _ in range(2):
                    j = np.random.randint(n_jobs)
                    if jobs.pw[j] * jobs.p[j] > jobs.pw[j0] * jobs.p[j0]:
                        j0 = j
            e0 = state.choice[j0]
            if e0 < 0 or push:
                span = jobs.ep[j0 + 1] - jobs.ep[j0]
                if span == 0:
                    continue
                if np.random.random() < AIMED:
                    e0, t0 = _aim(jobs, likely, j0)
                else:
                    e0 = jobs.ep[j0] + np.random.randint(span)
                    t0 = jobs.ea[e0] + np.random.randint(max(1, jobs.dl[j0] - jobs.ea[e0]))
            else:
                t0 = state.slot[jobs.room[j0] + np.random.randint(state.length[j0])]
            s = jobs.es[e0]
            wanted = 1 + np.random.randint(PUSH_FACTOR * most_jobs if push else most_jobs)
            out[0] = j0
            n = 1
            number = state.number[s]
            reach = np.random.randint(1, 13)
            if push:
                reach = max(reach, jobs.p[j0])
            if number > 0:
                at = np.random.randint(number)
                for look in range(min(number, 40 * wanted)):
                    j = state.members[s, (at + look) % number]
                    if n >= wanted:
                        break
                    if j == j0:
                        continue
                    first = state.slot[jobs.room[j]]
                    last = state.slot[jobs.room[j] + state.length[j] - 1]
                    if first <= t0 + reach and last >= t0 - reach:
                        out[n] = j
                        n += 1
        if is_linked(jobs, j0):
            n = _with_neighbours(jobs, state, out, n, j0, np.random.random() < NEIGHBOURS or state.choice[j0] < 0)
        before = state.total[0]
        for s in range(sites):
            touched[s] = False
            keep_peak[s] = state.peak[s]
        for i in range(n):
            j = out[i]
            keep_choice[i] = state.choice[j]
            if state.choice[j] >= 0:
                keep_length[i] = state.length[j]
                keep_own[i] = state.own[j]
                keep(jobs, state, j, keep_slot[i], keep_kw[i], keep_part[i])
                touched[jobs.es[state.choice[j]]] = True
                take(jobs, grid, state, j)
        settle_peaks(grid, state, touched)
        how = np.random.random()
        for i in range(n):
            j = out[i]
            if how < 0.35:
                keys[i] = np.random.random()
            elif how < 0.7:
                keys[i] = -jobs.res[j, 0] * jobs.p[j] * (0.7 + 0.6 * np.random.random())
            elif how < 0.85:
                keys[i] = -jobs.drop[j] / (jobs.pw[j] * jobs.p[j]) * (0.7 + 0.6 * np.random.random())
            else:
                keys[i] = (jobs.dl[j] - jobs.ea[jobs.ep[j]]) / max(1, jobs.p[j]) * (0.7 + 0.6 * np.random.random())
        if push:
            keys[0] = -PUSH_FIRST
        for i in range(n):
            keys[i] += LEVEL_FIRST * jobs.links.level[out[i]]
        guide = 0.0
        if np.random.random() < 0.3:
            guide = np.random.random()
        noise = 0.0
        if np.random.random() < 0.6:
            noise = 0.6 * np.random.random() ** 2
        _in_order(keys, order, n)
        for k in range(n):
            s = insert(jobs, grid, state, out[order[k]], guide, noise, opened, scratch)
            if s >= 0:
                touched[s] = True
        settle_peaks(grid, state, touched)
        if d >= 0:
            for i in range(copies_ptr[d], copies_ptr[d + 1]):
                opened[copies[i]] = 0
        change = state.total[0] - before
        for i in range(n):
            if state.choice[out[i]] < 0 and is_needed(jobs, state, out[i]):
                change = np.inf
        if change <= 0.0 or np.random.random() < np.exp(-change / temperature):
            accepted += 1
            continue
        for i in range(n):
            if state.choice[out[i]] >= 0:
                take(jobs, grid, state, out[i])
        for i in range(n):
            if keep_choice[i] >= 0:
                place = keep_slot[i], keep_kw[i], keep_part[i]
                put_back(jobs, grid, state, out[i], keep_choice[i], keep_own[i], keep_length[i], *place)
        for s in range(sites):
            state.peak[s] = keep_peak[s]
        state.total[0] = before
    return accepted
