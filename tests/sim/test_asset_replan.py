"""Planning again in the middle of the day with assets: what was seen of them is where the next plan begins."""

from __future__ import annotations

import numpy as np
import pytest

from scheduler.build import build_problem
from scheduler.optimiser.policy import MilpPolicy
from scheduler.placement import assign_nodes
from sim.plan_check import check_plan
from sim.world.simulated import SimulatedWorld
from tests.sim.assets_hand import with_assets
from tests.sim.test_plan_check_assets import DIGESTER, EMERGENCY
from tests.sim.test_plan_comes_true import planned


@pytest.mark.parametrize("slot", [1, 4, 8, 11])
def test_a_new_plan_begins_where_the_assets_are(slot: int) -> None:
    """Observed one slot ahead, the rest planned again breaks no rule, tests once in all, and leaves the gas of the start."""
    scenario = with_assets(DIGESTER, EMERGENCY)
    first = planned(scenario)
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    world.command(first)
    world.advance(scenario.horizon.time(slot - 1))
    seen = world.observe(slot)
    gas = {run.asset: run.series for run in first.assets}["digester"]["store_kwh"]
    assert seen.assets["hall/digester"]["store_kwh"] == pytest.approx(gas[slot - 1], abs=1e-6)
    rest = assign_nodes(scenario, MilpPolicy().plan(build_problem(scenario, seen)), seen)
    assert check_plan(scenario, rest, seen) == ()
    world.command(rest)
    again = SimulatedWorld(scenario, seed=scenario.seed, stressed=False, observation=seen)
    again.command(rest)
    if slot + 2 <= scenario.horizon.slots:  # a world that begins in the middle tells the same as one that was there before
        world.advance(scenario.horizon.time(slot + 2))
        again.advance(scenario.horizon.time(slot + 2))
        for mine, other in zip(world.meters["hall"].assets, again.meters["hall"].assets, strict=True):
            assert other.state() == pytest.approx(mine.state(), abs=1e-6)
    outcome = world.outcome()
    assert [item for item in outcome.violations if "digester" in item.subject or "emergency" in item.subject] == []
    digester, emergency = world.meters["hall"].assets
    assert digester.state()["store_kwh"] >= DIGESTER.initial_kwh - 1e-6
    tests = [run.series["test"] for plan in (first, rest) for run in plan.assets if run.asset == "emergency"]
    assert np.count_nonzero(np.concatenate((tests[0][:slot], tests[1]))) == 2
    assert emergency.bill.cost_eur == pytest.approx(2 * 4 * 0.45, abs=1e-6)
