"""Plans that hold in AC: cutting back, its rows in the model, and what is told of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.errors import InputError
from grid.network import Network, load_network
from grid.series import Series
from scheduler.build import build_problem
from scheduler.grid_view import GridView
from scheduler.network_limits import ElementKind, Headroom, NetworkCut, NetworkReport, excess_kw
from scheduler.on_grid import ROUNDS, OnGrid, net_import_kw, on_grid
from scheduler.optimiser.large.translate import case_of, obstacles_to_scale
from scheduler.optimiser.policy import MilpPolicy, compiled
from scheduler.plan import Plan, SolveStatus
from scheduler.plan_json import plan_from_dict, plan_to_dict
from scheduler.policies.fifo import Fifo
from scheduler.scenario import NetworkSpec, PlanningSettings, RehearsalSettings, Scenario
from tests.factory import job, site, small_scenario

CODE = "1-LV-rural1--0-sw"
EXACT = PlanningSettings(relative_gap=0.0, limit_margin=0.0, time_limit_s=60.0)


@pytest.fixture(scope="module")
def network() -> Network:
    """A rural low-voltage grid with a transformer of 160 kVA."""
    return load_network(CODE)


def village(*, minutes: int = 60, base_kw: float = 0.0, scale: float = 1.0, **rules: float) -> Scenario:
    """Two sites on the grid with eight jobs of 20 kW that are all released at once and have all day."""
    scenario = small_scenario(24 * 60 // minutes, minutes, datasets=(), links=(), planning=EXACT)
    sites = []
    for name, bus in (("west", "LV1.101 Bus 9"), ("east", "LV1.101 Bus 13")):
        made = site(scenario.horizon, name, nodes=4, bus=bus, peak_eur_per_kw=0.0, import_limit_kw=400.0)
        rack = replace(made.nodes[0], peak_kw=20.0)
        flat = Series.constant(100.0, scenario.horizon, "EUR/MWh")
        tariff = replace(made.tariff, import_eur_per_mwh=flat, export_eur_per_mwh=flat.scaled(0.2))
        sites.append(replace(made, nodes=(rack,), overhead_kw=base_kw, tariff=tariff, solar_kw=None))
    jobs = tuple(job(f"j{k}", duration_h=3, sites=("west", "east"), drop_eur=1000.0) for k in range(8))
    spec = NetworkSpec(CODE, "2016-01-14T00:00:00", scale)
    # Carbon is cheapest at 13:00, so that all jobs want to run at once around noon.
    weights = replace(scenario.weights, carbon_eur_per_kg=1.0)
    return replace(
        scenario,
        sites=tuple(sites),
        jobs=jobs,
        network=spec,
        weights=weights,
        rehearsal=RehearsalSettings(0, mains_outages=0, **rules),
    )


def ac(scenario: Scenario, network: Network, plan: Plan) -> tuple[float, float]:
    """Highest transformer loading and lowest voltage of a plan, by the power flow alone, in quarter-hours."""
    assert scenario.network is not None
    pieces = int(plan.horizon.step / timedelta(minutes=15))
    fine = replace(plan.horizon, step=timedelta(minutes=15), slots=plan.horizon.slots * pieces)
    powers = {name: np.repeat(net_import_kw(plan)[s], pieces) for s, name in enumerate(plan.sites)}
    buses = {one.name: one.connection.bus for one in scenario.sites if one.connection.bus}
    start, scale = scenario.network.profile_start, scenario.network.household_scale
    result = network.power_flow(fine, start, powers, buses, household_scale=scale, confirm=0)
    return float(result.transformer_loading_pct.max()), float(result.voltage_pu.min())


def test_a_plan_that_overloads_is_cut_back_until_ac_holds(network: Network) -> None:
    """Alone the optimiser overloads the transformer; held to the grid it does not, runs every job, and loses nothing by it."""
    scenario = village()
    problem = build_problem(scenario)
    alone = MilpPolicy().plan(problem)
    assert ac(scenario, network, alone)[0] > 105.0
    policy = OnGrid(MilpPolicy(), scenario, network)
    plan = policy.plan(problem)
    assert plan.network is not None
    assert plan.network.left == ()
    assert plan.network.rounds <= ROUNDS
    assert not plan.dropped
    assert plan.energy.unserved_kw.max() == 0.0
    assert 80.0 < ac(scenario, network, plan)[0] <= 100.0
    known = MilpPolicy().plan(replace(problem, cuts=policy.cuts))
    assert plan.objective_eur == pytest.approx(known.objective_eur, rel=0.01)
    assert alone.objective_eur < plan.objective_eur


def test_the_headroom_is_rating_minus_peak_and_the_error_is_that_of_the_last_linearisation(network: Network) -> None:
    """Released kVA of the transformer follow from its AC peak; errors are small and their maximum is not below their p99."""
    scenario = village(minutes=15)
    plan = on_grid(MilpPolicy(), scenario, network).plan(build_problem(scenario))
    report = plan.network
    assert report is not None
    transformer = report.headroom[0]
    assert transformer.kind is ElementKind.TRANSFORMER
    assert transformer.rating == pytest.approx(160.0, rel=0.01)
    assert transformer.released == pytest.approx(transformer.rating * (1 - ac(scenario, network, plan)[0] / 100.0), abs=1e-6)
    assert report.voltage_error_p99_pu is not None
    assert report.voltage_error_max_pu is not None
    assert 0 < report.voltage_error_p99_pu <= report.voltage_error_max_pu < 0.005
    assert report.loading_error_p99_pct is not None
    assert report.loading_error_max_pct is not None
    assert report.loading_error_p99_pct <= report.loading_error_max_pct < 3.0


def test_a_voltage_band_binds_too(network: Network) -> None:
    """A band that the optimiser alone leaves is kept after cutting back."""
    scenario = village(voltage_low_pu=0.995)
    problem = build_problem(scenario)
    assert ac(scenario, network, MilpPolicy().plan(problem))[1] < 0.995
    plan = on_grid(MilpPolicy(), scenario, network).plan(problem)
    assert ac(scenario, network, plan)[1] >= 0.995
    assert plan.network is not None
    assert plan.network.left == ()


def test_what_no_plan_can_mend_is_named(network: Network) -> None:
    """Households that alone overload the transformer leave a plan that says which element and slot, and nothing goes unserved."""
    scenario = village(scale=6.0)
    plan = on_grid(MilpPolicy(), scenario, network).plan(build_problem(scenario))
    assert plan.network is not None
    assert any("Trafo" in sentence and "slot" in sentence and "limit 100 %" in sentence for sentence in plan.network.left)
    assert plan.status is not SolveStatus.UNKNOWN


def test_a_grid_without_a_solution_is_told_not_hidden(network: Network) -> None:
    """Fixed load beyond what the grid can carry: the plan is there and its report holds the power flow's own words."""
    scenario = village(base_kw=390.0, scale=40.0)
    plan = on_grid(MilpPolicy(), scenario, network).plan(build_problem(scenario))
    assert plan.network is not None
    assert plan.network.voltage_error_max_pu is None
    assert len(plan.network.left) == 1
    assert plan_from_dict(json.loads(json.dumps(plan_to_dict(plan)))).network == plan.network


