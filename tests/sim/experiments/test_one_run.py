"""One run of a sweep: its figures are those of the simulated world, and a seed decides what it should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from grid.errors import ExperimentError, InputError
from scheduler.build import build_problem
from scheduler.document import load_scenario
from scheduler.placement import assign_nodes
from scheduler.plan import Plan
from scheduler.policies.registry import POLICIES
from scheduler.scenario import Scenario
from sim.experiments import one_run
from sim.experiments.columns import FIGURES, IDENTITY, ORIGIN
from sim.experiments.design import scenario_digest
from sim.experiments.one_run import carry_out
from sim.experiments.sweep_file import load_sweep
from sim.experiments.worker import answer
from sim.rehearsal import realise
from tests.sim.experiments.sweeps import HALL, ROOT, SWEEP, sweep_file


def test_figures_are_those_of_the_simulated_world(tmp_path: Path) -> None:
    """The run's figures equal those of planning the changed scenario and carrying the plan out by hand."""
    sweep = load_sweep(sweep_file(tmp_path))
    run = list(sweep.runs())[13]
    assert (run.policy, run.seed, run.values) == ("wait_for_sun", 2, ("8 kWh",))
    row = carry_out(sweep.task(run))
    text = HALL.replace("energy_kwh: 6", "energy_kwh: 8").replace("seed: 3", "seed: 2")
    (tmp_path / "by_hand.yaml").write_text(text, encoding="utf-8")
    scenario = load_scenario(tmp_path / "by_hand.yaml")
    plan = assign_nodes(scenario, POLICIES["wait_for_sun"]().plan(build_problem(scenario)))
    outcome = realise(scenario, plan, 2)
    assert row["objective_eur"] == outcome.totals.objective_eur
    assert row["carbon_kg"] == outcome.totals.carbon_kg
    assert row["planned_objective_eur"] == plan.objective_eur
    assert sum(row[name] for name in FIGURES if name.startswith("part.")) == pytest.approx(row["objective_eur"])
    assert row.keys() == FIGURES.keys() | (ORIGIN.keys() - {"version", "attempts"})


def test_a_seed_decides_the_truth_alone_when_asked(tmp_path: Path) -> None:
    """With redraw: truth one plan meets every seed, so the plans cost the same and their outcomes differ."""
    sweep = load_sweep(sweep_file(tmp_path, SWEEP + "redraw: truth\n"))
    rows = [carry_out(sweep.task(run)) for run in sweep.runs() if run.policy == "fifo" and run.values == ("4 kWh",)]
    assert len({row["planned_objective_eur"] for row in rows}) == 1
    assert len({row["objective_eur"] for row in rows}) == 5


