"""The one definition of the objective: EUR, by named parts, that sum to it.

The planner (variables), the baselines (arrays) and the simulator (metered energy) all price energy here, so their
figures can be compared. ``scheduler.last_resort`` holds the two prices of last resort. Signs: a cost is positive, export
revenue is a negative ``energy_export``.

======================  ==================================================================================
part                    meaning
======================  ==================================================================================
``energy_import``       import times its price
``energy_export``       minus export times its price
``carbon``              import times the carbon intensity that ``Weights.carbon_signal`` names, and the fossil carbon dioxide of
                        assets' own fuel, times its price
``peak``                charge per kW of the highest mean import above the peak that was already reached
``battery_wear``        price of wear: half on every kWh charged and half on every kWh discharged; by depth of
                        cycles and by charge held
``event_penalty``       net import (import - export) above the limit of a demand-response event
``unserved``            facility load that no source served, at its price of last resort
``soc_shortfall``       energy missing in the battery at the end, at its price of last resort
``dropped``             jobs and required migrations that are not done
``lateness``            work after soft deadlines; as realised also hours after the hard deadline (plans keep that one)
``fixed``               fixed costs of the chosen places and targets, of copies of data, of pieces after a job's first
``assets``              what assets of sites owe by themselves: fuel, starts, upkeep, less what their heat earns
``contracts``           energy above what contracts with the grid operator allow, and off the nomination, at their prices; 0 in
                        a plan, which keeps them and is the nomination
======================  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from grid.assets.site_asset import Bill
from grid.assets.wear import wear_eur
from grid.contracts.capacity_tariff import dearest_at_once
from grid.horizon import FloatArray, Horizon
from grid.response.event import CapacityEvent
from grid.tariff import Carbon
from scheduler.contract_bill import contract_lines, penalties_eur
from scheduler.data import Dataset
from scheduler.facility import Site
from scheduler.last_resort import LastResort, last_resort, last_resorts, slots_touched
from scheduler.outcome import JobOutcome, MeteredEnergy
from scheduler.plan import EnergySchedule
from scheduler.problem import Problem
from scheduler.scenario import Scenario, Weights

PARTS: tuple[str, ...] = (
    "energy_import",
    "energy_export",
    "carbon",
    "peak",
    "battery_wear",
    "event_penalty",
    "unserved",
    "soc_shortfall",
    "dropped",
    "lateness",
    "fixed",
    "assets",
    "contracts",
)

NO_BILL = Bill()

MIGRATION_DROP_EUR = 100.0
"""Assumption: price of leaving a dataset on a tier where it may not be (set far above any energy cost of moving it)."""

MIGRATION_DROP_EUR_PER_TB = 100.0
"""Assumption: the same, per decimal terabyte."""


def migration_drop_eur(dataset: Dataset) -> float:
    """Price of not finishing a required migration of ``dataset``."""
    return MIGRATION_DROP_EUR + MIGRATION_DROP_EUR_PER_TB * dataset.size_tb


def carbon_g_per_kwh(carbon: Carbon, weights: Weights, horizon: Horizon) -> FloatArray:
    """Intensity that the objective uses, ``[T]``: marginal when asked for and known, else average."""
    if weights.carbon_signal == "marginal" and carbon.marginal_g_per_kwh is not None:
        return carbon.marginal_g_per_kwh.mean(horizon)
    return carbon.average_g_per_kwh.mean(horizon)


def breakdown_eur(
    problem: Problem,
    energy: EnergySchedule,
    *,
    dropped_eur: float = 0.0,
    fixed_eur: float = 0.0,
    lateness_eur: float = 0.0,
    assets: Bill = NO_BILL,
) -> dict[str, float]:
    """Objective parts of planned energy on the slots of ``problem``.

    Args:
        problem: prices, limits and events.
        energy: planned mean powers, ``[S, T]`` kW each.
        dropped_eur: prices of everything that is not done.
        fixed_eur: fixed costs of the chosen options, pieces and copies.
        lateness_eur: price of what is done after soft deadlines.
        assets: what the assets owe by themselves.
    """
    step_h = problem.horizon.step_h
    wear = [
        wear_eur(battery, start, step_h * energy.charge_kw[s], step_h * energy.discharge_kw[s], energy.soc_kwh[s], step_h)
        for s, (battery, start) in enumerate(zip(problem.batteries, problem.initial_soc_kwh, strict=True))
        if battery
    ]
    net_kw = energy.import_kw - energy.export_kw
    penalty = sum(
        event.penalty_eur_per_kwh * step_h * np.maximum(0.0, net_kw[event.site, event.start : event.end] - event.limit_kw).sum()
        for event in problem.events
    )
    shortfall = np.maximum(0.0, problem.final_soc_kwh - energy.soc_kwh[:, -1])
    prices = last_resorts(problem)
    refill = np.array([price.missing_eur_per_kwh for price in prices])
    unserved = np.array([price.unserved_eur_per_kwh for price in prices])
    peak_kw = np.maximum(0.0, energy.import_kw.max(axis=1) - problem.peak_reached_kw)
    return _checked(
        {
            "energy_import": step_h * (energy.import_kw * problem.import_eur_per_kwh).sum(),
            "energy_export": -step_h * (energy.export_kw * problem.export_eur_per_kwh).sum(),
            "carbon": step_h * problem.weights.carbon_eur_per_kg * (energy.import_kw * problem.carbon_g_per_kwh).sum() / 1000.0
            + problem.weights.carbon_eur_per_kg * assets.carbon_g / 1000.0,
            "peak": (problem.peak_eur_per_kw * peak_kw).sum() + _window_peaks_eur(problem, energy.import_kw),
            "battery_wear": sum(wear),
            "event_penalty": penalty,
            "unserved": step_h * (unserved[:, None] * energy.unserved_kw).sum(),
            "soc_shortfall": (refill * shortfall).sum(),
            "dropped": dropped_eur,
            "lateness": lateness_eur,
            "fixed": fixed_eur,
            "assets": assets.cost_eur,
            "contracts": 0.0,
        }
    )


def realised_breakdown_eur(
    scenario: Scenario,
    settlement: Horizon,
    energy: MeteredEnergy,
    jobs: Sequence[JobOutcome],
    dropped_migrations: Iterable[str] = (),
    assets: Bill = NO_BILL,
    nominated_kw: FloatArray | None = None,
) -> dict[str, float]:
    """Objective parts of metered energy.

    Args:
        scenario: prices, batteries, events and weights; the whole scenario's horizon, not a rest of it.
        settlement: slots of ``energy``: the scenario's horizon cut into metering periods of 15 minutes, so that peaks
            and events are settled on 15-minute means.
        energy: realised energy, ``[S, settlement slots]`` kWh each.
        jobs: what became of each job; one that never finished costs its ``drop_eur``, one that finished late its hours, after
            the hard deadline as after the soft one; restarts and moves cost what they cost.
        dropped_migrations: datasets whose required migration was not finished.
        assets: what the assets owed by themselves.
        nominated_kw: net import that was nominated, ``[S, settlement slots]``; None: exactly what was metered.

    An event is settled by ``overshoot_kwh``, as its proof of delivery is.
    """
    weights, step_h = scenario.weights, settlement.step_h
    parts = dict.fromkeys(PARTS, 0.0)
    for s, site in enumerate(scenario.sites):
        price = site.tariff.import_eur_per_mwh.mean(settlement) / 1000.0
        carbon = carbon_g_per_kwh(site.carbon, weights, settlement) / 1000.0 * weights.carbon_eur_per_kg
        imported, exported = energy.import_kwh[s], energy.export_kwh[s]
        parts["energy_import"] += float(imported @ price)
        parts["energy_export"] -= float(exported @ site.tariff.export_eur_per_mwh.mean(settlement)) / 1000.0
        parts["carbon"] += float(imported @ carbon)
        peak_kw = float(imported.max()) / step_h
        parts["peak"] += site.tariff.peak_eur_per_kw * max(0.0, peak_kw - site.tariff.peak_reached_kw)
        charges = [charge for _, charge in scenario.contracts.peak_charges(site.name, settlement)]
        parts["peak"] += sum(charge.eur_per_kw * charge.paid_kw(imported / step_h, settlement) for charge in charges)
        peak_eur = site.tariff.peak_eur_per_kw + dearest_at_once(charges, scenario.horizon)
        prices = _site_prices(scenario, site, scenario.events, peak_eur)
        refill = _site_prices(scenario, site, (), 0.0)  # a refill after the day meets no event of it and need not raise a peak
        parts["unserved"] += prices.unserved_eur_per_kwh * float(energy.unserved_kwh[s].sum())
        if site.battery is not None:
            start, charged, given = site.battery.initial_soc_kwh, energy.charge_kwh[s], energy.discharge_kwh[s]
            parts["battery_wear"] += wear_eur(site.battery, start, charged, given, energy.soc_kwh[s], step_h)
            missing = max(0.0, site.battery.initial_soc_kwh - float(energy.soc_kwh[s, -1]))
            parts["soc_shortfall"] += missing * refill.missing_eur_per_kwh
        net_kw = (imported - exported) / step_h
        for event in scenario.events:
            if event.site == site.name:
                over_kwh = float(overshoot_kwh(settlement, event, net_kw).sum())
                parts["event_penalty"] += event.penalty_eur_per_kwh * over_kwh
    asked = {job.name: job for job in scenario.jobs}
    datasets = {dataset.name: dataset for dataset in scenario.datasets}
    for outcome in jobs:
        if outcome.finished is None:
            parts["dropped"] += asked[outcome.job].drop_eur
        else:
            late_h = max(0.0, (outcome.finished - outcome.deadline).total_seconds() / 3600.0)
            parts["lateness"] += weights.lateness_eur_per_h * late_h + asked[outcome.job].late_eur_per_h * outcome.late_h
        parts["fixed"] += asked[outcome.job].restart_eur * max(0, outcome.pieces - 1)
        parts["fixed"] += (asked[outcome.job].move_eur or 0.0) * outcome.moves
    parts["dropped"] += sum(migration_drop_eur(datasets[name]) for name in dropped_migrations)
    parts["assets"] = assets.cost_eur
    lines = contract_lines(scenario, settlement, energy.import_kwh / step_h, energy.export_kwh / step_h, nominated_kw)
    parts["contracts"] = penalties_eur(lines)
    parts["carbon"] += weights.carbon_eur_per_kg * assets.carbon_g / 1000.0
    return _checked(parts)


def _window_peaks_eur(problem: Problem, import_kw: FloatArray) -> float:
    """Peak charges that count in some slots only, of planned imports ``[S, T]``."""
    return sum(
        peak.eur_per_kw * max(0.0, float(import_kw[peak.site, list(peak.slots)].max()) - peak.reached_kw)
        for peak in problem.window_peaks
    )


def overshoot_kwh(settlement: Horizon, event: CapacityEvent, net_kw: FloatArray) -> FloatArray:
    """Energy above an event's limit per metering period, ``[T]`` kWh.

    The meter knows means of whole periods only, so a period that the event shares in part counts with its whole mean,
    weighted with the hours that it shares with the event.

    Args:
        settlement: the metering periods.
        event: limit and period.
        net_kw: mean net import (import - export) of each metering period, ``[T]`` kW.
    """
    hours = overlap_h(settlement, event.start.timestamp(), event.end.timestamp())
    over: FloatArray = hours * np.maximum(0.0, net_kw - event.limit_kw)
    return over


def overlap_h(horizon: Horizon, start_s: float, end_s: float) -> FloatArray:
    """Hours that each slot of ``horizon`` shares with ``[start_s, end_s)``, ``[T]``."""
    edges = horizon.edges_s
    shared: FloatArray = np.clip(np.minimum(edges[1:], end_s) - np.maximum(edges[:-1], start_s), 0.0, None) / 3600.0
    return shared


def _site_prices(scenario: Scenario, site: Site, events: Iterable[CapacityEvent], peak_eur_per_kw: float) -> LastResort:
    """Prices of last resort of a site over the scenario, as a plan that knows these events and this peak charge has them."""
    horizon = scenario.horizon
    carbon = carbon_g_per_kwh(site.carbon, scenario.weights, horizon) / 1000.0 * scenario.weights.carbon_eur_per_kg
    return last_resort(
        site.battery,
        site.tariff.import_eur_per_mwh.mean(horizon) / 1000.0 + carbon,
        site.tariff.export_eur_per_mwh.mean(horizon) / 1000.0,
        [
            (*slots_touched(horizon, event.start.timestamp(), event.end.timestamp()), event.penalty_eur_per_kwh)
            for event in events
            if event.site == site.name
        ],
        peak_eur_per_kw,
        horizon.step_h,
        scenario.weights.unserved_eur_per_kwh,
    )


def _checked(parts: Mapping[str, float]) -> dict[str, float]:
    """The parts as plain floats in the order of ``PARTS``."""
    return {name: float(parts[name]) for name in PARTS}
