"""A policy of one's own for ``ozzo replay``: each job begins at an hour of the day, when it may wait that long; else at once.

ozzo replay --jobs JOBS --carbon CARBON --policy docs/examples/a_policy.py:AtNoon
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.replay.batch import Batch, Runs, whole
from sim.replay.policies.base import Knows

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class AtNoon:
    """Knows the clock and nothing else.

    Attributes:
        hour: hour of the day, UTC; noon, because the sun is highest soon before it in the Netherlands.
    """

    name: ClassVar[str] = "at-noon"
    knows: ClassVar[Knows] = Knows.NOTHING
    knows_length: ClassVar[bool] = False
    follows: ClassVar[str] = "the clock"
    heeds_machines: ClassVar[bool] = False
    pauses: ClassVar[bool] = False
    source: ClassVar[str] = "an example of ozzo's guide"
    hour: float = 12.0

    def runs(self, batch: Batch) -> Runs:
        """One run a job."""
        delay_s = (self.hour * 3600.0 - batch.arrival_s) % DAY_S
        return whole(batch, batch.arrival_s + np.where(delay_s <= batch.wait_s, delay_s, 0.0))
