"""A village full of small jobs, planned inside its network by the large-scale solver."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grid.network import load_network
from scheduler.build import build_problem
from scheduler.network_limits import excess_kw
from scheduler.on_grid import OnGrid, net_import_kw
from scheduler.optimiser.seam import OptimiserPolicy, at_scale
from tests.scheduler.checks import check_plan
from tests.scheduler.optimiser.large.busy_village import busy_village
from tests.scheduler.test_on_grid import CODE, ac


@pytest.mark.slow
@pytest.mark.alone
def test_the_large_scale_solver_plans_inside_the_network() -> None:
    """Eight hundred jobs overload the transformer when planned without it; with it AC holds, and every job runs."""
    scenario = busy_village(800, time_limit_s=8.0, work_kwh=1_500.0)
    scenario = replace(scenario, planning=replace(scenario.planning, relative_gap=0.02))
    problem, network = build_problem(scenario), load_network(CODE)
    assert at_scale(problem)
    alone = OptimiserPolicy().plan(problem)
    assert ac(scenario, network, alone)[0] > 105.0
    policy = OnGrid(OptimiserPolicy(), scenario, network)
    plan = policy.plan(problem)
    assert plan.solver.startswith("price decomposition")
    assert plan.network is not None
    assert plan.network.left == ()
    assert excess_kw(policy.cuts, net_import_kw(plan)) <= 1e-5
    assert ac(scenario, network, plan)[0] <= 100.0
    assert not plan.dropped
    assert plan.energy.unserved_kw.max() <= 1e-6
    check_plan(replace(problem, cuts=policy.cuts), plan)
