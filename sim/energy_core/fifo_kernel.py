"""First come, first served in compiled code: an event loop over jobs on nodes that idle and sleep.

Jobs get their nodes strictly in the order of submission: who is at the head of the queue waits until one kind of node has enough free
ones, and all others wait behind it. So one pass over the jobs is enough, with a heap of the ends of what runs; a job costs the
logarithm of the number of jobs that run. Free nodes of a kind lie on a stack, so the node that became free last is taken first and
the others sleep on.

Times are seconds after the start, powers kW of IT.
"""

from __future__ import annotations

import numpy as np
from numba import njit

FREE, HELD = 0, 1
"""Whose power changes: nodes that no job holds, nodes that one does (which may still be waking up)."""


@njit(cache=True, nogil=True)
def _push(heap_end, heap_job, size, end, job):
    """Put a job into the heap of ends (ties: the job that came first); returns its new size."""
    i = size
    while i > 0:
        up = (i - 1) >> 1
        if heap_end[up] < end or (heap_end[up] == end and heap_job[up] < job):
            break
        heap_end[i], heap_job[i] = heap_end[up], heap_job[up]
        i = up
    heap_end[i], heap_job[i] = end, job
    return size + 1


@njit(cache=True, nogil=True)
def _pop(heap_end, heap_job, size):
    """Take the first end out of the heap; returns its new size."""
    size -= 1
    end, job = heap_end[size], heap_job[size]
    i = 0
    while True:
        c = 2 * i + 1
        if c >= size:
            break
        if c + 1 < size and (heap_end[c + 1] < heap_end[c] or (heap_end[c + 1] == heap_end[c] and heap_job[c + 1] < heap_job[c])):
            c += 1
        if end < heap_end[c] or (end == heap_end[c] and job < heap_job[c]):
            break
        heap_end[i], heap_job[i] = heap_end[c], heap_job[c]
        i = c
    if size > 0:
        heap_end[i], heap_job[i] = end, job
    return size


@njit(cache=True, nogil=True)
def _note(when, change, whose, m, at, by, who):
    """Write down that power changes ``by`` kW ``at`` an instant; returns the number of changes."""
    if by != 0.0:
        when[m], change[m], whose[m] = at, by, who
        m += 1
    return m


@njit(cache=True, nogil=True)
def _rest(when, change, whose, m, since, until, idle, after, asleep, down_s, down):
    """Write down where a free node's power departs from idling; returns the number of changes and the power at the end."""
    if until <= since + after:
        return m, idle
    m = _note(when, change, whose, m, since + after, down - idle, FREE)
    last = down
    if until > since + after + down_s:
        m = _note(when, change, whose, m, since + after + down_s, asleep - down, FREE)
        last = asleep
    return _note(when, change, whose, m, until, idle - last, FREE), last


