"""Every family of the model beyond plain jobs: against hand-made answers, and against trying everything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.build import build_problem
from scheduler.optimiser.codec import decode, encode, task_columns
from scheduler.optimiser.compiled import compile_model
from scheduler.optimiser.model import build_model
from scheduler.optimiser.policy import MilpPolicy
from scheduler.optimiser.restrict import hold, rows_of
from scheduler.plan import Plan, ReasonKind, SolveStatus
from scheduler.policies.fifo import fifo_schedule
from scheduler.policies.registry import BASELINES, POLICIES
from scheduler.policies.schedule import JobPlace, Schedule, it_power_kw, task_eur
from scheduler.problem import FULL_SPEED, Copy, Feeder, JobOption, JobTask, Mode, Problem, TenantShare
from scheduler.workload import JobKind, PowerCap
from tests.factory import job, small_scenario
from tests.scheduler.checks import check_feeders, check_plan
from tests.scheduler.optimiser.reference import best_cost
from tests.scheduler.optimiser.test_optimum import tiny
from tests.scheduler.problems import flat_problem, task

EASY = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
ECO = Mode(0.7, 0.55)
CAP = PowerCap(0.7, 0.55)


def solved(problem: Problem) -> Plan:
    """The optimiser's plan, proven and sound."""
    plan = MilpPolicy().plan(problem)
    check_plan(problem, plan)
    assert plan.status in {SolveStatus.OPTIMAL, SolveStatus.INFEASIBLE}  # some jobs of a random problem fit nowhere
    assert plan.gap is not None
    assert plan.gap <= 1e-6
    return plan


def spans(plan: Plan, job: str) -> list[tuple[int, int]]:
    """First slot and end of each piece of a job."""
    return [(run.start, run.end) for run in plan.runs_of(job)]


def varied(seed: int) -> Problem:
    """A tiny problem whose jobs have soft deadlines, pieces, an order, a tenant and copies by chance."""
    problem, rng = tiny(seed), np.random.default_rng(seed + 1)
    copies = (Copy("d@b", 1, float(rng.choice([0.001, 0.02])), 5.0), Copy("e@b", 1, 0.005, 4.0))
    jobs = []
    for j, made in enumerate(problem.jobs):
        options = tuple(
            replace(option, copy=int(rng.integers(-1, 2)) if option.site == 1 else -1, cost_eur=float(rng.choice([0.0, 0.01])))
            for option in made.options
        )
        changes: dict[str, Any] = {"options": options, "tenant": int(rng.integers(-1, 1))}
        if rng.random() < 0.5:
            changes |= {"due": int(rng.integers(0, 5)), "late_eur_per_slot": float(rng.choice([0.01, 0.05]))}
        if made.kind is JobKind.INTERRUPTIBLE:
            pieces = {
                "min_run": int(rng.integers(1, 3)),
                "min_gap": int(rng.integers(0, 3)),
                "restart_eur": float(rng.choice([0.0, 0.02])),
            }
            changes |= pieces | {"work": int(rng.integers(2, 4))}
        if j and rng.random() < 0.5:
            changes["after"] = (int(rng.integers(0, j)),)
        jobs.append(replace(made, **changes))
    return replace(
        problem,
        jobs=tuple(jobs),
        copies=copies,
        copy_limit_gb=np.array([0.0, float(rng.choice([5.0, 10.0]))]),
        tenants=(TenantShare("t", float(rng.choice([0.5, 1.0]))),),
    )


@EASY
@given(st.integers(0, 10_000))
def test_optimum_equals_trying_everything(seed: int) -> None:
    """With lateness, pieces, workflows, tenants and copies at once the plan costs what the best of all placings costs."""
    problem = varied(seed)
    plan = solved(problem)
    assert plan.objective_eur == pytest.approx(best_cost(problem), abs=1e-5)


