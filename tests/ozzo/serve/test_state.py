"""The state, its leadership, its clock and its document."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from grid.errors import InputError
from ozzo.commands import JobWish, Stage, answer
from ozzo.serve.clock import WallClock, clock_for
from ozzo.serve.documents import Document, fingerprint
from ozzo.serve.evidence import Slot
from ozzo.serve.kept_book import GIVEN_UP, KeptBook
from ozzo.serve.leader import Leadership
from ozzo.serve.state import FILE, KEEP, ServeState
from ozzo.serve.status import as_text, status
from ozzo.serve.works import Stage as WorkStage
from scheduler.scenario import Scenario
from tests.factory import START, small_scenario
from tests.ozzo.rig import eventually, run
from tests.ozzo.serve.test_reconcile import JOBS, NODES, order
from tests.ozzo.test_commands import command

LEADER = """
import sys, time
from pathlib import Path
from ozzo.serve.leader import Leadership
lead = Leadership(Path(sys.argv[1]))
print(lead.take(), flush=True)
time.sleep(600)
"""


def test_what_is_kept_is_there_in_the_next_life(tmp_path: Path) -> None:
    """Orders, ends, epoch, facts and what was given up are read back as they were; a second order replaces the first."""
    key, other = (JOBS[0], NODES[0]), (JOBS[1], NODES[1])
    with ServeState.open(tmp_path / FILE) as state:
        book = KeptBook(state)
        book.give(order(*key))
        book.ended(key, 3)
        book.give(order(*key))  # it is started again, so the end before counts no more
        book.give(order(*other))
        book.refused(other)
        book.give(order(JOBS[2], NODES[0]))
        book.give_up((JOBS[2], NODES[0]))
        state.raise_epoch(7)
        assert state.next_epoch(3) == 8
    with ServeState.open(tmp_path / FILE) as state:
        again = KeptBook(state)
        assert (again.given, again.exits, again.nodes) == (book.given, book.exits, book.nodes)
        assert again.exits == {other: -1}
        assert again.given_up == {(JOBS[2], NODES[0])}
        assert again.given[JOBS[2], NODES[0]].reason == GIVEN_UP
        assert again.processes(JOBS[2]).stage() is WorkStage.STOPPED
        assert state.epoch() == 8
        assert again.touched == {JOBS[0], JOBS[1], JOBS[2]}
        again.touched.clear()
        again.ended(other, -1)  # known already
        assert again.touched == set()
        again.ended((JOBS[2], NODES[0]), -15)
        assert again.touched == {JOBS[2]}
        again.forget([JOBS[0]])
        assert key not in state.orders()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_damaged_state_is_refused_in_words(tmp_path: Path) -> None:
    """A page in its middle is overwritten: told with the file and what to do, before anything is commanded from it."""
    with ServeState.open(tmp_path / FILE) as state:
        for number in range(200):
            state.append("note", datetime.now(UTC), {"text": f"{number} " + "x" * 200})
        state.examine()
    with (tmp_path / FILE).open("r+b") as file:
        file.seek(file.seek(0, os.SEEK_END) // 2 // 4096 * 4096)
        file.write(b"\x99" * 4096)
    with ServeState.open(tmp_path / FILE) as state, pytest.raises(InputError, match=r"state\.sqlite: found .*a whole state"):
        state.examine()
    (tmp_path / FILE).write_bytes(b"SQLite format 3\x00" + b"\x99" * 8000)
    with pytest.raises(InputError, match=r"state\.sqlite: found "):
        ServeState.open(tmp_path / FILE)


def test_another_process_that_writes_is_noticed(tmp_path: Path) -> None:
    """``version`` counts what other connections write, so a serving process sees an override in its next round."""
    with ServeState.open(tmp_path / FILE) as mine, ServeState.open(tmp_path / FILE) as other:
        before = mine.version()
        mine.keep_facts(a=1)
        assert mine.version() == before
        other.keep_facts(a=2)
        assert mine.version() != before
        assert mine.fact("a") == 2


def test_old_entries_are_forgotten_and_answers_found(tmp_path: Path) -> None:
    """What is older than the keeping time goes; which runs were applied is known by the answers."""
    sent = command(desired=run("train"))
    with ServeState.open(tmp_path / FILE) as state:
        state.record_command(sent)
        state.record_acknowledgement(answer(sent, Stage.APPLIED, datetime.now(UTC)))
        assert state.command(sent.id) == sent
        assert len(state.started()) == 1
        state.append("note", datetime.now(UTC) - KEEP - timedelta(days=1), {"text": "old"})
        state.append("note", datetime.now(UTC), {"text": "new"})
        state.forget_old(datetime.now(UTC))
        assert [entry.payload["text"] for entry in state.entries("note")] == ["new"]


def test_one_leader_at_a_time(tmp_path: Path) -> None:
    """A second one waits; it takes over when the first gives back, and the first then finds that it has lost."""
    first, second = Leadership(tmp_path, 5.0), Leadership(tmp_path, 5.0)
    assert first.take()
    assert not second.take()
    assert first.renew() == ""
    assert not second.wait(_set())
    first.close()
    assert second.take()
    second.close()


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def test_a_leader_that_stood_still_never_speaks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than its lease without renewal: it is lost, whether or not another has taken over, and does not renew."""
    now = [100.0]
    monkeypatch.setattr("ozzo.serve.leader.steady_s", lambda: now[0])
    lead = Leadership(tmp_path, 5.0)
    assert lead.take()
    now[0] += 4.0
    assert lead.check() == ""
    now[0] += 2.0
    assert "stood still for 6 s, longer than its lease of 5 s" in lead.check()
    now[0] -= 6.0
    assert lead.renew() == lead.lost != ""
    lead.close()


