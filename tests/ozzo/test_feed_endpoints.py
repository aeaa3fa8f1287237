"""What each service is asked: by horizon, place, and token; what is wrong with a question before it is sent."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from grid.errors import FeedError
from grid.feeds.live import FeedKind, FeedSpec
from grid.horizon import Horizon
from ozzo.feeds.endpoints import question
from tests.ozzo.feed_server import START

HOUR = timedelta(hours=1)
TOKENS = {"TOKEN": " secret \n"}


def spec(kind: FeedKind, area: str = "NL", token_variable: str = "TOKEN") -> FeedSpec:
    """A feed of that kind."""
    north, east = (52.37, 5.22) if kind is FeedKind.OPEN_METEO else (None, None)
    return FeedSpec("one", kind, area, "", north, east, "https://example.org/x", token_variable, HOUR, 24 * HOUR)


def test_a_day_to_come_is_asked_as_a_forecast_and_a_day_that_began_as_a_range() -> None:
    """Before the horizon's hour the forecast, after it the range of whole hours; the token without its blanks is a header."""
    horizon = Horizon(START, timedelta(minutes=15), 95)
    before = question(spec(FeedKind.ELECTRICITY_MAPS), horizon, START - HOUR, TOKENS)
    assert before.url == "https://example.org/x/v3/carbon-intensity/forecast"
    assert (dict(before.params), dict(before.headers)) == ({"zone": "NL"}, {"auth-token": "secret"})
    after = question(spec(FeedKind.ELECTRICITY_MAPS), horizon, START + HOUR, TOKENS)
    assert after.url.endswith("/past-range")
    assert after.params["start"] == "2022-06-30T22:00:00Z"
    assert after.params["end"] == "2022-07-01T22:00:00Z"  # 21:45 in whole hours


def test_weather_is_asked_for_every_day_that_the_horizon_touches_without_a_token() -> None:
    """Two days of GMT for one local day, the place with its decimals, no header."""
    asked = question(spec(FeedKind.OPEN_METEO, "", ""), Horizon(START, HOUR, 24), datetime.now(START.tzinfo), {})
    assert (asked.params["start_date"], asked.params["end_date"]) == ("2022-06-30", "2022-07-01")
    assert (asked.params["latitude"], asked.params["longitude"]) == ("52.37", "5.22")
    assert dict(asked.headers) == {}


def test_generation_of_all_types_names_none() -> None:
    """Realised generation without a production type; a service on this machine may do without a token."""
    asked = question(spec(FeedKind.ENTSOE_GENERATION, token_variable=""), Horizon(START, HOUR, 24), START, {})
    assert asked.params["documentType"] == "A75"
    assert asked.params["processType"] == "A16"
    assert not {"psrType", "securityToken", "out_Domain"} & set(asked.params)


@pytest.mark.parametrize(
    ("one", "environment", "says"),
    [
        (spec(FeedKind.ENTSOE_PRICES, "Atlantis"), TOKENS, "ENTSO-E has no area 'Atlantis'"),
        (spec(FeedKind.ENTSOE_PRICES), {"TOKEN": "  "}, "TOKEN with the token is not set"),
        (spec(FeedKind.ENTSOE_PRICES), {"TOKEN": "se\ncret"}, "holds characters that no token has"),
    ],
)
def test_questions_that_are_not_sent(one: FeedSpec, environment: dict[str, str], says: str) -> None:
    """An unknown area, an empty token, a token with a line break in it; the token itself is not repeated."""
    with pytest.raises(FeedError, match=says) as caught:
        question(one, Horizon(START, HOUR, 24), START, environment)
    assert "cret" not in str(caught.value)
