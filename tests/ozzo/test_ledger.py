"""The ledger of commands: repeats, what it remembers, and how much of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ozzo import ledger as module
from ozzo.commands import Stage, answer
from ozzo.ledger import REMEMBER_S, RETRY_S, Ledger
from tests.ozzo.rig import run
from tests.ozzo.test_commands import command


def test_it_stays_bounded_and_its_totals_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand answered commands and ten known at most: never more than these and the open one; all of them are counted."""
    monkeypatch.setattr(module, "MOST_KEPT", 10)
    ledger = Ledger(lambda: 0.0)
    waiting = command(desired=run("waits"))
    ledger.add(waiting, b"")
    for _ in range(1000):
        sent = command(desired=run("j"))
        ledger.add(sent, b"")
        assert ledger.answered(answer(sent, Stage.APPLIED, datetime.now(UTC))) is not None
        assert len(ledger._closed) <= 11  # ten, and the one that was answered just now
    counts = ledger.counts()
    assert (counts.commands, counts.applied, counts.accepted, counts.failed) == (1001, 1000, 1000, 0)
    assert ledger.kept(waiting.id) is True
    assert ledger.is_open()


def test_many_open_ones_at_the_front_do_not_keep_the_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """More commands wait than are looked at for each new one: the answered ones behind them are forgotten all the same."""
    monkeypatch.setattr(module, "MOST_KEPT", 10)
    ledger = Ledger(lambda: 0.0)
    waiting = [command(desired=run(f"w{i}")) for i in range(3 * module.FORGET_AT_ONCE)]
    for sent in waiting:
        ledger.add(sent, b"")
    for _ in range(500):
        sent = command(desired=run("j"))
        ledger.add(sent, b"")
        ledger.answered(answer(sent, Stage.APPLIED, datetime.now(UTC)))
    assert (len(ledger._open), len(ledger._closed)) == (len(waiting), 11)
    assert ledger.counts().commands == len(waiting) + 500


def test_an_old_answer_is_forgotten_and_an_open_command_is_not() -> None:
    """After an hour only the totals know of an answered command; an answer to it then is not of a known one."""
    now = [0.0]
    ledger = Ledger(lambda: now[0])
    answered, waiting = command(desired=run("a")), command(desired=run("b"))
    ledger.add(answered, b"", kept=False)
    ledger.add(waiting, b"")
    assert ledger.kept(answered.id) is False
    ledger.answered(answer(answered, Stage.APPLIED, datetime.now(UTC)))
    now[0] = REMEMBER_S + 1.0
    ledger.add(command(desired=run("c")), b"")
    assert ledger.kept(answered.id) is None
    assert ledger.answered(answer(answered, Stage.ENDED, datetime.now(UTC))) is None
    assert ledger.kept(waiting.id) is True
    assert (ledger.counts().commands, ledger.counts().applied) == (3, 1)


def test_repeats_come_after_1_3_and_9_seconds_until_the_not_after() -> None:
    """Decision 0015: what is not answered is repeated more and more rarely, and given up once when its not-after is past."""
    now = [0.0]
    ledger = Ledger(lambda: now[0])
    lasting = command(desired=run("j"), not_after=datetime.now(UTC) + timedelta(hours=1))
    ledger.add(lasting, b"")
    repeated = []
    for tenth in range(1, 120):
        now[0] = tenth / 10.0
        if ledger.due()[0]:
            repeated.append(now[0])
    assert repeated == [RETRY_S, 3.0, 9.0]
    old = command(desired=run("k"), not_after=datetime.now(UTC) - timedelta(seconds=1))
    ledger.add(old, b"")
    now[0] += 2.0
    assert [entry.command.id for entry in ledger.due()[1]] == [old.id]
    assert ledger.due() == ([], [])
    assert ledger.counts().silent == 1
