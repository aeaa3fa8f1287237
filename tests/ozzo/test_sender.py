"""The controller's voice: what it sends, when it must fall silent, and the epochs that it takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import InputError, TransportError
from ozzo import sender as module
from ozzo.commands import Channel, Command, Hello, decode, topic
from ozzo.credentials import write_credentials
from ozzo.ledger import Ledger
from ozzo.mqtt import Endpoint
from ozzo.orders import Order
from ozzo.private import write_private
from ozzo.remote import controller_credentials
from ozzo.sender import Sender
from ozzo.store import Journal
from ozzo.transport import Delivery, MemoryHub
from tests.ozzo.rig import eventually, run

NODE = "hall.rack-0"


def order() -> Order:
    """Some order."""
    return Order(datetime.now(UTC), NODE, run("j"), "", "plan", datetime.now(UTC))


def test_a_retired_controller_is_silent(tmp_path: Path) -> None:
    """After somebody took over nothing is sent, repeated or written down, and every try says why."""
    hub, got = MemoryHub(), list[Delivery]()
    hub.connect().subscribe(topic("s", NODE, Channel.COMMAND), got.append)
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        voice = Sender("s", hub.connect(), journal, Ledger(), {NODE: 1.0}, 4)
        sent = voice.send(NODE, run("j"), order(), "")
        assert (sent.epoch, sent.sequence) == (4, 1)
        voice.retire("another controller has taken over")
        voice.retire("a second reason")
        for silent in (lambda: voice.send(NODE, run("k"), order(), ""), voice.repeat):
            with pytest.raises(TransportError, match="another controller has taken over"):
                silent()
        assert len(journal.commands()) == len(got) == 1


def test_heartbeats_end_when_the_carrier_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come by themselves and renew a cap where needed; a carrier that refuses ends them, and the next sender hears why."""
    monkeypatch.setattr(module, "LEASE_S", 0.3)
    hub, got = MemoryHub(), list[Command]()
    listener = hub.connect()

    def hear(delivery: Delivery) -> None:
        got.append(decode(Command, delivery.payload))

    listener.subscribe(topic("s", NODE, Channel.COMMAND), hear)
    carrier = hub.connect()
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        voice = Sender("s", carrier, journal, Ledger(), {NODE: 1.5}, 1)
        voice.needs_cap.add(NODE)
        voice.begin_heartbeats()
        eventually(lambda: len(got) >= 4, "two heartbeats and two caps")
        carrier.close()
        eventually(lambda: voice.retired != "", "the end of heartbeats")
        voice.close()
    assert isinstance(got[0].desired, Hello)
    assert {command.desired.kind for command in got} == {"hello", "cap"}
    assert [command.sequence for command in got] == sorted(command.sequence for command in got)


def test_heartbeats_end_in_words_when_the_journal_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cap that cannot be written down is not said: the thread tells why, and the next sender hears it."""
    monkeypatch.setattr(module, "LEASE_S", 0.3)
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        voice = Sender("s", MemoryHub().connect(), journal, Ledger(), {NODE: 1.5}, 1)
        voice.needs_cap.add(NODE)
        journal._connection.execute("PRAGMA query_only = ON")  # SQLite refuses every change
        voice.begin_heartbeats()
        eventually(lambda: voice.retired != "", "the end of heartbeats")
        voice.close()
        with pytest.raises(TransportError, match="journal cannot be written"):
            voice.send(NODE, run("j"), order(), "")


def test_unanswered_nodes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command whose not-after passes without an answer names its node, once, so that it can be told again."""
    monkeypatch.setattr(module, "NOT_AFTER_S", 0.01)
    clock = [0.0]
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        voice = Sender("s", MemoryHub().connect(), journal, Ledger(lambda: clock[0]), {NODE: 1.0}, 1)
        command = voice.send(NODE, run("j"), order(), "")
        eventually(lambda: datetime.now(UTC) > command.not_after + timedelta(milliseconds=1), "its not-after")
        clock[0] = 100.0
        assert voice.repeat() == {NODE}
        assert voice.repeat() == set()
        assert [entry.kind for entry in journal.entries()] == ["unanswered"]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_epochs_only_rise(above: list[int]) -> None:
    """Each is above all before it and above what the nodes have seen."""
    with Journal.open(Path(":memory:")) as journal:
        last = 0
        for seen in above:
            epoch = journal.next_epoch(seen)
            assert epoch > max(last, seen)
            assert epoch <= max(last, seen) + 1
            last = epoch


def test_where_the_controller_finds_its_broker(tmp_path: Path) -> None:
    """By the folder of its scenario's broker, or by a URL with a password file, whose folder then keeps the epochs."""
    secret = "0123456789abcdefghijklmnopqrstuv"
    write_credentials(tmp_path / "controller", "sunny", Endpoint("127.0.0.1", 7, "controller", secret), None)
    found = controller_credentials(str(tmp_path / "controller"), "sunny", None, None)
    assert (found.scenario, found.endpoint.port, found.folder) == ("sunny", 7, tmp_path / "controller")
    write_private(tmp_path / "secret", secret)
    found = controller_credentials("mqtts://me@broker.example", "sunny", tmp_path / "secret", None)
    assert (found.scenario, found.endpoint.user, found.endpoint.tls, found.folder) == ("sunny", "me", True, tmp_path)
    with pytest.raises(InputError) as caught:
        controller_credentials(str(tmp_path / "controller"), "other", None, None)
    (finding,) = caught.value.findings
    told = (finding.file, finding.field, finding.found, finding.expected)
    assert told == (str(tmp_path / "controller/broker.json"), "scenario", "'sunny'", "'other', the scenario that was given")
    with pytest.raises(InputError, match="in the clear"):
        controller_credentials("mqtt://me@192.0.2.7", "sunny", tmp_path / "secret", None)
