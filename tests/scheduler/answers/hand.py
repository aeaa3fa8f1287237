"""One site with one node whose prices are given hour by hour, so that every answer can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

from grid.assets.battery import Battery
from grid.series import Series
from scheduler.build import build_problem
from scheduler.problem import Problem
from scheduler.scenario import PlanningSettings, Scenario, Weights
from scheduler.workload import Job
from tests.factory import day_horizon, site
from tests.sim.hand import EXACT

JOB_KW = 0.4 * 1.2
"""Facility power of a job of 16 cores at a site of the factory: (0.5 - 0.1) kW times PUE 1.2."""


def one_site(
    prices_eur_per_mwh: list[float],
    jobs: tuple[Job, ...],
    *,
    nodes: int = 1,
    battery: Battery | None = None,
    peak_eur_per_kw: float = 0.0,
    import_limit_kw: float = 50.0,
    **changes: object,
) -> Scenario:
    """A hall with these prices, an hour each, no sun, nothing paid for export, and no price of carbon."""
    horizon = day_horizon(len(prices_eur_per_mwh), 60)
    made = site(horizon, "hall", nodes=nodes, battery=battery, peak_eur_per_kw=peak_eur_per_kw, import_limit_kw=import_limit_kw)
    tariff = replace(
        made.tariff,
        import_eur_per_mwh=Series.on(horizon, prices_eur_per_mwh, "EUR/MWh"),
        export_eur_per_mwh=Series.constant(0.0, horizon, "EUR/MWh"),
    )
    made = replace(made, tariff=tariff)
    settings = PlanningSettings(relative_gap=0.0, limit_margin=0.0)
    weights = Weights(carbon_eur_per_kg=0.0)
    plain = Scenario("hand", "hand", 1, horizon, (made,), jobs=jobs, planning=settings, weights=weights, errors=EXACT)
    return replace(plain, **changes)  # type: ignore[arg-type]


def problem_of(scenario: Scenario) -> Problem:
    """Its planning problem."""
    return build_problem(scenario)
