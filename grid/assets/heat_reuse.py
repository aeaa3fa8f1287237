"""Reuse of a hall's heat: taken from its IT, raised by a heat pump, kept in a buffer, delivered where there is demand.

At most ``share`` of the IT power becomes usable heat of ``source_c``. A heat pump makes ``made`` kW of heat of ``supply_c`` from
``made * (1 - 1 / COP)`` of it and ``made / COP`` of electricity; where the source is as warm as the supply it needs none. The
buffer follows ``d store / dt = made - delivered - loss * store``, solved exactly over steps of constant power. Heat is worth
something only when delivered, and never more than the demand is: there is no other way to get rid of it. The hall's own chiller
is spared what ``spared`` says of each kW of heat that leaves this way. Powers are kW of heat; ``power_kw`` and ``spared_kw`` are
electricity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from grid.assets.site_asset import Bill, Trajectory
from grid.heat_account import HeatAccount, co2_for_heat_kg
from grid.heat_pump import heat_pump_cop
from grid.horizon import FloatArray, Horizon
from grid.series import Series


def slot_minimum(series: Series, horizon: Horizon) -> FloatArray:
    """Lowest value in each slot of ``horizon``, ``[T]``; what holds at every instant of it.

    Raises:
        SeriesError: the series does not cover the horizon.
    """
    lowest = series.mean(horizon)  # of the shape wanted, and refuses a series that is too short
    first = np.searchsorted(series.edges_s, horizon.edges_s[:-1], side="right") - 1
    last = np.searchsorted(series.edges_s, horizon.edges_s[1:], side="left")
    for t, (begin, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        lowest[t] = series.values[begin:end].min()
    return lowest


@dataclass(frozen=True, slots=True)
class HeatReuse:
    """Parameters of heat reuse at one site.

    Attributes:
        name: unique in its site.
        share: heat that can be taken per IT power, in (0, 1].
        source_c, supply_c: temperature of that heat, and of the heat that is delivered.
        carnot_share: COP of the heat pump as a share of Carnot's.
        heat_kw: largest output of heat.
        demand_kw: heat demand (kW), as the lowest value in a slot.
        idle_it_kw: IT power of the site that is always there and is no job (idle nodes).
        buffer_kwh: capacity of the buffer; initial_kwh: heat in it at the start; loss_per_h: share of it lost in an hour.
        heat_eur_per_kwh: paid for delivered heat; avoided_eur_per_kg: for each kg of carbon dioxide that its gas would have made.
        running_eur_per_kwh: upkeep per kWh of heat made; pumps_kw_per_kw: electricity of circulation pumps per heat made.
        spared: electricity of the hall's chiller per kW of heat taken, over time; None: nothing.
        final_kwh: heat to be left at the end as far as idle nodes can bring it; ``initial_kwh`` when None.
    """

    kind: ClassVar[str] = "heat"
    names: ClassVar[tuple[str, ...]] = ("made_kw", "delivered_kw", "demand_kw", "source_kw", "power_kw", "spared_kw", "store_kwh")

    name: str
    share: float
    source_c: float
    supply_c: float
    carnot_share: float
    heat_kw: float
    demand_kw: Series
    idle_it_kw: float
    buffer_kwh: float = 0.0
    initial_kwh: float = 0.0
    loss_per_h: float = 0.0
    heat_eur_per_kwh: float = 0.0
    avoided_eur_per_kg: float = 0.0
    running_eur_per_kwh: float = 0.0
    pumps_kw_per_kw: float = 0.0
    spared: Series | None = None
    final_kwh: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or not 0 < self.carnot_share <= 1 or not 0 <= self.loss_per_h < 1:
            raise ValueError("heat: shares of heat and of Carnot in (0, 1], and a loss in [0, 1)")
        if not 0 <= self.initial_kwh <= self.buffer_kwh:
            raise ValueError("heat: 0 <= initial <= capacity of the buffer")
        prices = (self.heat_eur_per_kwh, self.avoided_eur_per_kg, self.running_eur_per_kwh)
        if min(self.heat_kw, self.idle_it_kw, self.pumps_kw_per_kw, *prices) < 0 or self.demand_kw.values.min() < 0:
            raise ValueError("heat: powers, demand and prices are not negative")

    @property
    def cop(self) -> float:
        """Heat per electricity of the heat pump; infinite when none is needed."""
        return heat_pump_cop(self.source_c, self.supply_c, self.carnot_share)

    @property
    def source_per_heat(self) -> float:
        """Heat taken from the IT per heat made, in [0, 1]; the rest is the heat pump's electricity."""
        return 1.0 - 1.0 / self.cop

    @property
    def power_per_heat(self) -> float:
        """Electricity per heat made, pumps included."""
        return 1.0 / self.cop + self.pumps_kw_per_kw

    @property
    def worth_eur_per_kwh(self) -> float:
        """What a kWh of delivered heat earns."""
        return self.heat_eur_per_kwh + co2_for_heat_kg(1.0) * self.avoided_eur_per_kg

    def most_kw(self, it_kw: float) -> float:
        """Largest heat that can be made at an IT power (idle nodes included)."""
        found = self.share * max(0.0, it_kw)
        return min(self.heat_kw, found / self.source_per_heat) if self.source_per_heat > 0 else self.heat_kw

    def kept(self, hours: float) -> tuple[float, float]:
        """Share of the buffer's heat that is left after some hours, and the hours that a constant inflow counts for."""
        if self.loss_per_h == 0:
            return 1.0, hours
        rate = -math.log(1.0 - self.loss_per_h)
        left = (1.0 - self.loss_per_h) ** hours
        return left, (1.0 - left) / rate

    def spared_kw_per_kw(self, horizon: Horizon) -> FloatArray:
        """Electricity of the chiller per kW of heat taken, mean of each slot, ``[T]``."""
        return np.zeros(horizon.slots) if self.spared is None else self.spared.mean(horizon)

    def begun(self, state: Mapping[str, float]) -> Self:
        """With the heat in the buffer that was observed; what is to be left at the end stays as it was."""
        if not state:
            return self
        final = self.initial_kwh if self.final_kwh is None else self.final_kwh
        return replace(self, initial_kwh=min(max(state["store_kwh"], 0.0), self.buffer_kwh), final_kwh=final)

    def left_at_end_kwh(self, horizon: Horizon) -> float:
        """Heat to be left at the end: that of the start, or all that idle nodes can bring when that is less."""
        wanted = self.initial_kwh if self.final_kwh is None else self.final_kwh
        left, counted = self.kept(horizon.step_h)
        level, made = self.initial_kwh, self.most_kw(self.idle_it_kw)
        for _ in range(horizon.slots):
            level = min(self.buffer_kwh, level * left + made * counted)
        return min(wanted, level)

    def rule(self, horizon: Horizon, it_kw: FloatArray) -> Trajectory:
        """Deliver what is demanded as it comes, and keep the buffer as full as it was at the start; knows no price."""
        demand, (left, counted) = slot_minimum(self.demand_kw, horizon), self.kept(horizon.step_h)
        made, delivered, level = np.zeros(horizon.slots), np.zeros(horizon.slots), self.initial_kwh
        keep = self.initial_kwh if self.final_kwh is None else self.final_kwh
        for t in range(horizon.slots):
            most = self.most_kw(self.idle_it_kw + float(it_kw[t]))
            refill = (keep - level * left) / counted
            delivered[t] = max(0.0, min(float(demand[t]), most - refill))
            made[t] = max(0.0, min(most, delivered[t] + refill))
            level = level * left + (made[t] - delivered[t]) * counted
        return self.trajectory({"made_kw": made, "delivered_kw": delivered}, horizon, it_kw)

    def trajectory(self, decisions: Mapping[str, FloatArray], horizon: Horizon, it_kw: FloatArray) -> Trajectory:
        """What the physics make of ``made_kw`` and ``delivered_kw``: cut to the IT's heat, the demand and the buffer's bounds."""
        demand, (left, counted) = slot_minimum(self.demand_kw, horizon), self.kept(horizon.step_h)
        made = np.array(
            [min(max(0.0, kw), self.most_kw(self.idle_it_kw + it)) for kw, it in zip(decisions["made_kw"], it_kw, strict=True)]
        )
        delivered = np.minimum(np.maximum(0.0, decisions["delivered_kw"]), demand)
        store, level = np.zeros(horizon.slots), self.initial_kwh
        for t in range(horizon.slots):
            level = level * left + (made[t] - delivered[t]) * counted
            if level > self.buffer_kwh:
                made[t] = max(0.0, made[t] - (level - self.buffer_kwh) / counted)
            elif level < 0:
                delivered[t] = max(0.0, delivered[t] + level / counted)
            level = store[t] = min(max(level, 0.0), self.buffer_kwh)
        source = made * self.source_per_heat
        spared, power = source * self.spared_kw_per_kw(horizon), made * self.power_per_heat
        return dict(zip(self.names, (made, delivered, demand, source, power, spared, store), strict=True))

    def draw_kw(self, series: Mapping[str, FloatArray]) -> FloatArray:
        """Net draw: electricity of heat pump and pumps, less what the hall's chiller is spared."""
        draw: FloatArray = series["power_kw"] - series["spared_kw"]
        return draw

    def bill(self, series: Mapping[str, FloatArray], step_h: float) -> Bill:
        """Upkeep, less what delivered heat earns; carbon dioxide that is avoided elsewhere is never taken off the site's own."""
        made_kwh, delivered_kwh = (float(series[name].sum()) * step_h for name in ("made_kw", "delivered_kw"))
        return Bill(made_kwh * self.running_eur_per_kwh - delivered_kwh * self.worth_eur_per_kwh)

    def account(self, series: Mapping[str, FloatArray], step_h: float) -> HeatAccount:
        """Heat delivered and what it took."""
        delivered, power, spared = (float(series[name].sum()) * step_h for name in ("delivered_kw", "power_kw", "spared_kw"))
        return HeatAccount(delivered, power, spared)
