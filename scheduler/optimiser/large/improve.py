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
from scheduler.optimiser.large.case import IntArray
from scheduler.optimiser.large.state import insert, put, recount, settle_peaks, take

PUSH = 0.2
"""Share of the moves that push a large job to one of its sites."""

PUSH_FACTOR = 4
"""How many times more jobs may be in the way of such a job."""


AIMED = 0.7
"""Share of the pushes that go where the fractional plan has the job (Danna, Rothberg and Le Pape 2005 for the idea)."""


class Likely(NamedTuple):
    """A fractional plan: class of each job, entries ``ep`` of each class with their shares ``y``, slots ``window`` with theirs.

    The entries of a class are those of each of its jobs, in the same order.
    """

    of: IntArray
    ep: IntArray
    window: IntArray
    y: FloatArray
    xu: FloatArray


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def construct(jobs, grid, state, order, guide, opened, longest):
    """Put every dropped job of ``order`` in, in that order."""
    reals, whole = np.empty((8, 2 * longest + 2)), np.empty(2 * longest + 2, dtype=np.int64)
    touched = np.zeros(len(grid.dc), dtype=np.bool_)
    for j in order:
        if state.choice[j] < 0:
            s = insert(jobs, grid, state, j, guide, 0.0, opened, (reals, whole))
            if s >= 0:
                touched[s] = True
                settle_peaks(grid, state, touched)
                touched[s] = False
    recount(jobs, grid, state)


@njit(cache=True, nogil=True)
def adopt(jobs, state, of, count, ep, entry, window, y, xk, xu, least):
    """Place the jobs that the fractional plan has at one entry for a share of at least ``least``, as it has them.

    Rigid: the start whose slots it uses most; interruptible: the slots that it uses most; malleable: its shares, scaled to the
    work. Only jobs that are alone in their class; what follows from the decisions is for ``recount``. Returns how many.
    """
    placed = 0
    for j in range(len(state.choice)):
        k = of[j]
        if count[k] > 1.5 or state.choice[j] >= 0:
            continue
        for e in range(ep[k], ep[k + 1]):
            if y[e] < least:
                continue
            n0, length, t0 = window[e], window[e + 1] - window[e], jobs.ea[entry[e]]
            at, work = jobs.room[j], jobs.p[j]
            late = 0.0
            if jobs.typ[j] == 0:
                total, best, start = 0.0, -1.0, -1
                for i in range(length):
                    total += xu[n0 + i]
                    if i >= work:
                        total -= xu[n0 + i - work]
                    if i >= work - 1 and total > best + 1e-9:
                        best, start = total, i - work + 1
                if start < 0:
                    break
                for i in range(work):
                    state.slot[at + i], state.kw[at + i], state.part[at + i] = t0 + start + i, 1.0, 1.0
                state.length[j] = work
                late = max(0, t0 + start + work - jobs.soft[j])
            elif jobs.typ[j] == 1:
                chosen = np.sort(np.argsort(-xu[n0 : n0 + length], kind="mergesort")[:work])
                if len(chosen) < work:
                    break
                for i in range(work):
                    t = t0 + chosen[i]
                    state.slot[at + i], state.kw[at + i], state.part[at + i] = t, 1.0, 1.0
                    if t >= jobs.soft[j]:
                        late += 1.0
                state.length[j] = work
            else:
                done, used = 0.0, 0
                saving = 1.0 - jobs.power2[j]
                for i in range(length):
                    if xu[n0 + i] > 1e-6:
                        second = (xu[n0 + i] - xk[n0 + i]) / saving if saving > 1e-12 else 0.0
                        done += xu[n0 + i] - second * (1.0 - jobs.speed2[j])
                        used += 1
                if done < 0.5 * work or used > jobs.room[j + 1] - at:
                    break
                scale = work / done
                fits = True
                n = 0
                for i in range(length):
                    if xu[n0 + i] > 1e-6:
                        share = xu[n0 + i] * scale
                        if share > 1.0:
                            fits = False
                        state.slot[at + n], state.kw[at + n], state.part[at + n] = t0 + i, xk[n0 + i] * scale, share
                        if t0 + i >= jobs.soft[j]:
                            late += share
                        n += 1
                if not fits:
                    break
                state.length[j] = n
            state.choice[j] = entry[e]
            state.own[j] = jobs.ec[entry[e]] + late * jobs.wt[j]
            placed += 1
            break
    return placed


