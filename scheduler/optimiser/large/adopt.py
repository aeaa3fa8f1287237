"""The places that the fractional plan has for a job as good as whole, taken over in compiled code."""

from __future__ import annotations

import numpy as np
from numba import njit

from scheduler.optimiser.large.compiled import MAKES_ROOM
from scheduler.optimiser.large.order import is_linked
from scheduler.optimiser.large.respond import EPS


@njit(**MAKES_ROOM)
def adopt(jobs, state, of, ep, entry, window, y, xk, xu, least):
    """Place the jobs that the fractional plan has at one entry for a share of at least ``least``, as it has them.

    Of a class of several jobs as many at each entry as it has there. Rigid: the start whose slots it uses most; interruptible: the
    slots that it uses most, each less what jobs of the class before took of them; malleable: its shares, scaled to the work. Jobs
    in pieces or on a curve are left to ``insert``: the slots that one uses most need not be legal pieces, and the work on a curve
    would have to be decoded first. So are jobs of a workflow: the fractional plan does not know who comes after whom. What follows
    from the decisions is for ``recount``. A copy for which its site has no volume left is not bought. Returns how many.
    """
    placed = 0
    volume, bought = np.zeros(len(jobs.gbmax)), np.zeros(len(jobs.mgb), dtype=np.bool_)
    left, left_u = y.copy(), xu.copy()
    for j in range(len(state.choice)):
        k = of[j]
        if state.choice[j] >= 0 or jobs.terms.special[j] or is_linked(jobs, j):
            continue
        e = ep[k]
        for other in range(ep[k] + 1, ep[k + 1]):
            if left[other] > left[e]:
                e = other
        if e >= ep[k + 1] or left[e] < least:
            continue
        m, s = jobs.em[entry[e]], jobs.es[entry[e]]
        if m >= 0 and not bought[m] and volume[s] + jobs.mgb[m] > jobs.gbmax[s] + EPS:
            continue
        n0, length, t0 = window[e], window[e + 1] - window[e], jobs.ea[entry[e]]
        at, work = jobs.room[j], jobs.p[j]
        late = 0.0
        if jobs.typ[j] == 0:
            total, best, start = 0.0, -np.inf, -1
            for i in range(length):
                total += left_u[n0 + i]
                if i >= work:
                    total -= left_u[n0 + i - work]
                if i >= work - 1 and total > best + 1e-9:
                    best, start = total, i - work + 1
            if start < 0:
                continue
            for i in range(work):
                state.slot[at + i], state.kw[at + i], state.part[at + i] = t0 + start + i, 1.0, 1.0
                left_u[n0 + start + i] -= 1.0
            state.length[j] = work
            late = max(0, t0 + start + work - jobs.soft[j])
        elif jobs.typ[j] == 1:
            chosen = np.sort(np.argsort(-left_u[n0 : n0 + length], kind="mergesort")[:work])
            if len(chosen) < work:
                continue
            for i in range(work):
                t = t0 + chosen[i]
                state.slot[at + i], state.kw[at + i], state.part[at + i] = t, 1.0, 1.0
                left_u[n0 + chosen[i]] -= 1.0
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
            if done < 0.5 * work * max(1.0, y[e]) or used > jobs.room[j + 1] - at:
                continue
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
                continue
            state.length[j] = n
        if m >= 0 and not bought[m]:
            bought[m] = True
            volume[s] += jobs.mgb[m]
        left[e] -= 1.0
        state.choice[j] = jobs.ep[j] + e - ep[k]
        state.own[j] = jobs.ec[entry[e]] + late * jobs.wt[j]
        placed += 1
    return placed
