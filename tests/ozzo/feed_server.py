"""A server on this machine that answers like the live services, in the shapes that their documentation gives.

The real services cannot be reached from where tests run. It can also be slow, broken, or busy on demand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.ozzo.serving import QuietHandler, serving


def entsoe_prices(start: datetime, values: list[float | None], minutes: int = 60, currency: str = "EUR") -> str:
    """A day-ahead price document; None leaves a position out, which in curve type A03 repeats the one before."""
    end = start + timedelta(minutes=minutes * len(values))
    points = "".join(
        f"<Point><position>{i}</position><price.amount>{value}</price.amount></Point>"
        for i, value in enumerate(values, 1)
        if value is not None
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<Publication_MarketDocument xmlns="urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3"><type>A44</type>'
        f"<TimeSeries><mRID>1</mRID><businessType>A62</businessType><currency_Unit.name>{currency}</currency_Unit.name>"
        "<price_Measure_Unit.name>MWH</price_Measure_Unit.name><curveType>A03</curveType><Period><timeInterval>"
        f"<start>{start:%Y-%m-%dT%H:%MZ}</start><end>{end:%Y-%m-%dT%H:%MZ}</end></timeInterval>"
        f"<resolution>PT{minutes}M</resolution>{points}</Period></TimeSeries></Publication_MarketDocument>"
    )


def entsoe_generation(start: datetime, by_type: dict[str, list[float]]) -> str:
    """Realised generation by type in MW, 15 minutes a value."""
    parts = []
    for psr, values in by_type.items():
        end = start + timedelta(minutes=15 * len(values))
        points = "".join(f"<Point><position>{i}</position><quantity>{v}</quantity></Point>" for i, v in enumerate(values, 1))
        parts.append(
            "<TimeSeries><mRID>1</mRID><businessType>A01</businessType>"
            '<inBiddingZone_Domain.mRID codingScheme="A01">10YNL----------L</inBiddingZone_Domain.mRID>'
            "<quantity_Measure_Unit.name>MAW</quantity_Measure_Unit.name><curveType>A01</curveType>"
            f"<MktPSRType><psrType>{psr}</psrType></MktPSRType><Period><timeInterval><start>{start:%Y-%m-%dT%H:%MZ}</start>"
            f"<end>{end:%Y-%m-%dT%H:%MZ}</end></timeInterval><resolution>PT15M</resolution>{points}</Period></TimeSeries>"
        )
    head = '<GL_MarketDocument xmlns="urn:iec62325.351:tc57wg16:451-6:generationloaddocument:3:0"><mRID>x</mRID><type>A75</type>'
    return f'<?xml version="1.0" encoding="UTF-8"?>{head}{"".join(parts)}</GL_MarketDocument>'


def entsoe_refusal(text: str) -> str:
    """An acknowledgement document with a reason."""
    reason = f"<Reason><code>999</code><text>{text}</text></Reason>"
    return f"<Acknowledgement_MarketDocument>{reason}</Acknowledgement_MarketDocument>"


def carbon(start: datetime, values: list[float | None], key: str = "data", **changes: Any) -> str:
    """Average intensity by hour, as Electricity Maps answers."""
    rows = [
        {
            "zone": "NL",
            "carbonIntensity": value,
            "datetime": (start + timedelta(hours=i)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "emissionFactorType": "lifecycle",
            "isEstimated": False,
            **changes,
        }
        for i, value in enumerate(values)
    ]
    return json.dumps({"zone": "NL", key: rows})


def weather(start: datetime, hours: int) -> str:
    """Hourly weather on GMT, wind in m/s, as Open-Meteo answers."""
    times = [(start + timedelta(hours=i)).strftime("%Y-%m-%dT%H:%M") for i in range(hours)]
    names = {
        "temperature_2m": ("°C", 15.0),
        "relative_humidity_2m": ("%", 60),
        "cloudcover": ("%", 20),
        "windspeed_10m": ("m/s", 5.0),
    }
    return json.dumps(
        {
            "latitude": 52.37,
            "longitude": 5.22,
            "elevation": 0.0,
            "utc_offset_seconds": 0,
            "timezone": "GMT",
            "hourly_units": {"time": "iso8601"} | {name: unit for name, (unit, _) in names.items()},
            "hourly": {"time": times} | {name: [value] * hours for name, (_, value) in names.items()},
        }
    )


@dataclass
class Service:
    """The server: what it answers by path, what it was asked, and how many of the next answers fail.

    Attributes:
        url: its address.
        answers: body by path.
        failures: statuses of the next answers, in order; 0 cuts the answer off in the middle.
        asked: path, question and headers of every request.
        headers: further headers of failures.
    """

    url: str
    answers: dict[str, str] = field(default_factory=dict)
    failures: list[int] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def service() -> Iterator[Service]:
    """A server on a free port of loopback."""
    held: list[Service] = []

    class Handler(QuietHandler):
        """Answers from ``Service``."""

        def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
            parts = urlsplit(self.path)
            here = held[0]
            here.asked.append((parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()}, dict(self.headers.items())))
            status = here.failures.pop(0) if here.failures else 200
            body = here.answers.get(parts.path, "").encode("utf-8", "surrogateescape")
            if status == 200 and parts.path not in here.answers:
                status = 404
            self.send_response(status or 200)
            for name, value in here.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if status in (0, 200) else 0))
            self.end_headers()
            if status in (0, 200):
                self.wfile.write(body if status else body[: len(body) // 2])

    with serving(Handler) as url:
        held.append(Service(url))
        yield held[0]


START = datetime(2022, 6, 30, 22, tzinfo=UTC)
"""Local midnight in Amsterdam of the day that the feed scenarios of tests are about."""
