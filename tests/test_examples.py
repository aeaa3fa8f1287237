"""The scripts in docs/examples run as they stand, and what they print is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.build import build_problem
from scheduler.document import load_scenario
from scheduler.placement import assign_nodes
from scheduler.policies.registry import POLICIES
from sim.experiments.analysis import comparisons, read_results
from sim.rehearsal import realise

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"


def run(name: str, *arguments: str, cwd: Path) -> list[str]:
    """Lines that a script prints; it must end well."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        capture_output=True, text=True, check=False, cwd=cwd, timeout=250, env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_one_run_prints_what_the_simulated_world_says(tmp_path: Path) -> None:
    """Title, and the realised objective of each of three policies; the optimiser's plan is the cheapest planned one."""
    first, *rows = run("one_run.py", cwd=tmp_path)
    scenario = load_scenario(ROOT / "configs" / "minimal.yaml")
    assert first == f"{scenario.title}: 3 jobs, seed 1"
    told = {row.split()[0]: row for row in rows}
    assert list(told) == ["fifo", "wait_for_sun", "milp"]
    for name in ("fifo", "wait_for_sun"):
        plan = assign_nodes(scenario, POLICIES[name]().plan(build_problem(scenario)))
        totals = realise(scenario, plan, scenario.seed).totals
        assert f"realised {totals.objective_eur:.3f} EUR, {totals.carbon_kg:.2f} kg, 0 late" in told[name]
    planned = {name: float(re.findall(r"planned ([\d.]+)", row)[0]) for name, row in told.items()}
    assert planned["milp"] <= 1.001 * min(planned.values())


@pytest.mark.slow
def test_a_sweep_and_a_comparison_of_it(tmp_path: Path) -> None:
    """24 runs, kept the second time; the comparison tells the paired differences, and makes page and pictures."""
    lines = run("a_sweep.py", "out", cwd=tmp_path)
    assert lines[0] == "24 of 24 runs, 0 of them from before"
    assert len(lines) == 1 + 4 * 2
    again = run("a_sweep.py", "out", cwd=tmp_path)
    assert again == ["24 of 24 runs, 24 of them from before", *lines[1:]]
    told = run("a_comparison.py", "out", cwd=tmp_path)
    known = comparisons(read_results(tmp_path / "out"), "objective_eur", "fifo")
    assert len(told) == len(known) + 1 == 5
    for line, one in zip(told, known, strict=False):
        assert f"wait_for_sun minus fifo: {one.found.mean:+.3f} EUR" in line
        assert line.endswith(f"lower in {one.found.wins} of 3")
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "pictures" / "objective.svg").is_file()
