"""Peak charges of capacity tariffs in slots, with what was reached before and observed since."""

from __future__ import annotations

import numpy as np

from grid.horizon import FloatArray, Horizon
from scheduler.problem import WindowPeak
from scheduler.scenario import Scenario
from scheduler.world import Observation


def peak_terms(
    scenario: Scenario, horizon: Horizon, observation: Observation | None, reached_kw: FloatArray
) -> tuple[FloatArray, FloatArray, tuple[WindowPeak, ...]]:
    """Peak charges of all sites: one a site that counts every slot, and those that count some only.

    A capacity tariff with a single charge over all slots of ``horizon`` is one of the first kind, which every solver knows.

    Args:
        scenario: tariffs of sites, and contracts.
        horizon: slots, the rest of the scenario's after the observation.
        observation: peaks that were observed, or None.
        reached_kw: peak of each site's own tariff that is paid for already, ``[S]``.

    Returns:
        Price per kW and peak reached of each site, ``[S]``, and the other charges.
    """
    book = scenario.contracts if observation is None else scenario.contracts.begun(observation.peaks)
    eur, reached, found = np.array([site.tariff.peak_eur_per_kw for site in scenario.sites]), reached_kw.copy(), []
    for s, site in enumerate(scenario.sites):
        charges = [
            (name, charge, np.flatnonzero(charge.slots(horizon)))
            for name, charge in book.peak_charges(site.name, scenario.horizon)
        ]
        charges = [item for item in charges if len(item[2]) and item[1].eur_per_kw > 0]
        if len(charges) == 1 and len(charges[0][2]) == horizon.slots and eur[s] == 0.0:
            eur[s], reached[s] = charges[0][1].eur_per_kw, charges[0][1].reached_kw
            continue
        found += [
            WindowPeak(f"{name}: {charge.key}", s, tuple(slots.tolist()), charge.eur_per_kw, charge.reached_kw)
            for name, charge, slots in charges
        ]
    return eur, reached, tuple(found)
