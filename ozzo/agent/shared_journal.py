"""One journal for many simulated nodes: a page a node, one commit for everything that came in together.

The rules are those of ``ozzo.agent.journal``: what was accepted, how it was answered, and the fence, on disk before anybody hears
of it. The pages answer from memory; what they keep is written when ``commit`` is called, and until then nothing may leave the
process (``ozzo.agent.crowd`` holds answers and PUBACKs back). Beside the journal stand the simulated jobs, which outlive their
agent as real kept jobs do, and a log of what each node drew and which cap held, for whoever judges a soak.

With no file everything is in memory and ends with the process.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from ozzo.commands import Acknowledgement, Command, JobState, JobWish, Wire
from ozzo.fence import Fence

KEEP = 500
"""Answers of a node that are kept at hand."""
KEEP_ROWS = 1_000_000
"""Rows of a table that are kept; older ones are forgotten."""
PRUNE_EVERY = 1_000
"""Commits between two looks at that."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS fences (node TEXT PRIMARY KEY, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS commands (position INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
    epoch INTEGER NOT NULL, not_after TEXT NOT NULL, at TEXT NOT NULL, json TEXT NOT NULL, answer TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (node TEXT NOT NULL, job TEXT NOT NULL, command TEXT NOT NULL, desired TEXT NOT NULL,
    wish TEXT NOT NULL, ran_s REAL NOT NULL, since REAL, PRIMARY KEY (node, job));
CREATE TABLE IF NOT EXISTS ended (position INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT NULL, job TEXT NOT NULL,
    command TEXT NOT NULL, exit_code INTEGER NOT NULL, UNIQUE (node, job));
