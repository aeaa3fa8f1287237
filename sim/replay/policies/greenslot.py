"""GreenSlot's placing: jobs by least slack into the cheapest slots that have room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.replay.batch import Batch, Runs, whole
from sim.replay.policies.base import Knows

SLOT_S = 900.0
LOOK_S = 48 * 3600.0


@dataclass(frozen=True, slots=True)
class GreenSlot:
    """Slots of 15 minutes, 48 hours ahead. Jobs that arrive in the same slot are placed in order of slack (their wait).

    GreenSlot takes sun at no cost before grid power at its price. A replay has one signal of energy, so this is the price where
    there is one and the carbon intensity otherwise. A placed job keeps its place, while GreenSlot plans its queue again in every
    slot. Begins are slot edges or the arrival; a run holds every slot that it touches.

    Attributes:
        slot_s: length of a slot, seconds.
        look_s: how far ahead a job may be placed, seconds.
    """

    slot_s: float = SLOT_S
    look_s: float = LOOK_S

    name: ClassVar[str] = "greenslot"
    knows: ClassVar[Knows] = Knows.FUTURE
    knows_length: ClassVar[bool] = True
    follows: ClassVar[str] = "price, or carbon without one"
    heeds_machines: ClassVar[bool] = True
    pauses: ClassVar[bool] = False
    source: ClassVar[str] = "Goiri et al., 'GreenSlot', SC 2011"

    def runs(self, batch: Batch) -> Runs:
        """One run a job; late when nothing before its latest begin has room."""
        from sim.replay.kernels_capacity import cheapest_fit

        signal = batch.carbon if batch.price is None else batch.price
        zero = float(np.floor(batch.arrival_s[0] / self.slot_s)) * self.slot_s
        slot = np.floor((batch.arrival_s - zero) / self.slot_s)
        order = np.lexsort((batch.wait_s, slot))
        latest = batch.arrival_s + np.minimum(batch.wait_s, self.look_s)
        begins = np.empty(len(batch))
        begins[order] = cheapest_fit(
            order,
            batch.arrival_s,
            batch.length_s,
            latest,
            batch.cpus,
            np.inf if batch.machines is None else float(batch.machines),
            zero,
            self.slot_s,
            empty_slots(batch, zero, self.slot_s),
            *signal.arrays(),
        )
        return whole(batch, begins)


def empty_slots(batch: Batch, zero: float, slot_s: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Processors in use, a slot, from ``zero`` on: all 0, and enough of them for all jobs one after the other at the end."""
    last = float((batch.arrival_s + batch.wait_s).max())
    return np.zeros(int(np.ceil((last - zero) / slot_s)) + int((np.ceil(batch.length_s / slot_s) + 1).sum()) + 2)
