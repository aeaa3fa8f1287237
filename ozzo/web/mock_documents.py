"""Documents of the mock signal server that are more than a few fields: an Open-Meteo answer and an ENTSO-E price document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np

from ozzo.web.mock_data import HOUR

if TYPE_CHECKING:
    from grid.feeds.open_meteo import Weather

PRICES = "urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3"
REFUSAL = "urn:iec62325.351:tc57wg16:451-1:acknowledgementdocument:7:0"
FIELDS = {
    "temperature_2m": ("temperature_c", "°C"),
    "relative_humidity_2m": ("humidity_pct", "%"),
    "cloudcover": ("cloud_pct", "%"),
    "windspeed_10m": ("wind_m_per_s", "m/s"),
}
"""Field of the service, ours, unit."""


def weather_answer(weather: Weather, start: datetime, end: datetime) -> dict[str, Any]:
    """Hourly weather from ``start`` to before ``end``, what lies outside the series left out; times are GMT."""
    inside = (weather.times_s >= start.timestamp()) & (weather.times_s < end.timestamp())
    times = [datetime.fromtimestamp(second, UTC) for second in weather.times_s[inside]]
    hourly: dict[str, list[Any]] = {"time": [f"{moment:%Y-%m-%dT%H:%M}" for moment in times]}
    for name, (ours, _) in FIELDS.items():
        values = getattr(weather, ours)[inside]
        hourly[name] = [None if np.isnan(value) else float(value) for value in values]
    units = {"time": "iso8601"} | {name: unit for name, (_, unit) in FIELDS.items()}
    place = {"latitude": weather.latitude, "longitude": weather.longitude, "elevation": weather.elevation_m}
    clock = {"utc_offset_seconds": 0, "timezone": "GMT", "timezone_abbreviation": "GMT"}
    return place | clock | {"hourly_units": units, "hourly": hourly}


def price_document(hours: list[tuple[datetime, float]]) -> str:
    """Day-ahead prices (document type A44) of hours that follow one another, EUR/MWh."""
    root = ET.Element("Publication_MarketDocument", xmlns=PRICES)
    _text(root, "type", "A44")
    series = ET.SubElement(root, "TimeSeries")
    for name, value in (
        ("mRID", "1"),
        ("businessType", "A62"),
        ("currency_Unit.name", "EUR"),
        ("price_Measure_Unit.name", "MWH"),
        ("curveType", "A01"),
    ):
        _text(series, name, value)
    period = ET.SubElement(series, "Period")
    interval = ET.SubElement(period, "timeInterval")
    _text(interval, "start", f"{hours[0][0]:%Y-%m-%dT%H:%MZ}")
    _text(interval, "end", f"{hours[-1][0] + HOUR:%Y-%m-%dT%H:%MZ}")
    _text(period, "resolution", "PT60M")
    for position, (_, price) in enumerate(hours, 1):
        point = ET.SubElement(period, "Point")
        _text(point, "position", str(position))
        _text(point, "price.amount", f"{price:.2f}")
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def no_data(words: str) -> str:
    """An acknowledgement with a reason, as ENTSO-E answers what it has no data for."""
    root = ET.Element("Acknowledgement_MarketDocument", xmlns=REFUSAL)
    reason = ET.SubElement(root, "Reason")
    _text(reason, "code", "999")
    _text(reason, "text", words)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _text(parent: ET.Element, name: str, value: str) -> None:
    ET.SubElement(parent, name).text = value
