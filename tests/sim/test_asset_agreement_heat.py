"""A plan of heat reuse, and one under a PUE that follows the weather, replay in the simulated world as they were planned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.cooling import Cooling
from grid.assets.heat_reuse import HeatReuse
from grid.horizon import Horizon
from grid.series import Series
from scheduler.build import build_problem
from scheduler.optimiser.large.policy import LargePolicy
from scheduler.placement import assign_nodes
from scheduler.scenario import Scenario
from sim.plan_check import check_plan
from tests.factory import day_horizon
from tests.sim.assets_hand import assert_replays, with_assets
from tests.sim.test_plan_comes_true import assert_comes_true, planned

SUMMER = Cooling(0.05, 0.04, 12.0, 20.0, 12.0, 10.0, 0.4)


def outdoor(horizon: Horizon, mean_c: float, swing_c: float) -> Series:
    """Coldest at the start of the horizon, hourly."""
    hours = np.arange(horizon.slots * horizon.step_h)
    edges = horizon.start_s + 3600.0 * np.append(hours, len(hours))
    return Series(edges, mean_c - swing_c * np.cos(2 * np.pi * hours / 24.0), "degC", "test weather")


def cooled(scenario: Scenario, mean_c: float, swing_c: float) -> Scenario:
    """The scenario with the cooling of ``SUMMER`` at its site."""
    series = outdoor(scenario.horizon, mean_c, swing_c)
    return replace(scenario, sites=tuple(replace(site, cooling=SUMMER, outdoor_c=series) for site in scenario.sites))


@settings(max_examples=15, deadline=None)
@given(
    share=st.floats(0.1, 1.0),
    supply_c=st.sampled_from([25.0, 55.0, 75.0]),
    heat_kw=st.floats(0.0, 4.0),
    demand=st.lists(st.floats(0.0, 3.0), min_size=12, max_size=12),
    buffer_kwh=st.sampled_from([0.0, 2.0, 10.0]),
    level=st.floats(0.0, 1.0),
    loss=st.sampled_from([0.0, 0.02, 0.3]),
    heat_eur=st.sampled_from([0.0, 0.03, 0.2]),
    minutes=st.sampled_from([30, 60]),
    warm_c=st.sampled_from([None, 5.0, 18.0, 28.0]),
)
def test_trajectory_replays(
    share: float,
    supply_c: float,
    heat_kw: float,
    demand: list[float],
    buffer_kwh: float,
    level: float,
    loss: float,
    heat_eur: float,
    minutes: int,
    warm_c: float | None,
) -> None:
    """Random heat pumps and buffers: heat in the buffer, flows, cost and objective within 1e-6 of the plan, no broken rule."""
    horizon = day_horizon(12 * 60 // minutes, minutes)
    unit = HeatReuse(
        "heat",
        share,
        30.0,
        supply_c,
        0.5,
        heat_kw,
        Series.on(day_horizon(12), demand, "kW", "test demand"),
        idle_it_kw=0.4,
        buffer_kwh=buffer_kwh,
        initial_kwh=level * buffer_kwh,
        loss_per_h=loss,
        heat_eur_per_kwh=heat_eur,
        running_eur_per_kwh=0.002,
        pumps_kw_per_kw=0.01,
        spared=None
        if warm_c is None
        else outdoor(horizon, warm_c, 4.0).with_values(SUMMER.spared_kw_per_kw(outdoor(horizon, warm_c, 4.0).values)),
    )
    scenario = with_assets(unit, slots=horizon.slots, minutes=minutes)
    scenario = scenario if warm_c is None else cooled(scenario, warm_c, 4.0)
    plan = assert_replays(scenario, {"store_kwh": "store_kwh"})
    delivered = plan.assets[0].series["delivered_kw"]
    assert (delivered <= plan.assets[0].series["demand_kw"] + 1e-9).all()


@settings(max_examples=15, deadline=None)
@given(mean_c=st.floats(-5, 35), swing_c=st.floats(0, 12), minutes=st.sampled_from([30, 60]))
def test_a_plan_under_changing_weather_comes_true(mean_c: float, swing_c: float, minutes: int) -> None:
    """Free cooling, chiller and everything between: with the forecast's weather every flow is the planned one."""
    scenario = cooled(with_assets(slots=12 * 60 // minutes, minutes=minutes), mean_c, swing_c)
    plan = planned(scenario)
    assert check_plan(scenario, plan) == ()
    assert_comes_true(scenario, plan)
    idle = scenario.sites[0].idle_on(scenario.horizon)
    assert np.allclose(plan.energy.load_kw[0], idle + scenario.sites[0].pue_on(scenario.horizon) * plan.energy.it_kw[0])


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
