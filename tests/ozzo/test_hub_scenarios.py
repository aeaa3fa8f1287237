"""The scenarios of surplus and of twenty hubs, run as a user runs them: what their files promise is in the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ozzo.test_run import run

Ran = tuple[dict[str, Any], Path]


@pytest.fixture(scope="module")
def surplus(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """``sunny_windy_surplus`` up to its rehearsal."""
    return run("configs/sunny_windy_surplus.yaml", "--no-nodes", runs=tmp_path_factory.mktemp("surplus"))


@pytest.fixture(scope="module")
def hubs(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """``mra_20_hubs`` up to its rehearsal."""
    return run("configs/mra_20_hubs.yaml", "--no-nodes", runs=tmp_path_factory.mktemp("hubs"))


@pytest.mark.slow
def test_surplus_is_absorbed_before_it_is_curtailed(surplus: Ran) -> None:
    """The plan does all of the work and curtails less than half of what running at once, and of what waiting for sun curtails."""
    figures, _ = surplus
    assert (figures["verdict"], figures["dropped"], figures["deadline_misses"]) == ("passed", 0, 0)
    for name in ("fifo", "wait_for_sun"):
        baseline = figures["baselines"][name]
        assert (baseline["dropped"], baseline["deadline_misses"]) == (0, 0)  # the same work, so the comparison is fair
        assert figures["curtailed_kwh"] < 0.5 * baseline["curtailed_kwh"]
    at_once = figures["baselines"]["fifo"]
    kpis = figures["kpis"]
    assert kpis["avoided_curtailed_kwh"] == pytest.approx(at_once["curtailed_kwh"] - figures["curtailed_kwh"])
    assert kpis["self_consumption_pct"] > at_once["kpis"]["self_consumption_pct"]


@pytest.mark.slow
def test_nothing_is_curtailed_while_something_could_take_it(surplus: Ran) -> None:
    """All but 1 % of what the run curtails falls into half hours that end with a full battery, and most of it beside full export.

    A half hour in which the surplus begins or ends exports less than its limit in the mean, so only most of it is asked for.
    """
    from pyarrow import parquet

    _, folder = surplus
    table = parquet.read_table(folder / "timeseries.parquet").to_pandas()
    plan = table[table["policy"] == "plan"]
    curtailed = plan["realised_curtailed_kw"]
    assert set(plan["site"][curtailed > 0]) == {"sun-hall", "wind-hall"}
    full = plan["realised_soc_kwh"] >= 40.0 - 1e-6  # the capacity of both batteries
    at_limit = plan["realised_export_kw"] >= plan["export_limit_kw"] - 1e-6
    assert curtailed[full].sum() >= 0.99 * curtailed.sum()
    assert curtailed[full & at_limit].sum() >= 0.75 * curtailed.sum()


@pytest.mark.slow
def test_both_limits_bind_in_the_surplus_scenario(surplus: Ran) -> None:
    """Planned import comes to what the margin leaves of its limit or close to it, planned export exactly; neither goes beyond."""
    from pyarrow import parquet

    _, folder = surplus
    table = parquet.read_table(folder / "timeseries.parquet").to_pandas()
    plan = table[table["policy"] == "plan"]
    out = (plan["planned_export_kw"] / (0.95 * plan["export_limit_kw"])).max()
    taken = (plan["planned_import_kw"] / (0.95 * plan["import_limit_kw"])).max()
    assert out == pytest.approx(1.0, abs=1e-6)
    assert 0.9 < taken <= 1.0 + 1e-6


@pytest.mark.slow
def test_twenty_hubs_have_their_business_case_beside_the_run(hubs: Ran) -> None:
    """Sets as published, and the run's peaks, curtailment and released capacity before and after, in JSON and on the page."""
    figures, folder = hubs
    assert (figures["verdict"], figures["dropped"], figures["sites"]) == ("passed", 0, 20)
    case = figures["business_case"]
    assert [(one["set"], one["hubs"], one["capex_meur"]) for one in case["published"]] == [("A", 1, 10.0), ("B", 20, 160.0)]
    before, after = case["before"], case["after"]
    assert before["hubs"] == after["hubs"] == 20
    assert before["peak_kw"] == figures["baselines"]["fifo"]["peak_kw"]
    assert after["group_peak_kw"] == figures["kpis"]["group_peak_kw"]
    for key in ("peak_kw", "group_peak_kw", "curtailed_kwh", "cost_eur"):
        assert after[key] < before[key]
    assert after["released_kw"] > before["released_kw"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<h2>Business case</h2>" in page
    assert "What ozzo simulated with 20 hubs" in page


@pytest.mark.slow
def test_every_hub_has_key_figures_that_sum(hubs: Ran) -> None:
    """Twenty entries; their costs sum to the run's, their savings to what running at once costs more."""
    figures, _ = hubs
    sites = figures["kpis"]["sites"]
    assert len(sites) == 20
    assert sum(own["cost_eur"] for own in sites.values()) == pytest.approx(figures["cost_eur"])
    saved = figures["baselines"]["fifo"]["cost_eur"] - figures["cost_eur"]
    assert sum(own["saved_eur"] for own in sites.values()) == pytest.approx(saved)
    assert 1 / 20 <= figures["kpis"]["fairness_savings"] <= 1