def test_no_network_changes_nothing_and_rules_are_asked_too(network: Network) -> None:
    """Without network or buses the inner policy's plan is handed on; a rule that knows no cuts overloads, which is told."""
    scenario = village()
    bare = replace(scenario, network=None)
    inner = Fifo()
    assert on_grid(inner, bare, network) is inner
    assert on_grid(inner, scenario, None) is inner
    unplugged = [replace(one, connection=replace(one.connection, bus=None)) for one in scenario.sites]
    off = replace(scenario, sites=tuple(unplugged))
    assert OnGrid(inner, off, network).plan(build_problem(off)).network is None
    told = OnGrid(inner, scenario, network).plan(build_problem(scenario))
    assert told.network is not None
    assert told.network.rounds == ROUNDS
    assert any("Trafo" in sentence for sentence in told.network.left)


@settings(max_examples=20, deadline=None)
@given(limit=st.floats(20.0, 150.0), weights=st.tuples(st.floats(0.1, 2.0), st.floats(0.1, 2.0)), slot=st.integers(0, 23))
def test_the_model_keeps_every_cut(limit: float, weights: tuple[float, float], slot: int) -> None:
    """For any cut with a limit that is not negative there is a plan, and it keeps the cut to solver tolerance."""
    problem = build_problem(village())
    cuts = tuple(NetworkCut(ElementKind.LINE, "line", t, (0, 1), weights, limit) for t in {slot, 12, 13})
    plan = MilpPolicy().plan(replace(problem, cuts=cuts, settings=replace(EXACT, relative_gap=0.05)))
    assert excess_kw(cuts, net_import_kw(plan)) <= 1e-5
    assert plan.status is not SolveStatus.INFEASIBLE


def test_rows_exist_where_they_may_bind_in_both_solvers(network: Network) -> None:
    """Wide connections give rows, narrow ones none; the large-scale solver is told the same ones as the reference."""
    scenario = village()
    assert scenario.network is not None
    problem = build_problem(scenario)
    view = GridView(scenario, network, scenario.network, problem)
    cuts = view.possible_cuts(view.linearise(view.forecast_kw))
    assert cuts
    assert all(cut.limit >= 0 for cut in cuts)
    limited = replace(problem, cuts=cuts)
    assert len(compiled(limited)[1].rows["network_cut"]) == len(cuts)
    assert obstacles_to_scale(limited) == []
    assert len(case_of(limited).rows) == len(cuts)
    narrow = replace(problem, import_limit_kw=np.full_like(problem.import_limit_kw, 5.0))
    view = GridView(scenario, network, scenario.network, narrow)
    assert view.possible_cuts(view.linearise(view.forecast_kw)) == ()


def test_broken_reports_are_refused_with_every_fault(network: Network) -> None:
    """Unknown and missing keys, wrong kinds and types of ``network`` in a plan file are all told at once."""
    scenario = village()
    plan = MilpPolicy().plan(build_problem(scenario))
    room = Headroom(ElementKind.LINE, "a", 10.0, 4.0)
    plan = replace(plan, network=NetworkReport(1, 2, 0.1, 0.05, 1.0, 0.5, (room,), ("x",)))
    data = json.loads(json.dumps(plan_to_dict(plan)))
    assert plan_from_dict(data).network == plan.network
    assert data["network"]["headroom"][0]["released"] == 6.0
    data["network"] |= {"rounds": "1", "odd": 1, "voltage_error_max_pu": True, "left": None}
    del data["network"]["cuts"]
    with pytest.raises(InputError) as caught:
        plan_from_dict(data)
    for field in ("network.rounds", "network.odd", "network.voltage_error_max_pu", "network.left", "network.cuts"):
        assert field in str(caught.value)
    data["network"] = {**plan_to_dict(plan)["network"], "headroom": [{"kind": "wire"}, 5], "left": [3]}
    with pytest.raises(InputError, match=r"headroom\[0\].kind"):
        plan_from_dict(data)
