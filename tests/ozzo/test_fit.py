"""Fitting commands: repeated on the real data they give the committed files."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grid.errors import FeedError, InputError
from grid.feeds.reading import regular
from grid.feeds.table import read_table, zone
from ozzo.fit import UNSTATED, fit_jobs_text, hour_by_month_text, mean_by_month_and_hour

COMMITTED = Path(__file__).parents[2] / "configs" / "data"


def plain(value: object) -> np.ndarray:
    """Every number in nested lists."""
    return np.array(value, dtype=np.float64).ravel()


@pytest.mark.data
def test_job_model_is_what_the_command_gives(data: Path) -> None:
    """The committed job model equals a fresh fit; numbers may differ in the last digit that is kept."""
    fresh = json.loads(fit_jobs_text(data / "jobs" / "surf_2022_tasks.parquet"))
    committed = json.loads((COMMITTED / "surf_job_model.json").read_text(encoding="utf-8"))
    for name in ("arrivals_per_hour", "duration_s", "probabilities"):
        assert plain(fresh.pop(name)) == pytest.approx(plain(committed.pop(name)), rel=1e-3, abs=1e-4)
    assert fresh == committed


@pytest.mark.data
def test_table_is_what_the_command_gives(data: Path, tmp_path: Path) -> None:
    """The committed table equals a fresh one to the last digit kept, header and all."""
    fresh = hour_by_month_text(data / "prices_eur" / "NL_2023.csv", data / "carbon" / "NL_2021-2024.parquet", 2023)
    committed = (COMMITTED / "nl_hour_by_month.csv").read_text(encoding="utf-8")
    assert [line for line in fresh.splitlines() if line[0] == "#"] == [line for line in committed.splitlines() if line[0] == "#"]
    path = tmp_path / "fresh.csv"
    path.write_text(fresh, encoding="utf-8")
    for column, digit in (("price_eur_per_mwh", 0.011), ("carbon_g_per_kwh", 0.11)):
        assert read_table(path, column) == pytest.approx(read_table(COMMITTED / "nl_hour_by_month.csv", column), abs=digit)


def test_mean_leaves_missing_steps_out_and_needs_every_cell() -> None:
    """A year whose value is the local hour has that hour as its mean, also with holes; a year without July is refused."""
    clock = zone("Europe/Amsterdam")
    start = 1_672_527_600.0  # 1 January 2023, 00:00 in Amsterdam
    times = start + 3600.0 * np.arange(8760)
    values = (np.arange(8760) % 24).astype(np.float64)
    values[1000:1100] = np.nan
    table = mean_by_month_and_hour(regular(times, values, "x", "year"), 2023, clock)
    assert table[0].tolist() == list(range(24))
    assert table[6].tolist() == [23, *range(23)]  # summer time: the local hour is one ahead
    with pytest.raises(FeedError, match="no value in 2023 for month 7"):
        mean_by_month_and_hour(regular(times[:4000], values[:4000], "x", "half"), 2023, clock)


def year_files(folder: Path) -> tuple[Path, Path]:
    """A year of prices and of carbon intensity that nobody published."""
    start = datetime(2021, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(hours=i - 1) for i in range(8762)]
    clock = zone("Europe/Amsterdam")
    rows = [f"{moment.astimezone(clock):%Y-%m-%d %H:%M},50" for moment in moments]
    prices, carbon = folder / "mine.csv", folder / "mine.parquet"
    prices.write_text("\n".join(["Datetime,Price (EUR/MWh)", *rows]), encoding="utf-8")
    columns = {"timestamp": pa.array(moments, pa.timestamp("ms")), "carbon_intensity": [300.0] * len(moments)}
    pq.write_table(pa.table(columns), carbon)
    return prices, carbon


def test_a_table_of_other_files_claims_no_source(tmp_path: Path) -> None:
    """What a person does not say of a file is not said; what is said stands in the header and in its command."""
    prices, carbon = year_files(tmp_path)
    text = hour_by_month_text(prices, carbon, 2021, carbon_source="my meter's log")
    assert f"# price_eur_per_mwh: {UNSTATED}; mine.csv" in text
    assert "# carbon_g_per_kwh: my meter's log; mine.parquet" in text
    assert "ENTSO-E" not in text
    assert "Electricity Maps" not in text
    (command,) = [line for line in text.splitlines() if line.startswith("# Made by: ")]
    assert shlex.split(command)[-2:] == ["--carbon-source", "my meter's log"]


def test_wrong_files_are_findings_of_both_at_once(tmp_path: Path) -> None:
    """A year that neither file holds, and a trace that is none: findings, so that the exit code is 2."""
    prices, carbon = year_files(tmp_path)
    with pytest.raises(InputError) as caught:
        hour_by_month_text(prices, carbon, 1999)
    assert [finding.field for finding in caught.value.findings] == ["--prices", "--carbon"]
    with pytest.raises(InputError, match="a trace that can be fitted"):
        fit_jobs_text(carbon)


def test_a_trace_of_another_name_claims_no_source(tmp_path: Path) -> None:
    """The model of a trace of one's own is not SURF's."""
    minutes = np.arange(400)
    columns = {
        "id": minutes,
        "submission_time": pa.array(1_656_633_600_000 + 3_600_000 * minutes, pa.timestamp("ms")),
        "duration": 600_000 + 1000 * minutes,
        "cpu_count": np.full(400, 16, np.int32),
        "mem_capacity": np.full(400, 1000),
    }
    pq.write_table(pa.table(columns), tmp_path / "mine.parquet")
    for given, expected in ((None, UNSTATED), ("mine", "mine")):
        assert json.loads(fit_jobs_text(tmp_path / "mine.parquet", source=given))["source"] == expected
