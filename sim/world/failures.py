"""Which nodes fail in a stressed world, and when: where and while the plan really works, else a rehearsal tests nothing.

Nodes drawn over all nodes mostly hit idle ones. Here a failure hits a node in proportion to the time that the plan works on it,
at an instant at which the job that runs there is in the middle of its true run time. When the plan uses fewer nodes than fail,
the others are drawn among the idle ones, at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from grid.mains import MainsFault
from scheduler.plan import Plan
from sim.world.work import LEAST_SPEED

MIDDLE = (0.1, 0.9)
"""Share of a piece of work inside which its node fails, so that a command delay cannot let the failure miss the job."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A node that stops: which, when it stops and when it is back (seconds after the world's start)."""

    node: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Work:
    """A time in which a node works by plan (seconds after the plan's start)."""

    node: str
    start_s: float
    length_s: float


def draw_failures(
    rng: np.random.Generator, plan: Plan, true_s: Mapping[str, float], nodes: tuple[str, ...], count: int, repair_s: float
) -> tuple[Failure, ...]:
    """Failures of ``count`` different nodes (all of them when there are fewer), in order of time.

    Args:
        rng: the stream ``failures`` of the seed.
        plan: what is carried out; times count from its start.
        true_s: true run time by job; jobs that are done are missing.
        nodes: nodes that may fail.
        count: how many fail.
        repair_s: time until a failed node is back.
    """
    work = [item for item in work_of(plan, true_s) if item.node in set(nodes)]
    found: list[Failure] = []
    failed: set[str] = set()
    for _ in range(min(count, len(nodes))):
        left = [item for item in work if item.node not in failed]
        if left:
            share = np.array([item.length_s for item in left])
            item = left[int(rng.choice(len(left), p=share / share.sum()))]
            node, start_s = item.node, item.start_s + float(rng.uniform(*MIDDLE)) * item.length_s
        else:
            idle = [name for name in nodes if name not in failed]
            node = idle[int(rng.integers(len(idle)))]
            start_s = float(rng.uniform(0.0, plan.horizon.end_s - plan.horizon.start_s))
        failed.add(node)
        found.append(Failure(node, start_s, start_s + repair_s))
    return tuple(sorted(found, key=lambda failure: (failure.start_s, failure.node)))


def draw_outages(
    rng: np.random.Generator, plan: Plan, true_s: Mapping[str, float], site_of: Mapping[str, str], count: int, mean_s: float
) -> tuple[MainsFault, ...]:
    """``count`` outages of the mains while the plan works at their sites, in order of time (seconds after the plan's start).

    Args:
        rng: the stream ``outages`` of the seed.
        plan: what is carried out.
        true_s: true run time by job; jobs that are done are missing.
        site_of: site of each node whose mains may fail.
        count: how many; none where nobody works.
        mean_s: mean length.
    """
    work = [item for item in work_of(plan, true_s) if item.node in site_of]
    if not work:
        return ()
    share = np.array([item.length_s for item in work])
    found = []
    for number in range(count):
        item = work[int(rng.choice(len(work), p=share / share.sum()))]
        start_s = item.start_s + float(rng.uniform(*MIDDLE)) * item.length_s
        length_s = max(1.0, float(rng.exponential(mean_s)))
        found.append(MainsFault(f"outage-in-work-{number + 1}", site_of[item.node], start_s, length_s))
    return tuple(sorted(found, key=lambda fault: (fault.start_s, fault.site)))


def work_of(plan: Plan, true_s: Mapping[str, float]) -> list[Work]:
    """Every time in which a node really works: of the last piece of a job only what is left of its true run time."""
    found = []
    left_s = dict(true_s)
    for run in sorted(plan.runs, key=lambda run: (run.start, run.job)):
        speed = max(run.speed, LEAST_SPEED)
        length_s = min((run.end - run.start) * plan.horizon.step_s, left_s.get(run.job, 0.0) / speed)
        if length_s > 0:
            left_s[run.job] -= length_s * speed
            found += [Work(node, run.start * plan.horizon.step_s, length_s) for node in run.nodes]
    return found
