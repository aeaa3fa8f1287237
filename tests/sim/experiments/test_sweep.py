"""Sweeps that are killed, stopped or hindered, with real processes: nothing finished is lost, and the table is the same."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
from pathlib import Path

import pytest

from grid.errors import ExperimentError, InputError
from sim.experiments.columns import OF_THIS_SWEEP
from sim.experiments.pool import Lost
from sim.experiments.store import Store
from sim.experiments.sweep import News, run_sweep
from sim.experiments.sweep_file import load_sweep
from tests.sim.experiments.sweeps import SWEEP, alive, children, repeatable, start, sweep_file, wait_for

RUNS = 320
"""Runs of the sweep that is disturbed: a worker does hundreds of them in the time that a busy machine may need to look."""

LONGER = SWEEP.replace("count: 5", f"count: {RUNS // 4}")


def parts(folder: Path) -> int:
    """Finished runs that are not merged yet."""
    return len(list((folder / "parts").glob("*.parquet")))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the longer sweep that nobody disturbed, and its file beside it."""
    folder = tmp_path_factory.mktemp("whole")
    result = run_sweep(load_sweep(sweep_file(folder, LONGER)), folder / "out", workers=2)
    assert (result.runs, result.done, result.kept, result.failed) == (RUNS, RUNS, 0, ())
    return folder


@pytest.mark.slow
def test_a_sweep_that_is_killed_ends_with_the_same_table(whole: Path, tmp_path: Path) -> None:
    """SIGKILL half-way: its workers are gone too, what is finished is kept, and the rest gives the undisturbed table."""
    file, out = sweep_file(tmp_path, LONGER), tmp_path / "out"
    process = start("sweep", str(file), "--out", str(out), "--workers", "2")
    wait_for(lambda: parts(out) >= 10)
    workers = children(process.pid)
    process.kill()
    process.communicate()
    assert len(workers) == 2
    wait_for(lambda: not any(alive(pid) for pid in workers))
    kept = parts(out)
    assert 10 <= kept < RUNS
    assert not (out / "sweep.parquet").exists()
    again = start("sweep", str(file), "--out", str(out), "--workers", "2", "--json")
    text, words = again.communicate(timeout=250)
    assert again.returncode == 0, words
    told = json.loads(text)
    assert (told["kept"], told["done"], told["failed"]) == (kept, RUNS, [])
    # the version stands in the table, and this sweep has one; all else is the same
    same = [row | {"version": "", "key": ""} for row in repeatable(out)]
    assert same == [row | {"version": "", "key": ""} for row in repeatable(whole / "out")]
    assert parts(out) == 0
    assert not list(out.glob(".*.part"))


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished(tmp_path: Path) -> None:
    """SIGINT: exit code 130, one sentence, no traceback, no process left; the page can be made of what there is."""
    file, out = sweep_file(tmp_path, LONGER), tmp_path / "out"
    process = start("sweep", str(file), "--out", str(out), "--workers", "1")
    wait_for(lambda: parts(out) >= 3)
    workers = children(process.pid)
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=200)
    assert process.returncode == 130
    assert "runs are finished and kept in" in words
    assert "Traceback" not in words
    assert not any(alive(pid) for pid in workers)
    facts = json.loads((out / "sweep.json").read_text())
    assert facts["done"] == parts(out) < facts["runs"] == RUNS


def test_a_killed_worker_is_told_and_its_run_repeated(tmp_path: Path) -> None:
    """The only worker is killed in the middle: the sweep says which run it had, and misses none."""
    sweep = load_sweep(sweep_file(tmp_path, LONGER))
    before = children(os.getpid())
    killed: set[int] = set()
    words: list[str] = []

    def tell(news: News) -> None:
        """Kill the worker once."""
        words.append(news.words)
        if news.done == 4 and not killed:
            killed.update(children(os.getpid()) - before)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    result = run_sweep(sweep, tmp_path / "out", workers=1, tell=tell)
    assert (result.done, result.failed) == (RUNS, ())
    assert len(result.lost) == len(killed) == 1
    assert isinstance(result.lost[0], Lost)
    assert result.lost[0].pid in killed
    assert any(f"run {result.lost[0].run} is carried out again" in one for one in words)
    rows = repeatable(tmp_path / "out")
    assert [row["run"] for row in rows] == list(range(RUNS))
    assert json.loads((tmp_path / "out" / "sweep.json").read_text())["lost_workers"][0]["how"] == "killed by SIGKILL"


