"""Cooling of a hall: outdoor air while it is cold enough, a chiller for the rest; the PUE follows from the outdoor temperature.

Of each kW of IT, conversion (transformers, UPS, distribution) loses ``conversion_share`` and fans and pumps take ``fan_share``;
all of it becomes heat that leaves the hall. The economiser takes all heat at or below ``free_below_c``, none from
``free_until_c`` on, and a share on the straight line between. The chiller takes the rest with a COP that falls as it gets warmer:

``pue(T) = heat + heat * (1 - free(T)) / cop(T)``, ``heat = 1 + conversion_share + fan_share``.

Planner and simulated world call the same function, each with its own temperature: the forecast's, or the real one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grid.heat_pump import chiller_cop
from grid.horizon import FloatArray


@dataclass(frozen=True, slots=True)
class Cooling:
    """Parameters of the cooling of a site.

    Attributes:
        conversion_share: losses of power conversion per IT power.
        fan_share: fans and pumps per IT power, whatever the weather.
        free_below_c: outdoor temperature up to which outdoor air takes all heat.
        free_until_c: outdoor temperature from which it takes none.
        chilled_c: temperature of the chiller's cold side.
        approach_k: by how much its hot side is warmer than outdoors.
        carnot_share: its COP as a share of Carnot's.
        highest_cop: its COP is never above this.
        hottest_c: outdoor temperature for which emergency power is sized.
    """

    conversion_share: float
    fan_share: float
    free_below_c: float
    free_until_c: float
    chilled_c: float
    approach_k: float
    carnot_share: float
    highest_cop: float = 12.0
    hottest_c: float = 40.0

    def __post_init__(self) -> None:
        if min(self.conversion_share, self.fan_share, self.approach_k) < 0:
            raise ValueError("cooling: shares and approach are not negative")
        if self.free_below_c > self.free_until_c:
            raise ValueError("cooling: free_below_c is at most free_until_c")
        if not 0 < self.carnot_share <= 1 or self.highest_cop <= 0:
            raise ValueError("cooling: a share of Carnot in (0, 1], and a highest COP above 0")

    @property
    def heat_share(self) -> float:
        """Heat that leaves the hall per IT power."""
        return 1.0 + self.conversion_share + self.fan_share

    def free_share(self, outdoor_c: npt.ArrayLike) -> FloatArray:
        """Share of the heat that outdoor air takes, in [0, 1], at outdoor temperatures of any shape."""
        outdoor = np.asarray(outdoor_c, dtype=np.float64)
        span = self.free_until_c - self.free_below_c
        if span <= 0:
            return np.where(outdoor <= self.free_below_c, 1.0, 0.0)
        share: FloatArray = np.clip((self.free_until_c - outdoor) / span, 0.0, 1.0)
        return share

    def cop(self, outdoor_c: npt.ArrayLike) -> FloatArray:
        """Heat taken per electricity of the chiller."""
        hot = np.asarray(outdoor_c, dtype=np.float64) + self.approach_k
        return chiller_cop(self.chilled_c, hot, self.carnot_share, highest=self.highest_cop)

    def spared_kw_per_kw(self, outdoor_c: npt.ArrayLike) -> FloatArray:
        """Electricity of the chiller per kW of heat, which is spared when that heat leaves another way."""
        spared: FloatArray = (1.0 - self.free_share(outdoor_c)) / self.cop(outdoor_c)
        return spared

    def pue(self, outdoor_c: npt.ArrayLike) -> FloatArray:
        """Facility power per IT power, at least 1, at outdoor temperatures of any shape."""
        pue: FloatArray = self.heat_share * (1.0 + self.spared_kw_per_kw(outdoor_c))
        return pue
