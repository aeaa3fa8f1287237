"""The in-memory transport and topic matching."""

from __future__ import annotations

import pytest

from grid.errors import TransportError
from ozzo.transport import Delivery, MemoryHub, matches


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a/b/d", False),
        ("a/+/c", "a/b/b/c", False),  # one level only
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
    ],
)
def test_plus_stands_for_one_level(pattern: str, topic: str, expected: bool) -> None:
    """A plus matches exactly one level, nothing else is special."""
    assert matches(pattern, topic) is expected


def test_messages_reach_their_subscribers_in_order() -> None:
    """Each subscriber of a matching pattern gets every message, in the order of publishing."""
    hub = MemoryHub()
    sender, receiver = hub.connect(), hub.connect()
    got: list[Delivery] = []
    receiver.subscribe("node/+/ack", got.append)
    for i in range(3):
        sender.publish("node/a/ack", str(i).encode())
    sender.publish("node/a/state", b"other")
    assert [delivery.payload for delivery in got] == [b"0", b"1", b"2"]


def test_a_retained_message_waits_for_late_subscribers() -> None:
    """Only the last retained message of a topic comes to one who subscribes later."""
    hub = MemoryHub()
    sender, receiver = hub.connect(), hub.connect()
    sender.publish("node/a/state", b"old", retain=True)
    sender.publish("node/a/state", b"new", retain=True)
    got: list[Delivery] = []
    receiver.subscribe("node/+/state", got.append)
    assert [delivery.payload for delivery in got] == [b"new"]


def test_after_close_nothing_goes_in_or_out() -> None:
    """A closed transport receives nothing and refuses to publish or subscribe; closing twice is fine."""
    hub = MemoryHub()
    sender, receiver = hub.connect(), hub.connect()
    got: list[Delivery] = []
    receiver.subscribe("x", got.append)
    receiver.close()
    receiver.close()
    sender.publish("x", b"1")
    assert got == []
    with pytest.raises(TransportError):
        receiver.publish("x", b"1")
    with pytest.raises(TransportError):
        receiver.subscribe("x", got.append)