def test_all_processes_meet_the_plan_that_was_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan is kept in the folder: another process does not plan again, and one that planned meanwhile takes the first plan."""
    sweep = load_sweep(sweep_file(tmp_path, SWEEP + "redraw: truth\n"))
    task = sweep.task(next(sweep.runs())) | {"plans": str(tmp_path / "plans")}
    alone = carry_out({name: value for name, value in task.items() if name != "plans"})
    first = carry_out(task)
    (kept,) = (tmp_path / "plans").iterdir()
    made = one_run._plan
    monkeypatch.setattr(one_run, "_plan", lambda *_: pytest.fail("planned again"))
    one_run._kept_plan.cache_clear()
    second = carry_out(task)
    figures = [{name: row[name] for name in FIGURES} for row in (alone, first, second)]
    assert figures[0] == figures[1] == figures[2]
    text = kept.read_text(encoding="utf-8")
    kept.unlink()

    def slower(scenario: Scenario, _: str) -> Plan:
        """Another plan, while somebody else is done first."""
        kept.write_text(text, encoding="utf-8")
        return made(scenario, "wait_for_sun")

    monkeypatch.setattr(one_run, "_plan", slower)
    one_run._kept_plan.cache_clear()
    assert carry_out(task)["planned_objective_eur"] == first["planned_objective_eur"]
    assert [path.name for path in (tmp_path / "plans").iterdir()] == [kept.name]
    one_run._kept_plan.cache_clear()


def test_a_seed_draws_generated_jobs_anew(tmp_path: Path) -> None:
    """With redraw: everything the jobs of a generator are others for another seed; with truth they are not."""
    generated = HALL.split("workload:")[0] + (
        f"workload:\n  generator: {{model: {ROOT / 'configs' / 'data' / 'surf_job_model.json'}, jobs: 6}}\n"
    )
    imports = {}
    for redraw in ("everything", "truth"):
        file = sweep_file(tmp_path, SWEEP + f"redraw: {redraw}\n")
        (tmp_path / "hall.yaml").write_text(generated.replace("memory_gb: 64", "memory_gb: 256"), encoding="utf-8")
        sweep = load_sweep(file)
        runs = [run for run in sweep.runs() if run.policy == "fifo" and run.values == ("4 kWh",)]
        imports[redraw] = {carry_out(sweep.task(run))["planned_objective_eur"] for run in runs}
    assert len(imports["everything"]) > 1
    assert len(imports["truth"]) == 1


def test_a_scenario_that_changed_meanwhile_is_no_part_of_the_sweep(tmp_path: Path) -> None:
    """A scenario edited, or removed, after the sweep was read fails the run with words, through a worker too."""
    sweep = load_sweep(sweep_file(tmp_path))
    task = sweep.task(next(sweep.runs()))
    (tmp_path / "hall.yaml").write_text(HALL + "# edited\n", encoding="utf-8")
    with pytest.raises(ExperimentError, match="not what it was"):
        carry_out(task)
    assert "not what it was" in answer(task)["trouble"]
    (tmp_path / "hall.yaml").unlink()
    with pytest.raises(ExperimentError, match="cannot be read"):
        carry_out(task)


def test_data_that_a_scenario_names_are_part_of_it(tmp_path: Path) -> None:
    """Other sun in sun.csv is another scenario, its path written plainly or through a variable; other files are not."""
    file = sweep_file(tmp_path).parent / "hall.yaml"
    plain = scenario_digest(file)
    (tmp_path / "other.csv").write_text("none", encoding="utf-8")
    assert scenario_digest(file) == plain
    file.write_text(HALL.replace("csv: sun.csv", "csv: $SUN/sun.csv"), encoding="utf-8")
    unset, found = scenario_digest(file, {}), scenario_digest(file, {"SUN": str(tmp_path)})
    assert len({plain, unset, found}) == 3
    task = load_sweep(sweep_file(tmp_path)).task(next(load_sweep(sweep_file(tmp_path)).runs()))
    (tmp_path / "sun.csv").write_text((tmp_path / "sun.csv").read_text().replace("2.5", "2.6"), encoding="utf-8")
    assert scenario_digest(tmp_path / "hall.yaml") != plain
    with pytest.raises(ExperimentError, match="or a file that it names, is not what it was"):
        carry_out(task)


def test_a_value_that_a_scenario_refuses_fails_its_run(tmp_path: Path) -> None:
    """A combination that was not checked beforehand is told by the run; what nobody foresaw is told as well."""
    sweep = load_sweep(sweep_file(tmp_path))
    task = sweep.task(next(sweep.runs()))
    with pytest.raises(InputError, match="initial_soc_kwh"):
        carry_out(task | {"settings": [["sites.hall.battery.energy", "1 kWh"]]})
    assert "initial_soc_kwh" in answer(task | {"settings": [["sites.hall.battery.energy", "1 kWh"]]})["trouble"]
    assert answer(task | {"policy": "none"})["trouble"].startswith("KeyError")


def test_networks_count_or_do_not(tmp_path: Path) -> None:
    """A scenario with a network has voltages in its row; with power_flow: false they are null."""
    text = f"ozzo_sweep: 1\nname: net\nscenarios: [{ROOT / 'configs' / 'congested_feeder.yaml'}]\npolicies: [fifo]\nseeds: [1]\n"
    (tmp_path / "net.yaml").write_text(text, encoding="utf-8")
    sweep = load_sweep(tmp_path / "net.yaml")
    row = carry_out(sweep.task(next(sweep.runs())))
    assert 0.8 < row["voltage_low_pu"] <= row["voltage_high_pu"] < 1.2
    sweep = replace(sweep, power_flow=False)
    assert carry_out(sweep.task(next(sweep.runs())))["voltage_low_pu"] is None


def test_the_output_page_knows_every_column() -> None:
    """docs/output.md names each column of a sweep's table with its meaning."""
    page = (ROOT / "docs" / "output.md").read_text(encoding="utf-8")
    for name, (_, words) in (IDENTITY | FIGURES | ORIGIN).items():
        told = "`part.<name>_eur`" if name.startswith("part.") else f"| `{name}` | {words} |"
        assert told in page, name
