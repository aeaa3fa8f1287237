"""Assets in the reference MILP: proven optima are those of trying everything, and nobody else plans such problems."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.biogas import BiogasChp
from grid.assets.generator import Generator
from grid.errors import SolverError
from scheduler.asset_runs import PlacedAsset
from scheduler.optimiser import seam
from scheduler.optimiser.large.policy import LargePolicy
from scheduler.optimiser.policy import MilpPolicy
from scheduler.optimiser.seam import at_scale
from scheduler.optimiser.two_stage import TwoStagePolicy
from scheduler.plan import SolveStatus
from scheduler.plan_json import plan_from_dict, plan_to_dict
from scheduler.policies.fifo import Fifo
from scheduler.problem import EventLimit, Problem
from tests.scheduler.problems import flat_problem, task

TEST = Generator("emergency", 2, 20.0, 60.0, 0.45, 860.0, test_h=2.0, test_kw=4.0, test_to_h=6.0)


def selling(price: list[float], asset: BiogasChp | Generator) -> Problem:
    """One site with 5 kW of fixed load that exports for 20 EUR/MWh less than it imports for, and one job of 1 kW."""
    problem = flat_problem(price, task("job"))
    shape = problem.fixed_kw.shape
    export = problem.import_eur_per_kwh - 0.02
    return replace(
        problem,
        fixed_kw=np.full(shape, 5.0),
        export_limit_kw=np.full(shape, 50.0),
        export_eur_per_kwh=export,
        assets=(PlacedAsset(0, asset),),
    )


@settings(max_examples=15, deadline=None)
@given(
    price=st.lists(st.integers(20, 200), min_size=6, max_size=6),
    gas_kw=st.sampled_from([5.0, 12.0, 25.0]),
    initial=st.sampled_from([10.0, 40.0]),
    least_h=st.sampled_from([0.0, 2.0, 3.0]),
    start_eur=st.sampled_from([0.0, 0.4]),
)
def test_biogas_optimum_is_that_of_trying_every_pattern(
    price: list[int], gas_kw: float, initial: float, least_h: float, start_eur: float
) -> None:
    """A unit that knows only full power: the plan costs what the cheapest of all 64 patterns of running costs."""
    unit = BiogasChp(
        "digester",
        10.0,
        0.4,
        0.4,
        gas_kw,
        50.0,
        initial_kwh=initial,
        minimum_load=1.0,
        minimum_run_h=least_h,
        start_eur=start_eur,
    )
    problem = selling([float(p) for p in price], unit)
    best = float("inf")
    for pattern in product((0, 1), repeat=6):
        level, possible, runs = initial, True, "".join(map(str, pattern)).split("0")
        for on in pattern:
            level = min(50.0, level + gas_kw - 25.0 * on)
            possible &= level >= 0.0
        ended_inside = [run for run in "".join(map(str, pattern)).rstrip("1").split("0") if run]
        possible &= all(len(run) >= least_h for run in ended_inside) and level >= min(initial, initial + 6 * gas_kw)
        if possible:
            for at in range(6):  # the job runs in one slot
                net = np.full(6, 5.0) - 10.0 * np.array(pattern) + (np.arange(6) == at)
                euro = np.maximum(net, 0) @ np.array(price) / 1000 - np.maximum(-net, 0) @ (np.array(price) - 20) / 1000
                best = min(best, float(euro) + start_eur * sum(bool(run) for run in runs))
    plan = MilpPolicy().plan(problem)
    assert plan.status is SolveStatus.OPTIMAL
    assert plan.objective_eur == pytest.approx(best, abs=1e-6)


def test_the_test_run_goes_to_the_dearest_two_hours() -> None:
    """A test that must happen in the first six hours takes the two dearest neighbours, not the dear ones outside its window."""
    plan = MilpPolicy().plan(selling([50, 60, 150, 140, 50, 50, 300, 300], TEST))
    assert plan.assets[0].series["test"].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert plan.breakdown_eur["assets"] == pytest.approx(2 * 4 * 0.45)


def test_the_test_run_moves_into_an_event() -> None:
    """With a call to import at most 2 kW in hours 4 and 5, the test's 4 kW meet it, though other hours are dearer."""
    problem = replace(selling([50, 60, 150, 140, 50, 50], TEST), events=(EventLimit("call", 0, 4, 6, 2.0, 1.0),))
    plan = MilpPolicy().plan(problem)
    assert plan.assets[0].series["test"].tolist() == [0, 0, 0, 0, 1, 1]
    assert plan.breakdown_eur["event_penalty"] == pytest.approx(0.0, abs=1e-9)


