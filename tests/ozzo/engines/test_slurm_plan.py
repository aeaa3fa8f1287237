"""Queue entries, users' words and actions, without a cluster (tests/live/test_slurm.py has a real one)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import InputError
from ozzo.engines.queue import Action, Do, EngineError, QueuedJob, State, Wish
from ozzo.engines.queue_plan import actions, left_out, with_queue
from ozzo.engines.queue_shed import Rung, climb, ladder, restore
from ozzo.engines.slurm import Slurm, SlurmError, queued, wish_of
from scheduler.build import build_problem
from scheduler.optimiser.policy import MilpPolicy
from scheduler.scenario import Scenario
from scheduler.workload import JobKind
from tests.factory import START, small_scenario

NOW = START + timedelta(minutes=10)
ENTRY: dict[str, Any] = {
    "job_id": 7, "name": "wrap", "user_name": "ada", "partition": "main", "job_state": "PENDING", "priority": 0, "node_count": 2,
    "cpus": 4, "submit_time": 1_800_000_000, "start_time": 0, "time_limit": 90, "deadline": 0, "comment": "ozzo",
    "pre_sus_time": 0, "suspend_time": 0,
}  # fmt: skip


def job(number: int = 1, comment: str = "ozzo", **changes: Any) -> QueuedJob:
    """A held job of one node and an hour."""
    wish, faults = wish_of(comment, START, None)
    plain = QueuedJob(number, "wrap", "ada", State.PENDING, True, 1, 16, START, None, 3600.0, 0.0, wish, faults)
    return replace(plain, **changes)


def entry(**changes: Any) -> QueuedJob:
    """The job of a changed entry."""
    found = queued(ENTRY | changes)
    assert found is not None
    return found


def hall() -> Scenario:
    """A day with the site that the cluster is."""
    return small_scenario(jobs=(), datasets=(), links=())


def test_both_formats_of_numbers() -> None:
    """22.05 tells bare numbers, later versions say whether they are set."""

    def wrapped(value: int, *, known: bool = True) -> dict[str, Any]:
        return {"set": known, "infinite": False, "number": value}

    later = ENTRY | {name: wrapped(ENTRY[name]) for name in ("priority", "cpus", "node_count", "time_limit", "submit_time")}
    later |= {"deadline": wrapped(0, known=False), "start_time": wrapped(0), "job_state": ["PENDING"], "hold": True}
    assert queued(later) == queued(ENTRY)
    assert entry().limit_s == 5400
    assert entry().held
    assert entry(time_limit={"set": True, "infinite": True, "number": 0}).limit_s is None
    assert queued(ENTRY | {"job_state": "COMPLETING"}) is None


def test_run_time_counts_pauses_out() -> None:
    """Time before a pause counts; the pause does not."""
    begun = datetime.now(UTC).timestamp() - 100
    times = {"start_time": begun, "suspend_time": begun + 90, "pre_sus_time": 30}
    assert entry(job_state=State.RUNNING, **times).ran_s == pytest.approx(40, abs=2)
    assert entry(job_state=State.SUSPENDED, **times).ran_s == 30


@pytest.mark.parametrize(
    ("comment", "hours", "pausable"),
    [("ozzo", 24, False), ("ozzo: pausable", 24, True), ("ozzo:deadline=+1.5h , pausable", 1.5, True)],
)
def test_words_of_users(comment: str, hours: float, pausable: bool) -> None:
    """The tag, a deadline, a permission."""
    assert wish_of(comment, START, None) == (Wish(START + timedelta(hours=hours), pausable), ())


def test_deadlines() -> None:
    """Slurm's own deadline makes a job deferrable; of two deadlines the earlier one holds; without either it is not ours."""
    late = START + timedelta(hours=5)
    assert wish_of("", START, late)[0] == Wish(late)
    assert wish_of("anything", START, None) == (None, ())
    assert wish_of("ozzo: deadline=+3h", START, late)[0] == Wish(START + timedelta(hours=3))
    assert wish_of("ozzo: deadline=+9h", START, late)[0] == Wish(late)


