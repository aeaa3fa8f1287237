"""Cycles of a battery, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from grid.assets.battery import Battery
from grid.assets.wear import DepthWear
from sim.battery_life import battery_life, rainflow_cycles

WEAR = DepthWear(((0.5, 0.01), (0.5, 0.04)), 0.001)


def test_life_by_hand() -> None:
    """10 of 10 kWh, down to 4, up to 6, down to 1, up to 10: one cycle of 2 in one of 9."""
    battery = Battery(10.0, 10.0, 10.0, 1.0, 1.0, 10.0, wear=WEAR)
    soc = np.array([4.0, 6.0, 1.0, 10.0])
    life = battery_life("hall", battery, np.array([0, 2.0, 0, 9.0]), np.array([6.0, 0, 5.0, 0]), soc, 1.0)
    assert life.full_cycles == pytest.approx(1.1)
    assert life.deepest == pytest.approx(0.9)
    assert life.cycles == (0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    assert life.mean_soc == pytest.approx((10 / 2 + 4 + 6 + 1 + 10 / 2) / 4 / 10)
    cycles = 2 * 0.01 + 5 * 0.01 + 4 * 0.04
    assert life.wear_eur == pytest.approx(cycles + 0.001 * 21.0)
    assert life.wear_by_rainflow_eur == pytest.approx(life.wear_eur)


def test_a_battery_with_one_price_has_no_second_count() -> None:
    """Nothing is priced by depth, so there is nothing to compare; a battery that rests makes no cycle."""
    battery = Battery(10.0, 10.0, 10.0, initial_soc_kwh=5.0, wear_eur_per_kwh=0.1)
    still = np.zeros(3)
    life = battery_life("hall", battery, still, still, np.full(3, 5.0), 1.0)
    assert (life.wear_by_rainflow_eur, life.deepest, life.full_cycles, sum(life.cycles)) == (None, 0.0, 0.0, 0.0)
    assert rainflow_cycles(np.full(4, 5.0)) == []
