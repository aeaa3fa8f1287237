"""Figures of a closed loop, for people and programs; the keys are in docs/output.md."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from sim.loop.settings import LoopResult, Step

HOUR = timedelta(hours=1)
TOTALS = ("carbon_kg", "cost_eur", "objective_eur", "import_kwh", "export_kwh", "peak_kw", "deadline_misses", "dropped")


def loop_figures(result: LoopResult) -> dict[str, Any]:
    """What really came of a closed loop, and of its plans."""
    totals, jobs = result.outcome.totals, result.outcome.jobs
    found: dict[str, Any] = {name: getattr(totals, name) for name in TOTALS}
    found["mean_delay_h"] = result.mean_delay_h
    found["jobs"] = len(jobs)
    found["done"] = sum(job.finished is not None for job in jobs)
    found["broken_rules"] = [str(violation) for violation in result.outcome.violations]
    return found


def plan_figures(steps: tuple[Step, ...]) -> dict[str, Any]:
    """How the plans of a loop were: how many, commanded or not, gaps, and in shadow how they compare with the baseline's."""
    gaps = [step.gap for step in steps if step.gap is not None]
    pairs = [(step.plan_eur, step.baseline_eur) for step in steps if step.plan_eur is not None and step.baseline_eur is not None]
    return {
        "plans": len(steps),
        "commanded": sum(step.commanded for step in steps),
        "refused": sum(not step.passed for step in steps),
        "status": dict(Counter(step.status for step in steps)),
        "gap_mean": sum(gaps) / len(gaps) if gaps else None,
        "gap_max": max(gaps) if gaps else None,
        "plans_with_dropped_jobs": sum(step.dropped > 0 for step in steps),
        "scored": len(pairs),
        "scored_below_baseline": sum(mine < other for mine, other in pairs),
        "score_difference_eur": sum(mine - other for mine, other in pairs) / len(pairs) if pairs else None,
    }


def step_figures(step: Step) -> dict[str, Any]:
    """One plan as plain JSON values."""
    return {
        "moment": step.moment.isoformat(),
        "slot": step.slot,
        "jobs": step.jobs,
        "runs": step.runs,
        "dropped": step.dropped,
        "objective_eur": step.objective_eur,
        "bound_eur": step.bound_eur,
        "gap": step.gap,
        "status": step.status,
        "passed": step.passed,
        "broken_rules": list(step.broken),
        "commanded": step.commanded,
        "plan_eur": step.plan_eur,
        "baseline_eur": step.baseline_eur,
        "cpu_s": step.cpu_s,
    }


def less_pct(mine: float, other: float) -> float | None:
    """How much less ``mine`` is than ``other``, % of ``other``; None when that is not above 0."""
    return 100.0 * (1.0 - mine / other) if other > 0 else None
