"""Contracts in the simulated world: without errors what was planned comes true and costs what was planned."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.contracts.book import ContractBook
from grid.contracts.group import GroupCap
from grid.contracts.limitation import CapacityLimitation, LimitationKind
from grid.contracts.limits import Direction
from grid.contracts.right import TransportRight
from scheduler.build import build_problem
from scheduler.contract_bill import Charge, contract_lines, penalties_eur
from scheduler.late_calls import late_calls
from scheduler.outcome import ViolationKind as K
from sim.plan_check import check_plan
from sim.rehearsal import realise
from sim.world.simulated import SimulatedWorld
from tests.factory import day_horizon
from tests.sim.contracts_hand import contracted, every_kind, hours
from tests.sim.test_plan_comes_true import assert_comes_true, planned


@settings(max_examples=8, deadline=None)
@given(
    right_kw=st.sampled_from([1.1, 4.0]),
    firm=st.sampled_from([0.0, 0.5]),
    cut_h=st.integers(4, 9),
    cap_kw=st.floats(1.4, 4.0),
    block_kw=st.floats(0.6, 1.2),
    minutes=st.sampled_from([15, 30]),
)
def test_what_is_planned_under_contracts_comes_true(
    right_kw: float, firm: float, cut_h: int, cap_kw: float, block_kw: float, minutes: int
) -> None:
    """Random rights, cuts, blocks and caps: no rule is broken, and every flow and cost is as planned to 1e-6."""
    horizon = day_horizon(12 * 60 // minutes, minutes)
    cut = hours(horizon, Direction.IMPORT, cut_h, cut_h + 1, firm)
    right = TransportRight("ato", "a", right_kw, 3.0, firm, 0.0, cuts=(cut,), over_eur_per_kwh=1.0)
    block = hours(horizon, Direction.IMPORT, 1, 4, block_kw)
    blocks = CapacityLimitation("clc", "b", LimitationKind.FIXED_BLOCKS, Direction.IMPORT, (block,), 40.0, 1.0)
    book = ContractBook((right,), (blocks,), (GroupCap("group", ("a", "b"), cap_kw, 2.0, (), 1.0),))
    scenario = contracted(book, slots=horizon.slots, minutes=minutes)
    plan = planned(scenario)
    assert check_plan(scenario, plan) == ()
    assert (plan.energy.import_kw.sum(axis=0) <= cap_kw + 1e-6).all()
    assert_comes_true(scenario, plan)


def test_the_bill_of_a_plan_is_that_of_its_day() -> None:
    """Planned and metered lines are the same; the reward is for every MWh below what was allowed; nothing is owed."""
    scenario = contracted(every_kind(day_horizon(48, 15)))
    plan = planned(scenario)
    outcome = realise(scenario, plan, scenario.seed)
    step_h = scenario.horizon.step_h
    as_planned = contract_lines(scenario, scenario.horizon, plan.energy.import_kw, plan.energy.export_kw)
    metered = contract_lines(scenario, scenario.horizon, outcome.energy.import_kwh / step_h, outcome.energy.export_kwh / step_h)
    assert [(line.contract, line.site, line.charge) for line in as_planned] == [
        ("ato", "a", Charge.ABOVE_RIGHT),
        ("clc", "b", Charge.ABOVE_LIMITATION),
        ("group", "a", Charge.ABOVE_GROUP_CAP),
        ("group", "b", Charge.ABOVE_GROUP_CAP),
        ("clc", "b", Charge.REWARD),
    ]
    for one, other in zip(as_planned, metered, strict=True):
        assert (one.quantity, one.eur) == pytest.approx((other.quantity, other.eur), abs=1e-6)
    reward = metered[-1]
    assert reward.quantity == pytest.approx(2 * (50.0 - 0.7))
    assert reward.eur == pytest.approx(-reward.quantity / 1000.0 * 50.0)
    assert penalties_eur(metered) == pytest.approx(0.0, abs=1e-6)


def test_more_than_allowed_is_broken_and_billed() -> None:
    """Under tighter contracts the plan of before is told by name, and each party pays its energy above them."""
    horizon = day_horizon(48, 15)
    plan = planned(contracted(ContractBook()))
    book = every_kind(horizon)
    all_day = replace(book.limitations[0], periods=(hours(horizon, Direction.IMPORT, 0, 12, 0.7),))
    scenario = contracted(replace(book, limitations=(all_day,)))
    outcome = realise(scenario, plan, scenario.seed)
    told = {(item.kind, item.subject): item for item in outcome.violations}
    assert {kind for kind, _ in told} >= {K.TRANSPORT_RIGHT, K.CAPACITY_LIMITATION, K.GROUP_CAP}
    group = told[K.GROUP_CAP, "import of group"]
    summed = outcome.energy.import_kwh.sum(axis=0) / horizon.step_h
    caps = np.full(48, 1.14)
    caps[32:36] = 0.9
    assert group.value - group.limit == pytest.approx((summed - caps).max())
    assert "ISP" in group.advice
    lines = contract_lines(
        scenario, horizon, outcome.energy.import_kwh / horizon.step_h, outcome.energy.export_kwh / horizon.step_h
    )
    above = np.maximum(0.0, summed - caps).sum() * horizon.step_h
    by_member = [line for line in lines if line.charge is Charge.ABOVE_GROUP_CAP]
    assert sum(line.quantity for line in by_member) == pytest.approx(above)
    assert sum(line.eur for line in by_member) == pytest.approx(3.0 * above)
    owed = sum(line.eur for line in lines if line.charge is not Charge.REWARD)
    assert outcome.totals.breakdown_eur["contracts"] == pytest.approx(owed)
    assert outcome.key_figures is not None
    assert outcome.key_figures.total.cost_eur == pytest.approx(outcome.totals.cost_eur)
    assert outcome.totals.cost_eur == pytest.approx(
        sum(value for part, value in outcome.totals.breakdown_eur.items() if part not in {"carbon", "unserved"})
    )


def test_a_call_in_mid_run_is_a_reason_to_plan_again_and_then_a_limit() -> None:
    """Told at 04:00 for 06:00 to 08:00: an event without a price; the first plan is not blamed, a later one keeps the limit."""
    horizon = day_horizon(48, 15)
    told = horizon.start + timedelta(hours=4)
    call = hours(horizon, Direction.IMPORT, 6, 8, 0.7, told)
    clc = CapacityLimitation("clc", "b", LimitationKind.ON_CALL, Direction.IMPORT, (call,), 0.0, 2.0)
    scenario = contracted(ContractBook(limitations=(clc,)))
    ((event,),) = late_calls(scenario)
    assert (event.name, event.site, event.limit_kw, event.penalty_eur_per_kwh) == ("clc-1", "b", 0.7, 0.0)
    assert (event.received, event.start, event.end) == (told, told + timedelta(hours=2), told + timedelta(hours=4))
    plan = planned(scenario)
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    world.command(plan)
    world.advance(told)
    observation = world.observe(17)
    later = build_problem(scenario, observation)
    assert later.import_limit_kw[1, 24 - 17 : 32 - 17].tolist() == [0.7] * 8
    assert build_problem(scenario).import_limit_kw[1, 24:32].tolist() == [50.0] * 8


def test_a_plan_that_could_not_know_is_billed_and_not_blamed() -> None:
    """B draws 0.58 kW where a call of the same day leaves 0.3: it pays for what is above, and no rule is broken by this plan."""
    horizon = day_horizon(48, 15)
    call = hours(horizon, Direction.IMPORT, 6, 8, 0.3, horizon.start + timedelta(hours=4))
    clc = CapacityLimitation("clc", "b", LimitationKind.ON_CALL, Direction.IMPORT, (call,), 0.0, 2.0)
    scenario = contracted(ContractBook(limitations=(clc,)))
    plan = planned(scenario)
    outcome = realise(scenario, plan, scenario.seed)
    assert outcome.violations == ()
    above = np.maximum(0.0, outcome.energy.import_kwh[1, 24:32] - 0.3 * horizon.step_h).sum()
    assert above >= 2 * 0.28 - 1e-9
    assert outcome.totals.breakdown_eur["contracts"] == pytest.approx(2.0 * above)
    known = replace(clc, periods=(replace(call, known=None),))
    blamed = realise(replace(scenario, contracts=ContractBook(limitations=(known,))), plan, scenario.seed)
    assert [item.kind for item in blamed.violations] == [K.CAPACITY_LIMITATION]
