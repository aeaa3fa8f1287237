"""Imbalance in the simulated world: nothing is owed when the plan comes true, and each quarter-hour off it at its price."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grid.contracts.book import ContractBook
from grid.contracts.imbalance import ImbalanceContract
from grid.horizon import Horizon
from grid.series import Series
from scheduler.contract_bill import Charge
from scheduler.scenario import ErrorModel, Scenario
from sim.rehearsal import realise
from sim.world.simulated import SimulatedWorld
from tests.sim.contracts_hand import contracted
from tests.sim.hand import EXACT
from tests.sim.test_plan_comes_true import assert_comes_true, planned


def settled(*, errors: ErrorModel = EXACT, minutes: int = 15) -> Scenario:
    """Both halls settle their imbalance: short costs 400, long brings 20 EUR/MWh; day-ahead prices are hourly."""
    base = contracted(ContractBook(), slots=12 * 60 // minutes, minutes=minutes)
    markets = tuple(site.tariff.import_eur_per_mwh for site in base.sites)
    short, long = (Series.constant(value, base.horizon, "EUR/MWh") for value in (400.0, 20.0))
    names = tuple(site.name for site in base.sites)
    return replace(
        base, errors=errors, contracts=ContractBook(imbalances=(ImbalanceContract("brp", names, short, long, markets),))
    )


@pytest.mark.parametrize("minutes", [15, 60])
def test_a_plan_that_comes_true_owes_nothing(minutes: int) -> None:
    """In a world without errors the nomination is what is metered: flows and costs as planned, lines of 0."""
    scenario = settled(minutes=minutes)
    plan = planned(scenario)
    assert_comes_true(scenario, plan)
    outcome = realise(scenario, plan, scenario.seed)
    assert [(line.site, line.charge) for line in outcome.contracts] == [
        (name, charge) for name in ("a", "b") for charge in (Charge.SHORT, Charge.LONG)
    ]
    assert [line.eur for line in outcome.contracts] == pytest.approx([0.0] * 4, abs=1e-6)


def test_every_quarter_off_the_plan_is_settled() -> None:
    """With errors of sun and load the bill is that of every quarter-hour reckoned one by one from the metered net import."""
    errors = replace(EXACT, solar_sigma=0.4, load_sigma=0.2)
    scenario = settled(errors=errors)
    plan = planned(scenario)
    outcome = realise(scenario, plan, scenario.seed)
    assert outcome.net_import_kw is not None
    nominated = plan.energy.import_kw - plan.energy.export_kw
    owed, market = 0.0, [site.tariff.import_eur_per_mwh.mean(scenario.horizon) for site in scenario.sites]
    for s in range(2):
        for t in range(scenario.horizon.slots):
            off_mwh = (outcome.net_import_kw[s, t] - nominated[s, t]) * 0.25 / 1000.0
            owed += off_mwh * (400.0 - market[s][t]) if off_mwh > 0 else -off_mwh * (market[s][t] - 20.0)
    assert owed > 0.01
    assert outcome.totals.breakdown_eur["contracts"] == pytest.approx(owed, rel=1e-9)
    assert sum(line.eur for line in outcome.contracts) == pytest.approx(owed, rel=1e-9)
    assert outcome.key_figures is not None
    assert outcome.key_figures.total.cost_eur == pytest.approx(outcome.totals.cost_eur)
    short = [line.quantity for line in outcome.contracts if line.charge is Charge.SHORT]
    off = np.maximum(0.0, outcome.net_import_kw - nominated).sum(axis=1) * 0.25
    assert short == pytest.approx(off.tolist())


def test_a_world_without_a_plan_has_no_nomination() -> None:
    """Nothing was nominated, so nothing is off it."""
    scenario = settled()
    outcome = SimulatedWorld(scenario, seed=scenario.seed, stressed=False).outcome()
    assert {line.quantity for line in outcome.contracts} == {0.0}
    assert outcome.totals.breakdown_eur["contracts"] == 0.0
    assert isinstance(outcome.settlement, Horizon)
