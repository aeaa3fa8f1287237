"""``ozzo reproduce steam`` from the command line, on small files; and what it says of files that it cannot use."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from grid.errors import InputError
from ozzo.cli import app
from ozzo.commands_steam import CARBON_FILE, JOBS_FILE, _row, steam
from sim.reproduce.steam import read_case
from sim.reproduce.steam_published import PUBLISHED


def files(folder: Path, hours: int = 600) -> tuple[Path, Path]:
    """Two days of jobs, and carbon from a week before the experiment's first day on."""
    rng = np.random.default_rng(3)
    jobs, carbon = folder / "jobs.parquet", folder / "carbon.parquet"
    submitted = np.sort(rng.integers(0, 48 * 3_600_000, 300))
    pq.write_table(pa.table({"submission_time": submitted, "duration": rng.integers(60_000, 5 * 3_600_000, 300)}), jobs)
    first = int(datetime(2024, 2, 23, tzinfo=UTC).timestamp()) * 1000
    moments = pa.array(first + 3_600_000 * np.arange(hours), pa.timestamp("ms"))
    values = 250 + 100 * np.sin(np.arange(hours) * np.pi / 12) + rng.normal(0, 20, hours)
    pq.write_table(pa.table({"timestamp": moments, "carbon_intensity": values}), carbon)
    return jobs, carbon


def test_rows_as_json_and_as_tables(tmp_path: Path) -> None:
    """Every row; offline saves most of the ways that shift, and no more than the limit.

    These are not the jobs of the published experiment, so its figures stand beside none of them, and that is said.
    """
    jobs, carbon = files(tmp_path)
    told = ["reproduce", "steam", "--jobs", str(jobs), "--carbon", str(carbon), "--rounds", "10"]
    answer = CliRunner().invoke(app, [*told, "--json"])
    assert answer.exit_code == 0
    rows = {row["name"]: row for row in json.loads(answer.stdout)["rows"]}
    assert len(rows) == 16
    assert all(row["published_saving_pct"] is None and "difference_points" not in row for row in rows.values())
    assert "its figures are not put beside these" in answer.stderr
    shifts = [row for row in rows.values() if "delay_h" in row]
    assert max(row["saving_pct"] for row in shifts) == rows["offline"]["saving_pct"] <= rows["offline"]["bound_pct"] + 1e-9
    assert rows["offline, waiting priced"]["delay_h"] < rows["offline"]["delay_h"]
    tables = CliRunner().invoke(app, told)
    assert tables.exit_code == 0
    assert "The same with a battery" in tables.stdout


@pytest.mark.data
def test_the_published_figures_stand_beside_the_published_experiment(data: Path) -> None:
    """The files of OZZO_DATA are known by what is in them; a row has its published figure and the distance from it."""
    case = read_case(data / JOBS_FILE, data / CARBON_FILE)
    assert case.is_published
    assert not replace(case, carbon=case.carbon + 1.0).is_published
    row = _row({"name": "their rule", "saving_pct": 6.0}, PUBLISHED)
    assert row["published_saving_pct"] == 5.7
    assert row["difference_points"] == pytest.approx(0.3)
    assert _row({"name": "offline", "saving_pct": 6.0}, PUBLISHED)["published_saving_pct"] is None


def test_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A series that ends too early, and no files at all: one clear error each."""
    jobs, carbon = files(tmp_path, hours=200)
    with pytest.raises(InputError, match="no hourly values"):
        steam(jobs, carbon, 1, as_json=True, say=lambda _: None)
    monkeypatch.delenv("OZZO_DATA", raising=False)
    with pytest.raises(InputError, match="OZZO_DATA"):
        steam(None, carbon, 1, as_json=True, say=lambda _: None)
