"""Prices at which a careless model sheds load, drains a battery, burns energy or claims an optimum that it has not proven."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grid.assets.battery import Battery
from grid.response.event import CapacityEvent
from grid.series import Series
from scheduler.build import build_problem
from scheduler.last_resort import MARGIN_EUR_PER_KWH, last_resort, last_resorts, slots_touched
from scheduler.optimiser import evaluate as evaluation
from scheduler.optimiser.highs import Answer, Limits, StopAsked, solve_integer
from scheduler.optimiser.policy import MilpPolicy, _status
from scheduler.optimiser.search import enough_gap
from scheduler.plan import SolveStatus
from scheduler.scenario import PlanningSettings, Scenario
from scheduler.workload import JobKind
from tests.factory import START, day_horizon, job, site, small_scenario
from tests.scheduler.checks import check_plan

UNIT = Battery(10.0, 5.0, 5.0, 0.95, 0.95, 5.0, 0.0, 0.02)


def one_site(
    import_eur_per_mwh: float,
    export_eur_per_mwh: float = 0.0,
    *,
    battery: Battery | None = UNIT,
    peak_eur_per_kw: float = 0.1,
    event: tuple[float, float] | None = None,
    slots: int = 24,
    minutes: int = 60,
) -> Scenario:
    """One hall (0.34 kW without work, connection of 4 kW); ``event``: limit in kW and penalty, from 10 to 12 h."""
    horizon = day_horizon(slots, minutes)
    hall = site(
        horizon, "hall", nodes=2, battery=battery, import_limit_kw=4.0, export_limit_kw=4.0, peak_eur_per_kw=peak_eur_per_kw
    )
    tariff = replace(
        hall.tariff,
        import_eur_per_mwh=Series.constant(import_eur_per_mwh, horizon, "EUR/MWh"),
        export_eur_per_mwh=Series.constant(export_eur_per_mwh, horizon, "EUR/MWh"),
    )
    begin, end = START + timedelta(hours=10), START + timedelta(hours=12)
    events = (CapacityEvent("e", "hall", begin, end, *event, START),) if event else ()
    sites = (replace(hall, tariff=tariff),)
    return Scenario("one", "one", 1, horizon, sites, events=events, planning=PlanningSettings(limit_margin=0.0))


def test_a_day_of_negative_prices_has_a_bound_and_ends_by_its_gap() -> None:
    """96 slots at -90 EUR/MWh with a battery: a bound, the asked gap of 1 % proven, no energy burnt, the battery not drained."""
    jobs = (job("a"), job("b", duration_h=3, kind=JobKind.INTERRUPTIBLE))
    problem = build_problem(replace(one_site(-90.0, -100.0, slots=96, minutes=15), jobs=jobs))
    plan = MilpPolicy().plan(problem)
    check_plan(problem, plan)
    assert plan.bound_eur is not None
    assert plan.gap is not None
    assert plan.gap <= 0.01
    assert plan.status is SolveStatus.OPTIMAL
    assert plan.energy.soc_kwh[0, -1] >= 5.0 - 1e-6


def test_evaluations_are_limited_and_heed_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Branch and bound of an evaluation has a node limit, little time and the caller's ``stop``; stopped, none runs."""
    seen: list[tuple[Limits, StopAsked]] = []

    def spied(model: object, limits: Limits, start: object, stop: StopAsked) -> Answer:
        seen.append((limits, stop))
        return solve_integer(model, limits, start, stop)  # type: ignore[arg-type]

    def stopped() -> bool:
        return True

    def running() -> bool:
        return False

    monkeypatch.setattr(evaluation, "solve_integer", spied)
    problem = build_problem(one_site(-90.0, 50.0, slots=8))
    MilpPolicy(running).plan(problem)
    assert seen
    for limits, stop in seen:
        assert limits.nodes is not None
        assert limits.time_s <= 0.05 * problem.settings.time_limit_s
        assert stop is running
    seen.clear()
    plan = MilpPolicy(stopped).plan(problem)
    check_plan(problem, plan)
    assert plan.status is SolveStatus.INTERRUPTED
    assert not seen


