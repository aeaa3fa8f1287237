"""Transfers slot by slot at scale: data comes in time, and the bound of the jobs' part is one of the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from scheduler.answers.values import values
from scheduler.optimiser.large.policy import LargePolicy
from scheduler.optimiser.large.transfers import (
    RELUCTANCE,
    JobsPart,
    Need,
    WaitRules,
    arrivals,
    as_copies,
    as_load,
    delivered,
    in_turn,
    least_eur,
    needs_of,
    one_target_each,
    with_transfers,
    without_readers,
)
from scheduler.optimiser.large.translate import obstacles_to_scale, two_stage_obstacles
from scheduler.plan import ReasonKind, SolveStatus
from scheduler.policies.schedule import JobPlace, Schedule
from scheduler.problem import Copy, Feeder, JobOption, JobTask, MigrationOption, MigrationTask, Problem
from scheduler.scenario import PlanningSettings
from tests.scheduler.checks import check_plan
from tests.scheduler.optimiser.large.compared import all_above
from tests.scheduler.optimiser.large.random_problems import random_problem
from tests.scheduler.optimiser.large.test_against_reference import PROVEN
from tests.scheduler.problems import flat_problem, task

NEAR_MEAN, NEAR_WORST = 0.02, 0.15
"""How far above the optimum plans of small problems may be: on average, and at worst."""

RATE = 1000.0
"""Of a link, Mbit/s: 0.45 TB in an hour."""


def move(name: str, *sites: int, required: bool = False) -> MigrationTask:
    """A migration from the first site to any of ``sites``: an hour's volume, 1 kW at both ends, 0.10 EUR, 50 EUR when undone."""
    options = tuple(MigrationOption(s, (0,), RATE, 1.0, 1.0, 0.1) for s in sites)
    return MigrationTask(name, name.split("@", maxsplit=1)[0], 0, 0.45, 0, 6, required, 50.0, options)


def far(name: str, *migrations: int, **more: Any) -> JobTask:
    """A job that may run at the first site, or at the second when these migrations have arrived there (slot 1 or later)."""
    options = (JobOption(0, 1.0, 0.0, 0), JobOption(1, 1.0, 0.0, 1, migrations=migrations))
    return task(name, options=options, **more)


def two_sites(*jobs: JobTask, moves: tuple[MigrationTask, ...]) -> Problem:
    """Six hours at two sites: 300 EUR/MWh at the first, 50 at the second; one link."""
    problem = flat_problem([300.0] * 6, *jobs, sites=2)
    price = problem.import_eur_per_kwh.copy()
    price[1] = 0.05
    return replace(problem, import_eur_per_kwh=price, migrations=moves, links=("l",), link_mbit_per_s=np.array([RATE]))


def test_jobs_part() -> None:
    """A staging copy has its price, a required move none; a place that needs a closed transfer is none."""
    problem = two_sites(far("a", 0), far("b", 1), moves=(move("x", 1, required=True), move("y@s1", 1)))
    part = as_copies(problem)
    assert [(copy.name, copy.cost_eur) for copy in part.problem.copies] == [("x@s1", 0.0), ("y@s1", 0.1)]
    assert [[option.copy for option in job.options] for job in part.problem.jobs] == [[-1, 0], [-1, 1]]
    assert not part.problem.migrations
    less = as_copies(problem, WaitRules(closed=frozenset({(1, 0)})))
    assert less.options == ((0, 1), (0,))


def test_terms_of_a_round() -> None:
    """Data that comes later puts places off; only some ways may be open; an expected price has the transfer's power in it."""
    problem = two_sites(far("a", 0), far("b", 1), moves=(move("x", 1, required=True), move("y@s1", 1)))
    later = as_copies(problem, WaitRules({(1, 0): 4}))
    assert [[option.earliest for option in job.options] for job in later.problem.jobs] == [[0, 1], [0, 4]]
    assert as_copies(problem, WaitRules(only=frozenset({(0, 0)}))).options == ((0, 1), (0,))
    dearer = as_copies(problem, WaitRules(expected=True)).problem.copies
    mean = problem.import_eur_per_kwh.mean()
    assert [copy.cost_eur for copy in dearer] == [0.0, pytest.approx(0.1 + 2.0 * mean + RELUCTANCE * mean)]


def test_arrivals_in_turn_and_as_planned() -> None:
    """Over one link the one that is needed first goes first; a transfer has arrived after its last slot."""
    problem = two_sites(far("a", 0), far("b", 1), moves=(move("x@s1", 1), move("y@s1", 1)))
    needs = [Need((0, 0), 5, (0,), 1.0), Need((1, 0), 2, (1,), 1.0)]
    assert in_turn(problem, needs) == {(1, 0): 1, (0, 0): 2}
    both = Schedule(targets={0: 0}, shares={0: np.array([0.5, 0.0, 0.5, 0.0, 0.0, 0.0])})
    assert arrivals(both) == {(0, 0): 3}


def test_a_problem_without_migrations_is_its_own_part() -> None:
    """Copies that it has already stay."""
    problem = random_problem(1012, PROVEN)
    assert problem.copies
    assert as_copies(problem).problem is problem


