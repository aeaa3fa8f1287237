"""Two stages: the model over futures against one future, against independent pricing, and against the plan for one future."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.battery import Battery
from scheduler.build import build_problem
from scheduler.futures import Future
from scheduler.objective import breakdown_eur
from scheduler.optimiser.compiled import compile_model
from scheduler.optimiser.highs import Limits, solve_linear
from scheduler.optimiser.model import build_model
from scheduler.optimiser.policy import MilpPolicy
from scheduler.optimiser.stages import FIRST_STAGE, SECOND_STAGE, Stages, point_future, roomy, with_future
from scheduler.optimiser.two_stage import TwoStagePolicy
from scheduler.plan import Plan, SolveStatus
from scheduler.policies.fifo import fifo_schedule
from scheduler.policies.schedule import it_power_kw, task_eur
from scheduler.problem import EventLimit, Feeder, Problem
from scheduler.scenario import ErrorModel, FutureSettings, PlanningSettings
from scheduler.workload import JobKind
from sim.plan_check import check_plan
from tests.factory import small_scenario
from tests.scheduler.problems import flat_problem, task

DRAWN = st.tuples(st.integers(1, 5), st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0]), min_size=4, max_size=4))
"""Weight of a future, and its sun."""

EXACT = PlanningSettings(relative_gap=0.0, limit_margin=0.0, time_limit_s=60.0)


def sunny(*futures: tuple[float, list[float]], **more: Any) -> Problem:
    """Two jobs, four slots at 300, 200, 100 and 400 EUR/MWh, and sun that differs between futures (probability, kW)."""
    jobs = (task("a", work=1), task("b", JobKind.INTERRUPTIBLE, work=2))
    flat = flat_problem([300.0, 200.0, 100.0, 400.0], *jobs)
    fixed = flat.fixed_kw
    drawn = tuple(Future(share, np.array([sun]), fixed) for share, sun in futures)
    mean = sum(future.probability * future.renewable_kw for future in drawn)
    return replace(flat, renewable_kw=np.asarray(mean), futures=drawn, **more)


def small_problem() -> Problem:
    """The small scenario as a problem that is solved exactly, with five futures."""
    planning = replace(EXACT, scenarios=FutureSettings(count=5, draws=40))
    return build_problem(small_scenario(planning=planning, errors=ErrorModel(solar_sigma=0.4, load_sigma=0.1)))


def stages_of(problem: Problem) -> Stages:
    """Both stages of ``problem``."""
    return Stages(problem, compile_model(build_model(roomy(problem))))


def test_every_column_has_its_stage() -> None:
    """No family of the model is in both stages, and a family that is in neither is refused."""
    problem = small_problem()
    model = compile_model(build_model(problem))
    assert not FIRST_STAGE & SECOND_STAGE
    assert set(model.columns) <= FIRST_STAGE | SECOND_STAGE
    with pytest.raises(ValueError, match="no stage is known for the columns heat_kw"):
        Stages(problem, replace(model, columns={**model.columns, "heat_kw": {}}))


def test_one_future_is_the_plain_model() -> None:
    """Over one certain future the relaxation has the value of the model that was built for it."""
    problem = small_problem()
    point = point_future(problem)
    plain = solve_linear(compile_model(build_model(problem)), Limits(30.0))
    staged = solve_linear(stages_of(problem).over((point,)), Limits(30.0))
    halves = (replace(point, probability=0.3), replace(point, probability=0.7))
    twice = solve_linear(stages_of(problem).over(halves), Limits(30.0))
    assert staged.objective == pytest.approx(plain.objective)
    assert twice.objective == pytest.approx(plain.objective)


def test_no_error_gives_the_deterministic_plan() -> None:
    """Without deviations there are no futures, and the expected cost is that of the policy milp, both proven."""
    problem = build_problem(small_scenario(planning=EXACT, errors=ErrorModel(solar_sigma=0.0)))
    plain, staged = MilpPolicy().plan(problem), TwoStagePolicy().plan(problem)
    assert plain.status is SolveStatus.OPTIMAL
    assert staged.status is SolveStatus.OPTIMAL
    assert staged.expected is not None
    assert staged.objective_eur == pytest.approx(plain.objective_eur, rel=1e-5)
    assert staged.expected.objective_eur == pytest.approx(plain.objective_eur, rel=1e-5)
    assert staged.expected.one_future_eur == pytest.approx(staged.expected.objective_eur)


def test_a_gamble_is_taken_only_when_it_pays() -> None:
    """By hand: a job of 1 kW, sun of 4 kW in slot 0 with probability 1/2, else none; 300 EUR/MWh there, 140 in slot 2.

    One future sees the mean, 2 kW, and a free run in slot 0; that costs 0.15 EUR in expectation. Slot 2 costs 0.14 in both.
    """
    flat = flat_problem([300.0, 900.0, 140.0, 900.0], task("a", work=1))
    sun = [np.array([[4.0, 0.0, 0.0, 0.0]]), np.zeros((1, 4))]
    futures = tuple(Future(0.5, kw, flat.fixed_kw) for kw in sun)
    problem = replace(flat, renewable_kw=(sun[0] + sun[1]) / 2, futures=futures)
    alone, staged = MilpPolicy().plan(problem), TwoStagePolicy().plan(problem)
    assert [run.start for run in alone.runs] == [0]
    assert [run.start for run in staged.runs] == [2]
    assert staged.expected is not None
    assert staged.expected.objective_eur == pytest.approx(0.14)
    assert staged.expected.one_future_eur == pytest.approx(0.15)
    assert staged.expected.costs_eur == pytest.approx((0.14, 0.14))
    assert staged.objective_eur == pytest.approx(0.14)
    assert staged.bound_eur is None
    assert staged.gap is None


def _independent(problem: Problem, plan: Plan, future: Future) -> float:
    """Cost of a plan's placement in one future by a model of its own: load fixed as fixed load, nothing left to place."""
    loaded = replace(
        with_future(problem, future), jobs=(), migrations=(), fixed_kw=future.fixed_kw + problem.pue * plan.energy.it_kw
    )
    alone = MilpPolicy().plan(loaded)
    assert alone.status is SolveStatus.OPTIMAL
    task = sum(plan.breakdown_eur[name] for name in ("dropped", "lateness", "fixed"))
    return float(sum(breakdown_eur(loaded, alone.energy).values())) + task


