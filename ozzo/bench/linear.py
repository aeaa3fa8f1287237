"""How well the linear model of a network foresees AC over a year: part of ``ozzo bench network``.

The district is that of the scenario ``congested_feeder``, its sites on their buses. In each of the 35,136 quarter-hours of the
SimBench year the network is linearised around the forecast state, in which every site draws what it draws without any job. Then
every site draws something else, uniformly distributed between that and its full power (all nodes busy), independently of the
others and of time, and AC is solved for that. Voltages are predicted by their derivatives, loadings by the magnitude of linearly
predicted currents (``Linearisation.predict``), because tangents of a loading say nothing beyond the point where its flow turns
round. What is told is the difference between linear and AC over all buses, lines, transformers and slots: what 99 % of the
differences stay below.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from grid.chance import stream
from grid.horizon import FloatArray, Horizon

if TYPE_CHECKING:
    from grid.network import Network
    from scheduler.facility import Site

SCENARIO = "congested_feeder"
SLOTS = 366 * 96
"""Quarter-hours of SimBench's year 2016."""

DAYS_AT_ONCE = 61
SEED = 2016


def silent(_: str) -> None:
    """A progress callback that tells nobody."""


def measure_linear(progress: Callable[[str], None] = silent, slots: int = SLOTS) -> dict[str, float]:
    """99th percentiles of |linear - AC| over the year.

    Args:
        progress: told what is going on.
        slots: quarter-hours from the begin of the year, by default all of it.

    Returns:
        ``linear_voltage_p99_pu`` (pu) and ``linear_loading_p99_pct`` (percentage points of lines and transformers).

    Raises:
        PowerFlowError: the network cannot carry the district in a slot.
        ValueError: the scenario has no network.
    """
    from ozzo.examples import shipped
    from scheduler.document import load_scenario
    from sim.network_check import load

    scenario = load_scenario(shipped() / f"{SCENARIO}.yaml", progress=progress)
    if scenario.network is None:
        raise ValueError(f"scenario {SCENARIO} has no network")
    network = load(scenario.network)
    sites = tuple(site for site in scenario.sites if site.connection.bus is not None)
    rng = stream(SEED, "linear")
    volts, loads = [], []
    for first in range(0, slots, DAYS_AT_ONCE * 96):
        count = min(DAYS_AT_ONCE * 96, slots - first)
        progress(f"linear against AC: quarter-hours {first} to {first + count} of {slots}")
        shares = rng.uniform(size=(count, len(sites)))
        voltage, loading = _errors(network, sites, first, shares, scenario.network.household_scale)
        volts.append(voltage)
        loads.append(loading)
    return {
        "linear_voltage_p99_pu": float(np.percentile(np.concatenate(volts), 99)),
        "linear_loading_p99_pct": float(np.percentile(np.concatenate(loads), 99)),
    }


def _errors(
    network: Network, sites: tuple[Site, ...], first: int, shares: FloatArray, household_scale: float
) -> tuple[FloatArray, FloatArray]:
    """Differences of voltages (pu) and loadings (percentage points), flat.

    Args:
        network: the network.
        sites: those on it.
        first: first quarter-hour of the year.
        shares: how far each site is between idle and full power, ``[slots, sites]``.
        household_scale: factor on the network's own loads.
    """
    from grid.sensitivity import linearise

    year = datetime(2016, 1, 1, tzinfo=UTC)
    start = year + first * timedelta(minutes=15)
    horizon = Horizon(start, timedelta(minutes=15), len(shares))
    profile = f"{start:%Y-%m-%dT%H:%M:%S}"
    buses = {site.name: site.connection.bus for site in sites if site.connection.bus is not None}
    idle = {site.name: np.full(len(shares), site.idle_kw) for site in sites}
    busy = {site.name: idle[site.name] + full_kw(site) * shares[:, k] for k, site in enumerate(sites)}
    linear = linearise(network, horizon, profile, idle, buses, household_scale=household_scale)
    truth = network.power_flow(horizon, profile, busy, buses, household_scale=household_scale, confirm=0)
    voltage, line, transformer = linear.predict(np.stack([busy[name] for name in linear.sites], axis=1))
    loading = (line - truth.line_loading_pct, transformer - truth.transformer_loading_pct)
    return np.abs(voltage - truth.voltage_pu).ravel(), np.abs(np.concatenate(loading, axis=1)).ravel()


def full_kw(site: Site) -> float:
    """Facility power that a site's nodes add when all of them are busy, kW."""
    return site.pue * sum(group.count * (group.peak_kw - group.idle_kw) for group in site.nodes)
