"""What a run did to the batteries: cycles counted by rainflow (ASTM E1049), and what they and standing cost in life.

The count is made from the realised state of charge, apart from the optimiser's own arithmetic: where wear is priced by depth,
the price of the counted cycles must be the run's price of cycles (``wear_by_rainflow_eur`` beside ``wear_eur``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.assets.battery import Battery
from grid.assets.wear import wear_eur
from grid.horizon import FloatArray

BUCKETS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Upper ends of the classes of depth that cycles are shown in, shares of the capacity."""


@dataclass(frozen=True, slots=True)
class BatteryLife:
    """What became of one battery.

    Attributes:
        site: its site.
        full_cycles: energy taken out of the cells over the capacity.
        deepest: deepest cycle, share of the capacity.
        cycles: number of cycles in each class of ``BUCKETS``; a half cycle counts a half.
        mean_soc: mean state of charge, share of the capacity.
        wear_eur: price of the use, as the objective has it.
        wear_by_rainflow_eur: the same with cycles counted by rainflow; None where wear has no price by depth.
    """

    site: str
    full_cycles: float
    deepest: float
    cycles: tuple[float, ...]
    mean_soc: float
    wear_eur: float
    wear_by_rainflow_eur: float | None


def battery_life(
    site: str, battery: Battery, charge_kwh: FloatArray, discharge_kwh: FloatArray, soc_kwh: FloatArray, step_h: float
) -> BatteryLife:
    """Life of a battery from its metered slots (``[T]``; both flows positive, state of charge at the end of each slot)."""
    start = battery.initial_soc_kwh
    path = np.concatenate(([start], soc_kwh))
    counted = rainflow_cycles(path)
    depths = np.array([depth for depth, _, _ in counted]) / battery.energy_kwh
    counts = np.array([count for _, count, _ in counted])
    classes = np.minimum(np.searchsorted(BUCKETS, depths - 1e-9), len(BUCKETS) - 1)
    owed = wear_eur(battery, start, charge_kwh, discharge_kwh, soc_kwh, step_h)
    by_count = None
    if battery.wear is not None:
        wear = battery.wear
        cycles = sum(wear.depth_eur(battery.energy_kwh, depth) for depth, count, falls in counted if count == 1.0 or falls)
        both = np.minimum(charge_kwh * battery.charge_efficiency, discharge_kwh / battery.discharge_efficiency).sum()
        standing = wear.held_eur_per_kwh_h * step_h * float((path[:-1] + path[1:]).sum()) / 2
        through = battery.wear_eur_per_kwh * float(charge_kwh.sum() + discharge_kwh.sum()) / 2
        by_count = cycles + float(both) * wear.layers[0][1] + standing + through
    return BatteryLife(
        site=site,
        full_cycles=float(discharge_kwh.sum()) / battery.discharge_efficiency / battery.energy_kwh,
        deepest=float(depths.max(initial=0.0)),
        cycles=tuple(np.bincount(classes, counts, len(BUCKETS)).tolist()),
        mean_soc=float((path[:-1] + path[1:]).mean()) / 2 / battery.energy_kwh,
        wear_eur=owed,
        wear_by_rainflow_eur=by_count,
    )


def rainflow_cycles(path: FloatArray) -> list[tuple[float, float, bool]]:
    """Depth, count (1 or 0.5) and whether it falls, of every cycle of a path."""
    import rainflow

    return [
        (float(depth), float(count), bool(path[last] < path[first]))
        for depth, _, count, first, last in rainflow.extract_cycles(path)
        if depth > 0
    ]
