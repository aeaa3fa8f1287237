"""Energy assets of a site, built from their parts of the document; what cannot be built becomes a finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from grid.assets.battery import Battery
from grid.assets.wear_cells import wear_of
from grid.errors import FeedError, SeriesError
from grid.horizon import Horizon
from grid.series import Series
from scheduler.document.context import Context
from scheduler.document.places import BatteryPart, SolarPart, WindPart
from scheduler.document.signals import WeatherPart
from scheduler.document.sources import Sources
from scheduler.document.tree import Place

if TYPE_CHECKING:
    from grid.feeds.open_meteo import Weather
    from grid.feeds.reading import Repair

Source = TypeVar("Source")

PROFILES_OF_FILES = "1-complete_data-mixed-all-0-sw"
"""Where profiles come from when the network is a file: SimBench's scenario of today."""


def build_battery(part: BatteryPart) -> Battery:
    """The battery; half full, or at its reserve, when the document does not say."""
    initial = part.initial_soc_kwh
    return Battery(
        energy_kwh=part.energy_kwh,
        charge_kw=part.charge_kw,
        discharge_kw=part.discharge_kw,
        charge_efficiency=part.charge_efficiency,
        discharge_efficiency=part.discharge_efficiency,
        initial_soc_kwh=max(part.energy_kwh / 2, part.reserve_soc_kwh) if initial is None else initial,
        reserve_soc_kwh=part.reserve_soc_kwh,
        wear_eur_per_kwh=part.wear_eur_per_kwh,
        wear=wear_of(part.wear.cell, part.wear.replacement_eur_per_kwh, part.wear.end_of_life) if part.wear else None,
        ups=bool(part.ups),
    )


@dataclass(frozen=True, slots=True)
class AssetMaker:
    """Makes the sun and wind of one site.

    Attributes:
        context, sources: the document and what was read for it.
        horizon: period to cover.
        weather: weather at the site, or None.
        profile_start: local time of the profile year, ISO format.
    """

    context: Context
    sources: Sources
    horizon: Horizon
    weather: WeatherPart | None
    profile_start: str

    def solar(self, part: SolarPart | None, place: Place) -> Series | None:
        """AC power available from the sun in kW over the horizon."""
        if part is None:
            return None
        if part.measured is not None:
            return self.sources.series[part.measured]
        peak_kw = part.peak_kw or 0.0
        if part.profile is not None:
            return self._guarded((*place, "profile"), "a SimBench profile such as PV5", self._profile, part.profile, peak_kw)
        return self._guarded((*place, "tilt_deg"), "sun that can be computed", self._modelled_sun, part, peak_kw)

    def wind(self, part: WindPart | None, place: Place) -> Series | None:
        """AC power available from wind in kW over the horizon."""
        if part is None:
            return None
        if part.measured is not None:
            return self.sources.series[part.measured]
        rated_kw = part.rated_kw or 0.0
        if part.profile is not None:
            return self._guarded((*place, "profile"), "a SimBench profile such as WP4", self._profile, part.profile, rated_kw)
        return self._guarded(
            (*place, "turbine"), "a turbine of windpowerlib such as E48/800", self._modelled_wind, part, rated_kw
        )

    def _guarded(
        self, place: Place, expected: str, make: Callable[[Source, float], Series], part: Source, rated_kw: float
    ) -> Series | None:
        try:
            return make(part, rated_kw)
        except (FeedError, SeriesError) as error:
            self.context.report(place, str(error), expected)
            return None

    def _profile(self, profile: str, rated_kw: float) -> Series:
        """A SimBench profile (per unit of installed power) times that power."""
        from grid.feeds.simbench_profiles import renewable_profile

        network = self.context.document.network
        if network is None:
            raise FeedError(f"the profile {profile} needs a network")
        series = renewable_profile(network.simbench or PROFILES_OF_FILES, profile, self.horizon, self.profile_start)
        return series.scaled(rated_kw, "kW", f"{series.source}, times {rated_kw:g} kW")

    def _modelled_sun(self, part: SolarPart, peak_kw: float) -> Series:
        from grid.assets.solar import solar_power

        weather, repair = self._weather()
        return solar_power(
            weather,
            self.horizon,
            peak_kw=peak_kw,
            tilt_deg=part.tilt_deg or 0.0,
            azimuth_deg=180.0 if part.azimuth_deg is None else part.azimuth_deg,
            latitude=part.latitude_deg,
            longitude=part.longitude_deg,
            inverter_kw=part.inverter_kw,
            repair=repair,
        )

    def _modelled_wind(self, part: WindPart, rated_kw: float) -> Series:
        from grid.assets.wind import wind_power

        weather, repair = self._weather()
        height, turbine = part.hub_height_m or 0.0, part.turbine or ""
        return wind_power(weather, self.horizon, rated_kw=rated_kw, turbine=turbine, hub_height_m=height, repair=repair)

    def _weather(self) -> tuple[Weather, Repair]:
        if self.weather is None or self.weather not in self.sources.weather:
            raise FeedError("no weather")
        return self.sources.weather[self.weather], self.weather.repair
