"""Key figures in reports: compared with running at once, by hand where it can be, and as the page shows them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from scheduler.asset_runs import rule_runs, with_draw
from scheduler.build import build_problem
from scheduler.key_figures import KeyFigures, SiteFigures
from scheduler.outcome import JobOutcome, Outcome
from scheduler.workload import Tenant
from sim.record import RunRecord
from sim.rehearsal import realise
from sim.report.kpis import kpis, waits_h
from sim.report.page import report_html
from sim.report.sections import Page
from sim.report.sections_kpis import kpi_section
from sim.report.summary import summary
from tests.factory import START, small_scenario
from tests.records import example_record
from tests.sim.hand import exact, good_plan
from tests.sim.test_plan_check_assets import EMERGENCY


def figures(peak_kw: float, cost_eur: float, curtailed_kwh: float) -> SiteFigures:
    """A site of a rated 20 kW over a day with this peak, cost and curtailment."""
    return SiteFigures(24.0, 48.0, 60.0, 40.0, 32.0, curtailed_kwh, 30.0, 0.1, peak_kw, 20.0, 20.0 - peak_kw, cost_eur)


def with_figures(outcome: Outcome, *sites: SiteFigures, group_kw: float) -> Outcome:
    """The outcome with these key figures."""
    return replace(outcome, key_figures=KeyFigures(sites, group_kw, 0.0, None))


def record_by_hand() -> RunRecord:
    """Running at once: peaks 10, 8 and 6 kW, 9 EUR each, 5 kWh curtailed each. The plan: peaks 7, 9 and 2 kW, 3, 12 and 6 EUR."""
    record = example_record()
    assert record.outcome is not None
    before = with_figures(record.baselines["fifo"], figures(10, 9, 5), figures(8, 9, 5), figures(6, 9, 5), group_kw=21.0)
    after = with_figures(record.outcome, figures(7, 3, 1), figures(9, 12, 0), figures(2, 6, 2), group_kw=15.5)
    return replace(record, outcome=after, baselines={"fifo": before})


def test_comparisons_by_hand() -> None:
    """Avoided 6 kW summed, 5.5 together, 12 kWh curtailment; savings 6, -3 and 3 EUR: index of 6, 0 and 3 is 81 / 135."""
    record = record_by_hand()
    found = kpis(record, record.outcome)
    assert found is not None
    assert (found["avoided_peak_kw"], found["avoided_group_peak_kw"], found["avoided_curtailed_kwh"]) == (6.0, 5.5, 12.0)
    assert found["released_kw"] == 13.0 + 11.0 + 18.0
    assert found["fairness_savings"] == pytest.approx(81 / 135)
    assert [own["saved_eur"] for own in found["sites"].values()] == [6.0, -3.0, 3.0]
    assert found["self_sufficiency_pct"] == pytest.approx(100 * 32 / 80)
    assert found["load_factor_pct"] == pytest.approx(10.0)
    at_once = summary(record)["baselines"]["fifo"]["kpis"]
    assert (at_once["avoided_peak_kw"], at_once["fairness_savings"]) == (0.0, None)


def test_without_running_at_once_nothing_is_compared() -> None:
    """No baseline: own figures stand, comparisons are null; no execution: no key figures and no section."""
    record = replace(record_by_hand(), baselines={})
    found = kpis(record, record.outcome)
    assert found is not None
    assert found["group_peak_kw"] == 15.5
    assert {found[key] for key in ("avoided_peak_kw", "avoided_curtailed_kwh", "fairness_savings")} == {None}
    stopped = example_record(interrupted="plan")
    assert summary(stopped)["kpis"] is None
    assert kpi_section(Page.of(stopped)) == ""


def test_waits_are_those_of_tenants_or_of_sites() -> None:
    """Waits of 1 and 3 h at the hall are 2 h; 4 h at the cabinet; by tenant the jobs without one are left out."""
    record = example_record()
    assert record.outcome is not None
    jobs = {job.name: job for job in record.scenario.jobs}

    def done(name: str, where: str | None, wait_h: float) -> JobOutcome:
        """A job that began so long after its release."""
        job = jobs[name]
        begun = job.release + timedelta(hours=wait_h) if where else None
        return JobOutcome(name, where, begun, begun and begun + job.duration, job.deadline, where is None, 0, 0.1)

    ran = (done("index", "cabinet", 4), done("render", "hall", 1), done("backup", "hall", 3), done("huge", None, 0))
    outcome = replace(record.outcome, jobs=ran)
    assert waits_h(record, outcome) == {"cabinet": 4.0, "hall": 2.0}
    found = kpis(record, outcome)
    assert found is not None
    assert found["fairness_waits"] == pytest.approx(36 / (2 * 20))
    owned = tuple(replace(job, tenant="lab") if job.name in {"index", "render"} else job for job in record.scenario.jobs)
    scenario = replace(record.scenario, jobs=owned, tenants=(Tenant("lab", 1.0),))
    owned_by_one = replace(record, scenario=scenario)
    assert waits_h(owned_by_one, outcome) == {"lab": 2.5}
    alone = kpis(owned_by_one, outcome)
    assert alone is not None
    assert alone["fairness_waits"] is None  # nobody to compare it with
    assert min(job.release for job in record.scenario.jobs) >= START


def test_the_page_shows_them() -> None:
    """The section has the plan's and the baseline's figures and a row for each site; it stands on the page."""
    record = record_by_hand()
    body = kpi_section(Page.of(record))
    row = body.split("Avoided peak, sum of sites (kW)", 1)[1].split("</tr>", 1)[0]
    assert ">6.00<" in row
    assert ">0.00<" in row
    assert "feeders" not in body  # a row that nobody has a figure for is left out
    assert body.count('<td class="when">') == 3
    assert "Key figures" in report_html(record)


def test_the_world_counts_what_generators_give() -> None:
    """A test run of 8 kWh is local generation of the hall in the simulated world: nothing else makes power there at night."""
    base = exact(small_scenario())
    sites = tuple(replace(site, assets=(EMERGENCY,)) if site.name == "hall" else site for site in base.sites)
    scenario = replace(base, sites=sites)
    problem = build_problem(scenario)
    runs = rule_runs(problem, problem.fixed_kw)
    assert with_draw(problem, runs).fixed_kw.sum() < problem.fixed_kw.sum()
    without = realise(base, good_plan(base), 7).key_figures
    found = realise(scenario, replace(good_plan(base), assets=runs), 7).key_figures
    assert found is not None
    assert without is not None
    hall = [site.name for site in scenario.sites].index("hall")
    given = float(-runs[0].draw_kw.sum() * scenario.horizon.step_h)
    assert given > 0
    assert found.sites[hall].generated_kwh - without.sites[hall].generated_kwh == pytest.approx(given)
    assert found.sites[hall].load_kwh == pytest.approx(without.sites[hall].load_kwh)
    assert found.total.cost_eur != pytest.approx(without.total.cost_eur)
