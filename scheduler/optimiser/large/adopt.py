"""The places that the fractional plan has for a job as good as whole, taken over in compiled code."""

from __future__ import annotations

import numpy as np
from numba import njit


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
