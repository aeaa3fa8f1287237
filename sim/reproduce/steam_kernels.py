"""Compiled loops behind the experiment on SURF's jobs: queues, best starts against prices, and places among limited hosts.

Times are seconds after the first submission unless a name ends in ``cells`` (whole steps of the grid). ``cum`` is the integral of a
price over the grid, one value an edge. A job takes one host.
"""

from __future__ import annotations

import heapq

import numpy as np

import scheduler.optimiser.large  # noqa: F401 - says where compiled code is kept; must come before numba
from numba import njit, prange


@njit(cache=True)
def queue_starts(ready, length, hosts):
    """First come, first served: start of each job, jobs in the order of ``ready``."""
    free = [0.0 for _ in range(hosts)]
    heapq.heapify(free)
    starts = np.empty(len(ready))
    for j in range(len(ready)):
        begin = max(ready[j], heapq.heappop(free))
        starts[j] = begin
        heapq.heappush(free, begin + length[j])
    return starts


@njit(cache=True)
def at(cum, step, moment):
    """The integral at a moment between two edges."""
    cell = min(int(moment // step), len(cum) - 2)
    return cum[cell] + (cum[cell + 1] - cum[cell]) * (moment - cell * step) / step


@njit(cache=True, parallel=True)
def cheapest(cum, step, earliest, latest, length, starts):
    """Cheapest start of every job in continuous time; returns the sum of the costs.

    The cost of a run is piecewise linear in its start, with kinks where the start or the end meets an edge of the grid, so the
    cheapest start is one of these or an end of the window.
    """
    total = 0.0
    for j in prange(len(length)):
        first, last, long = earliest[j], latest[j], length[j]
        best = at(cum, step, first + long) - at(cum, step, first)
        where = first
        cost = at(cum, step, last + long) - at(cum, step, last)
        if cost < best:
            best, where = cost, last
        cell = int(first // step) + 1
        while cell * step < last:
            cost = at(cum, step, cell * step + long) - cum[cell]
            if cost < best:
                best, where = cost, cell * step
            cell += 1
        cell = int((first + long) // step) + 1
        while cell * step < last + long:
            cost = cum[cell] - at(cum, step, cell * step - long)
            if cost < best:
                best, where = cost, cell * step - long
            cell += 1
        starts[j] = where
        total += best
    return total


@njit(cache=True)
def usage(starts, length, step, cells):
    """Mean number of hosts that runs take in each step of a grid."""
    used = np.zeros(cells + 1)
    for j in range(len(starts)):
        begin, end = starts[j], starts[j] + length[j]
        first, last = int(begin // step), int(end // step)
        if first == last:
            used[first] += (end - begin) / step
            continue
        used[first] += ((first + 1) * step - begin) / step
        for cell in range(first + 1, last):
            used[cell] += 1.0
        used[last] += (end - last * step) / step
    return used[:cells]


@njit(cache=True)
def occupy(taken, first, count, change):
    """Add ``change`` hosts in ``count`` cells from ``first`` on."""
    for cell in range(first, first + count):
        taken[cell] += change


@njit(cache=True)
def place(order, earliest, latest, count, taken, hosts, cum, wait, starts):
    """Put jobs one by one, in ``order``, at their cheapest free start; returns how many found none (these stay at -1)."""
    lost = 0
    for j in order:
        if starts[j] >= 0:
            occupy(taken, starts[j], count[j], -1)
        found = best_window(taken, hosts, cum, wait, earliest[j], latest[j], count[j], 0)
        if found < 0:
            found = starts[j]
        starts[j] = found
        if found < 0:
            lost += 1
        else:
            occupy(taken, found, count[j], 1)
    return lost


@njit(cache=True)
def live(earliest, latest, count, hosts, spare, cums, hour_cells, wait, starts):
    """Place jobs that are known only from their submission on; every hour all that wait are placed again.

    Args:
        earliest: submission, latest: last start, count: length; whole cells, jobs in the order of submission.
        hosts: hosts there are; spare: how many of them a job that can still wait leaves free.
        cums: integral of the price as forecast in each hour, ``[hours, edges from that hour on]``.
        hour_cells: cells of an hour.
        wait: price of one cell of waiting.
        starts: filled in.
    """
    cells = 0
    for j in range(len(count)):
        cells = max(cells, latest[j] + count[j])
    span = cums.shape[1] - 1
    taken = np.zeros(cells + 3 * span, np.int32)
    waiting = np.empty(len(count), np.int64)
    held, j = 0, 0
    for hour in range(cums.shape[0]):
        begin = hour * hour_cells
        cum = cums[hour]
        kept = 0
        for k in range(held):  # what began stays; the rest is placed again
            if starts[waiting[k]] >= begin:
                waiting[kept] = waiting[k]
                occupy(taken, starts[waiting[k]], count[waiting[k]], -1)
                kept += 1
        held = kept
        order = np.argsort(-count[waiting[:held]])
        chosen = waiting[:held][order]
        for k in range(held):
            put(chosen[k], begin, begin, earliest, latest, count, taken, hosts, spare, cum, wait, starts)
        while j < len(count) and earliest[j] < begin + hour_cells:
            put(j, earliest[j], begin, earliest, latest, count, taken, hosts, spare, cum, wait, starts)
            if starts[j] >= begin:
                waiting[held] = j
                held += 1
            j += 1


@njit(cache=True)
def put(j, now, begin, earliest, latest, count, taken, hosts, spare, cum, wait, starts):
    """Place one job from ``now`` on; ``cum`` begins at ``begin``. One that finds no host in its window takes the first free one."""
    first, last = max(now, earliest[j]), latest[j]
    found = -1
    if last >= first:
        if last > first:
            found = best_window(taken, hosts - spare, cum, wait, first, last, count[j], begin)
        if found < 0:
            found = best_window(taken, hosts, cum, wait, first, last, count[j], begin)
    if found < 0:
        found = max(first, last)
        while not free(taken, hosts, found, count[j]):
            found += 1
    starts[j] = found
    occupy(taken, found, count[j], 1)


@njit(cache=True)
def free(taken, hosts, first, count):
    """True when a host is free in all cells."""
    for cell in range(first, first + count):
        if taken[cell] >= hosts:
            return False
    return True


@njit(cache=True)
def best_window(taken, hosts, cum, wait, earliest, latest, count, begin):
    """Cheapest start among those where a host is free all along; -1 when there is none.

    ``wait`` is the price of one cell of waiting. The price is known from cell ``begin`` on; beyond its end it is as at the end. Walks
    backwards, so that the next full cell is always known.
    """
    span = len(cum) - 1
    tail = cum[span] - cum[span - 1]
    blocked = 1 << 60
    for cell in range(latest + count - 1, latest - 1, -1):
        if taken[cell] >= hosts:
            blocked = cell
    best, where = np.inf, -1
    for cell in range(latest, earliest - 1, -1):
        if taken[cell] >= hosts:
            blocked = cell
        if blocked >= cell + count:
            end, start = cell + count - begin, cell - begin
            upper = cum[end] if end <= span else cum[span] + tail * (end - span)
            lower = cum[start] if start <= span else cum[span] + tail * (start - span)
            cost = upper - lower + wait * (cell - earliest)
            if cost <= best:
                best, where = cost, cell
    return where


@njit(cache=True)
def running_mean_battery(carbon, load, capacity, power, window, step_h, soc):
    """OpenDC's policy ``runningMeanPlus``: returns import in kW, ``[T]``; ``carbon`` and ``load`` by step, ``window`` in changes of carbon.

    Charges below the mean of the last values once the intensity no longer falls, gives everything the load takes above it.
    """
    imported = np.empty(len(load))
    seen = np.empty(window)
    seen[0] = carbon[0]
    count, total, last = 1, carbon[0], 0.0
    charging = False
    for t in range(len(load)):
        if t == 0 or carbon[t] != carbon[t - 1] or t % round(1.0 / step_h) == 0:
            last = seen[(count - 1) % window]
            if count >= window:
                total -= seen[count % window]
            seen[count % window] = carbon[t]
            count += 1
            total += carbon[t]
        mean = total / min(count, window)
        rate = 0.0
        if carbon[t] >= mean and soc > 0.0:
            rate, charging = -min(load[t], soc / step_h), False
        elif carbon[t] < mean and soc < capacity and (carbon[t] >= last or charging):
            rate, charging = min(power, (capacity - soc) / step_h), True
        else:
            charging = False
        soc += rate * step_h
        imported[t] = load[t] + rate
    return imported
