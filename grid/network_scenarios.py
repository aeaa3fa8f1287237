"""One day of a network in many scenarios: the households' power is taken once, and all scenarios are solved together.

A scenario solved alone leaves the batch short, and a short batch spends its time between the numbers instead of on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from grid.ac_flow import ComplexArray
from grid.errors import PowerFlowError
from grid.horizon import FloatArray, Horizon
from grid.network import CHUNK, Network, silent
from grid.network_result import NetworkResult


def scenario_flows(
    network: Network,
    horizon: Horizon,
    profile_start: str | datetime,
    site_import_kw: Mapping[str, FloatArray],
    site_bus: Mapping[str, str],
    *,
    household_scale: float = 1.0,
) -> tuple[NetworkResult, ...]:
    """AC power flow of every slot in every scenario, as ``Network.power_flow`` finds it for each alone.

    Args:
        network: with its own users, who are the same in each scenario.
        horizon: time axis of the site powers.
        profile_start: naive local time in 2016 that the horizon's start maps to.
        site_import_kw: net import of each site (import positive), ``[scenarios, slots]``.
        site_bus: bus name of each site that is in the network.
        household_scale: factor on the network's own loads.

    Raises:
        PowerFlowError: unknown bus, wrong shapes or values, or no solution (names scenario, slot and worst bus).
        FeedError: the horizon leaves the profile year.
    """
    buses = {site: network.bus_index(bus) for site, bus in site_bus.items()}
    count = _scenarios(site_import_kw, buses, horizon)
    users = network.households_kw(horizon, profile_start, household_scale)
    own = network.injection_mva(*users, {}, {})
    injection = np.repeat(own[None], count, axis=0)
    for site, bus in buses.items():
        injection[:, :, bus] -= np.asarray(site_import_kw[site], dtype=np.float64) / 1e3
    slots = np.arange(horizon.slots)
    together = max(1, CHUNK // horizon.slots)
    results: list[NetworkResult] = []
    for first in range(0, count, together):
        part = injection[first : first + together]
        rows = part.reshape(-1, part.shape[2])
        try:
            voltage = network.solve_slots(rows, np.tile(slots, len(part)), horizon, silent)
        except PowerFlowError as error:
            raise _located(network, part, first, horizon, error) from error
        each = voltage.reshape(len(part), horizon.slots, -1)
        named = tuple(int(slot) for slot in slots)
        results += [network.result(horizon, named, one, own_part, buses) for one, own_part in zip(each, part, strict=True)]
    return tuple(results)


def _scenarios(site_import_kw: Mapping[str, FloatArray], buses: Mapping[str, int], horizon: Horizon) -> int:
    """Number of scenarios, the same for every site.

    Raises:
        PowerFlowError: a site is missing, has another number, another length, or a value that is no number; or there is no site.
    """
    shapes = {site: np.shape(site_import_kw.get(site, ())) for site in buses}
    counts = {shape[0] for shape in shapes.values() if len(shape) == 2 and shape[1] == horizon.slots}
    fine = len(counts) == 1 and all(shape == (min(counts), horizon.slots) for shape in shapes.values())
    if not fine or not all(np.isfinite(site_import_kw[site]).all() for site in buses):
        raise PowerFlowError(
            f"net imports must be finite and [scenarios, {horizon.slots}] at every site, found {shapes or 'none'}"
        )
    return int(min(counts))


def _located(network: Network, part: ComplexArray, first: int, horizon: Horizon, error: PowerFlowError) -> PowerFlowError:
    """The error with the number of the first scenario that has it."""
    slots = np.arange(horizon.slots)
    for k, rows in enumerate(part):
        try:
            network.solve_slots(rows, slots, horizon, silent)
        except PowerFlowError as alone:
            return PowerFlowError(f"scenario {first + k}: {alone}", bus=alone.bus, slot=alone.slot)
    return error
