"""Margins by quantile: closed forms, their order, and that the simulated truth keeps them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.series import Series
from scheduler.build import build_problem
from scheduler.plan import Plan
from scheduler.policies.registry import POLICIES
from scheduler.quantiles import duration_factor, fixed_kw, planned_slots, quantile_power, renewable_kw
from scheduler.scenario import ErrorModel, PlanningSettings, Scenario
from scheduler.workload import Job, JobKind, PowerCap
from sim.plan_check import check_plan
from sim.world.truth import Truth
from tests.factory import job, small_scenario

LEVELS = st.floats(0.001, 0.999)
SIGMAS = st.floats(0.0, 3.0)


def planned(planning: PlanningSettings, errors: ErrorModel, *jobs: Job) -> tuple[Scenario, Plan]:
    """The small scenario with these settings and jobs, and the plan of a rule for it."""
    scenario = small_scenario(planning=planning, errors=errors, jobs=jobs)
    return scenario, POLICIES["fifo"]().plan(build_problem(scenario))


@given(SIGMAS, SIGMAS, LEVELS, LEVELS)
def test_a_higher_level_never_counts_on_less_sun(solar: float, wind: float, one: float, other: float) -> None:
    """Sun and wind rise with the level, lie between 0 and the truth's ceiling, and are the forecast at one half."""
    low, high = sorted((one, other))
    scenario = small_scenario(errors=ErrorModel(solar_sigma=solar, wind_sigma=wind))
    hall = replace(scenario.sites[1], wind_kw=Series.on(scenario.horizon, np.linspace(0.0, 4.0, 24), "kW"))

    def at(level: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return renewable_kw(replace(scenario, planning=PlanningSettings(renewable_quantile=level)), hall, scenario.horizon)

    assert hall.solar_kw is not None
    assert (at(low) <= at(high) + 1e-12).all()
    assert at(low).min() >= 0
    assert at(0.5) == pytest.approx(hall.solar_kw.values + np.linspace(0.0, 4.0, 24))


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.3, 1.5), st.floats(0.0, 1.0), st.integers(1, 400))
def test_a_higher_level_never_plans_shorter_jobs(one: float, other: float, low: float, width: float, minutes: int) -> None:
    """Planned slots rise with the level, and a quantile beyond the time asked for never leaves the window."""
    errors = ErrorModel(duration_low=low, duration_high=low + width)
    asked = job("j", duration_h=minutes / 60, deadline_h=8.0)
    lengths = []
    for level in sorted((one, other)):
        scenario = small_scenario(planning=PlanningSettings(duration_quantile=level), errors=errors, jobs=(asked,))
        lengths.append(planned_slots(scenario, asked))
    assert lengths[0] <= lengths[1] <= 8


def test_closed_forms_by_hand() -> None:
    """The normal quantile of 0.841345 is 1; the uniform one of a half is the middle; the margin multiplies what comes out."""
    scenario = small_scenario()
    forecast = Series.on(scenario.horizon, np.array([10.0, 1.0, *[5.0] * 22]), "kW")
    up = quantile_power(forecast, scenario.horizon, 0.2, 0.8413447460685429)
    assert up.values[:3] == pytest.approx([11.0, 1.2, 6.0])  # the first would be 12 and meets the ceiling of 1.1 times 10
    down = quantile_power(forecast, scenario.horizon, 0.2, 1 - 0.8413447460685429)
    assert down.values[:3] == pytest.approx([8.0, 0.8, 4.0])
    half = replace(scenario, planning=PlanningSettings(duration_quantile=0.5, duration_margin=0.1))
    assert duration_factor(half) == pytest.approx(0.85 * 1.1)
    asked = replace(scenario, planning=PlanningSettings(duration_quantile=None, duration_margin=0.1))
    assert duration_factor(asked) == pytest.approx(1.1)


def test_fixed_load_is_reserved_as_far_as_the_connection_goes() -> None:
    """The upper quantile of the load, but never more than can be imported, and never less than the forecast."""
    errors = ErrorModel(load_sigma=0.5)
    scenario = small_scenario(errors=errors, planning=PlanningSettings(load_quantile=0.8413447460685429))
    hall = scenario.sites[1]
    assert fixed_kw(scenario, hall, scenario.horizon) == pytest.approx(np.full(24, 1.5 * hall.idle_kw))
    for share, expected in ((1.2, 1.2), (0.7, 1.0)):
        limit = Series.constant(share * hall.idle_kw, scenario.horizon, "kW")
        narrow = replace(hall, connection=replace(hall.connection, import_limit_kw=limit))
        assert fixed_kw(scenario, narrow, scenario.horizon) == pytest.approx(np.full(24, expected * hall.idle_kw))


