"""Observing a running world, commanding another plan mid-way, and the proof of delivery of an event."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from grid.response.event import CapacityEvent
from scheduler.outcome import Outcome
from scheduler.plan import EnergySchedule, Plan, Run
from scheduler.scenario import Scenario
from scheduler.workload import JobKind
from sim.plan_check import check_plan
from sim.rehearsal import realise
from sim.world import SimulatedWorld
from sim.world.failures import Failure
from tests.factory import START, job, small_scenario
from tests.sim.hand import EXACT, exact, good_plan, good_transfers, hand_plan


def tail_of(plan: Plan, slot: int) -> Plan:
    """The rest of ``plan`` from ``slot`` on, as a plan of its own."""
    runs = tuple(replace(run, start=max(0, run.start - slot), end=run.end - slot) for run in plan.runs if run.end > slot)
    transfers = tuple(
        replace(item, start=max(0, item.start - slot), end=item.end - slot) for item in plan.transfers if item.end > slot
    )
    arrays = {name: getattr(plan.energy, name)[:, slot:].copy() for name in EnergySchedule.names()}
    return replace(
        plan, id="rest", horizon=plan.horizon.tail(slot), runs=runs, transfers=transfers, energy=EnergySchedule(**arrays)
    )


def carried_out(scenario: Scenario, plan: Plan, slot: int, seed: int, told_at: int) -> Outcome:
    """The plan, replaced by its own rest from ``slot`` on, which is commanded at ``told_at``."""
    world = SimulatedWorld(scenario, seed=seed, stressed=False)
    world.command(plan)
    world.advance(scenario.horizon.time(told_at))
    world.command(tail_of(plan, slot))
    return world.outcome()


@pytest.mark.parametrize("slot", [1, 9, 11, 12, 14, 20, 23])
def test_a_plan_replaced_by_its_own_rest_changes_nothing(slot: int) -> None:
    """Cutting the good plan anywhere and commanding the rest one slot ahead gives the same energies, jobs and totals."""
    scenario = exact(small_scenario())
    plan = good_plan(scenario)
    whole, cut = realise(scenario, plan, 7), carried_out(scenario, plan, slot, 7, slot - 1)
    assert cut.jobs == whole.jobs
    for name in whole.energy.names():
        assert np.allclose(getattr(cut.energy, name), getattr(whole.energy, name), atol=1e-9), name
    assert cut.totals.objective_eur == pytest.approx(whole.totals.objective_eur, rel=1e-9)


def test_what_is_foreseen_while_another_plan_waits_to_take_over() -> None:
    """A plan for 13:00 on is commanded at 11:00: charge, peak and data foreseen for 14:00 count what is done till 13:00 too."""
    scenario = exact(small_scenario())
    plan = good_plan(scenario)
    alone, both = (SimulatedWorld(scenario, seed=1, stressed=False) for _ in range(2))
    for world in (alone, both):
        world.command(plan)
        world.advance(scenario.horizon.time(11))
    both.command(tail_of(plan, 13))
    expected, seen = alone.observe(14), both.observe(14)
    assert expected.moved_tb["scans"] == pytest.approx(0.9)
    assert seen.soc_kwh == pytest.approx(expected.soc_kwh)
    assert seen.peak_kw == pytest.approx(expected.peak_kw)
    assert seen.moved_tb == pytest.approx(expected.moved_tb)
    assert seen.moved_to == expected.moved_to
    both.advance(scenario.horizon.time(14))
    assert both.observe(14).soc_kwh == pytest.approx(expected.soc_kwh)


def test_a_new_plan_moves_what_has_not_begun() -> None:
    """From its first slot on the new plan holds: a waiting job moves, a running rigid job goes on, a paused one resumes later."""
    scenario = replace(
        small_scenario(
            jobs=(job("rigid", duration_h=4), job("later", duration_h=1), job("soft", duration_h=4, kind=JobKind.INTERRUPTIBLE))
        ),
        errors=EXACT,
    )
    first = hand_plan(
        scenario,
        (
            Run("rigid", "hall", 4, 8, ("hall.rack-0",)),
            Run("later", "hall", 7, 8, ("hall.rack-1",)),
            Run("soft", "hall", 4, 8, ("hall.rack-2",)),
        ),
        good_transfers(),
    )
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.command(first)
    world.advance(START + timedelta(hours=5.5))
    seen = world.observe(6)
    assert {state.job: (state.remaining_slots, state.running) for state in seen.started} == {
        "rigid": (2, True),
        "soft": (2, True),
    }
    rest = hand_plan(
        scenario,
        (
            Run("rigid", "hall", 0, 2, ("hall.rack-0",)),
            Run("later", "hall", 10, 11, ("hall.rack-3",)),
            Run("soft", "hall", 8, 10, ("hall.rack-2",)),
        ),
        tuple(replace(item, start=item.start - 6, end=item.end - 6) for item in good_transfers()),
        horizon=scenario.horizon.tail(6),
        initial_soc_kwh=seen.soc_kwh,
        plan_id="second",
    )
    assert check_plan(scenario, rest, seen) == ()
    world.command(rest)
    outcome = world.outcome()
    ends = {item.job: item.finished for item in outcome.jobs}
    assert ends == {name: START + timedelta(hours=hours) for name, hours in (("rigid", 8), ("later", 17), ("soft", 16))}
    assert outcome.plan_id == "second"


def test_observation_of_the_present_and_of_the_future() -> None:
    """Finished jobs, moved data and charge are known now and foreseen by the plan for later; the past cannot be observed."""
    scenario = exact(small_scenario())
    plan = good_plan(scenario)
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.command(plan)
    world.advance(scenario.horizon.time(12))
    now, later = world.observe(12), world.observe(14)
    assert now.finished == {"nightly", "backup", "index", "render"}  # the last two end at this instant
    assert {state.job for state in now.started} == {"train"}
    assert later.finished == {"nightly", "backup", "index", "render", "transcode"}
    (train,) = later.started
    assert (train.job, train.remaining_slots, train.nodes) == ("train", 1, ("hall.rack-2",))
    assert now.moved_tb == {"scans": pytest.approx(0.45)}
    assert later.moved_tb == {"scans": pytest.approx(0.9)}
    assert later.moved_to == {"scans": "vault"}
    assert now.soc_kwh["cabinet"] == pytest.approx(5.0)
    assert later.soc_kwh["cabinet"] == pytest.approx(5.0 + 2 * 0.95)
    assert now.peak_kw["hall"] == pytest.approx(float(plan.energy.import_kw[1, :12].max()))
    with pytest.raises(ValueError, match="cannot be observed any more"):
        world.observe(11)


def test_time_does_not_run_backwards() -> None:
    """A world refuses to advance into its past, and a plan for jobs that it does not have."""
    scenario = exact(small_scenario())
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.advance(scenario.horizon.time(3))
    assert world.now() == scenario.horizon.time(3)
    with pytest.raises(ValueError, match="lies before"):
        world.advance(scenario.horizon.time(2))
    plan = good_plan(scenario)
    with pytest.raises(ValueError, match="unknown jobs: ghost"):
        world.command(replace(plan, runs=(*plan.runs, Run("ghost", "hall", 5, 6))))


def test_a_world_begins_from_an_observation() -> None:
    """A rehearsal of the rest begins with the started jobs on their nodes, the observed charge and the moved data."""
    scenario = exact(small_scenario())
    plan = good_plan(scenario)
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.command(plan)
    world.advance(scenario.horizon.time(9) + timedelta(minutes=30))
    seen = world.observe(11)
    rest = tail_of(plan, 11)
    assert check_plan(scenario, rest, seen) == ()
    outcome, whole = realise(scenario, rest, 1, observation=seen), realise(scenario, plan, 1)
    assert {item.job for item in outcome.jobs} == {"index", "render", "train", "transcode"}
    whole_ends = {item.job: item.finished for item in whole.jobs}
    assert all(item.finished == whole_ends[item.job] for item in outcome.jobs)
    assert np.allclose(outcome.energy.import_kwh, whole.energy.import_kwh[:, 11:], atol=1e-9)
    assert np.allclose(outcome.energy.soc_kwh, whole.energy.soc_kwh[:, 11:], atol=1e-9)
    assert outcome.violations == ()


def test_what_had_arrived_in_time_is_not_late_in_a_world_that_begins_later() -> None:
    """A dataset that had to be moved by hour 20 and was: a rehearsal of the hours from 21 on does not call it late."""
    scenario = exact(small_scenario())
    plan = good_plan(scenario)
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.command(plan)
    world.advance(scenario.horizon.time(20) + timedelta(minutes=30))
    outcome = realise(scenario, tail_of(plan, 21), 1, observation=world.observe(21))
    assert outcome.violations == ()


def test_delivery_against_the_plan_before_the_event() -> None:
    """A job kept clear of the event's hour delivers its power there: baseline minus actual, both net import."""
    event = CapacityEvent("peak-1", "hall", START + timedelta(hours=2), START + timedelta(hours=3), 0.7, 2.0, START)
    scenario = small_scenario(jobs=(job("work", duration_h=1),), errors=EXACT)
    with_event = replace(scenario, events=(event,))
    before = hand_plan(scenario, (Run("work", "hall", 2, 3, ("hall.rack-0",)),), good_transfers())
    after = hand_plan(scenario, (Run("work", "hall", 4, 5, ("hall.rack-0",)),), good_transfers())
    baseline = realise(scenario, before, 1)
    (kept,) = realise(with_event, after, 1, baseline=baseline).deliveries
    assert kept.baseline_kw == pytest.approx(0.1 + 1.2 * (0.4 + 0.4))  # overhead + pue x (idle + job)
    assert kept.actual_kw == pytest.approx(0.1 + 1.2 * 0.4)
    assert kept.delivered_kw == pytest.approx(1.2 * 0.4)
    assert kept.shortfall_kwh == 0
    assert kept.baseline_method == "plan without the event, same seed"
    broken = realise(with_event, before, 1, baseline=baseline)
    (item,) = broken.deliveries
    assert item.worst_kw == pytest.approx(1.06)
    assert item.shortfall_kwh == pytest.approx(0.36)
    assert broken.totals.breakdown_eur["event_penalty"] == pytest.approx(0.72)
    (unknown,) = realise(with_event, after, 1).deliveries
    assert unknown.baseline_kw is None
    assert unknown.delivered_kw is None
    assert "not stated" in unknown.baseline_method


