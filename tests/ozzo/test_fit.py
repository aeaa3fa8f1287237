"""Fitting commands: repeated on the real data they give the committed files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from grid.errors import FeedError
from grid.feeds.reading import regular
from grid.feeds.table import read_table, zone
from ozzo.fit import fit_jobs_text, hour_by_month_text, mean_by_month_and_hour

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
