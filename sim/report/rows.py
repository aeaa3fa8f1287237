"""Rows of the Parquet files and of the telemetry, made from a record."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from grid.horizon import FloatArray
from scheduler.outcome import JobOutcome, Outcome
from sim.record import RunRecord
from sim.report.frames import (
    PLAN,
    POWERS,
    Flows,
    Piece,
    event_limit_kw,
    outcomes,
    pieces,
    pieces_of,
    planned,
    planned_in_force,
    realised,
    signals,
    site_names,
    site_voltage_pu,
)
from sim.report.reasons import reasons_in_force


def planned_by_policy(record: RunRecord) -> dict[str, Flows]:
    """Planned flows of the plan in force (key ``plan``) and of each baseline."""
    own = planned_in_force(record)
    found = {} if own is None else {PLAN: own}
    horizon, sites = record.scenario.horizon, site_names(record)
    return found | {name: planned(plan, horizon, sites) for name, plan in record.baseline_plans.items()}


def timeseries_columns(record: RunRecord) -> dict[str, Any]:
    """Columns of ``timeseries.parquet``, sorted by policy, site and time.

    ``policy`` is ``plan`` for the plan in force, else the baseline's name; ``time`` the start of the slot (UTC);
    ``planned_*`` and ``realised_*`` mean kW (``soc_kwh``: kWh at the end of the slot); NaN what is not known. When nothing
    was planned the rows of ``plan`` still carry forecast, limits and prices.
    """
    horizon, sites, shared = record.scenario.horizon, site_names(record), signals(record)
    plans, done = planned_by_policy(record), outcomes(record)
    policies = list(dict.fromkeys([PLAN, *plans, *done]))
    unknown = np.full((len(sites), horizon.slots), np.nan)
    times = np.array([horizon.time(k).replace(tzinfo=None) for k in range(horizon.slots)], dtype="datetime64[ms]")
    columns: dict[str, list[FloatArray]] = {}

    def add(name: str, values: FloatArray) -> None:
        """Append the rows of one policy to a column."""
        columns.setdefault(name, []).append(values.ravel())

    for policy in policies:
        real = realised(done[policy], horizon, sites) if policy in done else {}
        for name in (*POWERS, "soc_kwh"):
            add(f"planned_{name}", plans.get(policy, {}).get(name, unknown))
        for name in (*POWERS, "soc_kwh"):
            add(f"realised_{name}", real.get(name, unknown))
        add("voltage_pu", site_voltage_pu(done[policy], horizon, sites) if policy in done else unknown)
        for name, values in shared.items():
            add(name, values)
        add("event_limit_kw", event_limit_kw(record))
    labels: dict[str, Any] = {
        "policy": np.repeat(policies, len(sites) * horizon.slots).tolist(),
        "site": [name for _ in policies for name in sites for _ in range(horizon.slots)],
        "time": _utc(np.tile(times, len(policies) * len(sites))),
    }
    return labels | {name: np.concatenate(parts) for name, parts in columns.items()}


def _utc(times: Any) -> Any:
    """Instants as an Arrow column in UTC."""
    import pyarrow as pa

    return pa.array(times).cast(pa.timestamp("ms", tz="UTC"))


def _span(found: list[Piece]) -> tuple[Any, Any]:
    return (min(p.start for p in found), max(p.end for p in found)) if found else (None, None)


def job_rows(record: RunRecord) -> list[dict[str, Any]]:
    """Rows of ``jobs.parquet``: one a policy and job, with instants in UTC; None what is not known."""
    rows = []
    why = reasons_in_force(record)
    done = outcomes(record)
    for policy in list(dict.fromkeys([*([PLAN] if record.plans else []), *record.baseline_plans, *done])):
        own = policy == PLAN
        found = pieces(record) if own else pieces_of(record.baseline_plans[policy]) if policy in record.baseline_plans else ()
        by_job: dict[str, list[Piece]] = {}
        for piece in found:
            by_job.setdefault(piece.job, []).append(piece)
        results: dict[str, JobOutcome] = {job.job: job for job in done[policy].jobs} if policy in done else {}
        for job in record.scenario.jobs:
            mine, result = by_job.get(job.name, []), results.get(job.name)
            start, end = _span(mine)
            reason = why.get(job.name) if own else None
            rows.append(
                {
                    "policy": policy,
                    "job": job.name,
                    "kind": str(job.kind),
                    "nodes": job.nodes,
                    "cores_per_node": job.cores,
                    "gpus_per_node": job.gpus,
                    "release": job.release,
                    "deadline": job.deadline,
                    "asked_s": job.duration.total_seconds(),
                    "planned_site": mine[0].site if mine else None,
                    "planned_start": start,
                    "planned_end": end,
                    "planned_pieces": len(mine),
                    "realised_site": result.site if result else None,
                    "realised_start": result.started if result else None,
                    "realised_end": result.finished if result else None,
                    "missed": result.missed if result else None,
                    "restarts": result.restarts if result else None,
                    "energy_kwh": result.energy_kwh if result else None,
                    "reason": str(reason.kind) if reason else None,
                    "why": reason.text if reason else None,
                    "why_numbers": json.dumps(reason.numbers) if reason else None,
                }
            )
    return rows


def _network(policy: str, outcome: Outcome) -> list[dict[str, Any]]:
    network = outcome.network
    if network is None:
        return []
    rows = []
    for k, slot in enumerate(network.slots):
        row: dict[str, Any] = {"policy": policy, "time": network.horizon.time(slot)}
        volts = network.voltage_pu[k]
        for name, index in (("low", int(volts.argmin())), ("high", int(volts.argmax()))):
            row |= {f"voltage_{name}_pu": float(volts[index]), f"voltage_{name}_bus": network.bus_names[index]}
        for kind, values, names in (
            ("line", network.line_loading_pct[k], network.line_names),
            ("transformer", network.transformer_loading_pct[k], network.transformer_names),
        ):
            worst = int(values.argmax()) if len(values) else None
            row[f"{kind}_loading_pct"] = float(values[worst]) if worst is not None else None
            row[kind] = names[worst] if worst is not None else None
        rows.append(row)
    return rows


def network_rows(record: RunRecord) -> list[dict[str, Any]]:
    """Rows of ``network.parquet``: the worst elements of each power flow; none without a network."""
    return [row for policy, outcome in outcomes(record).items() for row in _network(policy, outcome)]
