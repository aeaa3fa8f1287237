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


@pytest.mark.slow
def test_why_tells_place_cost_and_next_best(plan_file: Path) -> None:
    """People read where, when, the cost and a table; programs read the same from a saved plan."""
    told = ozzo("why", "render", MINIMAL, "--plan", str(plan_file))
    assert told.returncode == 0, told.stderr
    assert "render (rigid, 4 h between 08:00 and 23:45) runs at hall" in told.stdout
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
    """A job that may be left out for nothing is: exit code 1, and the price from which on it would run was tried."""
    text = (ROOT / MINIMAL).read_text().replace("cores: 16, deadline: +8h}", "cores: 16, deadline: +8h, drop_eur: 0}")
    file = tmp_path / "worthless.yaml"
    file.write_text(text)
    told = ozzo("why", "index", str(file), "--json")
    assert told.returncode == 1, told.stderr
    answer = json.loads(told.stdout)
    assert answer["planned"] is None
    (change,) = answer["relaxations"]
    assert change["kind"] == "price"
    assert change["amount"] == pytest.approx(change["place"]["cost_eur"])
    assert change["amount"] > 0


@pytest.mark.slow
def test_what_if_compares_and_stays_honest() -> None:
    """Import at 30 EUR/MWh more is proven dearer; the difference of every figure is changed minus base."""
    done = ozzo("what-if", MINIMAL, "--set", "sites.hall.tariff.import_fee=60", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["best_plans_differ_eur"]["proven"] is True
    for name, value in answer["difference"].items():
        assert value == pytest.approx(answer["changed"][name] - answer["base"][name])
    same = ozzo("what-if", MINIMAL, "--set", "planning.relative_gap=0.03")
    assert "smaller than what the gaps leave open" in same.stdout


@pytest.mark.slow
def test_what_if_without_a_job_and_with_an_event() -> None:
    """A job less is listed as not run; the event is one of the scenario's sites."""
    less = json.loads(ozzo("what-if", MINIMAL, "--without-job", "render", "--json").stdout)
    assert {"job": "render", "after": None} in [{"job": m["job"], "after": m["after"]} for m in less["moved"]]
    event = ozzo("what-if", MINIMAL, "--event", "configs/events/evening_peak.json")
    assert event.returncode == 2  # the event names a site of another scenario
    assert "hall" in event.stderr or "site" in event.stderr


def test_pareto_writes_its_page_and_speaks_json(tmp_path: Path) -> None:
    """Two points: the first costs no more than the second, which emits no more; the page is there."""
    page = tmp_path / "front.html"
    done = ozzo("pareto", MINIMAL, "--points", "2", "--out", str(page), "--json")
    assert done.returncode == 0, done.stderr
    cheap, clean = json.loads(done.stdout)["points"]
    assert cheap["carbon_eur_per_kg"] == 0.0
    assert cheap["cost_eur"] <= clean["cost_eur"] * 1.03
    assert clean["carbon_kg"] <= cheap["carbon_kg"] * 1.03
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.slow
def test_values_for_people_and_programs() -> None:
    """Every slot of every site has a value; people read the mean of the same numbers."""
    answer = json.loads(ozzo("values", MINIMAL, "--json").stdout)
    row = answer["sites"]["hall"]["facility_eur_per_kwh"]
    assert len(row) == answer["slots"] == 96
    shown = ozzo("values", MINIMAL).stdout
    assert f"{sum(row) / 96:.3f}" in shown
    assert "More cores, kW or kWh would save nothing at hall: no limit there binds." in shown
    assert "One more of this saves" not in shown  # a table without a row tells nothing


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("why", "rendr", MINIMAL), "did you mean 'render'"),
        (("why", "render", "no/such.yaml"), "no/such.yaml"),
        (("why", "render", MINIMAL, "--plan", "no/plan.json"), "no/plan.json"),
        (("why", "render", MINIMAL, "--plan", "configs/minimal.yaml"), "valid JSON"),
        (("why", "render"), "SCENARIO"),
        (("what-if", MINIMAL), "--set PATH=VALUE"),
        (("what-if", MINIMAL, "--set", "sites.hal.pue=1.1"), "did you mean 'hall'"),
        (("what-if", MINIMAL, "--set", "sites.hall.pue"), "PATH=VALUE"),
        (("what-if", MINIMAL, "--set", "sites.hall.battery.energy=20 kW"), "energy_kwh"),
        (("what-if", MINIMAL, "--without-job", "rendr"), "did you mean 'render'"),
        (("what-if", MINIMAL, "--event", "no/event.json"), "no/event.json"),
        (("pareto", MINIMAL, "--points", "1"), "from 2 to 50"),
        (("pareto", "no/such.yaml"), "no/such.yaml"),
        (("values", "no/such.yaml"), "no/such.yaml"),
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
