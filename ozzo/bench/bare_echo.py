"""The bare other end of the baseline: one paho client that answers each message with a message, and nothing else.

``python -m ozzo.bench.bare_echo FILE TOPIC_IN TOPIC_OUT``; FILE (mode 600) holds host, port, user and password as JSON. It says
``ready`` on standard output when the broker has taken its subscription.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from ozzo.private import read_private


def main(file: Path, topic_in: str, topic_out: str) -> None:
    """Echo until killed."""
    told = json.loads(read_private(file, "a user of the broker"))
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=told["user"], protocol=paho.MQTTv5)
    client.username_pw_set(told["user"], told["password"])
    client.max_inflight_messages_set(100)

    def connected(*_: Any) -> None:
        client.subscribe(topic_in, qos=1)

    client.on_connect = connected
    client.on_subscribe = lambda *_: print("ready", flush=True)

    def answer(_client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        client.publish(topic_out, message.payload, qos=1)

    client.on_message = answer
    client.connect(told["host"], told["port"], 60)
    client.loop_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
