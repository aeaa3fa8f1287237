"""``ozzo bench optimiser``: what it runs, what it says, what it refuses, and that a wrong solution never looks right."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from grid.errors import OzzoError
from ozzo.bench import run as bench_run
from ozzo.bench.child import compiled_s
from ozzo.bench.cpsat import in_watts, solve_cpsat
from ozzo.bench.process import run_process
from ozzo.bench.rows import Judgement, Row, print_table
from ozzo.bench.run import BenchOptions, run_bench
from ozzo.console import Console
from scheduler.optimiser.case_file import read_case, write_case
from scheduler.optimiser.case_maker import SIZES, Size, make_case
from sim.case_check import check_case
from tests.cases import all_dropped

ROOT = Path(__file__).parent.parent.parent
SOLVERS = "tests.ozzo.bench_solvers"


def ozzo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line as a user calls it; children find the tests' solvers."""
    command = [sys.executable, "-c", "from ozzo.cli import main; main()", "bench", "optimiser", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=240, env=environment)


def measured(*arguments: str, solver: str = "solve_case") -> tuple[int, list[dict[str, Any]]]:
    """Exit code and rows of a run of one of the tests' solvers."""
    done = ozzo(*arguments, "--json", "--solver", f"{SOLVERS}:{solver}")
    assert "Traceback" not in done.stderr
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["rows"]


