"""A controller for tests: the product's sender, journal and ledger, told what to wish for line by line on standard input.

``python controller_process.py CREDENTIALS FOLDER NODE [PHASE]``. Each line is a ``JobState`` as JSON. Answers go to
standard output. In a phase of its first command it kills itself with SIGKILL.
"""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import ozzo.sender
from ozzo.commands import Acknowledgement, Channel, JobState, RefusalCode, decode, topic
from ozzo.credentials import read_credentials
from ozzo.fleet import NodeSpec
from ozzo.ledger import Ledger
from ozzo.remote import RemoteAgents
from ozzo.sender import Sender
from ozzo.store import Journal
from ozzo.transport import Delivery

PHASES = ("before the journal", "after the journal, before it is sent", "after it is sent", "after accepted", "after applied")


def die(*_: Any) -> None:
    """The end, without any goodbye."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(credentials: Path, folder: Path, node: str, phase: str) -> None:
    """Obey standard input until it ends."""
    ozzo.sender.LEASE_S = float(os.environ.get("OZZO_TEST_LEASE_S", "15"))
    agents = RemoteAgents(read_credentials(credentials), [NodeSpec(node, peak_kw=1.0)])
    agents.start()
    inbox: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
    agents.transport.subscribe(topic(agents.scenario, "+", Channel.ACK), inbox.put)
    with Journal.open(folder / "journal.sqlite") as journal:
        ledger = Ledger()
        sender = Sender(agents.scenario, agents.transport, journal, ledger, {node: 1.0}, agents.next_epoch(journal, 0))
        sender.needs_cap.add(node)
        if phase == PHASES[0]:
            mock.patch.object(journal, "record_command", die).start()
        elif phase == PHASES[1]:
            mock.patch.object(ledger, "add", die).start()
        elif phase == PHASES[2]:
            real = sender._publish

            def publish(to: str, payload: bytes) -> None:
                real(to, payload)
                time.sleep(1.0)  # paho's thread puts it on the wire
                die()

            mock.patch.object(sender, "_publish", publish).start()
        print(json.dumps({"epoch": sender.epoch}), flush=True)
        if phase != PHASES[2]:
            sender.begin_heartbeats()
        told = b""
        while True:
            ready, _, _ = select.select([0], [], [], 0.1)
            if ready:
                piece = os.read(0, 65536)
                if not piece:
                    return
                told += piece
            while b"\n" in told:
                line, _, told = told.partition(b"\n")
                sender.send(node, JobState.model_validate_json(line), None, "a test")
            sender.repeat()
            while not inbox.empty():
                answer = decode(Acknowledgement, inbox.get().payload)
                if answer.code is RefusalCode.STALE_EPOCH and answer.epoch == sender.epoch:
                    sender.retire(answer.text)
                print(answer.model_dump_json(), flush=True)
                ledger.answered(answer)
                if phase == f"after {answer.stage}":
                    die()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else "")
