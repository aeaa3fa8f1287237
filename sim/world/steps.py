"""What a plan wants of a world, step by step in order of time, and when it needs which node."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scheduler.plan import Plan, Run, Transfer
from scheduler.workload import JobKind
from sim.world.work import SimulatedJob, Wish


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a plan wants at one instant (seconds after the world's start); lower ``order`` first."""

    moment_s: float
    order: int
    job: str = ""
    wish: Wish | None = None
    transfer: Transfer | None = None
    length_s: float = 0.0


def steps_of(plan: Plan, origin_s: float, begin_s: float, jobs: Mapping[str, SimulatedJob]) -> list[Step]:
    """Everything that ``plan`` wants, in order of time: at one instant transfers end, jobs pause, then things begin.

    Args:
        plan: the plan.
        origin_s: Unix second of the world's start.
        begin_s: when the plan takes over.
        jobs: those of the world; runs of others are left out.
    """
    first_s = plan.horizon.start_s - origin_s
    step_s = plan.horizon.step_s
    steps: list[Step] = []
    for transfer in plan.transfers:
        start_s, end_s = first_s + transfer.start * step_s, first_s + transfer.end * step_s
        if end_s > begin_s:
            opened_s = max(begin_s, start_s)
            steps.append(Step(opened_s, 2, transfer=transfer, length_s=end_s - opened_s))
            steps.append(Step(end_s, 0, transfer=transfer))
    pieces: dict[str, list[Run]] = {}
    for run in plan.runs:
        pieces.setdefault(run.job, []).append(run)
    for name, runs in pieces.items():
        if name not in jobs:
            continue
        runs.sort(key=lambda run: run.start)
        for i, run in enumerate(runs):
            steps.append(Step(first_s + run.start * step_s, 3, name, Wish(run.site, run.nodes, run.speed, run.power, run.use)))
            if i + 1 == len(runs) and run.speed < 1.0:  # what is not done by now goes on at full speed
                steps.append(Step(first_s + run.end * step_s, 3, name, Wish(run.site, run.nodes)))
            if i + 1 < len(runs) and runs[i + 1].start > run.end and jobs[name].job.kind is not JobKind.RIGID:
                steps.append(Step(first_s + run.end * step_s, 1, name))
    return sorted(steps, key=lambda step: (step.moment_s, step.order, step.job))


def in_force(plans: Sequence[tuple[float, Plan]], from_s: float, until_s: float) -> list[tuple[float, float, Plan]]:
    """Which plan holds from when until when in ``[from_s, until_s)``, in order of time; nothing where none does.

    Args:
        plans: in the order of their commands, each with the instant at which it takes over from those before it.
        from_s: first instant (seconds after the world's start).
        until_s: end.
    """
    found = []
    for begin_s, plan in reversed(plans):
        start_s = max(from_s, begin_s)
        if start_s < until_s:
            found.append((start_s, until_s, plan))
        until_s = min(until_s, begin_s)
        if until_s <= from_s:  # what an earlier plan wanted is over
            break
    return found[::-1]


def needs_s(plans: Sequence[tuple[float, Plan]], origin_s: float) -> dict[str, list[float]]:
    """Instants at which plans need each node, ascending (seconds after the world's start).

    Args:
        plans: the plan in force and the one that follows it, each with the instant at which it takes over.
        origin_s: Unix second of the world's start.
    """
    needs: dict[str, list[float]] = {}
    for i, (from_s, plan) in enumerate(plans):
        until_s = plans[i + 1][0] if i + 1 < len(plans) else math.inf
        first_s, step_s = plan.horizon.start_s - origin_s, plan.horizon.step_s
        for run in plan.runs:
            start_s = max(from_s, first_s + run.start * step_s)
            if start_s < until_s and first_s + run.end * step_s > from_s:
                for node in run.nodes:
                    needs.setdefault(node, []).append(start_s)
    return {node: sorted(moments) for node, moments in needs.items()}
