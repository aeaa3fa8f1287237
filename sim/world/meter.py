"""The energy of one site, integrated exactly.

Between two happenings (a job or transfer begins or ends, a node fails, a value of the realised sun, wind, price, limit or
plan changes) every power at a site is constant, so every energy is power times time. The one thing that ends such a piece
from within is the battery: the instants at which it is full, empty, at the plan's floor or back on the plan's path are
found from its constant rate of change, and the piece is split there. Reporting slots are differences of the cumulative
energies, so no total depends on the reporting step.

Inside, time is seconds after the horizon's start: Unix seconds as real numbers resolve no better than 0.24 microseconds.

The load of a site with assets is what they leave: plus what they draw, less what they give.

Balance: import + used + discharge + unserved = load + charge + export, in every piece.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import reduce

import numpy as np

from grid.assets.site_asset import Bill
from grid.connection import Connection
from grid.horizon import FloatArray, Horizon
from grid.response.event import CapacityEvent
from grid.series import Series
from scheduler.facility import Site
from scheduler.plan import BatteryControl, Plan
from sim.world.assets.follower import AssetWorld
from sim.world.battery_control import NO_BATTERY, Instant, Intent, Setting, battery_power, intents

TINY_S = 1e-7
"""Pieces shorter than this are not made."""

FLOWS: tuple[str, ...] = (
    "it_kwh",
    "load_kwh",
    "import_kwh",
    "export_kwh",
    "renewable_kwh",
    "renewable_used_kwh",
    "curtailed_kwh",
    "charge_kwh",
    "discharge_kwh",
    "unserved_kwh",
)
"""Energies that are accumulated, in this order."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Constant powers of a site (kW) that do not depend on its battery."""

    it_kw: float
    load_kw: float
    available_kw: float
    net_limit_kw: float
    export_room_kw: float
    made_kw: float


