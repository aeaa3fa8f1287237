"""The record of one run: everything that reports, files, telemetry and dashboards are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from scheduler.outcome import Outcome, Verdict
from scheduler.plan import Plan
from scheduler.problem import Problem
from scheduler.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Commanding:
    """What commanding the nodes came to.

    Attributes:
        transport: ``mqtt`` (with the broker's version) or ``memory``, in words; empty when nothing was commanded.
        nodes: node agents that took part.
        commands: commands sent; accepted, applied, failed: acknowledgements by kind.
        late: commands that were refused because their not-after had passed.
        jobs_run: jobs whose process ended well on a node.
        worst_ack_s: slowest acknowledgement, wall seconds.
        speed: scenario seconds per wall second.
        note: a sentence about anything that a reader must know.
        jobs_failed: jobs that were to be done by now and whose process did not end well, those that never ran included.
        silent_nodes: nodes that fell silent during the run and did not come back.
        migrations_done: migrations whose copy was verified on its node, and whose source was released where that was asked for.
        migrations_failed: migrations that nodes were told of and that were to be done by now and are not.
    """

    transport: str
    nodes: int
    commands: int
    accepted: int
    applied: int
    failed: int
    late: int
    jobs_run: int
    worst_ack_s: float
    speed: float
    note: str = ""
    jobs_failed: int = 0
    silent_nodes: tuple[str, ...] = ()
    migrations_done: int = 0
    migrations_failed: int = 0


@dataclass(frozen=True, slots=True)
class PlanInForce:
    """A plan and when it came into force.

    Attributes:
        since: instant, UTC.
        plan: the plan (its horizon begins at the first slot that it decides).
        verdict: of its rehearsal.
        cause: why it was made, in words (``first plan``, ``event peak-1 at cabinet_a``).
    """

    since: datetime
    plan: Plan
    verdict: Verdict
    cause: str


@dataclass(frozen=True, slots=True, eq=False)
class RunRecord:
    """One run, from scenario to result.

    Attributes:
        scenario: as loaded; problem: of the first plan.
        plans: plans in force in order of time; the first is the first plan. Empty when none was made.
        outcome: realised execution of the plan(s) (nominal seed), or None when the verdict blocked it.
        stressed: executions with injected faults.
        baselines: realised execution of each baseline policy on the same input and seed, by policy name.
        baseline_plans: their plans.
        commanding: or None when no node was commanded.
        phases_s: wall time by phase, in order.
        wall_s: wall time of the whole run.
        command_line: how the run was started; version: of ozzo.
        interrupted: phase in which a person pressed Ctrl-C, or None.
    """

    scenario: Scenario
    problem: Problem
    plans: tuple[PlanInForce, ...]
    outcome: Outcome | None
    stressed: tuple[Outcome, ...]
    baselines: dict[str, Outcome]
    baseline_plans: dict[str, Plan]
    commanding: Commanding | None
    phases_s: dict[str, float]
    wall_s: float
    command_line: str
    version: str
    interrupted: str | None = None
    notes: tuple[str, ...] = field(default=())
