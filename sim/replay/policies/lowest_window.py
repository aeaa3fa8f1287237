"""Lowest-Window: the window of least carbon for a job of mean length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sim.replay.batch import Batch, Runs, whole
from sim.replay.policies.base import Knows


@dataclass(frozen=True, slots=True)
class LowestWindow:
    """Knows the mean length of the job's class (short or long), not the job's own.

    Attributes:
        offset_s: seconds between the moments that are tried, from the arrival on (GAIA's program: 3600); 0 tries every moment
            that can be best.
    """

    offset_s: float = 0.0

    name: ClassVar[str] = "lowest-window"
    knows: ClassVar[Knows] = Knows.FUTURE
    knows_length: ClassVar[bool] = False
    follows: ClassVar[str] = "carbon"
    heeds_machines: ClassVar[bool] = False
    pauses: ClassVar[bool] = False
    source: ClassVar[str] = "Hanafy et al., 'Going Green for Less Green', ASPLOS 2024 (GAIA)"

    def runs(self, batch: Batch) -> Runs:
        """One run a job."""
        from sim.replay.kernels import CHEAPEST, best_begins

        begins = best_begins(batch.arrival_s, batch.mean_length_s, batch.wait_s, self.offset_s, CHEAPEST, *batch.carbon.arrays())
        return whole(batch, begins)
