"""What a node knows about its kept jobs, on disk: enough to find them again after any death of the agent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grid.errors import Finding, InputError
from ozzo.agent.journal import open_store, transaction
from ozzo.commands import Command, JobState, JobWish

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (job TEXT PRIMARY KEY, command TEXT NOT NULL, desired TEXT NOT NULL, wish TEXT NOT NULL,
    ran_s REAL NOT NULL, since REAL, boot TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ended (position INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL UNIQUE, command TEXT NOT NULL,
    exit_code INTEGER NOT NULL);
"""
SAVE = """
INSERT INTO runs (job, command, desired, wish, ran_s, since, boot) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (job) DO UPDATE SET command = excluded.command, desired = excluded.desired, wish = excluded.wish,
    ran_s = excluded.ran_s, since = excluded.since, boot = excluded.boot
"""
"""A run keeps its row, and so its place among the others: the cap holds back the youngest."""
BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A job that was started, or was about to be.

    Attributes:
        command: command that started it; its id names the run.
        desired: last wish with a program; wish: wish in force.
        ran_s: own seconds up to ``since``, or in all while it is paused.
        since: monotonic instant (of this boot) since which it runs, None while it is paused.
    """

    command: Command
    desired: JobState
    wish: JobWish
    ran_s: float = 0.0
    since: float | None = None


class RunBook:
    """Records of runs in the node's journal file; starts and ends are on disk when the call returns."""

    def __init__(self, path: Path, keep: int = 5000) -> None:
        """Open it.

        Args:
            path: the journal's file.
            keep: ended jobs to remember.
        """
        self._keep, self._boot = keep, BOOT.read_text(encoding="ascii").strip()
        self._path, self._connection = path, open_store(path, SCHEMA)

    def save(self, record: RunRecord, *, durable: bool = True) -> None:
        """Keep a record.

        Args:
            record: of a run.
            durable: it must outlive a power cut; a change of wish or time need only outlive the agent.
        """
        if not durable:
            self._connection.execute("PRAGMA synchronous = NORMAL")
        values = (
            record.desired.job,
            record.command.encode().decode(),
            record.desired.encode().decode(),
            str(record.wish),
            record.ran_s,
            record.since,
            self._boot,
        )
        try:
            self._connection.execute(SAVE, values)
        finally:
            if not durable:
                self._connection.execute("PRAGMA synchronous = FULL")

    def runs(self) -> list[tuple[RunRecord, bool]]:
        """Runs that were not told to have ended, oldest first, and whether they are of this boot (else they cannot live).

        Raises:
            InputError: one of them cannot be read (written by another version, or damaged).
        """
        rows = self._connection.execute("SELECT command, desired, wish, ran_s, since, boot FROM runs ORDER BY rowid").fetchall()
        found = []
        for command, desired, wish, ran_s, since, boot in rows:
            try:
                told = Command.model_validate_json(command), JobState.model_validate_json(desired), JobWish(wish)
            except ValueError:
                found_there = "a run that cannot be read"
                raise InputError([Finding(str(self._path), None, "journal", found_there, "a journal of this version")]) from None
            found.append((RunRecord(*told, ran_s, since), boot == self._boot))
        return found

    def forget(self, job: str) -> None:
        """It never started."""
        self._connection.execute("DELETE FROM runs WHERE job = ?", (job,))

    def end(self, record: RunRecord, exit_code: int) -> None:
        """It has ended."""
        job = record.desired.job
        with transaction(self._connection):
            self._connection.execute("DELETE FROM runs WHERE job = ?", (job,))
            cursor = self._connection.execute(
                "INSERT OR REPLACE INTO ended (job, command, exit_code) VALUES (?, ?, ?)",
                (job, str(record.command.id), exit_code),
            )
            self._connection.execute("DELETE FROM ended WHERE position <= ?", ((cursor.lastrowid or 0) - self._keep,))

    def ended(self) -> dict[str, tuple[str, int]]:
        """Id of the starting command and exit code by job that has ended, oldest first."""
        rows = self._connection.execute("SELECT job, command, exit_code FROM ended ORDER BY position").fetchall()
        return {job: (command, code) for job, command, code in rows}

    def close(self) -> None:
        """Close it."""
        self._connection.close()
