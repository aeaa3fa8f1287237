"""What cannot be done is named with its limit and the smallest relaxation; the rest is planned all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from grid.series import Series
from scheduler.build import build_problem
from scheduler.data import Dataset, Tier
from scheduler.optimiser.policy import MilpPolicy
from scheduler.plan import Plan, ReasonKind, SolveStatus
from scheduler.scenario import Scenario
from scheduler.world import Observation
from tests.factory import START, job, small_scenario
from tests.scheduler.checks import check_plan


def solved(**changes: Any) -> tuple[Scenario, Plan]:
    """The small scenario with changes, planned and checked."""
    scenario = small_scenario(**changes)
    problem = build_problem(scenario)
    plan = MilpPolicy().plan(problem)
    check_plan(problem, plan)
    return scenario, plan


CASES = [
    # job that cannot be, kind, words in the text
    (job("bad", duration_h=3, deadline_h=2), ReasonKind.CONFLICT, "needs 3 slots, its window has 2: a deadline 1 h later"),
    (job("bad", nodes=9), ReasonKind.NO_PLACE, "hall has no 9 nodes with 16 cores"),
    (job("bad", cores=17), ReasonKind.NO_PLACE, "17 cores"),
    (job("bad", inputs=("photos",)), ReasonKind.NO_PLACE, "hall holds no replica of photos"),
    (job("bad", sites=("vault",), inputs=("scans",), deadline_h=2), ReasonKind.CONFLICT, "cannot have its data in time"),
]


@pytest.mark.parametrize(("bad", "kind", "words"), CASES)
def test_impossible_job_is_named(bad: object, kind: ReasonKind, words: str) -> None:
    """The impossible job is dropped with kind and words; every other job runs; the plan's status is INFEASIBLE."""
    scenario, plan = solved(jobs=(*small_scenario().jobs, bad))
    assert plan.status is SolveStatus.INFEASIBLE
    assert [item.name for item in plan.dropped] == ["bad"]
    assert plan.dropped[0].reason.kind is kind
    assert words in plan.dropped[0].reason.text
    assert {run.job for run in plan.runs} == {item.name for item in scenario.jobs} - {"bad"}


def test_no_capacity_at_all() -> None:
    """With every node of a site failed its jobs are dropped: what they need and what is free stands in the reason."""
    scenario = small_scenario()
    failed = frozenset(scenario.site("hall").node_names())
    seen = Observation(0, scenario.horizon.start, frozenset(), (), {}, {}, {}, {}, failed)
    plan = MilpPolicy().plan(build_problem(scenario, seen))
    told = {item.name: item.reason for item in plan.dropped}
    assert set(told) == {"render", "train", "backup", "nightly"}
    assert told["render"].kind is ReasonKind.CONFLICT
    assert "32 cores (free: 0), 16 GB of memory (free: 0) at hall" in told["render"].text


def test_migration_too_large_for_its_link() -> None:
    """A move that needs more slots than it has is dropped with the missing time; jobs still run."""
    big = Dataset("scans", Tier.FROZEN, 5.0, ("hall",), ("vault",), START + timedelta(hours=10))
    scenario, plan = solved(datasets=(small_scenario().datasets[0], big))
    assert plan.status is SolveStatus.INFEASIBLE
    assert plan.dropped[0].name == "scans"
    assert "2 h more would do" in plan.dropped[0].reason.text  # 5 TB at 1000 Mbit/s: 11.1 h, in 12 slots of an hour
    assert len({run.job for run in plan.runs}) == len(scenario.jobs)


def test_migration_without_a_way() -> None:
    """A move to a site that no link reaches is dropped as NO_PLACE."""
    _, plan = solved(links=())
    assert (plan.dropped[0].name, plan.dropped[0].reason.kind) == ("scans", ReasonKind.NO_PLACE)


def test_dropped_for_its_price_is_not_infeasible() -> None:
    """A job whose energy costs more than its drop price is dropped, and the plan is still OPTIMAL."""
    jobs = tuple(replace(item, drop_eur=1e-4) if item.name == "nightly" else item for item in small_scenario().jobs)
    _, plan = solved(jobs=jobs)
    assert [item.name for item in plan.dropped] == ["nightly"]
    assert plan.dropped[0].reason.kind is ReasonKind.CHEAPEST
    assert plan.status is SolveStatus.OPTIMAL


def test_overload_is_unserved_not_infeasible() -> None:
    """An import limit below the load that is always there gives unserved load at its price, and a sound plan."""
    scenario = small_scenario()
    vault = scenario.site("vault")
    tight = replace(vault, connection=replace(vault.connection, import_limit_kw=Series.constant(0.1, scenario.horizon, "kW")))
    _, plan = solved(sites=(*scenario.sites[:2], tight))
    assert plan.energy.unserved_kw[2].min() > 0
    assert plan.breakdown_eur["unserved"] > 0
