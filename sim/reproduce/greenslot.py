"""GreenSlot (Goiri et al., SC 2011) beside EASY backfilling on the same week of work, sun and price.

*GreenSlot* looks at its queue every 15 minutes: in order of least slack, every waiting job gets the cheapest begin within 48
hours that has a node free for its run time and a fifth more, where sun costs nothing and the rest its price; those whose begin
is now, begin. The *baseline* begins whatever is ready as soon as a node is free, least slack first (with jobs of one node this
is all that EASY backfilling does). Both let idle nodes sleep. The sun is known beforehand here: in the paper that changes the
result by 1 %. The seven seconds of falling asleep and waking are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.horizon import FloatArray
from sim.reproduce.greenslot_jobs import ALWAYS_W, COMPUTE_W, NODES, SLEEP_W, SLOT_MIN, IntArray, Work, price_usd

LOOK_H = 48.0
"""How far a plan looks ahead, h: as far as the paper forecasts the sun."""
TOLERANCE = 1.2
WEEK_MIN = 7 * 24 * 60
END_MIN = 4 * 1440 + 16 * 60
"""Friday 16:00, the last deadline: energy is counted from Monday 00:00 up to here, or to the last end when that is later."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A week under one scheduler.

    Attributes:
        green_kwh, brown_kwh: energy from the sun, and bought.
        cost_usd: of what was bought.
        missed: workflows that ended after their deadline.
        utilisation: busy node minutes up to the last deadline, as a share of all.
    """

    green_kwh: float
    brown_kwh: float
    cost_usd: float
    missed: int
    utilisation: float

    @property
    def green_share(self) -> float:
        """Share of the energy that came from the sun."""
        return self.green_kwh / (self.green_kwh + self.brown_kwh)


def baseline(work: Work) -> IntArray:
    """Begin of each job in minutes: as soon as it is ready and a node is free, least slack first."""
    begin = np.full(len(work), -1, dtype=np.int64)
    end = np.full(len(work), WEEK_MIN, dtype=np.int64)
    before = _before(work)
    now: int = int(work.arrival[0])
    while (begin < 0).any():
        waiting = np.flatnonzero((begin < 0) & (work.arrival <= now))
        free = NODES - int(((begin >= 0) & (end > now)).sum())
        in_order = waiting[np.argsort(work.latest[waiting], kind="stable")]
        ready = [job for job in in_order if (end[before[job]] <= now).all()]
        for job in ready[: max(free, 0)]:
            begin[job], end[job] = now, now + work.length[job]
        moments = np.concatenate((end[(begin >= 0) & (end > now)], work.arrival[work.arrival > now]))
        now = int(moments[np.argmin(moments)]) if len(moments) else now + 1
    return begin


def greenslot(work: Work, green_kw: FloatArray, *, priced: bool = True, look_h: float = LOOK_H) -> IntArray:
    """Begin of each job in minutes.

    Args:
        work: the jobs.
        green_kw: sun in every minute of the week, ``[WEEK_MIN]``.
        priced: heed the price; otherwise bought energy costs the same at any hour.
        look_h: how far a plan looks ahead.
    """
    slots, look = WEEK_MIN // SLOT_MIN, round(look_h * 60) // SLOT_MIN
    green = green_kw.reshape(slots, SLOT_MIN).mean(axis=1) * 1000.0
    price = price_usd(WEEK_MIN).reshape(slots, SLOT_MIN).mean(axis=1) if priced else np.ones(slots)
    reserve = np.ceil(work.length * TOLERANCE / SLOT_MIN).astype(np.int64)
    latest = _latest_slots(work, reserve)
    before = _before(work)
    begin = np.full(len(work), -1, dtype=np.int64)
    end = np.full(len(work), WEEK_MIN, dtype=np.int64)
    for slot in range(slots):
        now = slot * SLOT_MIN
        queue = np.flatnonzero((begin < 0) & (work.arrival <= now))
        if not len(queue):
            if (begin >= 0).all():
                break
            continue
        running = (begin >= 0) & (end > now)
        if running.sum() >= NODES:
            continue  # nothing can begin now, and the next slot plans anew
        used = np.zeros(slots + look, dtype=np.int64)
        for busy in np.flatnonzero(running):
            used[slot : max(slot + 1, begin[busy] // SLOT_MIN + reserve[busy])] += 1
        for job in _planned_now(work, before, queue, slot, look, used, reserve, latest, green, price, end):
            begin[job], end[job] = now, now + work.length[job]
    return begin


def _planned_now(
    work: Work,
    before: list[IntArray],
    queue: IntArray,
    slot: int,
    look: int,
    used: IntArray,
    reserve: IntArray,
    latest: IntArray,
    green: FloatArray,
    price: FloatArray,
    end: IntArray,
) -> list[int]:
    """Plan the whole queue, in order of slack; the jobs whose begin is this slot."""
    done_by: dict[tuple[int, int], int] = {}
    starting = []
    last = min(slot + look, len(green))
    for job in queue[np.lexsort((work.stage[queue], latest[queue]))]:
        flow, stage = int(work.flow[job]), int(work.stage[job])
        ends = end[before[job]]
        first = max(slot, done_by.get((flow, stage - 1), slot), int(-(-ends[ends < WEEK_MIN].max(initial=0) // SLOT_MIN)))
        width = int(reserve[job])
        window = slice(first, last)
        load = ALWAYS_W + NODES * SLEEP_W + used[window] * (COMPUTE_W - SLEEP_W)
        spare = np.maximum(green[window] - load, 0.0)
        cost = np.concatenate(([0.0], np.cumsum(np.maximum(COMPUTE_W - SLEEP_W - spare, 0.0) * price[window])))
        full = np.concatenate(([0], np.cumsum(used[window] >= NODES)))
        begins = np.arange(len(cost) - width)
        at = _cheapest(cost[begins + width] - cost[begins], full[begins + width] == full[begins], int(latest[job]) - first)
        if at is None:
            done_by[flow, stage] = last
            continue
        at += first
        used[at : at + width] += 1
        done_by[flow, stage] = max(done_by.get((flow, stage), 0), at + width)
        if at == slot and (ends <= slot * SLOT_MIN).all():
            starting.append(int(job))
    return starting


def _latest_slots(work: Work, reserve: IntArray) -> IntArray:
    """Latest begin of each job, in slots: its own reservation and the longest of every later stage fit before the deadline."""
    latest = np.empty(len(work), dtype=np.int64)
    for flow in np.unique(work.flow):
        members = work.flow == flow
        until = int(work.due[members][0]) // SLOT_MIN
        for stage in range(int(work.stage[members].max()), -1, -1):
            here = members & (work.stage == stage)
            latest[here] = until - reserve[here]
            until -= int(reserve[here].max(initial=0))
    return latest


def _cheapest(cost: FloatArray, room: np.ndarray[tuple[int], np.dtype[np.bool_]], last: int) -> int | None:
    """Position of the cheapest begin with room up to ``last``, else of the first with room, else None."""
    places = np.flatnonzero(room)
    if not len(places):
        return None
    timely = places[places <= last]
    if not len(timely):
        return int(places[0])
    least = cost[timely].min()
    return int(timely[np.argmax(cost[timely] <= least + 1e-9 * max(1.0, abs(least)))])


def _before(work: Work) -> list[IntArray]:
    """For each job the jobs that it waits for: all of the stage before it in its workflow."""
    return [
        np.flatnonzero((work.flow == flow) & (work.stage == stage - 1)) for flow, stage in zip(work.flow, work.stage, strict=True)
    ]


def outcome(work: Work, begin: IntArray, green_kw: FloatArray) -> Outcome:
    """Energy, cost and deadlines of a week in which each job begins at ``begin``, by the minute."""
    end = begin + work.length
    change = np.zeros(WEEK_MIN + 1)
    busy = np.zeros(WEEK_MIN + 1)
    for sign, at in ((1.0, begin), (-1.0, end)):
        np.add.at(change, np.minimum(at, WEEK_MIN), sign * (work.power_w - SLEEP_W))
        np.add.at(busy, np.minimum(at, WEEK_MIN), sign)
    load_kw = (ALWAYS_W + NODES * SLEEP_W + np.cumsum(change)[:-1]) / 1000.0
    stop = max(END_MIN, int(end.max()))
    used = np.minimum(load_kw, green_kw)[:stop]
    bought = load_kw[:stop] - used
    late = {int(flow) for flow in work.flow[end > work.due]}
    share = float(np.cumsum(busy)[:END_MIN].mean()) / NODES
    cost = float((bought * price_usd(WEEK_MIN)[:stop]).sum()) / 60.0
    return Outcome(float(used.sum()) / 60.0, float(bought.sum()) / 60.0, cost, len(late), share)
