"""A server that looks like four public services of carbon, price and weather, for testing other people's applications unchanged.

Shapes follow the services' documentation; what they tell is a recorded series under a simulated clock (``mock_data``).

====================  ============================================================================================
service               paths
====================  ============================================================================================
Electricity Maps v3   ``/v3/carbon-intensity/...``: ``latest``, ``history``, ``past``, ``past-range``, ``forecast``; header
                      ``auth-token``
WattTime v3           ``/login`` (any user), ``/v3/signal-index``, ``/v3/historical``, ``/v3/forecast`` (bearer token)
Carbon Aware SDK      ``/emissions/bylocation``, ``/emissions/bylocations/best``, ``/emissions/forecasts/current``,
                      ``/emissions/average-carbon-intensity``
Open-Meteo            ``/v1/forecast``
ENTSO-E               ``/api`` (document A44, day-ahead prices)
====================  ============================================================================================

``/clock`` tells the simulated moment. It is a mock: every answer carries the header ``X-Ozzo-Mock``. A series of averages does
not hold WattTime's marginal intensity; the average is served in its place, and its ``meta`` says so.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from grid.errors import FeedError
from grid.feeds.reading import FIRST_YEAR, LAST_YEAR
from ozzo.web.mock_data import HOUR, Signals

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

LB_PER_MWH = 1000.0 / 453.59237
"""Pounds a MWh of one gram a kWh."""
RANGE_DAYS = 10
"""Longest range that Electricity Maps answers at once."""
FORECAST_H = 24
INSTEAD = "average intensity of a recorded series served in place of a marginal one"


class Refused(Exception):
    """An answer that is no answer: status and body as the service words it."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(str(body))
        self.status, self.body = status, body


def build_mock(signals: Signals) -> FastAPI:
    """The application."""
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse, Response

    app = FastAPI(title="mock signals", docs_url=None, redoc_url=None, openapi_url=None)
    mock = _Mock(signals)

    async def refused(_: Request, error: Exception) -> JSONResponse:
        body = error.body if isinstance(error, Refused) else {"error": str(error)}
        return JSONResponse(body, error.status if isinstance(error, Refused) else 404, {"X-Ozzo-Mock": "1"})

    async def answer(request: Request) -> Response:
        handler = HANDLERS[request.url.path.rstrip("/")]
        found = handler(mock, request)
        headers = {"X-Ozzo-Mock": "1", "X-Ozzo-Now": _iso(signals.clock.now())}
        if isinstance(found, str):
            return Response(found, media_type="application/xml", headers=headers)
        return JSONResponse(found, headers=headers)

    answer.__annotations__["request"] = Request  # the names in its annotations are local to this function
    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(FeedError, refused)
    for path in HANDLERS:
        app.add_api_route(path, answer, methods=["GET"], response_model=None)
    return app


