"""Invariants of the simulated world over random small worlds: conservation, bounds, step independence, one truth."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.assets.battery import Battery
from grid.horizon import Horizon
from grid.response.event import CapacityEvent
from grid.series import Series
from scheduler.plan import BatteryControl, EnergySchedule, Plan, Run
from scheduler.scenario import ErrorModel, Scenario
from scheduler.workload import JobKind
from sim.rehearsal import realise
from sim.world import SimulatedWorld
from sim.world.settle import balance_kwh
from tests.factory import START, bell, day_horizon, job, site, small_scenario
from tests.sim.hand import hand_plan

HORIZON = day_horizon(24)

errors = st.builds(
    ErrorModel,
    solar_sigma=st.sampled_from([0.0, 0.15, 0.8]),
    wind_sigma=st.sampled_from([0.0, 0.3]),
    error_correlation_h=st.sampled_from([0.0, 3.0]),
    load_sigma=st.sampled_from([0.0, 0.2]),
    duration_low=st.just(0.5),
    duration_high=st.sampled_from([1.0, 1.6]),
    command_delay_s=st.sampled_from([0.0, 2.0, 600.0]),
    node_failures=st.integers(0, 3),
    repair_h=st.sampled_from([0.5, 5.0]),
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Scenario, Plan]:
    """A scenario of two sites and a plan for it; the plan need not be good, the physics must hold all the same."""
    battery = draw(
        st.one_of(
            st.none(),
            st.builds(
                Battery,
                energy_kwh=st.just(8.0),
                charge_kw=st.sampled_from([0.0, 1.0, 6.0]),
                discharge_kw=st.sampled_from([0.5, 6.0]),
                charge_efficiency=st.sampled_from([0.8, 1.0]),
                discharge_efficiency=st.sampled_from([0.9, 1.0]),
                initial_soc_kwh=st.sampled_from([1.0, 4.0, 8.0]),
                reserve_soc_kwh=st.sampled_from([0.0, 1.0]),
                wear_eur_per_kwh=st.just(0.02),
            ),
        )
    )
    hall = site(
        HORIZON,
        "hall",
        nodes=3,
        solar_kw=draw(st.sampled_from([0.0, 3.0, 12.0])),
        battery=battery,
        import_limit_kw=draw(st.sampled_from([0.0, 1.0, 50.0])),
        export_limit_kw=draw(st.sampled_from([0.0, 2.0, 50.0])),
    )
    hall = replace(hall, wind_kw=replace(bell(HORIZON, 4.0, noon_h=2.0), source="test wind"))
    price = draw(st.lists(st.sampled_from([-50.0, 20.0, 120.0]), min_size=24, max_size=24))
    hall = replace(hall, tariff=replace(hall.tariff, export_eur_per_mwh=Series.on(HORIZON, price, "EUR/MWh")))
    jobs, runs = [], []
    for i in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(list(JobKind)))
        width, length, start = draw(st.integers(1, 2)), draw(st.integers(1, 4)), draw(st.integers(0, 17))
        jobs.append(job(f"j{i}", duration_h=length, kind=kind, nodes=width, sites=("hall", "annex")))
        first = draw(st.integers(0, 1))
        nodes = tuple(f"hall.rack-{first + k}" for k in range(width))
        split = draw(st.integers(1, 3))
        if kind is JobKind.INTERRUPTIBLE and length > split:
            gap = draw(st.integers(1, 3))
            runs.append(Run(f"j{i}", "hall", start, start + split, nodes))
            runs.append(Run(f"j{i}", "hall", start + split + gap, start + length + gap, nodes))
        else:
            runs.append(Run(f"j{i}", "hall", start, start + length, nodes))
    event = CapacityEvent("e", "hall", START + timedelta(hours=18.1), START + timedelta(hours=20.6), -0.5, 1.0, START)
    scenario = Scenario(
        name="random",
        title="a random world",
        seed=1,
        horizon=HORIZON,
        sites=(hall, site(HORIZON, "annex", nodes=1)),
        jobs=tuple(jobs),
        events=(event,) if draw(st.booleans()) else (),
        errors=draw(errors),
    )
    power = np.array(draw(st.lists(st.sampled_from([-6.0, -1.0, 0.0, 0.7, 6.0]), min_size=24, max_size=24)))
    control = draw(st.sampled_from(list(BatteryControl)))
    return scenario, hand_plan(scenario, tuple(runs), battery_kw={"hall": power} if battery else None, control=control)


@given(worlds(), st.integers(0, 50), st.booleans())
def test_energy_is_conserved_and_batteries_stay_in_bounds(made: tuple[Scenario, Plan], seed: int, stressed: bool) -> None:
    """At every site and slot what comes in is what goes out (1e-6 kWh); no flow is negative; state of charge stays in bounds."""
    scenario, plan = made
    world = SimulatedWorld(scenario, seed=seed, stressed=stressed)
    world.command(plan)
    energy = world.outcome(timedelta(minutes=5)).energy
    assert np.abs(balance_kwh(energy)).max() < 1e-6
    assert np.allclose(energy.renewable_kwh, energy.renewable_used_kwh + energy.curtailed_kwh, atol=1e-9)
    assert min(float(getattr(energy, name).min()) for name in energy.names()) > -1e-9
    for s, place in enumerate(scenario.sites):
        limit = place.connection.export_limit_kw.mean(scenario.horizon)[0] / 12
        assert energy.export_kwh[s].max() <= limit + 1e-9
        if place.battery is not None:
            low, high = world.meters[place.name].soc_bounds_kwh()
            assert place.battery.reserve_soc_kwh - 1e-6 <= low <= high <= place.battery.energy_kwh + 1e-6
            charged = place.battery.charge_efficiency * energy.charge_kwh[s]
            change = charged - energy.discharge_kwh[s] / place.battery.discharge_efficiency
            soc = place.battery.initial_soc_kwh + np.cumsum(change)
            assert np.abs(soc - energy.soc_kwh[s]).max() < 1e-6


@given(worlds(), st.integers(0, 50))
def test_totals_do_not_depend_on_the_reporting_step(made: tuple[Scenario, Plan], seed: int) -> None:
    """Total energies agree to 1e-9 relative between 1-, 5-, 15- and 60-minute reporting; the totals are the same figures."""
    scenario, plan = made
    world = SimulatedWorld(scenario, seed=seed, stressed=True)
    world.command(plan)
    finest, fine, middle, coarse = (world.outcome(timedelta(minutes=minutes)) for minutes in (1, 5, 15, 60))
    for name in fine.energy.names():
        if name == "soc_kwh":
            assert np.array_equal(finest.energy.soc_kwh[:, -1], coarse.energy.soc_kwh[:, -1])
            assert np.array_equal(fine.energy.soc_kwh[:, -1], coarse.energy.soc_kwh[:, -1])
            continue
        totals = [float(getattr(outcome.energy, name).sum()) for outcome in (finest, fine, middle, coarse)]
        assert totals[:3] == pytest.approx([totals[3]] * 3, rel=1e-9, abs=1e-9)
    assert finest.totals == fine.totals == middle.totals == coarse.totals


@given(worlds(), st.integers(0, 50))
def test_same_seed_same_outcome(made: tuple[Scenario, Plan], seed: int) -> None:
    """Two worlds of one seed carry one plan out alike, to the last bit."""
    scenario, plan = made
    one, two = (realise(scenario, plan, seed, stressed=True) for _ in range(2))
    assert one.totals == two.totals
    assert one.jobs == two.jobs
    assert one.log == two.log
    assert all(np.array_equal(getattr(one.energy, name), getattr(two.energy, name)) for name in one.energy.names())


@given(worlds(), st.integers(0, 50))
def test_every_job_counts_exactly_once(made: tuple[Scenario, Plan], seed: int) -> None:
    """A job that never restarted used its power times its true run time; the metered IT energy is the sum over the jobs."""
    scenario, plan = made
    world = SimulatedWorld(scenario, seed=seed, stressed=False)
    world.command(plan)
    outcome = world.outcome()
    inside = 0.0
    for result, task in zip(outcome.jobs, scenario.jobs, strict=True):
        if result.finished is not None and result.restarts == 0:
            hours = task.duration.total_seconds() / 3600 * world.truth.duration_factor(task.name)
            assert result.energy_kwh == pytest.approx(task.nodes * 0.4 * hours, rel=1e-9)
        inside += result.energy_kwh
    if all(result.finished is not None and result.finished <= scenario.horizon.end for result in outcome.jobs):
        assert float(outcome.energy.it_kwh.sum()) == pytest.approx(inside, rel=1e-9, abs=1e-9)


@given(worlds(), st.integers(0, 50))
def test_two_plans_meet_the_same_truth(made: tuple[Scenario, Plan], seed: int) -> None:
    """Sun and wind are the same for another plan at the same seed, and so is the run time of every job."""
    scenario, plan = made
    empty = replace(plan, runs=(), energy=EnergySchedule.zeros(2, 24), battery_control=BatteryControl.SELF_CONSUMPTION)
    one, two = realise(scenario, plan, seed, stressed=True), realise(scenario, empty, seed, stressed=True)
    assert np.allclose(one.energy.renewable_kwh, two.energy.renewable_kwh, rtol=0, atol=1e-9)
    calm = SimulatedWorld(scenario, seed=seed, stressed=False)
    wild = SimulatedWorld(scenario, seed=seed, stressed=True)
    assert {name: task.true_s for name, task in calm.jobs.items()} == {name: task.true_s for name, task in wild.jobs.items()}


@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_the_plan_step_does_not_change_the_energy(minutes: int) -> None:
    """The same plan and event, written and reported in slots of 1, 5, 15 and 60 minutes: the same energies to 1e-9 relative."""
    battery_kw = np.zeros(24)
    battery_kw[11:14], battery_kw[19:21] = 2.0, -1.5
    runs = (Run("render", "hall", 9, 12, ("hall.rack-0", "hall.rack-1")), Run("index", "cabinet", 10, 12, ("cabinet.rack-0",)))
    event = CapacityEvent("e", "cabinet", START + timedelta(hours=18.3), START + timedelta(hours=20.6), 0.2, 1.0, START)
    coarse_scenario = small_scenario(events=(event,))
    coarse = realise(coarse_scenario, hand_plan(coarse_scenario, runs, battery_kw={"cabinet": battery_kw}), 3)
    per_hour = 60 // minutes
    scenario = replace(coarse_scenario, horizon=Horizon(START, timedelta(minutes=minutes), 24 * per_hour))
    finer = tuple(replace(run, start=run.start * per_hour, end=run.end * per_hour) for run in runs)
    plan = hand_plan(scenario, finer, battery_kw={"cabinet": np.repeat(battery_kw, per_hour)})
    fine = realise(scenario, plan, 3)
    reported = SimulatedWorld(scenario, seed=3, stressed=False)
    reported.command(plan)
    others = [reported.outcome(timedelta(minutes=step)).energy for step in (1, 5, 15, 60)]
    for name in coarse.energy.names():
        if name != "soc_kwh":
            fine_kwh, coarse_kwh = (getattr(outcome.energy, name).sum() for outcome in (fine, coarse))
            assert fine_kwh == pytest.approx(coarse_kwh, rel=1e-9, abs=1e-12), name
            for energy in others:
                assert getattr(energy, name).sum() == pytest.approx(coarse_kwh, rel=1e-9, abs=1e-12), name
    assert fine.totals.breakdown_eur["event_penalty"] == pytest.approx(coarse.totals.breakdown_eur["event_penalty"], rel=1e-9)
    assert fine.totals.cost_eur == pytest.approx(coarse.totals.cost_eur, rel=1e-9)
    assert coarse.deliveries[0].shortfall_kwh == pytest.approx(fine.deliveries[0].shortfall_kwh, rel=1e-9)
