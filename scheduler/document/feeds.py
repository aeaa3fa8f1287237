"""Live feeds of a document: what is fetched from where, and how old it may be when it is used."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from grid.feeds.live import FeedKind, FeedSpec
from scheduler.document.fields import Name, Part, Text, Unit, about

OFFICIAL = {
    FeedKind.ENTSOE_PRICES: "https://web-api.tp.entsoe.eu/api",
    FeedKind.ENTSOE_GENERATION: "https://web-api.tp.entsoe.eu/api",
    FeedKind.ELECTRICITY_MAPS: "https://api.electricitymaps.com",
    FeedKind.OPEN_METEO: "https://api.open-meteo.com/v1/forecast",
}
"""Addresses of the services, as their documentation gives them."""

TOKENS = {
    FeedKind.ENTSOE_PRICES: "ENTSOE_API_KEY",
    FeedKind.ENTSOE_GENERATION: "ENTSOE_API_KEY",
    FeedKind.ELECTRICITY_MAPS: "ELECTRICITY_MAPS_TOKEN",
    FeedKind.OPEN_METEO: "",
}


class FeedPart(Part):
    """A live feed; 'ozzo feed fetch' fetches it, signals name it."""

    name: Annotated[Name, about("Unique name, which signals give as feed.")]
    kind: Annotated[
        FeedKind,
        about(
            "entsoe_prices (day-ahead, for price), entsoe_generation (to show only), electricity_maps (average intensity, for"
            " carbon_average) or open_meteo (for weather)."
        ),
    ]
    area: Annotated[Text | None, about("Bidding zone of ENTSO-E, or zone of Electricity Maps, for example NL.")] = None
    production: Annotated[Text | None, about("Production type of ENTSO-E, for example B16 (entsoe_generation); all without.")] = (
        None
    )
    latitude_deg: Annotated[float | None, about("Latitude (open_meteo).", ge=-90, le=90), Unit("deg")] = None
    longitude_deg: Annotated[float | None, about("Longitude (open_meteo).", ge=-180, le=180), Unit("deg")] = None
    url: Annotated[
        Text | None, about("Address of the service, https (plain http on this machine only); the official one when left out.")
    ] = None
    token_variable: Annotated[
        Text | None, about("Environment variable with the token; ENTSOE_API_KEY or ELECTRICITY_MAPS_TOKEN when left out.")
    ] = None
    fresh_minutes: Annotated[
        float, about("Age up to which an answer is fresh; then it is stale and said to be so.", gt=0, le=100_000), Unit("min")
    ] = 60.0
    max_age_hours: Annotated[float, about("Age from which an answer is refused.", gt=0, le=100_000), Unit("h")] = 24.0

    @property
    def spec(self) -> FeedSpec:
        """What is asked, for the store and the client."""
        return FeedSpec(
            name=self.name,
            kind=self.kind,
            area=self.area or "",
            production=self.production or "",
            latitude=self.latitude_deg,
            longitude=self.longitude_deg,
            url=(self.url or OFFICIAL[self.kind]).rstrip("/"),
            token_variable=TOKENS[self.kind] if self.token_variable is None else self.token_variable,
            fresh=timedelta(minutes=self.fresh_minutes),
            max_age=timedelta(hours=self.max_age_hours),
        )
