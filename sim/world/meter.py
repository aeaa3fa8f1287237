"""The energy of one site, integrated exactly.

Between two happenings (a job or transfer begins or ends, a node fails, a value of the realised sun, wind, price, limit or
plan changes) every power at a site is constant, so every energy is power times time. The one thing that ends such a piece
from within is the battery: the instants at which it is full, empty, at the plan's floor or back on the plan's path are
found from its constant rate of change, and the piece is split there. Reporting slots are differences of the cumulative
energies, so no total depends on the reporting step.

Inside, time is seconds after the horizon's start: Unix seconds as real numbers resolve no better than 0.24 microseconds.

The load of a site with assets is what they leave: plus what they draw, less what they give.

While the mains are gone (``lose_mains``) the site is an island (``sim.world.island``): assets stand still, but for emergency
generators.

Balance: import + used + discharge + unserved = load + charge + export, in every piece.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from sim.world.assets.generator import GeneratorWorld
from sim.world.battery_control import NO_BATTERY, Instant, Intent, Setting, battery_power, intents, reach
from sim.world.flows import FLOWS, FlowLog, Piece
from sim.world.given import TINY_S, Given
from sim.world.island import Island, IslandFlow, holds_for_s
from sim.world.shares import Owner, Part, SiteShares


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
        island: what carries the site while its mains are gone, or None.
        bridged_kwh, backup_kwh, lost_kwh: without mains so far: out of the battery, out of generators, unserved.
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
        self._on_feeder = on_feeder
        self.now_s = 0.0
        self._origin_s = horizon.start_s
        self.soc_kwh = soc_kwh if site.battery else 0.0
        self._end_s = horizon.end_s - horizon.start_s
        factor = load_factor or Series.constant(1.0, horizon, "1", "fixed load as forecast")
        pue = pue or site.pue_series() or Series.constant(site.pue, horizon, "1", "PUE of the document")
        limits = connection or site.connection
        series = (limits.import_limit_kw, limits.export_limit_kw, site.tariff.export_eur_per_mwh, factor, pue)
        self._given = Given(horizon, series, sources)
        self.assets = assets
        self._it_kw = 0.0
        self._idle_kw = idle_it_kw
        self._islanded = bool((site.connection.import_limit_kw.mean(horizon) <= 0).all())
        self._highest = (0, 0.0)
        self._log = FlowLog(self.soc_kwh)
        self.shares = SiteShares()
        self._events: tuple[CapacityEvent, ...] = ()
        self.island: Island | None = None
        self.bridged_kwh = self.backup_kwh = self.lost_kwh = 0.0
        self._plans: list[tuple[float, BatteryControl, tuple[Intent, ...], float]] = []

    def follow_from(self, moment_s: float, plan: Plan, *, ruled: bool = False) -> None:
        """Meter up to ``moment_s``, then ``follow`` the plan."""
        self.meter_to(moment_s)
        self.follow(plan, ruled=ruled)

    def follow(self, plan: Plan, *, ruled: bool = False) -> None:
        """Drive the battery by ``plan`` from its first slot on; ``ruled``: by self-consumption, whatever the plan says."""
        start_s = plan.horizon.start_s - self._origin_s
        edges = (plan.horizon.edges_s - self._origin_s).tolist()
        for asset in self.assets:
            asset.follow(next((run for run in plan.assets if (run.site, run.asset) == (self.site.name, asset.name)), None), edges)
        control = BatteryControl.SELF_CONSUMPTION if ruled else plan.battery_control
        self._plans.append((start_s, control, intents(self.site, plan, self._origin_s), plan.horizon.step_s))
        self._given.break_at_slots(plan.horizon)

    def know(self, events: tuple[CapacityEvent, ...]) -> None:
        """Demand-response events at this site; each binds from its start, but not before it was received."""
        self._events = tuple(event for event in events if event.site == self.site.name)
        self._given.break_at_events(self._events)

    def set_it_kw(self, moment_s: float, it_kw: float, idle_kw: float, parts: Mapping[Owner, Part] | None = None) -> None:
        """From ``moment_s`` on, jobs and transfers draw ``it_kw`` (in ``parts``) and the working nodes idle at ``idle_kw``."""
        self.meter_to(moment_s)
        self._it_kw, self._idle_kw = it_kw, idle_kw
        self.shares.set(parts or {})

    def change_parts(self, moment_s: float, idle_kw: float, parts: Mapping[Owner, Part | None]) -> None:
        """From ``moment_s`` on, these draw that much (None: nothing more), others as before; nodes idle at ``idle_kw``."""
        self.meter_to(moment_s)
        self.shares.change(parts)
        self._it_kw, self._idle_kw = self.shares.it_kw, idle_kw

    def lose_mains(self, moment_s: float, island: Island) -> None:
        """From ``moment_s`` on there is no grid."""
        self.meter_to(moment_s)
        self.island = island
        for asset in self.assets:
            asset.mains = False
        if island.generator_s < self._end_s:
            self._given.break_at([island.generator_s])

    def regain_mains(self, moment_s: float) -> None:
        """From ``moment_s`` on the grid is back."""
        self.meter_to(moment_s)
        self.island = None
        for asset in self.assets:
            asset.mains = True

    def lasts_until_s(self, limit_s: float, *, jobs: bool) -> float:
        """Instant up to which the island carries what it carries now, at most ``limit_s``, if jobs go on as they do.

        With ``jobs`` the state of charge must also stay above what the fixed load will need; without, jobs draw nothing.
        """
        island = self.island
        if island is None:
            return limit_s
        now_s, soc, limit = self.now_s, self.soc_kwh, min(limit_s, self._end_s)
        it_kw, self._it_kw = self._it_kw, self._it_kw if jobs else 0.0
        try:
            while now_s < limit - TINY_S:
                until = self._given.next_s(now_s, limit)
                piece = self._piece((now_s + until) / 2, None, 0.0)
                must_kw = piece.load_kw - piece.pue * piece.it_kw
                while now_s < until - TINY_S:
                    flow = island.flow(piece.load_kw, piece.available_kw, soc, now_s)
                    floor = island.floor_kwh(must_kw, now_s) if jobs else (0.0, 0.0)
                    held_s = holds_for_s(flow, island, soc, floor, until - now_s)
                    if held_s < until - now_s:
                        return now_s + held_s
                    held, rate = Setting(flow.battery_kw, 0.0), self._rate_kw(flow)
                    now_s, soc = reach(self.site.battery, held, rate, None, until, now_s, soc)
        finally:
            self._it_kw = it_kw
        return limit_s

    def meter_to(self, moment_s: float) -> None:
        """Meter up to ``moment_s`` (at most the end of the horizon)."""
        target = min(moment_s, self._end_s)
        while self.now_s < target:
            self._constant(self._given.next_s(self.now_s, target))

    def energies(self, edges_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Energies between instants (Unix seconds), and the state of charge at each instant but the first.

        Returns:
            ``[len(FLOWS), n - 1]`` kWh and ``[n - 1]`` kWh for ``n`` instants.
        """
        return self._log.energies(edges_s - self._origin_s)

    def made_kwh(self, edges_s: FloatArray) -> FloatArray:
        """What biogas units and generators gave between instants (Unix seconds), ``[n - 1]`` kWh; the load lacks it."""
        return self._log.made_kwh(edges_s - self._origin_s)

    def reading(self) -> tuple[float, float]:
        """Net import from this instant on, battery included, and the limit on it that holds now (kW; import positive).

        The limit is that of the connection or of an event; what a plan that knew the event meant to exceed is allowed. A site
        that has no grid, or whose mains are gone, imports nothing, so it has no limit either.
        """
        if self.island is not None:
            return 0.0, float("inf")
        moment_s = self.now_s + TINY_S
        control, intent, planned_s = self._intent(moment_s)
        piece = self._piece(moment_s, intent if control is BatteryControl.FOLLOW_PLAN else None, planned_s)
        measured = Instant(piece.load_kw, piece.available_kw, piece.net_limit_kw, piece.export_room_kw)
        setting = battery_power(self.site.battery or NO_BATTERY, control, self.soc_kwh, measured, intent, moment_s)
        net_kw = piece.load_kw - (piece.available_kw - setting.unused_kw) + setting.power_kw
        return (min(0.0, net_kw), float("inf")) if self._islanded else (net_kw, piece.net_limit_kw)

    @property
    def bill(self) -> Bill:
        """What its assets have owed by themselves so far."""
        return reduce(Bill.plus, (asset.bill for asset in self.assets), Bill())

    def import_kw(self, period_s: float, periods: int, first: int = 0) -> FloatArray:
        """Mean import (kW) in each of the first ``periods`` periods, those before the one numbered ``first`` left out."""
        edges_s: FloatArray = self._origin_s + period_s * np.arange(first, periods + 1, dtype=np.float64)
        flows, _ = self.energies(edges_s)
        mean: FloatArray = flows[FLOWS.index("import_kwh")] / (period_s / 3600.0)
        return mean

    def highest_import_kw(self, period_s: float, periods: int) -> float:
        """Highest mean import (kW) of the first ``periods`` periods (one length a meter), each looked at once."""
        seen, highest = self._highest
        if periods > seen:
            highest = max(highest, float(self.import_kw(period_s, periods, seen).max()))
            self._highest = (periods, highest)
        return highest

    def soc_bounds_kwh(self) -> tuple[float, float]:
        """Lowest and highest state of charge so far (pieces are linear, so it lies at a piece's end)."""
        return self._log.soc_bounds_kwh()

    @property
    def load_kwh(self) -> float:
        """Load counted so far."""
        return self._log.total("load_kwh")

    def _constant(self, until_s: float) -> None:
        """Meter ``[now_s, until_s)``, in which nothing given changes."""
        if self.island is not None:
            self._alone(self.island, until_s)
            return
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
                self._record(piece, 0.0, setting.unused_kw, until_s, 0.0)
                continue
            rate = battery.soc_rate_kw(setting.power_kw)
            end_s, soc = reach(battery, setting, rate, intent, until_s, self.now_s, self.soc_kwh)
            self._record(piece, setting.power_kw, setting.unused_kw, end_s, soc)
        for asset in self.assets:
            asset.advance(begin_s, self.now_s)

    def _alone(self, island: Island, until_s: float) -> None:
        """Meter ``[now_s, until_s)`` without mains, in which nothing given changes."""
        for asset in self.assets:
            asset.it_kw = self._idle_kw + self._it_kw
            until_s = max(min(until_s, asset.hold_s(self.now_s, until_s)), self.now_s + TINY_S)
        begin_s = self.now_s
        piece = self._piece((begin_s + until_s) / 2, None, 0.0)
        while self.now_s < until_s:
            flow = island.flow(piece.load_kw, piece.available_kw, self.soc_kwh, (self.now_s + until_s) / 2)
            held, rate = Setting(flow.battery_kw, 0.0), self._rate_kw(flow)
            end_s, soc = reach(self.site.battery, held, rate, None, until_s, self.now_s, self.soc_kwh)
            self._share_backup(flow.generator_kw)
            self._record_island(piece, flow, end_s, soc)
        for asset in self.assets:
            asset.advance(begin_s, self.now_s)

    def _share_backup(self, power_kw: float) -> None:
        """Tell each emergency generator its part of what they carry."""
        for asset in self.assets:
            if isinstance(asset, GeneratorWorld):
                asset.backup_kw = min(power_kw, asset.unit.units * asset.unit.unit_kw)
                power_kw -= asset.backup_kw

    def _rate_kw(self, flow: IslandFlow) -> float:
        """Rate at which the state of charge changes in an island."""
        return self.site.battery.soc_rate_kw(flow.battery_kw) if self.site.battery is not None else 0.0

    def _piece(self, moment_s: float, intent: Intent | None, planned_s: float) -> Piece:
        """Constant powers around ``moment_s``; ``intent`` is of a plan that knew what was received until ``planned_s``."""
        net_limit, export_limit, export_price, factor, pue, available = self._given.at(moment_s)
        for event in self._events:
            begin = max(event.start, event.received).timestamp() - self._origin_s
            if begin <= moment_s < event.end.timestamp() - self._origin_s:
                knew = intent is not None and event.received.timestamp() - self._origin_s <= planned_s
                wanted = max(event.limit_kw, intent.net_kw) if intent is not None and knew else event.limit_kw
                net_limit = min(net_limit, wanted)
        load = self.site.overhead_kw + pue * (self._idle_kw + self._it_kw)
        load += (factor - 1.0) * (self.site.overhead_kw + pue * self._idle_kw)
        facility = load
        draws = [asset.draw_kw(moment_s, self._idle_kw + self._it_kw) for asset in self.assets]
        load += sum(draws)
        made = sum(max(0.0, -draw) for asset, draw in zip(self.assets, draws, strict=True) if asset.makes_power)
        room = export_limit
        if export_price < 0 or (self._on_feeder and intent is not None):
            room = min(export_limit, intent.export_kw if intent is not None else 0.0)
        return Piece(self._it_kw, load, available, net_limit, room, made, pue, facility)

    def _intent(self, moment_s: float) -> tuple[BatteryControl, Intent | None, float]:
        """Control, planned slot and start of the plan in force at ``moment_s``; self-consumption while there is no plan."""
        for start_s, control, slots, step_s in reversed(self._plans):
            if moment_s >= start_s:
                slot = int((moment_s - start_s) // step_s)
                return control, slots[slot] if slot < len(slots) else None, start_s
        return BatteryControl.SELF_CONSUMPTION, None, 0.0

    def _record(self, piece: Piece, battery_kw: float, unused_kw: float, end_s: float, soc_kwh: float) -> None:
        """Add a piece of constant powers from ``now_s`` to ``end_s``."""
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
        self._add(piece, powers, piece.made_kw, end_s, soc_kwh)

    def _record_island(self, piece: Piece, flow: IslandFlow, end_s: float, soc_kwh: float) -> None:
        """Add a piece without mains; the load of the balance is what generators leave of it."""
        hours = (end_s - self.now_s) / 3600.0
        self.bridged_kwh += max(0.0, -flow.battery_kw) * hours
        self.backup_kwh += flow.generator_kw * hours
        self.lost_kwh += flow.unserved_kw * hours
        powers = (
            piece.it_kw,
            piece.load_kw - flow.generator_kw,
            0.0,
            0.0,
            piece.available_kw,
            flow.used_kw,
            piece.available_kw - flow.used_kw,
            max(0.0, flow.battery_kw),
            max(0.0, -flow.battery_kw),
            flow.unserved_kw,
        )
        self._add(piece, powers, flow.generator_kw, end_s, soc_kwh)

    def _add(self, piece: Piece, powers: tuple[float, ...], made_kw: float, end_s: float, soc_kwh: float) -> None:
        """Count constant powers (in the order of ``FLOWS``) up to ``end_s``, and whose they are."""
        self.shares.add(piece.pue, piece.it_kw, piece.facility_kw, powers[1], (end_s - self.now_s) / 3600.0)
        self._log.add(powers, made_kw, soc_kwh, end_s)
        self.now_s, self.soc_kwh = end_s, soc_kwh
