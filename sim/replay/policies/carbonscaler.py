"""CarbonScaler: elastic jobs take more processors when the grid is clean and fewer when it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from grid.horizon import FloatArray
from sim.replay.batch import Batch, Runs
from sim.replay.measure import best_pieces
from sim.replay.policies.base import Knows


@dataclass(frozen=True, slots=True)
class CarbonScaler:
    """Greedy by marginal work per carbon: optimal when each further copy of the processors adds less than the one before.

    A trace does not say how its jobs scale. ASSUMPTION: each may use up to ``copies`` times its processors with the speed-up of
    Amdahl's law (AFIPS 1967) for the parallel share ``parallel``; power grows with the processors, so more energy buys cleaner
    hours.

    Attributes:
        copies: most copies of a job's processors.
        parallel: share of a job that runs in parallel, 0 to 1.
    """

    copies: int = 4
    parallel: float = 0.95

    name: ClassVar[str] = "carbonscaler"
    knows: ClassVar[Knows] = Knows.FUTURE
    knows_length: ClassVar[bool] = True
    follows: ClassVar[str] = "carbon"
    heeds_machines: ClassVar[bool] = False
    pauses: ClassVar[bool] = True
    source: ClassVar[str] = "Hanafy et al., 'CarbonScaler', SIGMETRICS 2024 (POMACS 7(3), 2023)"

    def gains(self) -> FloatArray:
        """Work per second that each further copy adds, ``[copies]``; the first is 1."""
        copies = np.arange(1, self.copies + 1)
        speed = 1.0 / (1.0 - self.parallel + self.parallel / copies)
        return np.diff(speed, prepend=0.0)

    def runs(self, batch: Batch) -> Runs:
        """The pieces of each job with their scales."""
        return best_pieces(batch, batch.carbon, self.gains())
