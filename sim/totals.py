"""Totals of an outcome: the figures that a person reads first, and that policies are compared by.

Costs come from ``scheduler.objective``, the one definition of the objective, settled on 15-minute means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from grid.assets.site_asset import Bill
from grid.horizon import FloatArray, Horizon
from scheduler.objective import NO_BILL, realised_breakdown_eur
from scheduler.outcome import JobOutcome, MeteredEnergy, Totals
from scheduler.scenario import Scenario

COST_PARTS: tuple[str, ...] = (
    "energy_import",
    "energy_export",
    "peak",
    "battery_wear",
    "event_penalty",
    "soc_shortfall",
    "assets",
    "contracts",
)
"""Parts of the objective that are money that somebody pays for energy; carbon, drops and lateness are priced, not paid.

An emptied battery is no saving: ``soc_shortfall`` is the money that refills it."""


def totals(
    scenario: Scenario,
    settlement: Horizon,
    energy: MeteredEnergy,
    jobs: Sequence[JobOutcome],
    dropped: Iterable[str] = (),
    dropped_migrations: Iterable[str] = (),
    assets: Bill = NO_BILL,
    nominated_kw: FloatArray | None = None,
) -> Totals:
    """Totals of metered energy.

    Args:
        scenario: with its horizon equal to the metered period and every event in it.
        settlement: that period in slots of 15 minutes.
        energy: kWh on the slots of ``settlement``, ``[S, slots]`` each.
        jobs: what became of each job.
        dropped: jobs that were not done on purpose.
        dropped_migrations: datasets whose required migration was not done.
        assets: what the assets owed by themselves.
        nominated_kw: net import that was nominated, ``[S, slots]``; None: exactly what was metered.
    """
    on_purpose, not_moved = set(dropped), tuple(dropped_migrations)
    breakdown = realised_breakdown_eur(scenario, settlement, energy, jobs, not_moved, assets, nominated_kw)
    carbon_g = sum(
        float(energy.import_kwh[s] @ site.carbon.average_g_per_kwh.mean(settlement)) for s, site in enumerate(scenario.sites)
    )
    carbon_g += assets.carbon_g
    self_used = (energy.renewable_used_kwh - energy.export_kwh).clip(min=0.0)
    return Totals(
        cost_eur=sum(breakdown[part] for part in COST_PARTS),
        carbon_kg=carbon_g / 1000.0,
        import_kwh=float(energy.import_kwh.sum()),
        export_kwh=float(energy.export_kwh.sum()),
        curtailed_kwh=float(energy.curtailed_kwh.sum()),
        self_used_kwh=float(self_used.sum()),
        peak_kw=float(energy.import_kwh.max(axis=1).sum()) / settlement.step_h,
        deadline_misses=sum(job.missed and job.job not in on_purpose for job in jobs),
        dropped=sum(job.finished is None and job.job in on_purpose for job in jobs) + len(not_moved),
        objective_eur=sum(breakdown.values()),
        breakdown_eur=breakdown,
    )
