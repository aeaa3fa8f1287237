"""The book of jobs on nodes, what a run's end is judged by, and what children may know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ozzo.book import JobBook, few
from ozzo.commanding import _trouble
from ozzo.commands import JobState, JobWish
from ozzo.environment import PASSED_ON, child_environment
from ozzo.orders import Order
from ozzo.run import _carried_out
from sim.record import Commanding

NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def order(job: str, node: str, wish: JobWish = JobWish.RUNNING, until: datetime = NOON) -> Order:
    """An order of a plan that wants the job done at ``until``."""
    return Order(NOON - HOUR, node, JobState(job=job, state=wish, argv=("sleep", "1")), "", "plan", until)


def commanding(**changes: object) -> Commanding:
    """A commanding in which all went well, but for ``changes``."""
    values = {"commands": 4, "accepted": 4, "applied": 4, "failed": 0, "late": 0, "jobs_run": 4, "worst_ack_s": 0.1}
    return Commanding(**({"transport": "memory", "nodes": 7, "speed": 1.0} | values | changes))  # type: ignore[arg-type]


def test_a_job_that_never_ran_failed_and_one_whose_time_is_to_come_did_not() -> None:
    """Ended well, ended badly, never ended, still to end, and of no node: only the first has run, the last but one is open."""
    book = JobBook(untold={"nowhere"})
    for name in ("good", "bad", "silent"):
        book.give(order(name, "a"))
    book.give(order("later", "a", until=NOON + HOUR))
    book.ended(("good", "a"), 0)
    book.ended(("bad", "a"), 3)
    assert book.outcome(NOON) == (("good",), ("bad", "nowhere", "silent"))
    assert book.outcome(NOON + 2 * HOUR) == (("good",), ("bad", "later", "nowhere", "silent"))


def test_a_job_is_judged_where_the_plan_left_it() -> None:
    """A job that moved to another node has run when it ended well there; one that was taken away counts as neither."""
    book = JobBook()
    for name in ("moved", "dropped"):
        book.give(order(name, "a"))
        book.give(order(name, "a", JobWish.STOPPED))
        book.ended((name, "a"), -15)
    book.give(order("moved", "b"))
    book.ended(("moved", "b"), 0)
    assert book.outcome(NOON) == (("moved",), ())


def test_an_end_that_got_lost_is_booked_from_a_state() -> None:
    """Only for jobs that were given, only when the node had seen the last command about them, and never over a known end."""
    book = JobBook()
    for name in ("heard", "newer", "known"):
        book.give(order(name, "a"))
        book.sequences[(name, "a")] = 5
    book.sequences["newer", "a"] = 9
    book.ended(("known", "a"), 0)
    book.heard("a", {"heard": 3, "newer": 3, "known": 3, "stranger": 3}, 7)
    book.heard("b", {"heard": 4}, 7)
    assert book.exits == {("known", "a"): 0, ("heard", "a"): 3}
    book.give(order("heard", "a"))  # it is to run again: the old end counts no more
    book.sequences["heard", "a"] = 10
    book.heard("a", {"heard": 3}, 7)
    assert ("heard", "a") not in book.exits


def test_a_process_that_starts_again_is_alive_again() -> None:
    """A new order to run takes back a bad end, not a good one; nobody waits for a silent node; what it lost can be told."""
    book = JobBook()
    book.give(order("j", "a"))
    book.refused(("j", "a"))
    assert not book.alive()
    book.give(order("j", "a"))
    assert book.ending(())
    assert not book.ending({"a"})
    assert book.lost("a") == [order("j", "a")]
    assert book.lost("b") == []
    book.ended(("j", "a"), 0)
    book.refused(("j", "a"))
    book.give(order("j", "a"))
    assert book.outcome(NOON) == (("j",), ())


@given(st.dictionaries(st.tuples(st.sampled_from("jkl"), st.sampled_from("abc")), st.sampled_from([None, 0, 1, -9])))
def test_once_all_time_is_over_every_job_has_run_or_failed(ends: dict[tuple[str, str], int | None]) -> None:
    """At the end each ordered job is in exactly one of the two lists, and has run only if it ended well everywhere."""
    book = JobBook()
    for (job, node), code in ends.items():
        book.give(order(job, node))
        if code is not None:
            book.ended((job, node), code)
    run, failed = book.outcome(NOON)
    assert sorted(run + failed) == sorted({job for job, _ in ends})
    assert set(run) == {job for job, _ in ends if all(code == 0 for (other, _), code in ends.items() if other == job)}


def test_few_names_are_told_in_full_and_many_are_counted() -> None:
    """Up to five names, sorted; of more, the number."""
    assert few(["b", "a"]) == "a, b"
    assert few(map(str, range(7))) == "0, 1, 2, 3, 4 and 2 more"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"silent_nodes": ("hall.rack-0", "hall.rack-1")}, ["2 of 7 nodes fell silent", "hall.rack-0, hall.rack-1"]),
        ({"jobs_failed": 1, "jobs_run": 3}, ["1 of the 4 jobs"]),
    ],
)
def test_trouble_is_a_note_and_an_exit_code(changes: dict[str, object], said: list[str]) -> None:
    """Silent nodes and failed jobs stand in the notes in words, and the run does not count as carried out."""
    notes = _trouble(commanding(**changes))
    assert len(notes) == 1
    assert all(words in notes[0] for words in said)
    assert not _carried_out(commanding(**changes))


def test_no_trouble_no_note() -> None:
    """All well, or nothing commanded: exit code 0, no note; a command that failed and was stated again is no failed run."""
    assert _trouble(commanding()) == []
    assert _carried_out(commanding())
    assert _carried_out(None)
    assert _carried_out(commanding(failed=1))


def test_a_child_gets_only_what_is_listed() -> None:
    """Of an environment, the listed variables and the given ones pass; a token does not."""
    environment = {"PATH": "/bin", "OZZO_INFLUX_TOKEN": "secret", "HOME": "/nowhere", "COVERAGE_PROCESS_CONFIG": "x"}
    assert child_environment(environment, PYTHONPATH="p") == {"PATH": "/bin", "COVERAGE_PROCESS_CONFIG": "x", "PYTHONPATH": "p"}
    assert not any(word in name for name in PASSED_ON for word in ("TOKEN", "PASSWORD", "SECRET", "KEY"))
