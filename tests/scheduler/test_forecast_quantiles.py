"""Quantile forecasts from files, through the document, into plans, futures and the simulated truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grid.feeds.quantile_file import read_quantiles
from grid.quantile_series import QuantileSeries
from ozzo.commands_plan import make_plan
from scheduler.build import build_problem
from scheduler.chance import chance_margins
from scheduler.document import check_notes, load_scenario
from scheduler.draws import draw_site, uncertain
from scheduler.policies.registry import POLICIES
from scheduler.quantiles import renewable_kw
from scheduler.scenario import Scenario
from sim.plan_check import check_plan
from sim.world.truth import Truth

CONFIGS = Path(__file__).parents[2] / "configs"
QUARTER = 44
"""11:00 local, by day."""


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """The shipped scenario with a sun forecast as quantiles."""
    return load_scenario(CONFIGS / "forecast_quantiles.yaml")


def sun_of(scenario: Scenario) -> QuantileSeries:
    """The forecast of the hall."""
    sun = scenario.site("hall").solar_kw
    assert isinstance(sun, QuantileSeries)
    return sun


def test_the_shipped_forecast_is_that_of_its_file(scenario: Scenario) -> None:
    """Its quantiles are 0.15, 0.30, 0.70, 0.95 and 1 of one clear sky, as the file says; the plan counts on p50."""
    sun = sun_of(scenario)
    assert sun.levels.tolist() == [0.02, 0.1, 0.5, 0.9, 0.98]
    for row, share in zip(sun.table, (0.15, 0.3, 0.7, 0.95, 1.0), strict=True):
        assert row == pytest.approx(sun.values * share / 0.7, abs=0.002)
    assert build_problem(scenario).renewable_kw[0] == pytest.approx(sun.values)
    assert "quantiles 0.02, 0.1, 0.5, 0.9, 0.98" in sun.source


def test_truth_and_draws_have_the_quantiles_of_the_file(scenario: Scenario) -> None:
    """Of 1000 truths and of 1000 draws as many lie below each quantile as its level says (deviation 0.016 at most)."""
    sun = sun_of(scenario)
    hall = scenario.site("hall")
    truths = np.array([Truth(scenario, seed, stressed=False).solar_kw["hall"].values[QUARTER] for seed in range(1000)])
    draws = draw_site(scenario, hall, scenario.horizon, 500, 3, "test")[0][:, QUARTER]
    for sample in (truths, draws):
        shares = [float((sample <= value).mean()) for value in sun.table[:, QUARTER]]
        assert shares == pytest.approx([0.02, 0.1, 0.5, 0.9, 0.98], abs=0.05)


def test_futures_are_drawn_from_the_quantiles_with_autocorrelation(scenario: Scenario) -> None:
    """Neighbouring quarters err alike (e^-1/12 of the normal scores), hours far apart hardly; no error sigma is needed."""
    quiet = replace(scenario, errors=replace(scenario.errors, solar_sigma=0.0, wind_sigma=0.0, load_sigma=0.0))
    assert uncertain(quiet)
    power = draw_site(quiet, quiet.site("hall"), quiet.horizon, 1000, 5, "test")[0]
    sun = sun_of(scenario)
    score = (power - sun.values) / np.where(sun.values > 0, sun.values, 1.0)
    near = float(np.corrcoef(score[:, QUARTER], score[:, QUARTER + 1])[0, 1])
    far = float(np.corrcoef(score[:, QUARTER - 16], score[:, QUARTER + 24])[0, 1])
    assert near > 0.85
    assert abs(far) < 0.25
    futures = build_problem(quiet).futures
    assert len(futures) == 6
    assert sum(future.probability for future in futures) == pytest.approx(1.0)
    noon = [future.renewable_kw[0, QUARTER] for future in futures]
    assert min(noon) < sun.values[QUARTER] < max(noon)


def test_the_plan_check_states_the_quantiles_of_a_forecast_again(scenario: Scenario) -> None:
    """A plan on p20 of the forecast passes the independent check at that level, and fails it at another."""
    planning = replace(scenario.planning, chance_level=None, renewable_quantile=0.2)
    careful = replace(scenario, planning=planning)
    assert renewable_kw(careful, careful.site("hall"), careful.horizon)[QUARTER] < sun_of(scenario).values[QUARTER]
    plan = POLICIES["fifo"]().plan(build_problem(careful))
    about_sun = [item for item in check_plan(careful, plan) if "sun and wind" in item.subject]
    assert about_sun == []
    other = replace(careful, planning=replace(planning, renewable_quantile=0.35))
    assert any("sun and wind" in item.subject for item in check_plan(other, plan))


def test_margins_of_the_shipped_scenario_follow_its_forecast(scenario: Scenario) -> None:
    """At night only the load's error is taken off; by day about what p2 is below p50, and export loses p98 less p50."""
    margins = chance_margins(scenario, scenario.horizon)
    assert margins is not None
    sun = sun_of(scenario)
    below, above = sun.values - sun.table[0], sun.table[-1] - sun.values
    assert margins.import_kw[0, QUARTER] == pytest.approx(below[QUARTER], rel=0.15)
    assert margins.export_kw[0, QUARTER] == pytest.approx(above[QUARTER], rel=0.15)
    assert margins.import_kw[0, 4] == pytest.approx(0.05 * 2.0537 * scenario.site("hall").idle_kw, rel=0.25)
    assert margins.feeder_kw[0] >= margins.import_kw[0].max() * 0.95


