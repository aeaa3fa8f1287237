"""A combined heat and power unit on biogas with a gas store: exact over steps of constant power.

Gas comes in at a constant rate. ``d store / dt = gas - power / electrical_efficiency - flared``; what the full store cannot take
is flared, which is the only way to lose gas. Powers are kW, gas in kW and kWh of its lower heating value. Combustion carbon of
biogas is biogenic: it is declared (``biogenic_g_per_kwh`` of gas) and counts neither in the cost nor in the carbon of a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from grid.assets.site_asset import Bill, Trajectory
from grid.horizon import FloatArray, Horizon

DUST_KW = 1e-7
"""Electrical power below this is a solver's rounding."""


@dataclass(frozen=True, slots=True)
class BiogasChp:
    """Parameters of a unit; it runs between ``minimum_load * power_kw`` and ``power_kw`` or not at all.

    Attributes:
        name: unique in its site.
        power_kw: largest electrical output.
        electrical_efficiency, thermal_efficiency: output per kWh of gas, together at most 1.
        gas_kw: gas that the digester makes, always.
        store_kwh: capacity of the gas store; lowest_kwh: gas that stays in it; initial_kwh: gas at the start.
        minimum_load: share of ``power_kw``, in [0, 1].
        minimum_run_h: hours that it runs at least once it has started.
        start_eur: price of a start; running_eur_per_kwh: upkeep per kWh of electricity.
        heat_eur_per_kwh: worth of a kWh of its heat, all of which is used.
        biogenic_g_per_kwh: biogenic carbon dioxide per kWh of gas, burnt or flared.
        initially_on: True when it runs at the start.
        final_kwh: gas to be left at the end as far as the digester can bring it; ``initial_kwh`` when None.
    """

    kind: ClassVar[str] = "biogas"
    names: ClassVar[tuple[str, ...]] = ("power_kw", "on", "flared_kw", "heat_kw", "store_kwh")

    name: str
    power_kw: float
    electrical_efficiency: float
    thermal_efficiency: float
    gas_kw: float
    store_kwh: float
    lowest_kwh: float = 0.0
    initial_kwh: float = 0.0
    minimum_load: float = 0.0
    minimum_run_h: float = 0.0
    start_eur: float = 0.0
    running_eur_per_kwh: float = 0.0
    heat_eur_per_kwh: float = 0.0
    biogenic_g_per_kwh: float = 0.0
    initially_on: bool = False
    final_kwh: float | None = None

    def __post_init__(self) -> None:
        if self.power_kw <= 0 or not 0 < self.electrical_efficiency <= 1:
            raise ValueError("biogas: power must be above 0 and electrical efficiency in (0, 1]")
        if self.thermal_efficiency < 0 or self.electrical_efficiency + self.thermal_efficiency > 1:
            raise ValueError("biogas: the two efficiencies are not negative and together at most 1")
        if not 0 <= self.lowest_kwh <= self.initial_kwh <= self.store_kwh:
            raise ValueError("biogas: 0 <= lowest <= initial <= capacity of the store")
        prices = (self.start_eur, self.running_eur_per_kwh, self.heat_eur_per_kwh, self.biogenic_g_per_kwh)
        if min(self.gas_kw, self.minimum_run_h, *prices) < 0 or not 0 <= self.minimum_load <= 1:
            raise ValueError("biogas: gas, times and prices are not negative, minimum load in [0, 1]")

    def begun(self, state: Mapping[str, float]) -> Self:
        """With the gas in the store and the running that were observed; what is to be left at the end stays as it was."""
        if not state:
            return self
        final = self.initial_kwh if self.final_kwh is None else self.final_kwh
        level = min(max(state["store_kwh"], self.lowest_kwh), self.store_kwh)
        return replace(self, initial_kwh=level, initially_on=state["on"] > 0.5, final_kwh=final)

    def left_at_end_kwh(self, hours: float) -> float:
        """Gas to be left after so many hours: what there was, or all that the digester can bring when that is less."""
        wanted = self.initial_kwh if self.final_kwh is None else self.final_kwh
        return min(wanted, self.initial_kwh + self.gas_kw * hours, self.store_kwh)

    def rule(self, horizon: Horizon, it_kw: FloatArray) -> Trajectory:
        """Full power once the store is over half way to full, until it would fall below what is to be left at the end."""
        least = max(1, round(np.ceil(self.minimum_run_h / horizon.step_h - 1e-9)))
        gain = self.gas_kw * horizon.step_h
        burn = self.power_kw / self.electrical_efficiency * horizon.step_h
        power, level, t = np.zeros(horizon.slots), self.initial_kwh, 0
        keep = max(self.lowest_kwh, self.left_at_end_kwh(horizon.slots * horizon.step_h))
        while t < horizon.slots:
            piece = min(least, horizon.slots - t)
            if level + piece * min(0.0, gain - burn) >= keep and level >= (keep + self.store_kwh) / 2:
                power[t : t + piece] = self.power_kw
                level, t = min(self.store_kwh, level + piece * (gain - burn)), t + piece
            else:
                level, t = min(self.store_kwh, level + gain), t + 1
        return self.trajectory({"power_kw": power}, horizon, it_kw)

    def trajectory(self, decisions: Mapping[str, FloatArray], horizon: Horizon, it_kw: FloatArray) -> Trajectory:  # noqa: ARG002 - the seam's
        """What the physics make of ``power_kw``: cut to the gas that is there, gas flared that the full store cannot take."""
        power = np.clip(decisions["power_kw"], 0.0, self.power_kw)
        power = np.where(power < DUST_KW, 0.0, power)
        flared, store, level = np.zeros_like(power), np.zeros_like(power), self.initial_kwh
        for t in range(horizon.slots):
            there_kw = (level - self.lowest_kwh) / horizon.step_h + self.gas_kw
            power[t] = min(power[t], there_kw * self.electrical_efficiency)
            level += (self.gas_kw - power[t] / self.electrical_efficiency) * horizon.step_h
            flared[t] = max(0.0, level - self.store_kwh) / horizon.step_h
            level = store[t] = min(max(level, self.lowest_kwh), self.store_kwh)
        heat = power / self.electrical_efficiency * self.thermal_efficiency
        return {"power_kw": power, "on": (power > 0).astype(float), "flared_kw": flared, "heat_kw": heat, "store_kwh": store}

    def draw_kw(self, series: Mapping[str, FloatArray]) -> FloatArray:
        """Net draw: minus the electrical output."""
        return -series["power_kw"]

    def bill(self, series: Mapping[str, FloatArray], step_h: float) -> Bill:
        """Starts and upkeep, less the worth of the heat; the carbon of biogas is biogenic and not in it."""
        on = series["on"] > 0.5
        starts = int((on & ~np.concatenate(([self.initially_on], on[:-1]))).sum())
        energy_kwh = float(series["power_kw"].sum()) * step_h
        heat_kwh = float(series["heat_kw"].sum()) * step_h
        return Bill(starts * self.start_eur + energy_kwh * self.running_eur_per_kwh - heat_kwh * self.heat_eur_per_kwh)

    def biogenic_kg(self, series: Mapping[str, FloatArray], step_h: float) -> float:
        """Declared biogenic carbon dioxide of a trajectory, kg: of all gas burnt and flared."""
        gas_kwh = float((series["power_kw"] / self.electrical_efficiency + series["flared_kw"]).sum()) * step_h
        return gas_kwh * self.biogenic_g_per_kwh / 1000.0
