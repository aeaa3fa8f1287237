"""The village of ``configs/congested_feeder.yaml`` with thousands of small jobs in place of a dozen large ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from scheduler.document.loader import load_scenario
from scheduler.scenario import Scenario
from scheduler.workload import Job, JobKind

CONFIG = Path(__file__).parents[4] / "configs" / "congested_feeder.yaml"
NODES = 80
"""Nodes of a site; together they draw what its eight draw in the config."""

WORK_KWH = 1_000.0
"""IT energy of all jobs together, about; what the houses leave of the transformer from noon to noon is about twice that."""


def busy_village(jobs: int, seed: int = 0, time_limit_s: float = 30.0, work_kwh: float = WORK_KWH) -> Scenario:
    """The village with ``jobs`` jobs of a node each, most of them released in the evening; two of three may run at any site."""
    scenario, rng = load_scenario(str(CONFIG)), np.random.default_rng(seed)
    start = scenario.horizon.start
    lengths = rng.integers(2, 9, jobs)  # quarter-hours
    peak_kw = 0.03 + work_kwh / (float(lengths.sum()) / 4.0)
    nodes = max(NODES, int(np.ceil(32.0 / peak_kw)))
    sites = []
    for site in scenario.sites:
        rack = replace(
            site.nodes[0], count=nodes, cores=8, gpus=0, memory_gb=64.0, idle_kw=0.03, peak_kw=peak_kw, failsafe_kw=0.05
        )
        sites.append(replace(site, nodes=(rack,)))
    names = tuple(site.name for site in sites)
    made = []
    for j in range(jobs):
        release_h = float(rng.choice([rng.uniform(0.0, 12.0), rng.normal(5.0, 0.7)]))
        release_h = min(max(release_h, 0.0), 14.0)
        deadline_h = min(24.0, release_h + float(lengths[j]) / 4.0 + float(rng.uniform(2.0, 12.0)))
        made.append(
            Job(
                name=f"job-{j:05d}",
                kind=JobKind.RIGID if rng.random() < 0.6 else JobKind.INTERRUPTIBLE,
                release=start + timedelta(hours=release_h),
                deadline=start + timedelta(hours=deadline_h),
                duration=timedelta(minutes=15 * int(lengths[j])),
                nodes=1,
                cores=8,
                memory_gb=16.0,
                sites=names if rng.random() < 2 / 3 else (str(rng.choice(names)),),
                drop_eur=float(rng.uniform(1.0, 5.0)),
            )
        )
    planning = replace(scenario.planning, time_limit_s=time_limit_s, relative_gap=0.0)
    return replace(scenario, sites=tuple(sites), jobs=tuple(made), planning=planning)
