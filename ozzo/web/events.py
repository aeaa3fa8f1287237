"""The door for demand-response events: a small HTTP server on 127.0.0.1 only, inside the running controller.

``POST /events`` takes an OpenADR 3.1 event object and hands it to a queue; ``GET /events`` lists what was taken;
``GET /health`` says that it is there. Every request but ``/health`` carries ``Authorization: Bearer <token>``; the token is made
for each run and stands in a file that only its owner may read. A controller that stays may show a page there (``GET /``), for
which a browser asks for that token as a password. Errors are ``application/problem+json`` (RFC 9457).
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import queue
import secrets
import socket
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from grid.errors import InputError, OzzoError, TransportError

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI, Request, Response

MAX_BODY = 256 * 1024
"""Largest request body."""
PAGE_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}
"""The page loads nothing from anywhere and runs nothing."""
KEEP = 1_000
"""Most events that wait for the controller, and most that are listed afterwards."""

Check = Callable[[Mapping[str, Any]], None]
"""Looks at an event object before it is taken; raises ``InputError`` when it is wrong."""


@dataclass(frozen=True, slots=True)
class Posted:
    """An event object that was posted.

    Attributes:
        id: ``event-1`` and so on, given here.
        at: wall clock UTC.
        body: the event object.
    """

    id: str
    at: datetime
    body: dict[str, Any]


class Problem(Exception):
    """An error that the client gets as problem+json."""

    def __init__(self, status: int, title: str, detail: str = "", **extra: Any) -> None:
        super().__init__(detail or title)
        self.status, self.asks = status, "Bearer"
        self.body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **extra}


def accept_all(_: Mapping[str, Any]) -> None:
    """A ``Check`` that takes every object."""


class EventInbox:
    """Events that were posted: a list for readers and a queue for the controller; safe between threads."""

    def __init__(self, check: Check = accept_all) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._latest: deque[Posted] = deque(maxlen=KEEP)
        self._count = 0
        self.queue: queue.SimpleQueue[Posted] = queue.SimpleQueue()

    def post(self, body: dict[str, Any]) -> Posted:
        """Take an event object.

        Raises:
            Problem: it is wrong (422), or so many wait that nobody seems to take them (429).
        """
        try:
            self._check(body)
        except InputError as error:
            findings = [{"field": item.field, "found": item.found, "expected": item.expected} for item in error.findings]
            raise Problem(422, "This is no event that can be carried out", str(error), findings=findings) from error
        with self._lock:
            if self.queue.qsize() >= KEEP:
                raise Problem(429, "Too many events", f"{KEEP} wait for the controller already")
            self._count += 1
            posted = Posted(f"event-{self._count}", datetime.now(UTC), body)
            self._latest.append(posted)
            self.queue.put(posted)
        return posted

    def list(self) -> tuple[Posted, ...]:
        """The latest events, oldest first."""
        with self._lock:
            return tuple(self._latest)

    def waiting(self) -> bool:
        """True when the queue holds an event; made for ``NodeFleet.advance(wake=...)``."""
        return not self.queue.empty()


Page = Callable[[], str]
"""Makes a page (HTML) of how things are now."""


def build_app(inbox: EventInbox, token: str, page: Page | None = None) -> FastAPI:
    """The web application; without the pages of documentation, which would load from elsewhere."""
    from fastapi import FastAPI, Request
    from fastapi.responses import HTMLResponse, JSONResponse
    from starlette.exceptions import HTTPException

    app = FastAPI(title="ozzo events", docs_url=None, redoc_url=None, openapi_url=None)

    def problem(error: Problem) -> JSONResponse:
        headers = {"WWW-Authenticate": error.asks} if error.status == 401 else None
        return JSONResponse(error.body, error.status, headers, media_type="application/problem+json")

    async def on_problem(_: Request, error: Exception) -> Response:
        return problem(error if isinstance(error, Problem) else Problem(500, "Internal error"))

    async def on_http(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return problem(Problem(status, error.detail if isinstance(error, HTTPException) else "Internal error"))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_problem)

    async def health() -> dict[str, Any]:
        return {"status": "ok", "events": len(inbox.list())}

    async def take(request: Request) -> JSONResponse:
        _authorise(request, token)
        posted = inbox.post(await _body(request))
        return JSONResponse(_shown(posted), 201, {"Location": f"/events/{posted.id}"})

    async def show(request: Request) -> list[dict[str, Any]]:
        _authorise(request, token)
        return [_shown(posted) for posted in inbox.list()]

    def look(request: Request) -> HTMLResponse:
        _authorise_person(request, token)
        try:
            shown = "" if page is None else page()
        except (OzzoError, sqlite3.Error) as error:  # such as a state that was moved away
            raise Problem(503, "The page cannot be made", str(error)) from error
        return HTMLResponse(shown, headers=PAGE_HEADERS)

    for handler in (take, show, look):  # the names in their annotations are local to this function
        handler.__annotations__["request"] = Request
    app.add_api_route("/health", health, methods=["GET"], response_model=None)
    app.add_api_route("/events", take, methods=["POST"], response_model=None, status_code=201)
    app.add_api_route("/events", show, methods=["GET"], response_model=None)
    if page is not None:
        app.add_api_route("/", look, methods=["GET"], response_model=None)
    return app


def _shown(posted: Posted) -> dict[str, Any]:
    return {"id": posted.id, "receivedDateTime": posted.at.isoformat(), "event": posted.body}


def _authorise(request: Request, token: str) -> None:
    """Compare in constant time."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise Problem(401, "Not authorised", "Send the token of this run: Authorization: Bearer <token>")