@EASY
@given(st.integers(0, 10_000))
def test_baselines_keep_the_rules(seed: int) -> None:
    """The baselines' plans keep to the same rules, with malleable jobs at full speed, and the optimiser is never dearer."""
    problem = varied(seed)
    loose = replace(problem.jobs[0], kind=JobKind.MALLEABLE, modes=(FULL_SPEED, ECO), min_run=1, min_gap=0, restart_eur=0.0)
    problem = replace(problem, jobs=(loose, *problem.jobs[1:]))
    plan = solved(problem)
    for name in BASELINES:
        other = POLICIES[name]().plan(problem)
        check_plan(problem, other)
        assert {(run.speed, run.power) for run in other.runs} <= {(1.0, 1.0)}
        assert plan.objective_eur <= other.objective_eur + 1e-9


def test_rigid_job_pays_for_every_slot_past_its_due() -> None:
    """2 slots of 1 kW, prices 100, 100, 100, 20, 20 EUR/MWh, due at slot 2: waiting costs 3 slots late and saves 0.16 EUR."""
    prices = [100.0, 100.0, 100.0, 20.0, 20.0]
    job = task("j", work=2, deadline=5, due=2)
    cheap = solved(flat_problem(prices, replace(job, late_eur_per_slot=0.05)))
    assert spans(cheap, "j") == [(3, 5)]
    assert cheap.breakdown_eur["lateness"] == pytest.approx(3 * 0.05)
    dear = solved(flat_problem(prices, replace(job, late_eur_per_slot=0.06)))
    assert spans(dear, "j") == [(0, 2)]
    assert dear.breakdown_eur["lateness"] == 0.0


def test_interruptible_job_pays_for_slots_after_its_due_only() -> None:
    """One of its two slots lies after the due, and that one is paid."""
    plan = solved(
        flat_problem([100.0, 20.0, 100.0, 20.0], task("j", JobKind.INTERRUPTIBLE, work=2, due=3, late_eur_per_slot=0.01))
    )
    assert spans(plan, "j") == [(1, 2), (3, 4)]
    assert plan.breakdown_eur["lateness"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [(0, 1), (2, 3), (5, 6)]),
        ({"min_run": 2, "work": 4}, [(2, 6)]),
        ({"min_gap": 2}, [(0, 1), (4, 6)]),
        ({"restart_eur": 0.03}, [(0, 1), (4, 6)]),
        ({"restart_eur": 0.3}, [(2, 5)]),
    ],
)
def test_pieces_by_hand(changes: dict[str, Any], expected: list[tuple[int, int]]) -> None:
    """Three of six slots at 10, 100, 20, 60, 30, 25 EUR/MWh, 1 kW: what least lengths and restarts make of the cheapest slots."""
    prices = [10.0, 100.0, 20.0, 60.0, 30.0, 25.0]
    plan = solved(flat_problem(prices, replace(task("j", JobKind.INTERRUPTIBLE, work=3), **changes)))
    assert spans(plan, "j") == expected
    assert plan.breakdown_eur["fixed"] == pytest.approx(changes.get("restart_eur", 0.0) * (len(expected) - 1))


def test_malleable_job_slows_down_where_energy_is_dear() -> None:
    """Work of 2, one slot at 10 and three at 100 EUR/MWh: once at full speed, then 1 / 0.7 slots in the saving mode."""
    job = task("j", JobKind.MALLEABLE, work=2, modes=(FULL_SPEED, ECO))
    plan = solved(flat_problem([10.0, 100.0, 100.0, 100.0], job))
    assert plan.objective_eur == pytest.approx(0.010 + 0.1 * 0.55 / 0.7, abs=1e-6)
    assert sum((run.end - run.start) * run.speed for run in plan.runs) == pytest.approx(2.0, abs=1e-6)
    assert sum((run.end - run.start) * run.use for run in plan.runs) == pytest.approx(1 + 1 / 0.7, abs=1e-6)


def test_malleable_jobs_share_a_node_within_a_slot() -> None:
    """Two jobs of one slot's work each on one node: each may use half of a slot, and four halves fill two slots, not three."""
    jobs = [task(name, JobKind.MALLEABLE, work=1, modes=(FULL_SPEED,)) for name in ("a", "b")]
    plan = solved(flat_problem([10.0, 30.0, 900.0], *jobs, cores=16))
    assert plan.objective_eur == pytest.approx(0.010 + 0.030, abs=1e-6)


