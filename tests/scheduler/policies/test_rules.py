"""The baselines on cases made by hand, and their dispatch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.battery import Battery
from grid.series import Series
from scheduler.build import build_problem
from scheduler.plan import BatteryControl, ReasonKind, SolveStatus
from scheduler.policies.dispatch import dispatch, self_consumption, soc_floor_kwh
from scheduler.policies.fifo import Fifo
from scheduler.policies.registry import BASELINES, POLICIES
from scheduler.policies.wait_for_sun import WaitForSun
from scheduler.problem import Problem
from scheduler.scenario import Scenario
from scheduler.workload import JobKind
from tests.factory import day_horizon, job, site, small_scenario
from tests.scheduler.checks import check_plan


def two_sites(*jobs: object, import_limit_kw: float = 50.0) -> Problem:
    """Sites ``first`` (no sun) and ``second`` (sun from slot 3), one node each, eight hours."""
    horizon = day_horizon(8, 60)
    first, second = (site(horizon, name, nodes=1, import_limit_kw=import_limit_kw) for name in ("first", "second"))
    second = replace(second, solar_kw=Series.on(horizon, [0, 0, 0, 2, 3, 2, 0, 0], "kW"))
    return build_problem(Scenario("two", "two", 1, horizon, (first, second), jobs=tuple(jobs)))  # type: ignore[arg-type]


BOTH = ("first", "second")


def places(problem: Problem, policy: str) -> dict[str, tuple[str, int]]:
    """Site and first slot of each job."""
    plan = POLICIES[policy]().plan(problem)
    check_plan(problem, plan)
    return {run.job: (run.site, run.start) for run in reversed(plan.runs)}


def test_fifo_runs_at_once_at_the_first_site() -> None:
    """Three jobs of two hours on two nodes: first site, second site, then the first to be free again."""
    jobs = [job(f"j{k}", deadline_h=8, sites=BOTH) for k in range(3)]
    assert places(two_sites(*jobs), "fifo") == {"j0": ("first", 0), "j1": ("second", 0), "j2": ("first", 2)}


def test_fifo_takes_earlier_releases_first() -> None:
    """The order is that of release, not that of the list."""
    late, early = job("late", release_h=1, deadline_h=8, sites=("first",)), job("early", deadline_h=8, sites=("first",))
    assert places(two_sites(late, early), "fifo") == {"early": ("first", 0), "late": ("first", 2)}


def test_fifo_interruptible_takes_the_earliest_slots() -> None:
    """An interruptible job runs around a rigid one that was there first."""
    rigid = job("rigid", release_h=1, deadline_h=3, sites=("first",))
    pieces = job("pieces", release_h=1, deadline_h=8, sites=("first",), kind=JobKind.INTERRUPTIBLE)
    plan = Fifo().plan(two_sites(rigid, pieces))
    assert [(run.start, run.end) for run in plan.runs_of("pieces")] == [(3, 5)]


def test_sun_is_waited_for() -> None:
    """With sun at the second site from slot 3 a job of two hours takes the sunniest two of its window there."""
    assert places(two_sites(job("j", deadline_h=8, sites=BOTH)), "wait_for_sun") == {"j": ("second", 3)}


def test_without_sun_it_runs_at_once() -> None:
    """Where the window holds no sun there is nothing to wait for."""
    assert places(two_sites(job("j", deadline_h=3, sites=BOTH)), "wait_for_sun") == {"j": ("first", 0)}


def test_used_sun_is_not_counted_twice() -> None:
    """The second job finds the sunny node taken and runs in what sun is left, or at once."""
    jobs = [job(f"j{k}", deadline_h=8, sites=("second",)) for k in range(2)]
    assert places(two_sites(*jobs), "wait_for_sun") == {"j0": ("second", 3), "j1": ("second", 5)}


def test_rules_respect_the_import_limit_they_know() -> None:
    """With 0.5 kW of import a node's job (0.48 kW on 0.22 kW) fits only while the sun shines."""
    problem = two_sites(job("j", deadline_h=8, sites=BOTH), import_limit_kw=0.5)
    assert places(problem, "fifo") == {"j": ("second", 3)}


@pytest.mark.parametrize("policy", BASELINES)
def test_rules_are_heuristics_and_say_why(policy: str) -> None:
    """Status HEURISTIC, no bound, self-consumption, a reason of the rule for every job, and no claim of a gap."""
    problem = build_problem(small_scenario())
    plan = POLICIES[policy]().plan(problem)
    check_plan(problem, plan)
    assert (plan.status, plan.bound_eur, plan.gap) == (SolveStatus.HEURISTIC, None, None)
    assert plan.battery_control is BatteryControl.SELF_CONSUMPTION
    assert plan.policy == policy
    rule = ReasonKind.RUN_AT_ONCE if policy == "fifo" else ReasonKind.WAIT_FOR_SUN
    assert {plan.reasons[task.name].kind for task in problem.jobs} == {rule}


def test_final_charge_is_kept_without_prices() -> None:
    """The battery ends the day at least as full as it began, because its floor knows what the sun will refill."""
    problem = build_problem(small_scenario())
    for rule in (Fifo(), WaitForSun()):
        plan = rule.plan(problem)
        assert plan.energy.soc_kwh[0, -1] >= problem.final_soc_kwh[0] - 1e-9
        assert plan.energy.discharge_kw[0].sum() > 0


def test_dispatch_by_hand() -> None:
    """One slot each of surplus into battery then export then curtailment, and of deficit from battery then import."""
    unit = Battery(2.0, 1.0, 1.0, 0.5, 0.5, 0.0)
    flow = self_consumption(1.0, 5.0, 10.0, 2.0, unit, 0.0, 0.0, 1.0)
    assert (flow.charge_kw, flow.export_kw, flow.soc_kwh, flow.renewable_used_kw) == (1.0, 2.0, 0.5, 4.0)
    flow = self_consumption(5.0, 1.0, 3.0, 2.0, unit, 1.0, 0.0, 1.0)
    assert (flow.discharge_kw, flow.import_kw, flow.soc_kwh, flow.unserved_kw) == (0.5, 3.0, 0.0, 0.5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_dispatch_balances_everywhere(seed: int) -> None:
    """For any load the flows close, the battery stays within its bounds and above its floor when it began there."""
    rng = np.random.default_rng(seed)
    problem = build_problem(small_scenario())
    power = rng.uniform(0, 8, (3, 24))
    energy = dispatch(problem, power)
    came = energy.import_kw + energy.renewable_used_kw + energy.discharge_kw + energy.unserved_kw
    assert np.abs(came - energy.load_kw - energy.export_kw - energy.charge_kw).max() < 1e-9
    floor = soc_floor_kwh(problem, 0, problem.renewable_kw[0] - energy.load_kw[0])
    assert (energy.soc_kwh[0] >= np.minimum(floor, problem.initial_soc_kwh[0]) - 1e-9).all()
    assert energy.soc_kwh.max() <= 10.0 + 1e-9