def test_a_lease_that_ran_out_is_taken_although_its_holder_lives(tmp_path: Path) -> None:
    """The holder is only stopped (it still has its lock): when its lease is over another takes it, and it loses."""
    first, second = Leadership(tmp_path, 5.0), Leadership(tmp_path, 5.0)
    assert first.take()
    with ServeState.open(tmp_path / FILE) as state:
        state.hold(first._name, 0.0)  # as if it had not renewed it for long
    assert second.take()
    assert "another controller has taken over" in first.renew()
    first.close()
    assert second.renew() == ""
    second.close()


def test_the_death_of_an_earlier_leader_frees_no_lease(tmp_path: Path) -> None:
    """The one that lost its lease while it was stopped is killed: whoever comes then finds the second one's lease, and waits."""
    with subprocess.Popen([sys.executable, "-c", LEADER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "True"
        second, third = Leadership(tmp_path, 600.0), Leadership(tmp_path, 600.0)
        with ServeState.open(tmp_path / FILE) as state:
            state.hold(str(state.holder()), 0.0)  # as if it had not renewed it for long
        assert second.take()
        process.kill()
        process.wait()
        assert not third.take()
        assert second.renew() == ""
        second.close()
        third.close()


def test_a_dead_leader_is_followed_at_once(tmp_path: Path) -> None:
    """A process that is killed with the lease in its hand: the next one need not wait for the lease."""
    with subprocess.Popen([sys.executable, "-c", LEADER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "True"
        lead = Leadership(tmp_path)
        assert not lead.take()
        process.kill()
        process.wait()
        assert lead.take()
        lead.close()
    assert list(tmp_path.glob("leader-*.lock")) == []


def test_the_clock_goes_on_between_two_lives() -> None:
    """A minute of wall time after the last word, at 60 times real time, is an hour; real time is taken where it fits."""
    scenario, wall = small_scenario(), [datetime(2026, 1, 1, tzinfo=UTC)]
    kept = {"instant": (START + timedelta(hours=2)).isoformat(), "wall": wall[0].isoformat(), "horizon": START.isoformat()}
    wall[0] += timedelta(minutes=1)
    clock = clock_for(scenario, 86400.0 / 60.0, kept, lambda: wall[0])
    clock.pause()
    assert timedelta(hours=3) <= clock.now() - START < timedelta(hours=3, minutes=5)
    fresh = clock_for(scenario, None, None, lambda: wall[0])
    assert (fresh.paused, fresh.speed) == (True, 1.0)
    assert fresh.now() - START < timedelta(seconds=1)
    other = clock_for(scenario, 1440.0, kept | {"horizon": "another"}, lambda: wall[0])
    assert not other.paused  # another document, whose horizon holds the instant: time goes on
    far = kept | {"horizon": "another", "instant": (START - timedelta(days=9)).isoformat()}
    assert clock_for(scenario, 1440.0, far, lambda: wall[0]).paused
    wall[0] = START + timedelta(hours=5)
    real = clock_for(scenario, None, kept, lambda: wall[0])
    assert isinstance(real, WallClock)
    wall[0] -= timedelta(hours=1)  # somebody has set the clock back
    assert real.now() == START + timedelta(hours=5)
    real.pause()
    assert not real.paused


def test_a_changed_document_is_taken_and_a_faulty_one_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new scenario comes once; a fault is told and the one before stays; an unchanged file is not read again."""
    monkeypatch.setattr("ozzo.serve.documents.LOOK_S", 0.0)
    file, reads = tmp_path / "scenario.yaml", []

    def load(path: Path) -> Scenario:
        reads.append(path.read_text())
        if "faulty" in reads[-1]:
            raise InputError([])
        return small_scenario()

    file.write_text("one")
    document = Document(file, load, fingerprint(file))
    assert document.look() is None
    file.write_text("two")
    eventually(lambda: document.look() is not None, "the new document")
    file.write_text("faulty")
    eventually(lambda: document.look() is None and len(reads) == 2, "the faulty document")
    eventually(lambda: document.look() is None and document._thread is None, "the end of reading")
    assert reads == ["two", "faulty"]
    file.unlink()
    assert document.look() is None


def test_status_of_a_state_that_nobody_serves(tmp_path: Path) -> None:
    """Everything is told from the file alone, also as text."""
    with ServeState.open(tmp_path / FILE) as state:
        state.keep_facts(scenario="minimal", inventory={"job": ["index", "train"], "node": [], "site": []})
        state.keep_work("train", {"stage": "done", "nodes": ["a"], "worked_s": 1.0, "since": None, "exit_code": 0, "ended": None})
        state.keep_slot(Slot(START, 1.0, 0.1, 0.25))
    told = status(tmp_path)
    assert (told["mode"], told["serving"], told["plan"]) == ("shadow", False, None)
    assert told["jobs"]["count"] == {"done": 1, "waiting": 1}
    assert told["counters"] == {"doubled": 0, "lost": 0, "failed": 0}
    assert len(told["missing_for_promotion"]) == 2
    text = as_text(told)
    assert "nobody serves it now" in text
    assert "missing for promotion: 0 rehearsals passed; 20 are asked for" in text
    assert os.linesep not in text.splitlines()[0]


def test_wishes_of_the_book_are_those_of_its_orders(tmp_path: Path) -> None:
    """A job that was given up is to be stopped where it was."""
    with ServeState.open(tmp_path / FILE) as state:
        book = KeptBook(state)
        book.give(order(JOBS[0], NODES[0]))
        book.give_up((JOBS[0], NODES[0]))
        assert book.given[JOBS[0], NODES[0]].desired.state is JobWish.STOPPED
        assert book.processes(JOBS[0]).alive() == {}


def test_a_leader_that_cannot_write_falls_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk (the error is made by the test): it is told in words, and nothing is said any more."""

    def full(*_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    lead, told = Leadership(tmp_path, 2.0), list[str]()
    assert lead.take()
    monkeypatch.setattr(ServeState, "hold", full)
    lead.keep(told.append)
    eventually(lambda: bool(told), "the word of the leader")
    assert "disk is full" in lead.check()
    lead.close()