def test_malleable_lateness_counts_shares() -> None:
    """What is done in the saving mode after the due is paid by the share of the slot."""
    job = task("j", JobKind.MALLEABLE, work=1, modes=(ECO,), due=1, late_eur_per_slot=0.01, release=0)
    plan = solved(flat_problem([10.0, 10.0, 10.0], job))
    assert plan.breakdown_eur["lateness"] == pytest.approx(0.01 * (1 / 0.7 - 1), abs=1e-6)


@pytest.mark.parametrize("kind", list(JobKind))
@pytest.mark.parametrize("other", list(JobKind))
def test_workflow_by_hand(kind: JobKind, other: JobKind) -> None:
    """Whatever their kinds, the second job waits for all of the first, although the cheapest slot comes first."""
    plan = solved(flat_problem([10.0, 50.0, 50.0, 20.0], task("a", kind, work=2), task("b", other, work=1, after=(0,))))
    assert max(end for _, end in spans(plan, "a")) <= min(start for start, _ in spans(plan, "b"))
    assert spans(plan, "b") == [(3, 4)]


def test_successor_of_a_dropped_job_is_dropped() -> None:
    """A job that is not worth its energy takes the one after it along, and the reason says so."""
    jobs = task("a", work=1, drop_eur=0.001), task("b", work=1, after=(0,), drop_eur=0.01)
    plan = solved(flat_problem([100.0, 100.0], *jobs))
    assert [item.name for item in plan.dropped] == ["a", "b"]
    assert plan.dropped[1].reason.kind is ReasonKind.AFTER
    assert "a" in plan.dropped[1].reason.text


def test_successor_of_an_impossible_job_is_a_conflict() -> None:
    """A job that comes after one that fits nowhere cannot run, and the plan says infeasible."""
    plan = MilpPolicy().plan(flat_problem([100.0, 100.0], task("a", work=3), task("b", work=1, after=(0,))))
    assert plan.status is SolveStatus.INFEASIBLE
    assert [item.reason.kind for item in plan.dropped] == [ReasonKind.CONFLICT, ReasonKind.CONFLICT]


@pytest.mark.parametrize(("share", "cost_eur"), [(0.25, 0.07), (0.5, 0.03)])
def test_tenant_gets_no_more_than_its_share(share: float, cost_eur: float) -> None:
    """Four nodes have room for all three jobs in the cheap slot; a tenant with a quarter of them runs its two in turn."""
    jobs = [task("a", work=1, tenant=0), task("b", work=1, tenant=0), task("c", work=1)]
    problem = replace(flat_problem([10.0, 50.0], *jobs, cores=64), tenants=(TenantShare("t", share),))
    plan = solved(problem)
    assert plan.objective_eur == pytest.approx(cost_eur, abs=1e-6)
    assert spans(plan, "c") == [(0, 1)]


def test_malleable_jobs_of_a_tenant_count_with_their_shares() -> None:
    """Three malleable jobs share the room of one: together one slot of work in each of the three cheapest slots."""
    jobs = [replace(task(name, JobKind.MALLEABLE, work=1, tenant=0), modes=(FULL_SPEED,)) for name in ("a", "b", "c")]
    problem = replace(flat_problem([10.0, 20.0, 50.0, 90.0], *jobs, cores=64), tenants=(TenantShare("t", 0.25),))
    assert solved(problem).objective_eur == pytest.approx(0.010 + 0.020 + 0.050, abs=1e-6)


def test_tenant_share_below_one_job_is_a_conflict() -> None:
    """A job that is larger than its tenant's share can run nowhere; the reason tells the room of the share."""
    problem = replace(flat_problem([10.0, 50.0], task("a", work=1, tenant=0), cores=16), tenants=(TenantShare("t", 0.5),))
    plan = MilpPolicy().plan(problem)
    assert plan.status is SolveStatus.INFEASIBLE
    assert "16 cores (free: 8)" in plan.dropped[0].reason.text