@pytest.mark.parametrize("text", ["soon", "deadline=tomorrow", "deadline=+2d", "deadline=2026-12-01T18:00", "deadline=+1e99h"])
def test_words_that_are_not_known(text: str) -> None:
    """A typing error is told and never guessed at."""
    wish, faults = wish_of(f"ozzo: {text}", START, None)
    assert wish is None
    assert [text.removeprefix("deadline=") in fault and "expected" in fault for fault in faults] == [True]


def test_every_fault_of_a_comment_is_told() -> None:
    """Two typing errors are two faults, beside a word that can be read."""
    assert len(wish_of("ozzo: soon, pausable, deadline=tomorrow", START, None)[1]) == 2


@given(st.text(max_size=40))
def test_any_comment_is_read_or_told(text: str) -> None:
    """No comment crashes the reader: it is read, it is nobody's, or the error says what was expected."""
    for comment in (text, f"ozzo: {text}"):
        wish, faults = wish_of(comment, START, None)
        assert wish is None or not faults
        assert all("expected" in fault for fault in faults)


def test_queue_in_a_plan() -> None:
    """What may move is a job until its deadline; what runs holds its node; what has no limit or does not fit is told."""
    running = job(2, state=State.RUNNING, held=False, comment="", ran_s=1800.0)
    endless, wide, late = job(3, limit_s=None), job(4, cores=999), job(5, comment="ozzo: deadline=+0.5h")
    waiting = job(6, comment="", held=False)
    found = with_queue(hall(), "hall", [job(1), running, endless, wide, late, waiting], NOW, (50, 999))
    assert set(found.ours) == {"slurm-1"}
    assert set(found.others) == {"slurm-2"}
    assert [finding.field for finding in found.findings] == ["slurm-3", "slurm-4", "slurm-5"]
    assert found.scenario.horizon.start == START + timedelta(hours=1)
    planned = {each.name: each for each in found.scenario.jobs}
    assert planned["slurm-2"].deadline - planned["slurm-2"].release == timedelta(hours=1)
    plan = MilpPolicy().plan(build_problem(found.scenario))
    todo = actions(found, plan)
    assert [action.job for action in todo] == [1]
    assert todo[0].do in {Do.START_AT, Do.START_NOW}


def test_actions_of_pauses() -> None:
    """What is planned later is suspended, what is planned now is resumed; pauses come before resumes and starts."""
    going = job(1, state=State.RUNNING, held=False, comment="ozzo: pausable")
    still = job(2, state=State.SUSPENDED, held=False, comment="ozzo: pausable")
    found = with_queue(hall(), "hall", [going, still, job(3), job(4, held=False)], NOW, (50, 999))
    assert found.scenario.jobs[0].kind is JobKind.INTERRUPTIBLE
    plan = MilpPolicy().plan(build_problem(found.scenario))
    run = plan.runs[0]
    runs = (
        replace(run, job="slurm-1", start=3, end=4),
        replace(run, job="slurm-2", start=0, end=1),
        replace(run, job="slurm-3", start=0, end=1),
    )
    todo = actions(found, replace(plan, runs=runs))
    assert [(action.job, action.do) for action in todo] == [
        (4, Do.HOLD),
        (1, Do.SUSPEND),
        (2, Do.RESUME),
        (3, Do.START_NOW),
    ]


