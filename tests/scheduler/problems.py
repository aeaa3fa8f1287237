"""Problems made by hand: sites without sun, battery or idle load, so that costs can be computed in the head."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from scheduler.problem import JobOption, JobTask, Problem
from scheduler.scenario import PlanningSettings, Weights
from scheduler.workload import JobKind
from tests.factory import day_horizon


def task(
    name: str, kind: JobKind = JobKind.RIGID, *, work: int = 1, release: int = 0, deadline: int = 99, **more: Any
) -> JobTask:
    """A job of one node of 16 cores and 1 kW at the first site; dropping it costs 10 EUR."""
    given: dict[str, Any] = {"resources": (16.0, 0.0, 0.0), "options": (JobOption(0, 1.0, 0.0, 0),), "drop_eur": 10.0} | more
    return JobTask(name=name, kind=kind, work=work, release=release, deadline=deadline, **given)


def flat_problem(price_eur_per_mwh: list[float], *jobs: JobTask, sites: int = 1, cores: float = 64.0) -> Problem:
    """Slots of one hour at these prices (import; export earns nothing), the same at all sites; deadlines end with the horizon."""
    slots = len(price_eur_per_mwh)
    shape = (sites, slots)
    return Problem(
        horizon=day_horizon(slots, 60),
        sites=tuple(f"s{s}" for s in range(sites)),
        capacity=np.tile(np.array([cores, 0.0, 1000.0])[:, None, None], (1, *shape)),
        fixed_kw=np.zeros(shape),
        pue=np.ones(shape),
        renewable_kw=np.zeros(shape),
        import_limit_kw=np.full(shape, 100.0),
        export_limit_kw=np.zeros(shape),
        import_eur_per_kwh=np.tile(np.array(price_eur_per_mwh) / 1000.0, (sites, 1)),
        export_eur_per_kwh=np.zeros(shape),
        carbon_g_per_kwh=np.zeros(shape),
        batteries=(None,) * sites,
        initial_soc_kwh=np.zeros(sites),
        final_soc_kwh=np.zeros(sites),
        peak_eur_per_kw=np.zeros(sites),
        peak_reached_kw=np.zeros(sites),
        links=(),
        link_mbit_per_s=np.zeros(0),
        jobs=tuple(replace(job, deadline=min(job.deadline, slots)) for job in jobs),
        migrations=(),
        events=(),
        weights=Weights(carbon_eur_per_kg=0.0),
        settings=PlanningSettings(relative_gap=0.0, limit_margin=0.0, time_limit_s=60.0),
    )
