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


LOOP = SWEEP.replace(
    "parameters:\n",
    "parameters:\n  - {path: replan_minutes, values: [120, 4 h]}\n  - {path: mode, values: [live, shadow]}\n",
)


def test_a_sweep_runs_closed_loops(tmp_path: Path) -> None:
    """With ``replan_minutes`` and ``mode`` among its parameters a run is a closed loop: 4 plans of 8 hours at 120 min, 2 at 4 h.

    A shadow of any policy has the figures of the baseline alone; the seed decides the world.
    """
    sweep = load_sweep(sweep_file(tmp_path, LOOP))
    wanted = {("fifo", 1), ("wait_for_sun", 1), ("fifo", 2)}
    runs = [run for run in sweep.runs() if (run.policy, run.seed) in wanted and run.values[2] == "4 kWh"]
    rows = {(run.policy, run.seed, run.values[0], run.values[1]): carry_out(sweep.task(run)) for run in runs}
    assert rows["fifo", 1, 120, "live"]["status"] == "4 plans, 0 refused"
    assert rows["fifo", 1, "4 h", "live"]["status"] == "2 plans, 0 refused"
    shadow = rows["wait_for_sun", 1, 120, "shadow"]
    assert shadow["objective_eur"] == rows["fifo", 1, 120, "live"]["objective_eur"]
    assert rows["fifo", 2, 120, "live"]["objective_eur"] != shadow["objective_eur"]
    assert all(row.keys() == FIGURES.keys() | (ORIGIN.keys() - {"version", "attempts"}) for row in rows.values())


def test_faults_of_a_closed_loop_name_their_line(tmp_path: Path) -> None:
    """An interval of nothing, a mode that does not exist and a pilot at no site: each at the line of its value."""
    text = LOOP.replace("[120, 4 h]", "[0, 60]").replace("[live, shadow]", "[live, shadwo]")
    text = text.replace("seeds:", "  - {path: pilot, values: [hal]}\nseeds:")
    with pytest.raises(InputError) as error:
        load_sweep(sweep_file(tmp_path, text))
    found = {finding.field: finding for finding in error.value.findings}
    assert found.keys() == {"parameters[0].values[0]", "parameters[1].values[1]", "parameters[3].values[0]"}
    assert found["parameters[1].values[1]"].nearest == "shadow"
    assert found["parameters[3].values[0]"].nearest == "hall"
    assert all(finding.line for finding in found.values())
