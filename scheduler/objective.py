"""The one definition of the objective: EUR, by named parts, that sum to it.

The planner (variables), the baselines (arrays) and the simulator (metered energy) all price energy here, so their
figures can be compared. Signs: a cost is positive, export revenue is a negative ``energy_export``.

======================  ==================================================================================
part                    meaning
======================  ==================================================================================
``energy_import``       import times its price
``energy_export``       minus export times its price
``carbon``              import times the carbon intensity that ``Weights.carbon_signal`` names, times its price
``peak``                charge per kW of the highest mean import above the peak that was already reached
``battery_wear``        price of wear, half on every kWh charged and half on every kWh discharged
``event_penalty``       net import (import - export) above the limit of a demand-response event
``unserved``            facility load that no source served
``soc_shortfall``       energy missing in the battery at the end, at the dearest price of refilling it
``dropped``             jobs and required migrations that are not done
``lateness``            hours after the deadline (only as realised; plans keep deadlines hard)
``fixed``               fixed costs of the chosen places and targets
======================  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from grid.assets.battery import Battery
from grid.horizon import FloatArray, Horizon
from grid.tariff import Carbon
from scheduler.data import Dataset
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
)

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


def soc_shortfall_eur_per_kwh(battery: Battery | None, import_weight_eur_per_kwh: FloatArray) -> float:
    """Price of one kWh missing in the cells at the end: refilling it at the dearest import weight of the horizon.

    The dearest, so that running a battery empty at the end never pays: what is saved with a kWh from the cells is at
    most ``discharge_efficiency`` times that price.
    """
    if battery is None:
        return 0.0
    dearest = max(0.0, float(import_weight_eur_per_kwh.max()))
    return dearest / battery.charge_efficiency + battery.wear_eur_per_kwh / 2


def breakdown_eur(
    problem: Problem, energy: EnergySchedule, *, dropped_eur: float = 0.0, fixed_eur: float = 0.0
) -> dict[str, float]:
    """Objective parts of planned energy on the slots of ``problem``.

    Args:
        problem: prices, limits and events.
        energy: planned mean powers, ``[S, T]`` kW each.
        dropped_eur: prices of everything that is not done.
        fixed_eur: fixed costs of the chosen options.
    """
    step_h = problem.horizon.step_h
    weight = problem.import_weight_eur_per_kwh
    wear = np.array([battery.wear_eur_per_kwh if battery else 0.0 for battery in problem.batteries])
    net_kw = energy.import_kw - energy.export_kw
    penalty = sum(
        event.penalty_eur_per_kwh * step_h * np.maximum(0.0, net_kw[event.site, event.start : event.end] - event.limit_kw).sum()
        for event in problem.events
    )
    shortfall = np.maximum(0.0, problem.final_soc_kwh - energy.soc_kwh[:, -1])
    refill = np.array([soc_shortfall_eur_per_kwh(battery, weight[s]) for s, battery in enumerate(problem.batteries)])
    peak_kw = np.maximum(0.0, energy.import_kw.max(axis=1) - problem.peak_reached_kw)
    return _checked(
        {
            "energy_import": step_h * (energy.import_kw * problem.import_eur_per_kwh).sum(),
            "energy_export": -step_h * (energy.export_kw * problem.export_eur_per_kwh).sum(),
            "carbon": step_h * problem.weights.carbon_eur_per_kg * (energy.import_kw * problem.carbon_g_per_kwh).sum() / 1000.0,
            "peak": (problem.peak_eur_per_kw * peak_kw).sum(),
            "battery_wear": step_h * (wear[:, None] * (energy.charge_kw + energy.discharge_kw)).sum() / 2,
            "event_penalty": penalty,
            "unserved": step_h * problem.weights.unserved_eur_per_kwh * energy.unserved_kw.sum(),
            "soc_shortfall": (refill * shortfall).sum(),
            "dropped": dropped_eur,
            "lateness": 0.0,
            "fixed": fixed_eur,
        }
    )


def realised_breakdown_eur(
    scenario: Scenario,
    settlement: Horizon,
    energy: MeteredEnergy,
    jobs: Sequence[JobOutcome],
    dropped_migrations: Iterable[str] = (),
) -> dict[str, float]:
    """Objective parts of metered energy.

    Args:
        scenario: prices, batteries, events and weights; the whole scenario's horizon, not a rest of it.
        settlement: slots of ``energy``: the scenario's horizon cut into metering periods of 15 minutes, so that peaks
            and events are settled on 15-minute means.
        energy: realised energy, ``[S, settlement slots]`` kWh each.
        jobs: what became of each job; one that never finished costs its ``drop_eur``, one that finished late its hours.
        dropped_migrations: datasets whose required migration was not finished.

    An event is settled per metering period: the mean net import above the limit times the hours that the period shares
    with the event.
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
        parts["unserved"] += weights.unserved_eur_per_kwh * float(energy.unserved_kwh[s].sum())
        if site.battery is not None:
            through = float(energy.charge_kwh[s].sum() + energy.discharge_kwh[s].sum())
            parts["battery_wear"] += site.battery.wear_eur_per_kwh * through / 2
            missing = max(0.0, site.battery.initial_soc_kwh - float(energy.soc_kwh[s, -1]))
            plan_carbon = carbon_g_per_kwh(site.carbon, weights, scenario.horizon) / 1000.0 * weights.carbon_eur_per_kg
            weight = site.tariff.import_eur_per_mwh.mean(scenario.horizon) / 1000.0 + plan_carbon
            parts["soc_shortfall"] += missing * soc_shortfall_eur_per_kwh(site.battery, weight)
        net_kw = (imported - exported) / step_h
        for event in scenario.events:
            if event.site == site.name:
                hours = overlap_h(settlement, event.start.timestamp(), event.end.timestamp())
                parts["event_penalty"] += event.penalty_eur_per_kwh * float(hours @ np.maximum(0.0, net_kw - event.limit_kw))
    price_of = {job.name: job.drop_eur for job in scenario.jobs}
    datasets = {dataset.name: dataset for dataset in scenario.datasets}
    for outcome in jobs:
        if outcome.finished is None:
            parts["dropped"] += price_of[outcome.job]
        else:
            late_h = max(0.0, (outcome.finished - outcome.deadline).total_seconds() / 3600.0)
            parts["lateness"] += weights.lateness_eur_per_h * late_h
    parts["dropped"] += sum(migration_drop_eur(datasets[name]) for name in dropped_migrations)
    return _checked(parts)


def overlap_h(horizon: Horizon, start_s: float, end_s: float) -> FloatArray:
    """Hours that each slot of ``horizon`` shares with ``[start_s, end_s)``, ``[T]``."""
    edges = horizon.edges_s
    shared: FloatArray = np.clip(np.minimum(edges[1:], end_s) - np.maximum(edges[:-1], start_s), 0.0, None) / 3600.0
    return shared


def _checked(parts: Mapping[str, float]) -> dict[str, float]:
    """The parts as plain floats in the order of ``PARTS``."""
    return {name: float(parts[name]) for name in PARTS}
