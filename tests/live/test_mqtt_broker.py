"""The private broker: who may connect, who may say what, and that it never outlives its controller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from grid.errors import TransportError
from ozzo.broker import Broker
from ozzo.broker_files import CONTROLLER
from ozzo.commands import Channel, topic
from ozzo.mqtt import TAKEN_OVER, MqttTransport, Will
from ozzo.transport import Delivery
from tests.live.conftest import NODES
from tests.ozzo.rig import alive, eventually

pytestmark = pytest.mark.live

HOLDER = """
import sys, time
from ozzo.broker import Broker
with Broker("test", ["n"]) as broker:
    print(broker.pid, broker.folder, flush=True)
    time.sleep(60)
"""


def test_a_command_reaches_its_node_and_only_that(broker: Broker) -> None:
    """The controller's message arrives at the node that it is for; the neighbour does not see it although it listens."""
    controller = MqttTransport(broker.endpoint(CONTROLLER), broker=broker.description)
    got: dict[str, list[Delivery]] = {name: [] for name in NODES}
    nodes = [MqttTransport(broker.endpoint(name)) for name in NODES]
    for name, node in zip(NODES, nodes, strict=True):
        for other in NODES:
            node.subscribe(topic("test", other, Channel.COMMAND), got[name].append)
    for name in NODES:
        controller.publish(topic("test", name, Channel.COMMAND), name.encode(), expiry_s=5)
    eventually(lambda: all(got.values()), "both commands")
    assert {name: [delivery.payload for delivery in got[name]] for name in NODES} == {name: [name.encode()] for name in NODES}
    assert controller.description == f"mqtt (mosquitto {broker.version})"
    for transport in (controller, *nodes):
        transport.close()
    with pytest.raises(TransportError):
        controller.publish("x", b"")


def test_a_node_cannot_speak_for_another(broker: Broker) -> None:
    """What a node publishes on another node's topics, or as a command, reaches nobody; its own answer does."""
    controller, node = MqttTransport(broker.endpoint(CONTROLLER)), MqttTransport(broker.endpoint(NODES[0]))
    victim = MqttTransport(broker.endpoint(NODES[1]))
    got: list[Delivery] = []
    victim.subscribe(topic("test", NODES[1], Channel.COMMAND), got.append)
    for channel in (Channel.ACK, Channel.STATE):
        controller.subscribe(topic("test", "+", channel), got.append)
    for channel in Channel:
        node.publish(topic("test", NODES[1], channel), b"forged")
    node.publish(topic("test", NODES[0], Channel.COMMAND), b"forged")
    node.publish(topic("test", NODES[0], Channel.ACK), b"own")  # same connection, so it comes after the forged ones
    eventually(lambda: bool(got), "its own answer")
    assert [delivery.payload for delivery in got] == [b"own"]
    for transport in (controller, node, victim):
        transport.close()


def test_wrong_password_and_unknown_user_are_refused(broker: Broker) -> None:
    """The error names user and place, never the password."""
    good = broker.endpoint(NODES[0])
    for bad in (replace(good, password="wr0ng"), replace(good, user="stranger"), replace(good, user="", password="")):
        with pytest.raises(TransportError, match="refused") as caught:
            MqttTransport(bad)
        assert "wr0ng" not in str(caught.value)
        assert good.password not in str(caught.value)
    assert good.password not in repr(good)


def test_passwords_stand_in_no_argument_list_and_no_readable_file(broker: Broker) -> None:
    """The broker's arguments hold no password, its password file holds only hashes, its folder is private."""
    secrets = [broker.endpoint(user).password for user in (CONTROLLER, *NODES)]
    arguments = Path(f"/proc/{broker.pid}/cmdline").read_text()
    stored = (broker.folder / "passwords").read_text()
    assert not any(secret in text for secret in secrets for text in (arguments, stored))
    assert broker.folder.stat().st_mode & 0o077 == 0


def test_nobody_there_is_a_transport_error(broker: Broker) -> None:
    """After the broker has stopped, connecting fails with a named place."""
    endpoint = broker.endpoint(CONTROLLER)
    broker.stop()
    with pytest.raises(TransportError, match=r"no broker at 127\.0\.0\.1"):
        MqttTransport(endpoint)


def test_an_unacknowledged_command_comes_again(broker: Broker) -> None:
    """A node that dies before its journal commit gets the command again when it is back; after the commit it does not."""
    name = topic("test", NODES[0], Channel.COMMAND)
    controller = MqttTransport(broker.endpoint(CONTROLLER))
    got: list[Delivery] = []
    node = MqttTransport(broker.endpoint(NODES[0]), manual_ack=True, session_s=60)
    node.subscribe(name, got.append)
    controller.publish(name, b"one", expiry_s=60)
    eventually(lambda: len(got) == 1, "the command")
    node.close()  # without acknowledging
    node = MqttTransport(broker.endpoint(NODES[0]), manual_ack=True, session_s=60)
    node.subscribe(name, got.append)
    eventually(lambda: len(got) == 2, "the command again")
    got[1].acknowledge()
    controller.publish(name, b"two", expiry_s=60)
    eventually(lambda: len(got) == 3, "the next command")
    assert [delivery.payload for delivery in got] == [b"one", b"one", b"two"]
    node.close()
    controller.close()


