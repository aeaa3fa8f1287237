"""What stands behind ``ozzo mock-signals``: the files read, the server on loopback until Ctrl-C."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from grid.errors import FeedError, Finding, InputError, TransportError
from ozzo.web.mock_data import Forecast, Signals, SimulatedClock, hourly

FORECASTS: tuple[Forecast, ...] = ("known", "past")
FASTEST = 100_000.0
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class MockOptions:
    """What a person asked for.

    Attributes:
        carbon, price, weather: files; zone: name of the place.
        start: first moment of the clock (ISO); None: the beginning of the carbon series.
        speed: simulated seconds a second; forecast: ``known`` or ``past``; port: 0 for a free one.
    """

    carbon: Path
    price: Path | None = None
    weather: Path | None = None
    zone: str = "NL"
    start: str | None = None
    speed: float = 1.0
    forecast: str = "known"
    port: int = 0


def load_signals(options: MockOptions) -> Signals:
    """The signals and a clock that begins now.

    Raises:
        InputError: everything that is wrong with the options and their files.
    """
    from grid.feeds.open_meteo import read_weather
    from sim.traces.signals import CARBON, PRICE, read_signal

    findings: list[Finding] = []
    carbon = _tried(findings, "--carbon", lambda: hourly(read_signal(str(options.carbon), CARBON)))
    price = weather = None
    if options.price is not None:
        price_file = str(options.price)
        price = _tried(findings, "--price", lambda: hourly(read_signal(price_file, PRICE)))
    if options.weather is not None:
        weather_file = options.weather
        weather = _tried(findings, "--weather", lambda: read_weather(weather_file))
    forecast = next((known for known in FORECASTS if known == options.forecast), None)
    if forecast is None:
        findings.append(Finding("", None, "--forecast", options.forecast, f"one of {', '.join(FORECASTS)}"))
    if not 0 < options.speed <= FASTEST:
        findings.append(Finding("", None, "--speed", f"{options.speed:g}", f"above 0, at most {FASTEST:g}"))
    start = _start(options.start, findings)
    if findings or carbon is None or forecast is None:
        raise InputError(findings)
    begin = start or carbon.start
    if not carbon.start <= begin < carbon.end:
        expected = f"between {carbon.start:%Y-%m-%dT%H:%MZ} and {carbon.end:%Y-%m-%dT%H:%MZ}"
        raise InputError([Finding("", None, "--start", f"{begin:%Y-%m-%dT%H:%MZ}", expected)])
    return Signals(options.zone, carbon, price, weather, SimulatedClock(begin, options.speed), forecast)


def _tried(findings: list[Finding], option: str, read: Callable[[], Found]) -> Found | None:
    """What ``read`` gives, or None with its faults among the findings."""
    try:
        return read()
    except InputError as error:
        findings.extend(error.findings)
    except FeedError as error:
        findings.append(Finding("", None, option, str(error), "a series that can be served"))
    return None


def _start(text: str | None, findings: list[Finding]) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        findings.append(Finding("", None, "--start", text, "a moment such as 2024-03-01T00:00Z"))
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def serve_mock(options: MockOptions, say: Callable[[str], None]) -> None:
    """Serve on 127.0.0.1 until a person presses Ctrl-C.

    Raises:
        InputError: see ``load_signals``.
        TransportError: the port is taken.
    """
    import uvicorn

    from ozzo.web.mock_signals import build_mock

    signals = load_signals(options)
    with socket.socket() as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind(("127.0.0.1", options.port))
        except OSError as error:
            raise TransportError(f"port {options.port} on 127.0.0.1: {error.strerror}") from error
        door.listen(64)  # from here on nobody who reads the address is turned away
        say(f"mock signals of {signals.zone} at http://127.0.0.1:{door.getsockname()[1]}, beginning")
        say(f"{signals.clock.now():%Y-%m-%dT%H:%MZ}, {signals.clock.speed:g} times as fast as the wall; Ctrl-C ends it")
        config = uvicorn.Config(build_mock(signals), log_config=None, access_log=False, lifespan="off", server_header=False)
        uvicorn.Server(config).run(sockets=[door])
