"""Unbalanced power flow of a whole network with its sites: what ``grid.network`` holds, kept apart by phase.

A network has a three-phase description when its file has loads of single phases (pandapower's ``asymmetric_load``) and the
zero-sequence data of lines and external grid. SimBench's networks have neither. Loads of all phases, generators and sites are
spread evenly over the three phases: a site's power supplies are fed by all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import numpy.typing as npt

from grid.ac_flow import IntArray
from grid.horizon import FloatArray, Horizon
from grid.network import ALL_PHASES, Network
from grid.network_result import site_import
from grid.three_phase import PHASES, PhaseResult, ThreePhaseGrid, zero_sequence_missing


def has_three_phases(network: Network) -> bool:
    """Whether the network has a three-phase description; without loads of single phases no library is loaded."""
    return bool((network.load_phases != ALL_PHASES).any()) and not zero_sequence_missing(network.pandapower_net)


class PhaseFlow:
    """Unbalanced flows of one network with sites at given buses.

    Args:
        network: with a three-phase description.
        site_bus: name of the bus of each site.

    Raises:
        NetworkError, PowerFlowError: the network cannot be used (``ThreePhaseGrid``), or has no such bus.
    """

    def __init__(self, network: Network, site_bus: Mapping[str, str]) -> None:
        self._network = network
        self._sites = tuple(site_bus)
        sites = np.array([network.bus_index(bus) for bus in site_bus.values()], dtype=np.int64)
        self._shares = np.concatenate([phase_shares(network.load_phases), _even(len(network.sgen_buses)), _even(len(sites))])
        self._grid = ThreePhaseGrid(network.pandapower_net, np.concatenate([network.load_buses, network.sgen_buses, sites]))

    def flow(
        self,
        horizon: Horizon,
        profile_start: str | datetime,
        site_import_kw: Mapping[str, npt.ArrayLike],
        household_scale: float = 1.0,
    ) -> PhaseResult:
        """Voltages of each phase, unbalance and loadings in every slot of ``horizon``.

        Args:
            horizon: time axis of the site powers.
            profile_start: as for ``Network.power_flow``.
            site_import_kw: net import of each site (import positive), ``[slots]``.
            household_scale: factor on the network's own loads.

        Raises:
            PowerFlowError: wrong shapes or values, or no solution (names slot and bus).
        """
        load_p, load_q, sun = self._network.households_kw(horizon, profile_start, household_scale)
        sites = [site_import(site_import_kw, site, horizon) for site in self._sites]
        imports = np.stack(sites, axis=1) if sites else np.zeros((horizon.slots, 0))
        draw_mva = np.concatenate([load_p + 1j * load_q, -sun + 0j, imports + 0j], axis=1) / 1e3
        return self._grid.flow(draw_mva[:, :, None] * self._shares)


def phase_shares(phases: IntArray) -> FloatArray:
    """Share of each load in each phase, ``[loads, 3]``: all of it in its own phase, or a third in each."""
    shares = _even(len(phases))
    single = phases != ALL_PHASES
    shares[single] = np.eye(len(PHASES))[phases[single]]
    return shares


def _even(count: int) -> FloatArray:
    """A third in each phase, ``[count, 3]``."""
    return np.full((count, len(PHASES)), 1.0 / len(PHASES))
