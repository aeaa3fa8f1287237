"""The arithmetic of heat that replaces gas boilers: heat, gas and carbon dioxide, one from the other.

Two figures come from the project's texts (004:2324-2328): after five years Schiphol-Rijk saves 2.5 million m3 of gas, and 4,200 t
of carbon dioxide a year; together 1.68 kg a m3. The texts do not say whether the gas is of one year or of all five; here it is of
one year, as the carbon dioxide is (an assumption). The energy of a cubic metre and the efficiency of a boiler stand in no text:
they are outside constants, 31.65 MJ (lower heating value of Dutch gas) and 90 %. Energies kWh, volumes m3, masses kg.
"""

from __future__ import annotations

from dataclasses import dataclass

YEAR_H = 8760.0
"""Hours of a year."""

SCHIPHOL_RIJK_GAS_M3 = 2.5e6
"""Gas that Schiphol-Rijk saves after five years (004:2324-2328)."""
SCHIPHOL_RIJK_CO2_KG = 4.2e6
"""Carbon dioxide that it saves in a year (004:2324-2328)."""

GAS_MJ_PER_M3 = 31.65
"""Outside constant, in no text: lower heating value of a cubic metre of Dutch natural gas."""
BOILER_EFFICIENCY = 0.9
"""Outside constant, in no text: heat per energy of gas of the boiler that the heat replaces."""

MJ_PER_KWH = 3.6


def co2_kg_per_m3(co2_kg: float = SCHIPHOL_RIJK_CO2_KG, gas_m3: float = SCHIPHOL_RIJK_GAS_M3) -> float:
    """Carbon dioxide per volume of gas that was saved with it; that of Schiphol-Rijk by default.

    Raises:
        ValueError: no gas.
    """
    if gas_m3 <= 0:
        raise ValueError(f"{gas_m3:g} m3 of gas")
    return co2_kg / gas_m3


def gas_kwh(gas_m3: float) -> float:
    """Energy of a volume of gas, lower heating value."""
    return gas_m3 * GAS_MJ_PER_M3 / MJ_PER_KWH


def heat_of_gas_kwh(gas_m3: float) -> float:
    """Heat that a boiler makes of a volume of gas."""
    return gas_kwh(gas_m3) * BOILER_EFFICIENCY


def gas_for_heat_m3(heat_kwh: float) -> float:
    """Gas that a boiler would have burnt for this heat."""
    return heat_kwh / heat_of_gas_kwh(1.0)


def co2_for_heat_kg(heat_kwh: float) -> float:
    """Carbon dioxide of the gas that a boiler would have burnt for this heat."""
    return gas_for_heat_m3(heat_kwh) * co2_kg_per_m3()


def mean_kw(heat_kwh_per_year: float) -> float:
    """Mean power of a yearly energy."""
    return heat_kwh_per_year / YEAR_H


@dataclass(frozen=True, slots=True)
class HeatAccount:
    """Heat that was reused, and what it took.

    Attributes:
        delivered_kwh: heat that somebody demanded and got.
        electricity_kwh: of heat pumps and pumps.
        cooling_saved_kwh: chillers' electricity that was spared because the heat left another way.
    """

    delivered_kwh: float = 0.0
    electricity_kwh: float = 0.0
    cooling_saved_kwh: float = 0.0

    @property
    def gas_avoided_m3(self) -> float:
        """Gas that boilers did not burn."""
        return gas_for_heat_m3(self.delivered_kwh)

    @property
    def co2_avoided_kg(self) -> float:
        """Carbon dioxide of that gas; that of the electricity is in the site's own total, never taken off here."""
        return co2_for_heat_kg(self.delivered_kwh)

    def plus(self, other: HeatAccount) -> HeatAccount:
        """Both together."""
        return HeatAccount(
            self.delivered_kwh + other.delivered_kwh,
            self.electricity_kwh + other.electricity_kwh,
            self.cooling_saved_kwh + other.cooling_saved_kwh,
        )
