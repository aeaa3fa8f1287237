"""From a problem to a case and back: nothing is lost, and what a case cannot say is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scheduler.obstacles import impossible
from scheduler.optimiser.large.case import INTERRUPTIBLE, MALLEABLE, PIECED
from scheduler.optimiser.large.site_part import beyond_a_case, sites_beyond
from scheduler.optimiser.large.translate import (
    case_of,
    columns_estimate,
    obstacles_to_scale,
    schedule_of,
    two_stage_obstacles,
)
from scheduler.optimiser.plain import solve_plain
from scheduler.policies.schedule import it_power_kw
from scheduler.problem import FULL_SPEED, JobOption, Mode, Problem
from scheduler.scenario import PlanningSettings
from scheduler.workload import JobKind
from tests.scheduler.optimiser.large.random_problems import random_problem
from tests.scheduler.problems import flat_problem, task


@pytest.mark.parametrize("seed", range(3000, 3010))
def test_schedule_has_the_load_of_the_solution(seed: int) -> None:
    """An optimal solution of the case, as a schedule of the problem: the same jobs run, at the same IT power."""
    problem = random_problem(seed, PlanningSettings())
    case = case_of(problem)
    found = solve_plain(case, 30.0).solution
    assert found is not None
    schedule = schedule_of(problem, found)
    assert sorted(schedule.jobs) == np.flatnonzero(found.choice >= 0).tolist()
    owner = np.repeat(np.arange(case.J), np.diff(found.run_ptr))
    load = np.zeros((case.S, case.T))
    power = case.pw[owner] * case.ew[found.choice[owner]] * (found.run_full + case.power2[owner] * found.run_eco)
    np.add.at(load, (case.es[found.choice[owner]], found.run_slot), power)
    assert it_power_kw(problem, schedule) == pytest.approx(load, abs=1e-9)
    for j, place in schedule.jobs.items():
        assert problem.jobs[j].options[place.option].site == case.es[found.choice[j]]


def two() -> Problem:
    """Two jobs at two sites that a case can say."""
    both = (JobOption(0, 1.0, 0.0, 0), JobOption(1, 1.0, 0.0, 0))
    return flat_problem([100.0] * 4, task("a", options=both), task("b", JobKind.MALLEABLE, modes=TWO_MODES), sites=2)


TWO_MODES = (FULL_SPEED, Mode(0.7, 0.5))


def changed(problem: Problem, **changes: object) -> Problem:
    """The same with changes of the first job."""
    return replace(problem, jobs=(replace(problem.jobs[0], **changes), *problem.jobs[1:]))  # type: ignore[arg-type]


def test_what_a_case_cannot_say_is_named() -> None:
    """Dear exports are beyond a case but no obstacle; without them there is nothing to tell."""
    dear = replace(two(), export_eur_per_kwh=np.full((2, 4), 0.2))
    assert beyond_a_case(two()) == obstacles_to_scale(two()) == obstacles_to_scale(dear) == []
    (said,) = beyond_a_case(dear)
    assert "exporting pays more" in said
    assert sites_beyond(dear).tolist() == [True, True]
    assert two_stage_obstacles(dear) == [said]


@pytest.mark.parametrize("terms", [{"min_run": 2}, {"min_gap": 2}, {"restart_eur": 0.1}])
def test_pieces_are_a_kind_of_their_own(terms: dict[str, float]) -> None:
    """An interruptible job with a least length or a price of pieces keeps them; a least pause of one slot says nothing."""
    problem = changed(two(), kind=JobKind.INTERRUPTIBLE, work=2, **terms)
    assert obstacles_to_scale(problem) == []
    case = case_of(problem)
    assert case.typ.tolist() == [PIECED, MALLEABLE]
    of = {"min_run": int(case.least_run[0]), "min_gap": int(case.least_gap[0]), "restart_eur": float(case.restart[0])}
    assert of == {"min_run": 1, "min_gap": 0, "restart_eur": 0.0} | terms
    loose = case_of(changed(two(), kind=JobKind.INTERRUPTIBLE, work=2, min_gap=1))
    assert loose.typ.tolist() == [INTERRUPTIBLE, MALLEABLE]


def test_power_of_each_place() -> None:
    """The power of a job at a place is what its option says there: the highest is the job's, the others are shares of it."""
    problem = changed(two(), options=(JobOption(0, 1.0, 0.0, 0), JobOption(1, 4.0, 0.0, 0)))
    assert obstacles_to_scale(problem) == []
    case = case_of(problem)
    assert case.pw[0] == 4.0
    assert case.entry_kw()[:2] == pytest.approx([1.0, 4.0])
    assert case.ew[2] == 1.0


def test_job_without_power_has_shares_of_one() -> None:
    """A job that draws nothing anywhere divides by nothing."""
    case = case_of(changed(two(), options=(JobOption(0, 0.0, 0.0, 0), JobOption(1, 0.0, 0.0, 0))))
    assert (case.entry_kw()[:2] == 0.0).all()
    assert (case.ew[:2] == 1.0).all()


def test_job_that_is_ready_too_late_everywhere_is_dropped_with_a_reason() -> None:
    """Its window has room, but it may start at its only site when too few slots are left: no fault, a reason in words."""
    late = task("late", work=3, options=(JobOption(0, 1.0, 0.0, 2),))
    problem = flat_problem([100.0] * 4, late)
    reason = impossible(problem, problem.jobs[0])
    assert reason is not None
    assert "needs 3 slots in a row" in reason.text


def test_estimate_counts_slots_of_all_places() -> None:
    """Two places of four slots, and one of four."""
    assert columns_estimate(two()) == 12


def test_pinned_jobs_are_never_worth_dropping_and_use_no_share() -> None:
    """A commanded job costs a million to drop, and its tenant's share is not counted."""
    made = (random_problem(seed, PlanningSettings()) for seed in range(3000, 3100))
    problem = next(problem for problem in made if any(job.tenant >= 0 for job in problem.jobs))
    number = next(j for j, job in enumerate(problem.jobs) if job.tenant >= 0)
    free = case_of(problem)
    jobs = list(problem.jobs)
    jobs[number] = replace(jobs[number], pinned=(jobs[number].release,))
    held = case_of(replace(problem, jobs=tuple(jobs)))
    assert free.res[number, 3:].any()
    assert not held.res[number, 3:].any()
    assert held.drop[number] > 1e5 > free.drop[number]
