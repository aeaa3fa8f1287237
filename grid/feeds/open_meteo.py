"""Weather as Open-Meteo's archive answers it (JSON, reanalysis grid point, CC-BY-4.0).

Two traps. The clock is the *fixed* ``utc_offset_seconds`` all year, though ``timezone`` names a zone with summer time: never
localise with the name. And wind is in km/h at 10 m unless ``hourly_units`` says otherwise; ozzo keeps m/s.
Cite: Open-Meteo.com; Zippenfenig, P. (2023) Open-Meteo.com Weather API.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grid.errors import FeedError
from grid.feeds.reading import Fault, FaultKind, Repair, describe, iso
from grid.horizon import FloatArray, Horizon

WIND_TO_M_PER_S = {"km/h": 1 / 3.6, "m/s": 1.0, "kn": 1852 / 3600, "mp/h": 1609.344 / 3600}

FIELDS = {  # our name: (their name, their unit or None when several are known)
    "temperature_c": ("temperature_2m", "°C"),
    "humidity_pct": ("relative_humidity_2m", "%"),
    "cloud_pct": ("cloudcover", "%"),
    "wind_m_per_s": ("windspeed_10m", None),
}


RANGES = {
    "temperature_c": (-90.0, 60.0),
    "humidity_pct": (0.0, 110.0),
    "cloud_pct": (0.0, 100.0),
    "wind_m_per_s": (0.0, 75.0),
}
"""What can be on Earth: a value outside is in another unit, or damaged."""


@dataclass(frozen=True, slots=True, eq=False)
class Weather:
    """Hourly weather at one point; values hold at the instant, straight lines between.

    Attributes:
        times_s: ascending Unix seconds, ``[n]``.
        temperature_c: air temperature at 2 m, degrees Celsius, ``[n]``.
        humidity_pct: relative humidity at 2 m, percent.
        cloud_pct: total cloud cover, 0 to 100.
        wind_m_per_s: wind speed at 10 m.
        latitude, longitude: degrees north and east.
        elevation_m: of the ground.
        source: for reports.
        faults: gaps and missing values in the file.
    """

    times_s: FloatArray
    temperature_c: FloatArray
    humidity_pct: FloatArray
    cloud_pct: FloatArray
    wind_m_per_s: FloatArray
    latitude: float
    longitude: float
    elevation_m: float
    source: str
    faults: tuple[Fault, ...] = ()

    def covers(self, horizon: Horizon) -> bool:
        """True when the horizon lies in the file (the last hour stands for the hour after it)."""
        return bool(self.times_s[0] <= horizon.start_s and horizon.end_s <= self.times_s[-1] + 3600.0)

    def at(self, name: str, moments_s: npt.ArrayLike, repair: Repair = "none") -> FloatArray:
        """Field ``name`` at ``moments_s``, by straight lines between the hours.

        Raises:
            FeedError: the file has faults around these moments and ``repair`` is ``none``, does not reach them, or is empty.
        """
        moments = np.asarray(moments_s, dtype=np.float64)
        if moments.min() < self.times_s[0] or moments.max() > self.times_s[-1] + 3600.0:
            raise FeedError(f"{self.source} covers {iso(self.times_s[0])} to {iso(self.times_s[-1])}, not {iso(moments.min())}")
        values: FloatArray = getattr(self, name)
        known = np.isfinite(values)
        if not known.any():
            raise FeedError(f"{self.source}: not a single value of {name}")
        if repair == "none" and self.faults:
            first = int(np.searchsorted(self.times_s, moments.min(), side="right")) - 1
            last = int(np.searchsorted(self.times_s, moments.max(), side="left"))
            used = slice(first, last + 1)  # the hours that the straight lines would be drawn between
            if not known[used].all() or (np.diff(self.times_s[used]) > 3600.0).any():
                raise FeedError(f"{self.source}: {describe(self.faults)}; ask for repair: interpolate")
        return np.interp(moments, self.times_s[known], values[known])


def read_weather(path: str | Path) -> Weather:
    """The weather in a file with an Open-Meteo answer.

    Raises:
        FeedError: the file cannot be read, a list or a unit is missing or unknown, lists differ in length, a time has a zone, or
            a value cannot be on Earth.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FeedError(f"{path}: cannot be read: {error}") from error
    return answer_weather(text, str(path))


