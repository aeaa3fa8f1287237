"""What a sweep tells, as plain JSON values (``ozzo report --json``; keys in docs/output.md)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from sim.experiments.analysis import COMPARED, Comparison, Point, Results, comparisons, front, summaries
from sim.experiments.stats import LEVEL, QUANTILES, Interval, Summary


def told(results: Results, reference: str | None = None, level: float = LEVEL) -> dict[str, Any]:
    """Everything that the page shows.

    Raises:
        InputError: no run was planned by ``reference``.
    """
    return {
        "name": results.facts["name"],
        "title": results.facts.get("title", ""),
        "runs": results.facts.get("runs"),
        "finished": len(results.rows),
        "failed": results.facts.get("failed", []),
        "level": level,
        "reference": reference or results.reference,
        "policies": [
            {"scenario": cell.scenario, "parameters": cell.values, "policy": policy}
            | {"figures": {figure: _summary(found) for figure, found in figures.items()}}
            for cell, policy, figures in summaries(results, level)
        ],
        "comparisons": [_comparison(one) for figure in COMPARED for one in comparisons(results, figure, reference, level)],
        "front": {scenario: [_point(point) for point in front(results, scenario)] for scenario in results.scenarios},
    }


def _finite(value: float | None) -> float | None:
    """None for what JSON cannot hold."""
    return value if value is not None and np.isfinite(value) else None


def _interval(found: Interval) -> dict[str, Any]:
    return {"low": _finite(found.low), "high": _finite(found.high), "method": found.method}


def _summary(found: Summary) -> dict[str, Any]:
    return {
        "count": found.count,
        "mean": found.mean,
        "mean_interval": _interval(found.interval),
        "median": found.median,
        "median_interval": _interval(found.median_interval),
        "deviation": _finite(found.deviation),
        "least": found.least,
        "most": found.most,
        "quantiles": {f"{share:g}": value for share, value in zip(QUANTILES, found.quantiles, strict=True)},
    }


def _comparison(one: Comparison) -> dict[str, Any]:
    own = asdict(one.found) | {"interval": _interval(one.found.interval)}
    where = {"scenario": one.cell.scenario, "parameters": one.cell.values, "policy": one.policy, "figure": one.figure}
    raised = {"t_p_holm": one.t_holm, "wilcoxon_p_holm": one.wilcoxon_holm}
    return where | own | raised | {"share": one.share, "reference_mean": one.reference_mean}


def _point(point: Point) -> dict[str, Any]:
    return {
        "parameters": point.cell.values,
        "policy": point.policy,
        "cost_eur": point.cost_eur,
        "carbon_kg": point.carbon_kg,
        "undone": point.undone,
        "on_front": point.on_front,
    }
