"""What a policy sees (``Batch``) and what it answers (``Runs``): arrays over jobs, and intervals in which jobs run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray
from sim.replay.signal import Signal

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Jobs in order of arrival with the signals that a policy may look at.

    Attributes:
        arrival_s: Unix seconds, ``[n]``, ascending.
        length_s: run times in seconds, ``[n]``.
        wait_s: seconds that each job may wait: it shall end by arrival + length + wait, ``[n]``.
        mean_length_s: mean length of the class of each job, which a policy may know when it must not know the length, ``[n]``.
        cpus: processors of each job, ``[n]``.
        carbon: intensity in g/kWh over every moment at which a job may run; it may begin earlier.
        price: in its unit per MWh over the same period, or None.
        machines: processors that there are, or None for no limit.
        latitude, longitude: place of the machine, degrees north and east.
    """

    arrival_s: FloatArray
    length_s: FloatArray
    wait_s: FloatArray
    mean_length_s: FloatArray
    cpus: FloatArray
    carbon: Signal
    price: Signal | None
    machines: int | None
    latitude: float
    longitude: float

    def __len__(self) -> int:
        return len(self.arrival_s)


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Half-open intervals in which jobs run, ordered by job, then by time.

    Attributes:
        job: position of the job of each interval, ``[m]``, ascending; every job has at least one.
        begin_s, end_s: Unix seconds, ``[m]``.
        scale: processors used as a multiple of the job's own, ``[m]``; 1 unless the policy stretches jobs.
    """

    job: IntArray
    begin_s: FloatArray
    end_s: FloatArray
    scale: FloatArray

    def finish_s(self, jobs: int) -> FloatArray:
        """When each of ``jobs`` jobs ends, Unix seconds, ``[jobs]``."""
        finish = np.full(jobs, -np.inf)
        np.maximum.at(finish, self.job, self.end_s)
        return finish

    def work_s(self, jobs: int) -> FloatArray:
        """Seconds that each job runs, times its scale, ``[jobs]``."""
        work: FloatArray = np.bincount(self.job, weights=(self.end_s - self.begin_s) * self.scale, minlength=jobs).astype(
            np.float64
        )
        return work

    def peak(self, cpus: FloatArray) -> float:
        """Most processors in use at once; an interval that ends when another begins does not overlap it."""
        width = cpus[self.job] * self.scale
        times = np.concatenate((self.begin_s, self.end_s))
        change = np.concatenate((width, -width))
        order = np.lexsort((change, times))
        return float(np.cumsum(change[order]).max())


def whole(batch: Batch, begin_s: FloatArray) -> Runs:
    """Every job in one run from its ``begin_s`` on."""
    return Runs(np.arange(len(batch), dtype=np.int64), begin_s, begin_s + batch.length_s, np.ones(len(batch)))
