"""Jobs, nodes, failures, delays and data in the simulated world, computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from grid.series import Series
from scheduler.document import load_scenario
from scheduler.outcome import JobOutcome, Outcome, ViolationKind
from scheduler.plan import Run, Transfer
from scheduler.scenario import ErrorModel, Scenario
from scheduler.workload import Job, JobKind
from sim.rehearsal import realise
from sim.world import SimulatedWorld
from sim.world.failures import Failure
from tests.factory import START, job, small_scenario
from tests.sim.hand import EXACT, exact, good_plan, good_transfers, hand_plan

CONFIGS = Path(__file__).parents[3] / "configs"


def at(hours: float) -> datetime:
    """Hours after the start of the test day."""
    return START + timedelta(hours=hours)


def result(outcome: Outcome, name: str) -> JobOutcome:
    """What became of one job."""
    return next(item for item in outcome.jobs if item.job == name)


def hall_only(*jobs: Job, errors: ErrorModel = EXACT) -> Scenario:
    """The small scenario with other jobs."""
    return small_scenario(jobs=jobs, errors=errors)


def failing(world: SimulatedWorld, *failures: Failure) -> SimulatedWorld:
    """The world, with these failures on top of its own."""
    for failure in failures:
        world.env.process(world._fail(failure))
    return world


def long_factor(factor: float) -> ErrorModel:
    """Every job takes ``factor`` times what was asked."""
    return replace(EXACT, duration_low=factor, duration_high=factor)


def test_without_errors_the_outcome_is_the_plan() -> None:
    """With no error at all the metered energy is the planned energy in every slot, and every job ends when planned."""
    scenario = exact(small_scenario())
    plan = good_plan(scenario)
    outcome = realise(scenario, plan, 7)
    for name in ("import", "export", "renewable_used", "charge", "discharge", "load", "it"):
        metered, planned = getattr(outcome.energy, f"{name}_kwh"), getattr(plan.energy, f"{name}_kw")
        assert np.allclose(metered, planned * scenario.horizon.step_h, atol=1e-9), name
    assert np.allclose(outcome.energy.soc_kwh, plan.energy.soc_kwh, atol=1e-9)
    assert {item.job: item.finished for item in outcome.jobs} == {run.job: scenario.horizon.time(run.end) for run in plan.runs}
    assert outcome.violations == ()


@pytest.mark.parametrize(
    ("factor", "ended_h", "energy_kwh"),
    [
        (0.5, 9.5, 2.4 * 0.5),  # two nodes x 16 cores x 25 W x 1.5 h
        (1.0, 11.0, 2.4),  # as asked
        (1.5, 12.5, 2.4 * 1.5),  # the node is free, so it goes on
    ],
)
def test_true_run_time(factor: float, ended_h: float, energy_kwh: float) -> None:
    """A rigid job runs for its true time from its planned start; its energy is power times that time."""
    scenario = hall_only(job("render", duration_h=3, nodes=2), errors=long_factor(factor))
    plan = hand_plan(scenario, (Run("render", "hall", 8, 11, ("hall.rack-0", "hall.rack-1")),), good_transfers())
    done = result(realise(scenario, plan, 1), "render")
    assert (done.started, done.finished) == (at(8), at(ended_h))
    assert done.energy_kwh == pytest.approx(energy_kwh)


def test_pieces_pause_and_the_last_one_goes_on() -> None:
    """An interruptible job pauses between its pieces; what a piece of true work is left is done after the last piece."""
    scenario = hall_only(job("train", duration_h=4, kind=JobKind.INTERRUPTIBLE), errors=long_factor(1.25))
    pieces = (Run("train", "hall", 2, 4, ("hall.rack-0",)), Run("train", "hall", 10, 12, ("hall.rack-1",)))
    outcome = realise(scenario, hand_plan(scenario, pieces, good_transfers()), 1)
    done = result(outcome, "train")
    assert (done.started, done.finished) == (at(2), at(13))  # 5 h of work: 2 to 4, 10 to 13
    it_kwh = outcome.energy.it_kwh[1] - np.where(np.isin(np.arange(24), [11, 12]), 0.2, 0.0)  # the transfer draws 0.2 kW
    assert np.allclose(it_kwh[[2, 3, 10, 11, 12]], 0.4)
    assert it_kwh.sum() == pytest.approx(2.0)


def test_a_busy_node_makes_the_next_job_wait() -> None:
    """A job that overruns keeps its node; the next one on it starts when it ends."""
    jobs = (job("first", duration_h=2), job("second", duration_h=1))
    scenario = hall_only(*jobs, errors=long_factor(1.25))
    runs = (Run("first", "hall", 4, 6, ("hall.rack-0",)), Run("second", "hall", 6, 7, ("hall.rack-0",)))
    outcome = realise(scenario, hand_plan(scenario, runs, good_transfers()), 1)
    assert result(outcome, "first").finished == at(6.5)
    assert (result(outcome, "second").started, result(outcome, "second").finished) == (at(6.5), at(7.75))


def test_runs_without_nodes_take_what_is_free() -> None:
    """Four gangs of two on four nodes, none with names: two run at once, the others after them."""
    jobs = tuple(job(f"gang{i}", duration_h=2, nodes=2) for i in range(4))
    scenario = hall_only(*jobs)
    runs = tuple(Run(f"gang{i}", "hall", 3, 5) for i in range(4))
    outcome = realise(scenario, hand_plan(scenario, runs, good_transfers()), 1)
    assert sorted(item.started for item in outcome.jobs if item.started) == [at(3), at(3), at(5), at(5)]


def test_commands_arrive_late_and_the_delay_is_the_stream_of_the_job() -> None:
    """A start is delayed by the first draw of the job's own stream, whatever else is commanded."""
    errors = replace(EXACT, command_delay_s=30.0)
    jobs = (job("a", duration_h=1), job("b", duration_h=1))
    both = hall_only(*jobs, errors=errors)
    runs = (Run("a", "hall", 4, 5, ("hall.rack-0",)), Run("b", "hall", 4, 5, ("hall.rack-1",)))
    together = realise(both, hand_plan(both, runs, good_transfers()), 5)
    alone = realise(both, hand_plan(both, runs[1:], good_transfers()), 5)
    started = result(together, "b").started
    assert started is not None
    assert started > at(4)
    assert result(alone, "b").started == started
    assert result(together, "a").started != started


