"""Whose energy a run's load was, and what faults of the mains it met: entries of the summary, rows of the Parquet file."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import Any

from scheduler.outcome import Attribution, Outcome
from sim.record import RunRecord
from sim.report.frames import outcomes

MAINS_MEANING = (
    "list, one for each fault of the mains that the realised run met: name, site, start, end (UTC), retained_pu (voltage that "
    "was left), bridged (by power supplies alone), dark_s (nothing carried the site), battery_kwh and generator_kwh (what "
    "carried it instead), unserved_kwh, jobs_saved (stopped at a checkpoint), jobs_lost"
)
ATTRIBUTION_MEANING = (
    "kWh of load by whose it is: load_kwh = jobs_kwh + migrations_kwh (PUE times the IT power that each adds) + shared_kwh "
    "(overhead and idle nodes, shared by the jobs that hold nodes, by cores) + nobody_kwh (the same while no job holds any) + "
    "assets_kwh (net draw of assets and emergency generators); datasets: kWh of the migrations of each; null without an execution"
)


def mains_entries(outcome: Outcome | None) -> list[dict[str, Any]]:
    """Faults of the mains, ready for JSON."""
    if outcome is None:
        return []
    moment = "%Y-%m-%dT%H:%M:%SZ"
    return [asdict(fault) | {"start": fault.start.strftime(moment), "end": fault.end.strftime(moment)} for fault in outcome.mains]


def attribution_entry(outcome: Outcome | None) -> dict[str, Any] | None:
    """Sums of the parts of the load over sites."""
    found = None if outcome is None else outcome.attribution
    if found is None:
        return None
    return {
        "load_kwh": sum(found.load_kwh.values()),
        "jobs_kwh": _own(found, "job"),
        "migrations_kwh": _own(found, "migration"),
        "shared_kwh": found.shared_kwh,
        "nobody_kwh": sum(found.nobody_kwh.values()),
        "assets_kwh": sum(found.assets_kwh.values()),
        "datasets": _datasets(found),
    }


def _own(found: Attribution, kind: str) -> float:
    return sum(share.own_kwh for share in found.shares if share.kind == kind)


def _datasets(found: Attribution) -> dict[str, float]:
    """Energy of the migrations of each dataset (a staging copy is called ``<dataset>@<site>``)."""
    sums: dict[str, float] = defaultdict(float)
    for share in found.shares:
        if share.kind == "migration":
            sums[share.name.split("@", maxsplit=1)[0]] += share.own_kwh
    return dict(sums)


def share_rows(record: RunRecord) -> list[dict[str, Any]]:
    """Rows of ``energy_shares.parquet``: one a policy, site and owner; their kWh sum to the load of the site."""
    rows: list[dict[str, Any]] = []
    for policy, outcome in outcomes(record).items():
        found = outcome.attribution
        if found is None:
            continue
        for share in found.shares:
            rows.append(_row(policy, share.site, share.kind, share.name, share.own_kwh, share.shared_kwh))
        for site in found.load_kwh:
            rows.append(_row(policy, site, "nobody", "", found.nobody_kwh[site], 0.0))
            rows.append(_row(policy, site, "assets", "", found.assets_kwh[site], 0.0))
    return rows


def _row(policy: str, site: str, kind: str, name: str, own_kwh: float, shared_kwh: float) -> dict[str, Any]:
    return {"policy": policy, "site": site, "kind": kind, "name": name, "own_kwh": own_kwh, "shared_kwh": shared_kwh}
