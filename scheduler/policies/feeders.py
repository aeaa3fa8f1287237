"""How far planned energy is from what feeders, the network and caps of groups allow several sites together.

Feeders are linearised DistFlow (``scheduler.problem.Feeder``).

The baselines know none of these, so their plans may exceed one; whoever compares plans asks here first.
"""

from __future__ import annotations

import numpy as np

from grid.horizon import FloatArray
from scheduler.network_limits import excess_kw
from scheduler.plan import EnergySchedule
from scheduler.problem import Feeder, Problem


def flow_kw(feeder: Feeder, net_import_kw: FloatArray) -> FloatArray:
    """Flow through each site of a feeder, ``[sites of the feeder, T]``: net import of it and of all sites behind it.

    Args:
        feeder: the chain of sites.
        net_import_kw: import minus export of all sites of the problem, ``[S, T]``.
    """
    own = net_import_kw[list(feeder.sites)]
    flow: FloatArray = np.cumsum(own[::-1], axis=0)[::-1]
    return flow


def drop_pu(feeder: Feeder, flow: FloatArray) -> FloatArray:
    """Voltage drop between the transformer and each site, ``[sites of the feeder, T]``, from the flow through each."""
    drop: FloatArray = np.cumsum(np.array(feeder.drop_pu_per_kw)[:, None] * flow, axis=0)
    return drop


def overload_kw(problem: Problem, energy: EnergySchedule) -> float:
    """Largest excess in kW over a feeder's rating, its voltage limit (in kW at its end), a cut of the network, or a group's cap.

    0 when there is none.
    """
    worst = excess_kw(problem.cuts, energy.import_kw - energy.export_kw)
    for feeder in problem.feeders:
        flow = flow_kw(feeder, energy.import_kw - energy.export_kw)
        worst = max(worst, float(np.abs(flow[0]).max()) - feeder.limit_kw)
        steepest = sum(feeder.drop_pu_per_kw)
        if steepest > 0:
            worst = max(worst, (float(np.abs(drop_pu(feeder, flow)).max()) - feeder.drop_limit_pu) / steepest)
    for group in problem.groups:
        members = list(group.sites)
        for power, cap in ((energy.import_kw, group.import_kw), (energy.export_kw, group.export_kw)):
            worst = max(worst, float((power[members].sum(axis=0) - cap).max()))
    return worst