def _authorise_person(request: Request, token: str) -> None:
    """The token as password of any user (RFC 7617): what browsers can ask for."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    try:
        password = base64.b64decode(given, validate=True).partition(b":")[2] if scheme.lower() == "basic" else b""
    except ValueError:
        password = b""
    if not hmac.compare_digest(password, token.encode()):
        refused = Problem(401, "Not authorised", "Give the token of this run as the password")
        refused.asks = 'Basic realm="ozzo"'
        raise refused


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of the body, read no further than ``MAX_BODY`` bytes."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(415, "Unsupported media type", f"application/json expected, found {kind[:80] or 'none'}")
    received = bytearray()
    async for piece in request.stream():
        received += piece
        if len(received) > MAX_BODY:
            raise Problem(413, "Too large", f"at most {MAX_BODY} bytes")
    try:
        body = json.loads(bytes(received), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "This is no JSON", str(error)[:200]) from error
    if not isinstance(body, dict):
        raise Problem(400, "This is no JSON object", f"found {type(body).__name__}")
    return body


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


class EventServer:
    """The server in a thread of its own; use it as a context manager.

    Attributes:
        url: for example ``http://127.0.0.1:8123``.
        token_file: file with the token, mode 600; removed at the end.
        inbox: what was posted.
    """

    def __init__(
        self, folder: Path, *, port: int = 0, check: Check = accept_all, timeout_s: float = 10.0, page: Page | None = None
    ) -> None:
        """Prepare.

        Args:
            folder: where the token file goes.
            port: port on 127.0.0.1; 0 for a free one.
            check: looks at an event object before it is taken.
            timeout_s: how long the start may take.
            page: makes the page, None for none.
        """
        self._port, self._timeout_s, self._page = port, timeout_s, page
        self.inbox = EventInbox(check)
        self.token_file = folder / "events.token"
        self.url = ""
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None

    def start(self) -> Self:
        """Start and wait until it serves.

        Raises:
            TransportError: the port is taken, or it did not start.
        """
        import uvicorn

        token = secrets.token_urlsafe(32)
        self.token_file.parent.mkdir(parents=True, exist_ok=True)
        self.token_file.unlink(missing_ok=True)
        with os.fdopen(os.open(self.token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(token + "\n")
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", self._port))
        except OSError as error:
            self.stop()
            raise TransportError(f"port {self._port} on 127.0.0.1: {error.strerror}") from error
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            build_app(self.inbox, token, self._page),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=2,
            limit_concurrency=64,
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        self._server = uvicorn.Server(config)
        # ``Server.run`` would take over signal handlers in the main thread only; here it runs in another one
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, name="events", daemon=True)
        self._thread.start()
        until = time.monotonic() + self._timeout_s
        while not self._server.started:
            if time.monotonic() > until or not self._thread.is_alive():
                self.stop()
                raise TransportError(f"the event server did not start on {self.url}")
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """Stop serving and remove the token; twice does no harm."""
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(self._timeout_s)
        if self._socket is not None:
            self._socket.close()
        self._server = self._thread = self._socket = None
        self.token_file.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
