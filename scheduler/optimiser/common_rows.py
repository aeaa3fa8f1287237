"""Constraint families of what jobs and sites have in common: copies of data, feeders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from scheduler.optimiser.model import ModelParts, Row, add_rows


def copy_bought(parts: ModelParts) -> None:
    """A job runs at an option that needs a copy only when the copy is bought; all jobs share it.

    ``sum_t start[c, e, t] <= n[c] * bought[q]``, ``at_site[c, e] <= n[c] * bought[q]``.
    """
    model = parts.model

    def rows() -> Iterator[tuple[tuple[int, int], Any]]:
        for c, group in enumerate(parts.classes):
            for e, (option, slots) in enumerate(zip(group.task.options, group.slots, strict=True)):
                if option.copy >= 0 and slots:
                    chosen = [model.start[c, e, t] for t in slots] if group.rigid else [model.at_site[c, e]]
                    row = [1.0] * len(chosen) + [-float(group.count)], [*chosen, model.bought[option.copy]]
                    yield (c, e), parts.linear(row) <= 0

    add_rows(parts, "copy_bought", rows())


def copy_volume(parts: ModelParts) -> None:
    """The copies bought to a site fit into what it can take: ``sum volume_gb[q] * bought[q] <= copy_limit_gb[s]``."""
    model, problem = parts.model, parts.problem
    sums: dict[int, Row] = defaultdict(lambda: ([], []))
    for q, copy in enumerate(problem.copies):
        sums[copy.site][0].append(copy.volume_gb)
        sums[copy.site][1].append(model.bought[q])
    limit = problem.copy_limit_gb
    rows = () if limit is None else ((s, parts.linear(row) <= float(limit[s])) for s, row in sums.items())
    add_rows(parts, "copy_volume", rows)


def feeder_flow(parts: ModelParts) -> None:
    """What flows through a site of a feeder is its own net import and what flows on.

    ``flow[f, i, t] = import[s, t] - export[s, t] + flow[f, i + 1, t]`` with ``s`` the site at place ``i``. The flow through the
    first site is bounded by the rating, in both directions (linearised DistFlow without losses, Baran and Wu 1989).
    """
    model, problem = parts.model, parts.problem

    def rows() -> Iterator[tuple[tuple[int, int, int], Any]]:
        for f, i, t in model.flow_kw:
            site = problem.feeders[f].sites[i]
            coefs, chosen = [1.0, -1.0, 1.0], [model.flow_kw[f, i, t], model.import_kw[site, t], model.export_kw[site, t]]
            if (f, i + 1, t) in model.flow_kw:
                coefs, chosen = [*coefs, -1.0], [*chosen, model.flow_kw[f, i + 1, t]]
            yield (f, i, t), parts.linear((coefs, chosen)) == 0

    add_rows(parts, "feeder_flow", rows())


def feeder_drop(parts: ModelParts) -> None:
    """Voltage drops by a share of the flow at every site, added up from the transformer; its band is the bound of ``drop_pu``.

    ``drop[f, i, t] = drop[f, i - 1, t] + drop_pu_per_kw[f, i] * flow[f, i, t]``.
    """
    model, problem = parts.model, parts.problem

    def rows() -> Iterator[tuple[tuple[int, int, int], Any]]:
        for f, i, t in model.drop_pu:
            per_kw = problem.feeders[f].drop_pu_per_kw[i]
            coefs, chosen = [1.0, -per_kw], [model.drop_pu[f, i, t], model.flow_kw[f, i, t]]
            if i:
                coefs, chosen = [*coefs, -1.0], [*chosen, model.drop_pu[f, i - 1, t]]
            yield (f, i, t), parts.linear((coefs, chosen)) == 0

    add_rows(parts, "feeder_drop", rows())


FAMILIES = (copy_bought, copy_volume, feeder_flow, feeder_drop)
