"""Workflows while jobs are moved, in compiled code: who may run when, as its neighbours stand.

The window of a job narrows to what its neighbours in the workflow (``links``) leave, a job whose predecessors are out stays out,
and one with successors in the plan may not be left out alone.
"""

from __future__ import annotations

from numba import njit

from scheduler.optimiser.large.compiled import WITHIN


@njit(**WITHIN)
def is_linked(jobs, j):
    """Whether ``j`` has neighbours in a workflow."""
    links = jobs.links
    return links.before_ptr[j + 1] > links.before_ptr[j] or links.following_ptr[j + 1] > links.following_ptr[j]


@njit(**WITHIN)
def span_of(jobs, state, j):
    """First slot and slot before which ``j`` may run as its workflow stands, and whether that end leaves room for what follows.

    The last is the end without such room. The first is beyond every slot when a job that ``j`` comes after is out.
    """
    links = jobs.links
    begin, end, wide = 0, jobs.dl[j], jobs.dl[j]
    for q in range(links.before_ptr[j], links.before_ptr[j + 1]):
        p = links.before[q]
        if state.choice[p] < 0:
            return wide, end, wide
        begin = max(begin, state.slot[jobs.room[p] + state.length[p] - 1] + 1)
    for q in range(links.following_ptr[j], links.following_ptr[j + 1]):
        n = links.following[q]
        if state.choice[n] >= 0:
            end = min(end, state.slot[jobs.room[n]])
            wide = min(wide, state.slot[jobs.room[n]])
        else:
            end = min(end, links.latest[j])
    return begin, end, wide


@njit(**WITHIN)
def is_needed(jobs, state, j):
    """Whether a job of the plan comes after ``j``, so that ``j`` may not be left out alone."""
    links = jobs.links
    for q in range(links.following_ptr[j], links.following_ptr[j + 1]):
        if state.choice[links.following[q]] >= 0:
            return True
    return False


@njit(**WITHIN)
def price_of_dropping_followers(jobs, state, j):
    """What it costs to leave out all jobs of the plan that come after ``j``, EUR, besides what their power saves."""
    links, total = jobs.links, 0.0
    for q in range(links.all_after_ptr[j], links.all_after_ptr[j + 1]):
        n = links.all_after[q]
        if state.choice[n] >= 0:
            total += jobs.drop[n] - state.own[n]
    return total
