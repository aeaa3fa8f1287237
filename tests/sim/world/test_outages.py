"""Faults of the mains in the world: who rides through, for how long, and what it takes; all instants and energies by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.assets.battery import Battery
from grid.assets.generator import Generator
from grid.mains import MainsFault
from scheduler.facility import Site
from scheduler.outcome import Outcome, ViolationKind
from scheduler.plan import Run
from scheduler.scenario import RehearsalSettings, Scenario
from scheduler.workload import JobKind
from sim.rehearsal import realise, rehearse
from sim.world import SimulatedWorld
from sim.world.settle import balance_kwh
from tests.factory import START, day_horizon, job, site, small_scenario
from tests.sim.hand import EXACT, hand_plan

MUST_KW = 0.1 + 1.2 * 0.4
"""Overhead and four idle nodes."""

ALL_KW = MUST_KW + 1.2 * 0.8
"""With a job on two nodes."""

BATTERY = Battery(10.0, 5.0, 5.0, 0.95, 0.95, 5.0, 1.0, ups=True)
GENERATOR = Generator("diesel", 2, 5.0, 60.0, 0.4, 860.0)


def hall(battery: Battery | None = BATTERY, generator: Generator | None = None, solar_kw: float = 0.0) -> Site:
    """The site of these tests."""
    plain = site(day_horizon(), "hall", battery=battery, solar_kw=solar_kw)
    return replace(plain, assets=() if generator is None else (generator,))


def world_of(
    place: Site, *, from_h: float, hours: float, kind: JobKind = JobKind.INTERRUPTIBLE, length_h: int = 6, retained: float = 0.0
) -> tuple[SimulatedWorld, Outcome]:
    """A job of two nodes from midnight, one fault, and what came of both."""
    start_s = (START + timedelta(hours=from_h)).timestamp()
    fault = MainsFault("storm", "hall", start_s, hours * 3600.0, retained)
    scenario = scenario_of(place, (fault,), kind, length_h)
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.command(hand_plan(scenario, runs_of(length_h)))
    return world, world.outcome()


def scenario_of(place: Site, faults: tuple[MainsFault, ...], kind: JobKind, length_h: int) -> Scenario:
    """One site, one job, these faults."""
    work = job("render", duration_h=length_h, kind=kind, nodes=2)
    return small_scenario(sites=(place,), links=(), datasets=(), jobs=(work,), errors=EXACT, mains_faults=faults)


def runs_of(length_h: int) -> tuple[Run, ...]:
    """The job from midnight on the first two nodes."""
    return (Run("render", "hall", 0, length_h, ("hall.rack-0", "hall.rack-1")),)


def end_h(outcome: Outcome) -> float:
    """Hour at which the job ended."""
    finished = outcome.jobs[0].finished
    assert finished is not None
    return (finished - START) / timedelta(hours=1)


def flow(outcome: Outcome, name: str) -> float:
    """Sum of an energy over the day."""
    return float(getattr(outcome.energy, name).sum())


def check_balance(outcome: Outcome) -> None:
    """The balance closes, and the parts of the load add up to it."""
    assert np.abs(balance_kwh(outcome.energy)).max() < 1e-9
    found = outcome.attribution
    assert found is not None
    parts = found.own_kwh + found.shared_kwh + sum(found.nobody_kwh.values()) + sum(found.assets_kwh.values())
    assert parts == pytest.approx(sum(found.load_kwh.values()), abs=1e-9)
    assert flow(outcome, "load_kwh") == pytest.approx(sum(found.load_kwh.values()), abs=1e-9)


def test_a_battery_carries_two_hours_and_nothing_stops() -> None:
    """4 kWh above the reserve last 2.47 h at 1.54 kW: the job ends as planned, and the battery gave 2 h of the whole load."""
    _, outcome = world_of(hall(), from_h=1, hours=2)
    (fault,) = outcome.mains
    assert end_h(outcome) == pytest.approx(6.0)
    assert fault.battery_kwh == pytest.approx(2 * ALL_KW)
    assert (fault.unserved_kwh, fault.dark_s, fault.jobs_saved, fault.jobs_lost) == (0.0, 0.0, 0, 0)
    assert outcome.energy.import_kwh[0, 1:3].sum() == 0.0
    assert outcome.energy.soc_kwh[0, 2] == pytest.approx(5.0 - 2 * ALL_KW / 0.95)
    check_balance(outcome)


def test_jobs_stop_at_the_reserve_and_the_fixed_load_lives_on_it() -> None:
    """Job until the reserve, the fixed load alone until it is empty, dark to the end, five minutes to restart, the rest."""
    _, outcome = world_of(hall(), from_h=1, hours=5)
    (fault,) = outcome.mains
    stop_h = 1 + 4 * 0.95 / ALL_KW
    dark_h = stop_h + 1 * 0.95 / MUST_KW
    assert fault.jobs_saved == 1
    assert fault.dark_s == pytest.approx((6 - dark_h) * 3600.0, abs=1e-3)
    assert fault.unserved_kwh == pytest.approx((6 - dark_h) * MUST_KW, abs=1e-6)
    assert fault.battery_kwh == pytest.approx(5 * 0.95)
    assert end_h(outcome) == pytest.approx(6 + 5 / 60 + 6 - stop_h, abs=1e-6)
    assert outcome.jobs[0].restarts == 0
    assert outcome.jobs[0].failures == ("the mains of hall",)
    check_balance(outcome)


def test_a_rigid_job_loses_its_work() -> None:
    """It begins again when the nodes are back."""
    _, outcome = world_of(hall(), from_h=1, hours=5, kind=JobKind.RIGID)
    assert outcome.mains[0].jobs_lost == 1
    assert end_h(outcome) == pytest.approx(6 + 5 / 60 + 6, abs=1e-6)
    assert outcome.jobs[0].restarts == 1


def test_the_battery_refills_its_reserve_from_the_grid_first() -> None:
    """Empty at 6 h; at 5 kW and 95 % the reserve is there within a quarter of an hour, though the plan charges nothing."""
    _, outcome = world_of(hall(), from_h=1, hours=5)
    assert outcome.energy.soc_kwh[0, 5] == pytest.approx(0.0, abs=1e-9)
    assert outcome.energy.soc_kwh[0, 6] == pytest.approx(1.0, abs=1e-9)
    assert outcome.energy.charge_kwh[0, 6] == pytest.approx(1.0 / 0.95)
    kinds = {item.kind for item in outcome.violations}
    assert not kinds & {ViolationKind.STATE_OF_CHARGE, ViolationKind.ENERGY_BALANCE, ViolationKind.UNSERVED}


@pytest.mark.parametrize("battery", [None, replace(BATTERY, ups=False)], ids=["none", "no-ups"])
def test_without_a_ups_a_site_is_dark_at_once(battery: Battery | None) -> None:
    """The fixed load is unserved for the whole fault; also a job that could pause loses its work."""
    _, outcome = world_of(hall(battery), from_h=1, hours=2)
    (fault,) = outcome.mains
    assert fault.dark_s == pytest.approx(7200.0)
    assert fault.unserved_kwh == pytest.approx(2 * MUST_KW)
    assert fault.jobs_lost == 1
    assert end_h(outcome) == pytest.approx(3 + 5 / 60 + 6, abs=1e-6)
    check_balance(outcome)


def test_generators_take_over_after_their_start() -> None:
    """A minute from the battery, the rest from the generators, which bill fuel and carbon dioxide; the job never stops."""
    low = replace(BATTERY, initial_soc_kwh=0.1, reserve_soc_kwh=0.1)
    world, outcome = world_of(hall(low, GENERATOR), from_h=1, hours=2)
    (fault,) = outcome.mains
    assert end_h(outcome) == pytest.approx(6.0)
    assert fault.battery_kwh == pytest.approx(ALL_KW / 60)
    assert fault.generator_kwh == pytest.approx(ALL_KW * (2 - 1 / 60))
    bill = world.meters["hall"].bill
    assert bill.cost_eur == pytest.approx(0.4 * fault.generator_kwh)
    assert bill.carbon_g == pytest.approx(860.0 * fault.generator_kwh)
    assert not [item for item in outcome.violations if item.kind is ViolationKind.BACKUP]
    check_balance(outcome)


def test_jobs_give_way_when_the_battery_only_bridges_the_fixed_load() -> None:
    """0.02 kWh last a minute for 0.58 kW and not for 1.54: the job stops when the rest is needed, until the generators run."""
    low = replace(BATTERY, initial_soc_kwh=0.02, reserve_soc_kwh=0.02)
    _, outcome = world_of(hall(low, GENERATOR), from_h=1, hours=2)
    (fault,) = outcome.mains
    stopped_s = (0.02 - MUST_KW * 60 / 3600 / 0.95) / ((ALL_KW - MUST_KW) / 0.95) * 3600.0
    assert (fault.jobs_saved, fault.dark_s) == (1, 0.0)
    assert fault.unserved_kwh == pytest.approx(0.0, abs=1e-9)
    assert end_h(outcome) == pytest.approx(6 + (60 - stopped_s) / 3600, abs=1e-6)
    check_balance(outcome)


def test_a_reserve_that_does_not_bridge_is_a_broken_rule_of_a_site_with_generators() -> None:
    """An empty battery cannot carry even the fixed load for a minute: dark until the generators start, and said so."""
    empty = replace(BATTERY, initial_soc_kwh=0.0, reserve_soc_kwh=0.0)
    _, outcome = world_of(hall(empty, GENERATOR), from_h=1, hours=2)
    (fault,) = outcome.mains
    assert fault.dark_s == pytest.approx(60.0)
    assert fault.unserved_kwh == pytest.approx(MUST_KW / 60)
    (broken,) = [item for item in outcome.violations if item.kind is ViolationKind.BACKUP]
    assert broken.subject == "hall in storm"
    assert broken.value == pytest.approx(MUST_KW / 60)


def test_a_dip_that_power_supplies_bridge_changes_nothing() -> None:
    """Half a second at 75 % of the voltage: told, and every energy as without it."""
    _, with_dip = world_of(hall(None), from_h=1, hours=0.5 / 3600, retained=0.75)
    _, without = world_of(hall(None), from_h=30, hours=1)
    assert with_dip.mains[0].bridged
    assert flow(with_dip, "import_kwh") == flow(without, "import_kwh")
    assert end_h(with_dip) == 6.0


def test_a_deep_dip_loses_the_nodes_of_a_site_without_a_ups_and_no_others() -> None:
    """A second without voltage: with a supply nothing stops, without one the work is lost and the nodes take five minutes."""
    _, bare = world_of(hall(None), from_h=1, hours=1 / 3600)
    _, carried = world_of(hall(), from_h=1, hours=1 / 3600)
    assert end_h(bare) == pytest.approx(7 + 1 / 3600 + 5 / 60, abs=1e-6)
    assert end_h(carried) == pytest.approx(6.0)
    assert carried.mains[0].battery_kwh == pytest.approx(ALL_KW / 3600)


def test_a_world_that_begins_in_an_outage_has_what_is_left_of_it() -> None:
    """Begun again at 3 h in an outage of 1 h to 5 h, a site without a battery is dark until 5 h."""
    fault = MainsFault("storm", "hall", START.timestamp() + 3600.0, 4 * 3600.0)
    scenario = scenario_of(hall(None), (fault,), JobKind.INTERRUPTIBLE, 6)
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.command(hand_plan(scenario, runs_of(6)))
    world.advance(scenario.horizon.time(3))
    later = SimulatedWorld(scenario, seed=1, stressed=False, observation=world.observe(3))
    outcome = later.outcome()
    assert outcome.energy.import_kwh[0, :2].sum() == 0.0
    assert outcome.energy.unserved_kwh[0, :3] == pytest.approx([MUST_KW, MUST_KW, 0.0])
    assert outcome.energy.import_kwh[0, 2] == pytest.approx(MUST_KW)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Scenario, tuple[Run, ...]]:
    """A site with or without sun, battery, supply and generators, a job of any kind, and up to three faults."""
    soc = draw(st.floats(0.0, 10.0))
    battery = draw(st.sampled_from([None, BATTERY, replace(BATTERY, ups=False), replace(BATTERY, discharge_kw=1.0)]))
    if battery is not None:
        battery = replace(battery, initial_soc_kwh=soc, reserve_soc_kwh=min(soc, 1.0))
    generator = draw(st.sampled_from([None, GENERATOR, replace(GENERATOR, units=1, unit_kw=1.0)]))
    place = hall(battery, generator, draw(st.sampled_from([0.0, 6.0])))
    starts = draw(st.lists(st.floats(0.0, 20.0), max_size=3, unique=True))
    faults = tuple(
        MainsFault(f"f{i}", "hall", START.timestamp() + hour * 3600.0, draw(st.floats(1e-3, 4.0)) * 3600.0)
        for i, hour in enumerate(sorted(starts))
    )
    kind = draw(st.sampled_from([JobKind.RIGID, JobKind.INTERRUPTIBLE]))
    return scenario_of(place, faults, kind, 6), runs_of(6)


@settings(max_examples=60)
@given(worlds())
def test_energy_is_conserved_in_any_fault(case: tuple[Scenario, tuple[Run, ...]]) -> None:
    """Balance and parts to 1e-9; the battery's content follows its flows; nothing is imported without mains; the job ends."""
    scenario, runs = case
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.command(hand_plan(scenario, runs))
    outcome = world.outcome(timedelta(minutes=15))
    check_balance(outcome)
    assert outcome.jobs[0].finished is not None
    (place,) = scenario.sites
    if place.battery is not None:
        gained = flow(outcome, "charge_kwh") * 0.95 - flow(outcome, "discharge_kwh") / 0.95
        assert outcome.energy.soc_kwh[0, -1] == pytest.approx(place.battery.initial_soc_kwh + gained, abs=1e-9)
        low, high = world.meters["hall"].soc_bounds_kwh()
        assert low >= -1e-9
        assert high <= 10.0 + 1e-9
    meter = world.meters["hall"]
    for fault in outcome.mains:
        inside = np.array([fault.start.timestamp(), min(fault.end, scenario.horizon.end).timestamp()])
        flows, _ = meter.energies(inside)
        assert flows[2:4] == pytest.approx(0.0, abs=1e-9)  # import and export
        lost = fault.battery_kwh + fault.generator_kwh + fault.unserved_kwh
        assert lost >= -1e-9


