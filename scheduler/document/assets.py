"""Energy assets of a site, built from their parts of the document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grid.assets.battery import Battery
from grid.errors import FeedError
from grid.horizon import Horizon
from grid.series import Series
from scheduler.document.context import Context
from scheduler.document.places import BatteryPart, SolarPart, WindPart
from scheduler.document.sources import Sources

if TYPE_CHECKING:
    from grid.feeds.open_meteo import Weather


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
    )


def build_solar(
    context: Context, sources: Sources, part: SolarPart, horizon: Horizon, weather: Weather | None, profile_start: str
) -> Series:
    """AC power available from the sun in kW over ``horizon``.

    Raises:
        FeedError: the SimBench profile or the weather is not what the document says.
    """
    if part.measured is not None:
        return sources.series[part.measured]
    if part.profile is not None:
        return _profile(context, part.profile, part.peak_kw or 0.0, horizon, profile_start)
    raise FeedError("no model of sun from weather yet")


def build_wind(
    context: Context, sources: Sources, part: WindPart, horizon: Horizon, weather: Weather | None, profile_start: str
) -> Series:
    """AC power available from wind in kW over ``horizon``.

    Raises:
        FeedError: the SimBench profile, the turbine or the weather is not what the document says.
    """
    if part.measured is not None:
        return sources.series[part.measured]
    if part.profile is not None:
        return _profile(context, part.profile, part.rated_kw or 0.0, horizon, profile_start)
    raise FeedError("no model of wind from weather yet")


def _profile(context: Context, profile: str, rated_kw: float, horizon: Horizon, profile_start: str) -> Series:
    """A SimBench profile (per unit of installed power) times that power."""
    from grid.feeds.simbench_profiles import renewable_profile

    network = context.document.network
    if network is None:
        raise FeedError(f"the profile {profile} needs a network")
    series = renewable_profile(network.simbench, profile, horizon, profile_start)
    return series.scaled(rated_kw, "kW", f"SimBench profile {profile} times {rated_kw:g} kW")
