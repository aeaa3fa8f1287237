"""The journal of a node: which commands it accepted and how it answered, and the fence, on disk before anything is done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from pydantic import ValidationError

from grid.errors import Finding, InputError
from ozzo.commands import Acknowledgement, Command
from ozzo.fence import Fence

KEEP = 20_000
"""Answers that are kept; older ones are forgotten (their commands have expired long before)."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS fence (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, sequence INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS commands (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, json TEXT NOT NULL,
    answer TEXT NOT NULL);
"""


def open_store(path: Path, schema: str) -> sqlite3.Connection:
    """Open or make an SQLite file of a node: write-ahead log, flushed to disk at every commit.

    Raises:
        InputError: the file cannot be opened, or is something else.
    """
    connection = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(schema)
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise InputError([Finding(str(path), None, "journal", f"{error}", "a journal of a node, or a place for one")]) from error
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block or nothing, on disk at its end.

    Raises:
        sqlite3.Error: the disk does not take it; the connection can be used again.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


class NodeJournal:
    """SQLite, flushed to disk at every commit: a fence that is lost in a power cut protects nobody."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            InputError: the file cannot be opened, or is no journal.
        """
        self._path = path
        self._connection = open_store(path, SCHEMA)

    def fence(self) -> Fence:
        """Highest epoch and sequence seen; ``(0, 0)`` when none was."""
        row = self._connection.execute("SELECT epoch, sequence FROM fence").fetchone()
        return Fence(*row) if row else Fence()

    def position(self) -> int:
        """Number of commands ever accepted."""
        (position,) = self._connection.execute("SELECT coalesce(max(position), 0) FROM commands").fetchone()
        return int(position)

    def answer(self, command: UUID) -> Acknowledgement | None:
        """The last answer to a command, or None when its id was never seen.

        Raises:
            InputError: it cannot be read (written by another version, or damaged).
        """
        row = self._connection.execute("SELECT answer FROM commands WHERE id = ?", (str(command),)).fetchone()
        try:
            return Acknowledgement.model_validate_json(row[0]) if row else None
        except ValidationError:
            raise self._unreadable(f"an answer to command {command}") from None

    def _unreadable(self, what: str) -> InputError:
        expected = "a journal that this version wrote and nobody changed"
        return InputError([Finding(str(self._path), None, "journal", f"{what} that cannot be read", expected)])

    def unfinished(self) -> tuple[Command, ...]:
        """Commands that were accepted and have no further answer, in the order in which they were accepted.

        Raises:
            InputError: one of them cannot be read (written by another version, or damaged).
        """
        query = "SELECT json FROM commands WHERE json_extract(answer, '$.stage') = 'accepted' ORDER BY position"
        try:
            return tuple(Command.model_validate_json(row[0]) for row in self._connection.execute(query).fetchall())
        except (ValidationError, sqlite3.OperationalError):  # the latter: no JSON at all
            raise self._unreadable("a command that was accepted, or an answer,") from None

    def raise_fence(self, fence: Fence) -> None:
        """Keep a higher fence."""
        self._connection.execute("INSERT OR REPLACE INTO fence VALUES (1, ?, ?)", (fence.epoch, fence.sequence))

    def accept(self, command: Command, acknowledgement: Acknowledgement, fence: Fence) -> None:
        """Keep an accepted command, its answer and the fence in one transaction; on disk when this returns.

        Raises:
            sqlite3.Error: the disk does not take it; nothing of it is kept.
        """
        with transaction(self._connection):
            self.raise_fence(fence)
            cursor = self._connection.execute(
                "INSERT INTO commands (id, json, answer) VALUES (?, ?, ?)",
                (str(command.id), command.encode().decode(), acknowledgement.encode().decode()),
            )
            self._connection.execute("DELETE FROM commands WHERE position <= ?", ((cursor.lastrowid or 0) - KEEP,))

    def keep_answer(self, acknowledgement: Acknowledgement) -> None:
        """Keep a later answer to an accepted command."""
        self._connection.execute(
            "UPDATE commands SET answer = ? WHERE id = ?",
            (acknowledgement.encode().decode(), str(acknowledgement.command)),
        )

    def close(self) -> None:
        """Close it."""
        self._connection.close()
