"""Carbon-Time: the begin that saves most carbon for each hour until the job is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sim.replay.batch import Batch, Runs, whole
from sim.replay.policies.base import Knows


@dataclass(frozen=True, slots=True)
class CarbonTime:
    """Knows the mean length of the job's class, not the job's own; begins at once when waiting saves nothing.

    Attributes:
        offset_s: as in ``LowestWindow``.
    """

    offset_s: float = 0.0

    name: ClassVar[str] = "carbon-time"
    knows: ClassVar[Knows] = Knows.FUTURE
    knows_length: ClassVar[bool] = False
    follows: ClassVar[str] = "carbon"
    heeds_machines: ClassVar[bool] = False
    pauses: ClassVar[bool] = False
    source: ClassVar[str] = "Hanafy et al., 'Going Green for Less Green', ASPLOS 2024 (GAIA)"

    def runs(self, batch: Batch) -> Runs:
        """One run a job."""
        from sim.replay.kernels import SAVING_PER_TIME, best_begins

        begins = best_begins(
            batch.arrival_s, batch.mean_length_s, batch.wait_s, self.offset_s, SAVING_PER_TIME, *batch.carbon.arrays()
        )
        return whole(batch, begins)