def two_sites(copy_eur: float, limit_gb: float) -> Problem:
    """Two jobs at a dear site, or at a cheap one where both need the same copy."""
    options = JobOption(0, 1.0, 0.0, 0), JobOption(1, 1.0, 0.0, 0, copy=0)
    jobs = [replace(task(name, work=1), options=options) for name in ("a", "b")]
    problem = flat_problem([100.0], *jobs, sites=2, cores=32)
    problem.import_eur_per_kwh[1] = 0.02
    return replace(problem, copies=(Copy("d@s1", 1, copy_eur, 10.0),), copy_limit_gb=np.array([0.0, limit_gb]))


def test_copy_is_paid_once_and_shared() -> None:
    """A copy at 0.15 EUR pays for two jobs that save 0.08 EUR each, not for 0.17 EUR; without room for it there is none."""
    shared = solved(two_sites(0.15, 10.0))
    assert {run.site for run in shared.runs} == {"s1"}
    assert shared.breakdown_eur["fixed"] == pytest.approx(0.15)
    assert {run.site for run in solved(two_sites(0.17, 10.0)).runs} == {"s0"}
    assert {run.site for run in solved(two_sites(0.15, 9.0)).runs} == {"s0"}


def feeder_problem(limit_kw: float, drop_limit_pu: float) -> Problem:
    """Two sites in a chain, one job each of 1 kW, the first of two slots cheap."""
    jobs = [replace(task(f"j{s}", work=1), options=(JobOption(s, 1.0, 0.0, 0),)) for s in range(2)]
    feeder = Feeder("f", (0, 1), limit_kw, (0.01, 0.02), drop_limit_pu)
    return replace(flat_problem([10.0, 50.0], *jobs, sites=2), feeders=(feeder,))


@pytest.mark.parametrize(
    ("limit_kw", "drop_limit_pu", "cost_eur"),
    [
        (5.0, 1.0, 0.02),  # both in the cheap slot
        (1.5, 1.0, 0.06),  # 2 kW do not fit through the head
        (5.0, 0.035, 0.06),  # 0.01 * 2 + 0.02 * 1 = 0.04 pu at the end, one at a time 0.03
    ],
)
def test_feeder_keeps_jobs_apart(limit_kw: float, drop_limit_pu: float, cost_eur: float) -> None:
    """Rating and voltage drop of a feeder decide whether both sites may work at once; costs by hand."""
    problem = feeder_problem(limit_kw, drop_limit_pu)
    plan = solved(problem)
    check_feeders(problem, plan)
    assert plan.objective_eur == pytest.approx(cost_eur, abs=1e-6)


def test_baseline_that_breaks_a_feeder_never_replaces_a_plan() -> None:
    """Run-at-once ignores feeders and would be cheaper; the optimiser's plan keeps the feeder and is kept."""
    problem = feeder_problem(1.5, 1.0)
    assert POLICIES["fifo"]().plan(problem).objective_eur == pytest.approx(0.02)
    assert solved(problem).objective_eur == pytest.approx(0.06, abs=1e-6)


@EASY
@given(st.integers(0, 10_000))
def test_plans_with_malleable_jobs_and_feeders_are_sound(seed: int) -> None:
    """Random small problems with every kind of job and a feeder: the plan keeps every rule, its bound is below it."""
    problem, rng = varied(seed), np.random.default_rng(seed + 2)
    jobs: list[JobTask] = []
    for made in problem.jobs:
        loose = made.kind is JobKind.INTERRUPTIBLE and rng.random() < 0.7
        plain: dict[str, Any] = {"min_run": 1, "min_gap": 0, "restart_eur": 0.0}
        jobs.append(replace(made, kind=JobKind.MALLEABLE, modes=(FULL_SPEED, ECO), **plain) if loose else made)
    feeder = Feeder("f", (0, 1), float(rng.choice([0.9, 2.0])), (0.01, 0.02), float(rng.choice([0.02, 1.0])))
    problem = replace(problem, jobs=tuple(jobs), feeders=(feeder,))
    plan = MilpPolicy().plan(problem)
    check_plan(problem, plan)
    check_feeders(problem, plan)


