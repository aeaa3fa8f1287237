"""Heat, gas and carbon dioxide: the arithmetic of the texts' figures, and back again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.heat_account import (
    SCHIPHOL_RIJK_CO2_KG,
    SCHIPHOL_RIJK_GAS_M3,
    HeatAccount,
    co2_for_heat_kg,
    co2_kg_per_m3,
    gas_for_heat_m3,
    gas_kwh,
    heat_of_gas_kwh,
    mean_kw,
)


def test_the_figures_of_schiphol_rijk() -> None:
    """4,200 t for 2.5 million m3 are 1.68 kg a m3; about 22 GWh of gas make about 20 GWh of heat, 2.3 MW on average."""
    assert co2_kg_per_m3() == pytest.approx(1.68)
    assert gas_kwh(SCHIPHOL_RIJK_GAS_M3) == pytest.approx(22e6, rel=0.01)
    assert heat_of_gas_kwh(SCHIPHOL_RIJK_GAS_M3) == pytest.approx(20e6, rel=0.02)
    assert mean_kw(heat_of_gas_kwh(SCHIPHOL_RIJK_GAS_M3)) == pytest.approx(2300.0, rel=0.02)


def test_one_cubic_metre_by_hand() -> None:
    """31.65 MJ are 8.792 kWh of gas, and 7.9125 kWh of heat in a boiler of 90 %."""
    assert gas_kwh(1.0) == pytest.approx(8.7916667)
    assert heat_of_gas_kwh(1.0) == pytest.approx(7.9125)
    assert co2_for_heat_kg(7.9125) == pytest.approx(1.68)


def test_no_gas_has_no_carbon_per_volume() -> None:
    """Carbon dioxide per nothing is refused."""
    with pytest.raises(ValueError, match="0 m3"):
        co2_kg_per_m3(1.0, 0.0)


@given(gas_m3=st.floats(0, 1e9))
def test_heat_of_gas_needs_that_gas(gas_m3: float) -> None:
    """The gas that a boiler needs for the heat of some gas is that gas, and the carbon dioxide that of the texts' ratio."""
    heat = heat_of_gas_kwh(gas_m3)
    assert gas_for_heat_m3(heat) == pytest.approx(gas_m3)
    assert co2_for_heat_kg(heat) == pytest.approx(gas_m3 * SCHIPHOL_RIJK_CO2_KG / SCHIPHOL_RIJK_GAS_M3)


def test_an_account_counts_gas_of_delivered_heat_only() -> None:
    """Two accounts together: electricity and spared cooling add up, and neither changes the gas."""
    both = HeatAccount(7.9125, 2.0, 0.5).plus(HeatAccount(7.9125, 1.0, 0.25))
    assert (both.delivered_kwh, both.electricity_kwh, both.cooling_saved_kwh) == pytest.approx((15.825, 3.0, 0.75))
    assert both.gas_avoided_m3 == pytest.approx(2.0)
    assert both.co2_avoided_kg == pytest.approx(3.36)
