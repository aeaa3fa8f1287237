"""What the electrical network asks of a plan: linear limits (cuts) on net import, and what is said of the network afterwards.

A cut says of one element in one slot that a weighted sum of the net imports of some sites stays at or below a limit: it is the
linearisation of a loading or voltage around an AC solution (``grid.sensitivity``), see ``scheduler.on_grid``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from grid.horizon import FloatArray


class ElementKind(StrEnum):
    """What a limit of the network is about."""

    TRANSFORMER = "transformer"
    """loading, percent of rated current"""
    LINE = "line"
    """loading, percent of rated current"""
    VOLTAGE_LOW = "voltage_low"
    """lowest voltage of a bus, pu"""
    VOLTAGE_HIGH = "voltage_high"
    """highest voltage of a bus, pu"""
    FEEDER = "feeder"
    """net import of a chain of sites, kW"""


RELATIVE_EFFECT = 1e-6
"""Sites whose effect is below this share of the largest one of a cut are left out of its row."""


@dataclass(frozen=True, slots=True)
class NetworkCut:
    """One linear limit: ``sum of per_kw[i] * net_import[sites[i], slot] <= limit``.

    Attributes:
        kind, element: what is limited.
        slot: slot of the problem.
        sites: indices of the sites, ``[k]``; per_kw: effect of a kW of their net import, percentage points or pu, ``[k]``.
        limit: what is left for the sites, in the same unit. Never negative: no plan can mend what others do, so a plan that draws
            nothing at all always keeps every cut, and the model stays feasible.
    """

    kind: ElementKind
    element: str
    slot: int
    sites: tuple[int, ...]
    per_kw: tuple[float, ...]
    limit: float

    def scaled(self) -> NetworkCut:
        """The same limit as solvers are told it: in kW of the site that matters most, without those that hardly matter."""
        scale = max(abs(weight) for weight in self.per_kw)
        kept = [(s, w / scale) for s, w in zip(self.sites, self.per_kw, strict=True) if abs(w) > RELATIVE_EFFECT * scale]
        sites, weights = zip(*kept, strict=True)
        return replace(self, sites=sites, per_kw=weights, limit=self.limit / scale)


@dataclass(frozen=True, slots=True)
class Headroom:
    """What an element has left at its fullest.

    Attributes:
        kind, element: which.
        rating: kVA at nominal voltage (transformers, lines) or kW (feeders).
        peak: the highest flow as planned, same unit.
    """

    kind: ElementKind
    element: str
    rating: float
    peak: float

    @property
    def released(self) -> float:
        """Rating minus peak, same unit; negative when it is exceeded."""
        return self.rating - self.peak


@dataclass(frozen=True, slots=True)
class NetworkReport:
    """What the AC power flow of every slot says of a plan, and how well the linear model foresaw it.

    Attributes:
        rounds: how often the plan was made again with further cuts.
        cuts: linear limits in the last plan.
        voltage_error_max_pu, voltage_error_p99_pu: difference between linear and AC voltage, all buses and slots: largest, and
            exceeded by one in a hundred. The linear one is that around the state that the last cuts were made at. None when AC
            has no solution.
        loading_error_max_pct, loading_error_p99_pct: same of lines and transformers, percentage points.
        headroom: what is left of transformers, of the fullest lines, and of feeders.
        left: what the plan breaks nevertheless, in words: element, slot and value.
    """

    rounds: int
    cuts: int
    voltage_error_max_pu: float | None
    voltage_error_p99_pu: float | None
    loading_error_max_pct: float | None
    loading_error_p99_pct: float | None
    headroom: tuple[Headroom, ...]
    left: tuple[str, ...]


def excess_kw(cuts: tuple[NetworkCut, ...], net_import_kw: FloatArray) -> float:
    """Largest excess over a cut in the kW of the site that matters most to it; 0 when every cut holds.

    Args:
        cuts: the limits.
        net_import_kw: import minus export of all sites of the problem, ``[S, T]``.
    """
    worst = 0.0
    for cut in cuts:
        weights = np.array(cut.per_kw)
        over = float(weights @ net_import_kw[list(cut.sites), cut.slot]) - cut.limit
        worst = max(worst, over / float(np.abs(weights).max()))
    return worst
