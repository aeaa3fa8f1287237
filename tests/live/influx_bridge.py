"""A test-only bridge from InfluxDB 2's write API to InfluxDB 1's, and a real influxd 1.x of Debian behind it.

Debian's influxd 1.6 lacks ``/api/v2/write``. The bridge listens on loopback and hands the body of each such request on to
``/write`` unchanged, so that the unmodified influxdb-client writes to a real server. It is no part of the product, it says
in a header of every answer that it is a bridge, and it understands nothing else.
"""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

OPENER = build_opener(ProxyHandler({}))  # loopback only, never a proxy

CONFIG = """\
reporting-enabled = false
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[subscriber]
  enabled = false
[continuous_queries]
  enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
  pprof-enabled = false
[[graphite]]
  enabled = false
[[collectd]]
  enabled = false
[[opentsdb]]
  enabled = false
[[udp]]
  enabled = false
"""


def _free_ports(count: int) -> list[int]:
    """Loopback ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


@dataclass
class Influx:
    """A running influxd and its bridge.

    Attributes:
        url: of influxd; bridge_url: of the bridge; requests: authorisation header and path of each write it handed on.
    """

    url: str
    bridge_url: str
    requests: list[tuple[str, str]] = field(default_factory=list)

    def query(self, text: str, database: str) -> list[dict[str, Any]]:
        """Series that InfluxQL ``text`` returns."""
        address = f"{self.url}/query?{urlencode({'db': database, 'q': text, 'epoch': 's'})}"
        with OPENER.open(Request(address, method="POST" if text.startswith("CREATE") else "GET"), timeout=30) as answer:
            result = json.load(answer)["results"][0]
        if "error" in result:
            raise ValueError(f"{result['error']}: {text}")
        series: list[dict[str, Any]] = result.get("series", [])
        return series


def _handler(influx: Influx) -> type[BaseHTTPRequestHandler]:
    class Bridge(BaseHTTPRequestHandler):
        """Hands ``POST /api/v2/write?bucket=B`` on to ``POST /write?db=B``."""

        def do_POST(self) -> None:
            """Hand a write on; answer 404 to anything else, and what influxd said to a write."""
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if parts.path != "/api/v2/write":
                self._answer(404, b'{"message": "this test bridge only knows /api/v2/write"}')
                return
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            asked = parse_qs(parts.query)
            influx.requests.append((self.headers.get("Authorization", ""), parts.path))
            old = {"ns": "n", "us": "u", "ms": "ms", "s": "s"}[asked.get("precision", ["ns"])[0]]
            target = f"{influx.url}/write?{urlencode({'db': asked['bucket'][0], 'precision': old})}"
            try:
                with OPENER.open(Request(target, data=body, method="POST"), timeout=30) as answer:
                    self._answer(answer.status, answer.read())
            except HTTPError as error:
                self._answer(error.code, error.read())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("X-Ozzo-Test-Bridge", "from the v2 write API to influxd 1.x")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing on standard error."""

    return Bridge


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"influxd ended with {process.returncode}: {log.read_text(errors='replace')[-2000:]}")
        try:
            with OPENER.open(f"{url}/ping", timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"influxd did not answer in 60 s: {log.read_text(errors='replace')[-2000:]}")


@contextmanager
def running_influx(program: str, folder: Path, database: str) -> Iterator[Influx]:
    """A real influxd on loopback with ``database``, and the bridge before it; both are gone afterwards."""
    http, rpc = _free_ports(2)
    config, log = folder / "influxd.conf", folder / "influxd.log"
    config.write_text(CONFIG.format(folder=folder, http=http, rpc=rpc), encoding="utf-8")
    with log.open("wb") as sink:
        process = subprocess.Popen([program, "-config", str(config)], stdout=sink, stderr=sink, cwd=folder)
    try:
        influx = Influx(f"http://127.0.0.1:{http}", "")
        _wait_until_up(influx.url, process, log)
        influx.query(f'CREATE DATABASE "{database}"', database)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(influx))
        server.daemon_threads = True
        influx.bridge_url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield influx
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
    finally:
        process.terminate()
        process.wait(timeout=30)
