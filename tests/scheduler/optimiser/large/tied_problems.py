"""Random small problems whose sites share limits: of the network, of contracts, of feeders that cross."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scheduler.network_limits import ElementKind, NetworkCut
from scheduler.problem import Feeder, GroupLimit, Problem
from scheduler.scenario import PlanningSettings
from tests.scheduler.optimiser.large.random_problems import random_problem


def tied_problem(seed: int, planning: PlanningSettings) -> Problem:
    """A random problem with cuts in half of the slots, and perhaps caps of groups and a feeder from the last site to the first.

    About one cut of four limits what sites give back; caps change in time, share members, and may be on exports.
    """
    problem, rng = random_problem(seed, planning), np.random.default_rng([seed, 7])
    sites, slots = problem.fixed_kw.shape
    usual_kw = float(problem.fixed_kw.max(axis=1).sum())
    cuts = []
    for slot in np.flatnonzero(rng.random(slots) < 0.6).tolist():
        for _ in range(int(rng.integers(1, 3))):
            chosen = _some(rng, sites, 1)
            way = -1.0 if rng.random() < 0.25 else 1.0
            weights = [way * float(rng.uniform(0.2, 1.5)) for _ in chosen]
            limit = float(rng.uniform(0.3, 1.2)) * usual_kw
            cuts.append(NetworkCut(ElementKind.LINE, "line", slot, chosen, tuple(weights), limit))
    groups = []
    for number in range(int(rng.integers(0, 3))):
        chosen = _some(rng, sites, 2)
        need = problem.fixed_kw[list(chosen)].sum(axis=0)
        cap = np.where(rng.random(slots) < 0.7, rng.uniform(0.5, 1.5, slots) * need + 1.0, np.inf)
        back = np.where(rng.random(slots) < 0.4, rng.uniform(0.0, 3.0, slots), np.inf)
        groups.append(GroupLimit(f"g{number}", chosen, cap, back))
    feeders = problem.feeders
    if rng.random() < 0.3:
        drop = tuple(float(rng.uniform(0.001, 0.004)) for _ in range(sites))
        feeders = (*feeders, Feeder("back", tuple(reversed(range(sites))), float(rng.uniform(4.0, 12.0)), drop, 0.05))
    return replace(problem, cuts=tuple(cuts), groups=tuple(groups), feeders=feeders)


def _some(rng: np.random.Generator, sites: int, least: int) -> tuple[int, ...]:
    """At least ``least`` sites by chance, in any order."""
    chosen = rng.choice(sites, int(rng.integers(least, sites + 1)), replace=False)
    return tuple(chosen.tolist())
