"""A limit that several sites share: kept in every slot, and never dearer than the same limit cut into shares."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.build import build_problem
from scheduler.document.loader import load_scenario
from scheduler.optimiser.policy import MilpPolicy
from scheduler.problem import Feeder, JobOption, Problem
from scheduler.workload import JobKind
from tests.scheduler.checks import check_feeders, check_plan
from tests.scheduler.problems import flat_problem, task

CONFIGS = Path(__file__).parents[3] / "configs"
CAP_KW = 4.0


def members(seed: int) -> Problem:
    """Two or three members with jobs of their own and a base load, in six slots."""
    rng = np.random.default_rng(seed)
    sites = int(rng.integers(2, 4))
    jobs = [
        task(
            f"j{j}",
            JobKind.INTERRUPTIBLE if rng.random() < 0.5 else JobKind.RIGID,
            work=int(rng.integers(1, 4)),
            release=int(rng.integers(0, 2)),
            options=(JobOption(int(rng.integers(0, sites)), float(rng.choice([0.5, 1.0, 1.5])), 0.0, 0),),
        )
        for j in range(int(rng.integers(2, 6)))
    ]
    problem = flat_problem([float(price) for price in rng.integers(20, 300, 6)], *jobs, sites=sites)
    return replace(problem, fixed_kw=rng.choice([0.0, 0.3], problem.fixed_kw.shape))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_shared_limit_is_kept_and_never_dearer_than_shares_of_it(seed: int) -> None:
    """Group: the sum of imports stays at or below the cap in every slot; its optimum is at most that of equal shares."""
    alone = members(seed)
    sites = len(alone.sites)
    group = replace(alone, feeders=(Feeder("cap", tuple(range(sites)), CAP_KW, (0.0,) * sites, 1.0),))
    shares = replace(alone, import_limit_kw=np.full(alone.import_limit_kw.shape, CAP_KW / sites))
    together, apart, free = (MilpPolicy().plan(problem) for problem in (group, shares, alone))
    check_plan(group, together)
    check_feeders(group, together)
    assert together.energy.import_kw.sum(axis=0).max() <= CAP_KW + 1e-6
    assert together.objective_eur <= apart.objective_eur + 1e-6
    assert together.objective_eur >= free.objective_eur - 1e-6


def test_the_business_park_keeps_its_right_and_gains_by_sharing() -> None:
    """The shipped scenario: the plan's coincident import is at most the shared limit; equal shares are proven dearer."""
    problem = build_problem(load_scenario(str(CONFIGS / "schiphol_trade_park_group_cap.yaml")))
    (cap,) = problem.feeders
    plan = MilpPolicy().plan(problem)
    check_feeders(problem, plan)
    imported = plan.energy.import_kw.sum(axis=0)
    assert cap.limit_kw * 0.8 < imported.max() <= cap.limit_kw + 1e-6  # it is needed
    share = cap.limit_kw / len(problem.sites)
    assert (plan.energy.import_kw.max(axis=1) > share + 0.1).any()  # and somebody uses more than a share
    apart = MilpPolicy().plan(replace(problem, import_limit_kw=np.minimum(problem.import_limit_kw, share)))
    assert apart.bound_eur is not None
    assert apart.bound_eur > plan.objective_eur


def test_the_non_firm_site_takes_nothing_when_it_is_cut() -> None:
    """Import is 0 from 16:30 to 20:30 local, feed-in at most 1 kW from 11 to 14 h, and nothing is left undone."""
    problem = build_problem(load_scenario(str(CONFIGS / "non_firm_site.yaml")))
    plan = MilpPolicy().plan(problem)
    check_plan(problem, plan)
    assert plan.energy.import_kw[0, 66:82].max() == pytest.approx(0.0, abs=1e-6)
    assert plan.energy.export_kw[0, 44:56].max() <= 1.0 + 1e-6
    assert plan.energy.import_kw[0].max() > 5.0
    assert not plan.dropped


def test_the_industrial_hall_rides_through_its_failures_on_the_battery() -> None:
    """Import is 0 in each announced failure although the hall draws power; the battery gives it and no job is dropped."""
    problem = build_problem(load_scenario(str(CONFIGS / "industrial_supply_dip.yaml")))
    plan = MilpPolicy().plan(problem)
    check_plan(problem, plan)
    failures = [29, 40, 41, 75]
    assert plan.energy.import_kw[0, failures].max() == pytest.approx(0.0, abs=1e-6)
    assert problem.fixed_kw[0, failures].min() > 0.0
    assert plan.energy.discharge_kw[0, 75] > 0.0
    assert not plan.dropped
