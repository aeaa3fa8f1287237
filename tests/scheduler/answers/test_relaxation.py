"""What would let a job run: the smallest change of each kind, found by hand first."""

from __future__ import annotations

import pytest

from scheduler.answers.relaxation import Relaxation
from scheduler.answers.why import why
from scheduler.plan import Run
from scheduler.workload import Job, JobKind
from tests.factory import job
from tests.scheduler.answers.hand import JOB_KW, one_site, problem_of
from tests.sim.hand import hand_plan

PRICES = [100.0, 200.0, 300.0, 50.0, 400.0, 60.0]


def changes(*jobs: Job, runs: tuple[Run, ...] = (), nodes: int = 1) -> dict[str, Relaxation]:
    """Changes for the job ``a`` by kind, when the hall runs ``runs``."""
    scenario = one_site(PRICES, jobs, nodes=nodes)
    found = why(problem_of(scenario), hand_plan(scenario, runs), "a").relaxations
    costs = [change.place.cost_eur for change in found]
    assert costs == sorted(costs)
    return {change.kind: change for change in found}


def test_a_window_that_is_too_short() -> None:
    """Three hours of work between 01:00 and 03:00: an hour later or an hour earlier, the later one is cheaper."""
    found = changes(job("a", duration_h=3, release_h=1, deadline_h=3))
    assert {kind: change.amount for kind, change in found.items()} == {"deadline": 1.0, "release": 1.0}
    assert found["deadline"].place.cost_eur == pytest.approx(JOB_KW * 0.55)
    assert found["release"].place.cost_eur == pytest.approx(JOB_KW * 0.6)
    assert "1 h later (04:00)" in found["deadline"].text


def test_a_window_that_others_fill() -> None:
    """Job b fills the only node until 03:00: an hour more of time or 16 more cores let a run, each at its cost."""
    jobs = (job("a", duration_h=1, deadline_h=3), job("b", duration_h=3, deadline_h=3))
    found = changes(*jobs, runs=(Run("b", "hall", 0, 3),))
    assert found["deadline"].amount == 1.0
    assert found["deadline"].place.slots == (3,)
    assert (found["capacity"].amount, found["capacity"].unit) == (16.0, "cores")
    assert found["capacity"].place.cost_eur == pytest.approx(JOB_KW * 0.1)
    assert found["capacity"].text == "16 more cores at hall"


def test_half_of_what_it_needs_is_free() -> None:
    """A job in pieces of 16 cores beside one of 8 cores lacks 8 cores, not 16."""
    jobs = (job("a", kind=JobKind.INTERRUPTIBLE, duration_h=1, deadline_h=2), job("b", duration_h=2, deadline_h=2, cores=8))
    found = changes(*jobs, runs=(Run("b", "hall", 0, 2),))
    assert found["capacity"].amount == 8.0


def test_a_job_that_is_not_worth_its_cost() -> None:
    """It fits, but its cheapest hour costs 2.4 ct and leaving it out 1 ct: only the price is in the way."""
    found = changes(job("a", duration_h=1, deadline_h=6, drop_eur=0.01))
    assert set(found) == {"price"}
    assert found["price"].amount == pytest.approx(JOB_KW * 0.05 - 0.01)


def test_nothing_helps_a_job_longer_than_the_day() -> None:
    """Seven hours do not fit into a horizon of six: no change is claimed."""
    assert changes(job("a", duration_h=7, deadline_h=6)) == {}