def test_backup_is_no_flexibility_unless_asked_for() -> None:
    """At 900 EUR/MWh fuel at 0.45 EUR/kWh would pay: without flexible_kw the generators stand still, with it they run."""
    still = replace(TEST, test_h=0.0)
    assert not MilpPolicy().plan(selling([900.0] * 4, still)).assets[0].series["power_kw"].any()
    runs = MilpPolicy().plan(selling([900.0] * 4, replace(still, flexible_kw=6.0)))
    assert runs.assets[0].series["power_kw"] == pytest.approx(np.full(4, 6.0))


def test_fossil_carbon_of_fuel_is_priced() -> None:
    """At 2 EUR/kg 860 g/kWh cost 1.72 EUR/kWh: the same generators stand still, and a test counts its carbon."""
    dear = selling([900.0] * 4, replace(TEST, test_h=0.0, flexible_kw=6.0))
    dear = replace(dear, weights=replace(dear.weights, carbon_eur_per_kg=2.0))
    assert not MilpPolicy().plan(dear).assets[0].series["power_kw"].any()
    tested = MilpPolicy().plan(replace(dear, assets=(PlacedAsset(0, TEST),)))
    assert tested.breakdown_eur["carbon"] == pytest.approx(2 * 4 * 0.86 * 2.0)


def test_both_solvers_plan_assets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The large-scale solver finds the reference's optimum, test run included; planning for futures falls back to one future."""
    problem = selling([50.0] * 6, TEST)
    assert not at_scale(problem)
    monkeypatch.setattr(seam, "REFERENCE_COLUMNS", -1)
    assert at_scale(problem)
    assert not at_scale(problem, two_stage=True)
    plan = LargePolicy().plan(replace(problem, settings=replace(problem.settings, time_limit_s=2.0)))
    assert plan.objective_eur == pytest.approx(MilpPolicy().plan(problem).objective_eur, abs=1e-6)
    assert plan.assets[0].series["test"].sum() == 2
    both = TwoStagePolicy().plan(problem)
    assert both.policy == "milp-two-stage"
    assert both.objective_eur == pytest.approx(MilpPolicy().plan(problem).objective_eur, abs=1e-6)


def test_rules_run_assets_by_their_own_rule_and_plans_are_saved_whole() -> None:
    """A baseline tests at once; its plan and the optimiser's come back from JSON with every series."""
    problem = selling([50, 60, 150, 140, 50, 50], TEST)
    for plan in (Fifo().plan(problem), MilpPolicy().plan(problem)):
        again = plan_from_dict(plan_to_dict(plan))
        assert plan_to_dict(again) == plan_to_dict(plan)
        assert again.assets[0].series["test"].tolist() == plan.assets[0].series["test"].tolist()
    assert Fifo().plan(problem).assets[0].series["test"].tolist() == [1, 1, 0, 0, 0, 0]


def test_a_test_that_no_site_can_take_is_told() -> None:
    """20 kW into 6 kW of load without export: there is no plan, and the error names the generator and what to change."""
    problem = selling([50.0] * 6, replace(TEST, test_kw=20.0))
    problem = replace(problem, export_limit_kw=np.zeros_like(problem.export_limit_kw))
    with pytest.raises(SolverError, match="emergency of s0 must give may be more"):
        MilpPolicy().plan(problem)
