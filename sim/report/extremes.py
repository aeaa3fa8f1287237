"""The worst of a power flow: which element, which value, when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from grid.horizon import FloatArray
from grid.network_result import NetworkResult


@dataclass(frozen=True, slots=True)
class Extreme:
    """The worst value of one kind.

    Attributes:
        value: per unit (voltage) or per cent (loading); element: name of the bus, line or transformer; when: slot start, UTC.
    """

    value: float
    element: str
    when: datetime


def _worst(values: FloatArray, names: tuple[str, ...], network: NetworkResult, *, lowest: bool) -> Extreme | None:
    if values.size == 0 or np.isnan(values).all():
        return None
    position = int(np.nanargmin(values) if lowest else np.nanargmax(values))
    row, column = np.unravel_index(position, values.shape)
    return Extreme(float(values[row, column]), names[column], network.horizon.time(network.slots[row]))


def extremes(network: NetworkResult) -> dict[str, Extreme]:
    """Worst values of a power flow.

    Keys: ``voltage_low_pu``, ``voltage_high_pu``, ``line_loading_pct``, ``transformer_loading_pct``; a kind that the
    network has no element of is left out.
    """
    found = {
        "voltage_low_pu": _worst(network.voltage_pu, network.bus_names, network, lowest=True),
        "voltage_high_pu": _worst(network.voltage_pu, network.bus_names, network, lowest=False),
        "line_loading_pct": _worst(network.line_loading_pct, network.line_names, network, lowest=False),
        "transformer_loading_pct": _worst(network.transformer_loading_pct, network.transformer_names, network, lowest=False),
    }
    return {name: extreme for name, extreme in found.items() if extreme is not None}
