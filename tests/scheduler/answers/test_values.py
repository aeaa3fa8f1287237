"""Duals are what small changes cost: finite differences of the relaxation on both sides enclose them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scheduler.answers.values import Values, values
from scheduler.build import build_problem
from scheduler.problem import Problem
from scheduler.scenario import PlanningSettings
from tests.factory import job, small_scenario

STEP = 1e-3


def tight() -> Problem:
    """The small scenario with a narrow connection, a small battery that is used, and more work than cheap hours have room for."""
    scenario = small_scenario(planning=PlanningSettings(limit_margin=0.0))
    more = tuple(job(f"more-{k}", duration_h=4, nodes=1) for k in range(12))
    problem = build_problem(replace(scenario, jobs=scenario.jobs + more))
    battery = problem.batteries[0]
    assert battery is not None
    small = replace(battery, energy_kwh=6.0, charge_kw=1.0, discharge_kw=1.0, wear_eur_per_kwh=0.0)
    limit = problem.import_limit_kw.copy()
    limit[1] = 2.0
    return replace(problem, import_limit_kw=limit, batteries=(small, *problem.batteries[1:]))


@pytest.fixture(scope="module")
def found() -> tuple[Problem, Values]:
    """The tight problem and its values."""
    problem = tight()
    return problem, values(problem)


def enclosed(value: float, cost: tuple[float, float, float], unit: float) -> None:
    """``value`` lies between the slopes on both sides; ``cost`` is the optimum with less, as it is, and with more."""
    less, here, more = cost
    slopes = sorted([(here - less) / (STEP * unit), (more - here) / (STEP * unit)])
    assert slopes[0] - 1e-4 <= value <= slopes[1] + 1e-4


@pytest.mark.parametrize(("site", "slot"), [(0, 3), (0, 19), (1, 4), (1, 12), (2, 20)])
def test_energy(found: tuple[Problem, Values], site: int, slot: int) -> None:
    """One kWh more of facility load costs its dual; a kWh of IT load PUE times as much."""
    problem, here = found
    optima = []
    for change in (-STEP, STEP):
        fixed = problem.fixed_kw.copy()
        fixed[site, slot] += change
        optima.append(values(replace(problem, fixed_kw=fixed)).objective_eur)
    enclosed(here.facility_eur_per_kwh[site, slot], (optima[0], here.objective_eur, optima[1]), problem.horizon.step_h)
    assert here.it_eur_per_kwh[site, slot] == pytest.approx(1.2 * here.facility_eur_per_kwh[site, slot])


def test_capacity(found: tuple[Problem, Values]) -> None:
    """Cores are worth something in some slot of the hall, and there one more saves what the dual says."""
    problem, here = found
    worth = here.capacity_eur_per_h["cores"][1]
    slot = int(np.argmax(worth))
    assert worth[slot] > 1e-4
    optima = []
    for change in (-STEP, STEP):
        capacity = problem.capacity.copy()
        capacity[0, 1, slot] += change
        optima.append(values(replace(problem, capacity=capacity)).objective_eur)
    enclosed(-worth[slot], (optima[0], here.objective_eur, optima[1]), problem.horizon.step_h)


def test_import_limit(found: tuple[Problem, Values]) -> None:
    """Where the narrow connection binds, one kW more for an hour saves its dual; elsewhere it is worth nothing."""
    problem, here = found
    worth = here.import_eur_per_kwh[1]
    slot = int(np.argmax(worth))
    assert worth[slot] > 1e-4
    assert (here.import_eur_per_kwh[2] == 0.0).all()
    optima = []
    for change in (-STEP, STEP):
        limit = problem.import_limit_kw.copy()
        limit[1, slot] += change
        optima.append(values(replace(problem, import_limit_kw=limit)).objective_eur)
    enclosed(-worth[slot], (optima[0], here.objective_eur, optima[1]), problem.horizon.step_h)


@pytest.mark.parametrize("field", ["energy_kwh", "power"])
def test_battery(found: tuple[Problem, Values], field: str) -> None:
    """One kWh or kW more of battery saves the sum of its duals over the horizon; sites without one have no value."""
    problem, here = found
    battery = problem.batteries[0]
    assert battery is not None
    worth = here.battery_energy_eur_per_kwh if field == "energy_kwh" else here.battery_power_eur_per_kw
    assert worth[0] > 1e-4
    assert (worth[1:] == 0.0).all()
    optima = []
    for change in (-STEP, STEP):
        if field == "energy_kwh":
            other = replace(battery, energy_kwh=battery.energy_kwh + change)
        else:
            other = replace(battery, charge_kw=battery.charge_kw + change, discharge_kw=battery.discharge_kw + change)
        optima.append(values(replace(problem, batteries=(other, *problem.batteries[1:]))).objective_eur)
    enclosed(-worth[0], (optima[0], here.objective_eur, optima[1]), 1.0)


def test_a_flat_price_is_the_value_of_energy() -> None:
    """Without a binding limit, battery, sun or peak, a kWh is worth its price with carbon, in every slot."""
    scenario = small_scenario()
    problem = build_problem(replace(scenario, sites=scenario.sites[2:], links=(), datasets=(), jobs=()))
    calm = replace(problem, peak_eur_per_kw=np.zeros(1))
    assert values(calm).facility_eur_per_kwh == pytest.approx(calm.import_weight_eur_per_kwh)
