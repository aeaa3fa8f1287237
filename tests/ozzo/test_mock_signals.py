"""The mock signal server: shapes of each service, our own feed clients as somebody else's application, the clock, refusals."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from grid.errors import FeedError, InputError, TransportError
from grid.feeds.electricity_maps import answer_carbon
from grid.feeds.entsoe import prices
from grid.feeds.open_meteo import Weather, answer_weather
from grid.feeds.reading import regular
from grid.horizon import FloatArray
from ozzo.commands_mock import MockOptions, load_signals, serve_mock
from ozzo.web.mock_data import HOUR, Hourly, Signals, SimulatedClock, hourly
from ozzo.web.mock_signals import LB_PER_MWH, build_mock

START = datetime(2024, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=8, hours=10, minutes=20)
HOURS = 24 * 12
TOKEN = {"auth-token": "any"}


class Tick:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        """Its moment."""
        return self.at


def signals(forecast: Any = "known", tick: Tick | None = None) -> Signals:
    """Twelve days that count their hours from 100 on, with prices and weather."""
    values: FloatArray = 100.0 + np.arange(float(HOURS))
    times: FloatArray = START.timestamp() + 3600.0 * np.arange(float(HOURS))
    warm, damp, cloud, wind = (np.full(HOURS, value) for value in (11.5, 80.0, 40.0, 5.0))
    weather = Weather(times, warm, damp, cloud, wind, 52.0, 5.0, 3.0, "test")
    clock = SimulatedClock(NOW, 60.0, tick or Tick())
    return Signals("NL", Hourly(START, values), Hourly(START, values / 2), weather, clock, forecast)


class Client:
    """Asks the application without a server between."""

    def __init__(self, served: Signals) -> None:
        self._transport = httpx.ASGITransport(app=build_mock(served))

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """The answer."""

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://mock") as asker:
                return await asker.get(path, headers=headers)

        return asyncio.run(ask())


@pytest.fixture
def client() -> Client:
    """A client of the application."""
    return Client(signals())


def told(client: Client, path: str, code: int = 200, headers: dict[str, str] | None = None) -> Any:
    """JSON answer."""
    answer = client.get(path, headers)
    assert answer.status_code == code, answer.text
    assert answer.headers["X-Ozzo-Mock"] == "1"
    return answer.json()


def test_electricity_maps(client: Client) -> None:
    """This hour, the last day, an hour, a range that stops at now, a day ahead; our own reader takes the answers."""
    latest = told(client, "/v3/carbon-intensity/latest?zone=NL", headers=TOKEN)
    assert (latest["carbonIntensity"], latest["datetime"]) == (100 + 8 * 24 + 10, "2024-03-09T10:00:00Z")
    history = told(client, "/v3/carbon-intensity/history?zone=NL", headers=TOKEN)["history"]
    assert len(history) == 24
    assert history[-1] == latest
    past = told(client, "/v3/carbon-intensity/past?zone=NL&datetime=2024-03-02T05:30:00Z", headers=TOKEN)
    assert past["carbonIntensity"] == 100 + 24 + 5
    path = "/v3/carbon-intensity/past-range?zone=NL&start=2024-03-09T08:00:00Z&end=2024-03-09T20:00:00Z"
    data = told(client, path, headers=TOKEN)["data"]
    assert [entry["carbonIntensity"] for entry in data] == [300, 301, 302]
    ahead = told(client, "/v3/carbon-intensity/forecast?zone=NL", headers=TOKEN)
    assert [entry["carbonIntensity"] for entry in ahead["forecast"]] == list(range(302, 326))
    reading = answer_carbon(client.get(path, TOKEN).text, "mock")
    assert reading.values.tolist() == [300, 301, 302]


def test_watttime(client: Client) -> None:
    """A token for a user, then percentile, history and forecast in pounds a MWh."""
    assert told(client, "/login", 403) == {"error": "Forbidden"}
    assert told(client, "/login", 403, headers={"authorization": "Basic ???"}) == {"error": "Forbidden"}
    user = base64.b64encode(b"ada:secret").decode()
    bearer = {"authorization": "Bearer " + told(client, "/login", headers={"authorization": f"Basic {user}"})["token"]}
    index = told(client, "/v3/signal-index?region=NL&signal_type=co2_moer", headers=bearer)
    assert index["data"] == [{"point_time": "2024-03-09T10:00:00Z", "value": 100}]  # the series has never been higher
    forecast = told(client, "/v3/forecast?region=NL&signal_type=co2_moer&horizon_hours=2", headers=bearer)
    assert [point["value"] for point in forecast["data"]] == [round(v * LB_PER_MWH, 1) for v in (302, 303)]
    assert "marginal" in forecast["meta"]["warnings"][0]["message"]
    history = told(client, "/v3/historical?region=NL&start=2024-03-09T09:00Z&end=2024-03-10T00:00Z", headers=bearer)
    assert len(history["data"]) == 2
    assert told(client, "/v3/forecast?region=NL", 401) == {"error": "Unauthorized"}
    assert "Invalid region" in told(client, "/v3/forecast?region=XX", 400, headers=bearer)["error"]
    assert "signal_type" in told(client, "/v3/forecast?region=NL&signal_type=health", 400, headers=bearer)["error"]
    assert "whole number" in told(client, "/v3/forecast?region=NL&horizon_hours=999", 400, headers=bearer)["error"]


def test_carbon_aware_sdk(client: Client) -> None:
    """Ratings, the best of them, the best window of a forecast, a mean."""
    path = "?location=NL&time=2024-03-01T00:00Z&toTime=2024-03-01T03:00Z"
    rated = told(client, "/emissions/bylocation" + path)
    assert [entry["rating"] for entry in rated] == [100, 101, 102]
    assert [entry["rating"] for entry in told(client, "/emissions/bylocations/best" + path)] == [100]
    (forecast,) = told(client, "/emissions/forecasts/current?location=NL&windowSize=180")
    assert len(forecast["forecastData"]) == 22
    assert forecast["optimalDataPoints"] == [forecast["forecastData"][0]]
    assert forecast["optimalDataPoints"][0]["value"] == pytest.approx(303)
    mean = told(client, "/emissions/average-carbon-intensity?location=NL&startTime=2024-03-01T00:00Z&endTime=2024-03-01T03:00Z")
    assert mean["carbonIntensity"] == pytest.approx(101)
    assert told(client, "/emissions/bylocation", 400)["detail"] == "location is required"
    assert "unknown location 'XX'" in told(client, "/emissions/bylocation?location=XX", 400)["detail"]
    far = "/emissions/forecasts/current?location=NL&dataStartAt=2025-01-01T00:00Z&dataEndAt=2025-01-02T00:00Z"
    assert "no forecast" in told(client, far, 400)["detail"]
    empty = "/emissions/average-carbon-intensity?location=NL&startTime=2020-01-01T00:00Z&endTime=2020-01-02T00:00Z"
    assert "no data" in told(client, empty, 400)["detail"]


def test_open_meteo_and_entsoe_are_read_by_our_own_feeds(client: Client) -> None:
    """Weather of two days; prices that are published up to tomorrow's, and refused beyond."""
    answer = client.get("/v1/forecast?latitude=52&longitude=5&start_date=2024-03-02&end_date=2024-03-03")
    weather = answer_weather(answer.text, "mock")
    assert len(weather.times_s) == 48
    assert weather.temperature_c[0] == 11.5
    query = "/api?documentType=A44&periodStart=202403090000&periodEnd=202403120000"
    reading = prices(client.get(query).text, "mock")
    assert len(reading.values) == 24  # before noon: today's
    assert reading.values[0] == pytest.approx((100 + 8 * 24) / 2)
    with pytest.raises(FeedError, match="No matching data"):
        prices(client.get("/api?documentType=A44&periodStart=203003090000&periodEnd=203003120000").text, "mock")
    assert "No matching" in client.get("/api?documentType=A75").text
    assert told(client, "/api?documentType=A44&periodStart=x", 400)["status"] == "error"


