"""What sites share on the energy side of a ``Problem``: feeders of a case, and rows for all that is none.

A feeder of a case is a chain in the order of the sites, and a site has one at most. A group's cap that never changes, of members
that never export, is a feeder without voltage drop. Everything else becomes rows: other feeders and caps, limits of the network.
"""

from __future__ import annotations

import numpy as np

from scheduler.optimiser.large.rows import RowList, SharedRows
from scheduler.problem import Feeder, GroupLimit, Problem


def chains_of(problem: Problem) -> tuple[tuple[Feeder, ...], SharedRows]:
    """The feeders of the case of ``problem``, caps of groups among them, and the rows for what else its sites share."""
    chains: list[Feeder] = []
    rows, taken = RowList(), set[int]()
    for feeder in problem.feeders:
        if list(feeder.sites) == sorted(feeder.sites) and taken.isdisjoint(feeder.sites):
            chains.append(feeder)
            taken.update(feeder.sites)
        else:
            _feeder_rows(rows, feeder, problem.horizon.slots)
    for group in problem.groups:
        if _like_a_feeder(problem, group) and taken.isdisjoint(group.sites):
            sites = tuple(sorted(group.sites))
            chains.append(Feeder(group.name, sites, float(group.import_kw[0]), (0.0,) * len(sites), 1.0))
            taken.update(group.sites)
        else:
            _group_rows(rows, group)
    for cut in problem.cuts:
        scaled = cut.scaled()
        rows.add_net(cut.slot, scaled.limit, scaled.sites, scaled.per_kw)
    return tuple(chains), rows.rows(problem.import_limit_kw, problem.export_limit_kw)


def _like_a_feeder(problem: Problem, group: GroupLimit) -> bool:
    """True when a cap is what the rating of a feeder without voltage drop would be: constant, and nobody exports."""
    caps = group.import_kw
    return bool(np.isfinite(caps).all() and (caps == caps[0]).all() and not problem.export_limit_kw[list(group.sites)].any())


def _feeder_rows(rows: RowList, feeder: Feeder, slots: int) -> None:
    """Flow through the head in both directions, and the drop of voltage at each site in both."""
    along = np.cumsum(feeder.drop_pu_per_kw)
    limits = [(np.ones(len(along)), feeder.limit_kw)]
    limits += [(np.minimum(along, upto) / upto, feeder.drop_limit_pu / upto) for upto in map(float, along) if upto > 0.0]
    for weights, limit in limits:
        for way in (weights.tolist(), (-weights).tolist()):
            for slot in range(slots):
                rows.add_net(slot, float(limit), feeder.sites, way)


def _group_rows(rows: RowList, group: GroupLimit) -> None:
    """The sum of imports, and of exports, where there is a limit."""
    ones, nothing = [1.0] * len(group.sites), [0.0] * len(group.sites)
    for caps, weights in ((group.import_kw, (ones, nothing)), (group.export_kw, (nothing, ones))):
        for slot in np.flatnonzero(np.isfinite(caps)).tolist():
            rows.add(slot, float(caps[slot]), group.sites, *weights)
