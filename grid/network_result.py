"""What an AC power flow is given and what it found, free of any power-flow library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from grid.ac_flow import ComplexArray, IntArray
from grid.errors import PowerFlowError
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


def site_import(site_import_kw: Mapping[str, npt.ArrayLike], site: str, horizon: Horizon) -> FloatArray:
    """Net import of a site, checked.

    Raises:
        PowerFlowError: missing, of another length, or not finite.
    """
    if site not in site_import_kw:
        raise PowerFlowError(f"no net import given for site {site!r}")
    power = np.asarray(site_import_kw[site], dtype=np.float64)
    if power.shape != (horizon.slots,) or not np.isfinite(power).all():
        raise PowerFlowError(f"net import of site {site!r} must be {horizon.slots} finite numbers, found shape {power.shape}")
    return power


def gathered(values: ComplexArray, places: IntArray, size: int) -> ComplexArray:
    """Sums of the columns of ``values`` ``[N, k]`` by their place, ``[N, size]``."""
    sums = np.zeros((size, len(values)), dtype=np.complex128)
    if len(np.unique(places)) == len(places):
        sums[places] = values.T
    else:
        np.add.at(sums, places, values.T)
    return sums.T
