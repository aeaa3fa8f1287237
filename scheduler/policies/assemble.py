"""From a schedule and its energy to a ``Plan``: the same last step for every policy."""

from __future__ import annotations

import secrets
import time
import uuid

from scheduler.asset_runs import AssetRun, bill_of, rule_runs, with_draw
from scheduler.objective import breakdown_eur
from scheduler.plan import BatteryControl, EnergySchedule, Plan, ReasonKind, SolveStatus
from scheduler.policies.dispatch import dispatch
from scheduler.policies.schedule import Schedule, it_power_kw, runs_of, task_eur, transfers_of
from scheduler.problem import Problem
from scheduler.reasons import explain, is_impossible
from scheduler.resting import with_rest


def new_plan_id() -> str:
    """A UUID of version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def rule_plan(problem: Problem, schedule: Schedule, policy: str, kind: ReasonKind, solve_s: float) -> Plan:
    """Plan of a rule: self-consumption dispatch, no bound, status ``HEURISTIC``."""
    power = it_power_kw(problem, schedule)
    runs = rule_runs(problem, power)
    energy = dispatch(with_draw(with_rest(problem, schedule), runs), power)
    return make_plan(
        problem,
        schedule,
        energy,
        assets=runs,
        policy=policy,
        kind=kind,
        control=BatteryControl.SELF_CONSUMPTION,
        status=SolveStatus.HEURISTIC,
        solver=f"rule {policy}",
        solve_s=solve_s,
    )


def make_plan(
    problem: Problem,
    schedule: Schedule,
    energy: EnergySchedule,
    *,
    policy: str,
    control: BatteryControl,
    status: SolveStatus,
    solver: str,
    solve_s: float,
    kind: ReasonKind | None = None,
    bound_eur: float | None = None,
    build_s: float = 0.0,
    assets: tuple[AssetRun, ...] = (),
) -> Plan:
    """A plan with its objective, gap, reasons and dropped tasks.

    Args:
        problem: the problem.
        schedule: decisions on jobs and migrations.
        energy: planned flows.
        policy: name of the policy.
        control: how sites drive their batteries.
        status: how the solve ended; an optimiser's becomes ``INFEASIBLE`` when something asked for is impossible.
        solver: the solver's words.
        solve_s: wall time of solving.
        build_s: wall time of building the model.
        kind: reason that a rule gives for everything it does, or None to find each reason from the numbers.
        bound_eur: proven lower bound.
        assets: what the assets of the sites do.
    """
    parts = breakdown_eur(problem, energy, assets=bill_of(assets), **task_eur(problem, schedule))
    objective = sum(parts.values())
    bound = None if bound_eur is None else min(bound_eur, objective)
    reasons, dropped = explain(problem, schedule, energy, kind)
    if status is not SolveStatus.HEURISTIC and any(is_impossible(item.reason) for item in dropped):
        status = SolveStatus.INFEASIBLE
    return Plan(
        id=new_plan_id(),
        policy=policy,
        horizon=problem.horizon,
        sites=problem.sites,
        runs=runs_of(problem, schedule),
        transfers=transfers_of(problem, schedule),
        energy=energy,
        dropped=dropped,
        reasons=reasons,
        battery_control=control,
        objective_eur=objective,
        bound_eur=bound,
        gap=None if bound is None else (objective - bound) / max(abs(objective), 1e-9),
        status=status,
        solver=solver,
        build_s=build_s,
        solve_s=solve_s,
        breakdown_eur=parts,
        assets=assets,
    )
