"""The figures of a run as one dictionary: ``summary.json`` and ``ozzo run --json``.

Every key stands in ``KEYS`` (or, for a baseline, in ``BASELINE_KEYS``) with unit and meaning; ``docs/output.md`` prints
these tables.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from scheduler.network_json import network_to_dict
from scheduler.outcome import EventDelivery, Outcome, Totals, Violation
from scheduler.plan import Plan
from sim.record import Commanding, RunRecord
from sim.report.battery_figures import battery_entries
from sim.report.business_case import business_case
from sim.report.charging import CHARGING_MEANING, charging_figures
from sim.report.contract_figures import contract_figures
from sim.report.extremes import extremes
from sim.report.grid_capacity import grid_capacity
from sim.report.kpis import kpis
from sim.report.shares import ATTRIBUTION_MEANING, MAINS_MEANING, attribution_entry, mains_entries

TOTAL_KEYS: dict[str, str] = {
    "cost_eur": "EUR; energy cost: import minus export revenue, plus peak charge, battery wear, penalties of events "
    "and contracts, and refilling what a battery lacks at the end",
    "carbon_kg": "kg; import times average carbon intensity",
    "import_kwh": "kWh; imported, sum over sites",
    "export_kwh": "kWh; exported, sum over sites",
    "curtailed_kwh": "kWh; sun and wind that was available and not used",
    "self_used_kwh": "kWh; sun and wind used at the sites themselves",
    "peak_kw": "kW; sum over sites of the highest 15-minute mean import",
    "deadline_misses": "jobs that ended late, or never and were not dropped on purpose",
    "dropped": "jobs and migrations that were not done",
    "objective_eur": "EUR; the weighted objective as realised in the simulation",
    "breakdown_eur": "EUR by part of the objective; the parts sum to objective_eur",
}
POLICY_KEYS: dict[str, str] = {
    "policy": "name of the policy that made the plan",
    "status": "how the solve ended (optimal, time_limit, infeasible, heuristic, interrupted, unknown)",
    "gap": "objective minus bound, over the absolute objective, as planned, of the first plan; null when nothing was proven",
    "bound_eur": "EUR; proven lower bound on the planned objective of the first plan; null when nothing was proven",
    "planned_objective_eur": "EUR; the weighted objective as planned (first plan)",
    "verdict": "passed or failed; not_rehearsed for a baseline; null when no plan was made",
    "violations": "list of broken rules: kind, subject, value, limit, unit, when (UTC), seed, advice",
    "events": "list, one for each event and site: start, end (UTC), limit_kw (target), baseline_kw and delivered_kw (null when "
    "no plan without the event is known), baseline_method, actual_kw, worst_kw, shortfall_kwh",
    "network": "worst value, element and time (UTC) for voltage_low_pu, voltage_high_pu, line_loading_pct, "
    "transformer_loading_pct; null without a power flow",
    "heat": "heat reused: delivered_mwh, gas_avoided_m3 and co2_avoided_kg (what gas boilers would have burnt and emitted for "
    "it; never taken off carbon_kg), electricity_kwh (heat pumps), cooling_saved_kwh (chillers); null when no site reuses heat",
    "mains": MAINS_MEANING,
    "attribution": ATTRIBUTION_MEANING,
    "solve_s": "s; wall time of building and solving, all plans of that policy together",
    "kpis": "key figures, as below; null without an execution",
}
BASELINE_KEYS: dict[str, str] = TOTAL_KEYS | POLICY_KEYS
"""Keys of each entry of ``baselines``."""

KEYS: dict[str, str] = (
    {
        "name": "short id of the scenario",
        "title": "the scenario in one sentence",
        "seed": "the one seed of every random draw",
        "version": "version of ozzo",
        "command_line": "how the run was started",
        "start": "first instant of the horizon, UTC",
        "end": "first instant after the horizon, UTC",
        "step_s": "s; length of a slot",
        "time_zone": "zone of the local times in the report",
        "sites": "number of sites",
        "jobs": "number of jobs in the scenario",
        "datasets": "number of datasets in the scenario",
        "plan_id": "id of the plan in force at the end; null when no plan was made",
        "plans": "list of the plans in force: id, since (UTC), cause, status, gap, verdict",
        "worst": "worst values of the rehearsal of the plan in force at the end, unit in each name",
        "seeds": "seeds of the rehearsal of the first plan, nominal first",
        "baselines": "by policy name: the same figures of each baseline on the same input and seed",
        "better_than": "by policy name: eur and percent by which objective_eur is below that baseline's (negative: above); "
        "percent is null when the baseline's objective is 0; event_penalty_eur and contracts_eur: how much of it is event "
        "penalty and contract penalty that the baseline pays and the plan does not",
        "contracts": "list, one for each line of the bill: contract, site, charge, quantity, unit (kWh, or kW of a peak), eur "
        "(positive when the site pays) and planned_eur (first plan); rewards are in no total",
        "grid_capacity": "elements: kind, element, before_pct and after_pct (highest flow in percent of its rating, run at once "
        "and as realised); overloaded_before and overloaded_after: by kind (feeders: by what stands before the first hyphen of "
        "their names) the share above the rating, 0 to 1; null without a network or feeders",
        "network_plan": "what AC says of the plan in force at the end: rounds, cuts, voltage_error_max_pu, voltage_error_p99_pu, "
        "loading_error_max_pct, loading_error_p99_pct (linear model against AC), headroom (rating, peak and released of each "
        "element, kVA; feeders kW), left (what the network does not carry); null when the plan was not held to a network",
        "charging": CHARGING_MEANING,
        "batteries": "list, one for each battery: site, full_cycles (energy out of the cells over capacity), deepest, mean_soc "
        "(shares of capacity), cycles (number by depth up to 0.1, 0.2, 0.4, 0.6, 0.8, 1, by rainflow), wear_eur, "
        "wear_by_rainflow_eur (null where wear has no price by depth)",
        "business_case": "case, title, published (list of set, hubs, capex_meur, avoided_reinforcement_low_meur and _high_meur, "
        "avoided_cost_meur_per_year, payback_years, source), arithmetic (list of words and the same figures, scaled), before and "
        "after (what ozzo simulated: run at once, and this run), notes; null when the scenario names no case",
        "commanding": "what commanding the nodes came to (transport, nodes, commands, accepted, applied, failed, late, jobs_run, "
        "jobs_failed, silent_nodes, worst_ack_s, speed, note, migrations_done, migrations_failed); null when nothing was "
        "commanded",
        "phases_s": "s; wall time of each phase before the report was written",
        "wall_s": "s; wall time of the run until the report was written",
        "interrupted": "phase in which a person pressed Ctrl-C; null when nobody did",
        "notes": "sentences that a reader must know",
    }
    | TOTAL_KEYS
    | POLICY_KEYS
)
"""Keys of the summary. The totals are null when there is no realised execution."""


def iso(moment: datetime) -> str:
    """An instant in UTC, ISO 8601 with ``Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _totals(totals: Totals | None) -> dict[str, Any]:
    values = asdict(totals) if totals is not None else {}
    return {key: values.get(key) for key in TOTAL_KEYS}


