"""A client that goes on trying for ever, beside a broker that takes connections and says nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from grid.errors import TransportError
from ozzo.mqtt import Endpoint, MqttTransport
from tests.ozzo.rig import eventually


@pytest.fixture
def mute() -> Iterator[Endpoint]:
    """A place where connections are taken and nothing is answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Endpoint("127.0.0.1", server.getsockname()[1], "somebody", "secret")


def test_a_patient_client_waits_for_a_broker_that_goes_away_while_it_asks(mute: Endpoint) -> None:
    """No grant in time is no reason to end: the subscription is asked for again at the next connection."""
    transport = MqttTransport(mute, patient=True, timeout_s=0.2)
    try:
        eventually(lambda: transport._client.socket() is not None, "a connection")
        transport.subscribe("a/b", lambda _delivery: None)
        assert list(transport._handlers) == ["a/b"]
    finally:
        transport.close()


def test_others_are_told(mute: Endpoint) -> None:
    """Somebody who does not wait gets the place in words."""
    with pytest.raises(TransportError, match=f"127.0.0.1:{mute.port} gave no answer in 0.2 s"):
        MqttTransport(mute, timeout_s=0.2)