def test_what_the_plan_leaves_out_is_told() -> None:
    """A running job that may be paused is suspended, one that waits is held; what stays as it is, is told, too, with its fate."""
    free: dict[str, Any] = {"held": False, "comment": "ozzo: pausable"}
    queue = [
        job(1, state=State.RUNNING, **free),
        job(2, state=State.SUSPENDED, **free),
        job(3, held=False),
        job(4),
        job(5, state=State.RUNNING, held=False, comment=""),
    ]
    found = with_queue(hall(), "hall", queue, NOW, (50, 999))
    plan = replace(MilpPolicy().plan(build_problem(found.scenario)), runs=())
    assert [(action.job, action.do) for action in actions(found, plan)] == [(3, Do.HOLD), (1, Do.SUSPEND)]
    told = {finding.field: finding.found.partition(";")[0] for finding in left_out(found, plan)}
    assert told == {
        "slurm-1": "left out, to be suspended",
        "slurm-2": "left out, stays suspended",
        "slurm-3": "left out, to be held",
        "slurm-4": "left out, stays held",
        "slurm-5": "left out, but it runs on and may not be paused, so more power is drawn than planned",
    }


def test_what_runs_holds_its_nodes_whatever_is_known_of_it() -> None:
    """Without a limit until the end of the horizon; a pausable job that is late anyway is told and runs on, not paused."""
    endless = job(1, state=State.RUNNING, held=False, comment="", limit_s=None)
    late = job(2, state=State.RUNNING, held=False, comment="ozzo: pausable, deadline=+1h", limit_s=7200.0)
    found = with_queue(hall(), "hall", [endless, late], NOW, (50, 999))
    assert (set(found.ours), set(found.others)) == (set(), {"slurm-1", "slurm-2"})
    assert [finding.field for finding in found.findings] == ["slurm-2"]
    ends = {each.name: each.deadline for each in found.scenario.jobs}
    assert ends == {"slurm-1": found.scenario.horizon.end, "slurm-2": found.scenario.horizon.start + timedelta(hours=2)}
    plan = MilpPolicy().plan(build_problem(found.scenario))
    assert actions(found, plan) == []
    assert left_out(found, plan) == ()


def test_no_queued_job_is_worth_one_that_runs() -> None:
    """A wide running job that nobody may pause keeps its nodes, although four waiting ones would fit in its place."""
    scenario = hall()
    nodes = sum(group.count for site in scenario.sites if site.name == "hall" for group in site.nodes)
    wide = job(1, state=State.RUNNING, held=False, comment="", tasks=nodes, cores=16 * nodes, limit_s=None)
    queue = [wide, *(job(number) for number in range(2, 6))]
    found = with_queue(scenario, "hall", queue, NOW, (50, 999))
    plan = MilpPolicy().plan(build_problem(found.scenario))
    assert {run.job for run in plan.runs} == {"slurm-1"}
    assert [finding.field for finding in left_out(found, plan)] == [f"slurm-{number}" for number in range(2, 6)]


def test_what_does_not_fit_is_refused() -> None:
    """Another time, another site, a smaller cluster."""
    with pytest.raises(EngineError, match="the scenario is of"):
        with_queue(hall(), "hall", [], START - timedelta(hours=1), (50, 99))
    with pytest.raises(EngineError, match="no slot of the scenario is left"):
        with_queue(hall(), "hall", [], hall().horizon.end - timedelta(minutes=1), (50, 99))
    with pytest.raises(EngineError, match="no site 'attic'"):
        with_queue(hall(), "attic", [], NOW, (50, 99))
    with pytest.raises(EngineError, match="site hall has 4 nodes, the cluster has 1"):
        with_queue(hall(), "hall", [], NOW, (1, 99))
    with pytest.raises(EngineError, match="site hall has 64 cores, the cluster has 8"):
        with_queue(hall(), "hall", [], NOW, (4, 8))


@given(st.lists(st.tuples(st.floats(0.1, 5), st.floats(-5, 50)), max_size=12), st.floats(0, 20))
def test_a_ladder_frees_enough_with_no_rung_too_many(rungs: list[tuple[float, float]], kw: float) -> None:
    """Enough is freed where it can be; without its last rung it would not be enough."""
    ordered = [Rung(number, power, slack) for number, (power, slack) in enumerate(rungs)]
    taken = climb(ordered, kw)
    freed = sum(rung.kw for rung in taken)
    assert freed >= kw - 1e-9 or len(taken) == len(ordered)
    assert not taken or freed - taken[-1].kw < kw


