"""The transport over MQTT 5, on paho-mqtt 2.

Quality of service 1 both ways, message expiry, a will, and (on nodes) acknowledgement by hand, so that the broker keeps a
command until it stands in the node's journal. After a reconnect all subscriptions are made again. A password never appears
in a log line, an error or an argument list.
"""

from __future__ import annotations

import math
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from grid.errors import TransportError
from ozzo.transport import Delivery, Handler, matches

TAKEN_OVER = 142
"""Reason code "Session taken over" of a DISCONNECT (MQTT 5.0, section 3.14.2.1)."""


MOST_UNCONFIRMED = 500
"""Messages that the broker has not confirmed, from which on whoever publishes has to wait."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the broker is and who asks.

    Attributes:
        host, port: address.
        user: user name, also the client id.
        password: secret; not part of ``repr``.
        keepalive_s: after one and a half of it in silence the broker sends the will.
        tls: speak TLS (1.2 or later) and check the broker's certificate and name.
        ca_file: root that must have signed it; those of the system when empty.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    keepalive_s: int = 10
    tls: bool = False
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says, retained, when this client falls silent."""

    topic: str
    payload: bytes


class _ClosingSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho leaves to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        """See ``ssl.SSLSocket``."""
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            self.close()
            raise


@lru_cache(maxsize=64)
def _expiring(seconds: int) -> Properties:
    """Properties of a message that expires; made once, because paho takes longer for them than for the rest of a publish."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.MessageExpiryInterval = seconds
    return properties


def client_for(endpoint: Endpoint, *, manual_ack: bool) -> paho.Client:
    """A client of paho for an endpoint, not yet connected.

    Args:
        endpoint: where and who; with ``tls``: TLS 1.2 or later, the broker's certificate and name checked.
        manual_ack: messages are acknowledged by hand.

    Raises:
        TransportError: the root certificate is no good.
    """
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=endpoint.user, protocol=paho.MQTTv5, manual_ack=manual_ack)
    client.username_pw_set(endpoint.user, endpoint.password)
    client.max_inflight_messages_set(100)
    if endpoint.tls:
        try:
            context = ssl.create_default_context(cafile=endpoint.ca_file or None)
        except OSError as error:  # also ssl.SSLError: the file holds no certificate
            raise TransportError(f"root certificate {endpoint.ca_file}: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = _ClosingSocket
        client.tls_set_context(context)
    return client


class MqttTransport:
    """One connection to a broker; its network thread is a daemon.

    Attributes:
        connections: how often the broker has accepted us; above 1 there was a reconnect, before which messages may be lost.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        will: Will | None = None,
        manual_ack: bool = False,
        session_s: int = 0,
        timeout_s: float = 10.0,
        broker: str = "",
        patient: bool = False,
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Connect and wait until the broker has accepted.

        Args:
            endpoint: where and who.
            will: message that the broker sends, retained, when this client falls silent.
            manual_ack: the broker forgets a message only when its ``Delivery.acknowledge`` is called.
            session_s: for how long the broker keeps messages for this client while it is away.
            timeout_s: how long to wait for an answer of the broker.
            broker: name and version of the broker, for reports.
            patient: do not wait; go on trying for ever, and obey nobody until then.
            on_trouble: takes a line when a patient one is refused or its broker is away (once for each reason).

        Raises:
            TransportError: no broker there, or it refused us (a patient one: only when its root certificate is no good).
        """
        self._endpoint, self._timeout_s, self._broker = endpoint, timeout_s, broker
        self._manual_ack, self._closed = manual_ack, False
        self._patient, self._on_trouble, self._told = patient, on_trouble, ""
        self._handlers: dict[str, Handler] = {}
        self._early: list[Delivery] = []
        self._hand_over = threading.RLock()
        self._answered, self._refusal = threading.Event(), ""
        self.connections, self._lost = 0, ""
        self._unconfirmed, self._confirmed = 0, threading.Condition()
        self._granted: dict[int, list[ReasonCode]] = {}
        self._grant = threading.Condition()
        self._client = client_for(endpoint, manual_ack=manual_ack)
        self._client.reconnect_delay_set(1, 5)
        if will is not None:
            self._client.will_set(will.topic, will.payload, qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = lambda *_: self._trouble("no broker there")
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._connect(session_s)

    @property
    def _place(self) -> str:
        return f"{self._endpoint.host}:{self._endpoint.port}"

    def _trouble(self, what: str) -> None:
        """Tell a new trouble once."""
        if self._patient and what != self._told:
            self._told = what
            self._on_trouble(f"broker at {self._place}: {what}")

    def _connect(self, session_s: int) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = session_s
        place, about = self._place, (self._endpoint.host, self._endpoint.port, self._endpoint.keepalive_s)
        if self._patient:
            self._client.connect_async(*about, clean_start=False, properties=properties)
            self._client.loop_start()  # it tries the first connection again and again too
            return
        try:
            self._client.connect(*about, clean_start=False, properties=properties)
        except OSError as error:
            raise TransportError(f"no broker at {place}: {error}") from error
        self._client.loop_start()
        answered = self._answered.wait(self._timeout_s)
        if not answered or self._refusal:
            self.close()
            what = (
                f"refused user {self._endpoint.user}: {self._refusal}" if answered else f"gave no answer in {self._timeout_s} s"
            )
            raise TransportError(f"the broker at {place} {what}")

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = str(reason)
            self._trouble(f"refused user {self._endpoint.user}: {reason}")
        else:
            self._refusal, self._told = "", ""
            self.connections += 1
            for pattern in list(self._handlers):
                client.subscribe(pattern, options=SubscribeOptions(qos=1))
        self._answered.set()

    def _on_disconnect(self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.value == TAKEN_OVER and not self._patient:  # two controllers on one session would throw each other out for ever
            self._lost = "another client with our user has taken our session over"
            self._client.disconnect()
        if not self._closed and not self._refusal:
            self._trouble(f"connection lost ({reason})")

    def _on_subscribe(self, _client: paho.Client, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Any) -> None:
        with self._grant:
            self._granted[mid] = reasons
            self._grant.notify_all()

    def _on_publish(self, *_: Any) -> None:
        with self._confirmed:
            self._unconfirmed -= 1
            self._confirmed.notify_all()

    def _wait_for_room(self) -> None:
        """While the broker is there and slower than we are, wait for it: what it has not taken would only grow old here."""
        until = time.monotonic() + self._timeout_s
        with self._confirmed:
            while self._unconfirmed >= MOST_UNCONFIRMED and self.connected and time.monotonic() < until:
                self._confirmed.wait(0.1)
            self._unconfirmed += 1

    def _on_message(self, client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        mid, qos = message.mid, message.qos

        def acknowledge() -> None:
            if self._manual_ack and qos > 0:
                client.ack(mid, qos)

        delivery = Delivery(message.topic, bytes(message.payload), acknowledge, bool(message.retain))
        with self._hand_over:
            takers = [handler for pattern, handler in self._handlers.items() if matches(pattern, message.topic)]
            if not takers:  # from the session of an earlier life; it comes before this life has subscribed
                self._early.append(delivery)
            for handler in takers:
                handler(delivery)

    @property
    def description(self) -> str:
        """Name in words."""
        return f"mqtt ({self._broker})" if self._broker else "mqtt"

    @property
    def connected(self) -> bool:
        """True while the broker is there."""
        return bool(self._client.is_connected())

    def publish(self, topic: str, payload: bytes, *, expiry_s: float | None = None, retain: bool = False) -> None:
        """See ``Transport``; while the broker is away, messages wait here for the reconnect.

        A caller waits while the broker has more than ``MOST_UNCONFIRMED`` messages of ours to take.
        """
        if self._closed:
            raise TransportError(f"publish on {topic} after close")
        if self._lost:
            raise TransportError(f"broker at {self._place}: {self._lost}")
        self._wait_for_room()
        properties = None if expiry_s is None else _expiring(max(1, math.ceil(expiry_s)))
        info = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        if info.rc not in {paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_NO_CONN}:
            self._on_publish()  # it will not be confirmed
            raise TransportError(f"publish on {topic}: {paho.error_string(info.rc)}")

    def subscribe(self, pattern: str, handler: Handler) -> None:
        """See ``Transport``; waits until the broker has granted it; a patient one asks at each connection anyway."""
        if self._closed:
            raise TransportError(f"subscribe to {pattern} after close")
        with self._hand_over:
            self._handlers[pattern] = handler
            waiting = [delivery for delivery in self._early if matches(pattern, delivery.topic)]
            self._early = [delivery for delivery in self._early if delivery not in waiting]
            for delivery in waiting:
                handler(delivery)
        result, mid = self._client.subscribe(pattern, options=SubscribeOptions(qos=1))
        if self._patient and result == paho.MQTT_ERR_NO_CONN:
            return  # it is asked for at every connection
        if result != paho.MQTT_ERR_SUCCESS or mid is None:
            raise TransportError(f"subscribe to {pattern}: {paho.error_string(result)}")
        with self._grant:
            granted = self._grant.wait_for(lambda: mid in self._granted, self._timeout_s)
            reasons = self._granted.pop(mid, [])
        if self._patient and not granted:
            return  # the broker went away, or refused us, while we asked
        if not granted or any(reason.is_failure for reason in reasons):
            raise TransportError(f"the broker did not grant {pattern}: {', '.join(map(str, reasons)) or 'no answer'}")

    def close(self) -> None:
        """Say goodbye, so that no will is sent."""
        if not self._closed:
            self._closed = True
            self._client.disconnect()
            self._client.loop_stop()
