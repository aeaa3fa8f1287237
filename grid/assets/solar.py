"""Sun on a tilted plane, modelled from cloud cover: a forecast-like series where nobody measured irradiance.

The chain, each step with its source:

1. clear sky: Ineichen and Perez (Solar Energy 73, 2002) with the monthly Linke turbidity that pvlib ships;
2. cloud: global irradiance = clear * (1 - 0.75 (N/8)^3.4) with N eighths of cloud (Kasten and Czeplak, Solar Energy 24, 1980,
   p. 177; fitted to Hamburg, so made for this climate);
3. split into beam and diffuse: Erbs, Klein and Duffie (Solar Energy 28, 1982, p. 293), closure GHI = DHI + DNI cos(zenith);
4. plane of array: Hay and Davies for the sky, albedo 0.2 for the ground;
5. cell temperature: Faiman (Progress in Photovoltaics 16, 2008) with wind at 10 m, which is a little too cool;
6. PVWatts (Dobos, NREL/TP-6A20-62641, 2014): DC power, losses of 14 %, inverter that clips at its AC rating.

Cloud cover of a reanalysis says little about a single roof: a day's energy may be off by tens of percent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grid.errors import FeedError
from grid.feeds.open_meteo import Weather
from grid.feeds.reading import Repair
from grid.horizon import FloatArray, Horizon
from grid.series import Series

SAMPLE_S = 300.0
"""Step of the model: the sun is computed in the middle of each and taken to hold for it."""

ALBEDO = 0.2
SYSTEM_LOSSES = 0.14
"""PVWatts default: soiling, shading, mismatch, wiring, availability."""

TEMPERATURE_COEFFICIENT_PER_C = -0.004
"""Of crystalline silicon; PVWatts offers -0.0035 (premium) to -0.0047 (standard)."""


@dataclass(frozen=True, slots=True, eq=False)
class Irradiance:
    """Irradiance at moments, W/m2, each ``[n]``.

    Attributes:
        ghi, dni, dhi: global horizontal, direct normal, diffuse horizontal.
        clear_ghi: global horizontal under a clear sky.
        zenith_deg, azimuth_deg: of the sun, refraction included in the zenith.
    """

    ghi: FloatArray
    dni: FloatArray
    dhi: FloatArray
    clear_ghi: FloatArray
    zenith_deg: FloatArray
    azimuth_deg: FloatArray


def cloud_factor(cloud_pct: npt.ArrayLike) -> FloatArray:
    """Global irradiance under cloud as a share of the clear sky (Kasten and Czeplak 1980): 1 to 0.25."""
    cover = np.clip(np.asarray(cloud_pct, dtype=np.float64) / 100.0, 0.0, 1.0)
    factor: FloatArray = 1.0 - 0.75 * cover**3.4
    return factor


def irradiance(moments_s: FloatArray, cloud_pct: FloatArray, latitude: float, longitude: float, elevation_m: float) -> Irradiance:
    """Irradiance at ``moments_s`` (Unix seconds) under ``cloud_pct`` percent of cloud."""
    import pandas as pd
    import pvlib

    times = pd.to_datetime(np.rint(moments_s).astype(np.int64), unit="s", utc=True)
    place = pvlib.location.Location(latitude, longitude, altitude=elevation_m)
    sun = place.get_solarposition(times)
    clear = place.get_clearsky(times, model="ineichen", solar_position=sun)["ghi"].to_numpy()
    zenith = sun["apparent_zenith"].to_numpy()
    ghi = np.where(zenith < 90.0, clear * cloud_factor(cloud_pct), 0.0)
    parts = pvlib.irradiance.erbs(ghi, zenith, times.dayofyear.to_numpy())
    return Irradiance(ghi, np.asarray(parts["dni"]), np.asarray(parts["dhi"]), clear, zenith, sun["azimuth"].to_numpy())


def solar_power(
    weather: Weather,
    horizon: Horizon,
    *,
    peak_kw: float,
    tilt_deg: float = 35.0,
    azimuth_deg: float = 180.0,
    latitude: float | None = None,
    longitude: float | None = None,
    inverter_kw: float | None = None,
    repair: Repair = "none",
) -> Series:
    """AC power of a photovoltaic plant in kW, not negative, in steps of five minutes over ``horizon``.

    Args:
        weather: cloud cover, temperature and wind of a point.
        horizon: period to cover.
        peak_kw: DC power under standard test conditions (kWp).
        tilt_deg: tilt of the modules from the horizontal.
        azimuth_deg: where they look, clockwise from north (180 is south).
        latitude: of the plant, degrees north; that of the weather when left out.
        longitude: degrees east; that of the weather when left out.
        inverter_kw: AC rating at which the inverter clips; peak_kw / 1.1 when left out (PVWatts' DC to AC ratio).
        repair: what to do with missing hours of weather.

    Raises:
        FeedError: the weather does not cover the horizon or has faults there; a parameter is not positive or out of range.
    """
    import pvlib

    if not (peak_kw > 0 and (inverter_kw is None or inverter_kw > 0) and 0 <= tilt_deg <= 90 and 0 <= azimuth_deg <= 360):
        raise FeedError(f"solar: peak {peak_kw} kW, inverter {inverter_kw} kW, tilt {tilt_deg}, azimuth {azimuth_deg}")
    if not weather.covers(horizon):
        raise FeedError(f"{weather.source} does not cover {horizon.start:%Y-%m-%dT%H:%MZ} to {horizon.end:%Y-%m-%dT%H:%MZ}")
    north = weather.latitude if latitude is None else latitude
    east = weather.longitude if longitude is None else longitude
    edges: FloatArray = horizon.start_s + SAMPLE_S * np.arange(
        math.ceil((horizon.end_s - horizon.start_s) / SAMPLE_S) + 1, dtype=np.float64
    )
    edges[-1] = horizon.end_s
    moments = (edges[:-1] + edges[1:]) / 2
    sky = irradiance(moments, weather.at("cloud_pct", moments, repair), north, east, weather.elevation_m)
    plane = pvlib.irradiance.get_total_irradiance(
        tilt_deg,
        azimuth_deg,
        sky.zenith_deg,
        sky.azimuth_deg,
        sky.dni,
        sky.ghi,
        sky.dhi,
        dni_extra=pvlib.irradiance.get_extra_radiation(_days(moments)),
        albedo=ALBEDO,
        model="haydavies",
    )["poa_global"]
    light = np.nan_to_num(np.asarray(plane, dtype=np.float64), nan=0.0)
    air = weather.at("temperature_c", moments, repair)
    cell = pvlib.temperature.faiman(light, air, weather.at("wind_m_per_s", moments, repair))
    direct_kw = pvlib.pvsystem.pvwatts_dc(light, cell, peak_kw, TEMPERATURE_COEFFICIENT_PER_C) * (1.0 - SYSTEM_LOSSES)
    rating_kw = peak_kw / 1.1 if inverter_kw is None else inverter_kw
    power = np.asarray(pvlib.inverter.pvwatts(direct_kw, rating_kw / 0.96), dtype=np.float64)
    source = f"model from cloud cover (no measured irradiance), {peak_kw:g} kWp at {tilt_deg:g} deg, {weather.source}"
    return Series(edges, np.clip(power, 0.0, rating_kw), "kW", source)


def _days(moments_s: FloatArray) -> npt.NDArray[np.int64]:
    """Day of the year of each moment, UTC."""
    days = moments_s.astype("datetime64[s]").astype("datetime64[D]")
    number: npt.NDArray[np.int64] = (days - days.astype("datetime64[Y]")).astype(np.int64) + 1
    return number