def test_refusals(client: Client) -> None:
    """No token, another zone, no moment, a range too long, a moment to come, weather that is not served."""
    assert told(client, "/v3/carbon-intensity/latest?zone=NL", 401)["message"] == "Invalid auth-token"
    assert "does not exist" in told(client, "/v3/carbon-intensity/latest?zone=XX", 404, headers=TOKEN)["message"]
    assert "no moment" in told(client, "/v3/carbon-intensity/past?zone=NL&datetime=noon", 400, headers=TOKEN)["message"]
    for path in ("/v3/carbon-intensity/past?zone=NL&datetime=0001-01-01T00:00%2B05:00", "/v1/forecast?end_date=9999-12-31"):
        assert "of no year from 1900 to 2200" in told(client, path, 400, headers=TOKEN)["message"]
    long = "/v3/carbon-intensity/past-range?zone=NL&start=2024-03-01T00:00Z&end=2024-03-20T00:00Z"
    assert "at most 10 days" in told(client, long, 400, headers=TOKEN)["message"]
    assert (
        "No data" in told(client, "/v3/carbon-intensity/past?zone=NL&datetime=2024-03-10T00:00Z", 404, headers=TOKEN)["message"]
    )
    bare = signals()
    nothing = Client(Signals("NL", bare.carbon, None, None, bare.clock))
    assert told(nothing, "/v1/forecast", 404)["error"]
    assert "No matching" in nothing.get("/api?documentType=A44").text


