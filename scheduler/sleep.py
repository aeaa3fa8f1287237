"""Nodes that sleep when they have nothing to do: what a pause costs, exactly, and how a plan counts it.

A node that becomes idle goes to sleep after some idle time, unless the plan in force needs it again before it could have gone to
sleep and woken up; going to sleep cannot be broken off. It is woken so early that it is ready when the plan needs it. So with a
plan nothing waits for a node; only what no plan foresaw does. The simulated world does the same by events
(``sim.world.resting``), and a plan is priced with these pauses to the second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from grid.horizon import FloatArray, Horizon


@dataclass(frozen=True, slots=True)
class Sleep:
    """How a node sleeps when it has nothing to do.

    Attributes:
        after_s: idle time after which it goes to sleep.
        power_kw: while asleep.
        down_s, down_kw: going to sleep, which cannot be broken off: how long, and power in that time.
        up_s, up_kw: waking up, the same; a job waits for it.

    Raises:
        ValueError: a negative value, or one that is no number.
    """

    after_s: float
    power_kw: float
    down_s: float
    down_kw: float
    up_s: float
    up_kw: float

    def __post_init__(self) -> None:
        values = {name: getattr(self, name) for name in self.__slots__}
        wrong = [f"{name} = {value}" for name, value in values.items() if not (math.isfinite(value) and value >= 0)]
        if wrong:
            raise ValueError(f"sleep: {', '.join(wrong)}; all of it is finite and not negative")

    @property
    def transition_kwh(self) -> float:
        """Energy of going to sleep and waking up once."""
        return (self.down_s * self.down_kw + self.up_s * self.up_kw) / 3600.0

    @property
    def shortest_s(self) -> float:
        """Shortest pause in which a node sleeps: idle time, going to sleep and waking up."""
        return self.after_s + self.down_s + self.up_s

    def worth_s(self, idle_kw: float) -> float:
        """Length of a pause from which sleeping all of it takes less energy than idling; infinite when sleep saves nothing."""
        if idle_kw <= self.power_kw:
            return math.inf
        both_s = self.down_s + self.up_s
        return max(both_s, (self.transition_kwh * 3600.0 - self.power_kw * both_s) / (idle_kw - self.power_kw))


Stretch = tuple[float, float, float]
"""Beginning, end (seconds) and power (kW) of a time of constant power."""


def pause(sleep: Sleep, idle_kw: float, start_s: float, end_s: float, *, needed: bool, asleep: bool = False) -> list[Stretch]:
    """What a node draws in a pause.

    Args:
        sleep: how it sleeps.
        idle_kw: power when it idles.
        start_s: beginning of the pause.
        end_s: its end.
        needed: it must be ready at the end; else the end is only the end of what is looked at.
        asleep: it sleeps already at the beginning.
    """
    length_s = end_s - start_s
    if asleep:
        awake_s = max(start_s, end_s - sleep.up_s) if needed else end_s
        edges = [(start_s, awake_s, sleep.power_kw), (awake_s, end_s, sleep.up_kw)]
    elif needed and length_s < sleep.shortest_s:
        edges = [(start_s, end_s, idle_kw)]
    else:
        tired_s, down_s = start_s + sleep.after_s, start_s + sleep.after_s + sleep.down_s
        awake_s = end_s - sleep.up_s if needed else math.inf
        edges = [
            (start_s, tired_s, idle_kw),
            (tired_s, down_s, sleep.down_kw),
            (down_s, awake_s, sleep.power_kw),
            (awake_s, end_s, sleep.up_kw),
        ]
    cut = [(begin, min(end, end_s), power) for begin, end, power in edges]
    return [(begin, end, power) for begin, end, power in cut if end > begin]


def rest_kwh(sleep: Sleep, idle_kw: float, busy: Sequence[tuple[int, int]], horizon: Horizon, *, asleep: bool) -> FloatArray:
    """Energy below which a node's idle power lies in each slot because it rests, ``[T]`` kWh (negative where waking takes more).

    Args:
        sleep: how it sleeps.
        idle_kw: power when it idles, which it also draws beside its jobs.
        busy: slots in which it holds jobs, half-open, in order.
        horizon: the slots.
        asleep: it sleeps at the start of the horizon.
    """
    saved, step_s, end = np.zeros(horizon.slots), horizon.step_s, horizon.slots
    free = 0
    for first, last in [*busy, (end, end)]:
        if first > free:
            for begin_s, end_s, power in pause(
                sleep, idle_kw, free * step_s, first * step_s, needed=first < end, asleep=asleep and free == 0
            ):
                _spread(saved, begin_s / step_s, end_s / step_s, (idle_kw - power) * horizon.step_h)
        free = max(free, last)
    return saved


def _spread(total: FloatArray, begin: float, end: float, per_slot: float) -> None:
    """Add ``per_slot`` for each slot (in part where a slot is covered in part) from ``begin`` to ``end``, in slots."""
    if per_slot == 0.0:
        return
    first, last = int(begin), min(math.ceil(end - 1e-12), len(total))
    for slot in range(first, last):
        total[slot] += per_slot * (min(end, slot + 1.0) - max(begin, float(slot)))


def joined(pieces: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Half-open pieces of slots in order, those that touch made one."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(pieces):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Sleepers:
    """Equal nodes of one site that sleep, as a problem knows them.

    Attributes:
        site: index of the site; name: of the group.
        sleep: how they sleep; idle_kw: power of one that idles.
        cores: of one node; nodes: how many work; asleep: how many of them sleep at the start.
        factor: planned over forecast fixed load in each slot, ``[T]``: what resting saves is counted with it.
    """

    site: int
    name: str
    sleep: Sleep
    idle_kw: float
    cores: int
    nodes: int
    asleep: int
    factor: FloatArray