@settings(deadline=None, max_examples=5)
@given(st.sampled_from([0.1, 0.3, 0.5, 0.8, 0.95]))
def test_the_truth_keeps_the_quantiles(level: float) -> None:
    """Over 600 seeds, sun, fixed load and run times stay below their planned quantile as often as the level says.

    The share has a standard deviation of at most 0.0205; 0.08 is more than three of them.
    """
    errors = ErrorModel(solar_sigma=0.2, load_sigma=0.1, duration_low=0.6, duration_high=1.4)
    planning = PlanningSettings(renewable_quantile=level, load_quantile=level, duration_quantile=level)
    scenario = small_scenario(errors=errors, planning=planning)
    hall, morning = scenario.sites[1], 10
    truths = [Truth(scenario, seed, stressed=False) for seed in range(600)]
    sun_kw = renewable_kw(scenario, hall, scenario.horizon)[morning]
    load = fixed_kw(scenario, hall, scenario.horizon)[0] / hall.idle_kw
    below = [
        [truth.solar_kw["hall"].values[morning] <= sun_kw for truth in truths],
        [truth.load_factor["hall"].values[40] <= load for truth in truths],
        [truth.duration_factor("render") <= duration_factor(scenario) for truth in truths],
    ]
    assert np.mean(below, axis=1) == pytest.approx([level] * 3, abs=0.08)


@pytest.mark.parametrize("levels", [(0.1, 0.9, 1.0), (0.8, 0.2, 0.4), (0.5, 0.5, None), (0.3, 0.7, 0.0)])
def test_the_plan_check_states_the_same_quantiles(levels: tuple[float, float, float | None]) -> None:
    """A plan made with margins passes the independent check of its scenario, and fails that of other margins."""
    errors = ErrorModel(load_sigma=0.2, duration_low=0.6, duration_high=1.3)
    sun, load, duration = levels
    planning = PlanningSettings(renewable_quantile=sun, load_quantile=load, duration_quantile=duration)
    slow = replace(job("slow", kind=JobKind.MALLEABLE, duration_h=4), power_caps=(PowerCap(0.8, 0.6),))
    scenario, plan = planned(planning, errors, *small_scenario().jobs, slow)
    assert check_plan(scenario, plan) == ()
    other = replace(scenario, planning=replace(planning, renewable_quantile=0.65))
    assert any("sun and wind" in violation.subject for violation in check_plan(other, plan))


def test_a_margin_of_time_does_not_drop_a_job_that_fills_its_window() -> None:
    """A job of 4 h in a window of 5 h gets the 5 slots there are, not the 8 of its quantile, and the check agrees."""
    errors = ErrorModel(duration_low=1.0, duration_high=2.0)
    tight = job("tight", duration_h=4, deadline_h=5)
    scenario, plan = planned(PlanningSettings(), errors, tight)
    assert [(run.start, run.end) for run in plan.runs_of("tight")] == [(0, 5)]
    assert check_plan(scenario, plan) == ()


def test_fixed_load_comes_true_with_its_error() -> None:
    """The meter draws the truth's fixed load: with an error its energy differs from the forecast, without one it does not."""
    from sim.rehearsal import realise

    for sigma in (0.0, 0.3):
        errors = ErrorModel(load_sigma=sigma, command_delay_s=0.0)
        scenario, plan = planned(PlanningSettings(), errors)
        outcome = realise(scenario, plan, 3)
        vault, expected = scenario.sites[2], np.ones(24)
        if sigma:
            expected = Truth(scenario, 3, stressed=False).load_factor["vault"].values.reshape(24, 4).mean(axis=1)
            assert expected.std() > 0
        moved_kwh = vault.pue * outcome.energy.it_kwh[2]
        assert outcome.energy.load_kwh[2] - moved_kwh == pytest.approx(vault.idle_kw * expected)