def test_battery_helps_an_event_that_is_known() -> None:
    """From the moment an event is received the battery keeps net import at the limit, as long as its charge lasts."""
    start = START + timedelta(hours=2)
    event = CapacityEvent("peak-1", "cabinet", start, start + timedelta(hours=2), 0.0, 2.0, start + timedelta(minutes=30))
    scenario = small_scenario(jobs=(), events=(event,), errors=EXACT)
    plan = hand_plan(scenario, (), good_transfers())
    outcome = realise(scenario, plan, 1)
    idle_kw = scenario.site("cabinet").idle_kw
    (item,) = outcome.deliveries
    assert item.shortfall_kwh == pytest.approx(0.5 * idle_kw)  # only the half hour before it was known
    assert outcome.energy.discharge_kwh[0].sum() == pytest.approx(1.5 * idle_kw)


def test_a_job_that_will_find_its_node_taken_is_not_foreseen_to_begin() -> None:
    """An overrunning job keeps its node, so the next one on it counts as not begun and may be planned elsewhere."""
    errors = replace(EXACT, duration_low=2.0, duration_high=2.0)
    scenario = small_scenario(jobs=(job("long", duration_h=2), job("next", duration_h=1)), errors=errors)
    runs = (Run("long", "hall", 2, 4, ("hall.rack-0",)), Run("next", "hall", 4, 5, ("hall.rack-0",)))
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.command(hand_plan(scenario, runs, good_transfers()))
    world.advance(START + timedelta(hours=4.25))
    (state,) = world.observe(5).started
    assert (state.job, state.remaining_slots, state.running) == ("long", 1, True)


