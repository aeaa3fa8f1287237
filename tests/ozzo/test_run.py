"""One scenario from end to end, as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.ozzo.test_cli import ROOT, ozzo

KEYS = ("cost_eur", "carbon_kg", "import_kwh", "peak_kw", "deadline_misses")
MAIN = [sys.executable, "-c", "from ozzo.cli import main; main()"]


def event(start: str, duration: str, limit_kw: float, created: str, site: str = "hall") -> dict[str, Any]:
    """An OpenADR 3.1 event object that limits import."""
    return {
        "objectType": "EVENT",
        "id": "peak-1",
        "createdDateTime": created,
        "programID": "congestion",
        "eventName": "evening peak",
        "targets": [site],
        "payloadDescriptors": [{"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "IMPORT_CAPACITY_LIMIT", "units": "KW"}],
        "intervalPeriod": {"start": start, "duration": duration},
        "intervals": [{"id": 0, "payloads": [{"type": "IMPORT_CAPACITY_LIMIT", "values": [limit_kw]}]}],
    }


def run(*arguments: str, runs: Path) -> tuple[dict[str, Any], Path]:
    """Run a scenario with --json; returns the summary and the run folder."""
    done = ozzo("run", *arguments, "--json", "--runs", str(runs))
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    return summary, Path(summary["folder"])


def figures(summary: dict[str, Any]) -> dict[str, Any]:
    """The part of a summary that must not depend on the machine."""
    wall = ("solve_s", "wall_s", "phases_s", "folder", "commanding", "build_s", "plan", "plans", "started", "peak_memory_gb")
    return {key: value for key, value in summary.items() if key not in wall}


@pytest.mark.slow
def test_same_seed_gives_the_same_figures_and_every_file(tmp_path: Path) -> None:
    """Two runs of one seed print the same figures; baselines have the same keys; every promised file is there."""
    first, folder = run("configs/minimal.yaml", "--no-nodes", runs=tmp_path)
    second, other = run("configs/minimal.yaml", "--no-nodes", runs=tmp_path)
    assert folder != other
    assert {key: first[key] for key in KEYS} == {key: second[key] for key in KEYS}
    assert first["gap"] == second["gap"]
    assert first["verdict"] == "passed"
    for baseline in ("fifo", "wait_for_sun"):
        assert set(KEYS) <= set(first["baselines"][baseline])
        assert first["objective_eur"] <= first["baselines"][baseline]["objective_eur"] + 1e-9
        assert figures(first["baselines"][baseline]) == figures(second["baselines"][baseline])
    names = {path.name for path in folder.iterdir()}
    expected = {"scenario.yaml", "summary.json", "plan.json", "verdict.json", "timeseries.parquet", "jobs.parquet"}
    assert expected | {"journal.sqlite", "telemetry.sqlite", "report.html"} <= names


@pytest.mark.slow
@pytest.mark.live
def test_a_site_that_sells_heat_is_run_to_the_end(tmp_path: Path) -> None:
    """The demand for heat ends with the horizon; the run ends well all the same."""
    summary, folder = run("configs/science_park_heat.yaml", "--day-seconds", "4", runs=tmp_path)
    assert summary["verdict"] == "passed"
    assert summary["heat"]
    assert (folder / "report.html").is_file()


@pytest.mark.slow
def test_another_seed_gives_another_world(tmp_path: Path) -> None:
    """The seed decides the truth that the plan meets (here: run times, so energy)."""
    first, _ = run("configs/minimal.yaml", "--no-nodes", runs=tmp_path)
    second, _ = run("configs/minimal.yaml", "--no-nodes", "--seed", "99", runs=tmp_path)
    assert first["import_kwh"] != second["import_kwh"]


@pytest.mark.slow
@pytest.mark.live
def test_nodes_carry_the_plan_out(tmp_path: Path) -> None:
    """Every command is accepted and applied by a real agent process, every planned job ran, nothing is left running."""
    summary, folder = run("configs/minimal.yaml", "--day-seconds", "6", runs=tmp_path)
    commanding = summary["commanding"]
    assert commanding["nodes"] == 4
    assert commanding["commands"] > 0
    assert commanding["accepted"] == commanding["applied"] == commanding["commands"]
    assert commanding["failed"] == commanding["late"] == 0
    assert commanding["jobs_run"] == 3
    assert not leftovers(folder)
    with sqlite3.connect(folder / "journal.sqlite") as journal:
        kinds = {kind for (kind,) in journal.execute("select distinct kind from entries")}
    journal.close()
    assert {"run", "phase", "plan", "verdict", "commanded"} <= kinds


@pytest.mark.slow
def test_event_from_a_file_changes_the_plan_and_is_delivered(tmp_path: Path) -> None:
    """An event that arrives at 10:00 for 12:00-15:00 makes a second plan; baseline, target and delivery are reported."""
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event("2022-07-01T10:00:00Z", "PT3H", 0.4, "2022-07-01T08:00:00Z")))
    summary, _ = run("configs/minimal.yaml", "--no-nodes", "--event", str(file), runs=tmp_path / "runs")
    again, _ = run("configs/minimal.yaml", "--no-nodes", "--event", str(file), runs=tmp_path / "runs")
    assert figures(summary)["events"] == figures(again)["events"]
    (delivery,) = summary["events"]
    assert delivery["limit_kw"] == 0.4
    assert delivery["baseline_kw"] > 0.4, "the plan before the event would have used more than the limit"
    assert delivery["worst_kw"] <= 0.4 + 1e-6
    assert delivery["shortfall_kwh"] == pytest.approx(0.0, abs=1e-9)
    assert delivery["delivered_kw"] == pytest.approx(delivery["baseline_kw"] - delivery["actual_kw"], abs=1e-6)


@pytest.mark.slow
def test_event_known_from_the_start_has_a_baseline_too(tmp_path: Path) -> None:
    """An event created before the horizon is in the first plan; its baseline is the plan without it, in the same world."""
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event("2022-07-01T10:00:00Z", "PT3H", 0.4, "2022-06-30T12:00:00Z")))
    summary, _ = run("configs/minimal.yaml", "--no-nodes", "--event", str(file), runs=tmp_path / "runs")
    assert len(summary["plans"]) == 1
    (delivery,) = summary["events"]
    assert delivery["baseline_kw"] > 0.4
    assert "without the event" in delivery["baseline_method"]
    assert delivery["delivered_kw"] == pytest.approx(delivery["baseline_kw"] - delivery["actual_kw"], abs=1e-6)
    assert summary["baselines"]["fifo"]["events"][0]["baseline_kw"] is not None


def test_wrong_event_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """An event without a programme and for an unknown site: both findings, exit code 2, no run folder."""
    wrong = event("2022-07-01T10:00:00Z", "PT3H", 0.4, "2022-07-01T08:00:00Z", site="hal")
    del wrong["programID"]
    file = tmp_path / "event.json"
    file.write_text(json.dumps(wrong))
    done = ozzo("run", "configs/minimal.yaml", "--event", str(file), "--runs", str(tmp_path / "runs"))
    assert done.returncode == 2
    assert "programID" in done.stderr
    assert "hall" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.live
def test_event_by_post_changes_the_plan(tmp_path: Path) -> None:
    """An event posted to the running controller is planned for; a wrong one is answered with a problem document."""
    command = [*MAIN, "run", "configs/minimal.yaml", "--day-seconds", "20", "--json", "--runs", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        url = token = ""
        for line in process.stderr:
            if "/events" in line:
                url = next(word for word in line.split() if word.startswith("http"))
                token = Path(line.split("bearer token in ")[1].rstrip().rstrip(")")).read_text().strip()
                break
        assert url.startswith("http://127.0.0.1:")
        body = event("2022-07-01T13:00:00Z", "PT2H", 0.7, "2022-07-01T08:00:00Z")
        assert post(url, body, "wrong")[0] == 401
        assert post(url, {"nonsense": 1}, token)[0] == 422
        assert post(url, body, token)[0] in {200, 201, 202}
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    summary = json.loads(out)
    (delivery,) = summary["events"]
    assert delivery["worst_kw"] <= 0.7 + 1e-6
    assert summary["commanding"]["failed"] == 0


def post(url: str, body: dict[str, Any], token: str) -> tuple[int, str]:
    """POST JSON; returns status and text."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Authorization": f"Bearer {token}"}, method="POST")
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def leftovers(folder: Path) -> list[str]:
    """Processes that still name this run's folder, or its broker's private folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="ignore")
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found


def children_of(pid: int) -> set[int]:
    """All descendants of a process."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found: set[int] = set()
    while True:
        more = {child for child, parent in parents.items() if (parent == pid or parent in found) and child not in found}
        if not more:
            return found
        found |= more