def violation_entry(violation: Violation) -> dict[str, Any]:
    """A broken rule, ready for JSON."""
    return {
        "kind": str(violation.kind),
        "subject": violation.subject,
        "value": violation.value,
        "limit": violation.limit,
        "unit": violation.unit,
        "when": iso(violation.when) if violation.when else None,
        "seed": violation.seed,
        "advice": violation.advice,
    }


def _delivery(delivery: EventDelivery) -> dict[str, Any]:
    return asdict(delivery) | {"start": iso(delivery.start), "end": iso(delivery.end)}


def _network(outcome: Outcome | None) -> dict[str, Any] | None:
    if outcome is None or outcome.network is None:
        return None
    found = extremes(outcome.network)
    return {name: {"value": worst.value, "element": worst.element, "when": iso(worst.when)} for name, worst in found.items()}


def _heat(outcome: Outcome | None) -> dict[str, float] | None:
    if outcome is None or outcome.heat is None:
        return None
    heat = outcome.heat
    return {
        "delivered_mwh": heat.delivered_kwh / 1000.0,
        "gas_avoided_m3": heat.gas_avoided_m3,
        "co2_avoided_kg": heat.co2_avoided_kg,
        "electricity_kwh": heat.electricity_kwh,
        "cooling_saved_kwh": heat.cooling_saved_kwh,
    }


