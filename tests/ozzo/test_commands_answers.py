"""``ozzo why``, ``what-if``, ``pareto`` and ``values`` as a person uses them: output, JSON, exit codes, wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.ozzo.test_cli import ROOT, ozzo

MINIMAL = "configs/minimal.yaml"


@pytest.fixture(scope="module")
def plan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved plan of the minimal scenario."""
    file = tmp_path_factory.mktemp("plan") / "plan.json"
    done = ozzo("plan", MINIMAL, "--out", str(file))
    assert done.returncode == 0, done.stderr
    return file


def test_why_tells_place_cost_and_next_best(plan_file: Path) -> None:
    """People read where, when, the cost and a table; programs read the same from a saved plan."""
    told = ozzo("why", "render", MINIMAL, "--plan", str(plan_file))
    assert told.returncode == 0, told.stderr
    assert "render (rigid, 4 h between 08:00 and Sat 00:00) runs at hall" in told.stdout
    assert "second-best start here" in told.stdout
    answer = json.loads(ozzo("why", "render", MINIMAL, "--plan", str(plan_file), "--json").stdout)
    plan = json.loads(plan_file.read_text())
    assert answer["plan"] == plan["id"]
    assert answer["planned"]["cost_eur"] == pytest.approx(sum(answer["planned"]["parts_eur"].values()))
    assert f"{answer['planned']['cost_eur']:.4f} EUR" in told.stdout
    for other in answer["alternatives"]:
        if other["place"]:
            assert other["extra_eur"] == pytest.approx(other["place"]["cost_eur"] - answer["planned"]["cost_eur"])


def test_why_of_a_job_that_is_left_out(tmp_path: Path) -> None:
    """A job whose window is an hour too short: exit code 1, and the smallest deadline that was tried and works."""
    text = (ROOT / MINIMAL).read_text().replace("cores: 16, deadline: +8h}", "cores: 16, deadline: +1h}")
    file = tmp_path / "short.yaml"
    file.write_text(text)
    told = ozzo("why", "index", str(file))
    assert told.returncode == 1, told.stderr
    assert "is not run" in told.stdout
    assert "A deadline 30 min later (01:30)" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("why", "rendr", MINIMAL), "did you mean 'render'"),
        (("why", "render", "no/such.yaml"), "no/such.yaml"),
        (("why", "render", MINIMAL, "--plan", "no/plan.json"), "no/plan.json"),
        (("why", "render", MINIMAL, "--plan", "configs/minimal.yaml"), "valid JSON"),
        (("why", "render"), "SCENARIO"),
    ],
)
def test_wrong_input_gives_one_clear_error(arguments: tuple[str, ...], says: str) -> None:
    """Exit code 2, the culprit named, no traceback."""
    done = ozzo(*arguments)
    assert done.returncode == 2, done.stderr
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_plan_of_another_scenario_is_refused(plan_file: Path) -> None:
    """A plan whose horizon, sites and jobs are not the scenario's is no answer to it."""
    done = ozzo("why", "render", "configs/almere.yaml", "--plan", str(plan_file))
    assert done.returncode == 2
    assert "horizon" in done.stderr
    assert "sites" in done.stderr
