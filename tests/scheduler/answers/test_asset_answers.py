"""Answers about problems with assets: they cost what the plan itself costs, and no carbon price leaves cars uncharged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grid.assets.charging import ChargingFleet
from scheduler.answers.pareto import carbon_prices, front
from scheduler.answers.whatif import what_if
from scheduler.asset_runs import PlacedAsset
from scheduler.optimiser.policy import MilpPolicy
from tests.scheduler.optimiser.test_asset_rows import TEST
from tests.scheduler.optimiser.test_asset_rows import selling as selling_power
from tests.scheduler.optimiser.test_charging_rows import GIVING, SPREAD, car, selling

FLEET = ChargingFleet("cars", (car(**GIVING), car(name="b")), 1.0, 0.9, 0.9, discharge=True, wear_eur_per_kwh=0.02)


def test_what_if_without_discharge_costs_what_both_plans_cost() -> None:
    """Both sides have the assets' own costs: the difference is that of the two plans of the policy."""
    base = selling(SPREAD, FLEET)
    changed = replace(base, assets=(PlacedAsset(0, replace(FLEET, discharge=False)),))
    told = what_if(base, changed)
    assert told.base_figures["objective_eur"] == pytest.approx(MilpPolicy().plan(base).objective_eur, abs=1e-6)
    assert told.changed_figures["objective_eur"] == pytest.approx(MilpPolicy().plan(changed).objective_eur, abs=1e-6)
    assert told.base.breakdown_eur["assets"] > 0.01
    assert told.proven


def test_what_if_counts_the_carbon_of_fuel() -> None:
    """A test of two hours at 4 kW emits 6.88 kg beside what is imported; without it the import is larger by 8 kWh."""
    base = selling_power([50.0] * 6, TEST)
    told = what_if(base, replace(base, assets=()))
    imported = 0.001 * float((told.base.energy.import_kw * base.carbon_g_per_kwh).sum())
    assert told.base_figures["carbon_kg"] == pytest.approx(imported + 2 * 4 * 0.86, abs=1e-6)
    assert told.changed_figures["import_kwh"] == pytest.approx(told.base_figures["import_kwh"] + 8.0, abs=1e-6)


def test_no_carbon_price_leaves_a_car_uncharged() -> None:
    """Missing energy grows dearer with carbon, so even where only carbon counts every car is charged."""
    problem = selling(SPREAD, replace(FLEET, discharge=False))
    problem = replace(problem, carbon_g_per_kwh=np.full(problem.fixed_kw.shape, 300.0))
    prices = carbon_prices(problem, 3)
    assert prices[-1] > 10.0  # 3 EUR/kWh and more, where a car's missing kWh costs 1 EUR without it
    needed_kwh = 8 * 2.0 + 2 * 7.2 / 0.9
    for point in front(problem, prices).points:
        assert point.carbon_kg == pytest.approx(0.3 * needed_kwh, abs=1e-6)
