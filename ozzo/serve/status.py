"""``ozzo status``: what the state tells, whether or not a controller runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ozzo.serve.by_hand import as_dict
from ozzo.serve.evidence import Mode, lacking
from ozzo.serve.promotion import evidence_of, mode_of, thresholds_of
from ozzo.serve.state import ServeState


def status(folder: Path, now: datetime | None = None) -> dict[str, Any]:
    """Everything as JSON values; the keys are documented in docs/output.md.

    Raises:
        InputError: there is no state.
    """
    now = now or datetime.now(UTC)
    with ServeState.there(folder) as state:
        found, told = evidence_of(state), state.fact("status") or {}
        lead, kept = state.leader(), state.fact("plan")
        serves = lead is not None and lead[2] > time.time()
        mode = mode_of(state)
        return {
            "scenario": state.fact("scenario"),
            "mode": str(mode),
            "serving": serves,
            "pid": lead[0] if lead and serves else None,
            "epoch": state.epoch(),
            "told_at": told.get("at"),
            "scenario_time": told.get("scenario_time"),
            "speed": told.get("speed"),
            "transport": told.get("transport"),
            "planning": told.get("planning", ""),
            "plan": None if kept is None else _plan(kept, now),
            "nodes": told.get("nodes", {}),
            "jobs": _jobs(state, kept, told),
            "counters": _counters(state, told),
            "overrides": [as_dict(item) for item in state.overrides()],
            "evidence": asdict(found),
            "thresholds": asdict(thresholds_of(state)),
            "missing_for_promotion": [] if mode is Mode.LIVE else list(lacking(found, thresholds_of(state))),
            "notes": told.get("notes", []),
            "document_refused": told.get("document_refused", ""),
        }


def _plan(kept: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    plan = kept["plan"]
    return {
        "id": plan["id"],
        "cause": kept["cause"],
        "age_s": round((now - datetime.fromisoformat(kept["at"])).total_seconds(), 1),
        "scenario_time": kept["scenario_time"],
        "gap": plan["gap"],
        "status": plan["status"],
        "verdict": kept["verdict"],
        "objective_eur": plan["objective_eur"],
        "runs": len(plan["runs"]),
        "dropped": [item["name"] for item in plan["dropped"]],
    }


def _jobs(state: ServeState, kept: Mapping[str, Any] | None, told: Mapping[str, Any]) -> dict[str, Any]:
    """Every job of the inventory by its stage; ``waiting`` has not begun, ``dropped`` the plan leaves out."""
    works = state.works()
    simulated = set() if mode_of(state) is Mode.LIVE else set(told.get("simulated_done", ()))
    dropped = {item["name"] for item in kept["plan"]["dropped"]} if kept is not None else set()
    stages: dict[str, list[str]] = {}
    for job in (state.fact("inventory") or {}).get("job", []):
        stage = works[job]["stage"] if job in works else "simulated_done" if job in simulated else ""
        if stage in {"", "stopped"} and job in dropped:
            stage = "dropped"
        stages.setdefault(stage or "waiting", []).append(job)
    return {"count": dict(Counter({stage: len(jobs) for stage, jobs in stages.items()})), "names": stages}


def _counters(state: ServeState, told: Mapping[str, Any]) -> dict[str, int]:
    """What must be zero when all is well."""
    works = state.works()
    failed = [job for job, work in works.items() if work["stage"] == "failed"]
    lost = [job for job, work in works.items() if _is_lost(told, job, work)]
    return {"doubled": len(state.fact("doubled") or []), "lost": len(lost), "failed": len(failed)}


def _is_lost(told: Mapping[str, Any], job: str, work: Mapping[str, Any]) -> bool:
    """True for a job that counts as running, by the last words of nodes that are there, and that none of them has."""
    nodes = told.get("nodes", {})
    if work["stage"] not in {"running", "paused"} or not all(nodes.get(node, {}).get("present") for node in work["nodes"]):
        return False
    names = {name.partition("/")[2] for node in work["nodes"] for name in nodes[node]["jobs"]}
    return job not in names and _old(work, told)


def _old(work: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """True when it has been in its stage for more than a minute of wall time (a state may be on its way)."""
    if not work["since"] or not told.get("scenario_time"):
        return False
    gone = datetime.fromisoformat(told["scenario_time"]) - datetime.fromisoformat(work["since"])
    return gone.total_seconds() > 60.0 * float(told.get("speed") or 1.0)


def as_text(told: Mapping[str, Any]) -> str:
    """The status for people."""
    plan, found, asked = told["plan"], told["evidence"], told["thresholds"]
    lines = [f"{told['scenario']}: {told['mode']}, epoch {told['epoch']}, " + (
        f"served by process {told['pid']}" if told["serving"] else "nobody serves it now"
    )]  # fmt: skip
    lines.append(f"scenario time {told['scenario_time']} at {told['speed']} times real time, over {told['transport']}")
    if told["planning"]:
        lines.append(f"planning now: {told['planning']}")
    if plan is None:
        lines.append("no plan is in force")
    else:
        gap = "unknown" if plan["gap"] is None else f"{100 * plan['gap']:.2f} %"
        lines.append(
            f"plan {plan['id']} since {plan['age_s']:.0f} s ({plan['cause']}): verdict {plan['verdict']}, gap {gap}, "
            f"{plan['runs']} runs, {len(plan['dropped'])} jobs left out"
        )
    lines.append("jobs: " + (", ".join(f"{count} {stage}" for stage, count in sorted(told["jobs"]["count"].items())) or "none"))
    for name, node in told["nodes"].items():
        lines.append(_node_line(name, node))
    lines += [f"override {item['id']}: {item['target']} {item['name']} {item['action']}"
              + ("" if item["kw"] is None else f" {item['kw']:g} kW") + f": {item['reason']} ({item['by']})"
              for item in told["overrides"]] or ["no override is in force"]  # fmt: skip
    error = "none yet" if found["error_pct"] is None else f"{found['error_pct']:.1f} %"
    lines.append(
        f"evidence: {found['passed']} rehearsals passed, {found['failed']} failed (asked for: {asked['rehearsals']}); "
        f"{found['clean_h']:.2f} h without a violation, {found['violations']} in all (asked for: {asked['clean_h']:g} h); "
        f"forecast error {error} (at most {asked['error_pct']:g} %)"
    )
    if found["last_violation"]:
        lines.append(f"last violation: {found['last_violation']}")
    lines += [f"missing for promotion: {text}" for text in told["missing_for_promotion"]]
    lines.append("counters: " + ", ".join(f"{name} {count}" for name, count in told["counters"].items()))
    lines += [f"note: {text}" for text in told["notes"]]
    if told["document_refused"]:
        lines.append(f"the document on disk is faulty, the one before it is served: {told['document_refused']}")
    return "\n".join(lines)


def _node_line(name: str, node: Mapping[str, Any]) -> str:
    """One line on a node."""
    if node["age_s"] is None:
        return f"  {name}: never heard"
    there = "there" if node["present"] else "lost, surely in failsafe" if node["failsafe_certain"] else "lost"
    age = f"heard {node['age_s']:.0f} s ago"
    cap = "no cap" if node["cap_kw"] is None else f"cap {node['cap_kw']:g} kW" + (" (failsafe)" if node["failsafe"] else "")
    jobs = ", ".join(f"{job.partition('/')[2]} {wish}" for job, wish in node["jobs"].items())
    return f"  {name}: {there}, {age}, {cap}" + (f": {jobs}" if jobs else "")
