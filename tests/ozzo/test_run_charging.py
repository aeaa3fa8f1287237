"""A run with charging points from end to end: figures, page, departures, and what discharge is worth beside shifting only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ozzo.run import run_scenario
from ozzo.run_state import RunOptions, baselines_of
from scheduler.document import load_scenario
from tests.scheduler.document.test_charging import TEXT


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Summary and folder of a run: one car that cannot have its energy, one that has time, one that gives back."""
    folder = tmp_path_factory.mktemp("charging")
    text = TEXT.replace("departure: +5h", "departure: +2h").replace(
        "price: {constant_eur_per_mwh: 100}", "price: {table: hours.csv, column: price_eur_per_mwh}"
    )
    rows = [f"{month},{hour},{400 if 18 <= hour < 21 else 60}" for month in range(1, 13) for hour in range(24)]
    (folder / "hours.csv").write_text("\n".join(["month,hour,price_eur_per_mwh", *rows]) + "\n")
    path = folder / "street.yaml"
    path.write_text(text)
    options = RunOptions(path, (), folder / "runs", None, 12.0, nodes=False, port=0)
    result = run_scenario(options, quiet=True)
    assert result.exit_code == 0
    return result.summary, result.folder


def test_the_summary_tells_of_the_fleet(done: tuple[dict[str, Any], Path]) -> None:
    """Two cars, one of which may give back and does; the other lacks 6.4 of 8 kWh after half an hour at 4 kW, and is named."""
    charging = done[0]["charging"]
    (fleet,) = charging["fleets"]
    assert (fleet["site"], fleet["asset"], fleet["sessions"], fleet["groups"]) == ("street", "points", 2, 2)
    assert (fleet["may_give"], fleet["gave"], fleet["short_cars"]) == (1, 1, 1)
    assert fleet["short"] == [{"session": "early", "missing_kwh": pytest.approx(6.4, abs=1e-6)}]
    assert fleet["missing_kwh"] == pytest.approx(6.4, abs=1e-6)
    assert fleet["given_back_kwh"] > 1.0
    assert fleet["avoided_peak_kw"] == pytest.approx(fleet["at_once_peak_kw"] - fleet["peak_kw"])
    assert 0.0 <= fleet["at_once_off_peak_share"] < fleet["off_peak_share"] <= 1.0


def test_discharge_is_worth_what_shifting_alone_leaves(done: tuple[dict[str, Any], Path]) -> None:
    """Shifting alone is better than charging at once, and discharge adds the rest: the difference of the two objectives."""
    summary = done[0]
    shift = summary["baselines"]["shift_only"]["objective_eur"]
    assert summary["charging"]["v2g_benefit_eur"] == pytest.approx(shift - summary["objective_eur"])
    assert summary["objective_eur"] < shift - 0.01
    assert shift < summary["baselines"]["fifo"]["objective_eur"] - 0.01


def test_the_page_and_the_files_tell_of_every_car(done: tuple[dict[str, Any], Path]) -> None:
    """A curve, the cars that leave short, and a row a policy and car with planned and realised levels that agree."""
    page = (done[1] / "report.html").read_text(encoding="utf-8")
    assert "<h2>Charging points</h2>" in page
    assert "early (6.40 kWh)" in page
    pictures = json.loads(page.split('id="figures">', 1)[1].split("</script>", 1)[0])
    names = [trace["name"] for trace in pictures["charging-0"]["data"]]
    assert names == ["charged at once", "as planned"]
    rows = pq.read_table(done[1] / "departures.parquet").to_pylist()
    assert {(row["policy"], row["session"]) for row in rows} == {
        (policy, car) for policy in ("plan", "fifo", "wait_for_sun", "shift_only") for car in ("early", "shared")
    }
    for row in rows:
        assert row["realised_level_kwh"] == pytest.approx(row["planned_level_kwh"], abs=1e-6)
        assert row["realised_missing_kwh"] == pytest.approx(6.4 if row["session"] == "early" else 0.0, abs=1e-6)
    shared = next(row for row in rows if row["session"] == "shared")
    assert shared["departure"].isoformat() == "2023-06-21T07:00:00+00:00"


def test_without_discharge_there_is_no_third_baseline(tmp_path: Path) -> None:
    """The plan that only shifts stands beside others only where a car may give back."""
    path = tmp_path / "street.yaml"
    for text, expected in ((TEXT, 3), (TEXT.replace("discharge: true", "discharge: false"), 2)):
        path.write_text(text)
        assert len(baselines_of(load_scenario(path))) == expected
