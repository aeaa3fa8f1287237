"""The one objective: planned and realised figures by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from grid.assets.battery import Battery
from grid.response.event import CapacityEvent
from grid.series import Series
from grid.tariff import Carbon
from scheduler.build import build_problem
from scheduler.objective import (
    PARTS,
    breakdown_eur,
    carbon_g_per_kwh,
    migration_drop_eur,
    overlap_h,
    overshoot_kwh,
    realised_breakdown_eur,
)
from scheduler.outcome import JobOutcome, MeteredEnergy
from scheduler.plan import EnergySchedule
from scheduler.policies.fifo import Fifo
from scheduler.scenario import Weights
from sim.rehearsal import realise
from tests.factory import START, day_horizon, small_scenario


def metered(energy: EnergySchedule, factor: int, step_h: float) -> MeteredEnergy:
    """Planned powers as if they had been metered in slots ``factor`` times finer."""

    def fine(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.repeat(getattr(energy, name), factor, axis=1) * step_h / factor

    zero = np.zeros_like(fine("import_kw"))
    return MeteredEnergy(
        it_kwh=fine("it_kw"),
        load_kwh=fine("load_kw"),
        import_kwh=fine("import_kw"),
        export_kwh=fine("export_kw"),
        renewable_kwh=fine("renewable_kw"),
        renewable_used_kwh=fine("renewable_used_kw"),
        curtailed_kwh=zero,
        charge_kwh=fine("charge_kw"),
        discharge_kwh=fine("discharge_kw"),
        soc_kwh=np.repeat(energy.soc_kwh, factor, axis=1),
        unserved_kwh=fine("unserved_kw"),
    )


def test_planned_and_realised_agree() -> None:
    """Energy that happens exactly as planned costs exactly what was planned, part by part, at a finer metering too."""
    event = CapacityEvent("e", "hall", START + timedelta(hours=1), START + timedelta(hours=3), 0.2, 2.0, START)
    scenario = small_scenario(events=(event,))
    problem = build_problem(scenario)
    plan = Fifo().plan(problem)
    settlement = scenario.horizon.with_step(scenario.settlement)
    done = tuple(JobOutcome(job.name, "hall", job.release, job.deadline, job.deadline, False, 0, 0.0) for job in scenario.jobs)
    realised = realised_breakdown_eur(scenario, settlement, metered(plan.energy, 4, 1.0), done)
    assert tuple(realised) == PARTS
    assert plan.breakdown_eur["event_penalty"] > 0
    assert realised == pytest.approx(plan.breakdown_eur, abs=1e-9)


def test_missing_charge_is_billed_without_what_only_deters_a_plan() -> None:
    """A plan prices missing charge above an event's penalty and the peak charge; the bill of what happened is a plain refill.

    Everything else of the last resort costs the same as planned and as realised; all of it does without events and peak charge.
    """
    event = CapacityEvent("e", "cabinet", START + timedelta(hours=1, minutes=5), START + timedelta(hours=3), 0.2, 7.0, START)
    scenario = small_scenario(events=(event,), jobs=(), datasets=())
    energy = EnergySchedule.zeros(3, 24)
    energy.soc_kwh[0], energy.unserved_kw[:, 5] = 2.0, 0.5
    planned = breakdown_eur(build_problem(scenario), energy)
    settlement = scenario.horizon.with_step(scenario.settlement)
    realised = realised_breakdown_eur(scenario, settlement, metered(energy, 4, 1.0), ())
    assert planned["soc_shortfall"] > 3.0 * 7.0
    assert 0 < realised["soc_shortfall"] < 3.0 * 7.0
    assert realised | {"soc_shortfall": 0.0} == pytest.approx(planned | {"soc_shortfall": 0.0}, abs=1e-9)
    calm = small_scenario(jobs=(), datasets=())
    calm = replace(calm, sites=tuple(replace(site, tariff=replace(site.tariff, peak_eur_per_kw=0.0)) for site in calm.sites))
    same = breakdown_eur(build_problem(calm), energy)
    assert realised_breakdown_eur(calm, settlement, metered(energy, 4, 1.0), ()) == pytest.approx(same, abs=1e-9)
    assert realised["soc_shortfall"] == pytest.approx(same["soc_shortfall"], abs=1e-9)


def test_overshoot_is_the_mean_of_a_quarter_weighted_with_what_it_shares() -> None:
    """An event from minute 10 to minute 35: thirds of the outer quarters and the whole inner one, each at its own mean."""
    settlement = day_horizon(4, 15)
    event = CapacityEvent("e", "hall", START + timedelta(minutes=10), START + timedelta(minutes=35), 1.0, 2.0, START)
    over = overshoot_kwh(settlement, event, np.array([4.0, 2.0, 0.0, 9.0]))
    assert over.tolist() == pytest.approx([3.0 * 5 / 60, 1.0 * 15 / 60, 0.0, 0.0])


def test_jobs_late_or_lost_cost() -> None:
    """Two hours late cost two hours; never finished costs the drop price; an undone move its price."""
    scenario = small_scenario(weights=Weights(lateness_eur_per_h=3.0))
    late, lost = scenario.jobs[0], scenario.jobs[1]
    outcomes = (
        JobOutcome(late.name, "hall", START, late.deadline + timedelta(hours=2), late.deadline, True, 0, 0.0),
        JobOutcome(lost.name, None, None, None, lost.deadline, True, 0, 0.0),
    )
    settlement = scenario.horizon.with_step(scenario.settlement)
    nothing = metered(EnergySchedule.zeros(3, 24), 4, 1.0)
    parts = realised_breakdown_eur(scenario, settlement, nothing, outcomes, ["scans"])
    assert parts["lateness"] == pytest.approx(6.0)
    assert parts["dropped"] == pytest.approx(lost.drop_eur + migration_drop_eur(scenario.datasets[1]))
    assert parts["soc_shortfall"] > 0  # the battery ended empty


def test_carbon_signal_is_named() -> None:
    """The marginal intensity is used only when asked for and known."""
    horizon = day_horizon(2)
    carbon = Carbon(Series.constant(100.0, horizon, "g/kWh"), Series.constant(400.0, horizon, "g/kWh"))
    assert carbon_g_per_kwh(carbon, Weights(), horizon).tolist() == [100.0, 100.0]
    assert carbon_g_per_kwh(carbon, Weights(carbon_signal="marginal"), horizon).tolist() == [400.0, 400.0]
    assert carbon_g_per_kwh(replace(carbon, marginal_g_per_kwh=None), Weights(carbon_signal="marginal"), horizon)[0] == 100.0


def test_parts_by_hand() -> None:
    """Wear is half on charge and half on discharge; the peak counts only above the one already reached."""
    scenario = small_scenario()
    unit = Battery(10.0, 5.0, 5.0, 1.0, 1.0, 5.0, 0.0, 0.02)
    problem = replace(build_problem(scenario), batteries=(unit, None, None), peak_reached_kw=np.array([1.0, 0.0, 0.0]))
    energy = EnergySchedule.zeros(3, 24)
    energy.charge_kw[0, 0], energy.discharge_kw[0, 1], energy.import_kw[0, 2] = 4.0, 2.0, 3.0
    energy.soc_kwh[0] = 5.0
    parts = breakdown_eur(problem, energy, dropped_eur=1.5, fixed_eur=0.5)
    assert parts["battery_wear"] == pytest.approx(0.02 * (4 + 2) / 2)
    assert parts["peak"] == pytest.approx(0.1 * 2.0)
    assert parts["energy_import"] == pytest.approx(3.0 * problem.import_eur_per_kwh[0, 2])
    assert (parts["dropped"], parts["fixed"], parts["unserved"]) == (1.5, 0.5, 0.0)


def test_overlap() -> None:
    """Hours shared with a period that begins and ends inside slots."""
    horizon = day_horizon(3, 60)
    start = horizon.start_s
    assert overlap_h(horizon, start + 1800, start + 2 * 3600 + 900).tolist() == [0.5, 1.0, 0.25]


def test_the_penalty_of_an_event_is_its_shortfall_times_its_price() -> None:
    """An event that begins and ends inside quarters: what is charged is what the proof of delivery states as missing."""
    begin = START + timedelta(hours=1, minutes=5)
    event = CapacityEvent("e", "hall", begin, begin + timedelta(minutes=97), 0.2, 7.0, START)
    scenario = small_scenario(events=(event,))
    outcome = realise(scenario, Fifo().plan(build_problem(scenario)), scenario.seed)
    (delivery,) = outcome.deliveries
    assert delivery.shortfall_kwh > 0
    assert outcome.totals.breakdown_eur["event_penalty"] == pytest.approx(7.0 * delivery.shortfall_kwh)