class _Mock:
    """Answers of every service; one method a path."""

    def __init__(self, signals: Signals) -> None:
        self.signals = signals
        self._tokens: set[str] = set()

    # Electricity Maps

    def latest(self, request: Request) -> dict[str, Any]:
        """This hour."""
        self._maps(request)
        index = self.signals.now_index()
        return self._maps_entry(self.signals.carbon.start + index * HOUR, float(self.signals.carbon.values[index]))

    def history(self, request: Request) -> dict[str, Any]:
        """The last 24 hours."""
        self._maps(request)
        now = self.signals.carbon.start + self.signals.now_index() * HOUR
        hours = self.signals.carbon.between(now - 23 * HOUR, now + HOUR)
        return {"zone": self.signals.zone, "history": [self._maps_entry(*hour) for hour in hours]}

    def past(self, request: Request) -> dict[str, Any]:
        """One hour that has begun."""
        self._maps(request)
        moment = _moment(request, "datetime")
        hours = self.signals.carbon.between(moment.replace(minute=0, second=0, microsecond=0), moment + HOUR)
        if not hours or moment > self.signals.clock.now():
            raise Refused(404, {"status": "error", "message": f"No data for {self.signals.zone} at {_iso(moment)}"})
        return self._maps_entry(*hours[0])

    def past_range(self, request: Request) -> dict[str, Any]:
        """Hours that have begun, of at most ``RANGE_DAYS`` days."""
        self._maps(request)
        start, end = _moment(request, "start"), _moment(request, "end")
        if not timedelta(0) < end - start <= timedelta(days=RANGE_DAYS):
            words = f"The range must be above nothing and at most {RANGE_DAYS} days"
            raise Refused(400, {"status": "error", "message": words})
        hours = self.signals.carbon.between(start, min(end, self.signals.clock.now()))
        return {"zone": self.signals.zone, "data": [self._maps_entry(*hour) for hour in hours]}

    def maps_forecast(self, request: Request) -> dict[str, Any]:
        """A day ahead."""
        self._maps(request)
        hours = [{"carbonIntensity": round(value), "datetime": _iso(moment)} for moment, value in self.signals.ahead(FORECAST_H)]
        return {"zone": self.signals.zone, "forecast": hours, "updatedAt": _iso(self.signals.clock.now())}

    def _maps(self, request: Request) -> None:
        """A token must be there (any will do), and the zone must be ours."""
        if not request.headers.get("auth-token"):
            raise Refused(401, {"status": "error", "message": "Invalid auth-token"})
        zone = request.query_params.get("zone", self.signals.zone)
        if zone != self.signals.zone:
            raise Refused(404, {"status": "error", "message": f"Zone '{zone}' does not exist"})

    def _maps_entry(self, moment: datetime, value: float) -> dict[str, Any]:
        entry = {"zone": self.signals.zone, "carbonIntensity": round(value), "datetime": _iso(moment)}
        times = {"updatedAt": _iso(moment + HOUR), "createdAt": _iso(moment)}
        return entry | times | {"emissionFactorType": "lifecycle", "isEstimated": False, "estimationMethod": None}

    # WattTime

    def login(self, request: Request) -> dict[str, Any]:
        """A token for any user."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        try:
            user = base64.b64decode(given, validate=True).decode() if scheme.lower() == "basic" else ""
        except (binascii.Error, UnicodeDecodeError):
            user = ""
        if ":" not in user:
            raise Refused(403, {"error": "Forbidden"})
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        return {"token": token}

    def signal_index(self, request: Request) -> dict[str, Any]:
        """Percentile of this hour among the last 30 days."""
        self._watttime(request)
        index = self.signals.now_index()
        month = self.signals.carbon.values[max(0, index - 30 * 24) : index + 1]
        value = self.signals.carbon.values[index]
        percent = 100.0 * float((month <= value).sum() - 1) / max(1, len(month) - 1)
        moment = self.signals.carbon.start + index * HOUR
        return {"data": [{"point_time": _iso(moment), "value": round(percent)}], "meta": self._meta("percentile")}

    def historical(self, request: Request) -> dict[str, Any]:
        """Hours that have begun, pounds a MWh."""
        self._watttime(request)
        start, end = _moment(request, "start"), _moment(request, "end")
        hours = self.signals.carbon.between(start, min(end, self.signals.clock.now()))
        return {"data": [_pounds(*hour) for hour in hours], "meta": self._meta("lbs_co2_per_mwh")}

    def watttime_forecast(self, request: Request) -> dict[str, Any]:
        """Hours ahead, pounds a MWh."""
        self._watttime(request)
        hours = _whole(request, "horizon_hours", FORECAST_H, 72)
        meta = self._meta("lbs_co2_per_mwh") | {
            "generated_at": _iso(self.signals.clock.now()),
            "generated_at_period_seconds": 3600,
        }
        return {"data": [_pounds(*hour) for hour in self.signals.ahead(hours)], "meta": meta}

    def _watttime(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or given.strip() not in self._tokens:
            raise Refused(401, {"error": "Unauthorized"})
        region = request.query_params.get("region", "")
        if region != self.signals.zone:
            raise Refused(400, {"error": f"Invalid region {region!r}"})
        signal = request.query_params.get("signal_type", "co2_moer")
        if signal != "co2_moer":
            raise Refused(400, {"error": f"Invalid signal_type {signal!r}"})

    def _meta(self, units: str) -> dict[str, Any]:
        warnings = [{"type": "MOCK", "message": INSTEAD}]
        meta = {"data_point_period_seconds": 3600, "region": self.signals.zone, "signal_type": "co2_moer", "units": units}
        return meta | {"warnings": warnings, "model": {"date": f"{self.signals.carbon.start:%Y-%m-%d}"}}

    # Carbon Aware SDK

    def by_location(self, request: Request) -> list[dict[str, Any]]:
        """Ratings of hours that have begun."""
        self._location(request)
        now = self.signals.clock.now()
        start = _moment(request, "time", now.replace(minute=0, second=0, microsecond=0))
        hours = self.signals.carbon.between(start, min(_moment(request, "toTime", start + HOUR), now))
        return [self._rating(*hour) for hour in hours]

    def best(self, request: Request) -> list[dict[str, Any]]:
        """The lowest of them."""
        found = self.by_location(request)
        least = min((entry["rating"] for entry in found), default=None)
        return [entry for entry in found if entry["rating"] == least]

    def current_forecasts(self, request: Request) -> list[dict[str, Any]]:
        """Means of windows ahead, and the best of them."""
        self._location(request)
        hours = self.signals.ahead(FORECAST_H)
        start, end = _moment(request, "dataStartAt", hours[0][0]), _moment(request, "dataEndAt", hours[-1][0] + HOUR)
        inside = [hour for hour in hours if start <= hour[0] < end]
        if not inside:
            raise Refused(400, {"title": "ArgumentException", "status": 400, "detail": "the window holds no forecast"})
        window = _whole(request, "windowSize", 60, 60 * len(inside)) / 60
        span = max(1, int(window))
        means = [sum(value for _, value in inside[i : i + span]) / span for i in range(len(inside) - span + 1)]
        points = [self._point(inside[i][0], mean, span) for i, mean in enumerate(means)]
        least = min(means)
        now = _iso(self.signals.clock.now())
        entry = {"generatedAt": now, "requestedAt": now, "location": self.signals.zone, "windowSize": 60 * span}
        entry |= {"dataStartAt": _iso(start), "dataEndAt": _iso(end), "forecastData": points}
        return [entry | {"optimalDataPoints": [point for point, mean in zip(points, means, strict=True) if mean == least]}]

    def average(self, request: Request) -> dict[str, Any]:
        """Mean of a period that has begun."""
        self._location(request)
        start, end = _moment(request, "startTime"), _moment(request, "endTime")
        hours = self.signals.carbon.between(start, min(end, self.signals.clock.now()))
        if not hours:
            raise Refused(400, {"title": "ArgumentException", "status": 400, "detail": "no data in this period"})
        entry = {"location": self.signals.zone, "startTime": _iso(start), "endTime": _iso(end)}
        return entry | {"carbonIntensity": sum(value for _, value in hours) / len(hours)}

    def _location(self, request: Request) -> None:
        places = request.query_params.getlist("location")
        unknown = [place for place in places if place != self.signals.zone]
        if unknown or not places:
            words = f"unknown location {unknown[0]!r}" if unknown else "location is required"
            raise Refused(400, {"title": "LocationException", "status": 400, "detail": words})

    def _rating(self, moment: datetime, value: float) -> dict[str, Any]:
        return {"location": self.signals.zone, "time": _iso(moment), "rating": value, "duration": "01:00:00"}

    def _point(self, moment: datetime, value: float, hours: int) -> dict[str, Any]:
        return {"location": self.signals.zone, "timestamp": _iso(moment), "duration": 60 * hours, "value": value}

    # Open-Meteo and ENTSO-E

    def open_meteo(self, request: Request) -> dict[str, Any]:
        """Weather by the hour."""
        from ozzo.web.mock_documents import weather_answer

        if self.signals.weather is None:
            raise Refused(404, {"error": True, "reason": "no weather is served (--weather)"})
        now = self.signals.clock.now()
        first = _moment(request, "start_date", now.replace(hour=0, minute=0, second=0, microsecond=0))
        last = _moment(request, "end_date", first + timedelta(days=6)) + timedelta(days=1)
        return weather_answer(self.signals.weather, first, last)

    def entsoe(self, request: Request) -> str:
        """Day-ahead prices, as far as they are published by now."""
        from ozzo.web.mock_documents import no_data, price_document

        price = self.signals.price
        if request.query_params.get("documentType") != "A44" or price is None:
            return no_data("No matching data found")
        start, end = (_compact(request, name) for name in ("periodStart", "periodEnd"))
        now = self.signals.clock.now()
        tomorrow = (now + HOUR).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        published = tomorrow + timedelta(days=1) if now.hour >= 12 else tomorrow  # day-ahead prices come out around noon
        hours = price.between(start, min(end, published))
        return price_document(hours) if hours else no_data("No matching data found")

    def clock(self, _: Request) -> dict[str, Any]:
        """The simulated moment."""
        clock = self.signals.clock
        return {"now": _iso(clock.now()), "speed": clock.speed, "series_end": _iso(self.signals.carbon.end)}


HANDLERS: dict[str, Any] = {
    "/v3/carbon-intensity/latest": _Mock.latest,
    "/v3/carbon-intensity/history": _Mock.history,
    "/v3/carbon-intensity/past": _Mock.past,
    "/v3/carbon-intensity/past-range": _Mock.past_range,
    "/v3/carbon-intensity/forecast": _Mock.maps_forecast,
    "/login": _Mock.login,
    "/v3/signal-index": _Mock.signal_index,
    "/v3/historical": _Mock.historical,
    "/v3/forecast": _Mock.watttime_forecast,
    "/emissions/bylocation": _Mock.by_location,
    "/emissions/bylocations/best": _Mock.best,
    "/emissions/forecasts/current": _Mock.current_forecasts,
    "/emissions/average-carbon-intensity": _Mock.average,
    "/v1/forecast": _Mock.open_meteo,
    "/api": _Mock.entsoe,
    "/clock": _Mock.clock,
}
"""Answer by path."""


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _pounds(moment: datetime, value: float) -> dict[str, Any]:
    return {"point_time": _iso(moment), "value": round(value * LB_PER_MWH, 1)}


def _moment(request: Request, name: str, default: datetime | None = None) -> datetime:
    """A moment of the query; without a zone it is UTC."""
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    try:
        moment = datetime.fromisoformat((text or "").replace(" ", "+"))
    except ValueError:
        raise Refused(400, {"status": "error", "message": f"{name} is no moment: {text!r}"}) from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise Refused(400, {"status": "error", "message": f"{name} is of no year from {FIRST_YEAR} to {LAST_YEAR}: {text!r}"})
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _compact(request: Request, name: str) -> datetime:
    text = request.query_params.get(name, "")
    try:
        return datetime.strptime(text, "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        raise Refused(400, {"status": "error", "message": f"{name} is no moment of the form yyyyMMddHHmm: {text!r}"}) from None


def _whole(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise Refused(400, {"error": f"{name} is a whole number from 1 to {most}, not {text!r}"})
    return int(text)
