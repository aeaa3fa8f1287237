"""The wear of two battery cells by depth and by state of charge, from the life models of blast-lite (NREL).

Run once, by hand, when ``grid/assets/wear_cells.py`` is to be renewed. It needs ``blast-lite`` and a numpy before 2.4 (blast-lite
calls ``numpy.trapz``) in a virtual environment of its own, and nothing of ozzo::

    python -m venv /tmp/wear && /tmp/wear/bin/pip install blast-lite 'numpy<2.3'
    /tmp/wear/bin/python benchmarks/calibrate_wear.py

Each experiment is ten years at 25 degrees Celsius: a battery that floats at one state of charge, and a battery that makes one
cycle of one depth around half full every day (8 h low, 4 h charging, 8 h high, 4 h discharging). Loss by cycling is the loss of
the cycled battery less that of the one that floats at half full. Losses are spread evenly over the ten years. The fit by depth is
the convex one (slopes that never fall) nearest by least squares, because a linear programme can price convex wear only.
"""

from __future__ import annotations

import json

import numpy as np
from blast import models
from scipy.optimize import nnls

CELLS = {"lfp": models.Lfp_Gr_250AhPrismatic, "nmc": models.Nmc111_Gr_Kokam75Ah_Battery}
YEARS, DAY_S = 10, 86400
FLOATS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
DEPTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def lost(cell: str, low: float, high: float) -> float:
    """Share of the capacity lost after ten years of one cycle a day between two states of charge."""
    hours, socs = ([0, 8, 12, 20], [low, low, high, high]) if high > low else ([0], [low])
    days = 365 * YEARS
    time_s = np.append((np.arange(days)[:, None] * DAY_S + np.array(hours) * 3600.0).ravel(), days * DAY_S)
    soc = np.append(np.tile(socs, days), low)
    battery = CELLS[cell]()
    steady = np.full(len(soc), 25.0)
    battery.simulate_battery_life({"Time_s": time_s, "SOC": soc, "Temperature_C": steady}, threshold_time=YEARS)
    return 1.0 - float(battery.outputs["q"][-1])


def convex_slopes(per_cycle: np.ndarray) -> np.ndarray:
    """Slopes (share lost per cycle per unit of depth) of the ten tenths of depth that never fall, nearest to the points."""
    edges = np.linspace(0.0, 0.9, 10)
    ramps = np.maximum(0.0, np.array(DEPTHS)[:, None] - edges[None, :])  # a kink at each tenth
    kinks, _ = nnls(ramps, per_cycle)
    return np.cumsum(kinks)


def main() -> None:
    """Print the measured losses and the fits of both cells."""
    for cell in CELLS:
        floats = np.array([lost(cell, soc, soc) for soc in FLOATS])
        cycles = np.array([lost(cell, 0.5 - depth / 2, 0.5 + depth / 2) for depth in DEPTHS])
        per_cycle = (cycles - floats[FLOATS.index(0.5)]) / (365 * YEARS)
        slope, idle = np.polyfit(FLOATS, floats / YEARS, 1)
        slopes = convex_slopes(per_cycle)
        fitted = np.array(
            [float(np.interp(depth, np.linspace(0, 1, 11), np.append(0, np.cumsum(slopes) / 10))) for depth in DEPTHS]
        )
        print(cell)
        print("  lost in 10 years floating", dict(zip(FLOATS, floats.round(4).tolist(), strict=True)))
        print("  lost in 10 years of daily cycles", dict(zip(DEPTHS, cycles.round(4).tolist(), strict=True)))
        print("  per cycle", json.dumps([float(f"{value:.4g}") for value in per_cycle]))
        print("  slope by tenth of depth", json.dumps([float(f"{value:.4g}") for value in slopes]))
        print(
            "  worst error of the fit, share of a cycle of depth 0.9:", f"{np.abs(fitted - per_cycle).max() / per_cycle[-1]:.3f}"
        )
        print("  calendar a year: at empty", f"{idle:.4g}", "more at full", f"{slope:.4g}")


if __name__ == "__main__":
    main()
