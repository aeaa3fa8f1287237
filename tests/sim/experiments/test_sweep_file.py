"""Sweep files: what they mean, and every fault of one at once, at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from grid.errors import Finding, InputError
from sim.experiments.sweep_fields import ParameterPart, SweepPart
from sim.experiments.sweep_file import load_sweep
from tests.sim.experiments.sweeps import ROOT, SWEEP, sweep_file


def faults(folder: Path, text: str) -> list[Finding]:
    """Findings of a sweep file with this text."""
    with pytest.raises(InputError) as error:
        load_sweep(sweep_file(folder, text))
    return list(error.value.findings)


def test_runs_are_every_combination_in_order(tmp_path: Path) -> None:
    """1 scenario x 2 values x 5 seeds x 2 policies, policies changing fastest, each under a key of its own."""
    sweep = load_sweep(sweep_file(tmp_path))
    runs = list(sweep.runs())
    assert sweep.size == len(runs) == 20
    assert [(run.policy, run.seed, run.values) for run in runs[:3]] == [
        ("fifo", 1, ("4 kWh",)), ("wait_for_sun", 1, ("4 kWh",)), ("fifo", 2, ("4 kWh",)),
    ]  # fmt: skip
    assert len({run.key for run in runs}) == 20
    assert sweep.reference == "fifo"
    assert [(parameter.path, parameter.label) for parameter in sweep.parameters] == [("sites.hall.battery.energy", "battery")]


def test_keys_tell_what_decides_the_figures(tmp_path: Path) -> None:
    """More seeds keep the old keys; another scenario file, version or meaning of the seed changes them all."""
    file = sweep_file(tmp_path)
    keys = {run.key for run in load_sweep(file).runs()}
    more = {run.key for run in load_sweep(sweep_file(tmp_path, SWEEP.replace("count: 5", "count: 7"))).runs()}
    assert keys < more
    assert not keys & {run.key for run in load_sweep(file, version="2").runs()}
    assert not keys & {run.key for run in load_sweep(sweep_file(tmp_path, SWEEP + "redraw: truth\n")).runs()}
    sweep_file(tmp_path)
    (tmp_path / "hall.yaml").write_text((tmp_path / "hall.yaml").read_text() + "# another\n", encoding="utf-8")
    assert not keys & {run.key for run in load_sweep(file).runs()}


MANY_FAULTS = """ozzo_sweep: 2
name: two words
scenarios: [hal.yaml, hall.yaml]
policies: [milpp, fifo, fifo]
parameters:
  - path: sites.hall.battery.energy
    values: [4 kWh, -1, 4 kWh]
  - path: sites.hal.pue
    values: [1.1]
  - {path: planning.relative_gap, values: [], lable: gap}
  - {path: seed, values: [1]}
  - {path: workload.jobs.a.cores, values: [16, {a: 1}]}
seeds: {first: -1, cuont: 3}
redraw: truht
reference: milp
power_flow: 1
colour: red
"""


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    """Nineteen faults in one file, each with line, field, what stands there, what should, and the nearest name."""
    found = {(one.line, one.field): one for one in faults(tmp_path, MANY_FAULTS)}
    near = {place: one.nearest for place, one in found.items() if one.nearest}
    assert set(found) == {
        (1, "ozzo_sweep"), (2, "name"), (3, "scenarios[0]"), (4, "policies[0]"), (4, "policies[2]"),
        (7, "parameters[0].values[1]"), (7, "parameters[0].values[2]"), (8, "parameters[1].path"),
        (10, "parameters[2].lable"), (10, "parameters[2].values"), (11, "parameters[3].path"), (12, "parameters[4].values[1]"),
        (13, "seeds.cuont"), (13, "seeds.first"), (13, "seeds.count"), (14, "redraw"), (15, "reference"), (16, "power_flow"),
        (17, "colour"),
    }  # fmt: skip
    assert near == {
        (3, "scenarios[0]"): "hall.yaml", (4, "policies[0]"): "milp", (8, "parameters[1].path"): "hall",
        (10, "parameters[2].lable"): "label", (13, "seeds.cuont"): "count", (14, "redraw"): "truth",
        (15, "reference"): "milpp",
    }  # fmt: skip
    assert "a number above 0" in found[7, "parameters[0].values[1]"].expected
    assert found[7, "parameters[0].values[1]"].found == "-1"
    assert all(one.file.endswith("small.yaml") for one in found.values())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "an empty file"),
        ("[1, 2]", "a mapping of fields to values"),
        ("ozzo_sweep: 1\nname: [", "broken YAML"),
        (SWEEP.replace("{first: 1, count: 5}", "[3, 3]"), "each once"),
        (SWEEP.replace("{first: 1, count: 5}", "7"), "a list of whole numbers"),
        (SWEEP.replace("[hall.yaml]", "[]"), "a list of at least 1"),
        (SWEEP.replace("[hall.yaml]", "[hall.yaml, ./hall.yaml]"), "different file names"),
        (SWEEP.replace("count: 5", "count: 25001"), "at most 100000 in a sweep"),
        (SWEEP.replace("label: battery}", "label: battery}\n  - {path: sites.hall.pue, values: [1.2], label: battery}"), "own"),
    ],
)  # fmt: skip
def test_other_faults(text: str, says: str, tmp_path: Path) -> None:
    """No YAML, no mapping, seeds twice, no scenario, one scenario twice, too many runs, one label twice: told in words."""
    found = faults(tmp_path, text)
    assert any(says in str(one) for one in found), found


def test_a_scenario_of_its_own_faults_names_its_own_lines(tmp_path: Path) -> None:
    """What is wrong inside a scenario is told with the scenario's file and line, beside the faults of the sweep."""
    file = sweep_file(tmp_path, SWEEP.replace("fifo,", "fofi,"))
    broken = (tmp_path / "hall.yaml").read_text().replace("energy_kwh: 6", "energy_kwh: 1")
    (tmp_path / "hall.yaml").write_text(broken, encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_sweep(file)
    assert {Path(one.file).name for one in error.value.findings} == {"small.yaml", "hall.yaml"}


def test_values_that_clash_with_others_name_the_combination(tmp_path: Path) -> None:
    """A battery smaller than its charge is refused where the charge stands, with the value that caused it."""
    found = faults(tmp_path, SWEEP.replace("4 kWh", "1 kWh"))
    assert len(found) == 1
    assert (Path(found[0].file).name, found[0].field) == ("hall.yaml", "sites[0].battery.initial_soc_kwh")
    assert "sites.hall.battery.energy = 1 kWh" in found[0].expected


def test_of_very_many_combinations_every_value_is_checked(tmp_path: Path) -> None:
    """With 6 x 7 combinations not each is tried, but a wrong value is found wherever it stands in its list."""
    rows = "values: [3 kWh, 4 kWh, 5 kWh, 6 kWh, 7 kWh, -8 kWh]}\n  - {path: sites.hall.pue, values: [1, 2, 3, 4, 5, 6, 0.5]}"
    found = faults(tmp_path, SWEEP.replace("values: [4 kWh, 8 kWh], label: battery}", rows))
    assert [one.field for one in found] == ["parameters[0].values[5]", "parameters[1].values[6]"]


def test_the_page_for_researchers_knows_every_field() -> None:
    """docs/researcher.md names each field of a sweep file."""
    page = (ROOT / "docs" / "researcher.md").read_text(encoding="utf-8")
    for name in (*SweepPart.model_fields, *ParameterPart.model_fields):
        assert f"`{name}`" in page, name
