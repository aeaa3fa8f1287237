"""First come, first served: every job at its arrival, or, on a machine with a limit, in order of arrival without overtaking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sim.replay.batch import Batch, Runs, whole
from sim.replay.policies.base import Knows


@dataclass(frozen=True, slots=True)
class Fifo:
    """Runs at once; a job that does not fit waits, and all later ones wait behind it."""

    name: ClassVar[str] = "fifo"
    knows: ClassVar[Knows] = Knows.NOTHING
    knows_length: ClassVar[bool] = False
    follows: ClassVar[str] = "nothing"
    heeds_machines: ClassVar[bool] = True
    pauses: ClassVar[bool] = False
    source: ClassVar[str] = "Feitelson, Rudolph, 'Parallel Job Scheduling: Issues and Approaches', JSSPP 1995"

    def runs(self, batch: Batch) -> Runs:
        """Each job as soon as it and every one before it has room."""
        if batch.machines is None:
            return whole(batch, batch.arrival_s)
        from sim.replay.kernels_capacity import queued

        return whole(batch, queued(batch.arrival_s, batch.length_s, batch.cpus, float(batch.machines), False))
