"""Sleep, faults of the mains, uninterruptible supplies and tables of power limits: what is written is what is built."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from grid.mains import MainsFault
from scheduler.build import build_problem
from scheduler.document import check_file, load_scenario
from scheduler.document.power_table import caps_of
from scheduler.gpu_limits import limit_curve, read_limits
from scheduler.problem import Mode
from scheduler.sleep import Sleep
from scheduler.workload import JobKind

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "configs" / "dr_with_emergency_power.yaml"
TABLE = ROOT / "tests" / "bad" / "data" / "gpu_limits.csv"
WORKLOAD = ("imagenet", "resnet50", "256", "adadelta")


def test_the_scenario_with_emergency_power_is_built_as_written() -> None:
    """Sleep in seconds and kW, faults in Unix seconds with their lengths, both batteries as supplies, errors and their rates."""
    scenario = load_scenario(CONFIG)
    hall, cabinet = scenario.sites
    assert hall.nodes[0].sleep == Sleep(600.0, 0.01, 30.0, 0.2, 180.0, 0.4)
    assert cabinet.nodes[0].sleep is None
    assert hall.battery is not None
    assert hall.battery.ups  # because it bridges the start of the generators
    assert cabinet.battery is not None
    assert cabinet.battery.ups
    first = scenario.horizon.start + timedelta(hours=6, minutes=40)
    assert scenario.mains_faults[0] == MainsFault("street", "hall", first.timestamp(), 2400.0)
    assert scenario.mains_faults[2].retained_pu == 0.75
    assert (scenario.errors.command_loss, scenario.errors.link_rate_low) == (0.02, 0.7)
    problem = build_problem(scenario)
    (group,) = problem.sleepers
    assert (group.nodes, group.asleep, group.cores) == (10, 0, 32)


def test_caps_of_a_table_by_hand() -> None:
    """150 W and 200 W took 130 and 131 s, 250 W 120 s: both first get their mean; power falls with the GPUs' share only."""
    curve = next(curve for curve in read_limits(TABLE) if curve.workload == WORKLOAD)
    caps = caps_of(curve, (), 0.8)
    assert [cap.speed for cap in caps] == pytest.approx([120 / 130.5, 120 / 130.5, 0.6])
    assert [cap.power for cap in caps] == pytest.approx([1 - 0.8 * 0.1, 1 - 0.8 * 0.3, 1 - 0.8 * 0.525])
    assert [cap.power for cap in caps_of(curve, (125.0,), 1.0)] == pytest.approx([(95 + 140) / 2 / 200])


def test_a_limit_that_spares_nothing_is_no_cap() -> None:
    """A workload that stays below every limit (as collaborative filtering does in the tables) has no caps at all."""
    curve = limit_curve(WORKLOAD, [(100.0, 10.0, 80.0), (150.0, 10.0, 80.0), (200.0, 10.0, 80.0)])
    assert caps_of(curve, (), 1.0) == ()


def write(folder: Path, table: str) -> Path:
    """A scenario with one training job that takes its caps from a table."""
    path = folder / "train.yaml"
    path.write_text(f"""ozzo: 1
name: train
horizon: {{start: 2022-07-01T00:00, hours: 24}}
signals: {{price: {{constant_eur_per_mwh: 90}}, carbon_average: {{constant_g_per_kwh: 300}}}}
sites:
  - name: hall
    tier: cold
    nodes: [{{name: rack, cores: 16, memory_gb: 64, gpus: 4, idle_kw: 0.5, peak_kw: 2.5}}]
    connection: {{import_limit_kw: 10}}
workload:
  jobs:
    - name: train
      duration_minutes: 120
      gpus: 4
      power_table: {{{table}, dataset: imagenet, network: resnet50, batch_size: 256, gpu_share: 0.8}}
""")
    return path


def test_a_job_with_a_table_is_malleable_and_its_caps_are_modes_of_the_problem(tmp_path: Path) -> None:
    """Relative to the document's folder, the table gives three caps beside full speed."""
    (tmp_path / "limits.csv").write_text(TABLE.read_text())
    scenario = load_scenario(write(tmp_path, "gpu_limits: limits.csv"))
    (job,) = scenario.jobs
    assert job.kind is JobKind.MALLEABLE
    assert len(job.power_caps) == 3
    (task,) = build_problem(scenario).jobs
    assert task.modes[0] == Mode(1.0, 1.0)
    assert len(task.modes) == 4


def test_every_fault_of_a_table_is_told_with_its_own_line(tmp_path: Path) -> None:
    """Two wrong cells of the table: two findings that name the table, its lines and columns."""
    (tmp_path / "limits.csv").write_text(TABLE.read_text().replace(",130,", ",fast,").replace(",180\n", ",-1\n"))
    findings = check_file(write(tmp_path, "gpu_limits: limits.csv"), environment={})
    assert {(Path(finding.file).name, finding.line, finding.field) for finding in findings} == {
        ("limits.csv", 3, "time_per_epoch"),
        ("limits.csv", 4, "average_power"),
    }


@pytest.mark.skipif("OZZO_DATA" not in os.environ, reason="OZZO_DATA does not name the folder with the measured tables")
def test_the_measured_tables_give_caps_that_are_curves(tmp_path: Path) -> None:
    """ImageNet on a V100: speed and power fall together from cap to cap, and the lowest limit takes most of the speed."""
    environment = {"OZZO_DATA": os.environ["OZZO_DATA"]}
    path = write(tmp_path, "gpu_limits: $OZZO_DATA/gpu_power/summary_power_v100.csv")
    (job,) = load_scenario(path, environment=environment).jobs
    speeds, powers = [cap.speed for cap in job.power_caps], [cap.power for cap in job.power_caps]
    assert len(speeds) == 6
    assert speeds == sorted(speeds, reverse=True)
    assert powers == sorted(powers, reverse=True)
    assert speeds[-1] < 0.6 < speeds[3]


def test_a_fault_of_a_site_is_a_fault_of_the_world_only() -> None:
    """The problem of a scenario with faults is that of the same one without: no plan knows of them."""
    scenario = load_scenario(CONFIG)
    known, unknown = build_problem(scenario), build_problem(replace(scenario, mains_faults=()))
    assert (known.import_limit_kw == unknown.import_limit_kw).all()
    assert known.events == unknown.events
