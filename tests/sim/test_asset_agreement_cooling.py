"""A plan under a PUE that follows the weather replays in the simulated world as it was planned, whatever the cooling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.cooling import Cooling
from grid.horizon import Horizon
from grid.series import Series
from scheduler.build import build_problem
from scheduler.optimiser.large.policy import LargePolicy
from scheduler.placement import assign_nodes
from scheduler.scenario import Scenario
from sim.plan_check import check_plan
from sim.rehearsal import realise
from tests.sim.assets_hand import with_assets
from tests.sim.test_plan_comes_true import assert_comes_true, planned

SUMMER = Cooling(0.05, 0.04, 12.0, 20.0, 12.0, 10.0, 0.4)


COOLINGS = st.builds(
    lambda losses, fans, free_c, span_k, chilled_c, approach_k, share: Cooling(
        losses, fans, free_c, free_c + span_k, chilled_c, approach_k, share
    ),
    st.floats(0.0, 0.1),
    st.floats(0.0, 0.1),
    st.floats(0.0, 25.0),
    st.sampled_from([0.0, 3.0, 10.0]),
    st.floats(8.0, 24.0),
    st.floats(0.0, 15.0),
    st.floats(0.2, 0.7),
)
"""Any cooling: more or less losses, free cooling that ends at once or slowly, good and bad chillers."""


def outdoor(horizon: Horizon, mean_c: float, swing_c: float, step_h: float = 1.0) -> Series:
    """Coldest at the start of the horizon, in steps of ``step_h``."""
    hours = np.arange(0.0, horizon.slots * horizon.step_h, step_h)
    edges = horizon.start_s + 3600.0 * np.append(hours, hours[-1] + step_h)
    return Series(edges, mean_c - swing_c * np.cos(2 * np.pi * hours / 24.0), "degC", "test weather")


def cooled(scenario: Scenario, mean_c: float, swing_c: float, cooling: Cooling = SUMMER, step_h: float = 1.0) -> Scenario:
    """The scenario with cooling at its sites."""
    series = outdoor(scenario.horizon, mean_c, swing_c, step_h)
    return replace(scenario, sites=tuple(replace(site, cooling=cooling, outdoor_c=series) for site in scenario.sites))


@settings(max_examples=10, deadline=None)
@given(cooling=COOLINGS, mean_c=st.floats(-5, 35), swing_c=st.floats(0, 12), minutes=st.sampled_from([30, 60]))
def test_trajectory_replays(cooling: Cooling, mean_c: float, swing_c: float, minutes: int) -> None:
    """Random coolings in random weather: every flow and the objective within 1e-6 of the plan, and no rule broken."""
    scenario = cooled(with_assets(slots=12 * 60 // minutes, minutes=minutes), mean_c, swing_c, cooling)
    plan = planned(scenario)
    assert check_plan(scenario, plan) == ()
    assert_comes_true(scenario, plan)
    idle = scenario.sites[0].idle_on(scenario.horizon)
    assert np.allclose(plan.energy.load_kw[0], idle + scenario.sites[0].pue_on(scenario.horizon) * plan.energy.it_kw[0])


@settings(max_examples=5, deadline=None)
@given(cooling=COOLINGS, mean_c=st.floats(-5, 35), swing_c=st.floats(0, 12))
def test_weather_that_changes_within_a_slot(cooling: Cooling, mean_c: float, swing_c: float) -> None:
    """Temperatures of every quarter of an hour under slots of an hour: load and import of each slot are the planned ones to 1e-6.

    The PUE is no straight line over the temperature, so the plan must take the mean of the PUE, not the PUE of the mean.
    """
    scenario = cooled(with_assets(solar_kw=0.0), mean_c, swing_c, cooling, 0.25)
    scenario = replace(scenario, sites=(replace(scenario.sites[0], battery=None),))
    plan = planned(scenario)
    energy = realise(scenario, plan, scenario.seed).energy
    assert np.allclose(energy.load_kwh, plan.energy.load_kw * scenario.horizon.step_h, rtol=0, atol=1e-6)
    assert np.allclose(energy.import_kwh, plan.energy.import_kw * scenario.horizon.step_h, rtol=0, atol=1e-6)


def test_the_large_scale_solver_plans_under_changing_weather() -> None:
    """A site whose PUE changes from hour to hour: its plan breaks no rule, comes true, and is near the proven optimum."""
    scenario = cooled(with_assets(jobs=4), 16.0, 8.0)
    problem = build_problem(scenario)
    assert np.ptp(problem.pue) > 0.05
    plan = assign_nodes(scenario, LargePolicy().plan(replace(problem, settings=replace(problem.settings, time_limit_s=2.0))))
    assert check_plan(scenario, plan) == ()
    assert_comes_true(scenario, plan)
    best = planned(replace(scenario, planning=replace(scenario.planning, time_limit_s=120.0)))
    assert plan.bound_eur is not None
    assert best.bound_eur is not None
    assert plan.bound_eur <= best.objective_eur + 1e-6
    assert plan.objective_eur <= best.objective_eur * 1.01
