"""Failures of stressed worlds: they hit nodes while the plan works on them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.chance import stream
from scheduler.scenario import ErrorModel
from sim.rehearsal import realise, rehearse
from sim.world.failures import draw_failures
from tests.factory import small_scenario
from tests.sim.hand import good_plan, hand_plan

NODES = tuple(node for site in small_scenario().sites for node in site.node_names())
TRUE_S = {job.name: 0.8 * job.duration.total_seconds() for job in small_scenario().jobs}


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_a_failure_hits_a_job_at_work(seed: int, count: int) -> None:
    """Each failing node is one that the plan works on, inside a piece and inside the true run time; all are different."""
    plan = good_plan(small_scenario())
    failures = draw_failures(stream(seed, "failures"), plan, TRUE_S, NODES, count, 5400.0)
    assert len({failure.node for failure in failures}) == count
    for failure in failures:
        assert failure.end_s - failure.start_s == pytest.approx(5400.0)
        assert any(
            failure.node in run.nodes and run.start * 3600 < failure.start_s < min(run.end, run.start + 0.8 * 5) * 3600
            for run in plan.runs
        )


def test_idle_nodes_fail_only_when_no_working_ones_are_left() -> None:
    """More failures than nodes at work: the rest is drawn among the idle; never more than there are nodes."""
    plan = hand_plan(small_scenario())
    assert len(draw_failures(stream(5, "failures"), plan, TRUE_S, NODES, 3, 3600.0)) == 3
    everything = draw_failures(stream(5, "failures"), good_plan(small_scenario()), TRUE_S, NODES, 99, 3600.0)
    assert {failure.node for failure in everything} == set(NODES)


def test_only_stressed_worlds_fail_and_they_do_restart_jobs() -> None:
    """Every stressed run restarts a job, and the verdict counts it; the nominal run has no failure."""
    scenario = small_scenario(errors=ErrorModel(node_failures=1))
    rehearsal = rehearse(scenario, good_plan(scenario))
    assert rehearsal.nominal is not None
    assert not any("failed" in text for _, text in rehearsal.nominal.log)
    for run in rehearsal.stressed:
        assert sum(job.restarts for job in run.jobs) >= 1
    assert rehearsal.verdict.worst["job_restarts"] >= 1


def test_stressed_runs_meet_other_weather_and_run_times() -> None:
    """The seeds of the stressed runs draw another sun, other run times and other failures than each other and the nominal."""
    scenario = small_scenario()
    plan = good_plan(scenario)
    runs = [realise(replace(scenario), plan, seed, stressed=seed != 7) for seed in (7, 8, 9)]
    assert len({float(run.energy.renewable_kwh.sum()) for run in runs}) == 3
    assert len({next(job.finished for job in run.jobs if job.job == "nightly") for run in runs}) == 3
    failed = [tuple(text for text in run.log if text[1].endswith(" failed")) for run in runs]
    assert failed[0] == ()
    assert failed[1] != failed[2]
