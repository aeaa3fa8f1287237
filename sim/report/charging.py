"""Figures of charging points: peaks and off-peak shares beside charging at once, what cars gave back and what they lacked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np

from grid.assets.charging import ChargingFleet
from grid.horizon import FloatArray, Horizon
from scheduler.asset_runs import AssetRun
from scheduler.optimiser.shift_only import SHIFT_ONLY
from scheduler.plan import Plan
from sim.record import RunRecord

NAMED = 50
"""Cars that lack energy are named up to so many, those that lack most first."""

TOLD_KWH = 1e-4
"""A car that lacks no more than this lacks nothing."""

AT_ONCE = "fifo"
"""Baseline that charges every car at full power from its arrival."""

CHARGING_MEANING = (
    "null without charging points; fleets, as the first plan has them: site, asset, sessions, groups (sessions that are "
    "planned as one), asked_kwh (in batteries), taken_kwh and given_back_kwh (at the points), peak_kw and at_once_peak_kw "
    "(highest mean draw of a slot, as planned and when charged at once), avoided_peak_kw, off_peak_share and "
    "at_once_off_peak_share (0 to 1, of taken_kwh outside peak_windows; null without any), may_give and gave (cars), "
    "missing_kwh and short (cars that left with less than they were to gain, as realised: session, missing_kwh; at most "
    "50), short_cars (how many); v2g_benefit_eur: objective of the baseline shift_only minus that of the plan, as realised,"
    " null where no car may give back"
)
"""What the key ``charging`` of the summary holds."""


def fleets(record: RunRecord) -> list[tuple[str, ChargingFleet]]:
    """Every fleet with the name of its site."""
    return [(site.name, asset) for site in record.scenario.sites for asset in site.assets if isinstance(asset, ChargingFleet)]


def run_in(plan: Plan | None, site: str, asset: str) -> AssetRun | None:
    """What a plan wants of an asset; None when it is not in it."""
    return next((run for run in plan.assets if (run.site, run.asset) == (site, asset)), None) if plan else None


def peak_share(fleet: ChargingFleet, horizon: Horizon) -> FloatArray:
    """Share of each slot that lies in peak hours, ``[T]`` in [0, 1]; windows that overlap count once."""
    edges = np.arange(horizon.slots + 1) * horizon.step_h
    inside, reached = np.zeros(horizon.slots), 0.0
    for first, last in sorted(fleet.peak_h):
        begin = max(first, reached)
        inside += np.clip(np.minimum(edges[1:], last) - np.maximum(edges[:-1], begin), 0.0, None)
        reached = max(reached, last)
    share: FloatArray = inside / horizon.step_h
    return share


def off_peak_share(fleet: ChargingFleet, taken_kw: FloatArray, horizon: Horizon) -> float | None:
    """Share of the energy taken outside peak hours; None without peak hours or energy."""
    if not fleet.peak_h or not taken_kw.sum() > 0:
        return None
    return float(1.0 - taken_kw @ peak_share(fleet, horizon) / taken_kw.sum())


def charging_figures(record: RunRecord) -> dict[str, Any] | None:
    """The key ``charging`` of the summary (``CHARGING_MEANING``); None without charging points or without a plan."""
    found = fleets(record)
    if not found or not record.plans:
        return None
    return {"fleets": [_fleet(record, site, fleet) for site, fleet in found], "v2g_benefit_eur": v2g_benefit_eur(record)}


def v2g_benefit_eur(record: RunRecord) -> float | None:
    """Objective with shifting only, minus that of the plan, as realised; None where no car may give back."""
    other = record.baselines.get(SHIFT_ONLY)
    if other is None or record.outcome is None:
        return None
    return other.totals.objective_eur - record.outcome.totals.objective_eur


def _fleet(record: RunRecord, site: str, fleet: ChargingFleet) -> dict[str, Any]:
    horizon, step_h = record.scenario.horizon, record.scenario.horizon.step_h
    run, at_once = (run_in(plan, site, fleet.name) for plan in (record.plans[0].plan, record.baseline_plans.get(AT_ONCE)))
    nothing = np.zeros(horizon.slots)
    series = run.series if run is not None else {}
    taken, given = series.get("charge_kw", nothing), series.get("discharge_kw", nothing)
    before = at_once.series["charge_kw"] if at_once is not None else None
    peak = float((taken - given).max())
    giving = [group for group in fleet.groups if fleet.may_give(group)]
    gave = [group for group in giving if series.get(f"discharge_kw.{group.name}", nothing).any()]
    short = missing(record, site, fleet)
    return {
        "site": site,
        "asset": fleet.name,
        "sessions": len(fleet.sessions),
        "groups": len(fleet.groups),
        "asked_kwh": float(sum(session.energy_kwh for session in fleet.sessions)),
        "taken_kwh": float(taken.sum()) * step_h,
        "given_back_kwh": float(given.sum()) * step_h,
        "peak_kw": peak,
        "at_once_peak_kw": None if before is None else float(before.max()),
        "avoided_peak_kw": None if before is None else float(before.max()) - peak,
        "off_peak_share": off_peak_share(fleet, taken, horizon),
        "at_once_off_peak_share": None if before is None else off_peak_share(fleet, before, horizon),
        "may_give": sum(len(group.members) for group in giving),
        "gave": sum(len(group.members) for group in gave),
        "missing_kwh": float(sum(kwh for _, kwh in short)),
        "short_cars": len(short),
        "short": [{"session": name, "missing_kwh": kwh} for name, kwh in short[:NAMED]],
    }


def missing(record: RunRecord, site: str, fleet: ChargingFleet) -> list[tuple[str, float]]:
    """Cars that lack energy at departure, most first: as realised, or as the first plan has it when nothing was."""
    if record.outcome is not None:
        left = [
            (car.session, car.missing_kwh) for car in record.outcome.departures if (car.site, car.asset) == (site, fleet.name)
        ]
    else:
        run = run_in(record.plans[0].plan, site, fleet.name)
        left = (
            []
            if run is None
            else [(car.session.name, car.missing_kwh) for car in fleet.departures(run.series, record.scenario.horizon.step_h)]
        )
    return sorted(((name, kwh) for name, kwh in left if kwh > TOLD_KWH), key=lambda item: (-item[1], item[0]))


def departure_rows(record: RunRecord) -> list[dict[str, Any]]:
    """Rows of ``departures.parquet``: one a policy and session, instants in UTC; None what is not known."""
    plans = {"plan": record.plans[0].plan} if record.plans else {}
    outcomes = ({"plan": record.outcome} if record.outcome else {}) | record.baselines
    horizon, rows = record.scenario.horizon, []
    for policy, plan in (plans | record.baseline_plans).items():
        done = outcomes.get(policy)
        real = {(car.site, car.asset, car.session): car for car in done.departures} if done else {}
        for site, fleet in fleets(record):
            run = run_in(plan, site, fleet.name)
            for car in fleet.departures(run.series, horizon.step_h) if run is not None else ():
                session, left = car.session, real.get((site, fleet.name, car.session.name))
                rows.append(
                    {
                        "policy": policy,
                        "site": site,
                        "asset": fleet.name,
                        "session": session.name,
                        "arrival": horizon.start + timedelta(hours=session.arrival_h),
                        "departure": horizon.start + timedelta(hours=session.departure_h),
                        "power_kw": session.power_kw,
                        "asked_kwh": session.energy_kwh,
                        "planned_level_kwh": session.level_kwh + car.gained_kwh,
                        "planned_missing_kwh": car.missing_kwh,
                        "realised_level_kwh": session.level_kwh + left.gained_kwh if left else None,
                        "realised_missing_kwh": left.missing_kwh if left else None,
                    }
                )
    return rows
