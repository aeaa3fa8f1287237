"""Reasons are found from the numbers and can be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from grid.response.event import CapacityEvent
from grid.series import Series
from scheduler.build import build_problem
from scheduler.optimiser.policy import MilpPolicy
from scheduler.plan import Plan, ReasonKind
from scheduler.scenario import PlanningSettings, Scenario
from scheduler.world import JobState, Observation
from tests.factory import START, day_horizon, job, site, small_scenario

EXACT = PlanningSettings(relative_gap=0.0, limit_margin=0.0)


def one_site(prices: list[float], sun: list[float] | None = None, **changes: object) -> Plan:
    """One node, six hours, the given prices (EUR/MWh) and sun (kW), one job of one hour unless changed."""
    horizon = day_horizon(6, 60)
    made = site(horizon, "hall", nodes=1, peak_eur_per_kw=0.0)
    tariff = replace(
        made.tariff,
        import_eur_per_mwh=Series.on(horizon, prices, "EUR/MWh"),
        export_eur_per_mwh=Series.constant(0.0, horizon, "EUR/MWh"),
    )
    made = replace(made, tariff=tariff, solar_kw=Series.on(horizon, sun, "kW") if sun else None)
    plain = Scenario("r", "r", 1, horizon, (made,), jobs=(job("j", deadline_h=6, duration_h=1),), planning=EXACT)
    return MilpPolicy().plan(build_problem(replace(plain, **changes)))  # type: ignore[arg-type]


def test_cheaper_later() -> None:
    """It waits three hours for the cheap one; what that saves is the difference of prices times 0.48 kWh, and it is told."""
    plan = one_site([200, 200, 200, 100, 200, 200])
    reason = plan.reasons["j"]
    assert reason.kind is ReasonKind.CHEAPEST
    assert reason.numbers["wait_h"] == 3.0
    carbon = reason.numbers["saved_carbon_kg"] * 0.1
    assert reason.numbers["saved_eur"] == pytest.approx(0.48 * 0.1 + carbon)
    assert "Waits 3 h until 03:00 at hall" in reason.text  # horizon starts at local midnight, Amsterdam
    assert "EUR" in reason.text


def test_waits_for_surplus() -> None:
    """Sun that would be curtailed is named with its surplus."""
    reason = one_site([100] * 6, [0, 0, 0, 0, 3, 0]).reasons["j"]
    assert reason.kind is ReasonKind.LOCAL_SURPLUS
    assert reason.numbers["surplus_kw"] == pytest.approx(3 - 0.22)
    assert "sun and wind give 2.8 kW more" in reason.text


def test_at_once_when_waiting_saves_nothing() -> None:
    """The cheapest hour is the first one."""
    reason = one_site([50, 100, 100, 100, 100, 100]).reasons["j"]
    assert "Starts at once" in reason.text
    assert reason.numbers["wait_h"] == 0.0


def test_bound_by_its_deadline() -> None:
    """A window as long as the job leaves one place."""
    reason = one_site([100] * 6, jobs=(job("j", deadline_h=1, duration_h=1),)).reasons["j"]
    assert reason.kind is ReasonKind.DEADLINE


def test_clear_of_an_event() -> None:
    """An event in the first hours with a penalty moves the job behind it, and the event is named."""
    event = CapacityEvent("peak-1", "hall", START, START + timedelta(hours=2), 0.3, 5.0, START)
    reason = one_site([100, 100, 101, 102, 103, 104], events=(event,)).reasons["j"]
    assert reason.kind is ReasonKind.EVENT
    assert "peak-1" in reason.text


def test_running_jobs_and_migrations_have_reasons() -> None:
    """A job that runs says so; a migration tells volume, way and times; every done thing has a reason."""
    scenario = small_scenario()
    seen = Observation(
        1,
        scenario.horizon.time(1),
        frozenset(),
        (JobState("nightly", "hall", ("hall.rack-0",), 1, True),),
        {"cabinet": 5.0},
        {},
        {},
        {},
    )
    plan = MilpPolicy().plan(build_problem(scenario, seen))
    assert plan.reasons["nightly"].kind is ReasonKind.ALREADY_RUNNING
    assert "0.9 TB from hall to vault" in plan.reasons["scans"].text
    assert set(plan.reasons) == {item.name for item in scenario.jobs} | {"scans"}
