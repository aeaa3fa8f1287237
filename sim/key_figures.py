"""Key figures of metered energy (``scheduler.key_figures``): what each site used, made, rejected and paid, and how high it came.

Everything is settled on 15-minute means, as the totals are, so that a figure does not depend on the planner's step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grid.assets.site_asset import Bill
from grid.contracts.book import ContractBook
from grid.horizon import FloatArray, Horizon
from scheduler.contract_bill import ContractLine, penalties_eur
from scheduler.key_figures import KeyFigures, SiteFigures
from scheduler.objective import NO_BILL, realised_breakdown_eur
from scheduler.outcome import MeteredEnergy
from scheduler.scenario import Scenario
from sim.totals import COST_PARTS


def key_figures(
    scenario: Scenario,
    settlement: Horizon,
    energy: MeteredEnergy,
    made_kwh: FloatArray | None = None,
    bills: Sequence[Bill] | None = None,
    contracts: Sequence[ContractLine] = (),
) -> KeyFigures:
    """Key figures of metered energy.

    Args:
        scenario: with its horizon equal to the metered period and every event in it.
        settlement: that period in slots of 15 minutes.
        energy: kWh on the slots of ``settlement``, ``[S, slots]`` each.
        made_kwh: what biogas units and generators gave, ``[S, slots]``; None: nothing.
        bills: what the assets of each site owed by themselves; None: nothing.
        contracts: lines of the bill of contracts, of all sites.
    """
    made = made_kwh if made_kwh is not None else np.zeros_like(energy.load_kwh)
    owed = bills if bills is not None else [NO_BILL] * len(scenario.sites)
    net_kw: FloatArray = (energy.import_kwh - energy.export_kwh) / settlement.step_h
    group_kw = net_kw.sum(axis=0)
    return KeyFigures(
        sites=tuple(_site(scenario, settlement, energy, s, made[s], owed[s], contracts) for s in range(len(scenario.sites))),
        group_peak_kw=float(group_kw.max(initial=0.0)),
        group_export_peak_kw=float((-group_kw).max(initial=0.0)),
        feeders_released_kw=_feeders_released_kw(scenario, net_kw),
    )


def _site(
    scenario: Scenario,
    settlement: Horizon,
    energy: MeteredEnergy,
    s: int,
    made: FloatArray,
    bill: Bill,
    contracts: Sequence[ContractLine],
) -> SiteFigures:
    """Figures of one site."""
    site = scenario.sites[s]
    load, available = (energy.load_kwh[s] + made).clip(min=0.0), energy.renewable_kwh[s]
    peak_kw = float(energy.import_kwh[s].max(initial=0.0)) / settlement.step_h
    rated_kw = float(site.connection.import_limit_kw.mean(settlement).max(initial=0.0))
    export_eur_per_kwh = site.tariff.export_eur_per_mwh.mean(settlement) / 1000.0
    return SiteFigures(
        hours=settlement.slots * settlement.step_h,
        import_kwh=float(energy.import_kwh[s].sum()),
        load_kwh=float(load.sum()),
        generated_kwh=float((available + made).sum()),
        self_used_kwh=float((energy.renewable_used_kwh[s] + made - energy.export_kwh[s]).clip(min=0.0).sum()),
        curtailed_kwh=float(energy.curtailed_kwh[s].sum()),
        covered_kwh=float(np.minimum(load, available).sum()),
        curtailed_eur=float(energy.curtailed_kwh[s] @ export_eur_per_kwh),
        peak_kw=peak_kw,
        rated_kw=rated_kw,
        released_kw=max(0.0, rated_kw - peak_kw),
        cost_eur=_cost_eur(scenario, settlement, energy, s, bill)
        + penalties_eur(tuple(line for line in contracts if line.site == site.name)),
    )


def _cost_eur(scenario: Scenario, settlement: Horizon, energy: MeteredEnergy, s: int, bill: Bill) -> float:
    """Energy cost of one site by the one definition of the objective, so that the sites sum to the total.

    What contracts cost it is in their lines (a cap of a group has no meaning for one site alone), but for peaks.
    """
    peaks = ContractBook(tariffs=scenario.contracts.tariffs)
    alone = replace(scenario, sites=(scenario.sites[s],), jobs=(), datasets=(), contracts=peaks)
    own = MeteredEnergy(**{name: getattr(energy, name)[s : s + 1] for name in MeteredEnergy.names()})
    parts = realised_breakdown_eur(alone, settlement, own, (), (), bill)
    return sum(parts[part] for part in COST_PARTS)


def _feeders_released_kw(scenario: Scenario, net_kw: FloatArray) -> float | None:
    """What the highest flows leave of the ratings of all feeders; None without feeders."""
    if not scenario.feeders:
        return None
    names = [site.name for site in scenario.sites]
    left = 0.0
    for line in scenario.feeders:
        flow = net_kw[[names.index(name) for name in line.sites]].sum(axis=0)
        left += max(0.0, line.limit_kw - float(np.abs(flow).max(initial=0.0)))
    return left
