"""What a battery's use costs in life: by the depth of its cycles and by the charge at which it stands.

*Cycles.* Discharging one kWh costs more the deeper it is below where the discharge began. The cells are thought of as *layers*,
each a share of the capacity with a price per kWh taken out, never falling from one to the next. What is taken out comes from
the cheapest layer that holds something, what is put in fills the cheapest that has room. A cycle within a cycle then pays for
its own depth only and the outer one goes on where it stopped, which is what rainflow counting does (ASTM E1049): the price of a
whole day equals the sum, over every full cycle and every half cycle that discharges, of the price of its depth (Xu, Zhao,
Zheng, Litvinov, Kirschen, "Factoring the cycle aging cost of batteries participating in electricity markets", IEEE Transactions
on Power Systems 33(2), 2018). Because prices never fall, a linear programme that may take from any layer does the same.

*Standing.* Cells age faster at a high state of charge; the part that rises with it costs a price per kWh held and hour.
What a battery loses at empty is the same whatever is decided, and has no price here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from grid.horizon import FloatArray

if TYPE_CHECKING:
    from grid.assets.battery import Battery


@dataclass(frozen=True, slots=True)
class DepthWear:
    """Prices of wear.

    Attributes:
        layers: share of the capacity and EUR per kWh taken out of the cells, from the shallowest to the deepest.
        held_eur_per_kwh_h: EUR per kWh in the cells and hour.

    Raises:
        ValueError: shares that do not sum to 1, a price below 0, or prices that fall.
    """

    layers: tuple[tuple[float, float], ...]
    held_eur_per_kwh_h: float = 0.0

    def __post_init__(self) -> None:
        shares, prices = [share for share, _ in self.layers], [price for _, price in self.layers]
        if not shares or min(shares) <= 0 or abs(sum(shares) - 1.0) > 1e-9:
            raise ValueError("shares of the layers are above 0 and sum to 1")
        if min(prices) < 0 or self.held_eur_per_kwh_h < 0:
            raise ValueError("prices of wear are not negative")
        if any(after < before for before, after in pairwise(prices)):
            raise ValueError("prices of wear do not fall with depth")

    @property
    def dearest_eur_per_kwh(self) -> float:
        """Price of the deepest layer."""
        return self.layers[-1][1]

    def room_kwh(self, energy_kwh: float) -> FloatArray:
        """What each layer of a battery of that capacity holds when full, ``[J]`` kWh."""
        return energy_kwh * np.array([share for share, _ in self.layers])

    def filled_kwh(self, energy_kwh: float, soc_kwh: float) -> FloatArray:
        """Layers at a state of charge of unknown history, ``[J]`` kWh: the cheapest are full, so depth counts from here."""
        room = self.room_kwh(energy_kwh)
        return np.clip(soc_kwh - np.concatenate(([0.0], np.cumsum(room)[:-1])), 0.0, room)

    def depth_eur(self, energy_kwh: float, depth_kwh: float) -> float:
        """Price of one discharge of ``depth_kwh`` from the cells."""
        taken = self.filled_kwh(energy_kwh, depth_kwh)
        return float(taken @ np.array([price for _, price in self.layers]))


def cycles_eur(wear: DepthWear, energy_kwh: float, start_kwh: float, put_in_kwh: FloatArray, taken_kwh: FloatArray) -> float:
    """Price of a series of charges and discharges of the cells.

    Args:
        wear: prices.
        energy_kwh: capacity.
        start_kwh: state of charge at the beginning.
        put_in_kwh: into the cells in each slot, ``[T]`` kWh.
        taken_kwh: out of the cells in each slot, ``[T]`` kWh; what goes in and out in one slot passes through the cheapest layer.
    """
    held = wear.filled_kwh(energy_kwh, start_kwh)
    room = wear.room_kwh(energy_kwh)
    prices = np.array([price for _, price in wear.layers])
    through = np.minimum(put_in_kwh, taken_kwh)
    owed = float(through.sum()) * float(prices[0])
    for move in put_in_kwh - taken_kwh:
        if move > 0:
            held += _fill(room - held, move)
        elif move < 0:
            taken = _fill(held, -move)
            held -= taken
            owed += float(taken @ prices)
            owed += max(0.0, -move - float(taken.sum())) * float(prices[-1])  # rounding: below empty
    return owed


def _fill(room: FloatArray, amount: float) -> FloatArray:
    """``amount`` given to layers in their order, each up to its room, ``[J]``."""
    return np.clip(amount - np.concatenate(([0.0], np.cumsum(room)[:-1])), 0.0, room)


def wear_eur(
    battery: Battery, start_kwh: float, charge_kwh: FloatArray, discharge_kwh: FloatArray, soc_kwh: FloatArray, step_h: float
) -> float:
    """Everything that the use of a battery costs in life, EUR: per kWh through the terminal, by depth, and standing.

    Args:
        battery: prices and efficiencies.
        start_kwh: state of charge at the beginning.
        charge_kwh: into the terminal in each slot, ``[T]`` kWh, not negative.
        discharge_kwh: out of it, ``[T]`` kWh, not negative.
        soc_kwh: state of charge at the end of each slot, ``[T]``; within a slot it is taken as a straight line.
        step_h: length of a slot.
    """
    owed = battery.wear_eur_per_kwh * float(charge_kwh.sum() + discharge_kwh.sum()) / 2
    if battery.wear is not None:
        put_in, taken = charge_kwh * battery.charge_efficiency, discharge_kwh / battery.discharge_efficiency
        owed += cycles_eur(battery.wear, battery.energy_kwh, start_kwh, put_in, taken)
        owed += battery.wear.held_eur_per_kwh_h * step_h * (start_kwh / 2 + float(soc_kwh.sum()) - float(soc_kwh[-1]) / 2)
    return owed
