"""The nodes of a scenario that sleep, as a problem knows them."""

from __future__ import annotations

import numpy as np

from grid.horizon import FloatArray, Horizon
from scheduler.scenario import Scenario
from scheduler.sleep import Sleepers
from scheduler.world import Observation


def sleepers_of(
    scenario: Scenario, horizon: Horizon, observation: Observation | None, fixed_kw: FloatArray
) -> tuple[Sleepers, ...]:
    """Groups of nodes that sleep, with how many work and how many sleep now.

    Args:
        scenario: the scenario.
        horizon: slots of the problem.
        observation: what is known of the nodes.
        fixed_kw: planned fixed load, ``[S, T]``.
    """
    failed = observation.failed_nodes if observation else frozenset[str]()
    resting = observation.asleep if observation else frozenset[str]()
    found = []
    for s, site in enumerate(scenario.sites):
        idle_kw = site.idle_on(horizon)
        factor = np.divide(fixed_kw[s], idle_kw, out=np.ones(horizon.slots), where=idle_kw > 0)
        for group in site.nodes:
            if group.sleep is not None:
                names = {f"{site.name}.{group.name}-{i}" for i in range(group.count)} - failed
                asleep = len(names & resting)
                found.append(Sleepers(s, group.name, group.sleep, group.idle_kw, group.cores, len(names), asleep, factor))
    return tuple(found)