CREATE TABLE IF NOT EXISTS starts (position INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT NULL, job TEXT NOT NULL,
    command TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS draws (position INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT NULL, at REAL NOT NULL,
    kw REAL NOT NULL, cap_kw REAL, until REAL);
CREATE TABLE IF NOT EXISTS alive (one INTEGER PRIMARY KEY CHECK (one = 1), at REAL NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """A simulated job that runs or stands still.

    Attributes:
        command: that started it; desired: last wish with a program; wish: in force.
        ran_s: seconds of its own time up to ``since``; since: Unix time since which it runs, None while it stands still.
    """

    command: Command
    desired: JobState
    wish: JobWish
    ran_s: float
    since: float | None


@dataclass
class NodePage:
    """What one node remembers; the same face as ``ozzo.agent.journal.NodeJournal``."""

    node: str
    _book: SharedJournal
    _fence: Fence = field(default_factory=Fence)
    _position: int = 0
    _answers: OrderedDict[UUID, Acknowledgement] = field(default_factory=OrderedDict)
    runs: dict[str, SimulatedRun] = field(default_factory=dict)
    ends: dict[str, tuple[str, int]] = field(default_factory=dict)

    def fence(self) -> Fence:
        """Highest epoch and sequence seen."""
        return self._fence

    def position(self) -> int:
        """Number of commands accepted by this node."""
        return self._position

    def answer(self, command: UUID) -> Acknowledgement | None:
        """The last answer to a command, or None."""
        return self._answers.get(command)

    def unfinished(self) -> tuple[Command, ...]:
        """Commands that were accepted and have no further answer."""
        return self._book.unfinished(self.node)

    def raise_fence(self, fence: Fence) -> None:
        """Keep a higher fence."""
        self._fence = fence
        self._book.write(
            "INSERT OR REPLACE INTO fences VALUES (?, ?, ?)", (self.node, fence.epoch, fence.sequence), (self.node, "fence")
        )

    def accept(self, command: Command, acknowledgement: Acknowledgement, fence: Fence) -> None:
        """Keep an accepted command, its answer and the fence."""
        self.raise_fence(fence)
        self._position += 1
        self._remember(command.id, acknowledgement)
        row = (self.node, str(command.id), command.epoch, _text(command.not_after), _text(acknowledgement.at), command)
        sql = "INSERT INTO commands (node, id, epoch, not_after, at, json, answer) VALUES (?, ?, ?, ?, ?, ?, ?)"
        self._book.write(sql, (*row, acknowledgement), (str(command.id), "answer"))

    def keep_answer(self, acknowledgement: Acknowledgement) -> None:
        """Keep a later answer; when the command is not written yet, it is written with this one."""
        self._remember(acknowledgement.command, acknowledgement)
        place = str(acknowledgement.command)
        if not self._book.amend((place, "answer"), acknowledgement):
            self._book.write("UPDATE commands SET answer = ? WHERE id = ?", (acknowledgement, place))

    def _remember(self, command: UUID, acknowledgement: Acknowledgement) -> None:
        self._answers[command] = acknowledgement
        while len(self._answers) > KEEP:
            self._answers.popitem(last=False)

    def save_run(self, run: SimulatedRun) -> None:
        """Keep a job as it is now, when that has changed."""
        job = run.desired.job
        if self.runs.get(job) == run:
            return
        if job not in self.runs:
            sql = "INSERT INTO starts (node, job, command, at) VALUES (?, ?, ?, ?)"
            self._book.write(sql, (self.node, job, str(run.command.id), run.since))
        self.runs[job] = run
        wire = (run.command.encode().decode(), run.desired.encode().decode(), str(run.wish))
        values = (self.node, job, *wire, run.ran_s, run.since)
        self._book.write("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def end_run(self, job: str, command: str, exit_code: int) -> None:
        """A job has ended."""
        self.runs.pop(job, None)
        self.ends[job] = (command, exit_code)
        self._book.write("DELETE FROM runs WHERE node = ? AND job = ?", (self.node, job))
        sql = "INSERT OR REPLACE INTO ended (node, job, command, exit_code) VALUES (?, ?, ?, ?)"
        self._book.write(sql, (self.node, job, command, exit_code))

    def draws(self, at: float, kw: float, cap_kw: float | None, until: float | None) -> None:
        """From ``at`` (Unix time) on it draws ``kw`` under this cap; the lease runs until ``until``. Only if wanted."""
        if not self._book.keeps_draws:
            return
        self._book.write(
            "INSERT INTO draws (node, at, kw, cap_kw, until) VALUES (?, ?, ?, ?, ?)", (self.node, at, kw, cap_kw, until)
        )


class SharedJournal:
    """Pages of all nodes, in one SQLite file or in memory.

    Attributes:
        left_at: when an earlier process was last alive, Unix time; None when there was none.
        commits: how many there were; keeps_draws: also write down what nodes draw.
    """

    def __init__(self, path: Path | None, *, keeps_draws: bool = False) -> None:
        """Open or create it.

        Args:
            path: file; None keeps everything in memory.
            keeps_draws: also write down what each node draws and which cap holds, whenever that changes.
        """
        self.keeps_draws = keeps_draws
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(":memory:" if path is None else path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(SCHEMA)
        self._pending: list[tuple[str, tuple[Any, ...]]] = []
        self._places: dict[tuple[str, str], int] = {}
        self.commits = 0
        row = self._connection.execute("SELECT at FROM alive").fetchone()
        self.left_at = None if row is None else float(row[0])

    def page(self, node: str) -> NodePage:
        """The page of a node, with what an earlier process has left on it."""
        read = self._connection.execute
        row = read("SELECT epoch, sequence FROM fences WHERE node = ?", (node,)).fetchone()
        (position,) = read("SELECT count(*) FROM commands WHERE node = ?", (node,)).fetchone()
        rows = read("SELECT answer FROM commands WHERE node = ? ORDER BY position DESC LIMIT ?", (node, KEEP)).fetchall()
        answers = [Acknowledgement.model_validate_json(text) for (text,) in reversed(rows)]
        fence = Fence(*row) if row else Fence()
        page = NodePage(node, self, fence, position, OrderedDict((answer.command, answer) for answer in answers))
        for job, command, desired, wish, ran_s, since in read(
            "SELECT job, command, desired, wish, ran_s, since FROM runs WHERE node = ? ORDER BY rowid", (node,)
        ).fetchall():
            started = Command.model_validate_json(command)
            page.runs[job] = SimulatedRun(started, JobState.model_validate_json(desired), JobWish(wish), ran_s, since)
        for job, command, code in read("SELECT job, command, exit_code FROM ended WHERE node = ? ORDER BY position", (node,)):
            page.ends[job] = (command, code)
        return page

    def unfinished(self, node: str) -> tuple[Command, ...]:
        """Commands of a node that were accepted and have no further answer."""
        sql = "SELECT json FROM commands WHERE node = ? AND json_extract(answer, '$.stage') = 'accepted' ORDER BY position"
        return tuple(Command.model_validate_json(row[0]) for row in self._connection.execute(sql, (node,)).fetchall())

    def write(self, sql: str, values: tuple[Any, ...], place: tuple[str, str] | None = None) -> None:
        """Something to write at the next commit (messages as JSON); with a ``place`` in place of what was to be written there."""
        known = self._places.get(place) if place is not None else None
        if known is not None:
            self._pending[known] = (sql, values)
            return
        if place is not None:
            self._places[place] = len(self._pending)
        self._pending.append((sql, values))

    def amend(self, place: tuple[str, str], last: Wire) -> bool:
        """Change the last value of what is to be written at a place; False when nothing is."""
        known = self._places.get(place)
        if known is None:
            return False
        sql, values = self._pending[known]
        self._pending[known] = (sql, (*values[:-1], last))
        return True

    def commit(self, now: datetime | None = None) -> None:
        """Write everything in one transaction; on disk when this returns.

        Raises:
            sqlite3.Error: it could not be written; it is tried again with the next one.
        """
        if not self._pending and now is None:
            return
        with self._transaction():
            for sql, values in self._pending:
                self._connection.execute(sql, [item.encode().decode() if isinstance(item, Wire) else item for item in values])
            moment = (now or datetime.now(UTC)).timestamp()
            self._connection.execute("INSERT OR REPLACE INTO alive VALUES (1, ?)", (moment,))
        self._pending.clear()
        self._places.clear()
        self.commits += 1
        if self.commits % PRUNE_EVERY == 0:
            for table in ("commands", "starts", "draws"):
                sql = f"DELETE FROM {table} WHERE position <= (SELECT max(position) FROM {table}) - ?"  # noqa: S608 (names above)
                self._connection.execute(sql, (KEEP_ROWS,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close it; what was not committed is lost."""
        self._connection.close()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
