"""The journal: order, epochs, death of the process."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from grid.errors import InputError
from ozzo.commands import Stage, answer
from ozzo.store import Journal
from tests.ozzo.test_commands import NOON, command

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from ozzo.store import Journal
journal = Journal.open(Path(sys.argv[1]))
journal.next_epoch()
for i in range(1000000):
    journal.append("tick", datetime.now(UTC), {"i": i})
    print(i, flush=True)
"""


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    """What was appended is read back in order, with instants in UTC, all or by kind."""
    with Journal.open(tmp_path / "deep" / "journal.sqlite") as journal:
        journal.append("plan", NOON.astimezone(timezone(timedelta(hours=2))), {"id": "p1"})
        journal.append("event", NOON, {"name": "peak"})
        journal.append("plan", NOON, {"id": "p2"})
        assert [(entry.sequence, entry.kind) for entry in journal.entries()] == [(1, "plan"), (2, "event"), (3, "plan")]
        plans = journal.entries("plan")
        assert [entry.payload["id"] for entry in plans] == ["p1", "p2"]
        assert plans[0].at == NOON
        assert plans[0].at.tzinfo == UTC


def test_bad_entries_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    """A naive instant, something that is no JSON, or NaN raises, and the journal stays as it was."""
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        with pytest.raises(ValueError, match="time zone"):
            journal.append("x", datetime(2026, 1, 1), {})  # noqa: DTZ001
        with pytest.raises(TypeError):
            journal.append("x", NOON, {"a": object()})
        with pytest.raises(ValueError):
            journal.append("x", NOON, {"a": float("nan")})
        assert journal.entries() == ()


def test_a_full_disk_is_told_and_left_behind(tmp_path: Path) -> None:
    """SQLite itself says that the disk is full (its own limit of pages); with room again the journal goes on where it was."""
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        connection = journal._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 4}")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            journal.append("big", datetime.now(UTC), {"text": "x" * 100_000})
        assert not connection.in_transaction
        connection.execute("PRAGMA max_page_count = 1000000")
        journal.append("small", datetime.now(UTC), {})
        assert [entry.kind for entry in journal.entries()] == ["small"]


def test_a_commit_that_fails_is_rolled_back(tmp_path: Path) -> None:
    """A reader keeps the journal from committing (in the mode of a rollback journal): told, and the next entry finds no rest."""
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        journal._connection.execute("PRAGMA journal_mode = DELETE")
        journal._connection.execute("PRAGMA busy_timeout = 1")
        with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM entries").fetchall()
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                journal.append("lost", datetime.now(UTC), {})
            reader.execute("COMMIT")
        journal.append("kept", datetime.now(UTC), {})
        assert [entry.kind for entry in journal.entries()] == ["kept"]


def test_each_opening_may_take_a_higher_epoch(tmp_path: Path) -> None:
    """Epochs ascend over closing and opening again."""
    epochs = []
    for _ in range(3):
        with Journal.open(tmp_path / "journal.sqlite") as journal:
            epochs.append(journal.next_epoch())
    assert epochs == [1, 2, 3]


def test_commands_and_answers_are_kept(tmp_path: Path) -> None:
    """A command stands there once however often it is recorded, every answer as often as it came."""
    first, second = command(sequence=2), command(sequence=1)
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        for asked in (first, second, first):
            journal.record_command(asked)
        done = answer(first, Stage.APPLIED, NOON, measured={"pid": 5.0})
        journal.record_acknowledgement(done)
        journal.record_acknowledgement(done)
        assert journal.commands() == (second, first)
        assert journal.acknowledgements() == (done, done)
        lines = journal.export(tmp_path / "journal.jsonl")
    written = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert lines == len(written) == 4
    assert [line["table"] for line in written] == ["commands", "commands", "acknowledgements", "acknowledgements"]
    assert written[0]["payload"]["node"] == "hall.rack-0"


def test_a_killed_writer_loses_nothing_that_it_had_told(tmp_path: Path) -> None:
    """After SIGKILL in the middle of writing, every entry that was confirmed is there, and the next epoch is higher."""
    path = tmp_path / "journal.sqlite"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(50)]
        writer.send_signal(signal.SIGKILL)
        told += [int(line) for line in writer.stdout.read().split()]
    with Journal.open(path) as journal:
        found = [entry.payload["i"] for entry in journal.entries()]
        assert found[: len(told)] == told
        assert len(found) - len(told) <= 1  # at most one was committed and not yet told
        assert journal.next_epoch() == 2


def test_a_reader_in_another_connection_sees_what_is_committed(tmp_path: Path) -> None:
    """A second connection reads while the first one stays open for writing."""
    with Journal.open(tmp_path / "j.sqlite") as writer, Journal.open(tmp_path / "j.sqlite") as reader:
        writer.append("x", NOON, {})
        assert len(reader.entries()) == 1


def test_a_file_of_nonsense_is_an_input_error(tmp_path: Path) -> None:
    """Something that is no database is named, without a traceback of SQLite."""
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"nonsense" * 1000)
    with pytest.raises(InputError, match="journal of ozzo"):
        Journal.open(path)
