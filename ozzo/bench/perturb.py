"""What may have changed between two plans of a case: a new event, other jobs, another forecast of sun and wind.

Figures are assumed, except those of the forecast error, which are the defaults of the scenario document (``ErrorModel``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from grid.chance import stream
from grid.horizon import FloatArray
from scheduler.optimiser.case_maker import EVENT_EUR_PER_KWH, EVENT_H
from scheduler.optimiser.large.case import Case, Solution
from scheduler.optimiser.large.decisions import load_and_use
from scheduler.scenario import ErrorModel

NEW_JOBS = 0.01
"""Share of the jobs that are replaced by new ones."""

FORECAST = ErrorModel()
"""Size and time constant of the change of sun and wind."""

EVENT_SHARE = 0.75
"""Limit of the new event, as a share of what the site was to import, on average, in its slots."""


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """A case after the news.

    Attributes:
        case: the case.
        names: of its jobs; jobs of the case before have their number there as their name.
        site, start, end, limit_kw: the new event, slots half-open; site -1 when no site imports anything.
        replaced: number of jobs that are new.
    """

    case: Case
    names: tuple[str, ...]
    site: int
    start: int
    end: int
    limit_kw: float
    replaced: int


def perturbed(case: Case, plan: Solution, seed: int, new_jobs: float = NEW_JOBS, error: ErrorModel = FORECAST) -> Changed:
    """``case`` after one new event, new jobs and a new forecast; ``plan`` says what the sites were to import.

    Args:
        case: the problem as it was planned.
        plan: its plan.
        seed: of every draw.
        new_jobs: share of the jobs to replace, at least one of them.
        error: size and time constant of the change of sun and wind (``solar_sigma`` for both).
    """
    site, start, end, limit_kw = _event(case, plan, seed)
    jobs, names, replaced = _jobs(case, seed, new_jobs)
    events: dict[str, Any] = {}
    if site >= 0:
        news = {"dr_site": site, "dr_start": start, "dr_end": end, "dr_limit_kw": limit_kw, "dr_penalty": EVENT_EUR_PER_KWH}
        events = {name: np.append(getattr(case, name), value) for name, value in news.items()}
    weather = np.ascontiguousarray(case.ren * _error(case, seed, error))
    return Changed(
        replace(case, name=f"{case.name}-changed", ren=weather, **jobs, **events), names, site, start, end, limit_kw, replaced
    )


def _event(case: Case, plan: Solution, seed: int) -> tuple[int, int, int, float]:
    """Site, first slot, end and limit of a new event at a site that imports; the evening is as likely as the morning."""
    rng = stream(seed, "replan.event")
    length = min(case.T, max(1, round(EVENT_H / case.dt)))
    net = case.a + case.pue * load_and_use(case, plan)[0] - case.ren
    first = int(rng.integers(0, max(1, case.T - length + 1)))
    mean = net[:, first : first + length].mean(axis=1)
    imports = np.flatnonzero(mean > 1e-6)
    if not len(imports):
        return -1, 0, 0, 0.0
    site = int(rng.choice(imports))
    return site, first, first + length, EVENT_SHARE * float(mean[site])


def _error(case: Case, seed: int, error: ErrorModel) -> FloatArray:
    """Factor on sun and wind: 1 plus a first-order autoregressive error of each site, not below 0, ``[S, T]``."""
    rng = stream(seed, "replan.weather")
    keep = math.exp(-case.dt / error.error_correlation_h) if error.error_correlation_h > 0 else 0.0
    draws = rng.normal(0.0, error.solar_sigma, (case.S, case.T))
    found = draws.copy()
    for t in range(1, case.T):
        found[:, t] = keep * found[:, t - 1] + math.sqrt(1.0 - keep * keep) * draws[:, t]
    factor: FloatArray = np.maximum(0.0, 1.0 + found)
    return factor


def _jobs(case: Case, seed: int, share: float) -> tuple[dict[str, Any], tuple[str, ...], int]:
    """Arrays of the jobs with some of them replaced: each by another job's body at a third job's release.

    So work, power, resources, places and the length of windows have the distribution of the case, and so have releases, but for
    windows that would pass the end.
    """
    if not case.J or share <= 0.0:
        return {}, tuple(map(str, range(case.J))), 0
    rng = stream(seed, "replan.jobs")
    number = min(case.J, max(1, round(share * case.J)))
    gone = np.sort(rng.choice(case.J, number, replace=False))
    body = np.arange(case.J)
    body[gone] = rng.integers(0, case.J, number)
    span = case.dl[body] - case.rel[body]
    release = case.rel.copy()
    release[gone] = np.minimum(case.rel[rng.integers(0, case.J, number)], case.T - span[gone])
    later = release - case.rel[body]
    sizes = np.diff(case.ep)[body]
    ep = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    entry = np.arange(ep[-1]) + np.repeat(case.ep[body] - ep[:-1], sizes)
    owner = np.repeat(np.arange(case.J), sizes)
    kept = ("typ", "p", "wt", "res", "pw", "drop", "speed2", "power2", "least_run", "least_gap", "restart")
    arrays: dict[str, Any] = {name: getattr(case, name)[body] for name in (*kept, "curve_speed", "curve_power")}
    arrays |= {"rel": release, "dl": case.dl[body] + later, "soft": case.soft[body] + later, "ep": ep}
    arrays |= {name: getattr(case, name)[entry] for name in ("es", "ec", "em", "ew")}
    arrays["ea"] = case.ea[entry] + later[owner]
    new = {int(j) for j in gone}
    return arrays, tuple(f"new-{j}" if j in new else str(j) for j in range(case.J)), number
