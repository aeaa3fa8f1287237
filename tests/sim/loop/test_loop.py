"""The live controller in simulated time: shadow, pilot and live, gate closures, jobs that are known once submitted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from grid.forecasts.errors import ErrorModel
from grid.forecasts.fan import fan
from grid.quantile_series import QuantileSeries
from grid.response.event import CapacityEvent
from scheduler.outcome import Outcome
from scheduler.scenario import Scenario
from scheduler.workload import JobKind
from sim.loop import LoopResult, LoopSettings, Mode, run_loop
from sim.loop.figures import plan_figures
from sim.loop.known import Known
from sim.loop.revise import revised_power
from sim.loop.settings import Foresight
from sim.world import SimulatedWorld
from tests.factory import START, job, small_scenario

HOUR = timedelta(hours=1)
EVERY = timedelta(hours=6)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """A small day whose jobs are submitted when they are released."""
    return small_scenario()


@pytest.fixture(scope="module")
def today(scenario: Scenario) -> LoopResult:
    """The baseline in closed loop."""
    return run_loop(scenario, LoopSettings(replan=EVERY, policy="fifo"))


@pytest.fixture(scope="module")
def live(scenario: Scenario) -> LoopResult:
    """The optimiser in closed loop."""
    return run_loop(scenario, LoopSettings(replan=EVERY))


def same_energy(one: Outcome, other: Outcome) -> bool:
    """Every metered energy is equal to the last digit."""
    return all(np.array_equal(getattr(one.energy, name), getattr(other.energy, name)) for name in one.energy.names())


def test_live_does_all_work_for_less_than_the_baseline(live: LoopResult, today: LoopResult, scenario: Scenario) -> None:
    """Four plans, all passed and commanded; every job done in time; the realised objective is below that of running at once."""
    assert [step.moment for step in live.steps] == [START + k * EVERY for k in range(4)]
    assert all(step.passed and step.commanded and step.gap is not None for step in live.steps)
    for result in (live, today):
        assert len(result.outcome.jobs) == len(scenario.jobs)
        assert result.outcome.violations == ()
    assert live.outcome.totals.objective_eur < today.outcome.totals.objective_eur
    assert live.mean_delay_h > today.mean_delay_h > 0.0


def test_a_shadow_changes_nothing(scenario: Scenario, today: LoopResult) -> None:
    """The world of a shadow is that of the baseline to the last digit; its plans are scored beside it and command nothing."""
    shadow = run_loop(scenario, LoopSettings(replan=EVERY, mode=Mode.SHADOW))
    assert same_energy(shadow.outcome, today.outcome)
    assert not any(step.commanded for step in shadow.steps)
    figures = plan_figures(shadow.steps)
    assert figures["commanded"] == 0
    assert figures["scored"] == len(shadow.steps)
    assert figures["score_difference_eur"] < 0.0  # the plans would have done better


def test_a_pilot_leaves_the_other_sites_to_the_baseline(scenario: Scenario, today: LoopResult, live: LoopResult) -> None:
    """Outside the pilot every job starts and ends as under the baseline, batteries too; at the pilot's site jobs wait."""
    pilot = run_loop(scenario, LoopSettings(replan=EVERY, mode=Mode.PILOT, pilot=("hall",)))
    assert all(step.commanded for step in pilot.steps)
    before = {item.job: item for item in today.outcome.jobs}
    moved = 0
    for item in pilot.outcome.jobs:
        if before[item.job].site == "hall":
            assert item.site == "hall"
            moved += item.started != before[item.job].started
        else:
            assert (item.site, item.started, item.finished) == (
                before[item.job].site,
                before[item.job].started,
                before[item.job].finished,
            )
    assert moved > 0
    cabinet = scenario.sites.index(scenario.site("cabinet"))
    assert np.allclose(pilot.outcome.energy.soc_kwh[cabinet], today.outcome.energy.soc_kwh[cabinet])
    objectives = [result.outcome.totals.objective_eur for result in (live, pilot, today)]
    assert objectives == sorted(objectives)


def test_a_job_is_unknown_before_it_is_submitted(scenario: Scenario) -> None:
    """At the start four jobs are released; one of 06:00 and one of 08:00 are known later; with ``submitted_only`` off all are."""
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    known = Known(scenario, world, LoopSettings())
    assert {item.name for item in known.at(START, 0).jobs} == {"index", "render", "train", "nightly"}
    assert {item.name for item in known.at(START + 7 * HOUR, 8).jobs} >= {"backup"}
    everything = Known(scenario, world, LoopSettings(submitted_only=False))
    assert len(everything.at(START, 0).jobs) == len(scenario.jobs)


def test_what_comes_after_an_unknown_job_waits_for_it() -> None:
    """A job that comes after one which is not submitted yet is not planned; once that is known, both are."""
    jobs = (job("first", release_h=5), job("second"), job("free"))
    scenario = small_scenario(jobs=(jobs[0], replace(jobs[1], after=("first",)), jobs[2]), datasets=())
    known = Known(scenario, SimulatedWorld(scenario, seed=1, stressed=False), LoopSettings())
    assert [item.name for item in known.at(START, 0).jobs] == ["free"]
    assert {item.name for item in known.at(START + 5 * HOUR, 6).jobs} == {"first", "second", "free"}


