"""Each job's part of a site's energy, so that the parts add up to what the site's meter counted.

A job answers for what its nodes drew while it held them (waking up included), times PUE. What the site draws besides (overhead,
nodes that nobody holds) is shared by the jobs that hold nodes at that instant, by the number of their nodes. While no job holds
a node it is nobody's, and said so. Parts are integrals of the same piecewise constant powers that the meter integrates, so

    sum of own + sum of shared + nobody = load of the site

whatever the trace, the nodes and the reporting step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.horizon import FloatArray
from sim.energy_core.fifo import FifoRun


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Facility energy of jobs, kWh.

    Attributes:
        own_kwh: of the nodes that each job held, ``[n]``; shared_kwh: its part of everything else.
        nobody_kwh: drawn while no job held a node.
    """

    own_kwh: FloatArray
    shared_kwh: FloatArray
    nobody_kwh: float

    @property
    def job_kwh(self) -> FloatArray:
        """All that each job answers for, ``[n]``."""
        return self.own_kwh + self.shared_kwh

    @property
    def total_kwh(self) -> float:
        """What the site drew in all."""
        return float(self.own_kwh.sum() + self.shared_kwh.sum() + self.nobody_kwh)


def attribute(run: FifoRun, *, pue: float = 1.0, overhead_kw: float = 0.0) -> Shares:
    """The parts of a run.

    Args:
        run: what came of the trace.
        pue: facility power per IT power, at least 1.
        overhead_kw: facility power that is always there.

    Raises:
        ValueError: a PUE below 1 or a negative overhead.
    """
    if not pue >= 1.0 or not overhead_kw >= 0.0:
        raise ValueError(f"PUE {pue} and overhead {overhead_kw} kW: PUE is at least 1, overhead not negative")
    hours = np.diff(run.edges_s) / 3600.0
    shared_kwh = (overhead_kw + pue * run.free_kw) * hours
    busy = run.held > 0
    a_node = np.where(busy, shared_kwh / np.maximum(run.held, 1), 0.0)
    so_far = np.concatenate(([0.0], np.cumsum(a_node)))
    shared = run.nodes * (so_far[run.after] - so_far[run.first])
    return Shares(pue * run.own_kwh, shared, float(shared_kwh[~busy].sum()))
