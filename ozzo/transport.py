"""What carries commands and answers: a seam two methods wide, and its in-memory implementation.

``ozzo.mqtt`` carries them over a broker. ``MemoryHub`` carries them inside one process: for tests, and for machines without
a broker. Both deliver at least once and in order for each publisher and topic.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from grid.errors import TransportError


def _nothing() -> None:
    """Acknowledging a message that needs none."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that arrived.

    Attributes:
        topic: where it was published.
        payload: what was published.
        acknowledge: call it when the message may be forgotten by the carrier (after the journal commit).
        retained: the carrier kept it from before we subscribed; whoever said it may be gone since.
    """

    topic: str
    payload: bytes
    acknowledge: Callable[[], None] = _nothing
    retained: bool = False


Handler = Callable[[Delivery], None]
"""Takes a message; called in a thread of the carrier, so it should only hand it on."""


class Transport(Protocol):
    """Publishes and receives."""

    connections: int
    """How often the carrier has taken us on; when it grows there was a reconnect, and what was sent before it may be lost."""

    @property
    def description(self) -> str:
        """Name in words for reports, for example ``mqtt (mosquitto 2.0.11)``."""

    def publish(self, topic: str, payload: bytes, *, expiry_s: float | None = None, retain: bool = False) -> None:
        """Hand a message to the carrier; being carried is no proof of delivery.

        Raises:
            TransportError: the carrier is closed or refused it.
        """

    def subscribe(self, pattern: str, handler: Handler) -> None:
        """Deliver what is published on ``pattern`` (``+`` stands for one level) to ``handler``.

        Raises:
            TransportError: the carrier is closed or refused it.
        """

    def close(self) -> None:
        """Say goodbye; twice does no harm."""


def matches(pattern: str, topic: str) -> bool:
    """True when ``topic`` falls under ``pattern``, where ``+`` stands for exactly one level."""
    wanted, found = pattern.split("/"), topic.split("/")
    return len(wanted) == len(found) and all(level in {"+", other} for level, other in zip(wanted, found, strict=True))


@dataclass(slots=True)
class MemoryHub:
    """Joins the ``MemoryTransport``s of one process; keeps retained messages as a broker does."""

    _lock: threading.RLock = field(default_factory=threading.RLock)
    _subscriptions: list[tuple[MemoryTransport, str, Handler]] = field(default_factory=list)
    _retained: dict[str, bytes] = field(default_factory=dict)

    def connect(self) -> MemoryTransport:
        """A new client of this hub."""
        return MemoryTransport(self)

    def deliver(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Hand a message to every subscription that it falls under, in order."""
        with self._lock:
            if retain:
                self._retained[topic] = payload
            for _, pattern, handler in list(self._subscriptions):
                if matches(pattern, topic):
                    handler(Delivery(topic, payload))

    def join(self, client: MemoryTransport, pattern: str, handler: Handler) -> None:
        """Add a subscription; retained messages that fall under it come at once."""
        with self._lock:
            self._subscriptions.append((client, pattern, handler))
            for topic, payload in self._retained.items():
                if matches(pattern, topic):
                    handler(Delivery(topic, payload, retained=True))

    def leave(self, client: MemoryTransport) -> None:
        """Forget the subscriptions of a client."""
        with self._lock:
            self._subscriptions = [entry for entry in self._subscriptions if entry[0] is not client]


class MemoryTransport:
    """A transport inside this process; delivery happens inside ``publish``, so nothing ever expires on the way."""

    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub
        self._closed = False
        self.connections = 1

    @property
    def description(self) -> str:
        """Name in words."""
        return "memory"

    def publish(self, topic: str, payload: bytes, *, expiry_s: float | None = None, retain: bool = False) -> None:
        """See ``Transport``."""
        del expiry_s
        if self._closed:
            raise TransportError(f"publish on {topic} after close")
        self._hub.deliver(topic, payload, retain=retain)

    def subscribe(self, pattern: str, handler: Handler) -> None:
        """See ``Transport``."""
        if self._closed:
            raise TransportError(f"subscribe to {pattern} after close")
        self._hub.join(self, pattern, handler)

    def close(self) -> None:
        """See ``Transport``."""
        self._closed = True
        self._hub.leave(self)
