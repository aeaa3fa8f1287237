"""What nodes that sleep spare in a plan, stated a second time: node by node, from what each has drawn up to an instant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grid.horizon import FloatArray
from scheduler.facility import NodeGroup, Site

if TYPE_CHECKING:
    from sim.plan_check import Checked


def spared_kw(checked: Checked, site: Site) -> FloatArray:
    """IT power that the sleeping nodes of a site draw less than idle ones in each slot, ``[T]`` kW."""
    spared = np.zeros(checked.horizon.slots)
    failed = checked.observation.failed_nodes if checked.observation else frozenset[str]()
    asleep = checked.observation.asleep if checked.observation else frozenset[str]()
    for group in site.nodes:
        for i in range(group.count if group.sleep else 0):
            name = f"{site.name}.{group.name}-{i}"
            if name not in failed:
                spared += _of_node(checked, group, name, asleep=name in asleep)
    return spared


def _of_node(checked: Checked, group: NodeGroup, name: str, *, asleep: bool) -> FloatArray:
    """The same of one node."""
    sleep, step_s, slots = group.sleep, checked.horizon.step_s, checked.horizon.slots
    if sleep is None:
        return np.zeros(slots)
    busy = np.zeros(slots, dtype=bool)
    for run in checked.plan.runs:
        if name in run.nodes:
            busy[max(0, run.start) : run.end] = True
    edges_s = step_s * np.arange(slots + 1)
    drawn = np.zeros(slots + 1)
    begins = [t for t in range(slots) if not busy[t] and (t == 0 or busy[t - 1])]
    for begin in begins:
        after = np.flatnonzero(busy[begin:])
        needed = len(after) > 0
        end_s = (begin + int(after[0]) if needed else slots) * step_s
        passed = np.clip(edges_s - begin * step_s, 0.0, end_s - begin * step_s)
        length_s = end_s - begin * step_s
        left = length_s - passed if needed else np.full(slots + 1, np.inf)
        if asleep and begin == 0:
            sleep_s = max(0.0, length_s - sleep.up_s) if needed else length_s
            drawn += (group.idle_kw - sleep.power_kw) * np.minimum(passed, sleep_s)
            drawn += (group.idle_kw - sleep.up_kw) * np.maximum(0.0, passed - sleep_s)
        elif not needed or length_s >= sleep.after_s + sleep.down_s + sleep.up_s:
            waking = np.maximum(0.0, sleep.up_s - left)
            falling = np.clip(passed - sleep.after_s, 0.0, sleep.down_s)
            sleeping = np.maximum(0.0, passed - sleep.after_s - sleep.down_s) - waking
            drawn += (group.idle_kw - sleep.power_kw) * sleeping
            drawn += (group.idle_kw - sleep.down_kw) * falling + (group.idle_kw - sleep.up_kw) * waking
    spared: FloatArray = np.diff(drawn) / step_s
    return spared
