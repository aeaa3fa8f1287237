"""One simulated node's connection to the broker, driven from outside: no thread, no waiting.

It speaks the same MQTT as ``ozzo.mqtt`` (own user, own session, quality of service 1, will, acknowledgement by hand), with paho's
calls for foreign loops. Whatever a node says is handed to its owner, who lets it out after the journal's commit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ozzo.agent.config import AgentConfig
from ozzo.agent.node import death_of
from ozzo.mqtt import client_for
from ozzo.transport import Delivery, Handler

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

SESSION_S = 60
"""For how long the broker keeps commands for a node that lost its connection."""


class Owner(Protocol):
    """Who drives many of these."""

    def opened(self, client: NodeClient, sock: SocketLike) -> None:
        """A socket is there."""

    def closed(self, sock: SocketLike) -> None:
        """A socket is about to be closed."""

    def up(self) -> None:
        """The broker has accepted a connection."""

    def down(self, node: int, *, was_up: bool, why: str) -> None:
        """A connection is gone, or was refused."""

    def later(self, client: NodeClient, action: Callable[[], object]) -> None:
        """Do this after the next commit."""


class NodeClient:
    """A transport (``ozzo.transport.Transport``) for one simulated node.

    Attributes:
        connections: how often the broker has accepted us.
    """

    def __init__(self, config: AgentConfig, node: int, owner: Owner) -> None:
        """Prepare; ``connect`` begins.

        Args:
            config: settings of the node.
            node: its number at its owner.
            owner: drives it.
        """
        self._endpoint, self._node, self._owner = config.endpoint(), node, owner
        self._handlers: dict[str, Handler] = {}
        self.connections, self._begun, self._up = 0, False, False
        self._client = client_for(self._endpoint, manual_ack=True)
        self._client.will_set(*death_of(config), qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_socket_open = lambda _client, _data, sock: owner.opened(self, sock)
        self._client.on_socket_close = lambda _client, _data, sock: owner.closed(sock)

    @property
    def description(self) -> str:
        """Name in words."""
        return "mqtt (simulated node)"

    def connect(self) -> str:
        """Begin a connection; why not, or empty."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_S
        try:
            if self._begun:
                self._client.reconnect()
            else:
                about = (self._endpoint.host, self._endpoint.port, self._endpoint.keepalive_s)
                self._client.connect(*about, clean_start=False, properties=properties)
                self._begun = True
        except OSError as error:
            return f"no broker at {self._endpoint.host}:{self._endpoint.port}: {error}"
        return ""

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            return  # the broker closes, which is told as the end of the connection
        self.connections += 1
        self._up = True
        for pattern in self._handlers:
            client.subscribe(pattern, options=SubscribeOptions(qos=1))
        self._owner.up()

    def _on_disconnect(self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        was_up, self._up = self._up, False
        self._owner.down(self._node, was_up=was_up, why=str(reason))

    def _on_message(self, client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        acknowledge = partial(self._owner.later, self, partial(client.ack, message.mid, message.qos))
        for handler in self._handlers.values():
            handler(Delivery(message.topic, bytes(message.payload), acknowledge))

    def publish(self, topic: str, payload: bytes, *, expiry_s: float | None = None, retain: bool = False) -> None:
        """See ``Transport``; answers and states of a node do not expire."""
        del expiry_s
        self._owner.later(self, partial(self._client.publish, topic, payload, qos=1, retain=retain))

    def subscribe(self, pattern: str, handler: Handler) -> None:
        """See ``Transport``; it is asked for at every connection."""
        self._handlers[pattern] = handler
        if self._client.is_connected():
            self._client.subscribe(pattern, options=SubscribeOptions(qos=1))

    def socket(self) -> Any:
        """The socket, or None."""
        return self._client.socket()

    def read(self) -> None:
        """Take what has come."""
        self._client.loop_read()

    def write(self) -> bool:
        """Send what waits; True when nothing waits any more."""
        self._client.loop_write()
        return not self._client.want_write()

    def wants_to_write(self) -> bool:
        """Something waits for the socket."""
        return bool(self._client.want_write())

    def look(self) -> None:
        """Keepalive."""
        self._client.loop_misc()

    def close(self) -> None:
        """Say goodbye, so that no will is sent."""
        self._client.disconnect()
        self._client.loop_write()
