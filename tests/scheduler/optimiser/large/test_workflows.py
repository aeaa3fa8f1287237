"""Workflows at scale: nobody starts before those that it waits for have ended, and the bound stays true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.optimiser.case_maker import make_case
from scheduler.optimiser.large.case import Case, IntArray
from scheduler.optimiser.large.dual import Dual
from scheduler.optimiser.large.improve import relieve
from scheduler.optimiser.large.links import in_order, kept_in_order, links_of, tightened
from scheduler.optimiser.large.primal import Primal
from scheduler.optimiser.large.replan import lay
from scheduler.optimiser.large.solve import LargeLimits, solve_case
from scheduler.optimiser.large.translate import case_of
from scheduler.optimiser.large.tuning import Tuning
from scheduler.optimiser.large.two_stage import LargeTwoStagePolicy
from scheduler.optimiser.large.warm import warm_of
from scheduler.problem import Problem
from scheduler.scenario import PlanningSettings
from sim.case_check import check_case
from tests.cases import decided, tiny, with_jobs
from tests.scheduler.checks import check_plan
from tests.scheduler.optimiser.large.compared import all_above
from tests.scheduler.optimiser.large.random_problems import random_problem
from tests.scheduler.optimiser.large.test_against_reference import PROVEN
from tests.scheduler.optimiser.large.test_futures import uncertain
from tests.scheduler.optimiser.large.test_solve import MEDIUM, solved
from tests.scheduler.optimiser.large.test_state import Books
from tests.scheduler.problems import flat_problem, task

NEAR_MEAN, NEAR_WORST = 0.02, 0.2
"""How far above the optimum plans of small problems may be: on average, and at worst."""


def waiting(case: Case, *before: tuple[int, ...]) -> Case:
    """The case with these jobs before each job."""
    pointer = np.concatenate(([0], np.cumsum([len(jobs) for jobs in before]))).astype(np.int64)
    return replace(case, after_ptr=pointer, after=np.array([p for jobs in before for p in jobs], dtype=np.int64))


def chained(case: Case, seed: int, share: float) -> Case:
    """The case with one or two jobs before ``share`` of the jobs, of those before which there is time for them."""
    rng = np.random.default_rng([seed, 3])
    before: list[tuple[int, ...]] = []
    for j in range(case.J):
        fits = np.flatnonzero(case.rel[:j] + case.p[:j] + case.p[j] <= case.dl[j])
        count = min(len(fits), int(rng.integers(1, 3))) if rng.random() < share else 0
        before.append(tuple(int(p) for p in rng.choice(fits, count, replace=False)))
    return tightened(waiting(case, *before))


def three(*before: tuple[int, ...], **changes: object) -> Case:
    """Three rigid jobs of two, one and two slots at one site of eight slots."""
    jobs = [{"p": work, "dl": 8, "soft": 8, "drop": price} for work, price in ((2, 10.0), (1, 20.0), (2, 40.0))]
    return waiting(with_jobs(tiny(1, 8, **changes), *jobs), *before)


def test_order_and_levels() -> None:
    """A diamond: every job comes after those before it, one level above the highest of them."""
    order, level = in_order([[1, 2], [3], [3], []])
    assert [order.index(j) for j in (3, 1)] < [order.index(j) for j in (1, 0)]
    assert level.tolist() == [2, 1, 1, 0]


def test_jobs_that_wait_for_each_other_are_refused() -> None:
    """A circle has no order."""
    with pytest.raises(ValueError, match="2 jobs wait for each other"):
        in_order([[], [2], [1]])


def test_links_of_a_chain() -> None:
    """Neighbours, all that follow, latest ends that leave those their time, and what a job is worth with all that follow."""
    links = links_of(three((), (0,), (1,)))
    assert links.before.tolist() == [0, 1]
    assert links.following.tolist() == [1, 2]
    assert links.all_after[links.all_after_ptr[0] : links.all_after_ptr[1]].tolist() == [1, 2]
    assert links.latest.tolist() == [5, 6, 8]
    assert links.worth.tolist() == [70.0, 60.0, 40.0]


def test_latest_end_leaves_out_what_cannot_follow() -> None:
    """A job that cannot end before the one after it must start is held to its own deadline only."""
    case = with_jobs(tiny(1, 8), {"p": 3, "dl": 8}, {"p": 2, "dl": 4})
    assert links_of(waiting(case, (), (0,))).latest.tolist() == [8, 4]


def test_earliest_slots_wait_for_the_work_before() -> None:
    """After two slots, then one more: slot 2 at the earliest, then slot 3; without links nothing changes."""
    assert tightened(three((), (0,), (1,))).ea.tolist() == [0, 2, 3]
    late = replace(three((), (0,), (1,)), dl=np.array([8, 2, 8]))
    assert tightened(late).ea.tolist() == [0, 8, 8]  # the second cannot end in time, so the third never starts
    free = three((), (), ())
    assert tightened(free) is free


def test_places_out_of_order_are_given_up() -> None:
    """A job that starts too early goes, and with it all that come after it; so does one with too many slots for its room."""
    case, room = three((), (0,), (1,)), np.full(3, 8)
    good, early = decided((0, (0, 1)), (1, (2,)), (2, (3, 4))), decided((0, (0, 1)), (1, (1,)), (2, (3, 4)))
    assert kept_in_order(case, good, room).tolist() == [0, 1, 2]
    assert kept_in_order(case, early, room).tolist() == [0, -1, -1]
    assert kept_in_order(case, good, np.array([1, 8, 8])).tolist() == [-1, -1, -1]


def test_laid_out_plan_keeps_the_order() -> None:
    """What a warm start brings out of order is not in the plan that the search begins with."""
    case = three((), (0,), ())
    primal = Primal(case, Dual(case), Tuning())
    lay(primal, decided((0, (1, 2)), (1, (2,)), (2, (3, 4))))
    assert (primal.state.choice >= 0).tolist() == [True, False, True]


def test_a_job_goes_between_its_neighbours() -> None:
    """The second of a chain has slots 2 and 3 between them, though others are cheaper; alone it cannot be put in at all."""
    books = Books(three((), (0,), (1,), pi=[[0.1, 0.1, 0.9, 0.8, 0.1, 0.1, 0.1, 0.1]]))
    assert books.insert(1) == -1
    for job, slots in ((0, (0, 1)), (2, (4, 5))):
        at = books.jobs.room[job]
        books.state.slot[at : at + 2], books.state.length[job] = slots, 2
        books.state.kw[at : at + 2] = books.state.part[at : at + 2] = 1.0
        books.put(job, job, 0.0)
    assert books.insert(1) == 0
    assert books.state.slot[books.jobs.room[1]] == 3


def test_relief_drops_those_that_come_after() -> None:
    """The first of a chain loses its only slot: it goes, and with it the two that come after it; the books are right."""
    case = three((), (0,), (1,))
    cap = case.cap.copy()
    cap[0, 0, 0] = 0.0
    books = Books(replace(case, cap=cap, dl=np.array([2, 8, 8])))
    for job, slots in enumerate(((0, 1), (2,), (3, 4))):
        at = books.jobs.room[job]
        books.state.slot[at : at + len(slots)], books.state.length[job] = slots, len(slots)
        books.state.kw[at : at + len(slots)] = books.state.part[at : at + len(slots)] = 1.0
        books.state.choice[job], books.state.own[job] = job, 0.0
    books.recount()
    assert relieve(books.jobs, books.grid, books.state, 8, 40) == 1
    assert (books.state.choice < 0).all()
    total = float(books.state.total[0])
    assert total == pytest.approx(books.recount())


@given(seed=st.integers(0, 1000), share=st.sampled_from([0.2, 0.6, 1.0]))
@settings(max_examples=8, deadline=None)
def test_plans_keep_the_order(seed: int, share: float) -> None:
    """By the independent check, and at the cost that it finds."""
    case = chained(make_case(replace(MEDIUM, jobs=60), seed), seed, share)
    assert len(case.after)
    solved(case, 0.4)


@given(seed=st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_planning_again_keeps_the_order(seed: int) -> None:
    """A plan without links is the warm start of a case with links: what is out of order moves or goes."""
    free = make_case(replace(MEDIUM, jobs=60), seed)
    case = chained(free, seed, 0.6)
    before = solve_case(free, LargeLimits(0.2))
    solved(case, 0.4, warm=warm_of(free, before.dual, before.solution))


def test_the_check_sees_what_is_out_of_order() -> None:
    """A start one slot too early, and a job whose predecessor does not run."""
    case = three((), (0,), ())
    early = check_case(case, decided((0, (0, 1)), (1, (1,)), (2, (3, 4))))
    assert [finding.rule for finding in early.findings] == ["after"]
    alone = check_case(case, decided((-1, ()), (1, (5,)), (2, (3, 4))))
    assert [finding.rule for finding in alone.findings] == ["after"]
    assert check_case(case, decided((0, (0, 1)), (1, (2,)), (2, (3, 4)))).feasible


def linked(seed: int) -> Problem:
    """A random problem with up to two jobs before some, whose deadlines are later for it."""
    problem, rng = random_problem(seed, PROVEN), np.random.default_rng([seed, 7])
    jobs = []
    for j, job in enumerate(problem.jobs):
        before = tuple(p for p in range(j) if rng.random() < 0.35)[-2:]
        jobs.append(replace(job, after=before, deadline=min(problem.horizon.slots, job.deadline + 2 * len(before))))
    return replace(problem, jobs=tuple(jobs))


@pytest.mark.slow
def test_small_problems_against_the_reference() -> None:
    """Ten of them: plans keep every rule, bounds are never above the optimum, and costs are near it."""
    above = all_above(map(linked, range(10)), PlanningSettings(relative_gap=0.003, time_limit_s=0.8))
    assert max(above) <= NEAR_WORST, above
    assert np.mean(above) <= NEAR_MEAN, above


def test_translation() -> None:
    """Who comes after whom, with the earliest slots that follow; a commanded job waits for nobody."""
    chain = flat_problem([100.0] * 6, task("a"), task("b", after=(0,)), task("c", after=(1,)))
    case = case_of(chain)
    assert case.after.tolist() == [0, 1]
    assert case.after_ptr.tolist() == [0, 0, 1, 2]
    assert case.ea.tolist() == list(np.cumsum([0, chain.jobs[0].work, chain.jobs[1].work]))
    commanded = replace(chain, jobs=(*chain.jobs[:2], replace(chain.jobs[2], pinned=(1,))))
    assert case_of(commanded).after.tolist() == [0]


def test_random_orders_are_orders() -> None:
    """Every job of a random workflow comes after those before it, and pointers meet their lists."""
    for seed in range(20):
        case = chained(make_case(replace(MEDIUM, jobs=30), seed), seed, 0.8)
        before = [case.after[a:b].tolist() for a, b in zip(case.after_ptr[:-1], case.after_ptr[1:], strict=True)]
        order, level = in_order(before)
        place: IntArray = np.argsort(order)
        assert all(place[p] < place[j] and level[p] < level[j] for j, jobs in enumerate(before) for p in jobs)


def test_plan_for_several_futures_keeps_the_order() -> None:
    """The two-stage plan of a random problem with links, by the check of plans."""
    for seed in (2001, 2004):
        problem = replace(linked(seed), futures=uncertain(seed).futures, settings=PlanningSettings(time_limit_s=1.0))
        assert any(task.after for task in problem.jobs)
        check_plan(problem, LargeTwoStagePolicy().plan(problem))