@njit(cache=True, nogil=True)
def fifo(
    submission, width, duration, kw, count, idle, after, asleep, down_s, down, up_s, up, least_end,
    granted, started, ended, kind, own_kwh, released, when, change, whose,
):  # fmt: skip
    """Run all jobs; every one of them must fit on some kind (the caller looks).

    Args:
        submission: ascending, s ``[n]``; width: nodes of each job ``[n]``.
        duration: run time by kind, s ``[n, kinds]``, infinite where the job may not run; kw: power of one node that runs it, same shape.
        count, idle, after, asleep, down_s, down, up_s, up: of each kind (``nodes.NodeKind``, ``nodes.Sleep``), ``[kinds]``; ``after``
            infinite: never sleeps.
        least_end: nodes are accounted for at least until then, s.
        granted: filled, when it gets its nodes; started: when the last of them is awake; ended, s ``[n]``; kind: filled ``[n]``.
        own_kwh: filled, IT energy of its nodes from granted to ended ``[n]``.
        released: filled, the jobs in the order in which they end ``[n]``.
        when, change, whose: filled, where power departs from what it would be if free nodes idled and held ones worked, in no order:
            s, kW, FREE or HELD.

    Returns:
        (number of changes, end of the account in s).
    """
    n, kinds = duration.shape
    nodes = int(count.sum())
    first = np.zeros(kinds + 1, np.int64)
    for k in range(kinds):
        first[k + 1] = first[k] + count[k]
    stack = np.arange(nodes)[::-1].copy()
    for k in range(kinds):  # the lowest number on top
        for i in range(count[k]):
            stack[first[k] + i] = first[k + 1] - 1 - i
    free = count.copy()
    since, ready = np.zeros(nodes), np.zeros(nodes)
    following = np.full(nodes, -1, np.int64)
    chain = np.full(n, -1, np.int64)
    heap_end, heap_job = np.empty(n), np.empty(n, np.int64)
    size, m, gone, clock, last = 0, 0, 0, 0.0, least_end
    for j in range(n + 1):
        now = max(submission[j], clock) if j < n else np.inf  # after the last job, everything ends
        found = -1
        while True:
            while size > 0 and heap_end[0] <= now:
                done, end = heap_job[0], heap_end[0]
                size = _pop(heap_end, heap_job, size)
                released[gone] = done
                gone += 1
                node, k = chain[done], kind[done]
                while node >= 0:
                    since[node] = end
                    stack[first[k] + free[k]] = node
                    free[k] += 1
                    node = following[node]
            if j == n:
                break
            for k in range(kinds):
                if duration[j, k] < np.inf and free[k] >= width[j]:
                    found = k
                    break
            if found >= 0:
                break
            now = heap_end[0]
        if j == n:
            break
        k, clock = found, now
        begin, energy = now, 0.0
        for _ in range(width[j]):
            free[k] -= 1
            node = stack[first[k] + free[k]]
            following[node], chain[j] = chain[j], node
            m, power = _rest(when, change, whose, m, since[node], now, idle[k], after[k], asleep[k], down_s[k], down[k])
            ready[node] = now
            if now > since[node] + after[k]:
                lies = max(now, since[node] + after[k] + down_s[k])
                m = _note(when, change, whose, m, now, power if lies > now else up[k], HELD)
                if lies > now:
                    m = _note(when, change, whose, m, lies, up[k] - power, HELD)
                    energy += power * (lies - now)
                ready[node] = lies + up_s[k]
                m = _note(when, change, whose, m, ready[node], -up[k], HELD)
                energy += up[k] * up_s[k]
            begin = max(begin, ready[node])
        node = chain[j]
        while node >= 0:  # nodes that are awake wait for the others
            if ready[node] < begin:
                m = _note(when, change, whose, m, ready[node], idle[k], HELD)
                m = _note(when, change, whose, m, begin, -idle[k], HELD)
                energy += idle[k] * (begin - ready[node])
            node = following[node]
        end = begin + duration[j, k]
        if begin > now:
            m = _note(when, change, whose, m, now, -width[j] * kw[j, k], HELD)
            m = _note(when, change, whose, m, begin, width[j] * kw[j, k], HELD)
        granted[j], started[j], ended[j], kind[j] = now, begin, end, k
        own_kwh[j] = (energy + width[j] * kw[j, k] * duration[j, k]) / 3600.0
        size = _push(heap_end, heap_job, size, end, j)
        last = max(last, end)
    for k in range(kinds):
        for i in range(free[k]):
            node = stack[first[k] + i]
            m, _ = _rest(when, change, whose, m, since[node], last, idle[k], after[k], asleep[k], down_s[k], down[k])
    return m, last


@njit(cache=True, nogil=True)
def course(
    granted, ended, released, kind, width, kw, count, idle, when, change, whose, last, edges, held_kw, free_kw, held, first, after,
):  # fmt: skip
    """The course of power of a run, from its grants and ends (each in order of time) and its departures, in one pass.

    Args:
        granted, ended, released, kind: as ``fifo`` filled them; width, kw, count, idle: as it took them.
        when, change, whose: departures in order of time.
        last: end of the account, s.
        edges: filled, instants from 0 to ``last``; held_kw, free_kw: filled, power of held and free nodes from each to the next one;
            held: filled, number of held nodes; first, after: filled, the pieces of each job, half-open ``[n]``.

    Returns:
        Number of pieces.
    """
    n, m = len(granted), len(when)
    free = count.copy()
    apart = np.zeros(2)
    working, taken, now = 0.0, 0, 0.0
    i, r, x, p = 0, 0, 0, 0
    while True:
        while i < n and granted[i] <= now:
            free[kind[i]] -= width[i]
            first[i] = p
            taken += width[i]
            working += width[i] * kw[i, kind[i]]
            i += 1
        while r < i and ended[released[r]] <= now:
            j = released[r]
            free[kind[j]] += width[j]
            after[j] = p
            taken -= width[j]
            working -= width[j] * kw[j, kind[j]]
            r += 1
        if taken == 0:
            working = 0.0  # no rounding is carried on
        while x < m and when[x] <= now:
            apart[whose[x]] += change[x]
            x += 1
        following = last
        if i < n:
            following = min(following, granted[i])
        if r < i:
            following = min(following, ended[released[r]])
        if x < m:
            following = min(following, when[x])
        if now >= last:
            edges[p] = last
            return p
        idling = apart[FREE]
        for k in range(len(count)):
            idling += free[k] * idle[k]
        edges[p], held_kw[p], free_kw[p], held[p] = now, max(0.0, working + apart[HELD]), max(0.0, idling), taken
        p += 1
        now = following
