"""Small scenarios with assets: one site, a few jobs, no errors; and what every kind's agreement test asserts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grid.assets.battery import Battery
from grid.assets.site_asset import SiteAsset
from scheduler.plan import Plan
from scheduler.scenario import PlanningSettings, Scenario
from sim.plan_check import check_plan
from sim.world.simulated import SimulatedWorld
from tests.factory import day_horizon, job, site, small_scenario
from tests.sim.hand import exact
from tests.sim.test_plan_comes_true import assert_comes_true, planned


def with_assets(*assets: SiteAsset, slots: int = 12, minutes: int = 60, solar_kw: float = 3.0, jobs: int = 2) -> Scenario:
    """One site with these assets, a battery, sun and a few jobs, in a world without any error."""
    horizon = day_horizon(slots, minutes)
    hall = site(horizon, "hall", solar_kw=solar_kw, battery=Battery(5.0, 3.0, 3.0, initial_soc_kwh=2.0, wear_eur_per_kwh=0.02))
    end_h = slots * horizon.step_h
    work = tuple(job(f"job{i}", deadline_h=end_h, duration_h=1.0, sites=("hall",)) for i in range(jobs))
    settings = PlanningSettings(relative_gap=1e-4, time_limit_s=10.0, limit_margin=0.0)
    base = small_scenario()
    return exact(
        replace(
            base,
            horizon=horizon,
            sites=(replace(hall, assets=assets),),
            links=(),
            datasets=(),
            jobs=work,
            events=(),
            network=None,
            planning=settings,
        )
    )


def assert_replays(scenario: Scenario, watched: dict[str, str]) -> Plan:
    """The plan breaks no rule, its flows and objective come true, and so does the state of its asset at the end of every slot.

    Args:
        scenario: with one asset.
        watched: key of the world's state by the name of the planned series that it must equal.
    """
    plan = planned(scenario)
    assert check_plan(scenario, plan) == ()
    assert_comes_true(scenario, plan)
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    world.command(plan)
    asset = world.meters["hall"].assets[0]
    for slot in range(scenario.horizon.slots):
        foreseen = asset.foreseen(world.env.now, (slot + 1) * scenario.horizon.step_s)
        world.advance(scenario.horizon.time(slot + 1))
        state = asset.state()
        for series, key in watched.items():
            assert abs(state[key] - plan.assets[0].series[series][slot]) <= 1e-6, (series, slot)
            assert abs(foreseen[key] - state[key]) <= 1e-6, (series, slot)
    assert np.isclose(asset.bill.cost_eur, plan.assets[0].cost_eur, rtol=0, atol=1e-6)
    assert np.isclose(asset.bill.carbon_g, plan.assets[0].carbon_g, rtol=0, atol=1e-3)
    return plan
