"""The bad inputs that the issue "The optimiser at scale" lists: a clear answer each, for scenarios and for benchmark files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ozzo.bench.child import main as bench_child
from scheduler.build import build_problem
from scheduler.optimiser.case_file import write_case
from scheduler.optimiser.large.case import Case
from scheduler.optimiser.large.policy import LargePolicy
from scheduler.optimiser.policy import MilpPolicy
from scheduler.plan import SolveStatus
from scheduler.world import JobState, Observation
from tests.cases import tiny, with_jobs
from tests.factory import job, small_scenario
from tests.ozzo.test_cli import ROOT, ozzo

MINIMAL = (ROOT / "configs" / "minimal.yaml").read_text(encoding="utf-8")


def planned(tmp_path: Path, *changes: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    """``ozzo plan`` on the minimal scenario with pieces of its text replaced."""
    text = MINIMAL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "changed.yaml").write_text(text, encoding="utf-8")
    return ozzo("plan", str(tmp_path / "changed.yaml"), "--json")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("job_needs_gpus", "1 GPUs on one node; expected at most 0"),  # no eligible site
        ("window_too_short", "expected at most the 32 whole slots"),
        ("price_not_a_number", "found nan; expected a number in EUR/MWh"),
        ("zero_nodes", "found 0; expected a number not below 1"),  # zero capacity
        ("a_million_jobs", "found 1000000; expected a number not above 200000"),
        ("battery_without_power", "expected a power above 0 kW"),
        ("event_longer_than_horizon", "expected at most the 24 hours of the horizon"),
        ("after_in_a_circle", "workload.jobs"),  # contradictory commitments
        ("due_after_deadline", "due"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused_by_plan(name: str, says: str) -> None:
    """Exit code 2, one line with file, line, field, found and expected, no traceback, nothing planned."""
    done = ozzo("plan", f"tests/bad/{name}.yaml")
    assert done.returncode == 2
    assert says in done.stderr
    assert f"{name}.yaml:" in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


@pytest.mark.slow
def test_a_scenario_with_negative_prices_is_planned(tmp_path: Path) -> None:
    """Being paid for import is no fault: all jobs run, and the bound is not above the objective."""
    done = planned(
        tmp_path, ("constant_eur_per_mwh: 90", "constant_eur_per_mwh: -90"), ("relative_gap: 0.03 ", "time_limit_s: 5 ")
    )
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["dropped"] == {}
    assert plan["bound_eur"] <= plan["objective_eur"] + 1e-9


def test_a_scenario_with_a_tenth_of_a_second_is_planned(tmp_path: Path) -> None:
    """There is a whole plan, and it says that the time was up or that it was enough."""
    done = planned(tmp_path, ("relative_gap: 0.03 ", "relative_gap: 0.000001\n  time_limit_s: 0.1 "))
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["status"] in {"time_limit", "optimal"}
    assert plan["runs"] >= 3
    assert plan["dropped"] == {}
    assert plan["solver"]
    assert not plan["solver"].startswith(";")


@pytest.mark.parametrize("large", [False, True], ids=["reference", "at scale"])
def test_contradictory_commitments_are_kept_and_planned_around(*, large: bool) -> None:
    """Three started jobs are said to hold the same two nodes: they go on, nothing else joins them, and that is said."""
    scenario = small_scenario(datasets=(), links=())
    started = tuple(job(f"on-{k}", duration_h=3, nodes=2, deadline_h=12, sites=("hall",)) for k in range(3))
    waiting = job("waits", duration_h=1, nodes=2, deadline_h=3, sites=("hall",))
    scenario = replace(scenario, jobs=(*started, waiting))
    names = scenario.site("hall").node_names()
    states = tuple(JobState(one.name, "hall", names[:2], 3, running=True) for one in started)
    seen = Observation(0, scenario.horizon.start, frozenset(), states, {"cabinet": 1.0}, {}, {}, {}, frozenset(names[2:]))
    problem = build_problem(scenario, seen)
    plan = (LargePolicy() if large else MilpPolicy()).plan(problem)
    kept = {run.job: (run.start, run.end) for run in plan.runs}
    assert kept == {one.name: (0, 3) for one in started}
    assert [item.name for item in plan.dropped] == ["waits"]
    assert "other jobs fill every place" in plan.dropped[0].reason.text
    assert plan.status is SolveStatus.OPTIMAL


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["minimal", "almere"])
def test_ctrl_c_while_planning_keeps_the_best_plan_so_far(scenario: str, tmp_path: Path) -> None:
    """SIGINT once there is a plan: it is written, says that it was interrupted, and can be rehearsed; exit code 1."""
    text = (ROOT / "configs" / f"{scenario}.yaml").read_text(encoding="utf-8")
    folder = ROOT / "configs"
    text = text.replace("relative_gap: 0.03", "relative_gap: 0.0").replace("relative_gap: 0.01", "relative_gap: 0.0")
    text = text.replace("constant_eur_per_mwh: 90", "constant_eur_per_mwh: -90").replace("data/", f"{folder}/data/")
    (tmp_path / "long.yaml").write_text(text, encoding="utf-8")
    out = tmp_path / "plan.json"
    command = [sys.executable, "-c", "from ozzo.cli import main; main()", "plan", str(tmp_path / "long.yaml"), "--out", str(out)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("fifo:"):
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in err
    plan = json.loads(out.read_text(encoding="utf-8"))
    assert plan["status"] == "interrupted"
    assert plan["runs"]


def bench(path: Path, time_s: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reports of our solver and of the check on a file, as the benchmark's child process would write them."""
    solution, told = path.with_suffix(".solution.npz"), []
    for role in ("ozzo", "check"):
        task: dict[str, Any] = {
            "role": role,
            "instance": str(path),
            "solution": str(solution),
            "report": str(path.with_suffix(".json")),
        }
        task |= {"time_s": time_s, "gap": 0.01, "entry": "scheduler.optimiser.large.solve:solve_case"}
        path.with_suffix(".task").write_text(json.dumps(task), encoding="utf-8")
        bench_child(str(path.with_suffix(".task")))
        told.append(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
    return told[0], told[1]


def two_jobs(**arrays: Any) -> Case:
    """Two jobs on one site, an hour and two hours, with room for both."""
    return with_jobs(tiny(pi=[[0.3, 0.1, 0.2, 0.4]], **arrays), {"drop": 5.0}, {"p": 2, "drop": 5.0})


FILES: dict[str, tuple[Callable[[], Case], int]] = {
    "no eligible site": (lambda: with_jobs(tiny(pi=0.1), {"entries": [], "drop": 3.0}, {}), 1),
    "every site too small": (lambda: with_jobs(tiny(pi=0.1), {"res": 99.0, "drop": 3.0}, {}), 1),
    "negative price": (lambda: two_jobs(po=-0.5, emax=5.0), 0),
    "zero capacity": (lambda: two_jobs(cap=0.0), 2),
    "battery with zero power": (lambda: two_jobs(E=4.0, Pc=0.0, Pd=0.0, soc0=2.0), 0),
    "event over the horizon": (lambda: two_jobs(dr_site=[0], dr_start=[0], dr_end=[4], dr_limit_kw=[0.5], dr_penalty=[0.2]), 0),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("time_s", [0.1, 1.0])
def test_a_benchmark_file_with_odd_content_is_answered(name: str, time_s: float, tmp_path: Path) -> None:
    """Feasible by the independent check, as many dropped as must be, and no bound above the objective; also in 0.1 s."""
    make, dropped = FILES[name]
    case = make()
    if name == "negative price":
        case = replace(case, pi=np.array([[-0.3, -0.1, 0.2, 0.4]]))
    path = tmp_path / "odd.npz"
    write_case(path, case)
    ours, check = bench(path, time_s)
    assert ours["status"] in {"optimal", "time_limit"}, ours["words"]
    assert check["feasible"], check["faults"]
    assert check["dropped"] == dropped
    assert ours["bound"] <= check["objective"] + 1e-6


@pytest.mark.parametrize(
    ("name", "index", "value", "says"),
    [
        ("p", 1, 9, "dl[1]: found 4; expected a window [rel, dl) of at least the p slots"),
        ("pi", (0, 2), float("nan"), "pi[0, 2]: found nan; expected a finite number"),
        ("po", (0, 2), 0.9, "po[0, 2]: found 0.9; expected at most the import price pi"),
        ("dr_end", 0, 5, "dr_end[0]: found 5; expected after its dr_start, at most 4"),
        ("cap", (0, 0, 1), -1.0, "cap[0, 0, 1]: found -1; expected at least 0"),
    ],
)
def test_a_benchmark_file_that_cannot_be_is_refused(name: str, index: Any, value: float, says: str, tmp_path: Path) -> None:
    """Exit code 2, array, index, found and expected, no traceback, nothing run."""
    case = two_jobs(emax=1.0, dr_site=[0], dr_start=[0], dr_end=[4], dr_limit_kw=[0.5], dr_penalty=[0.2])
    array = getattr(case, name).copy()
    array[index] = value
    write_case(tmp_path / "bad.npz", replace(case, **{name: array}))
    done = ozzo("bench", "optimiser", "--instances", str(tmp_path), "--against", "none")
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


@pytest.mark.long
def test_a_million_identical_jobs_in_a_benchmark_file(tmp_path: Path) -> None:
    """One class with a count: all of them run, feasible by the check, in less than two gigabytes."""
    count, slots = 1_000_000, 24
    one = with_jobs(tiny(slots=slots, gmax=1e7, a=0.0, pi=[np.linspace(0.1, 0.3, slots)], cap=count / 10), {"p": 2, "drop": 9.0})
    names = ("typ", "p", "rel", "dl", "soft", "wt", "res", "pw", "drop", "speed2", "power2", "es", "ec", "ea", "em")
    many: dict[str, Any] = {name: np.repeat(getattr(one, name), count, axis=0) for name in names}
    path = tmp_path / "million.npz"
    write_case(path, replace(one, ep=np.arange(count + 1), **many))
    done = ozzo("bench", "optimiser", "--instances", str(path), "--against", "none", "--time", "5", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["jobs"], row["check"]["feasible"], row["check"]["dropped"]) == (count, True, 0)
    assert row["peak_memory_mb"] < 2000
    assert row["gap"] < 0.2
