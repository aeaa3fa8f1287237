"""The report's table of assets: figures of the plan, one row an asset, nothing without assets."""

from __future__ import annotations

from dataclasses import replace

from grid.series import Series
from scheduler.asset_runs import rule_runs
from scheduler.build import build_problem
from sim.report.page import report_html
from sim.report.sections import Page
from sim.report.sections_assets import assets_section
from tests.records import example_record
from tests.sim.test_plan_check_assets import DIGESTER, EMERGENCY
from tests.sim.test_plan_check_heat import HEAT


def test_no_assets_no_section() -> None:
    """A run without assets has no such section."""
    assert assets_section(Page.of(example_record())) == ""


def test_every_asset_has_its_row() -> None:
    """The digester's energy and biogenic carbon and the generator's 8 kWh, 3.60 EUR and 6.9 kg stand in the page."""
    record = example_record()
    digester = replace(DIGESTER, biogenic_g_per_kwh=200.0)
    sites = tuple(replace(site, assets=(digester, EMERGENCY)) if site.name == "hall" else site for site in record.scenario.sites)
    scenario = replace(record.scenario, sites=sites)
    problem = build_problem(scenario)
    runs = rule_runs(problem, problem.fixed_kw)
    first = record.plans[0]
    plans = (replace(first, plan=replace(first.plan, assets=runs)), *record.plans[1:])
    page = report_html(replace(record, scenario=scenario, plans=plans))
    assert "<h2>Assets</h2>" in page
    row = page.split(">emergency<", 1)[1].split("</tr>", 1)[0]
    assert all(f">{cell}<" in row for cell in ("hall", "generator", "8.0", "2.0", "3.60", "6.9"))
    row = page.split(">digester<", 1)[1].split("</tr>", 1)[0]
    assert f">{digester.biogenic_kg(runs[0].series, problem.horizon.step_h):.1f}<" in row


def test_heat_has_a_row_of_its_own() -> None:
    """A quarter of a kW delivered all the time: its MWh, 100 % of demand, and the gas and carbon dioxide of the boilers."""
    record = example_record()
    horizon = record.scenario.horizon
    heat = replace(HEAT, demand_kw=Series.constant(0.25, horizon, "kW", "test"), loss_per_h=0.0)
    sites = tuple(replace(site, assets=(heat,)) if site.name == "hall" else site for site in record.scenario.sites)
    scenario = replace(record.scenario, sites=sites)
    problem = build_problem(scenario)
    first = record.plans[0]
    plans = (replace(first, plan=replace(first.plan, assets=rule_runs(problem, problem.fixed_kw))), *record.plans[1:])
    page = assets_section(Page.of(replace(record, scenario=scenario, plans=plans)))
    row = page.split("gas avoided m3", 1)[1].split(">heat<", 1)[1].split("</tr>", 1)[0]
    delivered_kwh = 0.25 * horizon.slots * horizon.step_h
    gas_m3 = delivered_kwh / 7.9125
    assert all(f">{value:.1f}<" in row for value in (delivered_kwh / 1000, 100.0, gas_m3, 1.68 * gas_m3))