@njit(cache=True, nogil=True)
def relieve(jobs, grid, state, longest, tries):
    """Move jobs out of overloaded cells until there are none: in each cell the job whose best other place costs least more.

    ``grid`` has hard capacity. At most ``tries`` jobs of a cell are tried; a job without another place is dropped, at its price.
    Returns how many were moved.
    """
    reals, whole = np.empty((8, 2 * longest + 2)), np.empty(2 * longest + 2, dtype=np.int64)
    opened = np.zeros(max(1, len(jobs.mc)), dtype=np.int64)
    width = 1
    for j in range(len(state.choice)):
        width = max(width, jobs.room[j + 1] - jobs.room[j])
    slot, kw, part = np.empty(width, dtype=np.int64), np.empty(width), np.empty(width)
    touched = np.zeros(len(grid.dc), dtype=np.bool_)
    moved = 0
    for s in range(state.load.shape[0]):
        for t in range(state.load.shape[1]):
            for r in range(grid.cap.shape[0]):
                while state.use[r, s, t] > grid.cap[r, s, t] + 1e-7:
                    best, best_job, tried = np.inf, -1, 0
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
                        for q in range(n):
                            slot[q], kw[q], part[q] = state.slot[at + q], state.kw[at + q], state.part[at + q]
                        take(jobs, grid, state, j)
                        insert(jobs, grid, state, j, 0.3, 0.0, opened, (reals, whole))
                        cost = state.total[0] - before
                        if state.choice[j] >= 0:
                            take(jobs, grid, state, j)
                        for q in range(n):
                            state.slot[at + q], state.kw[at + q], state.part[at + q] = slot[q], kw[q], part[q]
                        state.length[j] = n
                        put(jobs, grid, state, j, entry, own)
                        state.total[0], state.peak[s] = before, peak
                        if cost < best:
                            best, best_job = cost, j
                    if best_job < 0:
                        break
                    take(jobs, grid, state, best_job)
                    to = insert(jobs, grid, state, best_job, 0.3, 0.0, opened, (reals, whole))
                    touched[s] = True
                    if to >= 0:
                        touched[to] = True
                    settle_peaks(grid, state, touched)
                    touched[:] = False
                    moved += 1
    recount(jobs, grid, state)
    return moved


@njit(cache=True, nogil=True)
def anneal(
    jobs,
    grid,
    state,
    dataset,
    data_ptr,
    data_jobs,
    copies_ptr,
    copies,
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
        dataset: of each job, or -1; data_ptr, data_jobs: jobs of each dataset; copies_ptr, copies: its copies.
        bought: fraction of each copy that the fractional plan buys.
        likely: where the fractional plan has each job.
        most_jobs: most jobs taken out at once.
        focus: jobs that are looked at more often (dropped, or in an overloaded cell); eager: how often.
    """
    np.random.seed(seed)
    reals, whole = np.empty((8, 2 * longest + 2)), np.empty(2 * longest + 2, dtype=np.int64)
    scratch = (reals, whole)
    n_jobs, sites = len(state.choice), len(grid.dc)
    opened = np.zeros(max(1, len(bought)), dtype=np.int64)
    touched = np.zeros(sites, dtype=np.bool_)
    out = np.empty(max(PUSH_FACTOR * most_jobs, 400), dtype=np.int64)
    width = 0
    for j in range(n_jobs):
        width = max(width, jobs.room[j + 1] - jobs.room[j])
    keep_slot = np.empty((len(out), width), dtype=np.int64)
    keep_kw, keep_part = np.empty((len(out), width)), np.empty((len(out), width))
    keep_choice, keep_length = np.empty(len(out), dtype=np.int64), np.empty(len(out), dtype=np.int64)
    keep_own, keys = np.empty(len(out)), np.empty(len(out))
    keep_peak = np.empty(sites)
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
                at = jobs.room[j]
                for q in range(state.length[j]):
                    keep_slot[i, q] = state.slot[at + q]
                    keep_kw[i, q] = state.kw[at + q]
                    keep_part[i, q] = state.part[at + q]
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
            keys[0] = -np.inf
        guide = 0.0
        if np.random.random() < 0.3:
            guide = np.random.random()
        noise = 0.0
        if np.random.random() < 0.6:
            noise = 0.6 * np.random.random() ** 2
        for i in np.argsort(keys[:n]):
            s = insert(jobs, grid, state, out[i], guide, noise, opened, scratch)
            if s >= 0:
                touched[s] = True
        settle_peaks(grid, state, touched)
        if d >= 0:
            for i in range(copies_ptr[d], copies_ptr[d + 1]):
                opened[copies[i]] = 0
        change = state.total[0] - before
        if change <= 0.0 or np.random.random() < np.exp(-change / temperature):
            accepted += 1
            continue
        for i in range(n):
            if state.choice[out[i]] >= 0:
                take(jobs, grid, state, out[i])
        for i in range(n):
            if keep_choice[i] >= 0:
                j = out[i]
                at = jobs.room[j]
                state.length[j] = keep_length[i]
                for q in range(keep_length[i]):
                    state.slot[at + q] = keep_slot[i, q]
                    state.kw[at + q] = keep_kw[i, q]
                    state.part[at + q] = keep_part[i, q]
                put(jobs, grid, state, j, keep_choice[i], keep_own[i])
        for s in range(sites):
            state.peak[s] = keep_peak[s]
        state.total[0] = before
    recount(jobs, grid, state)
    return accepted
