"""The pool of processes: lost workers are known by their run, and no process outlives the pool."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from grid.errors import ExperimentError
from sim.experiments.pool import ATTEMPTS, Done, Lost, ProcessPool
from tests.sim.experiments.sweeps import children, wait_for

DEADLY = """
import json, os, signal, sys
print(json.dumps({"ready": os.getpid()}), flush=True)
for line in sys.stdin:
    task = json.loads(line)
    if task.get("deadly"):
        print("out of memory", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if task.get("leaves"):
        sys.exit(3)
    if task.get("sleeps"):
        signal.pause()
    print(json.dumps({"row": {"twice": 2 * task["run"]}} if task["run"] != 4 else {"trouble": "four"}), flush=True)
"""


def stub(folder: Path, text: str = DEADLY) -> tuple[str, ...]:
    """A worker that does as it is told."""
    file = folder / "stub.py"
    file.write_text(text, encoding="utf-8")
    return (sys.executable, str(file))


@pytest.mark.parametrize("workers", [1, 3])
def test_every_task_is_done_once(workers: int, tmp_path: Path) -> None:
    """Rows and troubles come back under their run, whoever carried them out."""
    before = children(os.getpid())
    with ProcessPool(workers, stub(tmp_path)) as pool:
        found = list(pool.results([{"run": k} for k in range(10)]))
    assert all(isinstance(event, Done) for event in found)
    done = {event.run: event for event in found if isinstance(event, Done)}
    assert {run: event.row and event.row["twice"] for run, event in done.items()} == {
        run: None if run == 4 else 2 * run for run in range(10)
    }
    assert done[4].trouble == "four"
    assert children(os.getpid()) <= before


def test_a_run_that_takes_its_process_with_it_fails_after_some_attempts(tmp_path: Path) -> None:
    """Each lost process is told with its run, signal and last words; the others are done all the same."""
    tasks = [{"run": 0}, {"run": 1, "deadly": True}, {"run": 2}, {"run": 3, "leaves": True}]
    with ProcessPool(2, stub(tmp_path)) as pool:
        found = list(pool.results(tasks))
    lost = [event for event in found if isinstance(event, Lost)]
    assert [event.run for event in lost].count(1) == [event.run for event in lost].count(3) == ATTEMPTS
    assert {event.how for event in lost if event.run == 1} == {"killed by SIGKILL: out of memory"}
    assert {event.how for event in lost if event.run == 3} == {"ended with code 3"}
    assert len({event.pid for event in lost}) == 2 * ATTEMPTS
    done = {event.run: event for event in found if isinstance(event, Done)}
    assert done[1].row is None
    assert "3 worker processes were lost with it" in done[1].trouble
    assert done[0].row == {"twice": 0}
    assert done[2].row == {"twice": 4}


def test_workers_that_do_not_start_are_an_error(tmp_path: Path) -> None:
    """A worker that dies before its first word ends the sweep, with that word; so does a program that is not there."""
    with (
        ProcessPool(2, stub(tmp_path, "import sys; sys.exit('no numpy here')")) as pool,
        pytest.raises(ExperimentError, match="does not start: ended with code 1: no numpy here"),
    ):
        list(pool.results([{"run": 0}, {"run": 1}]))
    with ProcessPool(1, (str(tmp_path / "nothing"),)) as pool, pytest.raises(ExperimentError, match="does not start"):
        list(pool.results([{"run": 0}]))


def test_closing_ends_what_is_at_work(tmp_path: Path) -> None:
    """Whoever stops in the middle leaves no process behind."""
    before = children(os.getpid())
    with ProcessPool(2, stub(tmp_path)) as pool:
        found = pool.results([{"run": 0}, {"run": 1, "sleeps": True}, {"run": 2, "sleeps": True}, {"run": 3}])
        assert next(found) == Done(0, {"twice": 0}, "", 1)
        wait_for(lambda: len(children(os.getpid()) - before) == 2)
    assert children(os.getpid()) <= before
