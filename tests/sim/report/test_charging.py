"""Figures of charging points: peak hours and shares by hand, sentences that name what matters, nothing without them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.assets.charging import ChargingFleet
from grid.assets.charging_sessions import Session
from scheduler.asset_runs import rule_runs
from scheduler.build import build_problem
from sim.report.charging import charging_figures, departure_rows, off_peak_share, peak_share
from sim.report.charging_words import charging_sentences
from sim.report.page import report_html
from tests.factory import day_horizon
from tests.records import example_record

FLEET = ChargingFleet(
    "points",
    (Session("a", 1.0, 6.0, 7.2, 4.0), Session("b", 3.0, 4.0, 7.2, 4.0)),
    5.0,
    0.9,
    peak_h=((1.5, 2.0), (1.75, 3.0)),
)


def test_peak_hours_that_overlap_count_once() -> None:
    """From 1:30 to 3:00: half of the second hour and all of the third; charging at once takes six of twelve kWh outside them."""
    horizon = day_horizon(8)
    assert peak_share(FLEET, horizon) == pytest.approx(np.array([0, 0.5, 1, 0, 0, 0, 0, 0]))
    taken = FLEET.rule(horizon, np.zeros(8))["charge_kw"]
    assert taken == pytest.approx(np.array([0, 4, 4, 4, 0, 0, 0, 0]))
    assert off_peak_share(FLEET, taken, horizon) == pytest.approx(6 / 12)
    assert off_peak_share(FLEET, np.zeros(8), horizon) is None
    assert off_peak_share(replace(FLEET, peak_h=()), taken, horizon) is None


@given(
    windows=st.lists(st.tuples(st.floats(-2, 9), st.floats(0, 5)), max_size=4),
    minutes=st.sampled_from([15, 60]),
)
def test_peak_hours_do_not_depend_on_the_step(windows: list[tuple[float, float]], minutes: int) -> None:
    """The hours inside windows, counted by fine sampling, are those of the shares, in every slot between 0 and 1."""
    fleet = replace(FLEET, peak_h=tuple((start, start + length) for start, length in windows))
    horizon = day_horizon(8 * 60 // minutes, minutes)
    share = peak_share(fleet, horizon)
    assert ((share >= 0) & (share <= 1 + 1e-9)).all()
    moments = (np.arange(8000) + 0.5) / 1000
    inside = np.zeros(8000, dtype=bool)
    for first, last in fleet.peak_h:
        inside |= (moments >= first) & (moments < last)
    assert share.sum() * horizon.step_h == pytest.approx(inside.mean() * 8, abs=0.01)


def record_with_cars() -> Any:
    """The example record with charging points at its hall, all plans charging at once; nothing of it was realised."""
    record = example_record()
    sites = tuple(replace(site, assets=(FLEET,)) if site.name == "hall" else site for site in record.scenario.sites)
    scenario = replace(record.scenario, sites=sites)
    problem = build_problem(scenario)
    runs = rule_runs(problem, problem.fixed_kw)
    first = record.plans[0]
    plans = (replace(first, plan=replace(first.plan, assets=runs)), *record.plans[1:])
    before = {name: replace(plan, assets=runs) for name, plan in record.baseline_plans.items()}
    return replace(record, scenario=scenario, plans=plans, baseline_plans=before, outcome=None, baselines={})


def test_a_plan_that_was_not_realised_names_who_will_leave_short() -> None:
    """One hour at 4 kW through 90 % leaves 3.6 of 7.2 kWh missing: car b is named from the plan itself, in figures and page."""
    record = record_with_cars()
    figures = charging_figures(record)
    assert figures is not None
    (fleet,) = figures["fleets"]
    assert (fleet["sessions"], fleet["groups"], fleet["asked_kwh"]) == (2, 2, pytest.approx(14.4))
    assert fleet["short"] == [{"session": "b", "missing_kwh": pytest.approx(3.6)}]
    assert (fleet["avoided_peak_kw"], figures["v2g_benefit_eur"]) == (pytest.approx(0.0), None)
    rows = [row for row in departure_rows(record) if row["policy"] == "plan"]
    assert {row["session"]: row["planned_missing_kwh"] for row in rows} == pytest.approx({"a": 0.0, "b": 3.6})
    assert {row["realised_missing_kwh"] for row in rows} == {None}
    assert "b (3.60 kWh)" in report_html(record)


def test_nothing_without_charging_points() -> None:
    """A run without them has no such figures, rows or section."""
    record = example_record()
    assert charging_figures(record) is None
    assert departure_rows(record) == []
    assert "Charging points" not in report_html(record)


def test_sentences_name_peaks_shares_and_cars() -> None:
    """What is told in the terminal and on the page of scenarios; what is not known is left out."""
    fleet = {
        "site": "street",
        "asset": "points",
        "sessions": 1250,
        "at_once_peak_kw": 3843.6,
        "peak_kw": 3231.7,
        "off_peak_share": 0.993,
        "at_once_off_peak_share": 0.461,
        "may_give": 100,
        "gave": 15,
        "given_back_kwh": 94.4,
        "short_cars": 52,
        "short": [{"session": "a", "missing_kwh": 3.6}],
    }
    first, second = charging_sentences({"fleets": [fleet], "v2g_benefit_eur": 2.37})
    for words in ("1,250 cars", "3,232 kW instead of 3,844 kW", "99.3% taken", "15 of 100 cars", "a (3.60 kWh) and 51 more"):
        assert words in first
    assert second == "giving back is worth 2.37 EUR beyond shifting"
    bare = fleet | {"at_once_peak_kw": None, "off_peak_share": None, "may_give": 0, "short_cars": 0, "short": []}
    assert list(charging_sentences({"fleets": [bare], "v2g_benefit_eur": None})) == ["points of street: 1,250 cars"]
