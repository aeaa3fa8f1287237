"""The section on assets of sites: what the first plan has each of them do, and what that costs and emits."""

from __future__ import annotations

from grid.assets.biogas import BiogasChp
from grid.assets.heat_reuse import HeatReuse
from grid.assets.site_asset import SiteAsset
from scheduler.asset_runs import AssetRun
from sim.report.markup import note, section, table
from sim.report.sections import Page
from sim.report.tables import number

HEAD = ["asset", "site", "kind", "given kWh", "drawn kWh", "hours on", "cost EUR", "fossil CO2 kg", "biogenic CO2 kg"]

HEAT_HEAD = [
    "heat reuse",
    "site",
    "delivered MWh",
    "of demand %",
    "electricity kWh",
    "cooling saved kWh",
    "gas avoided m3",
    "CO2 avoided kg",
]


def assets_section(page: Page) -> str:
    """A row for each asset of the first plan; nothing when there is none."""
    record = page.record
    if not record.plans or not record.plans[0].plan.assets:
        return ""
    plan = record.plans[0].plan
    body = note(
        "What the first plan has other assets of the sites do. Costs are their own (fuel, starts, upkeep, less what heat earns); "
        "electricity is in the figures of the site. Biogenic carbon dioxide is declared and in no total."
    )
    rows = [_row(page, run, plan.horizon.step_h) for run in plan.assets]
    return section("Assets", body + table(HEAD, rows, numeric=range(3, 9)) + _heat(page))


def _heat(page: Page) -> str:
    """A row for each reuse of heat of the first plan; nothing when there is none."""
    rows = []
    for run in page.record.plans[0].plan.assets:
        asset = _asset(page, run)
        if isinstance(asset, HeatReuse):
            step_h = page.record.plans[0].plan.horizon.step_h
            account, demand_kwh = asset.account(run.series, step_h), float(run.series["demand_kw"].sum()) * step_h
            figures = (
                account.delivered_kwh / 1000,
                100 * account.delivered_kwh / demand_kwh if demand_kwh else None,
                account.electricity_kwh,
                account.cooling_saved_kwh,
                account.gas_avoided_m3,
                account.co2_avoided_kg,
            )
            rows.append([run.asset, run.site, *(number(value, 1) for value in figures)])
    words = (
        "Gas and carbon dioxide are those of the boilers that would have made the delivered heat; no total of this page has them."
    )
    return note(words) + table(HEAT_HEAD, rows, numeric=range(2, 8)) if rows else ""


def _asset(page: Page, run: AssetRun) -> SiteAsset:
    """The asset of the scenario that a run is of."""
    return next(asset for asset in page.record.scenario.site(run.site).assets if asset.name == run.asset)


def _row(page: Page, run: AssetRun, step_h: float) -> list[str]:
    """Figures of one asset."""
    given, drawn = -run.draw_kw.clip(max=0.0), run.draw_kw.clip(min=0.0)
    asset = _asset(page, run)
    biogenic = asset.biogenic_kg(run.series, step_h) if isinstance(asset, BiogasChp) else None
    hours = float((run.draw_kw != 0.0).sum()) * step_h
    figures = (float(given.sum()) * step_h, float(drawn.sum()) * step_h, hours)
    cells = [number(value, 1) for value in figures]
    return [run.asset, run.site, run.kind, *cells, number(run.cost_eur, 2), number(run.carbon_g / 1000, 1), number(biogenic, 1)]
