"""What sites may take from and give to the grid: their connection and their own contracts together."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from grid.contracts.limits import Direction, lowest_kw
from grid.horizon import FloatArray, Horizon
from scheduler.facility import Site
from scheduler.scenario import Scenario


def allowed_kw(
    scenario: Scenario, site: Site, direction: Direction, horizon: Horizon, known: datetime | None = None
) -> FloatArray:
    """Largest power of a site in a direction, ``[T]`` kW.

    The connection counts with the mean of each slot, as everywhere; a contract with the lowest limit that holds in any part of
    it, because it is settled on quarters of an hour.

    Args:
        scenario: its contracts.
        site: the site.
        direction: import or export.
        horizon: slots.
        known: moment of planning; what is told later is not counted. None counts everything.
    """
    connection = site.connection
    series = connection.import_limit_kw if direction is Direction.IMPORT else connection.export_limit_kw
    limits = scenario.contracts.site_limits(site.name, scenario.horizon, known)
    allowed: FloatArray = np.minimum(series.mean(horizon), lowest_kw(limits, direction, horizon))
    return allowed
