"""What each service is asked for a feed and a horizon.

- ENTSO-E (Transparency Platform REST interface): ``documentType`` A44 (prices, ``in_Domain`` = ``out_Domain``) or A75 with
  ``processType`` A16 (realised generation by type), times as ``yyyyMMddHHmm`` UTC, the token as ``securityToken``. Codes of
  bidding zones come from ``entsoe-py``. Its limit is 400 requests a minute for a token.
- Electricity Maps: ``/v3/carbon-intensity/past-range`` for a horizon that has begun before now, else ``/forecast``; token in the
  header ``auth-token``. Average intensity.
- Open-Meteo: hourly fields under the names that ``grid.feeds.open_meteo`` reads; wind in m/s; no token.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from grid.errors import FeedError
from grid.feeds.live import FeedKind, FeedSpec
from grid.horizon import Horizon
from ozzo.feeds.http import Question

HOUR = timedelta(hours=1)
ENTSOE_PER_S = 400 / 60


def question(spec: FeedSpec, horizon: Horizon, now: datetime, environment: Mapping[str, str]) -> Question:
    """The request for ``spec``; whole hours around the horizon.

    Raises:
        FeedError: the token is not set, or ENTSO-E has no such area.
    """
    start = horizon.start.replace(minute=0, second=0, microsecond=0)
    last = horizon.end.replace(minute=0, second=0, microsecond=0)
    end = last if last == horizon.end else last + HOUR
    token = ""
    if spec.token_variable:
        token = environment.get(spec.token_variable, "").strip()
        if not token:
            raise FeedError(f"feed {spec.name}: the environment variable {spec.token_variable} with the token is not set")
        if not token.isascii() or not token.isprintable():
            raise FeedError(f"feed {spec.name}: the token in {spec.token_variable} holds characters that no token has")
    if spec.kind is FeedKind.OPEN_METEO:
        return _weather(spec, start, end)
    if spec.kind is FeedKind.ELECTRICITY_MAPS:
        return _carbon(spec, start, end, now, token)
    return _entsoe(spec, start, end, token)


def _entsoe(spec: FeedSpec, start: datetime, end: datetime, token: str) -> Question:
    from entsoe.mappings import lookup_area

    try:
        code = lookup_area(spec.area).code
    except ValueError as error:
        raise FeedError(f"feed {spec.name}: ENTSO-E has no area {spec.area!r}") from error
    params = {
        "periodStart": start.astimezone(UTC).strftime("%Y%m%d%H%M"),
        "periodEnd": end.astimezone(UTC).strftime("%Y%m%d%H%M"),
        "in_Domain": code,
    }
    if token:
        params["securityToken"] = token
    if spec.kind is FeedKind.ENTSOE_PRICES:
        params |= {"documentType": "A44", "out_Domain": code}
    else:
        params |= {"documentType": "A75", "processType": "A16"}
        if spec.production:
            params["psrType"] = spec.production
    return Question(spec.url, params, {}, ENTSOE_PER_S)


def _carbon(spec: FeedSpec, start: datetime, end: datetime, now: datetime, token: str) -> Question:
    headers = {"auth-token": token} if token else {}
    if start >= now.replace(minute=0, second=0, microsecond=0):
        return Question(f"{spec.url}/v3/carbon-intensity/forecast", {"zone": spec.area}, headers)
    params = {"zone": spec.area, "start": _iso(start), "end": _iso(end)}
    return Question(f"{spec.url}/v3/carbon-intensity/past-range", params, headers)


def _weather(spec: FeedSpec, start: datetime, end: datetime) -> Question:
    params = {
        "latitude": f"{spec.latitude}",
        "longitude": f"{spec.longitude}",
        "hourly": "temperature_2m,relative_humidity_2m,cloudcover,windspeed_10m,surface_pressure",
        "windspeed_unit": "ms",
        "timezone": "GMT",
        "start_date": f"{start.astimezone(UTC):%Y-%m-%d}",
        "end_date": f"{end.astimezone(UTC):%Y-%m-%d}",
    }
    return Question(spec.url, params, {})


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
