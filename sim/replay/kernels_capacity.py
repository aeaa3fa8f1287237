"""Compiled placing of jobs that share a machine: a queue with or without backfilling, and first or cheapest fit in slots.

Jobs come in order of arrival. ``width`` and ``machines`` count processors. See ``kernels`` for what a signal is and why each file is
self-contained.
"""

from __future__ import annotations

import heapq

import numpy as np

import scheduler.optimiser.large  # noqa: F401 - says where compiled code is kept; must come before numba
from numba import njit


@njit(cache=True, nogil=True)
def shadow(need, free, now, running):
    """When ``need`` processors will be free if nothing else begins, and how many more there are then."""
    order = sorted(running)
    total = free
    for end, width in order:
        total += width
        if total >= need:
            return max(end, now), total - need
    return np.inf, 0.0


@njit(cache=True, nogil=True)
def queued(arrival, length, width, machines, backfill):
    """Begin of each job in a queue in order of arrival, ``[n]``.

    With ``backfill`` (EASY): when the first in the queue has to wait, a later one that fits now begins if it ends before the first can
    begin, or leaves it enough processors.
    """
    jobs = len(arrival)
    begins = np.full(jobs, np.nan)
    running = [(np.inf, 0.0)]
    running.clear()
    queue = [0]
    queue.clear()
    free, coming = machines, 0
    while coming < jobs or len(queue) > 0:
        now = arrival[coming] if coming < jobs else np.inf
        if len(running) > 0:
            now = min(now, running[0][0])
        while len(running) > 0 and running[0][0] <= now:
            free += heapq.heappop(running)[1]
        while coming < jobs and arrival[coming] <= now:
            queue.append(coming)
            coming += 1
        head = 0
        while head < len(queue) and width[queue[head]] <= free:
            job = queue[head]
            begins[job] = now
            free -= width[job]
            heapq.heappush(running, (now + length[job], width[job]))
            head += 1
        kept = queue[head:]
        if backfill and len(kept) > 1 and free > 0.0:
            until, extra = shadow(width[kept[0]], free, now, running)
            rest = [kept[0]]
            for position in range(1, len(kept)):
                job = kept[position]
                ends = now + length[job] <= until
                if width[job] <= free and (ends or width[job] <= extra):
                    begins[job] = now
                    free -= width[job]
                    heapq.heappush(running, (now + length[job], width[job]))
                    if not ends:
                        extra -= width[job]
                else:
                    rest.append(job)
            kept = rest
        queue = kept
    return begins


@njit(cache=True, nogil=True)
def blocked(first, last, width, machines, used):
    """The last slot in ``[first, last)`` without room for ``width`` processors, or -1."""
    for slot in range(last - 1, first - 1, -1):
        if used[slot] + width > machines + 1e-9:
            return slot
    return -1


@njit(cache=True, nogil=True)
def area(moment, start, step, values, prefix):
    """Integral of the signal from its start to ``moment`` (as in ``kernels``; numba's cache wants it in this file)."""
    count = len(values)
    if moment <= start:
        return 0.0
    if moment >= start + step * count:
        return prefix[count]
    index = min(int((moment - start) // step), count - 1)
    return prefix[index] + values[index] * (moment - start - index * step)


@njit(cache=True, nogil=True)
def cheapest_fit(order, arrival, length, latest, width, machines, zero, slot_s, used, start, step, values, prefix):
    """Begin of each job of ``order`` at its cheapest moment with room, in that order, ``[len(order)]``; takes its slots in ``used``.

    Tried are the arrival and every slot edge up to ``latest``; when none has room, the first edge afterwards that has (the job is late
    then). A run holds every slot that it touches, whole. ``used`` counts processors a slot from Unix second ``zero`` on.
    """
    begins = np.empty(len(order))
    for position in range(len(order)):
        job = order[position]
        a, run = arrival[job], length[job]
        best_at, best = np.nan, np.inf
        edge = int((a - zero) // slot_s)
        at = a
        while at <= latest[job] or np.isnan(best_at):
            first = int((at - zero) // slot_s)
            last = int(np.ceil((at + run - zero) / slot_s - 1e-9))
            wall = blocked(first, last, width[job], machines, used)
            if wall >= 0:
                edge = max(edge, wall) + 1
            else:
                cost = area(at + run, start, step, values, prefix) - area(at, start, step, values, prefix)
                if cost < best - 1e-9 * max(1.0, abs(cost)):
                    best_at, best = at, cost
                edge += 1
            at = zero + edge * slot_s
        begins[position] = best_at
        first = int((best_at - zero) // slot_s)
        last = int(np.ceil((best_at + run - zero) / slot_s - 1e-9))
        for slot in range(first, last):
            used[slot] += width[job]
    return begins
