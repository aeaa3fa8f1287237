"""The run folder: names, whole files, contents equal to the record."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scheduler.plan_json import plan_from_dict
from sim.report.files import run_folder, write_run, write_whole
from sim.report.summary import summary
from tests.records import example_record

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))


def test_run_folders_are_new_and_named_in_utc(tmp_path: Path) -> None:
    """A folder's name is UTC time and scenario; a second one in the same second gets a number; names stay inside the base."""
    made = [run_folder(tmp_path / "runs", name, NOW) for name in ("small", "small", "../../etc")]
    assert [folder.name for folder in made] == ["20260102T020405Z-small", "20260102T020405Z-small-2", "20260102T020405Z-_.._etc"]
    assert all(folder.is_dir() and folder.parent == tmp_path / "runs" for folder in made)
    with pytest.raises(ValueError, match="time zone"):
        run_folder(tmp_path, "x", NOW.astimezone(UTC).replace(tzinfo=None))


def test_write_run_writes_what_is_promised(tmp_path: Path) -> None:
    """A finished run leaves every file, the plan reads back, and the summary is the record's."""
    record = example_record()
    names = {path.name for path in write_run(record, tmp_path)}
    assert names == {path.name for path in tmp_path.iterdir()}
    wanted = {"summary.json", "plan-1.json", "plan.json", "verdict.json", "timeseries.parquet", "jobs.parquet", "network.parquet"}
    assert names == wanted | {"report.html"}
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8")) == summary(record)
    plan = plan_from_dict(json.loads((tmp_path / "plan.json").read_text(encoding="utf-8")))
    assert (plan.id, plan.runs) == (record.plans[-1].plan.id, record.plans[-1].plan.runs)
    verdicts = json.loads((tmp_path / "verdict.json").read_text(encoding="utf-8"))
    assert [verdict["passed"] for verdict in verdicts] == [True, True]


def test_timeseries_sum_to_the_totals(tmp_path: Path) -> None:
    """Realised means times the step are the totals, for plan and baselines; times are UTC, one row a policy, site and slot."""
    from pyarrow import parquet

    record = example_record()
    write_run(record, tmp_path)
    table = parquet.read_table(tmp_path / "timeseries.parquet").to_pandas()
    assert str(table["time"].dt.tz) == "UTC"
    assert table["time"].iloc[0] == record.scenario.horizon.start
    assert len(table) == len(table[["policy", "site", "time"]].drop_duplicates()) == 3 * 3 * 96
    assert record.outcome is not None
    for policy, outcome in {"plan": record.outcome, **record.baselines}.items():
        mine = table[table["policy"] == policy]
        for column, total in (("realised_import_kw", "import_kwh"), ("realised_curtailed_kw", "curtailed_kwh")):
            assert mine[column].sum() * record.scenario.horizon.step_h == pytest.approx(getattr(outcome.totals, total))
    at_cabinet = table[(table["policy"] == "plan") & (table["site"] == "cabinet")]
    assert at_cabinet["event_limit_kw"].notna().sum() == 8
    assert at_cabinet["voltage_pu"].notna().all()


def test_jobs_and_network_rows(tmp_path: Path) -> None:
    """Each job has a row for each policy, with reason for the plan; network rows name the worst element."""
    from pyarrow import parquet

    record = example_record()
    write_run(record, tmp_path)
    jobs = parquet.read_table(tmp_path / "jobs.parquet").to_pandas().set_index(["policy", "job"])
    assert len(jobs) == 3 * len(record.scenario.jobs)
    assert jobs.loc[("plan", "index"), "reason"] == "local_surplus"
    assert jobs.loc[("fifo", "index"), "planned_start"] == record.scenario.horizon.start
    assert jobs.loc[("plan", "huge"), "planned_site"] is None
    network = parquet.read_table(tmp_path / "network.parquet").to_pandas()
    assert record.outcome is not None
    assert record.outcome.network is not None
    mine = network[network["policy"] == "plan"]
    np.testing.assert_array_equal(mine["voltage_low_pu"], record.outcome.network.voltage_pu.min(axis=1))
    assert set(mine["line"]) == {"line 2"}


@pytest.mark.parametrize(
    ("partial", "missing"),
    [
        ({"blocked": True}, set()),
        ({"interrupted": "plan"}, {"plan.json", "verdict.json", "jobs.parquet", "network.parquet"}),
    ],
)
def test_partial_runs_write_what_is_there(tmp_path: Path, partial: dict[str, Any], missing: set[str]) -> None:
    """A blocked or interrupted run leaves summary, series and page, and no file about what never was."""
    names = {path.name for path in write_run(example_record(**partial), tmp_path)}
    assert {"summary.json", "timeseries.parquet", "report.html"} <= names
    assert not names & missing


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """When writing fails half-way the file keeps its former content, and nothing is left beside it."""
    path = tmp_path / "a.json"
    path.write_text("old", encoding="utf-8")

    def fail(part: Path) -> None:
        part.write_text("half", encoding="utf-8")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, fail)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
