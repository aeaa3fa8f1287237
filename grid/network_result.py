"""What an AC power flow found, free of any power-flow library."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from grid.horizon import FloatArray, Horizon


@dataclass(frozen=True, slots=True, eq=False)
class NetworkResult:
    """AC power flow over the slots of a horizon (balanced), after the realised injections.

    Attributes:
        horizon: time axis of the power flow, whose slots may be shorter than those of a plan or report.
        slots: slots of it that were computed, ``[N]``.
        bus_names, line_names, transformer_names: element names.
        voltage_pu: ``[N, buses]``; line_loading_pct: ``[N, lines]``; transformer_loading_pct: ``[N, transformers]``
            (current over rated current).
        site_bus: bus index of each site that is in the network, by site name.
        grid_import_kw: active power drawn from the grid above, ``[N]`` (import positive); empty when not computed.
        losses_kw: active power lost in lines and transformers, ``[N]``; empty when not computed.
    """

    horizon: Horizon
    slots: tuple[int, ...]
    bus_names: tuple[str, ...]
    line_names: tuple[str, ...]
    transformer_names: tuple[str, ...]
    voltage_pu: FloatArray
    line_loading_pct: FloatArray
    transformer_loading_pct: FloatArray
    site_bus: dict[str, int]
    grid_import_kw: FloatArray = field(default_factory=lambda: np.empty(0))
    losses_kw: FloatArray = field(default_factory=lambda: np.empty(0))
