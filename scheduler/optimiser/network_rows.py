"""Constraint family of the electrical network: linear limits on what sites draw together.

The rows are hard, as those of feeders are: a cut never asks for more than that its sites draw nothing (``NetworkCut.limit`` is
not negative), and a site can always draw nothing, because load may go unserved at its price of last resort. So the model stays
feasible whatever the network's own users do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scheduler.optimiser.model import ModelParts, add_rows


def network_cut(parts: ModelParts) -> None:
    """Loading and voltage stay within their limits, linearised around an AC solution.

    ``sum over s of per_kw[n, s] * (import[s, t] - export[s, t]) / scale[n] <= limit[n] / scale[n]`` for every cut ``n``, where
    ``scale`` is its largest coefficient, so that a row counts in kW as its neighbours do.
    """
    model, problem = parts.model, parts.problem

    def rows() -> Iterator[tuple[int, Any]]:
        for n, cut in enumerate(problem.cuts):
            scaled = cut.scaled()
            coefs, chosen = [], []
            for site, weight in zip(scaled.sites, scaled.per_kw, strict=True):
                coefs += [weight, -weight]
                chosen += [model.import_kw[site, cut.slot], model.export_kw[site, cut.slot]]
            yield n, parts.linear((coefs, chosen)) <= scaled.limit

    add_rows(parts, "network_cut", rows())


FAMILIES = (network_cut,)
