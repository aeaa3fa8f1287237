"""The controller of the soak: the product's sender, ledger and journal, with wishes drawn at a seed.

``python -m ozzo.bench.soak_controller CREDENTIALS STATE SEED``. Wishes (which job on which node is in which state) stand in
a file before anybody is told, so a controller that was killed goes on where it was, with a higher epoch. Every so often it sends
a command twice, late, or not at all. Once there is a file ``calm`` in its folder there are no new wishes and no mischief: every
job is wished to run to its end, and that is stated until the nodes say so.
"""

from __future__ import annotations

import queue
import random
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from grid.errors import TransportError
from ozzo.commands import Acknowledgement, Channel, JobState, JobWish, NodeState, Stage, topic
from ozzo.credentials import read_credentials
from ozzo.fleet import NodeSpec
from ozzo.ledger import Ledger
from ozzo.mail import understood
from ozzo.remote import RemoteAgents
from ozzo.sender import Sender
from ozzo.store import Journal
from ozzo.transport import Delivery, Handler, Transport

SCHEMA = """
CREATE TABLE IF NOT EXISTS wishes (node TEXT NOT NULL, job TEXT NOT NULL, wish TEXT NOT NULL, json TEXT NOT NULL,
    exit_code INTEGER, PRIMARY KEY (node, job));
"""
JOB_S = 20.0
"""Run time of a job at most."""
JOB_KW, IDLE_KW, PEAK_KW = 0.3, 0.1, 0.4
WISH_EVERY_S = 0.1
RESTATE_EVERY_S = 3.0


class Rough:
    """A transport that loses, doubles and delays some of what is published through it.

    Attributes:
        calm: it does so no more.
    """

    def __init__(self, inner: Transport, chance: random.Random) -> None:
        """Prepare.

        Args:
            inner: carries what is left.
            chance: decides.
        """
        self._inner, self._chance, self.calm = inner, chance, False
        self._late: list[tuple[float, str, bytes, float | None]] = []

    @property
    def connections(self) -> int:
        """See ``Transport``."""
        return self._inner.connections

    @connections.setter
    def connections(self, value: int) -> None:
        """See ``Transport``."""
        self._inner.connections = value

    @property
    def description(self) -> str:
        """Name in words."""
        return f"{self._inner.description}, made worse"

    def publish(self, topic: str, payload: bytes, *, expiry_s: float | None = None, retain: bool = False) -> None:
        """See ``Transport``; 2 % are lost, 5 % come twice, 5 % come up to 8 s late, most of the time in another order."""
        draw = 1.0 if self.calm else self._chance.random()
        if draw < 0.02:
            return
        if draw < 0.07:
            self._inner.publish(topic, payload, expiry_s=expiry_s, retain=retain)
        elif draw < 0.12:
            self._late.append((time.monotonic() + 8.0 * self._chance.random(), topic, payload, expiry_s))
            return
        self._inner.publish(topic, payload, expiry_s=expiry_s, retain=retain)

    def let_out(self) -> None:
        """Publish what is late enough."""
        now = time.monotonic()
        due = [item for item in self._late if item[0] <= now]
        self._late = [item for item in self._late if item[0] > now]
        for _, place, payload, _ in due:
            self._inner.publish(place, payload, expiry_s=60.0)

    def subscribe(self, pattern: str, handler: Handler) -> None:
        """See ``Transport``."""
        self._inner.subscribe(pattern, handler)

    def close(self) -> None:
        """See ``Transport``."""
        self._inner.close()