def test_a_job_that_lost_its_work_may_be_planned_anywhere() -> None:
    """While a job waits for a repair it counts as not begun, and a new plan takes it to another site."""
    others = tuple(job(f"other{i}", duration_h=15) for i in range(3))
    scenario = small_scenario(jobs=(job("work", duration_h=2, sites=("hall", "cabinet")), *others), errors=EXACT)
    busy = tuple(Run(f"other{i}", "hall", 3, 18, (f"hall.rack-{i + 1}",)) for i in range(3))
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.env.process(world._fail(Failure("hall.rack-0", 5 * 3600.0, 20 * 3600.0)))
    world.command(hand_plan(scenario, (*busy, Run("work", "hall", 4, 6, ("hall.rack-0",))), good_transfers()))
    world.advance(START + timedelta(hours=5.5))
    seen = world.observe(7)
    assert seen.failed_nodes == {"hall.rack-0"}
    assert {state.job for state in seen.started} == {"other0", "other1", "other2"}
    pinned = tuple(replace(run, start=0, end=11) for run in busy)
    rest = hand_plan(
        scenario,
        (*pinned, Run("work", "cabinet", 1, 3, ("cabinet.rack-0",))),
        tuple(replace(item, start=item.start - 7, end=item.end - 7) for item in good_transfers()),
        horizon=scenario.horizon.tail(7),
    )
    assert check_plan(scenario, rest, seen) == ()
    world.command(rest)
    work = next(item for item in world.outcome().jobs if item.job == "work")
    assert (work.site, work.finished, work.restarts) == ("cabinet", START + timedelta(hours=10), 1)


def test_a_job_that_lost_its_node_leaves_those_alone_that_the_next_plan_needs() -> None:
    """At 5:30 a node fails; the plan from 7:00 on needs the second free node, no more the first as before: the first is taken."""
    scenario = small_scenario(jobs=(job("broken", duration_h=4), job("next", duration_h=2)), datasets=(), errors=EXACT)
    broken = Run("broken", "hall", 4, 8, ("hall.rack-0",))
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.command(hand_plan(scenario, (broken, Run("next", "hall", 7, 9, ("hall.rack-1",)))))
    world.advance(START + timedelta(hours=5))
    world.command(
        hand_plan(
            scenario,
            (replace(broken, start=0, end=1), Run("next", "hall", 0, 2, ("hall.rack-2",))),
            horizon=scenario.horizon.tail(7),
            plan_id="second",
        )
    )
    world.env.process(world._fail(Failure("hall.rack-0", 5.5 * 3600.0, 20 * 3600.0)))
    world.advance(START + timedelta(hours=6))
    assert world.jobs["broken"].held == ("hall.rack-1",)