PRESS_CTRL_C = """
import contextlib, os, signal, sys
import ozzo.console
wanted, phase = sys.argv.pop(1), ozzo.console.Console.phase
@contextlib.contextmanager
def pressed(self, name):
    with phase(self, name):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)
        yield
ozzo.console.Console.phase = pressed
from ozzo.cli import main
main()
"""


def eager(folder: Path) -> Path:
    """Almere in a folder of its own, with a plan that need not be good."""
    scenario = folder / "configs" / "almere.yaml"
    shutil.copytree(ROOT / "configs", scenario.parent)
    scenario.write_text(scenario.read_text().replace("relative_gap: 0.01", "relative_gap: 0.30"))
    return scenario


@pytest.mark.slow
@pytest.mark.parametrize(
    "phase",
    [
        "plan",
        "command",
        "report",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("load", "baselines", "network", "rehearse")),
    ],
)
def test_ctrl_c_at_the_begin_of_each_phase(phase: str, tmp_path: Path) -> None:
    """A real SIGINT as a phase begins: exit code 130, no traceback; the run folder names the phase and holds what was done."""
    scenario = eager(tmp_path)
    command = [sys.executable, "-c", PRESS_CTRL_C, phase, "run", str(scenario), "--runs", str(tmp_path / "runs")]
    command += ["--day-seconds", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=240)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    if phase == "load":
        assert not (tmp_path / "runs").exists()
        return
    (folder,) = (tmp_path / "runs").iterdir()
    assert json.loads((folder / "summary.json").read_text())["interrupted"] == phase
    assert ("plan.json" in {path.name for path in folder.iterdir()}) == (
        phase not in {"plan", "baselines", "network", "rehearse"}
    )
    assert not leftovers(folder)


