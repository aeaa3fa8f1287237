"""A live feed as a scenario sees it: what is asked, how old an answer may be, and the answer read from the store.

An answer is *fresh* up to ``fresh``, *stale* from there to ``max_age`` (it is used, and everything that uses it says so), and
*too old* after that (it is refused). Nothing here opens a connection.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from grid.errors import FeedError
from grid.feeds import store

if TYPE_CHECKING:
    from grid.feeds.open_meteo import Weather
    from grid.feeds.reading import Reading

CLOCK_SKEW = timedelta(minutes=5)
"""How far in the future an answer may have been fetched before the clocks are distrusted."""


class FeedKind(StrEnum):
    """What a live feed holds."""

    ENTSOE_PRICES = "entsoe_prices"
    ENTSOE_GENERATION = "entsoe_generation"
    ELECTRICITY_MAPS = "electricity_maps"
    """average carbon intensity, never marginal"""
    OPEN_METEO = "open_meteo"


class Freshness(StrEnum):
    """What the age of an answer means."""

    FRESH = "fresh"
    STALE = "stale"
    TOO_OLD = "too old"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class FeedSpec:
    """A live feed.

    Attributes:
        name: name in the scenario.
        kind: what it holds.
        area: bidding zone or zone; empty for weather.
        production: ENTSO-E production type such as B16 (sun); empty for all.
        latitude, longitude: place of weather, degrees north and east, or None.
        url: address of the service.
        token_variable: environment variable with the token; empty when there is none.
        fresh, max_age: ages.
    """

    name: str
    kind: FeedKind
    area: str
    production: str
    latitude: float | None
    longitude: float | None
    url: str
    token_variable: str
    fresh: timedelta
    max_age: timedelta

    @property
    def identity(self) -> dict[str, str]:
        """What is asked, by which the answer is kept."""
        place = "" if self.latitude is None else f"{self.latitude:.4f},{self.longitude:.4f}"
        return {"kind": str(self.kind), "area": self.area, "production": self.production, "place": place, "url": self.url}

    def freshness(self, age: timedelta) -> Freshness:
        """What an answer of that age is."""
        if age <= self.fresh:
            return Freshness.FRESH
        return Freshness.STALE if age <= self.max_age else Freshness.TOO_OLD


@dataclass(frozen=True, slots=True)
class Live:
    """An answer that was read.

    Attributes:
        content: series, or weather.
        fetched_at, age: when it was fetched, and how long ago that is.
        freshness: fresh or stale.
    """

    content: Reading | Weather
    fetched_at: datetime
    age: timedelta
    freshness: Freshness


def read_feed(spec: FeedSpec, folder: Path, now: datetime) -> Live:
    """The last good answer of ``spec``.

    Raises:
        FeedError: there is none, it is too old or from the future, or it cannot be read.
    """
    stored = store.load(folder, spec.identity)
    if stored is None:
        raise FeedError(f"feed {spec.name}: never fetched; run: ozzo feed fetch SCENARIO")
    age = now.astimezone(UTC) - stored.fetched_at
    when = f"{stored.fetched_at:%Y-%m-%dT%H:%MZ}"
    if age < -CLOCK_SKEW:
        raise FeedError(f"feed {spec.name}: fetched at {when}, which is in the future; a clock is wrong")
    freshness = spec.freshness(age)
    if freshness is Freshness.TOO_OLD:
        limit_h = spec.max_age.total_seconds() / 3600
        raise FeedError(
            f"feed {spec.name}: too old: fetched at {when}, {told(age)} ago, and max_age_hours is {limit_h:g}; "
            "run: ozzo feed fetch SCENARIO"
        )
    return Live(parse(spec, stored.body, f"feed {spec.name}, fetched {when}"), stored.fetched_at, age, freshness)


def parse(spec: FeedSpec, body: str, source: str) -> Reading | Weather:
    """The series or weather in an answer to ``spec``.

    Raises:
        FeedError: it is not what was asked.
    """
    if spec.kind is FeedKind.OPEN_METEO:
        from grid.feeds.open_meteo import answer_weather

        return answer_weather(body, source)
    if spec.kind is FeedKind.ELECTRICITY_MAPS:
        from grid.feeds.electricity_maps import answer_carbon

        return answer_carbon(body, source)
    from grid.feeds import entsoe

    return entsoe.prices(body, source) if spec.kind is FeedKind.ENTSOE_PRICES else entsoe.generation(body, source)


def told(age: timedelta) -> str:
    """An age for people."""
    minutes = age.total_seconds() / 60
    return f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


def url_fault(url: str) -> str | None:
    """What is wrong with the address of a service, or None: https anywhere, http on this machine only, no password in it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return "no address of a service"
    if parts.scheme not in ("https", "http") or not host:
        return "no address of a service"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "an address with a password, a question or a fragment in it"
    if parts.scheme == "http" and not _loopback(host):
        return f"plain http to {host}"
    return None


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
