"""A record on one time axis: composition of plans in force, exact means, events, placement, reasons."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.outcome import MeteredEnergy
from scheduler.plan import Run
from sim.report.frames import (
    PLAN,
    event_limit_kw,
    events,
    pieces,
    placement_after,
    planned,
    planned_in_force,
    realised,
    realised_by_policy,
    site_names,
    site_voltage_pu,
)
from sim.report.reasons import decisions
from tests.factory import START
from tests.records import example_record


def test_balance_closes_in_every_flow() -> None:
    """Supply equals use at every site and slot, planned and realised, for the plan and for baselines."""
    record = example_record()
    plan = planned_in_force(record)
    assert plan is not None
    for flows in (plan, *realised_by_policy(record).values()):
        supply = flows["import_kw"] + flows["renewable_used_kw"] + flows["discharge_kw"] + flows["unserved_kw"]
        np.testing.assert_allclose(supply, flows["load_kw"] + flows["charge_kw"] + flows["export_kw"], atol=1e-9)


def test_the_later_plan_counts_from_its_first_slot() -> None:
    """Before the second plan's first slot the first plan's flows stand, from it on the second's."""
    record = example_record()
    first, second = record.plans
    start = record.scenario.horizon.floor_slot(second.plan.horizon.start)
    changed = replace(second.plan.energy, import_kw=second.plan.energy.import_kw + 7)
    plans = (first, replace(second, plan=replace(second.plan, energy=changed)))
    flows = planned_in_force(replace(record, plans=plans))
    assert flows is not None
    np.testing.assert_array_equal(flows["import_kw"][:, :start], first.plan.energy.import_kw[:, :start])
    np.testing.assert_array_equal(flows["import_kw"][:, start:], changed.import_kw)


def test_a_plan_of_another_step_is_refused() -> None:
    """A plan that is not on the scenario's slots is an error, never silently stretched."""
    record = example_record()
    plan = record.plans[0].plan
    wrong = replace(plan, horizon=plan.horizon.with_step(timedelta(minutes=30)))
    with pytest.raises(ValueError, match="not on the slots"):
        planned(wrong, record.scenario.horizon, site_names(record))


@given(st.sampled_from([5, 15, 30, 60]))
def test_energy_does_not_depend_on_the_step(minutes: int) -> None:
    """Realised flows read on any step carry the energy of the record, to 1e-9 relative."""
    record = example_record()
    assert record.outcome is not None
    horizon = record.scenario.horizon.with_step(timedelta(minutes=minutes))
    flows = realised(record.outcome, horizon, site_names(record))
    for name in MeteredEnergy.names():
        if name != "soc_kwh":
            total = flows[name.replace("_kwh", "_kw")].sum() * horizon.step_h
            assert total == pytest.approx(getattr(record.outcome.energy, name).sum(), rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(flows["soc_kwh"][:, -1], record.outcome.energy.soc_kwh[:, -1])


def test_pieces_join_over_plans() -> None:
    """A job that runs on under the second plan is one piece; a piece that the second plan takes back ends there."""
    record = example_record()
    found = {(piece.job, piece.start) for piece in pieces(record)}
    assert ("index", START + timedelta(hours=11)) in found
    assert len([piece for piece in pieces(record) if piece.job == "train"]) == 2
    cut = record.scenario.horizon.floor_slot(record.plans[1].plan.horizon.start)
    long = replace(record.plans[0].plan, runs=(Run("index", "cabinet", cut - 4, cut + 4),))
    goes_on = replace(record.plans[1].plan, runs=(Run("index", "cabinet", 0, 4),))
    stops = replace(record.plans[1].plan, runs=())
    for second, slots in ((goes_on, 8), (stops, 4)):
        plans = (replace(record.plans[0], plan=long), replace(record.plans[1], plan=second))
        (piece,) = pieces(replace(record, plans=plans))
        assert piece.end - piece.start == slots * record.scenario.horizon.step


def test_event_limit_covers_its_slots_only() -> None:
    """The event's limit stands in its own slots at its own site, the lower of two counts, elsewhere there is none."""
    record = example_record()
    event = record.scenario.events[0]
    lower = replace(event, name="second", start=event.start + timedelta(hours=1), limit_kw=-1.0)
    limit = event_limit_kw(replace(record, scenario=replace(record.scenario, events=(event, lower))))
    assert limit[0, 18 * 4 : 19 * 4].tolist() == [0.3] * 4
    assert limit[0, 19 * 4 : 20 * 4].tolist() == [-1.0] * 4
    assert np.isnan(limit[1:]).all()
    assert np.isnan(limit[0, : 18 * 4]).all()


def test_events_that_arrived_during_the_run_are_shown() -> None:
    """An event that the scenario did not hold is known by its delivery, received when the plan that it caused came."""
    record = example_record()
    (event,) = events(replace(record, scenario=replace(record.scenario, events=())))
    assert (event.name, event.site, event.limit_kw) == ("peak-1", "cabinet", 0.3)
    assert event.received == record.plans[1].since


def test_voltage_is_that_of_the_bus() -> None:
    """A site's voltage is its bus's; a site outside the network has none."""
    record = example_record()
    assert record.outcome is not None
    network = record.outcome.network
    assert network is not None
    voltage = site_voltage_pu(record.outcome, record.scenario.horizon, site_names(record))
    np.testing.assert_array_equal(voltage[0], network.voltage_pu[:, 2])
    assert np.isnan(voltage[1]).all()


def test_placement_after_the_moves() -> None:
    """A moved dataset leaves its source for its target; one that was not moved stays."""
    assert placement_after(example_record()) == {"photos": ("cabinet",), "scans": ("vault",)}


def test_decisions_compare_with_run_at_once() -> None:
    """A job that starts later than run-at-once is moved by that many hours; dropped ones say why; data moves are listed."""
    found = {item.name: item for item in decisions(example_record())}
    assert found["index"].shift_h == 11
    assert found["index"].moved
    assert found["huge"].site is None
    assert found["huge"].kind == "no_place"
    assert found["scans"].what == "move"
    assert not found["scans"].moved


def test_baselines_stand_beside_the_plan() -> None:
    """Realised flows are keyed by `plan` and by the baselines' names."""
    assert list(realised_by_policy(example_record())) == [PLAN, "fifo", "wait_for_sun"]
