"""Coefficients of performance from temperatures: a share of Carnot's.

``COP = share * T_hot / (T_hot - T_cold)`` of a heat pump and ``share * T_cold / (T_hot - T_cold)`` of a chiller, temperatures in
kelvin. Typical shares (quality grades), as the documentation of oemof-thermal tells them: 0.4 for heat pumps on outdoor air, 0.5
on groundwater, 0.55 on brine (VDE-ETG, *Potenziale für Strom im Wärmemarkt bis 2050*, 2015), 0.4 to 0.6 for high temperatures
(C. Arpagaus, *Hochtemperatur-Wärmepumpen*, VDE 2019). None of this is in the project's texts, so a document must say its share.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grid.horizon import FloatArray

KELVIN = 273.15
LEAST_LIFT_K = 5.0
"""Assumption: heat exchangers leave no machine a smaller difference of temperatures to bridge."""


def chiller_cop(cold_c: float, hot_c: npt.ArrayLike, share: float, *, highest: float = np.inf) -> FloatArray:
    """Cold per electricity of a chiller between ``cold_c`` and ``hot_c`` (any shape), at most ``highest``."""
    lift = np.maximum(np.asarray(hot_c, dtype=np.float64) - cold_c, LEAST_LIFT_K)
    cop: FloatArray = np.minimum(share * (cold_c + KELVIN) / lift, highest)
    return cop


def heat_pump_cop(source_c: float, supply_c: float, share: float) -> float:
    """Heat per electricity of a heat pump from ``source_c`` up to ``supply_c``, at least 1 (a heater).

    Infinite when the source is as warm as the supply: then a heat exchanger does without a heat pump.
    """
    if source_c >= supply_c:
        return float("inf")
    return max(1.0, share * (supply_c + KELVIN) / max(supply_c - source_c, LEAST_LIFT_K))
