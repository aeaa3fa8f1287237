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
from scheduler.optimiser.large.policy import LargePolicy
from scheduler.optimiser.large.translate import case_of, obstacles_to_scale
from scheduler.optimiser.policy import MilpPolicy
from scheduler.problem import Feeder, GroupLimit, JobOption, Problem
from scheduler.scenario import PlanningSettings
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


def capped(problem: Problem, cap_kw: float = CAP_KW) -> Problem:
    """The problem with a cap on all members together."""
    slots = problem.horizon.slots
    cap = GroupLimit("cap", tuple(range(len(problem.sites))), np.full(slots, cap_kw), np.full(slots, np.inf))
    return replace(problem, groups=(cap,))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_shared_limit_is_kept_and_never_dearer_than_shares_of_it(seed: int) -> None:
    """Group: the sum of imports stays at or below the cap in every slot; its optimum is at most that of equal shares."""
    alone = members(seed)
    sites = len(alone.sites)
    group = capped(alone)
    shares = replace(alone, import_limit_kw=np.full(alone.import_limit_kw.shape, CAP_KW / sites))
    together, apart, free = (MilpPolicy().plan(problem) for problem in (group, shares, alone))
    check_plan(group, together)
    assert together.energy.import_kw.sum(axis=0).max() <= CAP_KW + 1e-6
    assert together.objective_eur <= apart.objective_eur + 1e-6
    assert together.objective_eur >= free.objective_eur - 1e-6


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), cap_kw=st.floats(0.7, 4.0))
def test_where_nobody_exports_a_cap_is_a_feeder_without_drop(seed: int, cap_kw: float) -> None:
    """Both models have the same optimum, and that is how the large-scale solver is told of the cap."""
    alone = members(seed)
    sites = tuple(range(len(alone.sites)))
    line = replace(alone, feeders=(Feeder("cap", sites, cap_kw, (0.0,) * len(sites), 1.0),))
    group = capped(alone, cap_kw)
    one, other = MilpPolicy().plan(line), MilpPolicy().plan(group)
    check_feeders(line, one)
    assert one.objective_eur == pytest.approx(other.objective_eur, abs=1e-6)
    assert obstacles_to_scale(group) == []
    first, second = case_of(line), case_of(group)
    assert np.array_equal(first.fid, second.fid)
    assert np.array_equal(first.flim, second.flim)
    assert np.array_equal(first.vco, second.vco)


def test_the_large_scale_solver_keeps_the_cap() -> None:
    """Its plan never takes more together than the cap, and its bound is not above the reference's optimum."""
    quick = PlanningSettings(relative_gap=0.02, limit_margin=0.0, time_limit_s=5.0)
    problem = capped(members(3), 1.5)
    reference, plan = MilpPolicy().plan(problem), LargePolicy().plan(replace(problem, settings=quick))
    assert plan.energy.import_kw.sum(axis=0).max() <= 1.5 + 1e-6
    assert plan.bound_eur is not None
    assert plan.bound_eur <= reference.objective_eur + 1e-6
    assert plan.objective_eur >= reference.objective_eur - 1e-6


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000), last_kw=st.floats(0.9, 3.0))
def test_the_large_scale_solver_keeps_a_cap_that_changes(seed: int, last_kw: float) -> None:
    """A cap that falls in time, and one of some members on top: kept in every slot, and the bound is true."""
    problem = capped(members(seed))
    falling = np.linspace(4.0, last_kw, problem.horizon.slots)
    nothing = np.full_like(falling, np.inf)
    groups = (GroupLimit("all", tuple(range(len(problem.sites))), falling, nothing), GroupLimit("two", (1, 0), falling, nothing))
    problem = replace(problem, groups=groups)
    quick = PlanningSettings(relative_gap=0.02, limit_margin=0.0, time_limit_s=2.0)
    reference, plan = MilpPolicy().plan(problem), LargePolicy().plan(replace(problem, settings=quick))
    check_plan(problem, plan)
    assert (plan.energy.import_kw.sum(axis=0) <= falling + 1e-6).all()
    assert plan.bound_eur is not None
    assert plan.bound_eur <= reference.objective_eur + 1e-6
    assert plan.objective_eur >= reference.objective_eur - 1e-6


def test_a_cap_on_export_and_one_that_changes() -> None:
    """Two members with sun to sell: together they export no more than the cap of each slot, and curtail the rest."""
    problem = flat_problem([100.0] * 4, sites=2)
    sun = np.full((2, 4), 3.0)
    caps = np.array([6.0, 4.0, 1.0, 0.0])
    group = GroupLimit("cap", (0, 1), np.full(4, np.inf), caps)
    price = np.full((2, 4), 0.05)
    problem = replace(problem, groups=(group,), renewable_kw=sun, export_limit_kw=sun, export_eur_per_kwh=price)
    plan = MilpPolicy().plan(problem)
    assert plan.energy.export_kw.sum(axis=0) == pytest.approx(caps, abs=1e-6)
    assert plan.objective_eur == pytest.approx(-0.05 * caps.sum(), abs=1e-6)


def test_the_business_park_keeps_its_right_and_gains_by_sharing() -> None:
    """The shipped scenario: the plan's coincident import is at most the shared limit; equal shares are proven dearer."""
    problem = build_problem(load_scenario(str(CONFIGS / "schiphol_trade_park_group_cap.yaml")))
    (cap,) = problem.groups
    assert set(cap.import_kw) == {24.0 * 0.95}  # limit_margin
    limit_kw = float(cap.import_kw[0])
    plan = MilpPolicy().plan(problem)
    imported = plan.energy.import_kw.sum(axis=0)
    assert limit_kw * 0.8 < imported.max() <= limit_kw + 1e-6  # it is needed
    share = limit_kw / len(problem.sites)
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
