"""A battery (also one that is the supply of its site) whose wear is priced: the plan comes true, and is paid as the rule says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.battery import Battery
from grid.assets.wear import DepthWear
from grid.assets.wear_cells import wear_of
from scheduler.answers.energy import SiteEnergy
from scheduler.build import build_problem
from scheduler.scenario import Scenario
from sim.plan_check import check_plan
from tests.sim.assets_hand import with_assets
from tests.sim.test_plan_comes_true import assert_comes_true, planned


def with_wear(
    wear: DepthWear | None,
    *,
    energy_kwh: float = 5.0,
    initial: float = 0.4,
    minutes: int = 60,
    slots: int = 12,
    reserve: float = 0.05,
    ups: bool = False,
) -> Scenario:
    """One site with sun, two jobs and a battery."""
    scenario = with_assets(minutes=minutes, slots=slots)
    held_kwh, kept_kwh = initial * energy_kwh, reserve * energy_kwh
    battery = Battery(energy_kwh, 3.0, 3.0, initial_soc_kwh=held_kwh, reserve_soc_kwh=kept_kwh, wear=wear, ups=ups)
    return replace(scenario, sites=(replace(scenario.sites[0], battery=battery),))


@settings(max_examples=15, deadline=None)
@given(
    cell=st.sampled_from(["lfp", "nmc"]),
    price=st.sampled_from([20.0, 60.0, 150.0]),
    energy_kwh=st.floats(1.0, 20.0),
    initial=st.floats(0.05, 1.0),
    minutes=st.sampled_from([30, 60]),
)
def test_plan_comes_true(cell: str, price: float, energy_kwh: float, initial: float, minutes: int) -> None:
    """Random batteries: state of charge, flows and every part of the objective, wear too, within 1e-6 of the plan."""
    scenario = with_wear(wear_of(cell, price, 0.7), energy_kwh=energy_kwh, initial=initial, minutes=minutes)
    plan = planned(scenario)
    assert check_plan(scenario, plan) == ()
    assert_comes_true(scenario, plan)


@settings(max_examples=6, deadline=None)
@given(energy_kwh=st.floats(1.0, 20.0), reserve=st.floats(0.0, 1.0), above=st.floats(0.0, 1.0), minutes=st.sampled_from([30, 60]))
def test_an_uninterruptible_supply_keeps_its_reserve(energy_kwh: float, reserve: float, above: float, minutes: int) -> None:
    """Random supplies with any reserve, all of it too: flows and objective within 1e-6 of the plan, never below the reserve."""
    initial = reserve + above * (1.0 - reserve)
    scenario = with_wear(None, energy_kwh=energy_kwh, initial=initial, minutes=minutes, reserve=reserve, ups=True)
    plan = planned(scenario)
    assert check_plan(scenario, plan) == ()
    assert_comes_true(scenario, plan)
    assert plan.energy.soc_kwh.min() >= reserve * energy_kwh - 1e-6


@settings(max_examples=10, deadline=None)
@given(price=st.sampled_from([20.0, 60.0]), energy_kwh=st.floats(1.0, 20.0), initial=st.floats(0.05, 1.0))
def test_answers_price_the_same_wear(price: float, energy_kwh: float, initial: float) -> None:
    """The small programme behind ``ozzo why`` finds the energy cost of the plan's own load no dearer and no cheaper."""
    scenario = with_wear(wear_of("nmc", price, 0.7), energy_kwh=energy_kwh, initial=initial)
    plan = planned(scenario)
    cost = SiteEnergy(build_problem(scenario), 0, plan.energy.it_kw[0]).cost()
    parts = {name: plan.breakdown_eur[name] for name in cost.parts_eur}
    battery = scenario.sites[0].battery
    assert battery is not None
    assert battery.wear is not None
    left_out = battery.wear.held_eur_per_kwh_h * scenario.horizon.step_h * initial * energy_kwh / 2
    assert cost.total_eur + left_out == pytest.approx(sum(parts.values()), rel=2e-4, abs=1e-6)


def test_dear_depth_makes_shallow_cycles() -> None:
    """With a gentle price of the first tenths and a dear one below, the battery cycles, but not as deep."""
    free = planned(with_wear(None, initial=1.0))
    gentle = planned(with_wear(DepthWear(((0.3, 0.0), (0.7, 5.0))), initial=1.0))
    assert np.min(free.energy.soc_kwh) < 0.5 * 5.0
    assert np.min(gentle.energy.soc_kwh) == pytest.approx(0.7 * 5.0, abs=1e-6)


def test_held_charge_is_given_back_late() -> None:
    """When standing full costs life, the battery is charged no earlier than needed."""
    free = planned(with_wear(DepthWear(((1.0, 0.001),)), initial=0.3, slots=24))
    dear = planned(with_wear(DepthWear(((1.0, 0.001),), 0.01), initial=0.3, slots=24))
    assert dear.energy.soc_kwh.sum() < free.energy.soc_kwh.sum()
