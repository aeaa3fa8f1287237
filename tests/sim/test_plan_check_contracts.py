"""The plan check on contracts: a good plan passes, every alteration is refused under the name of its contract."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import lru_cache

import pytest

from grid.contracts.book import ContractBook
from grid.contracts.limitation import CapacityLimitation, LimitationKind
from grid.contracts.limits import Direction
from scheduler.outcome import ViolationKind as K
from scheduler.plan import Plan
from scheduler.scenario import Scenario
from sim.plan_check import check_plan
from tests.factory import day_horizon
from tests.sim.contracts_hand import contracted, every_kind, hours
from tests.sim.test_plan_comes_true import planned


@lru_cache
def good() -> tuple[Scenario, Plan]:
    """A scenario with every kind of contract, and its plan."""
    scenario = contracted(every_kind(day_horizon(48, 15)))
    return scenario, planned(scenario)


def broken(scenario: Scenario, plan: Plan, name: str, site: int, slot: int, kw: float) -> dict[tuple[K, str], float]:
    """Limit by rule and subject of what is broken once a power is altered."""
    energy = replace(plan.energy, **{name: getattr(plan.energy, name).copy()})
    getattr(energy, name)[site, slot] = kw
    return {(item.kind, item.subject): item.limit for item in check_plan(scenario, replace(plan, energy=energy))}


def test_good_plan_passes() -> None:
    """The plan that all others here are altered from breaks no rule, and its contracts bind it."""
    scenario, plan = good()
    assert check_plan(scenario, plan) == ()
    assert plan.energy.import_kw[0, 24:32].max() == 0.0
    assert plan.energy.import_kw.sum(axis=0).max() == pytest.approx(1.14, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "site", "slot", "kw", "kind", "subject", "limit"),
    [
        ("import_kw", 0, 1, 4.1, K.TRANSPORT_RIGHT, "import of ato", 4.0),
        ("import_kw", 0, 25, 0.1, K.TRANSPORT_RIGHT, "import of ato", 0.0),
        ("export_kw", 0, 25, 2.1, K.TRANSPORT_RIGHT, "export of ato", 2.0),
        ("import_kw", 1, 9, 0.8, K.CAPACITY_LIMITATION, "import of clc", 0.7),
        ("import_kw", 1, 40, 2.7, K.GROUP_CAP, "import of group", 1.14),
        ("import_kw", 1, 33, 2.5, K.GROUP_CAP, "import of group", 0.9),
        ("export_kw", 1, 33, 3.1, K.GROUP_CAP, "export of group", 3.0),
    ],
)
def test_each_contract_has_its_name(name: str, site: int, slot: int, kw: float, kind: K, subject: str, limit: float) -> None:
    """One altered power breaks the contract that it is about, by name, at its limit there."""
    assert broken(*good(), name, site, slot, kw)[kind, subject] == limit


def test_a_plan_is_not_blamed_for_a_call_that_came_later() -> None:
    """A call at noon of a plan of the morning counts for the plan made after it only."""
    horizon = day_horizon(48, 15)
    noon = horizon.start + timedelta(hours=4)
    call = hours(horizon, Direction.IMPORT, 6, 8, 1.0, noon)
    book = ContractBook(limitations=(CapacityLimitation("clc", "b", LimitationKind.ON_CALL, Direction.IMPORT, (call,)),))
    scenario = contracted(book)
    plan = planned(scenario)
    assert (K.CAPACITY_LIMITATION, "import of clc") not in broken(scenario, plan, "import_kw", 1, 25, 1.5)
    early = replace(scenario.contracts.limitations[0], periods=(replace(call, known=horizon.start),))
    known = replace(scenario, contracts=ContractBook(limitations=(early,)))
    assert (K.CAPACITY_LIMITATION, "import of clc") in broken(known, plan, "import_kw", 1, 25, 1.5)
