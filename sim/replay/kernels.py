"""Compiled choice of when each job runs when jobs do not compete: a loop over jobs, a loop over the edges of the signal in its window.

A signal comes as ``start, step, values, prefix`` (``Signal.arrays``). The cost of a run is piecewise linear in its begin, so it is least at
the arrival, at the latest begin, or where the run begins or ends at an edge of the signal: only these are tried, and the answer is exact.
Saving per time until done is a ratio of linear functions on each piece, monotone there, so the same moments suffice. Of equal moments the
earliest counts. Numba does not notice a changed function in another file, so a kernel here calls only kernels of this file.
"""

from __future__ import annotations

import numpy as np

import scheduler.optimiser.large  # noqa: F401 - says where compiled code is kept; must come before numba
from numba import njit

CHEAPEST, SAVING_PER_TIME = 0, 1


@njit(cache=True, nogil=True)
def area(moment, start, step, values, prefix):
    """Integral of the signal from its start to ``moment``; 0 before the start, and nothing more after the end."""
    count = len(values)
    if moment <= start:
        return 0.0
    if moment >= start + step * count:
        return prefix[count]
    index = int((moment - start) // step)
    if index >= count:
        index = count - 1
    return prefix[index] + values[index] * (moment - start - index * step)


@njit(cache=True, nogil=True)
def best_begins(arrival, length, wait, offset, goal, start, step, values, prefix):
    """Begin of each job's best contiguous run, as ``[n]``.

    Args:
        offset: seconds between the moments tried, counted from the arrival; 0 tries the moments that can be best.
        goal: CHEAPEST, or SAVING_PER_TIME: cost saved against beginning at once, over the time from arrival to the end.
    """
    jobs = len(arrival)
    begins = np.empty(jobs)
    for job in range(jobs):
        a, run, w = arrival[job], length[job], wait[job]
        base = area(a + run, start, step, values, prefix) - area(a, start, step, values, prefix)
        best_at, best = a, 0.0  # as a gain over beginning at once, so that larger is better
        tolerance = 1e-9 * max(1.0, abs(base)) / (run if goal == SAVING_PER_TIME else 1.0)
        if offset > 0:
            count = int(w // offset)
            for k in range(1, count + 1):
                at = a + k * offset
                gain = base - area(at + run, start, step, values, prefix) + area(at, start, step, values, prefix)
                if goal == SAVING_PER_TIME:
                    gain /= at - a + run
                if gain > best + tolerance:
                    best_at, best = at, gain
        else:
            for side in range(3):
                if side == 2:
                    first, last, shift = 0, 0, 0.0
                else:
                    shift = 0.0 if side == 0 else run
                    first = int((a + shift - start) // step) + 1
                    last = int((a + w + shift - start) // step)
                for edge in range(first, last + 1):
                    at = a + w if side == 2 else start + edge * step - shift
                    if at <= a or at > a + w:
                        continue
                    gain = base - area(at + run, start, step, values, prefix) + area(at, start, step, values, prefix)
                    if goal == SAVING_PER_TIME:
                        gain /= at - a + run
                    if gain > best + tolerance or (gain >= best - tolerance and at < best_at):
                        best_at, best = at, gain
        begins[job] = best_at
    return begins


@njit(cache=True, nogil=True)
def lowest_slots(arrival, wait, start, step, values):
    """Begin of each job in the step with the least value among those that it may begin in, ``[n]``."""
    begins = np.empty(len(arrival))
    for job in range(len(arrival)):
        a = arrival[job]
        first = min(max(int((a - start) // step), 0), len(values) - 1)
        last = min(int((a + wait[job] - start) // step), len(values) - 1)
        best = first
        for index in range(first + 1, last + 1):
            if values[index] < values[best]:
                best = index
        begins[job] = max(a, start + best * step)
    return begins


@njit(cache=True, nogil=True)
def below_past_mean(arrival, wait, span, start, step, values, prefix):
    """First moment at which the signal is not above its mean over the ``span`` seconds before, else the latest begin, ``[n]``.

    Decided at the arrival and at every edge after it; when the signal has no past yet, at once.
    """
    begins = np.empty(len(arrival))
    for job in range(len(arrival)):
        a, latest = arrival[job], arrival[job] + wait[job]
        at = a
        while at < latest:
            index = min(max(int((at - start) // step), 0), len(values) - 1)
            since = max(at - span, start)
            past = at - since
            if past <= 0.0:
                break
            mean = (area(at, start, step, values, prefix) - area(since, start, step, values, prefix)) / past
            if values[index] <= mean:
                break
            at = start + (index + 1) * step
        begins[job] = min(at, latest)
    return begins


@njit(cache=True, nogil=True)
def push(job, begin, end, scale, fill, jobs, begins, ends, scales):
    """Append an interval, or lengthen the last one of the same job and scale when they touch; the arrays and their new fill."""
    if end <= begin:
        return fill, jobs, begins, ends, scales
    if fill > 0 and jobs[fill - 1] == job and ends[fill - 1] >= begin and scales[fill - 1] == scale:
        ends[fill - 1] = end
        return fill, jobs, begins, ends, scales
    if fill == len(jobs):
        more = max(16, fill)
        jobs = np.concatenate((jobs, np.zeros(more, np.int64)))
        begins = np.concatenate((begins, np.zeros(more)))
        ends = np.concatenate((ends, np.zeros(more)))
        scales = np.concatenate((scales, np.zeros(more)))
    jobs[fill], begins[fill], ends[fill], scales[fill] = job, begin, end, scale
    return fill + 1, jobs, begins, ends, scales


@njit(cache=True, nogil=True)
def cheapest_pieces(arrival, length, wait, gains, start, step, values):
    """Intervals of each job in the cheapest pieces of its window, as (job, begin, end, scale) arrays.

    ``gains[k]`` is the work per second that the k-th copy of the job's processors adds, descending, ``gains[0]`` = 1. With one copy
    these are the cheapest steps; with more, the pairs of step and copy with the least cost per work (optimal, because gains
    descend and the signal is not negative). Only the dearest pair is used in part: from its begin, or up to its end where it joins
    what follows.
    """
    copies = len(gains)
    jobs, fill = np.zeros(2 * len(arrival) + 16, np.int64), 0
    begins, ends, scales = np.zeros(len(jobs)), np.zeros(len(jobs)), np.zeros(len(jobs))
    for job in range(len(arrival)):
        a, left = arrival[job], length[job]
        until = a + left + wait[job]
        first = min(max(int((a - start) // step), 0), len(values) - 1)
        last = min(int(np.ceil((until - start) / step)), len(values))
        count = max(last - first, 1)
        costs = np.empty(count * copies)
        for i in range(count):
            for k in range(copies):
                costs[i * copies + k] = values[first + i] / gains[k]
        order = np.argsort(costs, kind="mergesort")
        full = np.zeros(count, np.int64)
        part_at, part = -1, 0.0
        for position in range(len(order)):
            if left <= 1e-9:
                break
            i, k = order[position] // copies, order[position] % copies
            low = max(a, start + (first + i) * step)
            span = min(until, start + (first + i + 1) * step) - low
            if span <= 0.0:
                continue
            if gains[k] * span <= left + 1e-9:
                full[i] += 1
                left -= gains[k] * span
            else:
                part_at, part = i, left / gains[k]
                left = 0.0
        for i in range(count):
            low = max(a, start + (first + i) * step)
            high = min(until, start + (first + i + 1) * step)
            n = float(full[i])
            if i != part_at:
                if n > 0.0:
                    fill, jobs, begins, ends, scales = push(job, low, high, n, fill, jobs, begins, ends, scales)
                continue
            before = i > 0 and full[i - 1] > full[i]
            after = i + 1 < count and full[i + 1] > full[i]
            cut = high - part if after and not before else low + part
            early, late = (n, n + 1.0) if after and not before else (n + 1.0, n)
            if early > 0.0:
                fill, jobs, begins, ends, scales = push(job, low, cut, early, fill, jobs, begins, ends, scales)
            if late > 0.0:
                fill, jobs, begins, ends, scales = push(job, cut, high, late, fill, jobs, begins, ends, scales)
    return jobs[:fill], begins[:fill], ends[:fill], scales[:fill]


@njit(cache=True, nogil=True)
def quantile_of_time(begin, end, share, start, step, values):
    """The value that the signal does not exceed in ``share`` of the time from ``begin`` to ``end`` (inside the signal)."""
    first = min(max(int((begin - start) // step), 0), len(values) - 1)
    last = min(max(int(np.ceil((end - start) / step)), first + 1), len(values))
    part = values[first:last]
    order = np.argsort(part, kind="mergesort")
    total = min(end, start + step * len(values)) - begin
    seen = 0.0
    for position in range(len(order)):
        i = order[position]
        low = max(begin, start + (first + i) * step)
        high = min(end, start + (first + i + 1) * step)
        seen += max(0.0, high - low)
        if seen >= share * total:
            return part[i]
    return part[order[len(order) - 1]]


@njit(cache=True, nogil=True)
def pause_above(arrival, length, wait, share, look, start, step, values):
    """Intervals of jobs that run while the signal is below a quantile of the ``look`` seconds after arrival, and pause otherwise.

    A job pauses for ``wait`` seconds altogether at most, then it runs to its end. Returns (job, begin, end, scale) arrays.
    """
    jobs, fill = np.zeros(2 * len(arrival) + 16, np.int64), 0
    begins, ends, scales = np.zeros(len(jobs)), np.zeros(len(jobs)), np.zeros(len(jobs))
    for job in range(len(arrival)):
        at, left, pause = arrival[job], length[job], wait[job]
        limit = quantile_of_time(at, at + look, share, start, step, values)
        while left > 1e-9:
            index = min(max(int((at - start) // step), 0), len(values) - 1)
            edge = start + (index + 1) * step
            if edge <= at or index == len(values) - 1:
                edge = np.inf if index == len(values) - 1 else edge + step
            if pause <= 0.0 or values[index] < limit:
                end = at + left if pause <= 0.0 else min(edge, at + left)
                fill, jobs, begins, ends, scales = push(job, at, end, 1.0, fill, jobs, begins, ends, scales)
                left -= end - at
                at = end
            else:
                end = min(edge, at + pause)
                pause = 0.0 if end < edge else pause - (end - at)
                at = end
    return jobs[:fill], begins[:fill], ends[:fill], scales[:fill]
