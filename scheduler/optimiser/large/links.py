"""Workflows: jobs that start only after others have ended, as the search for a plan knows them.

A plan under construction keeps one rule all the time: a job is in it only when all jobs that it comes after are, and starts after
the last of them has ended (``order``). The price search knows of workflows only the earliest slot that they allow
(``tightened``); that is a relaxation, so its bound holds (docs/model.md).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from grid.horizon import FloatArray
from scheduler.optimiser.large.case import Case, IntArray, Solution


class Links(NamedTuple):
    """Neighbours of each job in its workflow, flattened with pointers ``[J + 1]``.

    ``before``: jobs that it comes after; ``following``: jobs that come after it; ``all_after``: those, those after them, and so
    on. ``level``: 0 for jobs that come after none, else one more than the highest among those before, ``[J]``. ``latest``: slot
    by which it ends where all that come after it shall still fit into their windows, ``[J]``. ``worth``: price of not running it
    and all that come after it, EUR, ``[J]``.
    """

    before_ptr: IntArray
    before: IntArray
    following_ptr: IntArray
    following: IntArray
    all_after_ptr: IntArray
    all_after: IntArray
    level: IntArray
    latest: IntArray
    worth: FloatArray


def _flat(lists: list[list[int]]) -> tuple[IntArray, IntArray]:
    """Pointers and members of lists."""
    ptr = np.concatenate(([0], np.cumsum([len(members) for members in lists]))).astype(np.int64)
    return ptr, np.array([j for members in lists for j in members], dtype=np.int64)


def predecessors(case: Case) -> list[list[int]]:
    """The jobs that each job comes after."""
    return [case.after[a:b].tolist() for a, b in zip(case.after_ptr[:-1], case.after_ptr[1:], strict=True)]


def in_order(before: list[list[int]]) -> tuple[list[int], IntArray]:
    """Jobs with every one after those that it comes after, and the level of each.

    Raises:
        ValueError: some jobs wait for each other.
    """
    level = np.zeros(len(before), dtype=np.int64)
    waits = [len(jobs) for jobs in before]
    after: list[list[int]] = [[] for _ in before]
    for j, jobs in enumerate(before):
        for p in jobs:
            after[p].append(j)
    order = [j for j, count in enumerate(waits) if not count]
    for j in order:  # grows while it is walked through
        for n in after[j]:
            level[n] = max(level[n], level[j] + 1)
            waits[n] -= 1
            if not waits[n]:
                order.append(n)
    if len(order) < len(before):
        raise ValueError(f"{len(before) - len(order)} jobs wait for each other")
    return order, level


def tightened(case: Case) -> Case:
    """The case with earliest slots that leave the jobs before enough time: every plan keeps them.

    A job that runs starts when all before it have ended, and none of these ends earlier than its work takes from its own earliest
    slot on. A job that can never end in time has no slots, and neither have those that come after it.
    """
    if not len(case.after):
        return case
    before, ea = predecessors(case), case.ea.copy()
    ends = np.zeros(case.J, dtype=np.int64)
    for j in in_order(before)[0]:
        span = slice(case.ep[j], case.ep[j + 1])
        ea[span] = np.maximum(ea[span], max((int(ends[p]) for p in before[j]), default=0))
        ends[j] = min((int(slot) for slot in ea[span]), default=case.T) + case.p[j]
        if ends[j] > case.dl[j]:
            ea[span], ends[j] = case.T, case.T
    return replace(case, ea=ea)


def links_of(case: Case) -> Links:
    """The workflows of a case."""
    none = np.zeros(case.J + 1, dtype=np.int64)
    if not len(case.after):
        empty = np.zeros(0, dtype=np.int64)
        return Links(none, empty, none, empty, none, empty, np.zeros(case.J, dtype=np.int64), case.dl, case.drop)
    before = predecessors(case)
    order, level = in_order(before)
    following: list[list[int]] = [[] for _ in before]
    for j, jobs in enumerate(before):
        for p in jobs:
            following[p].append(j)
    all_after: list[list[int]] = [[] for _ in before]
    latest = case.dl.copy()
    first = np.array([min(case.ea[a:b], default=case.T) for a, b in zip(case.ep[:-1], case.ep[1:], strict=True)])
    for j in reversed(order):
        reached: dict[int, None] = {}
        for n in following[j]:
            reached |= dict.fromkeys([n, *all_after[n]])
            end = int(latest[n] - case.p[n])
            if first[j] + case.p[j] <= end:  # else it does not fit after this one whatever is done
                latest[j] = min(latest[j], end)
        all_after[j] = sorted(reached, key=lambda n: int(level[n]))
    worth = case.drop + np.array([case.drop[reached].sum() for reached in all_after])
    return Links(*_flat(before), *_flat(following), *_flat(all_after), level, latest, worth)


def kept_in_order(case: Case, placed: Solution, room: IntArray) -> IntArray:
    """Entry of each job in ``placed``, -1 where it does not run or may not.

    That is so where it has more slots than ``room``, ``[J]``, and where a job that it comes after does not run or has not ended
    when it starts.
    """
    count = np.diff(placed.run_ptr)
    choice: IntArray = np.where(count <= room, placed.choice, -1)
    if not len(case.after):
        return choice
    before = predecessors(case)
    for j in in_order(before)[0]:
        if choice[j] < 0 or not count[j]:
            continue
        start = placed.run_slot[placed.run_ptr[j]]
        if any(choice[p] < 0 or placed.run_slot[placed.run_ptr[p + 1] - 1] >= start for p in before[j]):
            choice[j] = -1
    return choice


def by_level(links: Links, order: IntArray) -> IntArray:
    """``order`` with every job after those that it comes after, otherwise unchanged."""
    sorted_: IntArray = order[np.argsort(links.level[order], kind="stable")]
    return sorted_