def test_expected_cost_is_the_weighted_sum_of_costs_that_other_code_finds() -> None:
    """Each future's cost is recomputed by planning its energy alone, with a feeder, an event and batteries in it."""
    problem = small_problem()
    feeder = Feeder("street", (0, 1), 8.0, (0.001, 0.001), 0.05)
    event = EventLimit("evening", 1, 17, 20, 1.0, 0.6)
    problem = replace(problem, feeders=(feeder,), events=(event,))
    plan = TwoStagePolicy().plan(problem)
    assert plan.expected is not None
    costs = [_independent(problem, plan, future) for future in problem.futures]
    assert plan.expected.costs_eur == pytest.approx(costs, rel=1e-5)
    weighted = sum(future.probability * cost for future, cost in zip(problem.futures, costs, strict=True))
    assert plan.expected.objective_eur == pytest.approx(weighted, rel=1e-5)
    assert plan.expected.bound_eur is not None
    assert plan.expected.bound_eur <= plan.expected.objective_eur + 1e-9
    assert len(set(np.round(costs, 3))) > 1


@settings(deadline=None, max_examples=15)
@given(st.lists(DRAWN, min_size=2, max_size=4), st.booleans())
def test_never_dearer_in_expectation_than_the_plan_for_one_future(drawn: list[tuple[int, list[float]]], stored: bool) -> None:
    """Solved to optimality, with and without a battery, the expected cost is not above that of the deterministic placement.

    It meets its bound, and it is no less than the mean cost of plans that know each future beforehand.
    """
    total = sum(weight for weight, _ in drawn)
    problem = sunny(*[(weight / total, sun) for weight, sun in drawn])
    if stored:
        battery = Battery(2.0, 1.0, 1.0, 0.9, 0.9, 1.0, 0.0, 0.01)
        level = np.array([1.0])
        problem = replace(problem, batteries=(battery,), initial_soc_kwh=level, final_soc_kwh=level)
    staged, alone = TwoStagePolicy().plan(problem), MilpPolicy().plan(problem)
    assert staged.status is SolveStatus.OPTIMAL
    expected = staged.expected
    assert expected is not None
    assert expected.bound_eur is not None
    shares = [future.probability for future in problem.futures]
    of_alone = [_independent(problem, alone, future) for future in problem.futures]
    assert expected.objective_eur <= float(np.dot(shares, of_alone)) + 1e-6
    assert expected.objective_eur <= expected.one_future_eur + 1e-9
    assert expected.objective_eur == pytest.approx(expected.bound_eur, rel=1e-5, abs=1e-6)
    informed = [MilpPolicy().plan(with_future(problem, future)).objective_eur for future in problem.futures]
    assert float(np.dot(shares, informed)) <= expected.objective_eur + 1e-6


def test_binaries_of_every_future_are_kept() -> None:
    """Negative import prices: no future charges and discharges at once, though burning energy would pay."""
    problem = sunny((0.5, [0.0, 1.0, 0.0, 0.0]), (0.5, [0.0, 3.0, 0.0, 0.0]))
    battery = Battery(2.0, 1.0, 1.0, 0.7, 0.7, 1.0, 0.0, 0.0)
    level = np.array([1.0])
    prices = problem.import_eur_per_kwh.copy()
    prices[0, 1] = -0.5
    problem = replace(problem, batteries=(battery,), initial_soc_kwh=level, final_soc_kwh=level, import_eur_per_kwh=prices)
    stages = stages_of(problem)
    assert len(stages.over(problem.futures).columns["charging"]) == 8
    schedule = fifo_schedule(problem)
    it_kw = it_power_kw(problem, schedule)
    costs = stages.costs(schedule, problem.futures)
    for future, cost in zip(problem.futures, costs, strict=True):
        value, energy = stages.recourse(it_kw, future)
        assert np.minimum(energy.charge_kw, energy.discharge_kw).max() == pytest.approx(0.0, abs=1e-9)
        priced = sum(breakdown_eur(with_future(problem, future), energy).values())
        assert value == pytest.approx(priced)
        assert cost == pytest.approx(value + sum(task_eur(problem, schedule).values()))


def test_the_plan_passes_its_check() -> None:
    """Placement of many futures, energy of what the plan counts on: every rule of the scenario holds."""
    planning = PlanningSettings(time_limit_s=20.0, scenarios=FutureSettings(4, 20), renewable_quantile=0.4)
    scenario = small_scenario(planning=planning, errors=ErrorModel(load_sigma=0.1))
    plan = TwoStagePolicy().plan(build_problem(scenario))
    assert check_plan(scenario, plan) == ()
    assert plan.policy == "milp-two-stage"


def test_asked_to_stop_there_is_a_plan() -> None:
    """Somebody who asks to stop from the start still gets a plan, with what it costs over the futures."""
    plan = TwoStagePolicy(lambda: True).plan(small_problem())
    assert plan.status is SolveStatus.INTERRUPTED
    assert plan.expected is not None
    assert plan.expected.bound_eur is None