class SiteMeter:
    """Meters one site over ``horizon``.

    Its fixed load (overhead and idle nodes) is the forecast's times ``load_factor``, which is 1 when left out; its PUE is
    ``pue``, the forecast's when left out.

    A site exports what it can, but no more than its plan where that has a negative price, or where it is on a feeder (or in a
    group with a cap on export): what its neighbours leave of the room is known to the plan only. ``connection`` holds the limits
    that it keeps as far as it can, the site's own when left out; a site without a grid is one whose own imports nothing.

    Attributes:
        site: the site; assets: its assets in the world; soc_kwh: state of charge now (0 without a battery).
        now_s: instant up to which everything is metered (seconds after the horizon's start).
    """

    def __init__(
        self,
        site: Site,
        horizon: Horizon,
        sources: tuple[Series, ...],
        soc_kwh: float,
        idle_it_kw: float,
        *,
        on_feeder: bool = False,
        load_factor: Series | None = None,
        pue: Series | None = None,
        assets: tuple[AssetWorld, ...] = (),
        connection: Connection | None = None,
    ) -> None:
        self.site = site
        self._connection = connection or site.connection
        self._on_feeder = on_feeder
        self.now_s = 0.0
        self._origin_s = horizon.start_s
        self.soc_kwh = soc_kwh if site.battery else 0.0
        self._end_s = horizon.end_s - horizon.start_s
        self._sources = sources
        self._load_factor = load_factor or Series.constant(1.0, horizon, "1", "fixed load as forecast")
        self._pue = pue or site.pue_series() or Series.constant(site.pue, horizon, "1", "PUE of the document")
        self.assets = assets
        self._it_kw = 0.0
        self._idle_kw = idle_it_kw
        self._islanded = bool((site.connection.import_limit_kw.mean(horizon) <= 0).all())
        self._edges_s: list[float] = [0.0]
        self._totals: list[tuple[float, ...]] = [tuple(0.0 for _ in FLOWS)]
        self._socs: list[float] = [self.soc_kwh]
        self._made_kwh: list[float] = [0.0]
        self._events: tuple[CapacityEvent, ...] = ()
        self._plans: list[tuple[float, BatteryControl, tuple[Intent, ...], float]] = []
        self._lookups = [
            ((series.edges_s - self._origin_s).tolist(), series.values.tolist())
            for series in (
                self._connection.import_limit_kw,
                self._connection.export_limit_kw,
                site.tariff.export_eur_per_mwh,
                self._load_factor,
                self._pue,
                *sources,
            )
        ]
        self._breaks: list[float] = []
        self._find_breaks()

    def follow_from(self, moment_s: float, plan: Plan) -> None:
        """Meter up to ``moment_s``, then ``follow`` the plan."""
        self.meter_to(moment_s)
        self.follow(plan)

    def follow(self, plan: Plan) -> None:
        """Drive the battery by ``plan`` from its first slot on."""
        start_s = plan.horizon.start_s - self._origin_s
        edges = (plan.horizon.edges_s - self._origin_s).tolist()
        for asset in self.assets:
            asset.follow(next((run for run in plan.assets if (run.site, run.asset) == (self.site.name, asset.name)), None), edges)
        self._plans.append((start_s, plan.battery_control, intents(self.site, plan, self._origin_s), plan.horizon.step_s))
        self._find_breaks(plan.horizon)

    def know(self, events: tuple[CapacityEvent, ...]) -> None:
        """Demand-response events at this site; each binds from its start, but not before it was received."""
        self._events = tuple(event for event in events if event.site == self.site.name)
        self._find_breaks()

    def set_it_kw(self, moment_s: float, it_kw: float, idle_kw: float) -> None:
        """From ``moment_s`` on, jobs and transfers draw ``it_kw`` and the working nodes idle at ``idle_kw``."""
        self.meter_to(moment_s)
        self._it_kw, self._idle_kw = it_kw, idle_kw

    def meter_to(self, moment_s: float) -> None:
        """Meter up to ``moment_s`` (at most the end of the horizon)."""
        target = min(moment_s, self._end_s)
        while self.now_s < target:
            index = bisect_right(self._breaks, self.now_s + TINY_S)
            until = min(target, self._breaks[index]) if index < len(self._breaks) else target
            self._constant(until)

    def energies(self, edges_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Energies between instants (Unix seconds), and the state of charge at each instant but the first.

        Returns:
            ``[len(FLOWS), n - 1]`` kWh and ``[n - 1]`` kWh for ``n`` instants.
        """
        edges = edges_s - self._origin_s
        known, totals = np.array(self._edges_s), np.array(self._totals)
        flows = np.stack([np.diff(np.interp(edges, known, totals[:, i])) for i in range(len(FLOWS))])
        return flows, np.interp(edges[1:], known, np.array(self._socs))

    def made_kwh(self, edges_s: FloatArray) -> FloatArray:
        """What biogas units and generators gave between instants (Unix seconds), ``[n - 1]`` kWh; the load lacks it."""
        made: FloatArray = np.diff(np.interp(edges_s - self._origin_s, np.array(self._edges_s), np.array(self._made_kwh)))
        return made

    def reading(self) -> tuple[float, float]:
        """Net import from this instant on, battery included, and the limit on it that holds now (kW; import positive).

        The limit is that of the connection or of an event; what a plan that knew the event meant to exceed is allowed. A site
        that has no grid imports nothing, so it has no limit either.
        """
        moment_s = self.now_s + TINY_S
        control, intent, planned_s = self._intent(moment_s)
        piece = self._piece(moment_s, intent if control is BatteryControl.FOLLOW_PLAN else None, planned_s)
        measured = Instant(piece.load_kw, piece.available_kw, piece.net_limit_kw, piece.export_room_kw)
        setting = battery_power(self.site.battery or NO_BATTERY, control, self.soc_kwh, measured, intent, moment_s)
        net_kw = piece.load_kw - (piece.available_kw - setting.unused_kw) + setting.power_kw
        return net_kw, float("inf") if self._islanded else piece.net_limit_kw

    @property
    def bill(self) -> Bill:
        """What its assets have owed by themselves so far."""
        return reduce(Bill.plus, (asset.bill for asset in self.assets), Bill())

    def import_kw(self, period_s: float, periods: int) -> FloatArray:
        """Mean import (kW) in each of the first ``periods`` periods."""
        edges_s: FloatArray = self._origin_s + period_s * np.arange(periods + 1, dtype=np.float64)
        flows, _ = self.energies(edges_s)
        mean: FloatArray = flows[FLOWS.index("import_kwh")] / (period_s / 3600.0)
        return mean

    def soc_bounds_kwh(self) -> tuple[float, float]:
        """Lowest and highest state of charge so far (pieces are linear, so it lies at a piece's end)."""
        return min(self._socs), max(self._socs)

    def _find_breaks(self, *horizons: Horizon) -> None:
        """Every instant at which something given changes."""
        breaks = set(self._breaks)
        for series in (
            self._connection.import_limit_kw,
            self._connection.export_limit_kw,
            self.site.tariff.export_eur_per_mwh,
            self._load_factor,
            self._pue,
            *self._sources,
        ):
            points = series.change_points_s(self._origin_s, self._origin_s + self._end_s)
            breaks.update((points - self._origin_s).tolist())
        for horizon in horizons:
            breaks.update((horizon.edges_s - self._origin_s).tolist())
        for event in self._events:
            breaks.update(when.timestamp() - self._origin_s for when in (event.start, event.end, event.received))
        self._breaks = sorted(breaks)

    def _constant(self, until_s: float) -> None:
        """Meter ``[now_s, until_s)``, in which nothing given changes."""
        for asset in self.assets:
            asset.it_kw = self._idle_kw + self._it_kw
            until_s = max(min(until_s, asset.hold_s(self.now_s, until_s)), self.now_s + TINY_S)
        begin_s, middle = self.now_s, (self.now_s + until_s) / 2
        control, intent, planned_s = self._intent(middle)
        piece = self._piece(middle, intent if control is BatteryControl.FOLLOW_PLAN else None, planned_s)
        battery = self.site.battery
        measured = Instant(piece.load_kw, piece.available_kw, piece.net_limit_kw, piece.export_room_kw)
        while self.now_s < until_s:
            setting = battery_power(battery or NO_BATTERY, control, self.soc_kwh, measured, intent, self.now_s)
            if battery is None:
                self._record(piece, 0.0, setting.unused_kw, until_s)
                continue
            rate = battery.soc_rate_kw(setting.power_kw)
            end_s, soc = self._reach(setting, rate, intent, until_s)
            self._record(piece, setting.power_kw, setting.unused_kw, end_s)
            self._socs[-1] = self.soc_kwh = soc
        for asset in self.assets:
            asset.advance(begin_s, self.now_s)

    def _reach(self, setting: Setting, rate_kw: float, intent: Intent | None, until_s: float) -> tuple[float, float]:
        """Instant to which a setting holds, at most ``until_s``, and the state of charge there."""
        battery = self.site.battery
        if battery is None:
            return until_s, 0.0
        left_h = (until_s - self.now_s) / 3600.0
        hold_h, soc = left_h, self.soc_kwh + rate_kw * left_h
        bound = battery.energy_kwh if rate_kw > 0 else setting.lowest_kwh
        if rate_kw != 0 and (bound - self.soc_kwh) / rate_kw < hold_h:
            hold_h, soc = (bound - self.soc_kwh) / rate_kw, bound
        if setting.until_ahead_kwh is not None and intent is not None and rate_kw != intent.rate_kw:
            ahead = self.soc_kwh - intent.planned_kwh(self.now_s) - setting.until_ahead_kwh
            cross_h = ahead / (intent.rate_kw - rate_kw)
            if 0 <= cross_h < hold_h:
                hold_h = cross_h
                soc = intent.planned_kwh(self.now_s + hold_h * 3600.0) + setting.until_ahead_kwh
        end_s = min(until_s, self.now_s + hold_h * 3600.0)
        return (until_s, soc) if until_s - end_s < TINY_S else (max(end_s, self.now_s + TINY_S), soc)

    def _piece(self, moment_s: float, intent: Intent | None, planned_s: float) -> _Piece:
        """Constant powers around ``moment_s``; ``intent`` is of a plan that knew what was received until ``planned_s``."""
        net_limit, export_limit, export_price, factor, pue, *available = (
            self._value(i, moment_s) for i in range(len(self._lookups))
        )
        for event in self._events:
            begin = max(event.start, event.received).timestamp() - self._origin_s
            if begin <= moment_s < event.end.timestamp() - self._origin_s:
                knew = intent is not None and event.received.timestamp() - self._origin_s <= planned_s
                wanted = max(event.limit_kw, intent.net_kw) if intent is not None and knew else event.limit_kw
                net_limit = min(net_limit, wanted)
        load = self.site.overhead_kw + pue * (self._idle_kw + self._it_kw)
        load += (factor - 1.0) * (self.site.overhead_kw + pue * self._idle_kw)
        draws = [asset.draw_kw(moment_s, self._idle_kw + self._it_kw) for asset in self.assets]
        load += sum(draws)
        made = sum(max(0.0, -draw) for asset, draw in zip(self.assets, draws, strict=True) if asset.makes_power)
        room = export_limit
        if export_price < 0 or (self._on_feeder and intent is not None):
            room = min(export_limit, intent.export_kw if intent is not None else 0.0)
        return _Piece(self._it_kw, load, sum(available), net_limit, room, made)

    def _value(self, lookup: int, moment_s: float) -> float:
        edges, values = self._lookups[lookup]
        return float(values[min(len(values) - 1, max(0, bisect_right(edges, moment_s) - 1))])

    def _intent(self, moment_s: float) -> tuple[BatteryControl, Intent | None, float]:
        """Control, planned slot and start of the plan in force at ``moment_s``; self-consumption while there is no plan."""
        for start_s, control, slots, step_s in reversed(self._plans):
            if moment_s >= start_s:
                slot = int((moment_s - start_s) // step_s)
                return control, slots[slot] if slot < len(slots) else None, start_s
        return BatteryControl.SELF_CONSUMPTION, None, 0.0

    def _record(self, piece: _Piece, battery_kw: float, unused_kw: float, end_s: float) -> None:
        """Add a piece of constant powers from ``now_s`` to ``end_s``."""
        hours = (end_s - self.now_s) / 3600.0
        net = piece.load_kw - (piece.available_kw - unused_kw) + battery_kw
        imported, spare = max(0.0, net), max(0.0, -net)
        exported = max(min(spare, piece.export_room_kw), spare - (piece.available_kw - unused_kw))  # assets are not curtailed
        curtailed = spare - exported + unused_kw
        unserved = imported if self._islanded else 0.0
        powers = (
            piece.it_kw,
            piece.load_kw,
            imported - unserved,
            exported,
            piece.available_kw,
            piece.available_kw - curtailed,
            curtailed,
            max(0.0, battery_kw),
            max(0.0, -battery_kw),
            unserved,
        )
        last = self._totals[-1]
        self._totals.append(tuple(total + power * hours for total, power in zip(last, powers, strict=True)))
        self._edges_s.append(end_s)
        self._socs.append(self.soc_kwh)
        self._made_kwh.append(self._made_kwh[-1] + piece.made_kw * hours)
        self.now_s = end_s
