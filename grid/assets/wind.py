"""Wind power from weather: 10 m wind raised to the hub, a manufacturer's power curve, scaled to the plant's rating.

The height correction is the power law ``v(h) = v(10) (h / 10)^a`` with a = 1/7 by default, the usual value for open land in
neutral air (Hellmann; windpowerlib's default). Power curves come from windpowerlib (Open Energy Database). Its smallest
turbine has 800 kW: the curve of a big machine scaled to a small one keeps the shape but starts at a lower wind than small
machines do, so the yield is on the high side.

Where the weather tells temperature and pressure, the curve (which holds for 1.225 kg/m3) is corrected for the density of the air
at the hub, as windpowerlib does it: temperature falls by 6.5 K/km and pressure by 1/8 hPa/m up to the hub, and the wind speeds of
the curve are shifted by a power of the density that depends on them (Svenningsen, *Power Curve Air Density Correction and Other
Power Curve Options in WindPRO*, EMD, 2010). Weather without pressure leaves the curve as it is, and the series says so.
"""

from __future__ import annotations

import csv
import difflib
import importlib.util
import math
from pathlib import Path

import numpy as np

from grid.errors import FeedError
from grid.feeds.open_meteo import Weather
from grid.feeds.reading import Repair
from grid.horizon import FloatArray, Horizon
from grid.series import Series

SAMPLE_S = 300.0
POWER_LAW_EXPONENT = 1.0 / 7.0
MEASURED_AT_M = 10.0
TEMPERATURE_AT_M = 2.0


def _library_table(name: str) -> dict[str, dict[str, str]]:
    """A table of windpowerlib by turbine type.

    Raises:
        FeedError: windpowerlib is not installed.
    """
    spec = importlib.util.find_spec("windpowerlib")
    if spec is None or not spec.submodule_search_locations:
        raise FeedError("the package windpowerlib is not installed")
    path = Path(next(iter(spec.submodule_search_locations))) / "data" / "default_turbine_data" / name
    with path.open(encoding="utf-8", newline="") as file:
        return {row["turbine_type"]: row for row in csv.DictReader(file)}


def turbine_types() -> tuple[str, ...]:
    """Types of windpowerlib that have a power curve.

    Raises:
        FeedError: windpowerlib is not installed.
    """
    return tuple(_library_table("power_curves.csv"))


def share_of_rating(
    wind_m_per_s: FloatArray,
    turbine: str,
    hub_height_m: float,
    exponent: float = POWER_LAW_EXPONENT,
    density_kg_per_m3: FloatArray | None = None,
) -> FloatArray:
    """Power over rated power for wind at 10 m; zero below cut-in and above cut-out.

    Args:
        wind_m_per_s: wind at 10 m, ``[n]``.
        turbine: type of windpowerlib.
        hub_height_m: height of the hub.
        exponent: of the power law.
        density_kg_per_m3: of the air at the hub, ``[n]``; None: that of the curve.

    Raises:
        FeedError: windpowerlib has no power curve for this turbine (names the nearest), or the hub height is not positive.
    """
    curves = _library_table("power_curves.csv")
    if turbine not in curves:
        nearest = difflib.get_close_matches(turbine, curves, 1, 0.3)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        raise FeedError(f"windpowerlib has no power curve of a turbine {turbine!r}{hint}")
    if not hub_height_m > 0:
        raise FeedError(f"hub height {hub_height_m} m is not above 0")
    from windpowerlib.power_output import power_curve
    from windpowerlib.wind_speed import hellman

    # The table is read directly: the class WindTurbine refuses hubs below half the rotor of the big machine.
    points = [(float(speed), float(watts)) for speed, watts in curves[turbine].items() if speed != "turbine_type" and watts]
    at_hub = hellman(wind_m_per_s, MEASURED_AT_M, hub_height_m, hellman_exponent=exponent)
    speeds, watts = np.array([v for v, _ in points]), np.array([w for _, w in points])
    if density_kg_per_m3 is None:
        power = power_curve(np.asarray(at_hub), speeds, watts)
    else:
        power = power_curve(np.asarray(at_hub), speeds, watts, density=density_kg_per_m3, density_correction=True)
    rated_w = float(_library_table("turbine_data.csv")[turbine]["nominal_power"])
    share: FloatArray = np.asarray(power, dtype=np.float64) / rated_w
    return share


def hub_density(weather: Weather, moments_s: FloatArray, hub_height_m: float, repair: Repair = "none") -> FloatArray | None:
    """Density of the air at the hub (kg/m3) at ``moments_s``; None where the weather tells no pressure for all of them.

    Raises:
        FeedError: the temperature has faults around these moments and ``repair`` is ``none``.
    """
    pressure = weather.pressure_at(moments_s)
    if pressure is None or not hub_height_m > 0:
        return None
    from windpowerlib.density import barometric
    from windpowerlib.temperature import linear_gradient

    kelvin = linear_gradient(weather.at("temperature_c", moments_s, repair) + 273.15, TEMPERATURE_AT_M, hub_height_m)
    density: FloatArray = np.asarray(barometric(pressure, 0.0, hub_height_m, kelvin), dtype=np.float64)
    return density


def wind_power(
    weather: Weather,
    horizon: Horizon,
    *,
    rated_kw: float,
    turbine: str = "E48/800",
    hub_height_m: float = 30.0,
    exponent: float = POWER_LAW_EXPONENT,
    repair: Repair = "none",
) -> Series:
    """AC power of a wind plant in kW, between 0 and ``rated_kw``, in steps of five minutes over ``horizon``.

    Args:
        weather: wind at 10 m; temperature and pressure, where it tells them.
        horizon: period to cover.
        rated_kw: rated power that the curve is scaled to.
        turbine: type of windpowerlib whose curve gives the shape.
        hub_height_m: height of the hub.
        exponent: of the power law.
        repair: what to do with missing hours of weather.

    Raises:
        FeedError: unknown turbine, weather that does not cover the horizon or has faults there, or a rating not above 0.
    """
    if not rated_kw > 0:
        raise FeedError(f"wind: rated power {rated_kw} kW is not above 0")
    if not weather.covers(horizon):
        raise FeedError(f"{weather.source} does not cover {horizon.start:%Y-%m-%dT%H:%MZ} to {horizon.end:%Y-%m-%dT%H:%MZ}")
    edges: FloatArray = horizon.start_s + SAMPLE_S * np.arange(
        math.ceil((horizon.end_s - horizon.start_s) / SAMPLE_S) + 1, dtype=np.float64
    )
    edges[-1] = horizon.end_s
    moments = (edges[:-1] + edges[1:]) / 2
    speed = weather.at("wind_m_per_s", moments, repair)
    density = hub_density(weather, moments, hub_height_m, repair)
    power = rated_kw * np.clip(share_of_rating(speed, turbine, hub_height_m, exponent, density), 0.0, 1.0)
    air = "air of 1.225 kg/m3 (no pressure known)" if density is None else f"air of {density.mean():.3f} kg/m3 on average"
    height = f"{hub_height_m:g} m, power law {exponent:.3g}, {air}"
    source = f"model: {turbine} curve scaled to {rated_kw:g} kW at {height}, from 10 m wind of {weather.source}"
    return Series(edges, power, "kW", source)
