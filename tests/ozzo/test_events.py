"""The door for events: who may enter, what is taken, what is said otherwise."""

from __future__ import annotations

import signal
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from grid.errors import Finding, InputError, TransportError
from ozzo.web.events import KEEP, MAX_BODY, EventInbox, EventServer, Problem


def picky(body: Mapping[str, Any]) -> None:
    """A check that wants a programID."""
    if "programID" not in body:
        raise InputError([Finding("event", None, "programID", "nothing", "a text")])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EventServer]:
    """A running server that wants a programID."""
    with EventServer(tmp_path, check=picky) as running:
        yield running


@pytest.fixture
def client(server: EventServer) -> Iterator[httpx.Client]:
    """A client with the token of the run."""
    token = server.token_file.read_text(encoding="ascii").strip()
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as connected:
        yield connected


def test_an_event_is_taken_listed_and_queued(server: EventServer, client: httpx.Client) -> None:
    """A posted object gets an id, stands in the list, and waits in the queue for the controller."""
    assert not server.inbox.waiting()
    answer = client.post("/events", json={"programID": "p"})
    assert (answer.status_code, answer.json()["id"], answer.headers["location"]) == (201, "event-1", "/events/event-1")
    assert [item["event"] for item in client.get("/events").json()] == [{"programID": "p"}]
    assert server.inbox.waiting()
    assert server.inbox.queue.get_nowait().body == {"programID": "p"}
    assert client.get("/health").json() == {"status": "ok", "events": 1}


def test_without_the_token_nothing_is_taken_or_shown(server: EventServer) -> None:
    """No token, a wrong one and a wrong scheme are answered 401 with problem+json; only /health is open."""
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer \u00e9"}):
        encoded = {key.encode(): value.encode("latin-1") for key, value in headers.items()}
        for method in ("GET", "POST"):
            answer = httpx.request(method, server.url + "/events", headers=encoded, trust_env=False)
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"] == "Bearer"
    assert server.inbox.list() == ()
    assert httpx.get(server.url + "/health", trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"programID": NaN}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),  # deeper than a parser can follow
        (b"\xff", "application/json", 400),
        (b" " * (MAX_BODY + 1), "application/json", 413),
        (b'{"programID": "p"}', "text/plain", 415),
        (b"{}", "application/json", 422),
    ],
)
def test_bad_bodies_are_told_apart(client: httpx.Client, content: bytes, kind: str, status: int) -> None:
    """Broken JSON, no object, too large, another type, refused by the check: each has its status, as problem+json."""
    answer = client.post("/events", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert client.get("/events").json() == []


def test_findings_stand_in_the_problem(client: httpx.Client) -> None:
    """What is wrong with an event is told field by field."""
    problem = client.post("/events", json={}).json()
    assert problem["findings"] == [{"field": "programID", "found": "nothing", "expected": "a text"}]


def test_other_places_are_problems_too(client: httpx.Client) -> None:
    """An unknown path or method is answered with problem+json, and no pages of documentation are served."""
    for method, path, status in (("GET", "/docs", 404), ("GET", "/openapi.json", 404), ("DELETE", "/events", 405)):
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_the_token_is_private_and_goes_with_the_server(tmp_path: Path) -> None:
    """The file has mode 600, holds another token each run, and is gone at the end; the port is closed."""
    tokens = []
    for _ in range(2):
        with EventServer(tmp_path) as running:
            assert stat.S_IMODE(running.token_file.stat().st_mode) == 0o600
            tokens.append(running.token_file.read_text(encoding="ascii"))
            url = running.url
        assert not running.token_file.exists()
    assert tokens[0] != tokens[1]
    with pytest.raises(httpx.ConnectError):
        httpx.get(url + "/health", trust_env=False)


def test_ctrl_c_stays_with_the_controller(tmp_path: Path) -> None:
    """The server takes over no signal handler: those of before are those of while it serves."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert before[0] is signal.default_int_handler
    with EventServer(tmp_path) as server:
        assert server.url
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_it_listens_on_loopback_only(server: EventServer) -> None:
    """The address is 127.0.0.1; another address of this machine does not answer."""
    port = int(server.url.rpartition(":")[2])
    with socket.socket() as probe:
        probe.settimeout(1)
        assert probe.connect_ex(("127.0.0.2", port)) != 0


def test_a_port_in_use_is_a_transport_error(server: EventServer, tmp_path: Path) -> None:
    """It names the port, leaves no token behind, and the first server goes on."""
    port = int(server.url.rpartition(":")[2])
    other = EventServer(tmp_path / "other", port=port)
    with pytest.raises(TransportError, match=str(port)):
        other.start()
    assert not other.token_file.exists()


def test_a_bounded_number_of_events_waits() -> None:
    """Above the limit the answer is 429; once the controller has taken some there is room, for as many months as it serves."""
    inbox = EventInbox()
    for _ in range(KEEP):
        inbox.post({})
    with pytest.raises(Problem) as caught:
        inbox.post({})
    assert caught.value.status == 429
    assert inbox.queue.get().id == "event-1"
    assert inbox.post({}).id == f"event-{KEEP + 1}"
    assert [len(inbox.list()), inbox.list()[0].id] == [KEEP, "event-2"]
