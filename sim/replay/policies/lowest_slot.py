"""Lowest-Slot: begin in the step of the signal with the least intensity, whatever comes after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sim.replay.batch import Batch, Runs, whole
from sim.replay.policies.base import Knows


@dataclass(frozen=True, slots=True)
class LowestSlot:
    """Needs no length of the job; of equal steps the first."""

    name: ClassVar[str] = "lowest-slot"
    knows: ClassVar[Knows] = Knows.FUTURE
    knows_length: ClassVar[bool] = False
    follows: ClassVar[str] = "carbon"
    heeds_machines: ClassVar[bool] = False
    pauses: ClassVar[bool] = False
    source: ClassVar[str] = "Hanafy et al., 'Going Green for Less Green', ASPLOS 2024 (GAIA)"

    def runs(self, batch: Batch) -> Runs:
        """One run a job."""
        from sim.replay.kernels import lowest_slots

        start, step, values, _ = batch.carbon.arrays()
        return whole(batch, lowest_slots(batch.arrival_s, batch.wait_s, start, step, values))
