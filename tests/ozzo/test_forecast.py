"""``ozzo forecast`` from the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from grid.errors import InputError
from grid.forecasts.error_file import read_errors
from ozzo.cli import app
from ozzo.commands_forecast import fit_text, score_text


def series(path: Path, hours: int = 2600, skip: int | None = None) -> Path:
    """A day that repeats itself, with a little noise."""
    rng = np.random.default_rng(1)
    lines = ["time,power"]
    for hour in range(hours):
        if hour != skip:
            value = 100 + 50 * np.sin(hour * np.pi / 12) + rng.normal(0, 1)
            lines.append(f"{datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hour):%Y-%m-%dT%H:%MZ},{value:.3f}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_scores_of_a_file(tmp_path: Path) -> None:
    """A day that repeats itself: what knows the day wins, its error is the noise, and intervals hold what they say."""
    answer = CliRunner().invoke(app, ["forecast", "score", "--series", str(series(tmp_path / "s.csv")), "--json"])
    assert answer.exit_code == 0
    rows = {(row["method"], row["lead_h"]): row for row in json.loads(answer.stdout)["rows"]}
    assert "smart" not in {method for method, _ in rows}
    assert rows["week_mean", 6]["mae"] < 2.0
    assert rows["persistence", 6]["mae"] > 20
    assert rows["climatology", 6]["crps"] < rows["climatology", 6]["mae"]
    assert 0.6 < rows["climatology", 6]["cover_80"] < 0.95
    table = CliRunner().invoke(app, ["forecast", "score", "--series", str(series(tmp_path / "s.csv")), "--at", "52", "5"])
    assert table.exit_code == 0
    assert "smart" in table.stdout


def test_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap, a column that is not there, too little, and no data at all: one clear error each."""
    with pytest.raises(InputError, match="line 52: not one hour after"):
        score_text(series(tmp_path / "s.csv", skip=50), None, "SE", "wind", None, as_json=True)
    with pytest.raises(InputError, match="one of power"):
        score_text(series(tmp_path / "s.csv"), "watts", "SE", "wind", None, as_json=True)
    with pytest.raises(InputError, match="too few"):
        score_text(series(tmp_path / "s.csv", hours=200), None, "SE", "wind", None, as_json=True)
    with pytest.raises(InputError, match="first column holds times"):
        score_text(tmp_path / "none.csv", None, "SE", "wind", None, as_json=True)
    monkeypatch.delenv("OZZO_DATA", raising=False)
    with pytest.raises(InputError, match="OZZO_DATA"):
        score_text(None, None, "SE", "wind", None, as_json=True)
    with pytest.raises(InputError, match="SE: wind, hydro, nuclear"):
        score_text(None, None, "SE", "solar", None, as_json=True)
    with pytest.raises(InputError, match="SE: wind, hydro, nuclear"):
        fit_text("SE", "solar", as_json=True)
    with pytest.raises(InputError, match="--out: found 2 fits: CISO solar, CISO wind"):
        fit_text("CISO", None, tmp_path / "errors.json", as_json=True)


@pytest.mark.slow
@pytest.mark.data
def test_real_series(data: Path) -> None:
    """The operator's day-ahead forecast beats everything that knows the past only; drawn errors look like real ones."""
    assert data.is_dir()
    rows = json.loads(score_text(None, None, "SE", "wind", None, as_json=True))["rows"]
    ahead = next(row for row in rows if row["method"] == "day_ahead")
    assert all(ahead["mae"] < row["mae"] for row in rows if row["lead_h"] == 24 and row is not ahead)
    fit = json.loads(CliRunner().invoke(app, ["forecast", "fit", "--json"]).stdout)["rows"]
    assert (fit[0]["zone"], fit[0]["what"]) == ("SE", "wind")
    for row in fit:
        assert row["std_drawn_pct"] == pytest.approx(row["std_real_pct"], rel=0.05)


@pytest.mark.data
def test_a_fit_goes_to_a_file(data: Path, tmp_path: Path) -> None:
    """One zone and fuel: its row is told, and the file holds its fit, its period and the command."""
    assert data.is_dir()
    file = tmp_path / "wind.json"
    (row,) = json.loads(fit_text("SE", "wind", file, as_json=True))["rows"]
    assert read_errors(file).time_constant_h == pytest.approx(row["time_constant_h"], rel=1e-3)
    told = json.loads(file.read_text())
    assert "2020-" in told["source"]
    assert told["made_by"] == "ozzo forecast fit --zone SE --what wind --out wind.json"
    with pytest.raises(InputError, match="--out"):
        fit_text("SE", "wind", tmp_path / "no" / "folder.json", as_json=True)
