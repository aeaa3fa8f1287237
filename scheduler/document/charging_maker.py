"""Fleets of charging cars made from the document: sessions drawn or taken over, peak hours, the price of what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time

import numpy as np

from grid.assets.charging import ChargingFleet
from grid.assets.charging_draw import Bidirectional, Plug, Town, Wave, draw_sessions
from grid.assets.charging_sessions import Session
from grid.chance import stream
from grid.contracts.capacity_tariff import dearest_at_once
from grid.contracts.windows import DailyWindow
from grid.horizon import Horizon
from grid.series import Series
from grid.tariff import Tariff
from scheduler.document.assets_charging import ChargingGeneratorPart, ChargingPart, SessionPart
from scheduler.document.context import Context
from scheduler.document.contracts_tariff import CapacityTariffPart, build_tariff
from scheduler.document.places import SitePart
from scheduler.last_resort import MARGIN_EUR_PER_KWH, last_resort

DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class ChargingMaker:
    """Makes the fleets of one site of a document without findings.

    Attributes:
        context, horizon: the document and its period.
        site: part of the site; tariff: its prices; carbon: intensity that the objective uses, g per kWh.
    """

    context: Context
    horizon: Horizon
    site: SitePart
    tariff: Tariff
    carbon: Series

    def fleet(self, part: ChargingPart) -> ChargingFleet:
        """The fleet; a note says how many cars found no point."""
        inline = tuple(session for session in map(self._session, part.sessions) if session is not None)
        drawn = self._drawn(part) if part.generator is not None else ()
        missing = self._missing_eur_per_kwh(part) if part.missing_eur_per_kwh is None else part.missing_eur_per_kwh
        start = self.horizon.start_s
        return ChargingFleet(
            name=part.name,
            sessions=(*inline, *drawn),
            missing_eur_per_kwh=missing,
            charge_efficiency=part.charge_efficiency,
            discharge_efficiency=part.discharge_efficiency,
            discharge=part.discharge,
            wear_eur_per_kwh=part.wear_eur_per_kwh,
            peak_h=tuple(
                ((first - start) / 3600.0, (last - start) / 3600.0)
                for window in part.peak_windows
                for first, last in self._hours(window.from_, window.to)
                if last > start and first < self.horizon.end_s
            ),
        )

    def _hours(self, first_minute: int, last_minute: int) -> Iterable[tuple[float, float]]:
        """A daily window on every local day of the horizon, Unix seconds."""
        return DailyWindow(first_minute, last_minute).spans(self.horizon.start, self.horizon.end, self.context.zone)

    def _session(self, part: SessionPart) -> Session | None:
        arrival, departure = (self.context.moment(moment, ()) for moment in (part.arrival, part.departure))
        if arrival is None or departure is None:
            return None
        first, last = ((moment.timestamp() - self.horizon.start_s) / 3600.0 for moment in (arrival, departure))
        given = part.model_dump(exclude={"name", "arrival", "departure"})
        return Session(part.name, first, last, **given)

    def _drawn(self, part: ChargingPart) -> tuple[Session, ...]:
        drawer = part.generator
        if drawer is None:
            return ()
        local = self.horizon.start.astimezone(self.context.zone)
        midnight = datetime.combine(local.date(), time(), tzinfo=self.context.zone)
        midnight_h = (midnight.timestamp() - self.horizon.start_s) / 3600.0
        seed = self.context.document.seed
        rng = stream(seed, f"charging {self.site.name} {part.name}")
        found = draw_sessions(_town(drawer, part.charge_efficiency), midnight_h, self.horizon, rng, f"{part.name}.drawn")
        if found.turned_away:
            total = len(found.sessions) + found.turned_away
            self.context.notes.append(
                f"Derived: of {total} cars that come to {part.name} of {self.site.name}, {found.turned_away} find no free point."
            )
        return found.sessions

    def _missing_eur_per_kwh(self, part: ChargingPart) -> float:
        """Above all that a kWh can save or earn at the site, so that a car lacks energy only when nothing else is left."""
        weights = self.context.document.weights
        price, carbon = self.tariff.import_eur_per_mwh.mean(self.horizon), self.carbon.mean(self.horizon)
        penalties = [
            (0, self.horizon.slots, event.penalty_eur_per_kwh)
            for event in self.context.document.events
            if event.site == self.site.name
        ]
        dear = last_resort(
            None,
            price / 1000.0 + weights.carbon_eur_per_kg * carbon / 1000.0,
            self.tariff.export_eur_per_mwh.mean(self.horizon) / 1000.0,
            penalties,
            self.tariff.peak_eur_per_kw + self._window_peaks_eur_per_kw(),
            self.horizon.step_h,
            0.0,
        )
        return float(np.ceil(100 * (dear.unserved_eur_per_kwh - MARGIN_EUR_PER_KWH / 2) / part.charge_efficiency) / 100)

    def _window_peaks_eur_per_kw(self) -> float:
        """The most that one kW more at one time can cost in the capacity tariff of the site."""
        name = self.site.name
        tariffs = (part for part in self.context.document.contracts if isinstance(part, CapacityTariffPart))
        held = [build_tariff(self.context, part, self.horizon) for part in tariffs if name in part.sites]
        return sum(dearest_at_once(tariff.charges(name, self.horizon), self.horizon) for tariff in held)


def _town(part: ChargingGeneratorPart, efficiency: float) -> Town:
    """Assumptions of the document as the drawer wants them."""
    waves = []
    for wave in part.waves:
        departure = wave.departure if wave.departure > wave.arrival else wave.departure + DAY_MINUTES
        spread = wave.arrival_sd_minutes / 60, wave.departure_sd_minutes / 60
        waves.append(Wave(wave.share, wave.arrival / 60, departure / 60, *spread))
    both = part.bidirectional
    return Town(
        points=part.points,
        sessions=round(part.cars * part.sessions_per_car),
        waves=tuple(waves),
        plugs=tuple(Plug(plug.share, plug.power_kw) for plug in part.plugs),
        mean_kwh=part.mean_kwh,
        sd_kwh=part.sd_kwh,
        efficiency=efficiency,
        grid_minutes=part.grid_minutes,
        bidirectional=None if both is None else Bidirectional(**both.model_dump()),
    )
