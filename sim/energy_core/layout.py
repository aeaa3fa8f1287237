"""Sites as arrays for the compiled meter: every series once, however many sites share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from grid.connection import Connection
from grid.horizon import FloatArray, Horizon
from grid.response.event import CapacityEvent
from grid.series import Series
from scheduler.facility import Site
from scheduler.plan import BatteryControl, Plan
from sim.energy_core import kernel
from sim.world.battery_control import intents

IntArray = npt.NDArray[np.int64]
ROLES = ("import limit", "export limit", "export price", "load factor", "IT power", "idle power", "sun", "wind", "PUE")
"""Series of a site in words, by their role in ``kernel``."""


@dataclass(frozen=True, slots=True, eq=False)
class MeteredSite:
    """A site whose load is known before it is metered.

    Attributes:
        site: the site; its assets must be none.
        sun_kw, wind_kw: realised available power, or None.
        it_kw: IT power of jobs and transfers, or None for nothing.
        idle_it_kw: IT power of nodes that run nothing; by default that of all nodes of the site.
        soc_kwh: state of charge at the start; the battery's own when None.
        on_feeder: the site exports no more than its plan, where it follows one.
        load_factor: realised fixed load over its forecast, or None for 1.
        pue: realised PUE; by default the site's, with ``cooling`` that of the forecast.
        connection: limits that are kept, where they are not the site's own (contracts); a site without a grid is one whose own
            imports nothing.
        plans: the moments from which plans may be in force (seconds after the horizon's start), with the plans, by command.
        events: demand-response events of any site; those of this one count.
    """

    site: Site
    sun_kw: Series | None = None
    wind_kw: Series | None = None
    it_kw: Series | None = None
    idle_it_kw: Series | None = None
    soc_kwh: float | None = None
    on_feeder: bool = False
    load_factor: Series | None = None
    pue: Series | None = None
    connection: Connection | None = None
    plans: tuple[tuple[float, Plan], ...] = ()
    events: tuple[CapacityEvent, ...] = ()


@dataclass(slots=True)
class _Pool:
    """Arrays laid end to end, each array once; it holds on to them, so that no other array can get the identity of one."""

    parts: list[FloatArray] = field(default_factory=list)
    length: int = 0
    known: dict[int, int] = field(default_factory=dict)
    kept: list[FloatArray] = field(default_factory=list)

    def place(self, array: FloatArray, less: float = 0.0) -> int:
        """Where ``array`` lies in the pool (each value reduced by ``less``, the same for every array)."""
        if id(array) not in self.known:
            self.known[id(array)] = self.length
            self.kept.append(array)
            self.parts.append(array - less if less else array)
            self.length += len(array)
        return self.known[id(array)]

    def joined(self) -> FloatArray:
        """All of them as one array."""
        return np.concatenate(self.parts) if self.parts else np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Arguments of ``kernel.meter`` that describe the sites, in its order; meanings and units are told there."""

    end: float
    edges: FloatArray
    values: FloatArray
    edge_first: IntArray
    edge_count: IntArray
    value_first: IntArray
    fixed: FloatArray
    battery: FloatArray
    islanded: npt.NDArray[np.bool_]
    on_feeder: npt.NDArray[np.bool_]
    event_first: IntArray
    events: FloatArray
    plan_first: IntArray
    plan_from: FloatArray
    plan_start: FloatArray
    plan_step: FloatArray
    plan_slots: IntArray
    plan_follows: npt.NDArray[np.bool_]
    intent_first: IntArray
    intents: FloatArray

    def arguments(self) -> tuple[Any, ...]:
        """The fields, in order."""
        return tuple(getattr(self, name) for name in self.__slots__)


def lay_out(sites: Sequence[MeteredSite], horizon: Horizon) -> Layout:
    """The sites as arrays.

    Raises:
        ValueError: no site, a site with assets, or a series that does not cover the horizon.
    """
    _refuse(sites, horizon)
    edges, values = _Pool(), _Pool()
    shape = (len(sites), kernel.ROLES)
    edge_first, edge_count, value_first = (np.zeros(shape, np.int64) for _ in range(3))
    for s, metered in enumerate(sites):
        for role, series in _roles(metered, horizon):
            edge_first[s, role] = edges.place(series.edges_s, horizon.start_s)
            edge_count[s, role] = len(series.edges_s)
            value_first[s, role] = values.place(series.values)
    return Layout(
        horizon.end_s - horizon.start_s,
        edges.joined(),
        values.joined(),
        edge_first,
        edge_count,
        value_first,
        np.array([(metered.site.overhead_kw, metered.site.pue) for metered in sites]),
        np.array([_battery(metered) for metered in sites]),
        np.array([_islanded(metered.site.connection.import_limit_kw, horizon) for metered in sites]),
        np.array([metered.on_feeder for metered in sites]),
        *_events(sites, horizon),
        *_plans(sites, horizon),
    )


def _refuse(sites: Sequence[MeteredSite], horizon: Horizon) -> None:
    """Refuse what the core cannot meter, all of it at once."""
    wrong = [] if sites else ["no site to meter"]
    for metered in sites:
        name = metered.site.name
        if metered.site.assets:
            assets = ", ".join(asset.name for asset in metered.site.assets)
            wrong.append(f"{name} has assets ({assets}), which only the simulated world carries")
        for role, series in _roles(metered, horizon):
            if not series.covers(horizon):
                wrong.append(f"{name}: {ROLES[role]} ({series.source or series.unit}) does not cover the horizon")
    if wrong:
        raise ValueError("; ".join(wrong))


def _roles(metered: MeteredSite, horizon: Horizon) -> list[tuple[int, Series]]:
    """The series that the site has, with their roles."""
    site, idle = metered.site, metered.idle_it_kw
    connection = metered.connection or site.connection
    if idle is None and site.nodes:
        idle = Series.constant(site.idle_it_kw, horizon, "kW", "idle nodes")
    return [
        (role, series)
        for role, series in (
            (kernel.IMPORT_LIMIT, connection.import_limit_kw),
            (kernel.EXPORT_LIMIT, connection.export_limit_kw),
            (kernel.EXPORT_PRICE, site.tariff.export_eur_per_mwh),
            (kernel.FACTOR, metered.load_factor),
            (kernel.IT, metered.it_kw),
            (kernel.IDLE, idle),
            (kernel.SUN, metered.sun_kw),
            (kernel.WIND, metered.wind_kw),
            (kernel.PUE, metered.pue or site.pue_series()),
        )
        if series is not None
    ]


def _battery(metered: MeteredSite) -> tuple[float, ...]:
    """A row of batteries."""
    battery = metered.site.battery
    if battery is None:
        return (0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0)
    soc = battery.initial_soc_kwh if metered.soc_kwh is None else metered.soc_kwh
    return (
        battery.energy_kwh,
        battery.charge_kw,
        battery.discharge_kw,
        battery.charge_efficiency,
        battery.discharge_efficiency,
        battery.reserve_soc_kwh,
        soc,
    )


def _islanded(limit: Series, horizon: Horizon) -> bool:
    """True when nothing may be imported in the whole horizon (limits are not negative)."""
    within = (limit.edges_s[1:] > horizon.start_s) & (limit.edges_s[:-1] < horizon.end_s)
    return bool((limit.values[within] <= 0).all())


def _first(counts: Sequence[int]) -> IntArray:
    """Where each of some runs of rows begins, and the end."""
    return np.concatenate(([0], np.cumsum(np.array(counts, np.int64)))).astype(np.int64)


def _events(sites: Sequence[MeteredSite], horizon: Horizon) -> tuple[IntArray, FloatArray]:
    """Each site's events, as start, end, received (s) and limit (kW)."""
    own = [[event for event in metered.events if event.site == metered.site.name] for metered in sites]
    rows = [
        (*(when.timestamp() - horizon.start_s for when in (event.start, event.end, event.received)), event.limit_kw)
        for events in own
        for event in events
    ]
    return _first([len(events) for events in own]), np.array(rows).reshape(-1, 4)


def _plans(sites: Sequence[MeteredSite], horizon: Horizon) -> tuple[Any, ...]:
    """Each site's plans, and what they mean for it slot by slot."""
    origin_s = horizon.start_s
    found = [(metered.site, moment_s, plan) for metered in sites for moment_s, plan in metered.plans]
    meanings = [intents(site, plan, origin_s) for site, _, plan in found]
    rows = [astuple(intent) for meaning in meanings for intent in meaning]
    return (
        _first([len(metered.plans) for metered in sites]),
        np.array([moment_s for _, moment_s, _ in found], np.float64),
        np.array([plan.horizon.start_s - origin_s for _, _, plan in found], np.float64),
        np.array([plan.horizon.step_s for _, _, plan in found], np.float64),
        np.array([plan.horizon.slots for _, _, plan in found], np.int64),
        np.array([plan.battery_control is BatteryControl.FOLLOW_PLAN for _, _, plan in found], np.bool_),
        _first([len(meaning) for meaning in meanings]),
        np.array(rows, np.float64).reshape(-1, 16),
    )