def test_late_by_a_command_delay_is_a_missed_deadline() -> None:
    """A job planned up to its deadline with no time to spare misses it when its command is late by more than a second."""
    scenario = hall_only(job("tight", duration_h=1, deadline_h=5), errors=replace(EXACT, command_delay_s=600.0))
    plan = hand_plan(scenario, (Run("tight", "hall", 4, 5, ("hall.rack-0",)),), good_transfers())
    outcome = realise(scenario, plan, 1)
    assert result(outcome, "tight").missed
    assert [(item.kind, item.subject) for item in outcome.violations] == [(ViolationKind.DEADLINE, "tight")]
    assert outcome.totals.deadline_misses == 1


def test_a_job_that_never_ends_is_missed() -> None:
    """A job that needs longer than the world waits has no end, and its drop price is paid."""
    scenario = hall_only(job("endless", duration_h=2), errors=long_factor(30.0))
    plan = hand_plan(scenario, (Run("endless", "hall", 4, 6, ("hall.rack-0",)),), good_transfers())
    outcome = realise(scenario, plan, 1)
    assert result(outcome, "endless").finished is None
    assert outcome.totals.deadline_misses == 1
    assert outcome.totals.breakdown_eur["dropped"] == 10.0


def test_node_failure_restarts_on_a_free_node() -> None:
    """A job whose node fails after one of its two hours begins again at once on a free node: three hours of energy."""
    scenario = hall_only(job("work", duration_h=2, deadline_h=12))
    world = SimulatedWorld(scenario, seed=1, stressed=True)
    failing(world, Failure("hall.rack-0", 5 * 3600.0, 7 * 3600.0))
    world.command(hand_plan(scenario, (Run("work", "hall", 4, 6, ("hall.rack-0",)),), good_transfers()))
    outcome = world.outcome()
    done = result(outcome, "work")
    assert (done.started, done.finished, done.restarts, done.missed) == (at(4), at(7), 1, False)
    assert done.energy_kwh == pytest.approx(3 * 0.4)
    assert outcome.energy.load_kwh[1, 5] == pytest.approx(0.1 + 1.2 * (3 * 0.1 + 0.4))  # a failed node does not idle
    texts = [text for _, text in outcome.log]
    assert "hall.rack-0 failed" in texts
    assert "work goes to hall.rack-1 because hall.rack-0 is out of order" in texts


