"""Day-ahead forecasts in a small file of the same shape: alignment, faults, and what cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from grid.errors import FeedError
from grid.feeds.day_ahead import read_day_ahead

NAMES = ["", "UTC time", "carbon_intensity", "wind", "hydro", "avg_wind_production_forecast", "avg_hydro_production_forecast"]


def rows(hours: int = 96) -> list[list[object]]:
    """Wind counts up, its forecast (a day early in the file) says one more; the last day of forecasts is missing."""
    start = datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    found: list[list[object]] = []
    for hour in range(hours):
        later = hour + 24
        said = (1001.0 + later, 500.5) if later < hours else (0, 0)
        found.append([hour, start + timedelta(hours=hour), 50, 1000.0 + hour, 500 + hour % 7, *said])
    return found


def write(path: Path, lines: Sequence[Sequence[object]], names: list[str] | None = None) -> Path:
    path.write_text("\n".join(",".join(str(value) for value in line) for line in [names or NAMES, *lines]) + "\n")
    return path


def test_forecasts_stand_at_their_hour(tmp_path: Path) -> None:
    """A day after where they are stored; the first day has none."""
    found = read_day_ahead(write(tmp_path / "a.csv", rows()), "wind")
    assert np.isnan(found.forecast[:24]).all()
    assert (found.forecast[24:] - found.truth[24:] == 1.0).all()
    assert found.faults == {"frozen": 0, "doubled": 0, "zero between": 0, "forecast missing": 0}
    assert found.edges_s[1] - found.edges_s[0] == 3600.0


def test_faults_are_left_out_and_counted(tmp_path: Path) -> None:
    """An hour doubled, a run that stands still, a zero between; a forecast that is missing in the middle."""
    lines = rows()
    lines[30][3:5] = [2 * 1030.0, 2 * 503]
    for hour in range(41, 47):
        lines[hour][3:5] = lines[40][3:5]
    lines[60][3] = 0
    lines[10][5:7] = [0, 0]
    found = read_day_ahead(write(tmp_path / "a.csv", lines), "wind")
    assert found.faults == {"frozen": 7, "doubled": 1, "zero between": 1, "forecast missing": 1}
    assert np.flatnonzero(np.isnan(found.truth)).tolist() == [30, *range(40, 47), 60]
    assert np.isnan(found.forecast[34])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines.pop(50), "line 52: not one hour after"),
        (lambda lines: lines[5].pop(), "line 7: not 7 fields"),
        (lambda lines: lines[5].__setitem__(3, "many"), "column wind"),
        (lambda lines: lines[5].__setitem__(1, "noon"), "noon"),
        (lambda lines: lines.__delitem__(slice(40, None)), "two days are too few"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, change: Callable[[list[list[object]]], object], words: str) -> None:
    """One clear error each."""
    lines = rows()
    change(lines)
    with pytest.raises(FeedError, match=words):
        read_day_ahead(write(tmp_path / "a.csv", lines), "wind")


def test_unknown_fuel_and_no_file(tmp_path: Path) -> None:
    """A fuel without forecast names those with one; a file that is not there says so."""
    with pytest.raises(FeedError, match="no solar with its forecast; there are wind, hydro"):
        read_day_ahead(write(tmp_path / "a.csv", rows()), "solar")
    with pytest.raises(FeedError, match="cannot be read"):
        read_day_ahead(tmp_path / "none.csv", "wind")
    with pytest.raises(FeedError, match="no column 'UTC time'"):
        read_day_ahead(write(tmp_path / "b.csv", rows(), ["", "when", *NAMES[2:]]), "wind")