def test_the_gate_decides_what_stays() -> None:
    """With a gate of six hours a job planned for hour 3 is committed when a second plan is made at hour 1."""
    scenario = small_scenario()
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    assert Known(scenario, world, LoopSettings()).first_slot(START + HOUR) == 2
    assert Known(scenario, world, LoopSettings(gate=6 * HOUR)).first_slot(START + HOUR) == 7
    result = run_loop(scenario, LoopSettings(replan=3 * HOUR, gate=6 * HOUR, policy="fifo"))
    assert [step.slot for step in result.steps] == [0, 9, 12, 15, 18, 21]


def test_a_job_past_its_deadline_is_done_late_and_told() -> None:
    """Two nodes' worth of jobs that all want the same hour: one is late, is still done, and its own deadline judges it."""
    jobs = tuple(job(f"job{k}", release_h=1, deadline_h=5, duration_h=3, nodes=4) for k in range(2))
    scenario = small_scenario(jobs=jobs, datasets=())
    result = run_loop(scenario, LoopSettings(replan=HOUR, rehearse=False))
    done = {item.job: item for item in result.outcome.jobs}
    assert all(item.finished is not None for item in done.values())
    assert sorted(item.missed for item in done.values()) == [False, True]
    assert result.outcome.totals.deadline_misses == 1


def test_a_job_longer_than_the_window_runs_whole() -> None:
    """A plan of six hours knows ten hours of work as far as it reaches; plan after plan goes on with it, until it is done."""
    jobs = (job("long", duration_h=10, deadline_h=20), job("pausing", duration_h=3, kind=JobKind.INTERRUPTIBLE))
    scenario = small_scenario(jobs=jobs, datasets=())
    result = run_loop(scenario, LoopSettings(replan=2 * HOUR, window=6 * HOUR))
    assert all(step.passed for step in result.steps), [step.broken for step in result.steps]
    assert result.outcome.violations == ()
    long = next(item for item in result.outcome.jobs if item.job == "long")
    assert long.finished is not None
    assert long.pieces == 1


def test_an_event_makes_a_plan_at_once() -> None:
    """An event that is told at 09:30 is planned for then, between two regular plans, and not known before."""
    event = CapacityEvent("peak", "hall", START + 14 * HOUR, START + 16 * HOUR, 0.7, 2.0, START + 9.5 * HOUR)
    scenario = small_scenario(events=(event,))
    result = run_loop(scenario, LoopSettings(replan=EVERY))
    assert START + 9.5 * HOUR in [step.moment for step in result.steps]
    assert result.outcome.deliveries[0].shortfall_kwh < 0.05


def test_a_refused_plan_leaves_the_last_one_in_force() -> None:
    """A vault whose connection is too small for what always runs there: every plan is refused, and nothing is ever commanded."""
    scenario = small_scenario()
    vault = scenario.site("vault")
    thin = replace(vault, connection=replace(vault.connection, import_limit_kw=vault.connection.import_limit_kw.scaled(0.004)))
    scenario = replace(scenario, sites=tuple(thin if site is vault else site for site in scenario.sites))
    result = run_loop(scenario, LoopSettings(replan=12 * HOUR))
    assert [step.passed or step.commanded for step in result.steps] == [False, False]
    assert all("vault" in step.broken[0] for step in result.steps)
    assert all(item.started is None for item in result.outcome.jobs)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (LoopSettings(mode=Mode.PILOT), "names its sites"),
        (LoopSettings(pilot=("hall",)), "names its sites"),
        (LoopSettings(mode=Mode.PILOT, pilot=("moon",)), "moon"),
        (LoopSettings(replan=timedelta(seconds=5)), "minute"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: LoopSettings, words: str) -> None:
    """A pilot without sites, sites without a pilot, an unknown site, an interval of seconds: refused in words."""
    with pytest.raises(ValueError, match=words):
        run_loop(small_scenario(), settings)


def test_the_same_loop_twice_is_the_same(scenario: Scenario, live: LoopResult) -> None:
    """One seed decides everything: energies and jobs of a second run are those of the first."""
    again = run_loop(scenario, LoopSettings(replan=EVERY))
    assert same_energy(again.outcome, live.outcome)
    assert again.outcome.jobs == live.outcome.jobs
    assert Foresight.KNOWN is again.settings.foresight


def test_a_loop_under_fitted_errors(scenario: Scenario) -> None:
    """Sun that errs as fitted, for half a day: revised forecasts are planned, rehearsed, commanded, and nearer the truth."""
    skewed = ErrorModel(1.0, np.array([0.3]), (np.array([-0.2, 0.0, 0.05]), np.array([-0.6, -0.1, 0.1])), 0.92, 1.0)
    sites = tuple(
        site if site.solar_kw is None else replace(site, solar_kw=fan(skewed, site.solar_kw, 10.0, dark=True))
        for site in scenario.sites
    )
    sunny = replace(scenario, sites=sites, jobs=scenario.jobs[1:2], datasets=(), seed=4)
    found = run_loop(sunny, LoopSettings(replan=timedelta(hours=12)))
    assert all(step.passed and step.commanded for step in found.steps)
    assert len(found.steps) == 2
    assert found.outcome.violations == ()
    hall = sunny.site("hall")
    assert isinstance(hall.solar_kw, QuantileSeries)
    truth = SimulatedWorld(sunny, seed=4, stressed=False).truth.solar_kw["hall"]
    noon = int(np.argmax(hall.solar_kw.values))
    told = revised_power(hall.solar_kw, truth, hall.solar_kw.edges_s[noon], 3.0).values[noon]
    assert abs(told - truth.values[noon]) < abs(hall.solar_kw.values[noon] - truth.values[noon])
