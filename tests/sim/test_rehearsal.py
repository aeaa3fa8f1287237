"""The rehearsal: what passes, what is tolerated, what blocks, and the advice that a failed verdict gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grid.series import Series
from scheduler.outcome import ViolationKind
from scheduler.plan import Plan, Run
from scheduler.scenario import ErrorModel, RehearsalSettings, Scenario
from sim.rehearsal import judge, realise, rehearse, stressed_seeds
from tests.factory import day_horizon, job, site, small_scenario
from tests.sim.hand import EXACT, good_plan, good_runs, good_transfers, hand_plan


def test_good_plan_passes() -> None:
    """The good plan passes with its nominal and its two stressed runs, each at its own seed, and worst values are named."""
    scenario = small_scenario()
    told: list[str] = []
    rehearsal = rehearse(scenario, good_plan(scenario), progress=told.append)
    assert rehearsal.verdict.passed
    assert rehearsal.verdict.violations == ()
    assert rehearsal.verdict.seeds == (7, 8, 9) == (scenario.seed, *stressed_seeds(scenario))
    assert rehearsal.nominal is not None
    assert not rehearsal.nominal.stressed
    assert [run.stressed for run in rehearsal.stressed] == [True, True]
    assert rehearsal.verdict.worst["balance_error_kwh"] < 1e-6
    assert rehearsal.verdict.worst["deadline_misses"] == 0
    assert len(told) == 3


def test_the_nominal_run_is_the_realisation_at_the_same_seed() -> None:
    """What is realised for a baseline comparison is exactly the rehearsed nominal run."""
    scenario = small_scenario()
    plan = good_plan(scenario)
    nominal = rehearse(scenario, plan).nominal
    assert nominal is not None
    assert nominal.totals == realise(scenario, plan, scenario.seed).totals


def test_a_broken_plan_is_not_simulated() -> None:
    """A plan that breaks a rule on paper fails at once, without a run."""
    scenario = small_scenario()
    runs = tuple(replace(run, start=12, end=13) if run.job == "backup" else run for run in good_runs())
    rehearsal = rehearse(scenario, hand_plan(scenario, runs, good_transfers(), plan_id="late"))
    assert not rehearsal.verdict.passed
    assert rehearsal.verdict.plan_id == "late"
    assert [violation.kind for violation in rehearsal.verdict.violations] == [ViolationKind.DEADLINE]
    assert rehearsal.nominal is None
    assert rehearsal.stressed == ()


def test_a_missed_deadline_blocks_in_the_nominal_run() -> None:
    """Run times above what was asked break a tight deadline in the nominal run: refused, with advice."""
    errors = replace(EXACT, duration_low=1.2, duration_high=1.2)
    scenario = small_scenario(jobs=(job("tight", duration_h=2, deadline_h=6),), errors=errors)
    plan = hand_plan(scenario, (Run("tight", "hall", 4, 6, ("hall.rack-0",)),), good_transfers())
    verdict = rehearse(scenario, plan).verdict
    assert not verdict.passed
    (violation,) = verdict.violations
    assert (violation.kind, violation.subject) == (ViolationKind.DEADLINE, "tight")
    assert violation.value == pytest.approx(0.4)
    assert "duration_margin" in violation.advice


def shared_node(tolerance: float, jobs: int) -> tuple[Scenario, Plan]:
    """The only node at work fails; ``jobs`` jobs share it and have no time to begin again."""
    tight = tuple(job(f"tight-{i}", duration_h=20, deadline_h=20, cores=4) for i in range(jobs))
    scenario = small_scenario(
        jobs=tight,
        errors=replace(EXACT, node_failures=1, repair_h=20.0),
        rehearsal=RehearsalSettings(stressed_runs=1, deadline_miss_tolerance=tolerance),
    )
    runs = tuple(Run(task.name, "hall", 0, 20, ("hall.rack-0",)) for task in tight)
    plan = hand_plan(scenario, runs, good_transfers())
    return scenario, plan


@pytest.mark.parametrize(("tolerance", "jobs"), [(0.0, 1), (0.0, 3), (1.0, 2)])
def test_misses_after_a_node_failure_are_tolerated(tolerance: float, jobs: int) -> None:
    """Every job whose work a failed node took may be late; the failure is named, and no impossible advice is given."""
    scenario, plan = shared_node(tolerance, jobs)
    rehearsal = rehearse(scenario, plan)
    assert rehearsal.nominal is not None
    assert rehearsal.nominal.totals.deadline_misses == 0
    (stressed,) = rehearsal.stressed
    assert stressed.totals.deadline_misses == jobs
    assert rehearsal.verdict.passed
    assert rehearsal.verdict.worst["deadline_misses"] == jobs
    for item in stressed.jobs:
        assert item.failures == ("hall.rack-0",)
    for late in stressed.violations:
        assert "injected failure of hall.rack-0" in late.advice
        assert "no earlier" in late.advice
        assert "later deadline" in late.advice


def lone_node(jobs: int) -> tuple[Scenario, Plan]:
    """``jobs`` jobs of an hour, one after the other, on the only node of the only site; ``jobs`` slots in all."""
    horizon = day_horizon(jobs)
    tasks = tuple(job(f"job-{i}", duration_h=1, release_h=i, deadline_h=i + 1) for i in range(jobs))
    errors = ErrorModel(duration_low=0.8, duration_high=0.9)
    hall = site(horizon, "hall", nodes=1)
    scenario = Scenario(name="lone", title="lone", seed=3, horizon=horizon, sites=(hall,), jobs=tasks, errors=errors)
    return scenario, hand_plan(scenario, tuple(Run(f"job-{i}", "hall", i, i + 1, ("hall.rack-0",)) for i in range(jobs)))


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_smallest_scenarios_survive_a_failure(jobs: int) -> None:
    """One node and one job a slot: the job that the failure stops, and the one that waits for the repair, are excused."""
    scenario, plan = lone_node(jobs)
    rehearsal = rehearse(scenario, plan)
    assert rehearsal.verdict.passed
    assert all(run.totals.deadline_misses > 0 for run in rehearsal.stressed)
    for run in rehearsal.stressed:
        assert all("earlier." not in violation.advice for violation in run.violations)


@pytest.mark.parametrize(
    ("start", "release_h", "words"),
    [
        (4, 0.0, "Plan tight 2 slots earlier, or raise planning.duration_margin."),
        (4, 3.0, "can begin 1 slot earlier at most"),
        (4, 3.5, "can begin no earlier than planned"),
        (0, 0.0, "can begin no earlier than planned"),
    ],
)
def test_advice_on_a_late_job_is_possible(start: int, release_h: float, words: str) -> None:
    """A job that runs 1.2 hours over: earlier only as far as its release allows, else a later deadline."""
    errors = replace(EXACT, duration_low=1.6, duration_high=1.6)
    tight = job("tight", duration_h=2, release_h=release_h, deadline_h=start + 2)
    scenario = small_scenario(jobs=(tight,), errors=errors)
    plan = hand_plan(scenario, (Run("tight", "hall", start, start + 2, ("hall.rack-0",)),), good_transfers())
    (violation,) = realise(scenario, plan, scenario.seed).violations
    assert violation.value == pytest.approx(1.2)
    assert words in violation.advice


def test_misses_without_a_failure_are_not_excused_by_one() -> None:
    """A job that is late because it ran longer than asked is no job that a failed node made late."""
    errors = replace(EXACT, duration_low=1.2, duration_high=1.2, node_failures=3)
    tight = job("tight", duration_h=2, deadline_h=6)
    scenario = small_scenario(jobs=(tight,), errors=errors, rehearsal=RehearsalSettings(deadline_miss_tolerance=0.0))
    plan = hand_plan(scenario, (Run("tight", "hall", 4, 6, ("hall.rack-0",)),), good_transfers())
    late = realise(scenario, plan, scenario.seed)
    nominal = replace(late, violations=())
    assert late.totals.deadline_misses == 1
    assert not judge(scenario, plan, nominal, (replace(late, stressed=True),)).passed


def test_a_limit_is_tolerated_in_no_run() -> None:
    """A plan that only fits its import limit by forecast sun is refused when the sun does not come, at its worst slot."""
    scenario = small_scenario(
        jobs=(job("noon", duration_h=2, release_h=11, deadline_h=13, nodes=4),), errors=replace(EXACT, solar_sigma=0.6)
    )
    hall = scenario.site("hall")
    tight = replace(hall, connection=replace(hall.connection, import_limit_kw=Series.constant(0.6, scenario.horizon, "kW")))
    scenario = replace(scenario, sites=(scenario.sites[0], tight, scenario.sites[2]))
    runs = (Run("noon", "hall", 11, 13, tuple(f"hall.rack-{i}" for i in range(4))),)
    plan = hand_plan(scenario, runs, (replace(good_transfers()[0], start=13, end=15),))
    seeds = [
        seed
        for seed in range(40)
        if not rehearse(replace(scenario, seed=seed), plan).verdict.passed  # the sun is dark enough at some seed
    ]
    assert seeds
    verdict = rehearse(replace(scenario, seed=seeds[0]), plan).verdict
    violation = verdict.violations[0]
    assert violation.kind is ViolationKind.IMPORT_LIMIT
    assert violation.value > violation.limit == 0.6
    assert "limit_margin" in violation.advice
    assert verdict.worst["import_of_limit_pct"] > 100


def test_judge_keeps_the_worst_of_each_rule() -> None:
    """Of one rule and subject that several runs break, the verdict holds the furthest."""
    errors = ErrorModel(duration_low=1.1, duration_high=2.0, command_delay_s=0.0, node_failures=0)
    scenario = small_scenario(jobs=(job("tight", duration_h=2, deadline_h=6),), errors=errors)
    plan = hand_plan(scenario, (Run("tight", "hall", 4, 6, ("hall.rack-0",)),), good_transfers())
    runs = [realise(scenario, plan, seed) for seed in range(6)]
    values = [run.violations[0].value for run in runs]
    assert len(set(values)) == 6
    (violation,) = judge(scenario, plan, runs[0], tuple(runs[1:])).violations
    assert violation.value == max(values)
    assert violation.seed == int(np.argmax(values))
