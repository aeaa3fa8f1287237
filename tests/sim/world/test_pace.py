"""Malleable jobs in the simulated world: work, power and ends at a pace below full speed, computed by hand."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from scheduler.plan import Plan, Run
from scheduler.workload import JobKind
from sim.rehearsal import realise
from sim.world import SimulatedWorld
from sim.world.failures import Failure, work_of
from tests.factory import job
from tests.sim.hand import good_transfers, hand_plan
from tests.sim.world.test_simulated import at, failing, hall_only, long_factor, result

SLOW = Run("soft", "hall", 5, 7, ("hall.rack-0",), 0.5, 0.4, 0.8)
"""Two hours at half the speed for two fifths of the power."""

FULL_KW = 0.4
"""IT power of 16 cores of the test nodes above idle."""


def plan_of(*runs: Run, factor: float = 1.0, others: tuple[str, ...] = ()) -> tuple[SimulatedWorld, Plan]:
    """A world with one malleable job of two hours, and rigid ones of one hour, and a plan of these runs."""
    jobs = (job("soft", duration_h=2, kind=JobKind.MALLEABLE), *(job(name, duration_h=1) for name in others))
    scenario = hall_only(*jobs, errors=long_factor(factor))
    return SimulatedWorld(scenario, seed=1, stressed=False), hand_plan(scenario, runs, good_transfers())


def test_work_and_power_follow_the_pace() -> None:
    """One hour at full speed and two at half: it ends with the last piece and draws what the plan says in each hour."""
    world, plan = plan_of(Run("soft", "hall", 4, 5, ("hall.rack-0",)), SLOW)
    outcome = realise(world.scenario, plan, 1)
    done = result(outcome, "soft")
    assert (done.started, done.finished, done.restarts) == (at(4), at(7), 0)
    assert done.energy_kwh == pytest.approx(FULL_KW * (1 + 2 * 0.4))
    assert np.allclose(outcome.energy.it_kwh[1, 4:8], [FULL_KW, 0.4 * FULL_KW, 0.4 * FULL_KW, 0.0])
    assert np.allclose(outcome.energy.it_kwh, plan.energy.it_kw, atol=1e-9)


def test_what_is_left_is_done_at_full_speed() -> None:
    """Work that the plan did not foresee is done after the last piece, at full speed, not at the piece's pace."""
    world, plan = plan_of(SLOW, factor=1.25)
    outcome = realise(world.scenario, plan, 1)
    done = result(outcome, "soft")
    assert (done.started, done.finished) == (at(5), at(8.5))  # 2.5 h of work: 1 h until 7, 1.5 h from then on
    assert done.energy_kwh == pytest.approx(FULL_KW * (2 * 0.4 + 1.5))


def test_a_pause_between_paces() -> None:
    """In a gap of the plan it rests and its node is free: another job runs there meanwhile."""
    late = Run("soft", "hall", 9, 11, ("hall.rack-0",), 0.5, 0.4, 0.8)
    world, plan = plan_of(SLOW, Run("other", "hall", 7, 8, ("hall.rack-0",)), late, others=("other",))
    outcome = realise(world.scenario, plan, 1)
    assert result(outcome, "soft").finished == at(11)
    assert (result(outcome, "other").started, result(outcome, "other").finished) == (at(7), at(8))
    assert np.allclose(outcome.energy.it_kwh[1, 5:9], [0.4 * FULL_KW, 0.4 * FULL_KW, FULL_KW, 0.0])


def test_nodes_are_held_whole_at_any_pace() -> None:
    """A job that works at half speed and changes its pace keeps the node: the next one waits until it has ended."""
    faster = Run("soft", "hall", 7, 8, ("hall.rack-0",))
    world, plan = plan_of(SLOW, faster, Run("other", "hall", 6, 7, ("hall.rack-0",)), others=("other",))
    outcome = realise(world.scenario, plan, 1)
    assert (result(outcome, "soft").started, result(outcome, "soft").finished) == (at(5), at(8))
    assert result(outcome, "other").started == at(8)


def test_after_a_failure_it_goes_on_at_full_speed() -> None:
    """A failure takes the work that was done; all of it is done again in one go, at full speed."""
    world, plan = plan_of(SLOW, Run("soft", "hall", 7, 8, ("hall.rack-0",)))
    failing(world, Failure("hall.rack-0", 6 * 3600.0, 20 * 3600.0))
    world.command(plan)
    done = result(world.outcome(), "soft")
    assert (done.restarts, done.finished) == (1, at(8))
    assert done.energy_kwh == pytest.approx(FULL_KW * (0.4 + 2.0))


@pytest.mark.parametrize(("slot", "remaining"), [(5, 1), (6, 1), (4, None), (7, 0)])
def test_work_left_is_foreseen_at_the_planned_pace(slot: int, remaining: int | None) -> None:
    """Foreseen from the start of the day and observed at that hour: the same slots at full speed are left."""
    world, plan = plan_of(Run("soft", "hall", 4, 5, ("hall.rack-0",)), SLOW)
    world.command(plan)
    foreseen = world.observe(slot)
    world.advance(world.horizon.start + timedelta(hours=slot))
    for seen in (foreseen, world.observe(slot)):
        assert ("soft" in seen.finished) is (remaining == 0)
        assert [state.remaining_slots for state in seen.started] == ([remaining] if remaining else [])


def test_failures_are_drawn_while_it_really_works() -> None:
    """At half speed a node works twice as long on the same work; what is done before the end of a piece is not counted."""
    _, plan = plan_of(Run("soft", "hall", 4, 5, ("hall.rack-0",)), SLOW)
    assert [(work.start_s / 3600, work.length_s / 3600) for work in work_of(plan, {"soft": 7200.0})] == [(4, 1), (5, 2)]
    assert [work.length_s / 3600 for work in work_of(plan, {"soft": 4500.0})] == [1, 0.5]