def test_a_parquet_forecast_in_watts_is_the_same_forecast(tmp_path: Path, scenario: Scenario) -> None:
    """The file of the scenario as Parquet in W with ``unit: W``: the same series, and a gap is filled when that is asked for."""
    reading = read_quantiles(CONFIGS / "data" / "sun_quantiles.csv")
    stamps = pa.array((reading.median.edges_s[:-1] * 1e3).astype("int64"), pa.timestamp("ms", tz="UTC"))
    names = ("p2", "p10", "p50", "p90", "p98")
    table = pa.table({"time": stamps, **{n: r.values * 1000 for n, r in zip(names, reading.readings, strict=True)}})
    text = (CONFIGS / "forecast_quantiles.yaml").read_text(encoding="utf-8").replace("data/nl_hour", f"{CONFIGS}/data/nl_hour")
    path = tmp_path / "watts.yaml"
    path.write_text(text.replace("{quantiles: data/sun_quantiles.csv}", "{quantiles: sun.parquet, unit: W}"), encoding="utf-8")
    pq.write_table(table, tmp_path / "sun.parquet")
    assert sun_of(load_scenario(path)).table == pytest.approx(sun_of(scenario).table)
    pq.write_table(pa.concat_tables([table.slice(0, 40), table.slice(42)]), tmp_path / "sun.parquet")
    findings, _ = check_notes(path)
    assert len(findings) == 1
    assert "2 rows" in findings[0].found
    path.write_text(path.read_text(encoding="utf-8").replace("unit: W}", "unit: W, repair: interpolate}"), encoding="utf-8")
    findings, notes = check_notes(path)
    assert findings == []
    assert any("2 of 96 steps filled" in note for note in notes)
    assert sun_of(load_scenario(path)).table == pytest.approx(sun_of(scenario).table, abs=0.05)


@pytest.mark.slow
def test_a_two_stage_plan_has_its_futures_in_place_of_the_level() -> None:
    """``ozzo plan --policy milp-two-stage`` says so, and all jobs run: errors are not counted twice."""
    told: list[str] = []
    path = CONFIGS / "forecast_quantiles.yaml"
    text, complete = make_plan(path, "milp-two-stage", out=None, as_json=True, say=told.append)
    assert complete
    assert any("stand in place of planning.chance_level" in line for line in told)
    assert json.loads(text)["dropped"] == {}
