"""Slots of one job at one site: as early as possible or as cheap as possible, in pieces of a least length and gaps of another.

An exact dynamic programme over slots and work done. ``running[t]`` holds, for each amount of work, the least cost of being at
the end of slot ``t - 1`` with a piece that is long enough; ``ready[t]`` that of being free to begin a piece in slot ``t``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray
from scheduler.problem import JobTask


def earliest_pieces(fits: FloatArray, task: JobTask) -> tuple[int, ...] | None:
    """The slots with which the job is done first, or None when it does not fit in.

    Args:
        fits: above 0 where the job could run, ``[T]``.
        task: its work, least run and gap.
    """
    if task.min_run <= 1 and task.min_gap <= 1:
        free = np.flatnonzero(fits)
        return tuple(free[: task.work].tolist()) if len(free) >= task.work else None
    table = _Table(np.zeros(len(fits)), fits > 0, task, 0.0)
    ends = np.flatnonzero(np.isfinite(table.running[:, task.work]))
    return table.slots(int(ends[0])) if len(ends) else None


def cheapest_pieces(cost_eur: FloatArray, fits: FloatArray, task: JobTask) -> tuple[tuple[int, ...], float] | None:
    """The slots in which the job costs least and that cost, restarts included, or None when it does not fit in.

    Args:
        cost_eur: price of running in each slot, ``[T]``.
        fits: above 0 where the job could run, ``[T]``.
        task: its work, least run and gap, price of restarting.
    """
    if task.min_run <= 1 and task.min_gap <= 1 and not task.restart_eur:
        free = np.flatnonzero(fits)
        if len(free) < task.work:
            return None
        slots = np.sort(free[np.argsort(cost_eur[free], kind="stable")[: task.work]])
        return tuple(slots.tolist()), float(cost_eur[slots].sum())
    table = _Table(cost_eur, fits > 0, task, task.restart_eur)
    end = int(np.argmin(table.running[:, task.work]))
    cost = float(table.running[end, task.work])
    return (table.slots(end), cost - task.restart_eur) if np.isfinite(cost) else None


class _Table:
    """The dynamic programme of one job; every piece costs ``restart_eur``, the first one too."""

    def __init__(self, cost_eur: FloatArray, fits: npt.NDArray[np.bool_], task: JobTask, restart_eur: float) -> None:
        slots, work = len(fits), task.work
        self._length, self._gap = max(1, task.min_run), max(1, task.min_gap)
        self.running = np.full((slots + 1, work + 1), np.inf)
        self.ready = np.full((slots + 1, work + 1), np.inf)
        self._began = np.zeros((slots + 1, work + 1), dtype=bool)
        self._waited = np.zeros((slots + 1, work + 1), dtype=bool)
        self.ready[0, 0] = 0.0
        price = np.concatenate(([0.0], np.cumsum(np.where(fits, cost_eur, 0.0))))
        blocked = np.concatenate(([0], np.cumsum(~fits)))
        for t in range(1, slots + 1):
            s, length = t - self._length, self._length
            if fits[t - 1]:
                self.running[t, 1:] = self.running[t - 1, :-1] + cost_eur[t - 1]
            if s >= 0 and blocked[t] == blocked[s] and length <= work:
                fresh = self.ready[s, : work + 1 - length] + price[t] - price[s] + restart_eur
                better = fresh < self.running[t, length:]
                self._began[t, length:] = better
                self.running[t, length:] = np.where(better, fresh, self.running[t, length:])
            self.ready[t] = self.ready[t - 1]
            self._waited[t] = True
            if t >= self._gap:
                paused = self.running[t - self._gap]
                better = paused < self.ready[t]
                self._waited[t] = ~better
                self.ready[t] = np.where(better, paused, self.ready[t])

    def slots(self, end: int) -> tuple[int, ...]:
        """Slots of the job that is done at the end of slot ``end - 1``."""
        found: list[int] = []
        t, work, is_running = end, self.running.shape[1] - 1, True
        while work > 0:
            if not is_running:
                if self._waited[t, work]:
                    t -= 1
                else:
                    t, is_running = t - self._gap, True
            elif self._began[t, work]:
                found.extend(range(t - self._length, t))
                t, work, is_running = t - self._length, work - self._length, False
            else:
                found.append(t - 1)
                t, work = t - 1, work - 1
        return tuple(sorted(found))
