"""InfluxDB as a second store of telemetry, through influxdb-client (its write API is that of InfluxDB 2 and 3).

Settings come from the environment: ``OZZO_INFLUX_URL``, ``OZZO_INFLUX_TOKEN``, ``OZZO_INFLUX_ORG`` and
``OZZO_INFLUX_BUCKET``. Without the first, nothing is written. Token and passwords are never shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from grid.errors import Finding, InputError, TransportError
from grid.feeds.live import url_fault

if TYPE_CHECKING:
    from ozzo.telemetry import Point

BATCH = 5000
"""Points a request, the size that InfluxData recommends for line protocol."""

NAMES = {"url": "OZZO_INFLUX_URL", "token": "OZZO_INFLUX_TOKEN", "org": "OZZO_INFLUX_ORG", "bucket": "OZZO_INFLUX_BUCKET"}


@dataclass(frozen=True, slots=True)
class InfluxSettings:
    """Where telemetry goes.

    Attributes:
        url: of the server (shown as ``shown_url``); token: of its API (never shown); org, bucket: where to write.
        timeout_s: for one request; retries: of a request that the server was too busy for, or that did not connect.
    """

    url: str = field(repr=False)
    token: str = field(repr=False)
    org: str
    bucket: str
    timeout_s: float = 10.0
    retries: int = 2

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> InfluxSettings | None:
        """Settings from environment variables, or None when there is no ``OZZO_INFLUX_URL``.

        Raises:
            InputError: the address is no http(s) address, has a password in it, or is plain http to another machine, where its
                token would travel in the clear; or a name beside it is missing.
        """
        url = environment.get(NAMES["url"], "").strip()
        if not url:
            return None
        findings = []
        fault = url_fault(url)
        if fault:
            expected = "https:// and a host, or on this machine http://localhost:8086"
            findings.append(Finding("environment", None, NAMES["url"], fault, expected))
        wanted = f"a value, because {NAMES['url']} is set"
        findings += [
            Finding("environment", None, NAMES[key], "nothing", wanted)
            for key in ("token", "org", "bucket")
            if not environment.get(NAMES[key])
        ]
        if findings:
            raise InputError(findings)
        return cls(url, environment[NAMES["token"]], environment[NAMES["org"]], environment[NAMES["bucket"]])

    @property
    def shown_url(self) -> str:
        """The address without user name and password, for messages."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))


def _batches(found: Iterable[Point], size: int) -> Iterable[Sequence[Point]]:
    iterator = iter(found)
    while batch := list(islice(iterator, size)):
        yield batch


def write_points(found: Iterable[Point], settings: InfluxSettings, batch: int = BATCH) -> int:
    """Write points in batches, each acknowledged before the next; returns their number.

    Raises:
        TransportError: the server could not be reached or refused a batch; says how many points were written before.
    """
    from influxdb_client import InfluxDBClient
    from influxdb_client import Point as Line
    from influxdb_client.client.write_api import SYNCHRONOUS
    from influxdb_client.rest import ApiException
    from urllib3 import Retry
    from urllib3.exceptions import HTTPError

    retry = Retry(
        total=settings.retries,
        backoff_factor=0.2,
        status_forcelist=(429, 503),
        allowed_methods=None,
        respect_retry_after_header=False,
    )
    written = 0
    timeout_ms = int(settings.timeout_s * 1000)
    with (
        InfluxDBClient(settings.url, settings.token, org=settings.org, timeout=timeout_ms, retries=retry) as client,
        client.write_api(write_options=SYNCHRONOUS) as api,
    ):
        for rows in _batches(found, batch):
            lines = [
                Line.from_dict({"measurement": p.measurement, "tags": p.tags, "fields": p.fields, "time": p.time}) for p in rows
            ]
            try:
                api.write(settings.bucket, settings.org, lines)
            except ApiException as error:
                raise TransportError(_refusal(settings, written, f"it answered {error.status} {error.reason}")) from None
            except (HTTPError, OSError) as error:
                raise TransportError(_refusal(settings, written, f"{type(error).__name__}, is it running?")) from None
            written += len(rows)
    return written


def _refusal(settings: InfluxSettings, written: int, why: str) -> str:
    return f"InfluxDB at {settings.shown_url} did not take the telemetry ({written:,} points written before): {why}"