def test_schedule_of_the_jobs_part_in_full() -> None:
    """Options are counted as in the whole problem again."""
    part = JobsPart(flat_problem([1.0]), ((1, 3),))
    assert part.in_full(Schedule({0: JobPlace(1, (0,))})).jobs[0].option == 3


def test_needs_and_the_load_that_is_given() -> None:
    """Two readers of one copy: it must be there when the first starts, and is worth both; their load is fixed."""
    problem = two_sites(far("a", 0), far("b", 0), moves=(move("x@s1", 1), move("y", 1, required=True)))
    jobs = Schedule({0: JobPlace(1, (4,)), 1: JobPlace(1, (2,))})
    (need,) = needs_of(problem, jobs)
    assert need == Need((0, 0), 2, (0, 1), 20.0)
    rest, ways = as_load(problem, jobs, [need])
    assert rest.fixed_kw[1].tolist() == [0.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    assert ways == [(0, 0), (1, 0)]
    assert (rest.migrations[0].required, rest.migrations[0].deadline, rest.migrations[0].drop_eur) == (True, 2, 20.0)
    assert rest.migrations[1] == problem.migrations[1]


def test_a_dataset_moves_to_one_site() -> None:
    """Of two targets the one that is worth more; what goes elsewhere is not delivered, and its readers go with all after them."""
    needs = [Need((0, 0), 2, (0,), 5.0), Need((0, 1), 3, (1,), 9.0)]
    assert one_target_each(needs) == [needs[1]]
    both = with_transfers(Schedule(), Schedule(targets={0: 0}, shares={0: np.ones(6)}), [(0, 1)])
    assert delivered(needs, both) == ([needs[1]], [needs[0]])
    problem = two_sites(far("a", 0), far("b", 0), task("c", after=(0,)), moves=(move("x", 1, 1, required=True),))
    jobs = Schedule({j: JobPlace(0, (j,)) for j in range(3)})
    assert sorted(without_readers(problem, jobs, [needs[0]]).jobs) == [1]


def test_least_cost_of_transfers() -> None:
    """A required move costs its target or its drop; where import has a price below zero, all energy may earn it."""
    problem = two_sites(moves=(move("x", 1, required=True), move("y@s1", 1)))
    assert least_eur(problem) == pytest.approx(0.1)
    paid = replace(problem, import_eur_per_kwh=problem.import_eur_per_kwh - 0.1)
    assert least_eur(paid) == pytest.approx(0.1 - 0.05 * 4.0)
    chain = Feeder("f", (0, 1), 10.0, (0.001, 0.003), 0.05)
    tied = replace(problem, feeders=(chain,), export_eur_per_kwh=problem.export_eur_per_kwh + 0.02)
    assert least_eur(tied) == pytest.approx(0.1)  # nobody exports
    sold = replace(tied, export_limit_kw=problem.import_limit_kw)
    assert least_eur(sold) == pytest.approx(0.1 - 4.0 * 0.02 * 4.0)  # 0.004 pu against 0.001


def test_data_is_moved_where_that_pays() -> None:
    """Four hours of work save 1 EUR at the second site; an hour's transfer costs 0.35 EUR of power and 0.10 EUR."""
    problem = two_sites(far("a", 0, work=4), moves=(move("x@s1", 1),))
    plan = LargePolicy().plan(replace(problem, settings=PlanningSettings(relative_gap=1e-6, time_limit_s=4.0)))
    check_plan(problem, plan)
    assert plan.objective_eur == pytest.approx(0.1 + 0.35 + 4 * 0.05)
    assert plan.bound_eur is not None
    assert plan.bound_eur <= plan.objective_eur
    assert [(piece.migration, piece.target) for piece in plan.transfers] == [("x@s1", "s1")]


def test_what_the_link_cannot_carry_in_time_stays_at_home() -> None:
    """Two copies over a link that carries one before the deadline of both jobs: one moves, the other stays, none is dropped."""
    jobs = (far("a", 0, work=4, deadline=5), far("b", 1, work=4, deadline=5))
    problem = two_sites(*jobs, moves=(move("x@s1", 1), move("y@s1", 1)))
    plan = LargePolicy().plan(replace(problem, settings=PlanningSettings(relative_gap=1e-6, time_limit_s=4.0)))
    check_plan(problem, plan)
    assert not plan.dropped
    assert sorted(plan.runs_of(name)[0].site for name in "ab") == ["s0", "s1"]
    assert "2 rounds" in plan.solver


def test_a_job_whose_data_cannot_come_is_dropped_with_a_reason() -> None:
    """Two jobs that can run at the second site only, and a link for one of them."""
    there = [task(name, work=4, deadline=5, options=(JobOption(1, 1.0, 0.0, 1, migrations=(m,)),)) for m, name in enumerate("ab")]
    problem = two_sites(*there, moves=(move("x@s1", 1), move("y@s1", 1)))
    plan = LargePolicy().plan(replace(problem, settings=PlanningSettings(relative_gap=1e-6, time_limit_s=4.0)))
    check_plan(problem, plan)
    (dropped,) = plan.dropped
    assert dropped.reason.kind is ReasonKind.DATA
    assert dropped.reason.text.endswith("gets its data in time.")
    assert len(plan.transfers) >= 1


def test_asked_to_stop_there_is_a_plan() -> None:
    """At once, with that status, and with its data in time."""
    problem = two_sites(far("a", 0, work=4), moves=(move("x@s1", 1), move("y", 1, required=True)))
    plan = LargePolicy(lambda: True).plan(problem)
    check_plan(problem, plan)
    assert plan.status is SolveStatus.INTERRUPTED


def test_planned_again_from_the_plan_in_force() -> None:
    """Nothing has changed: jobs keep their places, their data comes in time, and the plan is no dearer."""
    problem = two_sites(far("a", 0, work=4), far("b", 0), moves=(move("x@s1", 1), move("y", 1, required=True)))
    problem = replace(problem, settings=PlanningSettings(relative_gap=1e-6, time_limit_s=3.0))
    policy = LargePolicy()
    before = policy.plan(problem)
    after = policy.replan(problem, before)
    check_plan(problem, after)
    assert after.objective_eur <= before.objective_eur + 1e-6
    assert [run.site for run in after.runs_of("a")] == [run.site for run in before.runs_of("a")]


def test_marginal_values_beside_transfers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prices of the jobs' part: energy at each site is worth what importing it costs."""
    monkeypatch.setattr("scheduler.optimiser.seam.REFERENCE_COLUMNS", 0)
    problem = two_sites(far("a", 0, work=2), moves=(move("x@s1", 1),))
    found = values(replace(problem, settings=PlanningSettings(relative_gap=1e-6, time_limit_s=2.0)))
    assert found.source == "decomposition"
    assert found.facility_eur_per_kwh[1] == pytest.approx(np.full(6, 0.05), abs=1e-3)


def test_obstacles_left() -> None:
    """Transfers are none, but for plans for several futures, beside copies without slots, and beside what a case cannot say."""
    problem = two_sites(far("a", 0), moves=(move("x@s1", 1),))
    assert obstacles_to_scale(problem) == []
    assert two_stage_obstacles(problem) == ["transfers that are planned slot by slot"]
    (said,) = obstacles_to_scale(replace(problem, copies=(Copy("z@s1", 1, 0.1, 1.0),)))
    assert "beside copies" in said
    (said,) = obstacles_to_scale(replace(problem, export_eur_per_kwh=problem.import_eur_per_kwh + 1.0))
    assert "beside hours in which exporting pays more" in said


def with_moves(seed: int) -> Problem:
    """A random problem with one to three datasets: one may have to move, copies open further places for jobs."""
    rng = np.random.default_rng([seed, 9])
    problem = random_problem(seed, PROVEN)
    sites, slots = len(problem.sites), problem.horizon.slots
    moves: list[MigrationTask] = []
    rate = float(rng.choice([500.0, 1000.0]))
    for d in range(int(rng.integers(1, 4))):
        source, tb = int(rng.integers(sites)), float(rng.uniform(0.1, 0.6))
        others = [s for s in range(sites) if s != source]
        power = float(rng.uniform(0.05, 0.5))
        if d == 0 and rng.random() < 0.5:
            ways = tuple(MigrationOption(s, (0,), rate, power, power, float(rng.uniform(0.0, 0.2))) for s in others)
            moves.append(MigrationTask(f"d{d}", f"d{d}", source, tb, 0, slots, True, 20.0, ways))
        else:
            for s in others:
                way = (MigrationOption(s, (0,), rate, power, power, float(rng.uniform(0.0, 0.3))),)
                moves.append(MigrationTask(f"d{d}@s{s}", f"d{d}", source, tb, 0, slots, False, 0.0, way))
    jobs = []
    for job in problem.jobs:
        options = [replace(option, copy=-1) for option in job.options]
        for m in rng.permutation(len(moves))[:2]:
            for target in moves[m].options:
                volume = target.rate_mbit_per_s * problem.horizon.step_s / 8e6
                first = int(np.ceil(moves[m].size_tb / volume - 1e-9))
                if target.site not in {option.site for option in options} and rng.random() < 0.6:
                    options.append(JobOption(target.site, options[0].power_kw, 0.0, first, migrations=(int(m),)))
        if rng.random() < 0.4 and len(options) > 1 and any(option.migrations for option in options):
            options = [option for option in options if option.migrations]
        jobs.append(replace(job, options=tuple(options)))
    return replace(
        problem,
        jobs=tuple(jobs),
        migrations=tuple(moves),
        copies=(),
        copy_limit_gb=None,
        links=("l",),
        link_mbit_per_s=np.array([rate]),
    )


@pytest.mark.slow
def test_small_problems_against_the_reference() -> None:
    """Ten of them: plans keep every rule, bounds are never above the optimum, and costs are near it."""
    above = all_above(map(with_moves, range(10)), PlanningSettings(relative_gap=0.003, time_limit_s=3.0))
    assert max(above) <= NEAR_WORST, above
    assert np.mean(above) <= NEAR_MEAN, above
