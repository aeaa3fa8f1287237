"""The counters of a soak: each counts what it is for, by hand, and nothing else."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ozzo.agent.shared_journal import SharedJournal
from ozzo.bench.soak import FAULTS
from ozzo.bench.soak_controller import Rough, Wishes
from ozzo.bench.soak_counts import Accepted, Draw, caps_exceeded, counts_of, lost, stale
from ozzo.commands import JobState, JobWish
from ozzo.transport import MemoryHub
from tests.ozzo.rig import run

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def draws(*rows: tuple[float, float, float | None, float | None]) -> list[Draw]:
    """Rows of one node."""
    return [Draw("n", *row) for row in rows]


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ([(0, 0.4, None, None)], 0),  # nobody ever spoke to it
        ([(0, 0.4, 0.4, 1000)], 0),  # at its cap
        ([(0, 0.4, 0.3, 1000)], 1),  # above its cap for 100 s
        ([(0, 0.4, 0.3, 1000), (10, 0.1, 0.3, 1000)], 0),  # above it for 10 s
        ([(0, 0.4, 0.3, 1000), (10, 0.4, 0.2, 1000), (20, 0.1, 0.2, 1000)], 1),  # 20 s, in two pieces
        ([(0, 0.4, 0.3, 9), (9, 0.1, 0.3, 9), (12, 0.4, 0.3, 50), (20, 0.1, 0.1, 50)], 0),  # 9 s and 8 s, a pause between
        ([(0, 0.4, 0.4, 5), (15, 0.1, 0.1, 5)], 0),  # 10 s above failsafe without a lease
        ([(0, 0.4, None, 5)], 1),  # 95 s above failsafe without a lease
    ],
)
def test_caps(rows: list[tuple[float, float, float | None, float | None]], count: int) -> None:
    """Above the cap, or above failsafe once the lease is over, for more than a lease of 15 s and a second."""
    assert caps_exceeded(draws(*rows), 0.1, 100.0) == count


def test_stale_epochs() -> None:
    """A lower epoch after a higher one on the same node counts; on another node it does not."""
    row = [("a", 1), ("a", 2), ("b", 1), ("a", 1), ("a", 2)]
    assert stale(Accepted(node, epoch, NOW, NOW) for node, epoch in row) == 1


@pytest.mark.parametrize(
    ("code", "known", "running", "count"),
    [(0, 0, False, 0), (-15, -15, False, 0), (-15, None, False, 0), (None, 0, False, 1), (0, None, False, 1), (0, 0, True, 1),
     (0, -15, False, 1), (-9, -9, False, 1)],
)  # fmt: skip
def test_lost_jobs(code: int | None, known: int | None, running: bool, count: int) -> None:
    """An end that nobody knows, that the two tell otherwise, of a job that still runs, or by a signal that nobody wished."""
    key = ("n", "j")
    assert lost([("n", "j", code)], {} if known is None else {key: known}, {key} if running else set()) == count


def test_counts_from_files(tmp_path: Path) -> None:
    """A job that was started twice, a command accepted too late, and a crash are counted from what was written down."""
    journal = SharedJournal(tmp_path / "nodes.sqlite", keeps_draws=True)
    journal.commit(NOW)
    journal.close()
    wishes = Wishes(tmp_path / "wishes.sqlite")
    wishes.put("n", JobState(job="j", state=JobWish.RUNNING, argv=("x",)))
    wishes.ended("n", "j", 0)
    assert (wishes.open(), wishes.count()) == ([], 1)
    wishes.close()
    with sqlite3.connect(tmp_path / "nodes.sqlite") as nodes:
        for _ in range(2):
            nodes.execute("INSERT INTO starts (node, job, command, at) VALUES ('n', 'j', 'c', 0)")
        late = (NOW + timedelta(seconds=1)).isoformat()
        nodes.execute(
            "INSERT INTO commands (node, id, epoch, not_after, at, json, answer) VALUES ('n', 'c', 1, ?, ?, '', '')",
            (NOW.isoformat(), late),
        )
        nodes.execute("INSERT INTO ended (node, job, command, exit_code) VALUES ('n', 'j', 'c', 0)")
    nodes.close()
    counts, done = counts_of(tmp_path / "nodes.sqlite", tmp_path / "wishes.sqlite", 0.1, crashes=1)
    assert asdict(counts) == {
        "cap_exceeded": 0, "jobs_lost": 0, "effects_doubled": 1, "stale_epoch_acted": 0, "expired_acted": 1, "crashes": 1,
    }  # fmt: skip
    assert not counts.clean
    assert done == {"jobs": 1, "starts": 1, "commands_accepted": 1, "epochs": 1}


def test_a_rough_transport() -> None:
    """Of a thousand messages some are lost, some come twice and some later; once it is calm all come once."""
    hub = MemoryHub()
    got: list[bytes] = []
    hub.connect().subscribe("a", lambda delivery: got.append(delivery.payload))
    rough = Rough(hub.connect(), random.Random(1))
    for i in range(1000):
        rough.publish("a", str(i).encode())
    assert len(set(got)) < 1000
    assert len(set(got)) < len(got)
    rough.calm = True
    got.clear()
    for i in range(100):
        rough.publish("a", str(i).encode())
    assert len(got) == 100


def test_every_fault_has_a_weight() -> None:
    """A fault that is never drawn would be none."""
    assert all(weight > 0 for _, weight in FAULTS.values())


def test_a_wish_is_on_disk_before_it_is_told(tmp_path: Path) -> None:
    """What was wished last is found again by the next process, whatever was wished before."""
    wishes = Wishes(tmp_path / "w")
    for state in (JobWish.RUNNING, JobWish.PAUSED):
        wishes.put("n", run("j").model_copy(update={"state": state}))
    other = Wishes(tmp_path / "w")
    assert [(node, wish.state) for node, wish in other.open()] == [("n", JobWish.PAUSED)]
    wishes.close()
    other.close()