def test_a_rehearsal_with_outages_names_them_and_excuses_the_jobs_that_they_hit() -> None:
    """Two outages in each stressed run: told among the worst values; the verdict still passes though jobs are late."""
    base = scenario_of(hall(None), (), JobKind.RIGID, 6)
    tight = tuple(replace(item, deadline=START + timedelta(hours=6, minutes=5)) for item in base.jobs)
    scenario = replace(base, jobs=tight, rehearsal=RehearsalSettings(stressed_runs=2, mains_outages=2))
    plan = hand_plan(scenario, runs_of(6))
    found = rehearse(scenario, plan)
    assert found.verdict.passed, [str(item) for item in found.verdict.violations]
    assert found.verdict.worst["mains_faults"] >= 1
    assert found.verdict.worst["mains_unserved_kwh"] > 0
    assert found.verdict.worst["deadline_misses"] == 1
    again = rehearse(scenario, plan)
    assert again.verdict.worst == found.verdict.worst


def test_faults_by_rate_are_the_same_for_every_plan() -> None:
    """At one seed two plans meet the same outages, whatever they do; another seed has others."""
    errors = replace(EXACT, outages_per_year=2000.0, outage_minutes=20.0)
    scenario = replace(scenario_of(hall(), (), JobKind.INTERRUPTIBLE, 6), errors=errors)
    late = (replace(runs_of(6)[0], start=12, end=18),)
    first, second, other = (
        realise(scenario, hand_plan(scenario, runs), seed) for runs, seed in ((runs_of(6), 5), (late, 5), (late, 6))
    )
    times = [[(fault.start, fault.end) for fault in outcome.mains] for outcome in (first, second, other)]
    assert times[0] == times[1]
    assert times[0]
    assert times[0] != times[2]


def test_a_meter_without_mains_reads_no_import() -> None:
    """Before the fault the load less the sun, while it lasts nothing and no limit, whatever carries the site, then as before."""
    start_s = (START + timedelta(hours=2)).timestamp()
    scenario = scenario_of(hall(battery=None), (MainsFault("storm", "hall", start_s, 3600.0, 0.0),), JobKind.RIGID, 6)
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    readings = []
    for hours in (1.0, 2.5, 4.0):
        world.advance(START + timedelta(hours=hours))
        readings.append(world.reading("hall"))
    net_kw, limits_kw = zip(*readings, strict=True)
    assert net_kw == pytest.approx((MUST_KW, 0.0, MUST_KW))
    assert limits_kw == (50.0, float("inf"), 50.0)
