"""``ozzo uncertainty`` as a person uses it: table, JSON, other levels, wrong numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ozzo.commands_uncertainty import variants
from scheduler.scenario import PlanningSettings
from tests.factory import small_scenario
from tests.ozzo.test_cli import ozzo

SUNNY = """
ozzo: 1
name: sunny
title: A sunny hall
seed: 3
horizon: {start: 2022-07-01T00:00, hours: 8, step_minutes: 60}
planning: {relative_gap: 0.001, scenarios: {count: 3, draws: 20}}
errors: {solar_sigma: 0.5}
signals:
  price: {constant_eur_per_mwh: 200}
  carbon_average: {constant_g_per_kwh: 300}
sites:
  - name: hall
    tier: cold
    nodes: [{name: rack, count: 2, cores: 16, memory_gb: 64, idle_kw: 0.1, peak_kw: 1.1, failsafe_kw: 0.15}]
    solar: {measured: {csv: sun.csv, time: start, value: kw}}
    connection: {import_limit_kw: 10, export_limit_kw: 0}
    tariff: {}
workload:
  jobs:
    - {name: a, duration_minutes: 120, cores: 16}
    - {name: b, duration_minutes: 60, cores: 16}
"""


def test_minimal_has_nothing_uncertain_but_run_times() -> None:
    """Without sun, wind and load errors the two-stage plan is the forecast's, and no future is worth knowing."""
    told = ozzo("uncertainty", "configs/minimal.yaml", "--seeds", "5", "--no-informed", "--level", "0.8")
    assert told.returncode == 0, told.stderr
    assert "5 worlds, the same for every plan" in told.stdout
    assert "careful, level 0.8" in told.stdout
    assert "On the planner's own 1 futures" in told.stdout
    assert "EVPI" not in told.stdout


def test_json_holds_what_the_table_says(tmp_path: Path) -> None:
    """Every plan with its realised mean, the difference from the first one, and the values as ranges that are in order."""
    file = _with_sun(tmp_path)
    done = ozzo("uncertainty", str(file), "--seeds", "6", "--gap", "0.0", "--time", "20", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    plans = answer["plans"]
    assert [plan["name"] for plan in plans] == ["forecast", "careful, level 0.7", "two-stage"]
    assert plans[0]["difference_eur"] is None
    for plan in plans[1:]:
        assert plan["difference_eur"] == pytest.approx(plan["realised_eur"] - plans[0]["realised_eur"])
        assert plan["half_width_eur"] >= 0
    assert plans[1]["planned_eur"] > plans[0]["planned_eur"]  # less sun is counted on
    assert len(plans[2]["expected"]["costs_eur"]) == 3
    known = answer["information"]
    assert known["informed"]["most"] <= known["two_stage"]["most"] + 1e-6 <= known["one_future_eur"] + 2e-6
    for name in ("two_stage", "informed", "stochastic", "perfect"):
        assert known[name]["least"] <= known[name]["most"] + 1e-9
    assert answer["first_seed"] == 1003


def test_wrong_numbers_are_all_told() -> None:
    """Seeds and levels out of range are refused together, before anything is planned."""
    done = ozzo("uncertainty", "configs/minimal.yaml", "--seeds", "1", "--level", "0.5", "--level", "1.5")
    assert done.returncode == 2
    for words in ("--seeds", "a number from 2", "0.5; expected a level above 0.5", "1.5; expected a level"):
        assert words in done.stderr


def test_the_settings_of_the_scenario_are_a_plan_of_their_own_where_they_differ() -> None:
    """Settings that change nothing are not planned twice: with run times of at most 1.0 the upper quantile is what was asked."""
    assert [name for name, _, _ in variants(small_scenario(), ())] == ["forecast", "two-stage"]
    for planning in (
        PlanningSettings(duration_quantile=0.5),
        PlanningSettings(renewable_quantile=0.3),
        PlanningSettings(chance_level=0.9),
    ):
        names = [name for name, _, _ in variants(small_scenario(planning=planning), (0.9,))]
        assert names == ["forecast", "as the scenario sets it", "careful, level 0.9", "two-stage"]
    dark = small_scenario(planning=PlanningSettings(load_quantile=0.9))
    assert [name for name, _, _ in variants(dark, ())] == ["forecast", "two-stage"]


def test_the_plan_command_tells_what_is_expected(tmp_path: Path) -> None:
    """``ozzo plan --policy milp-two-stage`` says what its futures cost, and writes it into the plan."""
    file, out = _with_sun(tmp_path), tmp_path / "plan.json"
    told = ozzo("plan", str(file), "--policy", "milp-two-stage", "--out", str(out))
    assert told.returncode == 0, told.stderr
    assert "over 3 futures" in told.stdout
    assert json.loads(out.read_text())["expected"]["objective_eur"] > 0


def _with_sun(folder: Path) -> Path:
    """The sunny hall and its measured sun."""
    sun = [0.0, 0.0, 0.5, 1.5, 2.5, 1.5, 0.5, 0.0]
    rows = [f"2022-07-01T{hour:02}:00,{kw}" for hour, kw in enumerate(sun)]
    (folder / "sun.csv").write_text("\n".join(["start,kw", *rows]) + "\n", encoding="utf-8")
    file = folder / "sunny.yaml"
    file.write_text(SUNNY, encoding="utf-8")
    return file