def test_node_failure_waits_for_repair_when_nothing_is_free() -> None:
    """With every other node planned for others the job waits for the repair, and a miss is named as the failure's."""
    others = tuple(job(f"other{i}", duration_h=9, deadline_h=24) for i in range(3))
    scenario = hall_only(job("work", duration_h=2, deadline_h=8), *others)
    world = SimulatedWorld(scenario, seed=1, stressed=True)
    failing(world, Failure("hall.rack-0", 5 * 3600.0, 7 * 3600.0))
    busy = tuple(Run(f"other{i}", "hall", 3, 12, (f"hall.rack-{i + 1}",)) for i in range(3))
    world.command(hand_plan(scenario, (*busy, Run("work", "hall", 4, 6, ("hall.rack-0",))), good_transfers()))
    outcome = world.outcome()
    done = result(outcome, "work")
    assert (done.finished, done.restarts, done.missed) == (at(9), 1, True)
    (late,) = outcome.violations
    assert late.kind is ViolationKind.DEADLINE
    assert "injected failure of hall.rack-0" in late.advice


def test_a_job_whose_node_is_broken_at_its_start_goes_elsewhere() -> None:
    """A planned node that is out of order is replaced by a free one that no other run needs."""
    scenario = hall_only(job("work", duration_h=2), job("other", duration_h=2))
    world = SimulatedWorld(scenario, seed=1, stressed=True)
    failing(world, Failure("hall.rack-0", 3600.0, 20 * 3600.0))
    runs = (Run("work", "hall", 4, 6, ("hall.rack-0",)), Run("other", "hall", 5, 7, ("hall.rack-1",)))
    world.command(hand_plan(scenario, runs, good_transfers()))
    outcome = world.outcome()
    assert result(outcome, "work").started == at(4)
    assert result(outcome, "other").started == at(5)
    assert any("work goes to hall.rack-2" in text for _, text in outcome.log)


def test_job_waits_for_its_data() -> None:
    """A job whose staged input arrives after its planned start begins when the replica is complete."""
    scenario = hall_only(job("reader", duration_h=1, inputs=("photos",)))
    photos = replace(scenario.datasets[0], allowed_sites=("cabinet", "hall"), stageable=True, size_tb=0.9)
    scenario = replace(scenario, datasets=(photos, scenario.datasets[1]))
    copy = Transfer("photos@hall", "photos", "cabinet", "hall", 3, 5, 1000.0)
    plan = hand_plan(scenario, (Run("reader", "hall", 4, 5, ("hall.rack-0",)),), (copy, *good_transfers()))
    outcome = realise(scenario, plan, 1)
    assert result(outcome, "reader").started == at(5)
    assert outcome.energy.it_kwh[0, 3:5].tolist() == pytest.approx([0.2, 0.2])  # the sending end


def test_import_above_the_limit_is_named() -> None:
    """The meter records what is drawn; a 15-minute mean above the limit is an import_limit violation with its size."""
    scenario = hall_only(job("hot", duration_h=2, nodes=4))
    hall = scenario.site("hall")
    tight = replace(hall, connection=replace(hall.connection, import_limit_kw=Series.constant(2.0, scenario.horizon, "kW")))
    scenario = replace(scenario, sites=(scenario.sites[0], tight, scenario.sites[2]))
    runs = (Run("hot", "hall", 0, 2, tuple(f"hall.rack-{i}" for i in range(4))),)
    outcome = realise(scenario, hand_plan(scenario, runs, good_transfers()), 1)
    (violation,) = outcome.violations
    assert violation.kind is ViolationKind.IMPORT_LIMIT
    assert violation.value == pytest.approx(0.1 + 1.2 * 4 * 0.5)  # overhead + pue x four nodes at their peak
    assert violation.limit == 2.0


def test_a_site_without_grid_leaves_load_unserved() -> None:
    """Where the import limit is zero throughout, what sun and battery cannot give is unserved, not imported."""
    scenario = hall_only()
    hall = scenario.site("hall")
    island = replace(hall, connection=replace(hall.connection, import_limit_kw=Series.constant(0.0, scenario.horizon, "kW")))
    scenario = replace(scenario, sites=(scenario.sites[0], island, scenario.sites[2]))
    outcome = realise(scenario, hand_plan(scenario, (), good_transfers()), 1)
    assert outcome.energy.import_kwh[1].sum() == 0
    assert outcome.energy.unserved_kwh[1, 0] == pytest.approx(hall.idle_kw)  # at midnight
    assert ViolationKind.UNSERVED in {violation.kind for violation in outcome.violations}


def test_a_meter_says_nothing_of_what_comes_after_the_horizon() -> None:
    """At the last instant there is no demand for heat to ask for any more: no import, no limit, and no error."""
    scenario = load_scenario(CONFIGS / "science_park_heat.yaml")
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.advance(scenario.horizon.end - timedelta(minutes=1))
    net_kw, limit_kw = world.reading("science-park")
    assert net_kw > 0.0
    assert limit_kw == pytest.approx(3500.0, rel=0.2)
    world.advance(scenario.horizon.end)
    assert world.reading("science-park") == (0.0, math.inf)
