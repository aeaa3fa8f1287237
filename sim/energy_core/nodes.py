"""What nodes draw: kinds of nodes, a measured curve of power over utilisation each, and sleep with its transitions.

Powers are IT power of one node in kW (the facility's PUE comes on top), times seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray
from scheduler.sleep import Sleep


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """Power of a node over its utilisation, straight between measured points.

    Attributes:
        utilisation: ascending from 0 to 1; power_kw: at these points, not negative and never falling.

    Raises:
        ValueError: the points are no such curve.
    """

    utilisation: tuple[float, ...]
    power_kw: tuple[float, ...]

    def __post_init__(self) -> None:
        use, power = self.utilisation, self.power_kw
        if len(use) != len(power) or len(use) < 2 or use[0] != 0.0 or use[-1] != 1.0:
            raise ValueError(f"a power curve needs as many powers as utilisations, from 0 to 1; found {len(power)} and {use}")
        if not all(math.isfinite(value) for value in (*use, *power)) or power[0] < 0:
            raise ValueError(f"a power curve has finite points and no negative power; found {power}")
        if any(b <= a for a, b in pairwise(use)):
            raise ValueError(f"utilisations of a power curve ascend; found {use}")
        if any(b < a for a, b in pairwise(power)):
            raise ValueError(f"power never falls as utilisation rises; found {power} (smooth measured values first)")

    @classmethod
    def linear(cls, idle_kw: float, peak_kw: float) -> PowerCurve:
        """A straight line, for a node of which nothing else is known."""
        return cls((0.0, 1.0), (idle_kw, peak_kw))

    def kw(self, utilisation: npt.ArrayLike) -> FloatArray:
        """Power at utilisations (any shape).

        Raises:
            ValueError: one lies outside 0 to 1.
        """
        use = np.asarray(utilisation, dtype=np.float64)
        if not ((use >= 0.0) & (use <= 1.0)).all():
            raise ValueError("utilisation lies between 0 and 1")
        found: FloatArray = np.interp(use, self.utilisation, self.power_kw)
        return found


@dataclass(frozen=True, slots=True)
class NodeKind:
    """Equal nodes.

    Attributes:
        name: what they are called; count: how many, at least 1.
        curve: power of one of them; at utilisation 0 it idles.
        sleep: how it sleeps, or None: it never does.

    Raises:
        ValueError: no node at all.
    """

    name: str
    count: int
    curve: PowerCurve
    sleep: Sleep | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"{self.name}: {self.count} nodes; at least 1 is needed")

    @property
    def idle_kw(self) -> float:
        """Power of one node that runs nothing and is awake."""
        return self.curve.power_kw[0]

    def rest_kwh(self, pause_s: float) -> float:
        """Energy of one node in a pause of which the next job wants it awake at the end of (its waking up is not in it).

        The slow and plain account of what ``fifo_kernel`` does, for tests and for a look ahead.
        """
        if self.sleep is None or pause_s <= self.sleep.after_s:
            return self.idle_kw * pause_s / 3600.0
        rest, left = self.idle_kw * self.sleep.after_s, pause_s - self.sleep.after_s
        rest += self.sleep.down_kw * min(left, self.sleep.down_s)
        rest += self.sleep.power_kw * max(0.0, left - self.sleep.down_s)
        return rest / 3600.0