def judge(path: Path, says: str) -> Path:
    """A judge that says what it is told to."""
    path.write_text(f"import sys\nassert len(sys.argv) == 3\nprint('thinking')\n{says}\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two instances, one of size S and one that counts to S by its jobs."""
    place = tmp_path / "instances"
    place.mkdir()
    write_case(place / "S.npz", make_case(SIZES["S"], 1))
    write_case(place / "little.npz", make_case(Size("little", 30, 3, 48, 0.5, None, 5.0, 0), 1))
    return place


def test_every_instance_of_a_folder_is_solved_and_written_under_its_name(folder: Path, tmp_path: Path) -> None:
    """Smallest first; the solution file holds decisions and the claimed bound, and its exact objective is the one in the row."""
    code, rows = measured("--instances", str(folder), "--against", "none", "--write-solutions", str(tmp_path / "out"))
    assert code == 0
    assert [row["instance"] for row in rows] == ["little", "S"]
    for row in rows:
        assert row["solution"] == str(tmp_path / "out" / f"{row['instance']}.npz")
        with np.load(row["solution"]) as file:
            assert float(file["bound"]) == pytest.approx(row["bound_eur"])
            assert len(file["choice"]) == row["jobs"]
        assert row["check"]["feasible"] is True
        assert row["bound_eur"] <= row["objective_eur"] == pytest.approx(row["claimed_eur"])
        assert row["gap"] == pytest.approx((row["objective_eur"] - row["bound_eur"]) / row["objective_eur"])
        assert row["total_s"] > 0
        assert row["peak_memory_mb"] > 30
        assert (row["build_s"], row["solve_s"], row["compile_s"]) == (0.25, 0.5, 0.0)


@pytest.mark.slow
def test_instances_are_made_by_size_seed_and_shapes(tmp_path: Path) -> None:
    """Without a folder: two seeds of S with few shapes, kept on request, and no two alike."""
    code, rows = measured(
        *("--size", "s", "--seeds", "4,5", "--templates", "9", "--against", "none", "--keep-instances", str(tmp_path / "made")),
        solver="solve_nothing",
    )
    assert code == 0
    assert [(row["instance"], row["jobs"], row["sites"], row["slots"]) for row in rows] == [
        ("S-seed4", 200, 5, 96),
        ("S-seed5", 200, 5, 96),
    ]
    first, second = (read_case(tmp_path / "made" / f"S-seed{seed}.npz") for seed in (4, 5))
    assert len(np.unique(first.pw)) <= 9
    assert not np.array_equal(first.pi, second.pi)
    assert rows[0]["check"]["dropped"] == 200


@pytest.mark.slow
@pytest.mark.long
def test_rivals_run_on_the_same_instance_with_the_same_time(folder: Path) -> None:
    """HiGHS and CP-SAT find feasible solutions of the little instance; HiGHS' bound is below all objectives; all were judged."""
    (folder / "S.npz").unlink()
    judge(folder / "score.py", 'print(\'{"feasible": true, "objective": 1e9}\')')
    code, rows = measured("--instances", str(folder), "--time", "12")
    assert code == 1  # this judge agrees with nobody
    assert [row["solver"] for row in rows] == ["ozzo", "highs", "cpsat"]
    assert all(row["time_limit_s"] == 12.0 and row["check"]["feasible"] and row["judge"]["objective_eur"] == 1e9 for row in rows)
    assert rows[1]["bound_eur"] <= min(row["objective_eur"] for row in rows) + 1e-6
    assert [row["bound_holds"] for row in rows] == [True, True, False]
    assert all("the judge 1000000000" in row["wrong"][0] for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("solver", "says"),
    [
        ("solve_wrongly", "our check finds it infeasible: work: job"),
        ("solve_boasting", "below the claimed bound"),
        ("solve_crashing", "the kernels are out of order"),
        ("solve_gone", "has no solve_gone"),
    ],
)
def test_a_solver_that_is_wrong_never_looks_right(solver: str, says: str, folder: Path) -> None:
    """Broken rules, a bound above the objective, a crash: a row that says so, the other instance is run too, exit code 1."""
    code, rows = measured("--instances", str(folder), "--against", "none", solver=solver)
    assert code == 1
    assert len(rows) == 2
    assert says in rows[0]["wrong"][0]


def test_a_solver_that_is_not_there_is_named(folder: Path) -> None:
    """No module of that name: said in the row, exit code 1."""
    done = ozzo("--instances", str(folder), "--against", "none", "--solver", "no.such.room:solve")
    assert done.returncode == 1
    assert "there is no solver no.such.room:solve" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("says", "code", "wrong"),
    [
        ('print(\'{"feasible": true, "objective": %s}\')', 0, ""),
        ('print(\'{"feasible": false, "faults": ["job 7 is late"]}\')\nsys.exit(1)', 1, "job 7 is late"),
        ('print(\'{"feasible": true, "objective": -5.0}\')', 1, "the judge gives -5.0000 EUR, below the claimed bound"),
        ("sys.exit('out of order')", 1, "no verdict (code 1): out of order"),
        ('print(\'{"feasible": "perhaps"}\')', 1, "no verdict (code 0)"),
    ],
)
def test_the_judge_decides_the_exit_code(says: str, code: int, wrong: str, folder: Path, tmp_path: Path) -> None:
    """Feasible with our objective is fine; infeasible, below the bound, or no verdict at all is exit code 1."""
    (folder / "S.npz").unlink()
    arguments = ("--instances", str(folder), "--against", "none")
    objective = measured(*arguments)[1][0]["objective_eur"]
    script = judge(tmp_path / "judge.py", says % objective if "%s" in says else says)
    found, (row,) = measured(*arguments, "--judge", str(script))
    assert found == code
    assert wrong in "; ".join(row["wrong"])


def test_every_fault_of_every_instance_is_told_before_anything_is_run(folder: Path, tmp_path: Path) -> None:
    """Two broken files of three: exit code 2, all findings, also as JSON, and no solution is written."""
    (folder / "text.npz").write_text("no archive")
    with np.load(folder / "S.npz") as file:
        content = {name: file[name] for name in file.files}
    content["pi"][0, 0], content["soc0"] = np.nan, content["E"] + 1.0
    np.savez_compressed(folder / "bad.npz", **content)
    content["pi"][0, 0] = 0.1
    content["p"][0] = 0
    np.savez_compressed(folder / "worse.npz", **content)
    done = ozzo("--instances", str(folder), "--write-solutions", str(tmp_path / "out"), "--json")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    fields = {Path(finding["file"]).name + " " + finding["field"] for finding in json.loads(done.stdout)["findings"]}
    assert fields == {"text.npz ", "bad.npz pi[0, 0]", "worse.npz p[0]", "worse.npz soc0[0]"}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--size", "XXL"), "one of S, M, L, XL"),
        (("--against", "gurobi"), "'highs,cpsat'"),
        (("--seeds", "1,two"), "two"),
        (("--instances", "no/such/folder"), "no/such/folder"),
        (("--instances", "tests/ozzo"), "no .npz file"),
        (("--instances", "{folder}", "--seeds", "1,2"), "--instances with --seed"),
        (("--instances", "{folder}", "--size", "L"), "no instance of size L"),
        (("--instances", "{folder}", "--write-solutions", "{folder}"), "another one: the names are the same"),
        (("--instances", "{folder}", "--judge", "no/judge.py"), "no/judge.py"),
        (("--solver", "nonsense"), "module:function"),
        (("--time", "0"), "--time"),
        (("--gap", "-1"), "--gap"),
        (("--curve", "--size", "S"), "together with --curve"),
        (("--curve-jobs", "100"), "at least two numbers"),
        (("--curve-jobs", "100,two"), "--curve-jobs"),
    ],
)
def test_wrong_options_give_one_clear_error(arguments: tuple[str, ...], says: str, folder: Path) -> None:
    """Exit code 2, the culprit named, no traceback, nothing run."""
    done = ozzo(*(word.format(folder=folder) for word in arguments))
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


