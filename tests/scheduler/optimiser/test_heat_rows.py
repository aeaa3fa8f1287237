"""Heat reuse in the reference MILP: optima that can be worked out by hand, and never worse than the plain rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.heat_reuse import HeatReuse
from grid.horizon import Horizon
from grid.series import Series
from scheduler.asset_runs import PlacedAsset
from scheduler.optimiser.policy import MilpPolicy
from scheduler.policies.fifo import Fifo
from scheduler.problem import EventLimit, Problem
from tests.scheduler.problems import flat_problem, task


def problem_with(price: list[float], **changes: Any) -> Problem:
    """One site with 4 kW of idle nodes and a job of 1 kW in any hour; a heat pump of COP 0.5 * 333.15 / 30 = 5.55."""
    problem = flat_problem(price, task("job"))
    given: dict[str, Any] = {
        "name": "heat",
        "share": 1.0,
        "source_c": 30.0,
        "supply_c": 60.0,
        "carnot_share": 0.5,
        "heat_kw": 3.0,
        "demand_kw": hourly(problem.horizon, [1.0] * len(price)),
        "idle_it_kw": 4.0,
        "heat_eur_per_kwh": 0.05,
    }
    heat = HeatReuse(**(given | changes))
    return replace(problem, fixed_kw=np.full(problem.fixed_kw.shape, 4.0), assets=(PlacedAsset(0, heat),))


def hourly(horizon: Horizon, values: list[float]) -> Series:
    """A demand in kW."""
    return Series.on(horizon, values, "kW", "test demand")


COP = 0.5 * 333.15 / 30


def test_heat_is_made_where_it_earns_more_than_its_electricity() -> None:
    """At 50 EUR/MWh a kWh of heat costs 0.9 ct and earns 5; at 400 it costs 7.2 ct: then none is made without a buffer."""
    plan = MilpPolicy().plan(problem_with([50.0, 400.0, 50.0, 400.0]))
    assert plan.assets[0].series["delivered_kw"] == pytest.approx([1.0, 0.0, 1.0, 0.0], abs=1e-6)
    assert plan.breakdown_eur["assets"] == pytest.approx(-0.1)


def test_a_buffer_carries_cheap_heat_into_dear_hours() -> None:
    """With 2 kWh of buffer all demand is met, and everything is made in the cheap hours."""
    plan = MilpPolicy().plan(problem_with([50.0, 400.0, 50.0, 400.0], buffer_kwh=2.0))
    series = plan.assets[0].series
    assert series["made_kw"] == pytest.approx([2.0, 0.0, 2.0, 0.0], abs=1e-6)
    assert series["delivered_kw"] == pytest.approx(np.ones(4), abs=1e-6)
    assert plan.energy.load_kw[0].sum() == pytest.approx(16.0 + 1.0 + 4.0 / COP)


def unit_of(problem: Problem) -> HeatReuse:
    """The one asset of the problem."""
    unit = problem.assets[0].asset
    assert isinstance(unit, HeatReuse)
    return unit


def test_no_demand_no_heat() -> None:
    """However dear heat is: without demand nothing is made, and nothing is earned."""
    problem = problem_with([50.0] * 3, heat_eur_per_kwh=9.0, buffer_kwh=5.0)
    demand = hourly(problem.horizon, [0.0] * 3)
    nobody = replace(problem, assets=(PlacedAsset(0, replace(unit_of(problem), demand_kw=demand)),))
    plan = MilpPolicy().plan(nobody)
    assert not plan.assets[0].series["made_kw"].any()
    assert plan.breakdown_eur["assets"] == pytest.approx(0.0, abs=1e-12)


def test_a_job_goes_where_its_heat_is_wanted() -> None:
    """Heat for 3 ct more than the job's electricity costs: with idle nodes that give none, the job runs in the hour of demand."""
    demand = [0.0, 0.0, 0.5, 0.0]
    base = problem_with([60.0, 50.0, 60.0, 60.0])
    asset = replace(unit_of(base), demand_kw=hourly(base.horizon, demand), idle_it_kw=0.0)
    plan = MilpPolicy().plan(replace(base, assets=(PlacedAsset(0, asset),)))
    assert plan.energy.it_kw[0] == pytest.approx([0.0, 0.0, 1.0, 0.0], abs=1e-6)
    assert plan.assets[0].series["delivered_kw"][2] == pytest.approx(0.5, abs=1e-6)


def test_what_the_chiller_is_spared_counts() -> None:
    """Where taking a kW of heat spares 0.5 kW of chiller, heat is made though its electricity alone costs more than it earns."""
    base = problem_with([400.0] * 3)
    spared = Series.on(base.horizon, [0.0, 0.5, 0.0], "1", "test chiller")
    asset = replace(unit_of(base), spared=spared)
    plan = MilpPolicy().plan(replace(base, assets=(PlacedAsset(0, asset),)))
    assert plan.assets[0].series["made_kw"] == pytest.approx([0.0, 1.0, 0.0], abs=1e-6)
    assert plan.assets[0].draw_kw[1] == pytest.approx(1 / COP - 0.5 * (1 - 1 / COP))


def test_a_call_of_the_grid_stops_the_heat_pump() -> None:
    """Asked to import at most 4 kW in the second hour, the buffer delivers there and the heat pump rests."""
    problem = replace(problem_with([50.0] * 4, buffer_kwh=2.0), events=(EventLimit("call", 0, 1, 2, 4.0, 5.0),))
    plan = MilpPolicy().plan(problem)
    assert plan.assets[0].series["made_kw"][1] == pytest.approx(0.0, abs=1e-6)
    assert plan.assets[0].series["delivered_kw"] == pytest.approx(np.ones(4), abs=1e-6)
    assert plan.breakdown_eur["event_penalty"] == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(
    price=st.lists(st.integers(-50, 400), min_size=6, max_size=6),
    demand=st.lists(st.floats(0, 3), min_size=6, max_size=6),
    buffer_kwh=st.sampled_from([0.0, 4.0]),
    initial=st.floats(0, 1),
    loss=st.sampled_from([0.0, 0.1]),
)
def test_never_worse_than_the_rule(price: list[int], demand: list[float], buffer_kwh: float, initial: float, loss: float) -> None:
    """The proven bound is below the plan, and the plan is no dearer than running at once and heating by the plain rule."""
    base = problem_with([float(p) for p in price], buffer_kwh=buffer_kwh, initial_kwh=initial * buffer_kwh, loss_per_h=loss)
    asset = replace(unit_of(base), demand_kw=hourly(base.horizon, demand))
    problem = replace(base, assets=(PlacedAsset(0, asset),))
    plan, rule = MilpPolicy().plan(problem), Fifo().plan(problem)
    assert plan.objective_eur <= rule.objective_eur + 1e-6
    assert plan.bound_eur is not None
    assert plan.bound_eur <= plan.objective_eur + 1e-6
    assert (rule.assets[0].series["delivered_kw"] <= np.array(demand) + 1e-9).all()
