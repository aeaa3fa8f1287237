"""Key figures of a run beside each other: every policy's own, what running at once would have come to, and who gains.

Formulas stand in ``docs/output.md``, "Key figures"; they follow the catalogue of the project's texts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from scheduler.key_figures import SiteFigures, jain
from scheduler.outcome import Outcome
from sim.record import RunRecord
from sim.report.grid_capacity import BEFORE

KPI_KEYS: dict[str, str] = {
    "self_sufficiency_pct": "%; local generation used at the sites, over that plus import; null when nothing was used",
    "self_consumption_pct": "%; local generation used at the sites, over all of it; null without any",
    "renewable_share_pct": "%; sum over sites and quarters of min(load, sun and wind available), over the load: what sites "
    "could cover without battery",
    "load_factor_pct": "%; mean import over the rated power of the connection (its highest import limit); the reference of the "
    "project's texts is 30 %",
    "group_peak_kw": "kW; highest 15-minute mean net import of all sites together",
    "group_export_peak_kw": "kW; the same of net export",
    "avoided_peak_kw": "kW; peak_kw of running at once minus this one's (negative: higher)",
    "avoided_group_peak_kw": "kW; the same of group_peak_kw",
    "curtailed_eur": "EUR; what the curtailed energy would have earned at the export price of its quarter (negative: would have "
    "cost)",
    "avoided_curtailed_kwh": "kWh; curtailed_kwh of running at once minus this one's",
    "released_kw": "kW; sum over connections of rated power minus peak import: what others could use all the time",
    "feeders_released_kw": "kW; sum over feeders of rating minus highest flow (either way); null without feeders",
    "fairness_savings": "0 to 1; Jain index of what each site saves in energy cost against running at once (a loss counts as 0); "
    "null when no site saves or there is one only",
    "fairness_waits": "0 to 1; Jain index of the mean wait (release to first start) of each tenant's jobs, or of each site's "
    "without tenants; null when nobody waits or there is one only",
    "sites": "by name: self_sufficiency_pct, self_consumption_pct, renewable_share_pct, load_factor_pct, peak_kw, rated_kw, "
    "released_kw, import_kwh, curtailed_kwh, curtailed_eur, cost_eur, saved_eur (against running at once)",
}
"""Keys of ``kpis``; those that compare are null without an execution of running at once."""

SHARES = ("self_sufficiency_pct", "self_consumption_pct", "renewable_share_pct", "load_factor_pct")
OF_A_SITE = ("peak_kw", "rated_kw", "released_kw", "import_kwh", "curtailed_kwh", "curtailed_eur", "cost_eur")


def kpis(record: RunRecord, outcome: Outcome | None) -> dict[str, Any] | None:
    """Key figures of one execution (``KPI_KEYS``), compared with running at once; None when it has none."""
    found = outcome.key_figures if outcome is not None else None
    if outcome is None or found is None:
        return None
    before = record.baselines.get(BEFORE)
    base = before.key_figures if before is not None else None
    total, base_total = found.total, base.total if base is not None else None
    saved = [other.cost_eur - own.cost_eur for own, other in zip(found.sites, base.sites, strict=True)] if base else None
    return {
        **{name: getattr(total, name) for name in SHARES},
        "group_peak_kw": found.group_peak_kw,
        "group_export_peak_kw": found.group_export_peak_kw,
        "avoided_peak_kw": base_total.peak_kw - total.peak_kw if base_total else None,
        "avoided_group_peak_kw": base.group_peak_kw - found.group_peak_kw if base else None,
        "curtailed_eur": total.curtailed_eur,
        "avoided_curtailed_kwh": base_total.curtailed_kwh - total.curtailed_kwh if base_total else None,
        "released_kw": total.released_kw,
        "feeders_released_kw": found.feeders_released_kw,
        "fairness_savings": _fair(saved) if saved is not None else None,
        "fairness_waits": _fair(list(waits_h(record, outcome).values())),
        "sites": {
            name: _of_site(figures, saved[s] if saved is not None else None)
            for s, (name, figures) in enumerate(zip(outcome.sites, found.sites, strict=True))
        },
    }


def _fair(values: Sequence[float]) -> float | None:
    """Jain's index of what members get; alone nobody is treated unfairly, so one member has none."""
    return jain(values) if len(values) > 1 else None


def _of_site(figures: SiteFigures, saved_eur: float | None) -> dict[str, float | None]:
    """Key figures of one site."""
    return {name: getattr(figures, name) for name in (*SHARES, *OF_A_SITE)} | {"saved_eur": saved_eur}


def waits_h(record: RunRecord, outcome: Outcome) -> dict[str, float]:
    """Mean hours from release to first start of each member's jobs that ran.

    Members are the tenants when the scenario has some (jobs without one are left out), else the sites where jobs ran.
    """
    jobs = {job.name: job for job in record.scenario.jobs}
    waited: dict[str, list[float]] = defaultdict(list)
    for done in outcome.jobs:
        job = jobs.get(done.job)
        if job is None or done.started is None:
            continue
        member = job.tenant if record.scenario.tenants else done.site
        if member:
            waited[member].append(max(0.0, (done.started - job.release).total_seconds() / 3600.0))
    return {member: sum(hours) / len(hours) for member, hours in waited.items()}