def test_the_ladder_takes_those_first_that_can_wait_longest() -> None:
    """Rigid jobs and those whose comment cannot be read are not on it."""
    common = {"state": State.RUNNING, "held": False}
    queue = [
        job(1, comment="ozzo: pausable, deadline=+5h", **common),
        job(2, comment="ozzo: pausable, deadline=+9h", **common),
        job(3, comment="ozzo", **common),
        job(4, comment="ozzo: whenever", **common),
    ]
    rungs = ladder(next(site for site in hall().sites if site.name == "hall"), queue, START)
    assert [rung.job for rung in rungs] == [2, 1]
    assert rungs[0].slack_h == pytest.approx(8.0)


def test_restore_of_nothing_and_of_a_broken_book(tmp_path: Path) -> None:
    """Both are told; a book of another partition too."""
    with pytest.raises(EngineError, match="nothing was shed"):
        restore(Slurm("main"), tmp_path / "none.json")
    book = tmp_path / "book.json"
    book.write_text("{}")
    with pytest.raises(InputError, match="a book of shed load"):
        restore(Slurm("main"), book)
    written = {"title": "partition other", "mark": "m", "jobs": [1], "waiting": [], "kw": 1.0, "asked_kw": 1.0}
    book.write_text(json.dumps(written | {"reason": "", "since": "", "was_open": True}))
    with pytest.raises(EngineError, match="on partition other"):
        restore(Slurm("main"), book)


def test_slurm_that_is_not_there_hangs_or_talks_nonsense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No program, no answer in time, an answer in no known format: each in plain words."""

    def program(text: str) -> None:
        file = tmp_path / "squeue"
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    monkeypatch.setattr("ozzo.engines.slurm.shutil.which", lambda _name, **_: None)
    with pytest.raises(SlurmError, match="squeue is not on this machine"):
        Slurm("main").queue()
    monkeypatch.setattr("ozzo.engines.slurm.shutil.which", lambda name, **_: str(tmp_path / name))
    program("exec sleep 5")
    with pytest.raises(SlurmError, match=r"no answer in 0\.2 s"):
        Slurm("main", timeout_s=0.2).queue()
    program('echo \'{"jobs": [{"partition": "main"}]}\'')
    with pytest.raises(SlurmError, match="not in a format that is known"):
        Slurm("main").queue()
    program("echo 'slurm_load_jobs error' >&2; exit 1")
    with pytest.raises(SlurmError, match="slurm_load_jobs error"):
        Slurm("main").queue()


@pytest.mark.parametrize(
    ("do", "state", "expected"),
    [
        (Do.HOLD, "RUNNING", "it is RUNNING meanwhile"),
        (Do.START_AT, "COMPLETING", "it is gone or over"),
        (Do.SUSPEND, "PENDING", "it is PENDING meanwhile"),
        (Do.SUSPEND, "SUSPENDED", ""),
        (Do.START_NOW, "RUNNING", ""),
        (Do.RESUME, "SUSPENDED", None),
    ],
)
def test_a_job_that_went_on_while_the_plan_was_made(
    do: Do, state: str, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm refuses: what the job does now is the answer, nothing where it is as wished; otherwise it is Slurm's error."""
    for name, text in (("squeue", f"cat {tmp_path}/told"), ("scontrol", "echo 'no longer pending' >&2; exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "told").write_text(json.dumps({"jobs": [ENTRY | {"job_state": state}]}))
    monkeypatch.setattr("ozzo.engines.slurm.shutil.which", lambda name, **_: str(tmp_path / name))
    action = Action(7, do, START, "a test")
    if expected is None:
        with pytest.raises(SlurmError, match="no longer pending"):
            Slurm("main").carry_out(action)
    else:
        assert Slurm("main").carry_out(action) == expected
