"""Suspend and resume below a limit: Ecovisor's rule as GAIA states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sim.replay.batch import Batch, Runs
from sim.replay.policies.base import Knows

DAY_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class SuspendResume:
    """Runs below a quantile of the day after arrival, pauses otherwise; once the wait is used up it runs on.

    Attributes:
        share: the quantile.
        look_s: seconds after arrival over which it is taken (where the signal ends earlier, up to there).
    """

    share: float = 0.3
    look_s: float = DAY_S

    name: ClassVar[str] = "suspend-resume"
    knows: ClassVar[Knows] = Knows.FUTURE
    knows_length: ClassVar[bool] = False
    follows: ClassVar[str] = "carbon"
    heeds_machines: ClassVar[bool] = False
    pauses: ClassVar[bool] = True
    source: ClassVar[str] = (
        "Souza et al., 'Ecovisor', ASPLOS 2023, in the form of Hanafy et al., ASPLOS 2024 (quantile 0.3 of 24 h)"
    )

    def runs(self, batch: Batch) -> Runs:
        """The pieces of each job."""
        from sim.replay.kernels import pause_above

        start, step, values, _ = batch.carbon.arrays()
        return Runs(*pause_above(batch.arrival_s, batch.length_s, batch.wait_s, self.share, self.look_s, start, step, values))
