"""A battery: capacity, power, efficiencies and the price of wear.

Sign: charging and discharging power are each positive, measured at the battery's terminal on the site's
side; the *battery power* is ``charge - discharge`` (charging positive).
State of charge is energy in the cells: ``d soc / dt = eta_c charge - discharge / eta_d``.
"""

from __future__ import annotations

from dataclasses import dataclass

from grid.assets.wear import DepthWear


@dataclass(frozen=True, slots=True)
class Battery:
    """Parameters of a battery.

    Attributes:
        energy_kwh: usable capacity of the cells, above 0.
        charge_kw: largest charging power at the terminal.
        discharge_kw: largest discharging power at the terminal.
        charge_efficiency: terminal to cells, in (0, 1].
        discharge_efficiency: cells to terminal, in (0, 1].
        initial_soc_kwh: state of charge at the start.
        reserve_soc_kwh: state of charge never undercut (backup reserve).
        wear_eur_per_kwh: price of wear per kWh through the terminal, half on charge and half on discharge.
        wear: further prices, by depth of cycles and by charge held; None when there are none.
        ups: it carries the load without a break when the mains fail (uninterruptible supply).
    """

    energy_kwh: float
    charge_kw: float
    discharge_kw: float
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    initial_soc_kwh: float = 0.0
    reserve_soc_kwh: float = 0.0
    wear_eur_per_kwh: float = 0.0
    wear: DepthWear | None = None
    ups: bool = False

    def __post_init__(self) -> None:
        if self.energy_kwh <= 0 or min(self.charge_kw, self.discharge_kw, self.wear_eur_per_kwh) < 0:
            raise ValueError("battery capacity must be above 0, its powers and wear not negative")
        if not (0 < self.charge_efficiency <= 1 and 0 < self.discharge_efficiency <= 1):
            raise ValueError("battery efficiencies lie in (0, 1]")
        if not 0 <= self.reserve_soc_kwh <= self.initial_soc_kwh <= self.energy_kwh:
            raise ValueError("battery: 0 <= reserve <= initial state of charge <= capacity")

    @property
    def dearest_wear_eur_per_kwh(self) -> float:
        """The most that discharging one kWh at the terminal can wear, beyond what every kWh through it does."""
        return self.wear.dearest_eur_per_kwh / self.discharge_efficiency if self.wear else 0.0

    def limited_kw(self, power_kw: float) -> float:
        """``power_kw`` (charging positive) cut to what the terminal can carry."""
        return max(-self.discharge_kw, min(self.charge_kw, power_kw))

    def soc_rate_kw(self, power_kw: float) -> float:
        """Rate of change of the state of charge in kW for a battery power (charging positive)."""
        return power_kw * self.charge_efficiency if power_kw >= 0 else power_kw / self.discharge_efficiency
