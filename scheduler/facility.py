"""The facility: sites with their nodes and energy assets, and the links between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.assets.battery import Battery
from grid.assets.cooling import Cooling
from grid.assets.site_asset import SiteAsset
from grid.connection import Connection
from grid.horizon import FloatArray, Horizon
from grid.series import Series
from grid.tariff import Carbon, Tariff
from scheduler.data import Storage, Tier
from scheduler.sleep import Sleep


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """``count`` equal nodes.

    Attributes:
        name: name of the group, unique in its site; nodes are ``<site>.<name>-<i>``.
        count: number of nodes.
        cores: cores of one node.
        memory_gb: memory of one node.
        gpus: GPUs of one node.
        idle_kw: IT power of one node that runs nothing.
        peak_kw: IT power of one node whose cores are all busy.
        failsafe_kw: power cap of one node that lost its controller.
        sleep: how a node sleeps that runs nothing, or None: it never does.
    """

    name: str
    count: int
    cores: int
    memory_gb: float
    gpus: int
    idle_kw: float
    peak_kw: float
    failsafe_kw: float
    sleep: Sleep | None = None

    @property
    def core_kw(self) -> float:
        """IT power that one busy core adds to an idle node."""
        return (self.peak_kw - self.idle_kw) / self.cores


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A place with nodes, energy assets and one connection.

    Attributes:
        name: unique name.
        tier: tier of the data that lives here.
        nodes: its node groups.
        pue: facility power per IT power (cooling and conversion), at least 1; with ``cooling`` that of the hottest weather, for
            sizing only.
        overhead_kw: facility power that is always there and is not IT (not multiplied by ``pue``).
        solar_kw: AC power available from the sun (forecast, mean of each step), or None.
        wind_kw: AC power available from wind (forecast), or None.
        battery: battery or None.
        connection, tariff, carbon: the grid side.
        assets: other assets behind the meter, each name once.
        cooling, outdoor_c: cooling from which the PUE follows, and the outdoor temperature (forecast, degC); both or neither.
        storage: where it keeps real data, or None: migrations from and to it are not commanded to nodes.
    """

    name: str
    tier: Tier
    nodes: tuple[NodeGroup, ...]
    pue: float
    overhead_kw: float
    solar_kw: Series | None
    wind_kw: Series | None
    battery: Battery | None
    connection: Connection
    tariff: Tariff
    carbon: Carbon
    assets: tuple[SiteAsset, ...] = ()
    cooling: Cooling | None = None
    outdoor_c: Series | None = None
    storage: Storage | None = None

    def __post_init__(self) -> None:
        if (self.cooling is None) != (self.outdoor_c is None):
            raise ValueError(f"{self.name}: cooling needs an outdoor temperature, and nothing else does")

    def pue_series(self, outdoor_c: Series | None = None) -> Series | None:
        """PUE at an outdoor temperature (the forecast when None), or None without ``cooling``, where it is ``pue`` always."""
        outdoor = outdoor_c or self.outdoor_c
        if self.cooling is None or outdoor is None:
            return None
        return Series(outdoor.edges_s, self.cooling.pue(outdoor.values), "1", f"PUE at {outdoor.source}")

    def pue_on(self, horizon: Horizon) -> FloatArray:
        """Mean PUE in each slot of ``horizon`` as forecast, ``[T]``."""
        series = self.pue_series()
        return np.full(horizon.slots, self.pue) if series is None else series.mean(horizon)

    def idle_on(self, horizon: Horizon) -> FloatArray:
        """Facility power with no job running in each slot of ``horizon`` as forecast, ``[T]`` kW."""
        if self.cooling is None:
            return np.full(horizon.slots, self.idle_kw)
        idle: FloatArray = self.overhead_kw + self.pue_on(horizon) * self.idle_it_kw
        return idle

    @property
    def idle_it_kw(self) -> float:
        """IT power with no job running."""
        return sum(group.count * group.idle_kw for group in self.nodes)

    @property
    def idle_kw(self) -> float:
        """Facility power with no job running, at ``pue``."""
        return self.overhead_kw + self.pue * sum(group.count * group.idle_kw for group in self.nodes)

    @property
    def full_kw(self) -> float:
        """Facility power with every core busy, at ``pue``."""
        return self.overhead_kw + self.pue * sum(group.count * group.peak_kw for group in self.nodes)

    def node_names(self) -> tuple[str, ...]:
        """Names of all nodes, in order."""
        return tuple(f"{self.name}.{group.name}-{i}" for group in self.nodes for i in range(group.count))


@dataclass(frozen=True, slots=True)
class FeederLine:
    """A chain of sites behind one transformer, linearised (DistFlow without losses, Baran and Wu 1989).

    Attributes:
        name: unique name.
        sites: names of the sites, from the transformer outwards.
        limit_kw: rating: the net import of all of them together lies within plus or minus this.
        drop_pu_per_kw: voltage drop at each site per kW of net import of it and all sites behind it.
        drop_limit_pu: the drop from the transformer to any site lies within plus or minus this.
    """

    name: str
    sites: tuple[str, ...]
    limit_kw: float
    drop_pu_per_kw: tuple[float, ...]
    drop_limit_pu: float


@dataclass(frozen=True, slots=True)
class Link:
    """A data link between two sites, usable both ways, its rate shared by all transfers on it.

    Attributes:
        name: unique name.
        ends: the two sites.
        rate_mbit_per_s: rate available to migrations.
        power_kw: IT power that a transfer at full rate adds at each of the two ends.
    """

    name: str
    ends: tuple[str, str]
    rate_mbit_per_s: float
    power_kw: float = 0.0