@pytest.mark.slow
def test_a_full_disk_is_one_clear_error_and_the_sweep_goes_on_later(tmp_path: Path) -> None:
    """A file that cannot grow beyond 4 kB stops the sweep at its first run: exit code 1, one sentence; later it is finished."""
    file, out = sweep_file(tmp_path), tmp_path / "out"

    def small_files() -> None:
        """Refuse files of more than 4 kB, as a full disk would."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    process = start("sweep", str(file), "--out", str(out), "--workers", "1", measured=False, preexec_fn=small_files)
    _, words = process.communicate(timeout=250)
    assert process.returncode == 1
    assert "cannot be written: File too large" in words
    assert "goes on from there" in words
    assert "Traceback" not in words
    assert parts(out) == 0
    assert not list((out / "parts").glob(".*"))
    result = run_sweep(load_sweep(file), out, workers=1)
    assert (result.done, result.failed) == (20, ())


def test_folders_that_cannot_be_written_or_are_taken(tmp_path: Path) -> None:
    """A folder under a file, and one in which another sweep is at work: told before anything runs."""
    sweep = load_sweep(sweep_file(tmp_path))
    with pytest.raises(ExperimentError, match="cannot be written: Not a directory"):
        run_sweep(sweep, tmp_path / "small.yaml" / "out")
    out = tmp_path / "out"
    out.mkdir()
    with (out / ".lock").open("w", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ExperimentError, match="another sweep is at work"):
            run_sweep(sweep, out)


def test_a_sweep_grows_and_is_never_mixed_with_another(tmp_path: Path) -> None:
    """More seeds run only what is new; a changed scenario is refused in the same folder, and what is there stays."""
    out = tmp_path / "out"
    first = run_sweep(load_sweep(sweep_file(tmp_path)), out, workers=1)
    rows = {row["key"]: row for row in repeatable(out)}
    more = run_sweep(load_sweep(sweep_file(tmp_path, SWEEP.replace("count: 5", "count: 6"))), out, workers=1)
    assert (first.done, more.kept, more.done) == (20, 20, 24)
    after = {row["key"]: row for row in repeatable(out)}
    assert {key: row | {"run": 0} for key, row in rows.items()} == {key: after[key] | {"run": 0} for key in rows}
    file = sweep_file(tmp_path)
    (tmp_path / "hall.yaml").write_text((tmp_path / "hall.yaml").read_text().replace("200", "210", 1), encoding="utf-8")
    with pytest.raises(InputError, match="24 finished runs that this sweep does not have"):
        run_sweep(load_sweep(file), out)
    assert len(repeatable(out)) == 24


def test_runs_that_fail_are_told_and_tried_again(tmp_path: Path) -> None:
    """A scenario that changes under the sweep fails its runs with words; the same command tries them again."""
    sweep = load_sweep(sweep_file(tmp_path))
    original = (tmp_path / "hall.yaml").read_text()
    (tmp_path / "hall.yaml").write_text(original + "# changed\n", encoding="utf-8")
    result = run_sweep(sweep, tmp_path / "out", workers=1)
    assert (result.done, len(result.failed)) == (0, 20)
    assert all("not what it was" in why for _, why in result.failed)
    assert not result.table.exists()
    (tmp_path / "hall.yaml").write_text(original, encoding="utf-8")
    again = run_sweep(sweep, tmp_path / "out", workers=1)
    assert (again.kept, again.done, again.failed) == (0, 20, ())


def test_a_part_that_is_no_file_of_ours_is_carried_out_again(whole: Path, tmp_path: Path) -> None:
    """A part that a failing disk cut short is told and replaced; a merged table that is none is an error of input."""
    sweep = load_sweep(sweep_file(tmp_path))
    out = tmp_path / "out"
    rows = repeatable(whole / "out")
    with Store(out, sweep) as store:
        for index in range(19):
            store.add(index, rows[index])
        last = list(sweep.runs())[3]
        (out / "parts" / f"{last.key}.parquet").write_bytes(b"PAR1")
    words: list[str] = []
    result = run_sweep(sweep, out, workers=1, tell=lambda news: words.append(news.words))
    assert (result.kept, result.done) == (18, 20)
    assert any("could not be read" in one for one in words)
    (out / "sweep.parquet").write_bytes(b"no table")
    with pytest.raises(InputError, match="no table of a sweep"):
        run_sweep(sweep, out)


def test_nothing_is_written_among_things_of_somebody_else(tmp_path: Path) -> None:
    """A folder with other files and a file are refused before anything is made; an empty folder is taken."""
    sweep = load_sweep(sweep_file(tmp_path))
    theirs, file, empty = tmp_path / "theirs", tmp_path / "file", tmp_path / "empty"
    theirs.mkdir()
    empty.mkdir()
    (theirs / "thesis.tex").touch()
    file.touch()
    for place, found in ((theirs, "a folder that holds thesis.tex and no sweep"), (file, "a file")):
        with pytest.raises(InputError, match=f"--out: found {found}"):
            Store(place, sweep).__enter__()
    assert [path.name for path in theirs.iterdir()] == ["thesis.tex"]
    with Store(empty, sweep):
        assert (empty / "parts").is_dir()


def test_only_origin_differs_when_runs_are_repeated(whole: Path) -> None:
    """Columns that may differ are those of times and places; what decides and tells a run's figures is not among them."""
    row = repeatable(whole / "out")[0]
    assert {"wall_s", "solve_s", "machine"} <= set(OF_THIS_SWEEP)
    assert {"run", "key", "objective_eur", "scenario_sha256", "version"} <= row.keys()
