"""Wait until the intensity is not above its mean of the last week: a rule for those who have no forecast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sim.replay.batch import Batch, Runs, whole
from sim.replay.policies.base import Knows

WEEK_S = 168 * 3600.0


@dataclass(frozen=True, slots=True)
class Threshold:
    """Begins at the first moment at which the intensity is at or below its running mean, at the latest when the wait is over.

    OpenDC shifts by a mean over a window of 168 hours when it has no forecast; its further condition on whether the intensity
    rises or falls is left out here.

    Attributes:
        span_s: length of the window, seconds.
    """

    span_s: float = WEEK_S

    name: ClassVar[str] = "threshold"
    knows: ClassVar[Knows] = Knows.PAST
    knows_length: ClassVar[bool] = False
    follows: ClassVar[str] = "carbon"
    heeds_machines: ClassVar[bool] = False
    pauses: ClassVar[bool] = False
    source: ClassVar[str] = "STEAM, CCGrid 2026 (github.com/atlarge-research/OpenDC-STEAM), its window of 168 h"

    def runs(self, batch: Batch) -> Runs:
        """One run a job."""
        from sim.replay.kernels import below_past_mean

        return whole(batch, below_past_mean(batch.arrival_s, batch.wait_s, self.span_s, *batch.carbon.arrays()))
