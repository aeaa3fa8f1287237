"""EASY backfilling: in order of arrival, but whoever fits and does not delay the first in the queue may overtake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sim.replay.batch import Batch, Runs, whole
from sim.replay.policies.base import Knows


@dataclass(frozen=True, slots=True)
class Easy:
    """The first in the queue has a reservation; run times are known exactly here, where users' estimates are longer."""

    name: ClassVar[str] = "easy"
    knows: ClassVar[Knows] = Knows.NOTHING
    knows_length: ClassVar[bool] = True
    follows: ClassVar[str] = "nothing"
    heeds_machines: ClassVar[bool] = True
    pauses: ClassVar[bool] = False
    source: ClassVar[str] = "Lifka, 'The ANL/IBM SP Scheduling System', JSSPP 1995; Mu'alem, Feitelson, IEEE TPDS 12(6), 2001"

    def runs(self, batch: Batch) -> Runs:
        """Each job when it has room, or earlier in a hole; at its arrival when the machine has no limit."""
        if batch.machines is None:
            return whole(batch, batch.arrival_s)
        from sim.replay.kernels_capacity import queued

        return whole(batch, queued(batch.arrival_s, batch.length_s, batch.cpus, float(batch.machines), True))
