"""Wait Awhile: run in the cheapest steps of the window and pause in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sim.replay.batch import Batch, Runs
from sim.replay.measure import best_pieces
from sim.replay.policies.base import Knows


@dataclass(frozen=True, slots=True)
class WaitAwhile:
    """Knows the job's length; pausing and going on cost nothing.

    This is the optimum of jobs that may pause, so it meets its bound.
    """

    name: ClassVar[str] = "wait-awhile"
    knows: ClassVar[Knows] = Knows.FUTURE
    knows_length: ClassVar[bool] = True
    follows: ClassVar[str] = "carbon"
    heeds_machines: ClassVar[bool] = False
    pauses: ClassVar[bool] = True
    source: ClassVar[str] = "Wiesner et al., 'Let's Wait Awhile', Middleware 2021, doi:10.1145/3464298.3493399"

    def runs(self, batch: Batch) -> Runs:
        """The cheapest pieces of each job's window."""
        return best_pieces(batch, batch.carbon)
