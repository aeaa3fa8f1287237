"""Limits ready for a solver: in slots, their planning margins taken off; of sites, of feeders, of caps that sites share."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from grid.contracts.limits import Direction, lowest_kw
from grid.horizon import FloatArray, Horizon
from scheduler.allowed import allowed_kw
from scheduler.chance import ChanceMargins
from scheduler.problem import Feeder, GroupLimit
from scheduler.scenario import Scenario


def site_limits(
    scenario: Scenario,
    horizon: Horizon,
    fixed_kw: FloatArray,
    renewable_kw: FloatArray,
    margins: ChanceMargins | None,
    known: datetime,
) -> tuple[FloatArray, FloatArray]:
    """Limits of import and export with their margins taken off, ``[S, T]`` kW; never so far that fixed load would not fit."""
    imports = np.stack([allowed_kw(scenario, site, Direction.IMPORT, horizon, known) for site in scenario.sites])
    exports = np.stack([allowed_kw(scenario, site, Direction.EXPORT, horizon, known) for site in scenario.sites])
    if margins is None:
        margin = 1.0 - scenario.planning.limit_margin
        return np.maximum(imports * margin, np.minimum(imports, fixed_kw)), exports * margin
    needed = np.maximum(0.0, fixed_kw - renewable_kw)
    return np.maximum(imports - margins.import_kw, np.minimum(imports, needed)), np.maximum(0.0, exports - margins.export_kw)


def feeder_limits(scenario: Scenario, fixed_kw: FloatArray, margins: ChanceMargins | None) -> tuple[Feeder, ...]:
    """Feeders with the margin taken off; ``fixed_kw`` is the load of each site that is always there, ``[S]``."""
    index = {site.name: s for s, site in enumerate(scenario.sites)}
    share = scenario.planning.limit_margin
    feeders = []
    for f, line in enumerate(scenario.feeders):
        sites = tuple(index[name] for name in line.sites)
        flow = np.cumsum(fixed_kw[list(sites)][::-1])[::-1]
        drop = float(np.array(line.drop_pu_per_kw) @ flow)
        free_kw = line.limit_kw * share if margins is None else float(margins.feeder_kw[f])
        free_pu = line.drop_limit_pu * share if margins is None else float(margins.feeder_pu[f])
        limit_kw = max(line.limit_kw - free_kw, min(line.limit_kw, float(flow[0])))
        limit_pu = max(line.drop_limit_pu - free_pu, min(line.drop_limit_pu, drop))
        feeders.append(Feeder(line.name, sites, limit_kw, line.drop_pu_per_kw, limit_pu))
    return tuple(feeders)


def group_limits(
    scenario: Scenario, horizon: Horizon, fixed_kw: FloatArray, margins: ChanceMargins | None
) -> tuple[GroupLimit, ...]:
    """The caps of a scenario on the slots of ``horizon``.

    A margin never goes so far that what members always draw would not fit.

    Args:
        scenario: contracts and margins.
        horizon: slots.
        fixed_kw: load of each site that is always there, ``[S, T]``.
        margins: those of ``planning.chance_level``, or None: ``planning.limit_margin``.
    """
    index = {site.name: s for s, site in enumerate(scenario.sites)}
    share = scenario.planning.limit_margin
    found = []
    for g, group in enumerate(scenario.contracts.groups):
        members = tuple(index[name] for name in group.members)
        limits = group.limits(scenario.horizon)
        imports, exports = (lowest_kw(limits, direction, horizon) for direction in (Direction.IMPORT, Direction.EXPORT))
        needed = fixed_kw[list(members)].sum(axis=0)
        less_import = imports * (1.0 - share) if margins is None else imports - margins.group_import_kw[g]
        less_export = exports * (1.0 - share) if margins is None else exports - margins.group_export_kw[g]
        found.append(
            GroupLimit(
                group.name,
                members,
                np.maximum(less_import, np.minimum(imports, needed)),
                np.maximum(0.0, less_export),
            )
        )
    return tuple(found)