class Wishes:
    """What is wished, on disk before anybody is told."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(SCHEMA)

    def put(self, node: str, state: JobState) -> None:
        """Wish."""
        sql = "INSERT INTO wishes VALUES (?, ?, ?, ?, NULL) ON CONFLICT (node, job) DO UPDATE SET wish = ?3, json = ?4"
        self._connection.execute(sql, (node, state.job, str(state.state), state.encode().decode()))

    def ended(self, node: str, job: str, exit_code: int) -> None:
        """A job has ended; its wish is fulfilled."""
        self._connection.execute("UPDATE wishes SET exit_code = ? WHERE node = ? AND job = ?", (exit_code, node, job))

    def open(self) -> list[tuple[str, JobState]]:
        """Wishes whose job has not been told to have ended."""
        rows = self._connection.execute("SELECT node, json FROM wishes WHERE exit_code IS NULL ORDER BY rowid").fetchall()
        return [(node, JobState.model_validate_json(text)) for node, text in rows]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def count(self) -> int:
        """How many jobs were ever wished."""
        return int(self._connection.execute("SELECT count(*) FROM wishes").fetchone()[0])


class SoakController:
    """States wishes and makes new ones until it is killed or has nothing to wish any more."""

    def __init__(self, credentials: Path, state: Path, seed: int) -> None:
        self._wishes = Wishes(state / "wishes.sqlite")
        self._journal = Journal.open(state / "controller.sqlite")
        told = read_credentials(credentials)
        self._nodes = (state / "nodes").read_text(encoding="utf-8").split()
        specs = [NodeSpec(name, IDLE_KW, IDLE_KW, PEAK_KW) for name in self._nodes]
        self._agents = RemoteAgents(told, specs)
        self._agents.start()
        self._inbox: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        for channel in (Channel.ACK, Channel.STATE):
            self._agents.transport.subscribe(topic(told.scenario, "+", channel), self._inbox.put)
        epoch = self._agents.next_epoch(self._journal, 0)
        self._chance = random.Random(f"{seed}/{epoch}")  # noqa: S311 (no secret)
        self._rough = Rough(self._agents.transport, self._chance)
        self._ledger = Ledger()
        peaks = dict.fromkeys(self._nodes, PEAK_KW)
        self._sender = Sender(told.scenario, self._rough, self._journal, self._ledger, peaks, epoch)
        self._sender.needs_cap |= set(self._nodes)
        self._calm, self._sign = False, state / "calm"

    def _be_calm(self) -> None:
        self._calm = self._rough.calm = True
        self._sender.caps_kw = {}
        for node, state in self._wishes.open():
            if state.state is JobWish.PAUSED:
                self._wishes.put(node, state.model_copy(update={"state": JobWish.RUNNING}))

    def run(self) -> None:
        """Until killed."""
        self._sender.begin_heartbeats()
        self._restate(self._wishes.open())
        restate_s = time.monotonic() + RESTATE_EVERY_S
        while True:
            time.sleep(WISH_EVERY_S)
            self._rough.let_out()
            self._listen()
            self._sender.repeat()
            if not self._calm and self._sign.exists():
                self._be_calm()
            if not self._calm:
                self._wish()
            if time.monotonic() > restate_s:
                restate_s = time.monotonic() + RESTATE_EVERY_S
                open_ones = self._wishes.open()
                self._restate(open_ones if self._calm else self._chance.sample(open_ones, len(open_ones) // 4))

    def _restate(self, wishes: Sequence[tuple[str, JobState]]) -> None:
        for node, state in wishes:
            self._sender.send(node, state, None, "soak: stated again")

    def _wish(self) -> None:
        """A new job, or another state for one, or another cap."""
        open_ones, node = self._wishes.open(), self._chance.choice(self._nodes)
        draw = self._chance.random()
        if draw < 0.1:
            low = dict.fromkeys(self._chance.sample(self._nodes, len(self._nodes) // 4), IDLE_KW + 0.1)
            self._sender.caps_kw = low
            return
        if draw < 0.5 or not open_ones:
            seconds = self._chance.uniform(1.0, JOB_S)
            job = f"{self._sender.epoch}-{self._wishes.count()}"
            state = JobState(
                job=job, state=JobWish.RUNNING, argv=("soak",), seconds=seconds, limit_s=10.0 * seconds, power_kw=JOB_KW
            )
        else:
            node, old = self._chance.choice(open_ones)
            if old.state is JobWish.STOPPED:
                return
            wish = self._chance.choices((JobWish.PAUSED, JobWish.RUNNING, JobWish.STOPPED), (3, 5, 1))[0]
            state = old.model_copy(update={"state": wish})
        self._wishes.put(node, state)
        self._sender.send(node, state, None, "soak")

    def _listen(self) -> None:
        deliveries = []
        while not self._inbox.empty():
            deliveries.append(self._inbox.get_nowait())
        for message, _ in understood(deliveries, lambda *_: None):
            if isinstance(message, NodeState):
                if message.epoch > self._sender.epoch:
                    self._sender.retire("another controller has taken over")
                for job, code in message.ended.items():
                    self._wishes.ended(message.node, job, code)
                continue
            entry = self._ledger.answered(message)
            if entry is not None and isinstance(entry.command.desired, JobState):
                self._ends(message, entry.command.desired)

    def _ends(self, message: Acknowledgement, desired: JobState) -> None:
        gone = message.stage is Stage.APPLIED and not message.measured.get("running", 1.0)
        if message.stage is Stage.ENDED or (gone and "exit_code" in message.measured):
            self._wishes.ended(message.node, desired.job, int(message.measured.get("exit_code", -1)))
        elif gone and desired.state is JobWish.STOPPED:
            self._wishes.ended(message.node, desired.job, -15)  # it had never begun there


def main() -> int:
    """Run until killed; 3 when another controller has taken over, or the broker went away for good."""
    try:
        SoakController(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])).run()
    except TransportError as error:
        print(error, file=sys.stderr, flush=True)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