@pytest.mark.slow
def test_interrupted_it_shows_what_is_finished_and_leaves_nothing_behind(folder: Path) -> None:
    """Ctrl-C twice, with a deaf solver at the last instance: the others' rows, exit code 130, the solver's process is gone."""
    write_case(folder / "M.npz", make_case(SIZES["M"], 1))
    arguments = ("--instances", str(folder), "--against", "none", "--solver", f"{SOLVERS}:solve_slowly")
    with _started(*arguments) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("M: ozzo"):
                break
        deadline = time.monotonic() + 60
        while not _children(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        (child,) = _children(process.pid)
        process.send_signal(signal.SIGINT)
        time.sleep(1.0)
        if Path(f"/proc/{child}").exists():  # else the first was enough, and a second would hit the end of the program
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "little" in out
    assert "S " in out
    assert "Traceback" not in err
    assert not Path(f"/proc/{child}").exists()


def test_interrupted_it_keeps_the_plan_so_far(folder: Path, tmp_path: Path) -> None:
    """Ctrl-C while our solver goes on: its plan is checked, stands in its row and in its file, and nothing else is begun."""
    made = tmp_path / "out"
    arguments = ("--instances", str(folder), "--against", "none", "--solver", f"{SOLVERS}:solve_until_stopped")
    with _started(*arguments, "--write-solutions", str(made), "--json") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "first fit, and on" in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    told = json.loads(out)
    (row,) = told["rows"]
    assert told["interrupted"] is True
    assert (row["instance"], row["status"], row["interrupted"]) == ("little", "interrupted", True)
    assert row["check"]["feasible"] is True
    with np.load(made / "little.npz") as file:
        assert float(file["bound"]) == pytest.approx(row["bound_eur"])
        assert (file["choice"] >= 0).sum() == row["jobs"] - row["check"]["dropped"]


def _started(*arguments: str) -> subprocess.Popen[str]:
    """The benchmark as a process of its own."""
    command = [sys.executable, "-c", "from ozzo.cli import main; main()", "bench", "optimiser", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment)


def _children(parent: int) -> list[int]:
    """Processes that ``parent`` started."""
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8")
    return [int(word) for word in text.split()]


def test_a_process_that_does_not_end_is_ended() -> None:
    """At its limit a child is ended, deaf or not, and has no exit code."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
    ended = run_process([sys.executable, "-c", deaf], 1.5)
    assert ended.code is None
    assert ended.output == "here\n"


@pytest.mark.slow
def test_rivals_are_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On L they run only when asked for; where the model would not fit in memory, not even then; the table says so."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    write_case(tmp_path / "L.npz", make_case(SIZES["L"], 0))
    options = BenchOptions(instances=tmp_path, entry=f"{SOLVERS}:solve_nothing")
    result = run_bench(options, Console(quiet=True))
    assert result.exit_code == 0
    assert [row.status for row in result.rows[1:]] == ["skipped", "skipped"]
    assert "unless --against asks for more" in result.rows[1].note
    monkeypatch.setattr(bench_run, "free_memory_mb", lambda: 3e3)
    asked = BenchOptions(instances=tmp_path, entry=f"{SOLVERS}:solve_nothing", against=("highs",))
    (_, row) = run_bench(asked, Console(quiet=True)).rows
    assert "would not fit in memory" in row.note
    assert "3 GB are free" in row.note
    out = io.StringIO()
    print_table([row], out)
    assert "would not fit in memory" in out.getvalue()


def test_the_table_fits_a_hundred_columns() -> None:
    """Large figures, a cold cache, a judge and a wrong row: no line is longer, nothing is cut off, and what is wrong is said."""
    fine = Judgement(True, 1234567.89, 12, ())
    late = Judgement(False, None, None, ("job 3: late",))
    shape = ("XL-seed12", 100_000, 200, 288)
    times: Any = {"build_s": 123.4, "solve_s": 2400.5, "total_s": 2600.1, "peak_memory_mb": 21234.0}
    rows = [
        replace(
            Row(*shape, "ozzo", "time_limit", 600.0, 1234567.89, 1200000.12, compile_s=12.3, check=fine, judge=late), **times
        ),
        replace(Row(*shape, "highs", "time_limit", 600.0), **times),
        replace(Row(*shape, "cpsat", "time_limit", 600.0, 1234567.89, -9e5, False, check=fine, judge=fine), **times),
    ]
    out = io.StringIO()
    print_table(rows, out)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    for word in ("1234567.89", "1200000.12", "compile", "21234", "INFEASIBLE", "none found", "~-900000.00", "job 3: late"):
        assert word in text, word
    assert "…" not in text


def test_compiling_is_counted_once() -> None:
    """A compilation inside another one is part of it; two one after the other add up; none is 0."""

    def event(moment: float, *, start: bool) -> tuple[float, Any]:
        return moment, SimpleNamespace(is_start=start)

    events = [event(1.0, start=True), event(2.0, start=True), event(3.0, start=False), event(4.5, start=False)]
    assert compiled_s([*events, event(6.0, start=True), event(6.5, start=False)]) == pytest.approx(4.0)
    assert compiled_s([]) == 0.0


@pytest.mark.slow
def test_a_cold_cache_is_stated(folder: Path) -> None:
    """A solver whose kernel is compiled now has a compile time, in JSON and as a column."""
    (folder / "S.npz").unlink()
    arguments = ("--instances", str(folder), "--against", "none")
    (row,) = measured(*arguments, solver="solve_compiled")[1]
    assert 0 < row["compile_s"] < row["total_s"]
    done = ozzo(*arguments, "--solver", f"{SOLVERS}:solve_compiled")
    assert "compile" in done.stdout.splitlines()[0]
    assert "cache was cold" in done.stdout


def test_without_or_tools_there_is_a_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is optional: its absence is an error that says what to install or to leave out."""
    monkeypatch.setitem(sys.modules, "ortools.sat.python", None)
    with pytest.raises(OzzoError, match="--against highs"):
        solve_cpsat(make_case(SIZES["S"], 0), 1.0, 0.0, 1)


def test_limits_in_whole_watts_are_never_wider() -> None:
    """What CP-SAT may use is within what there is: within one W, or one W times a slot."""
    case = make_case(SIZES["S"], 2)
    scaled = in_watts(case)
    for name, step in (
        ("gmax", 1e-3),
        ("emax", 1e-3),
        ("ren", 1e-3),
        ("Pc", 1e-3),
        ("E", 1e-3 * case.dt),
        ("soc0", 1e-3 * case.dt),
    ):
        lost = getattr(case, name) - getattr(scaled, name)
        assert lost.min() > -1e-9, name
        assert lost.max() < step + 1e-9, name
    assert (scaled.pk0 >= case.pk0 - 1e-9).all()


@pytest.mark.slow
@pytest.mark.data
def test_the_given_judge_agrees_on_the_given_instance(instances: Path) -> None:
    """S of the shared instances with the judge beside it: the same objective (it stops at 1e-5), exit code 0."""
    code, (row,) = measured("--instances", str(instances), "--size", "S", "--against", "none")
    assert code == 0
    assert row["judge"]["objective_eur"] == pytest.approx(row["objective_eur"], rel=1e-5)
    case = read_case(instances / "S.npz")
    dropped = check_case(case, all_dropped(case)).objective_eur
    assert dropped is not None
    assert row["objective_eur"] < dropped
