"""Proof of delivery of demand-response events: baseline, settlement on quarters, and what nobody may invent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.response.event import CapacityEvent
from scheduler.build import build_problem
from scheduler.outcome import EventDelivery, Outcome
from scheduler.placement import assign_nodes
from scheduler.plan import Plan
from scheduler.policies.fifo import Fifo
from scheduler.scenario import Scenario
from sim.rehearsal import event_baseline, realise, rehearse, without_events
from sim.world.deliveries import PLAN_BEFORE, PLAN_WITHOUT
from tests.factory import START, small_scenario
from tests.sim.hand import exact, hand_plan


def event(start_min: int, end_min: int, *, site: str = "hall", limit_kw: float = 0.6, received_min: int = 0) -> CapacityEvent:
    """A limit on a site; minutes count from the start of the day."""
    minute = timedelta(minutes=1)
    start, end, received = (START + count * minute for count in (start_min, end_min, received_min))
    return CapacityEvent(f"peak-{start_min}", site, start, end, limit_kw, 2.0, received)


def planned(scenario: Scenario) -> Plan:
    """First come, first served."""
    return assign_nodes(scenario, Fifo().plan(build_problem(scenario)))


def mean_kw(outcome: Outcome, item: EventDelivery) -> float:
    """Mean net import of an event that begins and ends with slots."""
    s, first = outcome.sites.index(item.site), outcome.horizon.floor_slot(item.start)
    last = outcome.horizon.ceil_slot(item.end)
    net = outcome.energy.import_kwh[s, first:last] - outcome.energy.export_kwh[s, first:last]
    return float(net.mean()) / outcome.horizon.step_h


def test_without_a_plan_that_did_not_know_the_event_nothing_is_stated() -> None:
    """An event known before the start, and no baseline given: no baseline and no delivery, in words."""
    scenario = small_scenario(events=(event(120, 240),))
    (item,) = realise(scenario, planned(scenario), 1).deliveries
    assert item.baseline_kw is None
    assert item.delivered_kw is None
    assert "not stated" in item.baseline_method


def test_a_plan_without_the_event_is_the_baseline() -> None:
    """The same policy plans without events; its realisation at the same seed is the baseline of the rehearsed plan."""
    scenario = small_scenario(events=(event(120, 240),))
    plain = without_events(scenario)
    assert plain.events == ()
    baseline = event_baseline(scenario, planned(plain))
    assert baseline.deliveries == ()
    assert baseline.seed == scenario.seed
    rehearsal = rehearse(scenario, planned(scenario), baseline=baseline)
    assert rehearsal.nominal is not None
    (item,) = rehearsal.nominal.deliveries
    assert item.baseline_kw == pytest.approx(mean_kw(baseline, item))
    assert item.baseline_method == PLAN_WITHOUT == "plan without the event, same seed"
    assert item.delivered_kw is not None
    assert item.delivered_kw == pytest.approx(mean_kw(baseline, item) - mean_kw(rehearsal.nominal, item))
    for run in rehearsal.stressed:  # other seeds: another world
        assert [entry.baseline_kw for entry in run.deliveries] == [None]


def test_a_plan_that_knew_an_event_is_not_its_baseline() -> None:
    """An event known before and one in mid-run: each has the baseline of the plan that did not know it."""
    early, late = event(120, 240), event(18 * 60, 20 * 60, received_min=600)
    scenario = small_scenario(events=(early,))
    without = event_baseline(scenario, planned(without_events(scenario)))
    for baseline in (without, None):
        before = realise(scenario, planned(scenario), scenario.seed, baseline=baseline)
        both = replace(scenario, events=(early, late))
        first, second = realise(both, planned(scenario), scenario.seed, baseline=before).deliveries
        assert first.baseline_kw == (None if baseline is None else pytest.approx(mean_kw(without, first)))
        assert second.baseline_kw == pytest.approx(mean_kw(before, second))
        assert second.baseline_method == PLAN_BEFORE


def test_a_baseline_of_another_seed_is_refused() -> None:
    """Another seed is another weather: its difference is no delivery."""
    scenario = small_scenario(events=(event(120, 240),))
    baseline = realise(without_events(scenario), planned(scenario), 4)
    with pytest.raises(ValueError, match="seed 4"):
        realise(scenario, planned(scenario), 5, baseline=baseline)


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from([(24, 60), (96, 15), (288, 5)]),
    st.integers(0, 23 * 60),
    st.integers(1, 300),
    st.sampled_from(["cabinet", "hall", "vault"]),
    st.floats(-5.0, 3.0),
)
def test_the_proof_and_the_bill_settle_alike(
    axis: tuple[int, int], start_min: int, minutes: int, site: str, limit_kw: float
) -> None:
    """Events that begin and end in mid-quarter: the penalty is the shortfall times its price, exactly."""
    limited = event(start_min, start_min + minutes, site=site, limit_kw=limit_kw)
    scenario = small_scenario(*axis, events=(limited,))
    outcome = realise(scenario, planned(scenario), 2)
    (item,) = outcome.deliveries
    penalty = item.shortfall_kwh * limited.penalty_eur_per_kwh
    assert outcome.totals.breakdown_eur["event_penalty"] == pytest.approx(penalty, rel=1e-12, abs=1e-12)
    assert item.worst_kw >= item.actual_kw - 1e-9


def test_an_event_in_mid_quarter_by_hand() -> None:
    """An idle hall of 0.58 kW, 0.08 above the limit, for 4 minutes of one quarter and 6 of the next."""
    limited = event(11, 21, limit_kw=0.5)
    scenario = small_scenario(jobs=(), datasets=(), events=(limited,))
    outcome = realise(scenario, planned(scenario), 2)
    (item,) = outcome.deliveries
    assert item.actual_kw == item.worst_kw == pytest.approx(0.1 + 1.2 * 0.4)
    assert item.shortfall_kwh == pytest.approx(0.08 * 10 / 60)
    assert outcome.totals.breakdown_eur["event_penalty"] == pytest.approx(2.0 * 0.08 * 10 / 60)


def test_an_emptied_battery_is_no_saving() -> None:
    """What a battery lacks at the end is part of the energy cost, at the price of refilling it."""
    scenario = exact(small_scenario(jobs=(), datasets=()))
    power = np.zeros(24)
    power[1:4] = -0.3
    outcome = realise(scenario, hand_plan(scenario, battery_kw={"cabinet": power}), 2)
    parts = outcome.totals.breakdown_eur
    assert outcome.energy.soc_kwh[0, -1] < 5.0
    assert parts["soc_shortfall"] > 0
    paid = ("energy_import", "energy_export", "peak", "battery_wear", "event_penalty", "soc_shortfall")
    assert outcome.totals.cost_eur == pytest.approx(sum(parts[name] for name in paid))
    assert np.isclose(outcome.totals.objective_eur, sum(parts.values()))
