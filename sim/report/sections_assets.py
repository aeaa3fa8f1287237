"""The section on assets of sites: what the first plan has each of them do, and what that costs and emits."""

from __future__ import annotations

from grid.assets.biogas import BiogasChp
from scheduler.asset_runs import AssetRun
from sim.report.markup import note, section, table
from sim.report.sections import Page
from sim.report.tables import number

HEAD = ["asset", "site", "kind", "given kWh", "drawn kWh", "hours on", "cost EUR", "fossil CO2 kg", "biogenic CO2 kg"]


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
    return section("Assets", body + table(HEAD, rows, numeric=range(3, 9)))


def _row(page: Page, run: AssetRun, step_h: float) -> list[str]:
    """Figures of one asset."""
    given, drawn = -run.draw_kw.clip(max=0.0), run.draw_kw.clip(min=0.0)
    asset = next(asset for asset in page.record.scenario.site(run.site).assets if asset.name == run.asset)
    biogenic = asset.biogenic_kg(run.series, step_h) if isinstance(asset, BiogasChp) else None
    hours = float((run.draw_kw != 0.0).sum()) * step_h
    figures = (float(given.sum()) * step_h, float(drawn.sum()) * step_h, hours)
    cells = [number(value, 1) for value in figures]
    return [run.asset, run.site, run.kind, *cells, number(run.cost_eur, 2), number(run.carbon_g / 1000, 1), number(biogenic, 1)]
