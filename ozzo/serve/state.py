"""The state of a serving controller, in one SQLite file with the journal of its commands: what it goes on with after SIGKILL.

Everything is written before it is acted upon: an order before its command, an epoch before its first command. Other processes
(``ozzo status``, ``override``, ``promote``, a standby) read and write the same file; ``version`` tells that one of them has.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grid.errors import Finding, InputError
from ozzo.book import Key
from ozzo.commands import JobState
from ozzo.orders import Order
from ozzo.serve.evidence import Slot
from ozzo.serve.overrides import Action, Override, Target
from ozzo.store import Journal

FILE = "state.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS orders (job TEXT NOT NULL, node TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (job, node));
CREATE TABLE IF NOT EXISTS exits (job TEXT NOT NULL, node TEXT NOT NULL, code INTEGER NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (job, node));
CREATE TABLE IF NOT EXISTS works (job TEXT PRIMARY KEY, json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS overrides (id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, name TEXT NOT NULL,
    action TEXT NOT NULL, kw REAL, reason TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL, released_at TEXT, released TEXT);
CREATE TABLE IF NOT EXISTS slots (number INTEGER PRIMARY KEY AUTOINCREMENT, start TEXT NOT NULL, metered_kwh REAL NOT NULL,
    error_kwh REAL NOT NULL, hours REAL NOT NULL, violations TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS leader (one INTEGER PRIMARY KEY CHECK (one = 1), holder TEXT NOT NULL, pid INTEGER NOT NULL,
    epoch INTEGER NOT NULL, until REAL NOT NULL);
"""
WHOLE = "a whole state of 'ozzo serve' (SQLite); put a copy of it back, or move it away to begin anew as a shadow"
"""What is said of a damaged one. After a copy was put back, what nodes have is adopted (decision 0014)."""
KEEP = timedelta(days=60)
"""How long entries, commands and answers are kept."""


