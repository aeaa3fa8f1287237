"""Fitted errors in the document: read from their file, put around the forecast, and every fault told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grid.forecasts.error_file import errors_text
from grid.forecasts.errors import ErrorModel
from grid.quantile_series import QuantileSeries
from scheduler.document import check_file, load_scenario

FIT = ErrorModel(1000.0, np.array([0.4]), (np.array([-0.2, 0.0, 0.3]), np.array([-0.1, 0.0, 0.05])), 0.8, 1.0)
DOCUMENT = """
ozzo: 1
name: fitted
time_zone: UTC
horizon: {start: 2022-07-01T00:00, hours: 24, step_minutes: 60}
PLANNING
signals:
  price: {constant_eur_per_mwh: 90}
  carbon_average: {constant_g_per_kwh: 300}
sites:
  - name: hall
    tier: cold
    nodes: [{name: rack, count: 2, cores: 16, memory_gb: 64, idle_kw: 0.1, peak_kw: 0.4}]
    connection: {import_limit_kw: 10}
    wind:
      measured: {constant_kw: 2}
      fitted_errors: FITTED
"""


def written(folder: Path, fitted: str, planning: str = "") -> Path:
    """The document with these fitted errors, and a good fit beside it."""
    (folder / "wind.json").write_text(errors_text(FIT, unit="MW", source="test", made_by="a test"))
    path = folder / "fitted.yaml"
    path.write_text(DOCUMENT.replace("FITTED", fitted).replace("PLANNING", planning))
    return path


def test_the_forecast_has_the_quantiles_of_the_fit(tmp_path: Path) -> None:
    """2 kW of a plant of 10 kW: errors of the lower class, times 10 kW; they last as long as fitted, not as the scenario says."""
    path = written(tmp_path, "{file: wind.json, capacity_kw: 10}")
    assert check_file(path) == []
    wind = load_scenario(path).sites[0].wind_kw
    assert isinstance(wind, QuantileSeries)
    assert wind.values.tolist() == pytest.approx([2.0], abs=0.01)  # a fit keeps 200 quantiles
    assert wind.table[[0, -1], 0] == pytest.approx([0.0, 5.0], abs=0.01)
    assert wind.lasts_h == pytest.approx(-1.0 / np.log(0.8), rel=1e-4)


def test_the_rating_is_the_capacity_when_nothing_else_is_said(tmp_path: Path) -> None:
    """rated_kw of wind: 2 of 4 kW is in the upper class, so 0.05 times 4 kW more at most."""
    path = written(tmp_path, "{file: wind.json}\n      rated_kw: 4")
    wind = load_scenario(path).sites[0].wind_kw
    assert isinstance(wind, QuantileSeries)
    assert wind.table[-1, 0] == pytest.approx(2.2, abs=0.01)


@pytest.mark.parametrize(
    ("fitted", "planning", "found"),
    [
        ("{file: wind.json}", "", "no capacity_kw"),
        ("{file: wnd.json, capacity_kw: 10}", "", "no such file: wnd.json"),
        ("{file: fitted.yaml, capacity_kw: 10}", "", "not a file of fitted errors"),
        ("{file: wind.json, capacity_kw: 10}", "planning: {chance_level: 0.999}", "0.999"),
        ("{file: wind.json, capacity_kw: 0}", "", "0"),
    ],
)
def test_faults_are_told(tmp_path: Path, fitted: str, planning: str, found: str) -> None:
    """No capacity, no file, another file, a chance level beyond the quantiles: one finding each, with its line."""
    (finding,) = check_file(written(tmp_path, fitted, planning))
    assert found in finding.found
    assert finding.line is not None


def test_two_kinds_of_quantiles_are_one_too_many(tmp_path: Path) -> None:
    """A forecast that is given as quantiles brings its own errors."""
    path = written(tmp_path, "{file: wind.json, capacity_kw: 10}")
    (tmp_path / "q.csv").write_text("time,p10,p50,p90\n" + "".join(f"2022-07-01T{h:02}:00Z,1,2,3\n" for h in range(24)))
    path.write_text(path.read_text().replace("{constant_kw: 2}", "{quantiles: q.csv}"))
    assert any("beside measured.quantiles" in finding.found for finding in check_file(path))