def test_the_broker_forgets_an_expired_command(broker: Broker) -> None:
    """A command that expired while its node was away is not delivered; a later one is."""
    name = topic("test", NODES[0], Channel.COMMAND)
    controller = MqttTransport(broker.endpoint(CONTROLLER))
    got: list[Delivery] = []
    node = MqttTransport(broker.endpoint(NODES[0]), session_s=60)
    node.subscribe(name, got.append)
    node.close()
    controller.publish(name, b"old", expiry_s=1)
    time.sleep(2.5)  # expiry is counted in whole seconds by the broker
    controller.publish(name, b"new", expiry_s=60)
    node = MqttTransport(broker.endpoint(NODES[0]), session_s=60)
    node.subscribe(name, got.append)
    eventually(lambda: bool(got), "the later command")
    assert [delivery.payload for delivery in got] == [b"new"]
    node.close()
    controller.close()


def test_the_will_of_a_lost_node_is_sent(broker: Broker) -> None:
    """When a node's connection breaks, the broker says so in the node's name."""
    controller = MqttTransport(broker.endpoint(CONTROLLER))
    got: list[Delivery] = []
    controller.subscribe(topic("test", "+", Channel.STATE), got.append)
    will = Will(topic("test", NODES[0], Channel.STATE), b"gone")
    node = MqttTransport(broker.endpoint(NODES[0]), will=will)
    socket = node._client.socket()
    assert socket is not None
    node._client.loop_stop()
    socket.close()  # no goodbye
    eventually(lambda: [delivery.payload for delivery in got] == [b"gone"], "the will")
    controller.close()


def test_the_broker_ends_with_its_context(mosquitto: str) -> None:
    """After the context, and after an exception in it, process and folder are gone."""
    with Broker("test", ["n"], program=mosquitto) as running:
        pid, folder = running.pid, running.folder
        assert alive(pid)
    assert not alive(pid)
    assert not folder.exists()
    other = Broker("test", ["n"], program=mosquitto)
    with pytest.raises(KeyboardInterrupt), other:
        raise KeyboardInterrupt
    pid, folder = other.pid, other.folder
    assert pid
    assert not alive(pid)
    assert not folder.exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_broker_ends_with_its_controller(mosquitto: str, how: signal.Signals) -> None:
    """However the controller dies, the broker and its folder are gone soon after."""
    assert mosquitto
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as holder:
        assert holder.stdout is not None
        pid, folder = holder.stdout.readline().split()
        assert alive(int(pid))
        os.kill(holder.pid, how)
    eventually(lambda: not alive(int(pid)) and not Path(folder).exists(), "the end of the broker")


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/mosquitto"])
def test_a_program_that_is_no_broker(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ends at once, or cannot be started, is told as such, and nothing is left."""
    monkeypatch.setattr("ozzo.broker.mosquitto_version", lambda _: "unknown")
    other = Broker("test", ["n"], program=program)
    with pytest.raises(TransportError, match="did not start"):
        other.start()
    assert not other.folder.exists()


def test_names_that_would_clash_are_refused(mosquitto: str) -> None:
    """Two nodes of one name, or a node that calls itself the controller, are refused before anything starts."""
    for nodes in (["a", "a"], [CONTROLLER]):
        with pytest.raises(TransportError):
            Broker("test", nodes, program=mosquitto)


def test_a_node_cannot_take_over_the_controller(broker: Broker) -> None:
    """With its own password and the controller's client id a node gets its own session: the controller's stays."""
    controller = MqttTransport(broker.endpoint(CONTROLLER))
    got: list[Delivery] = []
    controller.subscribe(topic("test", "+", Channel.ACK), got.append)
    lost: list[object] = []
    controller._client.on_disconnect = lambda *about: lost.append(about)
    own = broker.endpoint(NODES[0])
    answers: list[ReasonCode] = []
    thief = paho.Client(CallbackAPIVersion.VERSION2, client_id=CONTROLLER, protocol=paho.MQTTv5)
    thief.username_pw_set(own.user, own.password)
    thief.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(reason)
    thief.connect(own.host, own.port)
    thief.loop_start()
    eventually(lambda: bool(answers), "the broker's answer")
    assert not answers[0].is_failure
    thief.publish(topic("test", NODES[0], Channel.ACK), b"own", qos=1)
    eventually(lambda: bool(got), "a message to the controller, who is still there")
    assert controller.connected
    assert lost == []
    thief.disconnect()
    thief.loop_stop()
    controller.close()


def test_a_session_that_was_taken_over_is_given_up(broker: Broker) -> None:
    """The reason "session taken over" (MQTT 5: 142) ends the connection for good (Mosquitto 2.0.11 never says it)."""
    controller = MqttTransport(broker.endpoint(CONTROLLER))
    reason = ReasonCode(PacketTypes.DISCONNECT, identifier=TAKEN_OVER)
    controller._on_disconnect(controller._client, None, None, reason, None)
    with pytest.raises(TransportError, match="taken our session over"):
        controller.publish(topic("test", NODES[0], Channel.COMMAND), b"x")
    controller.close()
