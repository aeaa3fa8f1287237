"""The journal of a run, in SQLite: what was decided, commanded and answered, in order, surviving any death of the process.

Write-ahead log, one transaction an entry; readers in other processes do not block the writer. The epoch, the number of the
controller's life, is taken from here: ``next_epoch`` is committed before any command may carry it.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from grid.errors import Finding, InputError
from ozzo.commands import Acknowledgement, Command

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS entries (sequence INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL,
    json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS commands (id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL,
    node TEXT NOT NULL, issued_at TEXT NOT NULL, json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS acknowledgements (sequence INTEGER PRIMARY KEY AUTOINCREMENT, command TEXT NOT NULL,
    node TEXT NOT NULL, stage TEXT NOT NULL, at TEXT NOT NULL, json TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS acknowledgements_command ON acknowledgements (command);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal.

    Attributes:
        sequence: position, from 1, without gaps in one journal.
        at: wall clock UTC.
        kind: what it is about, for example ``plan``, ``verdict``, ``event``.
        payload: the facts.
    """

    sequence: int
    at: datetime
    kind: str
    payload: dict[str, Any]


class Journal:
    """A journal; may be used from several threads. Open it with ``Journal.open``."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open or create the journal in file ``path``.

        Raises:
            InputError: the file is something else, or cannot be opened.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = None
        try:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            if connection is not None:
                connection.close()
            raise InputError([Finding(str(path), None, "", str(error), "a journal of ozzo (SQLite)")]) from error
        return cls(path, connection)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One atomic change; rolled back when anything in it fails, its commit too (disk full).

        SQLite may have rolled back by itself then (sqlite.org/lang_transaction.html), and the first error is the one to tell.
        """
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def next_epoch(self, above: int = 0) -> int:
        """A new epoch, above all before and above ``above``; it is on disk when this returns."""
        with self._lock:
            self._connection.execute("PRAGMA synchronous = FULL")
            try:
                with self._transaction() as connection:
                    connection.execute(
                        "INSERT INTO meta VALUES ('epoch', :low) ON CONFLICT (key) DO UPDATE SET value = max(value + 1, :low)",
                        {"low": above + 1},
                    )
                    (epoch,) = connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
            finally:
                self._connection.execute("PRAGMA synchronous = NORMAL")
        return int(epoch)

    def append(self, kind: str, at: datetime, payload: Mapping[str, Any]) -> int:
        """Add an entry and return its position.

        Raises:
            ValueError: ``at`` has no time zone.
            TypeError: the payload is not JSON.
        """
        text = json.dumps(dict(payload), allow_nan=False)
        with self._transaction() as connection:
            cursor = connection.execute("INSERT INTO entries (at, kind, json) VALUES (?, ?, ?)", (_utc(at), kind, text))
        return int(cursor.lastrowid or 0)

    def record_command(self, *commands: Command) -> None:
        """Add commands, all or none; done before they are sent."""
        rows = [
            (
                str(command.id),
                command.epoch,
                command.sequence,
                command.node,
                _utc(command.issued_at),
                command.encode().decode(),
            )
            for command in commands
        ]
        with self._transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO commands VALUES (?, ?, ?, ?, ?, ?)", rows)

    def record_acknowledgement(self, *acknowledgements: Acknowledgement) -> None:
        """Add answers as they came, all or none (a repeated answer stands there twice)."""
        rows = [
            (str(item.command), item.node, str(item.stage), _utc(item.at), item.encode().decode()) for item in acknowledgements
        ]
        with self._transaction() as connection:
            connection.executemany("INSERT INTO acknowledgements (command, node, stage, at, json) VALUES (?, ?, ?, ?, ?)", rows)

    def command(self, number: UUID) -> Command | None:
        """A command that was recorded, or None."""
        with self._lock:
            row = self._connection.execute("SELECT json FROM commands WHERE id = ?", (str(number),)).fetchone()
        return None if row is None else Command.model_validate_json(row[0])

    def entries(self, kind: str | None = None) -> tuple[Entry, ...]:
        """Entries in order, all or of one kind."""
        where, values = ("WHERE kind = ?", (kind,)) if kind is not None else ("", ())
        with self._lock:
            rows = self._connection.execute(
                f"SELECT sequence, at, kind, json FROM entries {where} ORDER BY sequence",  # noqa: S608
                values,
            ).fetchall()
        return tuple(Entry(row[0], datetime.fromisoformat(row[1]), row[2], json.loads(row[3])) for row in rows)

    def commands(self) -> tuple[Command, ...]:
        """Commands by epoch and sequence."""
        with self._lock:
            rows = self._connection.execute("SELECT json FROM commands ORDER BY epoch, sequence").fetchall()
        return tuple(Command.model_validate_json(row[0]) for row in rows)

    def acknowledgements(self) -> tuple[Acknowledgement, ...]:
        """Answers in the order in which they came."""
        with self._lock:
            rows = self._connection.execute("SELECT json FROM acknowledgements ORDER BY sequence").fetchall()
        return tuple(Acknowledgement.model_validate_json(row[0]) for row in rows)

    def export(self, path: Path) -> int:
        """Write everything as JSON lines (``table`` names the kind of line) and return the number of lines."""
        count = 0
        with self._lock, path.open("w", encoding="utf-8") as file:
            for table, order in (("entries", "sequence"), ("commands", "epoch, sequence"), ("acknowledgements", "sequence")):
                cursor = self._connection.execute(f"SELECT * FROM {table} ORDER BY {order}")  # noqa: S608
                names = [column[0] for column in cursor.description]
                for row in cursor:
                    line = dict(zip(names, row, strict=True))
                    line["payload"] = json.loads(line.pop("json"))
                    file.write(json.dumps({"table": table, **line}) + "\n")
                    count += 1
        return count

    def close(self) -> None:
        """Close it; twice does no harm."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _utc(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return moment.astimezone(UTC).isoformat()