@pytest.mark.slow
@pytest.mark.live
@pytest.mark.parametrize(
    "moment",
    ["Planning (MILP)", "Commanding", *(pytest.param(name, marks=pytest.mark.long) for name in ("Rehearsing", "planning anew"))],
)
def test_ctrl_c_in_the_middle_leaves_nothing_running(moment: str, tmp_path: Path) -> None:
    """Ctrl-C while the solver, the simulator or the nodes are at work: exit code 130, no agent or broker is left."""
    scenario = ROOT / "configs/almere.yaml" if moment == "Planning (MILP)" else eager(tmp_path)
    command = [*MAIN, "run", str(scenario), "--runs", str(tmp_path / "runs"), "--event", "configs/events/evening_peak.json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if moment in line and (line.rstrip().endswith("...") or moment == "planning anew"):
                break
        time.sleep(3.0 if moment == "Commanding" else 0.7)
        family = children_of(process.pid)
        if moment in {"Commanding", "planning anew"}:
            assert family, "agents and broker should be running"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    (folder,) = (tmp_path / "runs").iterdir()
    words = {"Planning (MILP)": "plan", "Rehearsing": "rehearse", "Commanding": "command", "planning anew": "command"}
    assert json.loads((folder / "summary.json").read_text())["interrupted"] == words[moment]
    with sqlite3.connect(folder / "journal.sqlite") as journal:
        assert journal.execute("select count(*) from entries where kind = 'interrupted'").fetchone() == (1,)
    journal.close()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in family) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in family if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("runs", ["README.md", "/proc/nope/runs"])
def test_a_place_where_no_run_folder_can_be_made(runs: str) -> None:
    """A file or an impossible place instead of a folder: one finding, exit code 2."""
    done = ozzo("run", "configs/minimal.yaml", "--no-nodes", "--runs", runs)
    assert done.returncode == 2, done.stderr
    assert f"--runs: found {runs}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_broker_that_does_not_start_leaves_plan_and_report(tmp_path: Path) -> None:
    """An error of the world (exit code 1) names itself; plan, verdict and report of what was done are in the run folder."""
    fake = tmp_path / "bin" / "mosquitto"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    command = [*MAIN, "run", "configs/minimal.yaml", "--runs", str(tmp_path / "runs"), "--json"]
    environment = os.environ | {"PATH": f"{fake.parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment, timeout=120)
    assert done.returncode == 1
    assert "mosquitto" in done.stderr
    assert "Traceback" not in done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert {"plan.json", "verdict.json", "report.html", "summary.json"} <= {path.name for path in folder.iterdir()}
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["verdict"] == "passed"
    assert any("broke off in phase 'command'" in note for note in summary["notes"])