def answer_weather(text: str, path: str) -> Weather:
    """The weather in an Open-Meteo answer; ``path`` is its name for messages.

    Raises:
        FeedError: as above.
    """
    try:
        answer = json.loads(text)
        hourly, units = answer["hourly"], answer["hourly_units"]
        offset_s = float(answer["utc_offset_seconds"])
        place = (float(answer["latitude"]), float(answer["longitude"]), float(answer["elevation"]))
        local = hourly["time"]
    except (json.JSONDecodeError, RecursionError) as error:
        raise FeedError(f"{path}: cannot be read: {error}") from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FeedError(f"{path}: not an Open-Meteo answer: no {error}") from error
    if not (isinstance(units, dict) and np.isfinite([offset_s, *place]).all()):
        raise FeedError(f"{path}: not an Open-Meteo answer: hourly_units, offset or place are of another kind")
    try:
        stamps = [datetime.fromisoformat(text) for text in local]
    except (ValueError, TypeError) as error:
        raise FeedError(f"{path}: hourly.time: {error}") from error
    if any(stamp.tzinfo is not None for stamp in stamps):
        raise FeedError(f"{path}: hourly.time: a time with a zone; expected the clock of utc_offset_seconds")
    times = np.array([stamp.replace(tzinfo=UTC).timestamp() - offset_s for stamp in stamps])
    if len(times) < 2 or (np.diff(times) <= 0).any():
        raise FeedError(f"{path}: hourly.time does not ascend")
    fields = {name: _field(path, hourly, units, name, len(times)) for name in FIELDS}
    faults = [
        Fault(FaultKind.GAP, iso(times[i] + 3600.0), round(gap / 3600) - 1)
        for i, gap in enumerate(np.diff(times))
        if gap > 3600.0
    ]
    for name, values in fields.items():
        empty = np.flatnonzero(~np.isfinite(values))
        if len(empty):
            faults.append(Fault(FaultKind.NOT_A_NUMBER, f"{name} from {iso(times[empty[0]])}", len(empty)))
    source = f"{Path(path).name}, Open-Meteo {place[0]:.2f} N {place[1]:.2f} E"
    return Weather(
        times, **fields, latitude=place[0], longitude=place[1], elevation_m=place[2], source=source, faults=tuple(faults)
    )


def _field(path: str | Path, hourly: dict[str, Any], units: dict[str, str], name: str, length: int) -> FloatArray:
    """One list of the answer in ozzo's unit, ``NaN`` for null."""
    theirs, unit = FIELDS[name]
    if theirs not in hourly:
        raise FeedError(f"{path}: no hourly.{theirs}")
    found = units.get(theirs, "")
    factor = 1.0
    if unit is None:
        if not isinstance(found, str) or found not in WIND_TO_M_PER_S:
            raise FeedError(f"{path}: {theirs} in {found!r}; expected one of {', '.join(WIND_TO_M_PER_S)}")
        factor = WIND_TO_M_PER_S[found]
    elif found != unit:
        raise FeedError(f"{path}: {theirs} in {found!r}; expected {unit!r}")
    try:
        values = np.array([np.nan if value is None else value for value in hourly[theirs]], dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise FeedError(f"{path}: hourly.{theirs}: {error}") from error
    if values.shape != (length,):
        raise FeedError(f"{path}: hourly.{theirs} has {len(values)} values for {length} times")
    values *= factor
    check_ranges(path, name, values)
    return values


def check_ranges(path: str | Path, name: str, values: FloatArray) -> None:
    """Refuse values that cannot be on Earth; ``NaN`` passes.

    Raises:
        FeedError: names the first one.
    """
    low, high = RANGES[name]
    wrong = np.flatnonzero((values < low) | (values > high))
    if len(wrong):
        value = values[wrong[0]]
        raise FeedError(f"{path}: {name} {value:g} in hour {wrong[0] + 1}; expected {low:g} to {high:g} (another unit?)")
