"""Caps of groups as a plan sees them: margins taken off, never below what members always draw; futures keep them, too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grid.contracts.book import ContractBook
from grid.contracts.group import GroupCap
from grid.contracts.limits import ContractLimit, Direction
from grid.contracts.right import TransportRight
from scheduler.allowed import allowed_kw
from scheduler.build import build_problem
from scheduler.chance import chance_margins
from scheduler.futures import Future
from scheduler.optimiser.policy import MilpPolicy
from scheduler.optimiser.two_stage import TwoStagePolicy
from scheduler.policies.feeders import overload_kw
from scheduler.problem import GroupLimit, WindowPeak
from scheduler.quantiles import fixed_kw
from scheduler.scenario import ErrorModel, PlanningSettings
from tests.factory import small_scenario
from tests.scheduler.checks import check_plan
from tests.scheduler.problems import flat_problem, task

EXACT = PlanningSettings(relative_gap=0.0, limit_margin=0.0, time_limit_s=60.0)


def test_limit_margin_leaves_room_but_never_for_what_is_always_there() -> None:
    """A tenth is left free of a cap of 4 kW; of one just above the idle load of the members nothing is taken."""
    base = small_scenario(planning=PlanningSettings(limit_margin=0.1))
    idle = sum(site.idle_kw for site in base.sites[:2])
    for cap_kw, expected in ((4.0, 3.6), (idle + 0.05, idle), (idle - 0.05, idle - 0.05)):
        group = GroupCap("group", ("cabinet", "hall"), cap_kw, 2.0)
        (limit,) = build_problem(replace(base, contracts=ContractBook(groups=(group,)))).groups
        assert limit.import_kw == pytest.approx(np.full(24, expected))
        assert limit.export_kw == pytest.approx(np.full(24, 1.8))
        assert limit.sites == (0, 1)


def test_a_chance_level_takes_off_what_members_may_need_more() -> None:
    """Each slot loses its own margin: at least that of one member, at most what both may need more at the same level."""
    planning = PlanningSettings(chance_level=0.9, limit_margin=0.0)
    errors = ErrorModel(solar_sigma=0.3, load_sigma=0.1)
    book = ContractBook(groups=(GroupCap("group", ("cabinet", "hall"), 40.0, 40.0),))
    scenario = replace(small_scenario(planning=planning, errors=errors), contracts=book)
    margins = chance_margins(scenario, scenario.horizon)
    assert margins is not None
    alone = margins.import_kw[:2]
    together = margins.group_import_kw[0]
    assert (together >= alone.max(axis=0) - 1e-9).all()
    assert (together <= alone.sum(axis=0) * 1.2 + 1e-9).all()
    assert together[12] > together[0] > 0.0  # the sun at noon is less certain than the load at night
    (limit,) = build_problem(scenario).groups
    assert limit.import_kw == pytest.approx(40.0 - together)
    calm = replace(scenario, errors=ErrorModel(solar_sigma=0.0, wind_sigma=0.0))
    (limit,) = build_problem(calm).groups
    assert set(limit.import_kw) == {40.0}


def test_a_careful_load_is_not_reserved_beyond_a_right() -> None:
    """The 99 % quantile of the fixed load is cut at what the transport right allows in that slot, as it is at the connection."""
    planning = PlanningSettings(load_quantile=0.99, limit_margin=0.0)
    base = small_scenario(planning=planning, errors=ErrorModel(load_sigma=0.2))
    hall = base.site("hall")
    start_s = base.horizon.start_s
    narrow = ContractLimit(Direction.IMPORT, start_s, start_s + 7200, hall.idle_kw + 0.01)
    right = TransportRight("ato", "hall", 20.0, 20.0, 0.0, 0.0, windows=(narrow,))
    scenario = replace(base, contracts=ContractBook((right,)))
    assert allowed_kw(scenario, hall, Direction.IMPORT, base.horizon)[:3].tolist() == [hall.idle_kw + 0.01] * 2 + [20.0]
    reserved = fixed_kw(scenario, hall, base.horizon)
    assert reserved[0] == pytest.approx(hall.idle_kw + 0.01)
    assert reserved[2] == pytest.approx(fixed_kw(base, hall, base.horizon)[2])
    assert reserved[2] > reserved[0]


def test_a_baseline_above_a_cap_is_no_plan() -> None:
    """What run at once takes above the cap is told as an excess; the optimiser's plan has none."""
    jobs = [task(f"j{s}", options=(replace(task("x").options[0], site=s),)) for s in range(2)]
    slots = 4
    cap = GroupLimit("cap", (0, 1), np.full(slots, 1.0), np.full(slots, np.inf))
    problem = replace(flat_problem([100.0] * slots, *jobs, sites=2), groups=(cap,))
    plan = MilpPolicy().plan(problem)
    check_plan(problem, plan)
    assert overload_kw(problem, plan.energy) <= 1e-6
    both = replace(plan.energy, import_kw=np.array([[1.0, 0, 0, 0], [1.0, 0, 0, 0]]))
    assert overload_kw(problem, both) == pytest.approx(1.0)


def test_every_future_keeps_cap_and_pays_its_peak() -> None:
    """Two stages with a cap and a window: the jobs run one after the other although each future settles its energy itself."""
    jobs = [task(f"j{s}", options=(replace(task("x").options[0], site=s),)) for s in range(2)]
    flat = flat_problem([100.0, 100.0, 300.0, 300.0], *jobs, sites=2)
    sunny = np.zeros((2, 4))
    sunny[0, 3] = 1.0
    futures = (Future(0.5, np.zeros((2, 4)), flat.fixed_kw), Future(0.5, sunny, flat.fixed_kw))
    cap = GroupLimit("cap", (0, 1), np.full(4, 1.0), np.full(4, np.inf))
    peaks = (WindowPeak("p", 1, (1,), 5.0, 0.0),)
    problem = replace(flat, groups=(cap,), window_peaks=peaks, futures=futures, renewable_kw=sunny / 2, settings=EXACT)
    plan = TwoStagePolicy().plan(problem)
    assert plan.expected is not None
    starts = {run.site: run.start for run in plan.runs}
    assert starts == {"s0": 1, "s1": 0}  # s1 would pay for a peak in slot 1
    assert plan.expected.objective_eur == pytest.approx(0.2)
