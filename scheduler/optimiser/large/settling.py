"""When prices have settled: their bound hardly rises any more."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scheduler.optimiser.highs import StopAsked
from scheduler.optimiser.large.dual import Dual

SETTLED = 1e-4
"""Prices have settled when the bound rose by less than this share ..."""

WATCHED = 40
"""... in so many sweeps."""


@dataclass(slots=True)
class Settling:
    """True when called after the bound has hardly risen for ``WATCHED`` sweeps, or when somebody asks to stop.

    Attributes:
        dual: whose bound is watched; stop: asked too.
    """

    dual: Dual
    stop: StopAsked
    _since: int = 0
    _bound: float = field(default=-np.inf)

    def __call__(self) -> bool:
        """Asked after every sweep."""
        if self.dual.bound > self._bound + SETTLED * max(1e-9, abs(self.dual.bound)):
            self._since, self._bound = self.dual.sweeps, self.dual.bound
        return self.stop() or (self._bound > -np.inf and self.dual.sweeps - self._since >= WATCHED)