class ServeState(Journal):
    """A journal with the state of ``ozzo serve``; may be used from several threads."""

    @classmethod
    def open(cls, path: Path) -> ServeState:
        """Open or create the state in file ``path``.

        Raises:
            InputError: the file is something else, or cannot be opened.
        """
        journal = super().open(path)
        if not isinstance(journal, cls):
            raise TypeError(f"{type(journal)} is no state")
        try:
            journal.prepare()
        except sqlite3.DatabaseError as error:
            journal.close()
            raise InputError([Finding(str(path), None, "", str(error), WHOLE)]) from error
        return journal

    def examine(self) -> None:
        """Look through the whole file, which takes a while when it is large: nothing is commanded from a damaged one.

        Raises:
            InputError: it is damaged (sqlite.org/pragma.html#pragma_quick_check).
        """
        try:
            with self._lock:
                told = [str(row[0]) for row in self._connection.execute("PRAGMA quick_check(3)")]
        except sqlite3.DatabaseError as error:
            told = [str(error)]
        if told != ["ok"]:
            found = "; ".join(" ".join(line.split()) for line in told)
            raise InputError([Finding(str(self.path), None, "", found[:300], WHOLE)])

    def prepare(self) -> None:
        """Make the tables that are missing."""
        with self._lock:
            self._connection.executescript(SCHEMA)
        self.path.chmod(0o600)

    @classmethod
    def there(cls, folder: Path) -> ServeState:
        """Open a state that must be there.

        Raises:
            InputError: there is none.
        """
        file = folder / FILE
        if not file.is_file():
            raise InputError([Finding(str(folder), None, "", "no state", "the folder of a controller (ozzo serve --state)")])
        return cls.open(file)

    def version(self) -> int:
        """A number that changes when another connection has written."""
        with self._lock:
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def fact(self, key: str) -> Any:
        """A fact as JSON value, or None."""
        with self._lock:
            row = self._connection.execute("SELECT json FROM facts WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def keep_facts(self, **facts: Any) -> None:
        """Keep facts, all in one transaction; None forgets one."""
        with self._transaction() as connection:
            for key, value in facts.items():
                if value is None:
                    connection.execute("DELETE FROM facts WHERE key = ?", (key,))
                else:
                    text = json.dumps(value, allow_nan=False)
                    connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, text))

    def raise_epoch(self, epoch: int) -> None:
        """Know of an epoch that was taken elsewhere; on disk before a command carries it."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO meta VALUES ('epoch', :e) ON CONFLICT (key) DO UPDATE SET value = max(value, :e)", {"e": epoch}
            )

    def epoch(self) -> int:
        """The highest epoch so far, 0 before the first."""
        with self._lock:
            row = self._connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        return 0 if row is None else int(row[0])

    # ---- who leads -------------------------------------------------------------------------------------------------

    def leader(self) -> tuple[int, int, float] | None:
        """Process id and epoch of the controller that holds the lease, and the wall instant (Unix seconds) of its end."""
        with self._lock:
            row = self._connection.execute("SELECT pid, epoch, until FROM leader").fetchone()
        return None if row is None else (int(row[0]), int(row[1]), float(row[2]))

    def holder(self) -> str | None:
        """Name of the controller that holds the lease, or held it last."""
        with self._lock:
            row = self._connection.execute("SELECT holder FROM leader").fetchone()
        return None if row is None else str(row[0])

    def claim(self, holder: str, pid: int, until: float, now: float, *, dead: str | None) -> bool:
        """Take the lease when it has run out or the holder named ``dead`` still has it; True when it is ours."""
        with self._transaction() as connection:
            row = connection.execute("SELECT until, holder FROM leader").fetchone()
            if row is not None and str(row[1]) != dead and float(row[0]) >= now:
                return False
            connection.execute("INSERT OR REPLACE INTO leader VALUES (1, ?, ?, ?, ?)", (holder, pid, self.epoch(), until))
        return True

    def hold(self, holder: str, until: float) -> bool:
        """Renew the lease; False when somebody else has it."""
        with self._transaction() as connection:
            values = (until, self.epoch(), holder)
            cursor = connection.execute("UPDATE leader SET until = ?, epoch = ? WHERE holder = ?", values)
        return cursor.rowcount > 0

    def give_back(self, holder: str) -> None:
        """Give the lease back if it is ours."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM leader WHERE holder = ?", (holder,))

    # ---- orders and ends -------------------------------------------------------------------------------------------

    def keep_order(self, order: Order, *, again: bool) -> None:
        """Keep the last order about a job on a node, before it is sent; ``again``: an end so far does not count any more."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?)", (*order.key, json.dumps(order_to_dict(order))))
            if again:
                connection.execute("DELETE FROM exits WHERE job = ? AND node = ?", order.key)

    def keep_exit(self, key: Key, code: int) -> None:
        """Keep the end of a job on a node."""
        with self._transaction() as connection:
            values = (*key, code, datetime.now(UTC).isoformat())
            connection.execute("INSERT OR REPLACE INTO exits VALUES (?, ?, ?, ?)", values)

    def orders(self) -> dict[Key, Order]:
        """The last order about each job on each node."""
        with self._lock:
            rows = self._connection.execute("SELECT json FROM orders").fetchall()
        found = (order_from_dict(json.loads(row[0])) for row in rows)
        return {order.key: order for order in found}

    def exits(self) -> dict[Key, int]:
        """Exit codes by job and node."""
        with self._lock:
            rows = self._connection.execute("SELECT job, node, code FROM exits").fetchall()
        return {(job, node): int(code) for job, node, code in rows}

    def forget_jobs(self, jobs: Iterable[str]) -> None:
        """Forget orders and ends of jobs that are over."""
        with self._transaction() as connection:
            for job in jobs:
                connection.execute("DELETE FROM orders WHERE job = ?", (job,))
                connection.execute("DELETE FROM exits WHERE job = ?", (job,))

    def started(self) -> frozenset[Key]:
        """Jobs on nodes of which the last command to run was answered *applied*."""
        query = """SELECT json_extract(c.json, '$.desired.job'), c.node FROM commands c
            JOIN acknowledgements a ON a.command = c.id
            WHERE json_extract(c.json, '$.desired.state') = 'running' AND a.stage = 'applied'"""
        with self._lock:
            rows = self._connection.execute(query).fetchall()
        return frozenset((str(job), str(node)) for job, node in rows)

    def keep_work(self, job: str, value: Mapping[str, Any] | None) -> None:
        """Keep how far a job is; None forgets it."""
        with self._transaction() as connection:
            if value is None:
                connection.execute("DELETE FROM works WHERE job = ?", (job,))
            else:
                connection.execute("INSERT OR REPLACE INTO works VALUES (?, ?)", (job, json.dumps(dict(value))))

    def works(self) -> dict[str, dict[str, Any]]:
        """How far each job is."""
        with self._lock:
            rows = self._connection.execute("SELECT job, json FROM works").fetchall()
        return {job: json.loads(text) for job, text in rows}

    # ---- overrides -------------------------------------------------------------------------------------------------

    def override(self, target: Target, name: str, action: Action, kw: float | None, reason: str, by: str) -> int:
        """Put an override into force; one on the same target of the same kind (cap or not) is released by it. Its number."""
        now, cap = datetime.now(UTC).isoformat(), "action = 'cap'" if action is Action.CAP else "action <> 'cap'"
        with self._transaction() as connection:
            connection.execute(
                f"UPDATE overrides SET released_at = ?, released = 'replaced' "  # noqa: S608 (one of two texts of ours)
                f"WHERE released_at IS NULL AND target = ? AND name = ? AND {cap}",
                (now, str(target), name),
            )
            cursor = connection.execute(
                "INSERT INTO overrides (target, name, action, kw, reason, by, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (str(target), name, str(action), kw, reason, by, now),
            )
        return int(cursor.lastrowid or 0)

    def release(self, numbers: Iterable[int], reason: str) -> None:
        """Release overrides."""
        now = datetime.now(UTC).isoformat()
        with self._transaction() as connection:
            for number in numbers:
                connection.execute("UPDATE overrides SET released_at = ?, released = ? WHERE id = ?", (now, reason, number))

    def overrides(self) -> tuple[Override, ...]:
        """Overrides in force, oldest first."""
        query = "SELECT id, target, name, action, kw, reason, by, at FROM overrides WHERE released_at IS NULL ORDER BY id"
        with self._lock:
            rows = self._connection.execute(query).fetchall()
        return tuple(
            Override(row[0], Target(row[1]), row[2], Action(row[3]), row[4], row[5], row[6], datetime.fromisoformat(row[7]))
            for row in rows
        )

    # ---- evidence --------------------------------------------------------------------------------------------------

    def keep_slot(self, slot: Slot) -> None:
        """Keep what a slot came to."""
        values = (slot.start.isoformat(), slot.metered_kwh, slot.error_kwh, slot.hours, json.dumps(slot.violations))
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO slots (start, metered_kwh, error_kwh, hours, violations) VALUES (?, ?, ?, ?, ?)", values
            )

    def slots(self, above: int = 0) -> tuple[Slot, ...]:
        """Slots with a number above ``above``, in order."""
        query = "SELECT start, metered_kwh, error_kwh, hours, violations FROM slots WHERE number > ? ORDER BY number"
        with self._lock:
            rows = self._connection.execute(query, (above,)).fetchall()
        return tuple(Slot(datetime.fromisoformat(r[0]), r[1], r[2], r[3], tuple(json.loads(r[4]))) for r in rows)

    def last_slot(self) -> int:
        """Number of the last slot, 0 before the first."""
        with self._lock:
            (number,) = self._connection.execute("SELECT coalesce(max(number), 0) FROM slots").fetchone()
        return int(number)

    def forget_old(self, now: datetime) -> None:
        """Drop entries, commands and answers that are older than ``KEEP``."""
        before = (now - KEEP).isoformat()
        with self._transaction() as connection:
            for table, column in (("entries", "at"), ("commands", "issued_at"), ("acknowledgements", "at")):
                connection.execute(f"DELETE FROM {table} WHERE {column} < ?", (before,))  # noqa: S608 (names of ours)


def order_to_dict(order: Order) -> dict[str, Any]:
    """An order as JSON values."""
    return {
        "due": order.due.isoformat(),
        "node": order.node,
        "desired": order.desired.model_dump(mode="json", exclude_none=True),
        "reason": order.reason,
        "plan_id": order.plan_id,
        "until": order.until.isoformat(),
    }


def order_from_dict(value: Mapping[str, Any]) -> Order:
    """The order again."""
    return Order(
        datetime.fromisoformat(value["due"]),
        value["node"],
        JobState.model_validate_json(json.dumps(value["desired"])),
        value["reason"],
        value["plan_id"],
        datetime.fromisoformat(value["until"]),
    )