def test_free_work_is_not_planned_and_not_exported_through_a_full_feeder() -> None:
    """Sun beyond what the feeder takes is free, so a solver may work on for nothing: the plan holds just the work."""
    job = task("j", JobKind.MALLEABLE, work=1, modes=(FULL_SPEED, ECO))
    problem = flat_problem([50.0, 50.0, 50.0], job)
    sunny = replace(
        problem,
        renewable_kw=np.full((1, 3), 5.0),
        export_limit_kw=np.full((1, 3), 10.0),
        export_eur_per_kwh=np.full((1, 3), 0.01),
        feeders=(Feeder("f", (0,), 2.0, (0.0,), 1.0),),
    )
    plan = solved(sunny)
    check_feeders(sunny, plan)
    assert sum((run.end - run.start) * run.speed for run in plan.runs) == pytest.approx(1.0, abs=1e-6)
    assert plan.objective_eur == pytest.approx(-3 * 2.0 * 0.01, abs=1e-6)


def test_malleable_job_waits_for_all_of_its_data() -> None:
    """A malleable job at the vault works in no share of a slot before the dataset that moves there has arrived whole."""
    verify = replace(job("verify", sites=("vault",), inputs=("scans",), duration_h=2, kind=JobKind.MALLEABLE), power_caps=(CAP,))
    problem = build_problem(small_scenario(jobs=(verify,)))
    for policy in POLICIES.values():
        plan = policy().plan(problem)
        check_plan(problem, plan)
        assert min(run.start for run in plan.runs) >= max(piece.end for piece in plan.transfers)


def test_malleable_job_takes_what_is_left_of_a_site() -> None:
    """Where half of its cores are free it works half of each slot; where that does not do by its deadline it is impossible."""
    half = flat_problem([10.0, 20.0, 30.0], task("j", JobKind.MALLEABLE, work=1), cores=8)
    plan = solved(half)
    assert spans(plan, "j") == [(0, 2)]
    assert plan.runs[0].use == pytest.approx(0.5)
    assert plan.objective_eur == pytest.approx(0.5 * (0.010 + 0.020), abs=1e-6)
    none = MilpPolicy().plan(flat_problem([10.0, 20.0, 30.0], task("j", JobKind.MALLEABLE, work=2), cores=8))
    assert none.status is SolveStatus.INFEASIBLE


@EASY
@given(st.integers(0, 10_000))
def test_a_schedule_survives_the_vector(seed: int) -> None:
    """A baseline's schedule, made a vector of the model, keeps all rows of its columns, and is the same when read back."""
    problem = varied(seed)
    loose = replace(problem.jobs[0], kind=JobKind.MALLEABLE, modes=(FULL_SPEED, ECO), min_run=1, min_gap=0, restart_eur=0.0)
    problem = replace(problem, jobs=(loose, *problem.jobs[1:]))
    parts = build_model(problem)
    model = compile_model(parts)
    schedule = fifo_schedule(problem)
    values = encode(parts, model, schedule)
    assert values is not None
    assert hold(model, values, rows_of(model, task_columns(model)))
    again = decode(parts, model, values)
    assert again.jobs.keys() == schedule.jobs.keys()
    assert np.allclose(it_power_kw(problem, again), it_power_kw(problem, schedule))
    assert task_eur(problem, again) == pytest.approx(task_eur(problem, schedule))


def test_a_vector_that_breaks_an_order_is_refused() -> None:
    """The rows of a schedule's own columns are looked at before it may become an incumbent."""
    problem = flat_problem([10.0, 10.0, 10.0], task("a", work=1), task("b", work=1, after=(0,)))
    parts = build_model(problem)
    model = compile_model(parts)
    rows = rows_of(model, task_columns(model))
    for first, second, good in ((0, 1, True), (1, 1, False), (2, 0, False)):
        values = encode(parts, model, Schedule({0: JobPlace(0, (first,)), 1: JobPlace(0, (second,))}))
        assert values is not None
        assert hold(model, values, rows) == good
