"""Jobs of a made-up case: arrays of similar jobs, what they need, where they may run, and what copies of data that takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from grid.chance import stream
from grid.horizon import FloatArray
from scheduler.optimiser.large.case import INTERRUPTIBLE, MALLEABLE, RIGID, IntArray

CHOICES = 4
"""Sites that a job may choose from, at most."""
LINK_GBIT_PER_S = (1.0, 10.0)
"""Of a cabinet and of a hall; copies get half of it."""
GB_PER_GBIT_S_HOUR = 3600.0 / 8.0
COPY_WINDOW_H = 6.0
"""Copies of a horizon fit this many hours of half the link."""
WAITING_H = (0.0, 0.5, 4.0)
EUR_PER_GB = (0.004, 0.006, 0.014)
"""Of hot, cold and frozen data: hours before a copy can begin, and price of moving and reading a GB (assumed)."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Arrays of the job side of a case; names as in ``scheduler.optimiser.large.case.Case``."""

    typ: IntArray
    p: IntArray
    rel: IntArray
    dl: IntArray
    soft: IntArray
    wt: FloatArray
    res: FloatArray
    pw: FloatArray
    drop: FloatArray
    ep: IntArray
    es: IntArray
    ec: FloatArray
    ea: IntArray
    em: IntArray
    ms: IntArray
    md: IntArray
    mc: FloatArray
    mgb: FloatArray
    gbmax: FloatArray


def make_work(
    seed: int, jobs: int, templates: int, slots: int, dt_h: float, hall: npt.NDArray[np.bool_], weight: FloatArray
) -> Work:
    """Jobs of ``templates`` shapes on sites of which ``hall`` are large; ``weight`` is the share of the work of each site."""
    rng = stream(seed, "case.shapes")
    largest = 8 if jobs >= 1000 else 5
    cores = 2 ** np.minimum(rng.geometric(0.28, templates) - 1, largest)
    gpus = np.where(rng.random(templates) < 0.2, 2 ** rng.integers(0, 4 if jobs >= 1000 else 2, templates), 0)
    cores = np.maximum(cores, 4 * gpus)
    memory_gb = cores * rng.choice([2, 4, 8], templates, p=[0.4, 0.4, 0.2])
    power_kw = cores * rng.uniform(0.006, 0.011, templates) + gpus * rng.uniform(0.4, 0.6, templates)
    hours = np.clip(rng.gamma(1.3, 1.4, templates), dt_h, min(12.0, 0.4 * slots * dt_h))
    kind = rng.choice([RIGID, INTERRUPTIBLE, MALLEABLE], templates, p=[0.45, 0.35, 0.2])
    slack = 1.0 + rng.exponential(6.0, templates)
    priority = rng.choice([1.0, 3.0, 10.0], templates, p=[0.6, 0.3, 0.1])

    rng = stream(seed, "case.jobs")
    size = rng.exponential(1.0, templates)
    shape = np.arange(jobs) if templates == jobs else rng.choice(templates, jobs, p=size / size.sum())
    work = np.maximum(1, np.ceil(hours[shape] / dt_h - 1e-9)).astype(np.int64)
    batches = 5  # users hand in a shape at few moments
    moments = np.where(rng.random((templates, batches)) < 0.3, 0.0, rng.uniform(0.0, 0.85, (templates, batches)))
    release = np.minimum((moments[shape, rng.integers(0, batches, jobs)] * slots).astype(np.int64), slots - work)
    window = np.clip(np.ceil(work * slack[shape]).astype(np.int64), work + 1, int(36 / dt_h))
    due = release + np.maximum(work, (0.7 * window).astype(np.int64))
    deadline = np.minimum(slots, release + np.maximum(window, work))
    draw_kw, rank = power_kw[shape], priority[shape]
    resources = np.stack([cores, gpus, memory_gb], axis=1)[shape].astype(np.float64)
    entries = _entries(seed, shape, work, release, deadline, (cores > 64) | (gpus > 4), hall, weight, dt_h)
    return Work(
        typ=kind[shape],
        p=work,
        rel=release,
        dl=deadline,
        soft=due,
        wt=0.02 * rank * (0.3 + draw_kw) * dt_h,
        res=resources,
        pw=draw_kw,
        drop=1.0 + 2.0 * np.sqrt(rank) * draw_kw * work * dt_h,
        **entries,
    )


def _entries(
    seed: int,
    shape: IntArray,
    work: IntArray,
    release: IntArray,
    deadline: IntArray,
    large: npt.NDArray[np.bool_],
    hall: npt.NDArray[np.bool_],
    weight: FloatArray,
    dt_h: float,
) -> dict[str, Any]:
    """Eligibility and copies: shapes share datasets; a dataset lies at one or two sites and can be copied to a few more."""
    rng = stream(seed, "case.data")
    templates, sites = len(large), len(hall)
    choices = min(CHOICES, sites)
    datasets = max(2, templates // 6)
    # the places of a dataset: without repetition by the largest keys; the first one is a hall, so that nothing is homeless
    keys = rng.random((datasets, sites)) ** (1.0 / (weight + 0.3 / sites))
    places = np.argsort(-keys, axis=1)[:, :choices]
    homeless = ~hall[places].any(axis=1)
    places[homeless, 0] = rng.choice(np.flatnonzero(hall), int(homeless.sum()))
    places = np.take_along_axis(places, np.argsort(~hall[places], axis=1, kind="stable"), axis=1)
    replicas = np.minimum(rng.integers(1, 3, datasets), choices)
    volume_gb = np.clip(rng.lognormal(4.0, 1.2, datasets), 1.0, 4000.0)
    tier = rng.choice(3, datasets, p=[0.6, 0.3, 0.1])
    copied = np.arange(choices) >= replicas[:, None]
    number = np.where(copied, np.cumsum(copied.ravel()).reshape(copied.shape) - 1, -1)
    data, place = np.nonzero(copied)
    target = places[data, place]
    link = np.where(hall, LINK_GBIT_PER_S[1], LINK_GBIT_PER_S[0]) / 2
    hours = np.take(WAITING_H, tier[data]) + volume_gb[data] / (link[target] * GB_PER_GBIT_S_HOUR)
    arrival = np.ceil(hours / dt_h).astype(np.int64)

    moves = rng.random(templates) < 0.7  # the others have data everywhere
    dataset = rng.integers(0, datasets, templates)
    site = places[dataset][shape]
    copy = np.where(moves[shape][:, None], number[dataset][shape], -1)
    ready = np.repeat(release[:, None], choices, axis=1)
    if len(arrival):
        ready = np.where(copy >= 0, np.maximum(ready, arrival[copy]), ready)
    open_to = (hall[site] | ~large[shape][:, None]) & (ready + work[:, None] <= deadline[:, None])
    return {
        "ep": np.concatenate(([0], np.cumsum(open_to.sum(axis=1)))),
        "es": site[open_to],
        "ec": np.zeros(int(open_to.sum())),
        "ea": ready[open_to],
        "em": copy[open_to],
        "ms": target,
        "md": data,
        "mc": volume_gb[data] * np.take(EUR_PER_GB, tier[data]),
        "mgb": volume_gb[data],
        "gbmax": link * GB_PER_GBIT_S_HOUR * COPY_WINDOW_H,
    }
