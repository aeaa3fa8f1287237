"""Oracle: every job alone at its optimum, with the whole signal and every length known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sim.replay.batch import Batch, Runs
from sim.replay.measure import best_contiguous
from sim.replay.policies.base import Knows


@dataclass(frozen=True, slots=True)
class Oracle:
    """Meets ``bound_contiguous`` by definition; on a machine with a limit it is a bound, not a schedule."""

    name: ClassVar[str] = "oracle"
    knows: ClassVar[Knows] = Knows.FUTURE
    knows_length: ClassVar[bool] = True
    follows: ClassVar[str] = "carbon"
    heeds_machines: ClassVar[bool] = False
    pauses: ClassVar[bool] = False
    source: ClassVar[str] = "perfect foresight; 'Lowest-Window*' of Hanafy et al., ASPLOS 2024, at every moment that can be best"

    def runs(self, batch: Batch) -> Runs:
        """One run a job."""
        return best_contiguous(batch, batch.carbon)