def _policy(record: RunRecord, plans: list[Plan], outcome: Outcome | None) -> dict[str, Any]:
    """Keys of ``POLICY_KEYS`` without verdict and violations."""
    first = plans[0] if plans else None
    return {
        "policy": first.policy if first else None,
        "status": str(first.status) if first else None,
        "gap": first.gap if first else None,
        "bound_eur": first.bound_eur if first else None,
        "planned_objective_eur": first.objective_eur if first else None,
        "events": [_delivery(delivery) for delivery in outcome.deliveries] if outcome else [],
        "network": _network(outcome),
        "heat": _heat(outcome),
        "mains": mains_entries(outcome),
        "attribution": attribution_entry(outcome),
        "solve_s": sum(plan.build_s + plan.solve_s for plan in plans) if plans else None,
        "kpis": kpis(record, outcome),
    }


def _baseline(name: str, record: RunRecord) -> dict[str, Any]:
    outcome, plan = record.baselines[name], record.baseline_plans.get(name)
    own = _policy(record, [plan] if plan else [], outcome) | {"policy": name, "verdict": "not_rehearsed"}
    own["violations"] = [violation_entry(violation) for violation in outcome.violations]
    return _totals(outcome.totals) | own


def verdict_of(record: RunRecord) -> str | None:
    """``passed`` when every plan in force passed its rehearsal, ``failed`` when one did not, None without a plan."""
    if not record.plans:
        return None
    return "passed" if all(entry.verdict.passed for entry in record.plans) else "failed"


def better_than(record: RunRecord) -> dict[str, dict[str, float | None]]:
    """By how much the realised objective lies below each baseline's, and how much of that is penalty.

    Baselines never react to an event and know no cap of a group, so a penalty that they pay says little about how they plan.
    Empty without a realised execution.
    """
    if record.outcome is None:
        return {}
    mine = record.outcome.totals.objective_eur
    gains: dict[str, dict[str, float | None]] = {}
    for name, outcome in record.baselines.items():
        theirs = outcome.totals.objective_eur
        share = 100 * (theirs - mine) / abs(theirs) if theirs else None
        gains[name] = {
            "eur": theirs - mine,
            "percent": share,
            "event_penalty_eur": _part_eur(outcome, "event_penalty") - _part_eur(record.outcome, "event_penalty"),
            "contracts_eur": _part_eur(outcome, "contracts") - _part_eur(record.outcome, "contracts"),
        }
    return gains


def _part_eur(outcome: Outcome, part: str) -> float:
    return outcome.totals.breakdown_eur.get(part, 0.0)


def _commanding(commanding: Commanding | None) -> dict[str, Any] | None:
    if commanding is None:
        return None
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(commanding).items()}


def summary(record: RunRecord) -> dict[str, Any]:
    """The figures of a run; its keys are exactly those of ``KEYS``, all values ready for JSON."""
    scenario, outcome = record.scenario, record.outcome
    last = record.plans[-1] if record.plans else None
    violations = [violation for entry in record.plans for violation in entry.verdict.violations]
    return {
        "name": scenario.name,
        "title": scenario.title,
        "seed": scenario.seed,
        "version": record.version,
        "command_line": record.command_line,
        "start": iso(scenario.horizon.start),
        "end": iso(scenario.horizon.end),
        "step_s": scenario.horizon.step_s,
        "time_zone": scenario.time_zone,
        "sites": len(scenario.sites),
        "jobs": len(scenario.jobs),
        "datasets": len(scenario.datasets),
        "plan_id": last.plan.id if last else None,
        "plans": [
            {
                "id": entry.plan.id,
                "since": iso(entry.since),
                "cause": entry.cause,
                "status": str(entry.plan.status),
                "gap": entry.plan.gap,
                "verdict": "passed" if entry.verdict.passed else "failed",
            }
            for entry in record.plans
        ],
        "worst": dict(last.verdict.worst) if last else {},
        "seeds": list(record.plans[0].verdict.seeds) if record.plans else [],
        **_totals(outcome.totals if outcome else None),
        **_policy(record, [entry.plan for entry in record.plans], outcome),
        "verdict": verdict_of(record),
        "violations": [violation_entry(violation) for violation in violations],
        "baselines": {name: _baseline(name, record) for name in record.baselines},
        "better_than": better_than(record),
        "contracts": contract_figures(record),
        "grid_capacity": grid_capacity(record),
        "network_plan": network_to_dict(last.plan.network) if last and last.plan.network else None,
        "charging": charging_figures(record),
        "batteries": battery_entries(record),
        "business_case": business_case(record),
        "commanding": _commanding(record.commanding),
        "phases_s": dict(record.phases_s),
        "wall_s": record.wall_s,
        "interrupted": record.interrupted,
        "notes": list(record.notes),
    }
