"""Constraint families of contracts: what several sites may take or give together, peaks in windows of the day.

Limits of a single site's contracts are bounds of its import and export (``scheduler.allowed``). The rows here are hard, and the
model stays feasible all the same: load may go unserved at its price of last resort.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from scheduler.optimiser.model import ModelParts, add_rows


def group_cap(parts: ModelParts) -> None:
    """Members together stay at or below their cap: ``sum over s of import[s, t] <= import_kw[g, t]``, export likewise."""
    model, problem = parts.model, parts.problem

    def rows() -> Iterator[tuple[tuple[str, int, int], Any]]:
        for g, group in enumerate(problem.groups):
            for word, caps, powers in (
                ("import", group.import_kw, model.import_kw),
                ("export", group.export_kw, model.export_kw),
            ):
                for t in np.flatnonzero(np.isfinite(caps)):
                    chosen = [powers[site, int(t)] for site in group.sites]
                    yield (word, g, int(t)), parts.linear(([1.0] * len(chosen), chosen)) <= float(caps[t])

    add_rows(parts, "group_cap", rows())


def window_peak(parts: ModelParts) -> None:
    """The peak of a charge is at least every import in its slots: ``import[s, t] - window_peak[n] <= already reached[n]``."""
    model, problem = parts.model, parts.problem
    rows = (
        ((n, t), parts.linear(([1.0, -1.0], [model.import_kw[peak.site, t], model.window_peak_kw[n]])) <= peak.reached_kw)
        for n, peak in enumerate(problem.window_peaks)
        for t in peak.slots
    )
    add_rows(parts, "window_peak", rows)


FAMILIES = (group_cap, window_peak)