def test_overshoot_is_paid_before_load_is_shed() -> None:
    """0.34 kW of load under an event limit of 0.1 kW at 20 EUR/kWh: nothing unserved, 2 h of 0.24 kW are paid."""
    problem = build_problem(one_site(100.0, battery=None, event=(0.1, 20.0)))
    plan = MilpPolicy().plan(problem)
    check_plan(problem, plan)
    assert plan.energy.unserved_kw.max() == 0.0
    assert plan.breakdown_eur["event_penalty"] == pytest.approx(2 * (problem.fixed_kw[0, 10] - 0.1) * 20.0)


@pytest.mark.parametrize("battery", [None, UNIT])
def test_an_event_that_asks_for_export_sells_no_unserved_load(battery: Battery | None) -> None:
    """Limit -3 kW at 20 EUR/kWh: nothing unserved, and ``optimal`` means the plan's own gap."""
    problem = build_problem(one_site(100.0, 50.0, battery=battery, event=(-3.0, 20.0)))
    plan = MilpPolicy().plan(problem)
    check_plan(problem, plan)
    assert plan.energy.unserved_kw.max() == 0.0
    assert plan.gap is not None
    assert plan.gap <= enough_gap(problem.settings)
    assert plan.status is SolveStatus.OPTIMAL


def test_status_is_that_of_the_finished_plan() -> None:
    """A plan above the asked gap or without a bound is never optimal; a stop counts before everything else."""
    problem = build_problem(one_site(100.0))
    plan = MilpPolicy().plan(problem)
    assert _status(problem, replace(plan, gap=0.01), lambda: False) is SolveStatus.OPTIMAL
    assert _status(problem, replace(plan, gap=0.01 + 1e-8), lambda: False) is SolveStatus.TIME_LIMIT
    assert _status(problem, replace(plan, gap=None), lambda: False) is SolveStatus.TIME_LIMIT
    assert _status(problem, replace(plan, status=SolveStatus.INFEASIBLE), lambda: False) is SolveStatus.INFEASIBLE
    assert _status(problem, replace(plan, status=SolveStatus.INFEASIBLE), lambda: True) is SolveStatus.INTERRUPTED


def test_a_stop_at_the_last_moment_is_told() -> None:
    """Ctrl-C after the gap was reached: the same plan, but INTERRUPTED, so that the caller can end the run."""
    problem = build_problem(small_scenario())
    said: list[str] = []
    plan = MilpPolicy(lambda: False).plan(problem, said.append)
    assert plan.status is SolveStatus.OPTIMAL
    assert not any("-0.00" in text for text in said)
    again: list[str] = []
    other = MilpPolicy(lambda: len(again) == len(said)).plan(problem, again.append)
    assert other.status is SolveStatus.INTERRUPTED
    assert other.objective_eur == plan.objective_eur


@pytest.mark.parametrize("price", [100.0, -90.0])
@pytest.mark.parametrize("event", [None, (0.0, 20.0), (-3.0, 20.0)])
def test_a_battery_is_never_drained(price: float, event: tuple[float, float] | None) -> None:
    """With a peak charge of 2 EUR/kW (and events at 20 EUR/kWh) the battery ends as it began: draining does not save the peak."""
    problem = build_problem(one_site(price, price - 10.0, peak_eur_per_kw=2.0, event=event))
    plan = MilpPolicy().plan(problem)
    check_plan(problem, plan)
    assert plan.energy.soc_kwh[0, -1] >= 5.0 - 1e-6
    assert plan.breakdown_eur["soc_shortfall"] == pytest.approx(0.0, abs=1e-4)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000))