def test_the_clock_runs_and_ends() -> None:
    """A minute of the wall is an hour; when the series has ended, that is said."""
    tick = Tick()
    client = Client(signals(tick=tick))
    tick.at = 60.0
    assert told(client, "/clock")["now"] == "2024-03-09T11:20:00Z"
    assert told(client, "/v3/carbon-intensity/latest?zone=NL", headers=TOKEN)["carbonIntensity"] == 303
    tick.at = 60.0 * 24 * 9
    assert (
        "the series ends at 2024-03-13T00:00Z" in told(client, "/v3/carbon-intensity/latest?zone=NL", 404, headers=TOKEN)["error"]
    )


def test_a_forecast_from_the_past_does_not_know_what_comes() -> None:
    """It is the week's mean and today's distance, whatever the series says later."""
    one = signals("past")
    changed = one.carbon.values.copy()
    changed[8 * 24 + 11 :] = 9_999.0
    other = Signals("NL", Hourly(START, changed), None, None, one.clock, "past")
    assert one.ahead(24) == other.ahead(24)
    assert one.ahead(3)[0][1] == pytest.approx(302)
    early = Signals("NL", one.carbon, None, None, SimulatedClock(START, 1.0, Tick()), "past")
    assert [value for _, value in early.ahead(3)] == [100.0, 100.0, 100.0]  # no week has passed: as it is now


def test_quarter_hours_become_hours_and_gaps_are_refused() -> None:
    """Means of whole hours; a half hour at an end is left out."""
    first = START.timestamp() + 1800.0
    reading = regular(first + 900.0 * np.arange(11), np.arange(11.0), "g/kWh", "test", step_s=900.0)
    found = hourly(reading)
    assert found.start == START + HOUR
    assert found.values.tolist() == [3.5, 7.5]
    gap = regular(first + 900.0 * np.array([0, 1, 5, 6]), np.ones(4), "g/kWh", "test", step_s=900.0)
    with pytest.raises(FeedError, match="3 steps have no value"):
        hourly(gap)
    with pytest.raises(FeedError, match="not one whole hour"):
        hourly(regular(first + 900.0 * np.arange(3), np.ones(3), "g/kWh", "test", step_s=900.0))


def carbon_file(path: Path) -> Path:
    """Two days of carbon."""
    rows = [f"{START + i * HOUR:%Y-%m-%dT%H:%M:%SZ},{200 + i}" for i in range(48)]
    path.write_text("\n".join(["datetime,carbon_intensity_avg", *rows]) + "\n")
    return path


def test_wrong_options_are_told_at_once(tmp_path: Path) -> None:
    """Three wrong options, three findings; a start outside the series names it."""
    good = carbon_file(tmp_path / "c.csv")
    with pytest.raises(InputError) as caught:
        load_signals(MockOptions(tmp_path / "none.csv", speed=0.0, forecast="perfect", start="noon"))
    assert [finding.field for finding in caught.value.findings] == ["--carbon", "--forecast", "--speed", "--start"]
    with pytest.raises(InputError, match="between 2024-03-01T00:00Z and 2024-03-03T00:00Z"):
        load_signals(MockOptions(good, start="2025-01-01"))
    with pytest.raises(InputError, match="--weather"):
        load_signals(MockOptions(good, weather=good))
    loaded = load_signals(MockOptions(good, price=None, start="2024-03-01T05:00"))
    assert loaded.clock.now() >= START + 5 * HOUR
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(TransportError, match="port"):
            serve_mock(MockOptions(good, port=taken.getsockname()[1]), lambda _: None)


def test_the_command_serves_on_loopback_until_ctrl_c(tmp_path: Path) -> None:
    """A process of its own, asked over HTTP, ended as a person ends it."""
    command = [sys.executable, "-c", "from ozzo.cli import main; main()", "mock-signals", "--carbon"]
    command += [str(carbon_file(tmp_path / "c.csv")), "--zone", "XX", "--speed", "60"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found, line
            latest = httpx.get(f"{found[0]}/v3/carbon-intensity/latest?zone=XX", headers=TOKEN, timeout=30)
            assert json.loads(latest.text)["carbonIntensity"] >= 200
            process.send_signal(signal.SIGINT)
            assert process.wait(30) in {0, 130}
        finally:
            process.kill()