def test_draining_never_pays_whatever_the_prices(seed: int) -> None:
    """Random prices of both signs, wear, losses, peak charges and events: plans end with the charge that they began with."""
    rng = np.random.default_rng(seed)
    horizon = day_horizon(6, 60)
    inward, outward = rng.uniform(0.7, 1.0, 2)
    unit = Battery(4.0, 2.0, 2.0, float(inward), float(outward), 2.0, 0.0, float(rng.uniform(0, 0.3)))
    peak = float(rng.choice([0.0, 2.0, 20.0]))
    hall = site(horizon, "hall", nodes=2, battery=unit, peak_eur_per_kw=peak, solar_kw=0.0, import_limit_kw=4.0)
    price = rng.uniform(-300, 300, 6)
    tariff = replace(
        hall.tariff,
        import_eur_per_mwh=Series.on(horizon, price, "EUR/MWh"),
        export_eur_per_mwh=Series.on(horizon, price + rng.uniform(-200, 200, 6), "EUR/MWh"),
    )
    begin = START + timedelta(hours=3)
    event = CapacityEvent(
        "e", "hall", begin, begin + timedelta(hours=2), float(rng.uniform(-3, 1)), float(rng.choice([1.0, 30.0])), START
    )
    exact = PlanningSettings(relative_gap=0.0, limit_margin=0.0)
    scenario = Scenario("r", "r", 1, horizon, (replace(hall, tariff=tariff),), events=(event,), planning=exact)
    problem = build_problem(scenario)
    plan = MilpPolicy().plan(problem)
    check_plan(problem, plan)
    assert plan.energy.soc_kwh[0, -1] >= 2.0 - 1e-6
    assert plan.energy.unserved_kw.max() == 0.0


def test_prices_of_last_resort_by_hand() -> None:
    """Dearest energy 0.3, two events at once 2 + 3, peak 2 EUR/kW on a quarter: D = 13.3; never below the margin."""
    weight, export = np.array([0.3, -0.1]), np.array([0.1, 0.2])
    unit = Battery(1.0, 1.0, 1.0, 0.8, 0.5, 0.5, 0.0, 0.02)
    events = [(0, 2, 2.0), (1, 2, 3.0)]
    prices = last_resort(unit, weight, export, events, 2.0, 1.0, 5.0)
    missing = (13.3 + 0.01) / 0.8 + MARGIN_EUR_PER_KWH
    assert prices.missing_eur_per_kwh == pytest.approx(missing)
    assert prices.unserved_eur_per_kwh == pytest.approx(missing / 0.5 + 0.01 + MARGIN_EUR_PER_KWH)
    finer = last_resort(unit, weight, export, events, 2.0, 1 / 12, 5.0)
    assert finer.missing_eur_per_kwh == pytest.approx((0.3 + 5 + 24 + 0.01) / 0.8 + MARGIN_EUR_PER_KWH)
    cheap = last_resort(None, -weight, -export, [], 0.0, 1.0, 5.0)
    assert (cheap.missing_eur_per_kwh, cheap.unserved_eur_per_kwh) == (0.0, 5.0)
    assert (
        last_resort(replace(unit, wear_eur_per_kwh=0.0), -np.ones(2), -np.ones(2), [], 0.0, 1.0, 0.0).missing_eur_per_kwh == 0.01
    )
    assert last_resorts(build_problem(one_site(100.0)))[0].missing_eur_per_kwh > 0.1


def test_slots_touched() -> None:
    """A slot counts when the period shares any time with it."""
    horizon = day_horizon(4, 60)
    start = horizon.start_s
    assert slots_touched(horizon, start + 1800, start + 7200) == (0, 2)
    assert slots_touched(horizon, start + 3600, start + 7201) == (1, 3)
    assert slots_touched(horizon, start - 9000, start) == (0, 0)
    assert slots_touched(horizon, start + 4 * 3600, start + 9 * 3600) == (4, 4)
