"""The independent check of a plan: a good plan passes, every alteration is refused under its own name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from grid.response.event import CapacityEvent
from scheduler.outcome import ViolationKind
from scheduler.plan import Dropped, EnergySchedule, Plan, Reason, ReasonKind, Run, Transfer
from scheduler.scenario import Scenario
from scheduler.world import JobState, Observation
from sim.plan_check import check_plan
from tests.factory import START, small_scenario
from tests.sim.hand import good_plan, good_runs, good_transfers, hand_plan

K = ViolationKind


def kinds(scenario: Scenario, plan: Plan) -> set[ViolationKind]:
    """Kinds of the violations found."""
    return {violation.kind for violation in check_plan(scenario, plan)}


def with_run(plan: Plan, which: str, **changes: object) -> Plan:
    """The plan with the first piece of the job ``which`` altered."""
    first = plan.runs_of(which)[0]
    altered = replace(first, **changes)  # type: ignore[arg-type]
    return replace(plan, runs=tuple(altered if run is first else run for run in plan.runs))


def with_energy(plan: Plan, name: str, site: int, slot: int, value: float) -> Plan:
    """The plan with one energy value altered."""
    arrays = {key: getattr(plan.energy, key).copy() for key in EnergySchedule.names()}
    arrays[name][site, slot] = value
    return replace(plan, energy=EnergySchedule(**arrays))


def test_good_plan_passes() -> None:
    """The plan that all others here are altered from breaks no rule."""
    scenario = small_scenario()
    assert check_plan(scenario, good_plan(scenario)) == ()


def test_battery_over_capacity_is_refused() -> None:
    """Issue 2, done when 6: a state of charge above the capacity is a state_of_charge violation at the battery."""
    scenario = small_scenario()
    battery_kw = np.zeros(24)
    battery_kw[10:13] = 2.0  # 5 kWh + 3 h x 2 kW x 0.95 = 10.7 kWh in a battery of 10
    plan = hand_plan(scenario, good_runs(), good_transfers(), battery_kw={"cabinet": battery_kw})
    (violation,) = check_plan(scenario, plan)
    assert violation.kind is K.STATE_OF_CHARGE
    assert violation.subject == "battery of cabinet"
    assert violation.value == pytest.approx(10.7)
    assert violation.limit == 10.0
    assert violation.advice


def test_job_on_two_sites_is_refused() -> None:
    """Issue 2, done when 6: pieces of one job at two sites are a job_on_two_sites violation."""
    scenario = small_scenario()
    plan = good_plan(scenario)
    pieces = plan.runs_of("train")
    moved = replace(pieces[1], site="cabinet", nodes=("cabinet.rack-1",))
    plan = replace(plan, runs=tuple(moved if run is pieces[1] else run for run in plan.runs))
    found = [violation for violation in check_plan(scenario, plan) if violation.kind is K.TWO_SITES]
    assert [violation.subject for violation in found] == ["train"]
    assert "cabinet and hall" in found[0].advice


def test_job_after_its_deadline_is_refused() -> None:
    """Issue 2, done when 6: a job that ends after its deadline is a deadline violation, hours late."""
    scenario = small_scenario()
    runs = tuple(replace(run, start=12, end=13) if run.job == "backup" else run for run in good_runs())
    found = check_plan(scenario, hand_plan(scenario, runs, good_transfers()))
    assert [(violation.kind, violation.subject, violation.value) for violation in found] == [(K.DEADLINE, "backup", 1.0)]


def test_hot_dataset_in_a_vault_is_refused() -> None:
    """Issue 2, done when 6: bringing a hot dataset to the vault is a tier_rule violation of that dataset."""
    scenario = small_scenario()
    plan = good_plan(scenario)
    stray = Transfer("photos", "photos", "cabinet", "vault", 15, 18, 1000.0)
    found = [v for v in check_plan(scenario, replace(plan, transfers=(*plan.transfers, stray))) if v.kind is K.TIER_RULE]
    assert [violation.subject for violation in found] == ["photos"]
    assert "vault" in found[0].advice


@pytest.mark.parametrize(
    ("alter", "expected"),
    [
        (lambda p: with_run(p, "index", job="idnex"), K.UNKNOWN_NAME),  # no such job
        (lambda p: with_run(p, "index", nodes=("cabinet.rack-9",)), K.UNKNOWN_NAME),  # no such node
        (lambda p: with_run(p, "index", job="idnex"), K.NOT_PLANNED),  # and the real one is neither run nor dropped
        (lambda p: with_run(p, "backup", start=5, end=6), K.WINDOW),  # released in slot 6
        (lambda p: with_run(p, "render", end=11), K.WINDOW),  # 3 slots needed, 2 given
        (lambda p: with_run(p, "render", start=-1, end=2), K.WINDOW),  # before the plan begins
        (lambda p: with_run(p, "nightly", site="vault", nodes=("vault.rack-0",)), K.SITE_NOT_ALLOWED),  # only the hall
        (lambda p: with_run(p, "render", nodes=("hall.rack-1", "hall.rack-2")), K.CAPACITY),  # rack-2 runs train
        (lambda p: with_run(p, "render", nodes=("hall.rack-1",)), K.CAPACITY),  # a gang of two needs two
        (lambda p: with_run(p, "render", nodes=("hall.rack-1", "vault.rack-0")), K.CAPACITY),  # a node of another site
        (lambda p: with_run(p, "index", site="hall", nodes=("hall.rack-3",)), K.DATA_MISSING),  # photos are in the cabinet
        (lambda p: replace(p, transfers=()), K.TIER_RULE),  # scans stay in the hall, nobody says why
        (lambda p: replace(p, transfers=(replace(p.transfers[0], start=18, end=22, rate_mbit_per_s=500.0),)), K.TIER_RULE),
        # half of it arrives after move_by in slot 20
        (lambda p: replace(p, transfers=(replace(p.transfers[0], rate_mbit_per_s=1100.0),)), K.LINK_RATE),  # 1 Gbit/s link
        (lambda p: replace(p, transfers=(*p.transfers, p.transfers[0])), K.LINK_RATE),  # two at full rate at once
        (lambda p: replace(p, transfers=(replace(p.transfers[0], source="cabinet"),)), K.DATA_MISSING),  # no replica there
        (lambda p: with_energy(p, "charge_kw", 0, 12, 7.0), K.BATTERY_POWER),  # 5 kW terminal
        (lambda p: with_energy(p, "charge_kw", 1, 12, 1.0), K.BATTERY_POWER),  # the hall has no battery
        (lambda p: with_energy(p, "discharge_kw", 0, 12, 1.0), K.CHARGE_AND_DISCHARGE),  # charges in that slot
        (lambda p: with_energy(p, "soc_kwh", 0, 15, 0.5), K.STATE_OF_CHARGE),  # below the reserve of 1 kWh
        (lambda p: with_energy(p, "soc_kwh", 0, 15, 6.0), K.STATE_OF_CHARGE),  # within bounds, but not what was charged
        (lambda p: with_energy(p, "import_kw", 1, 3, 2.0), K.ENERGY_BALANCE),
        (lambda p: with_energy(p, "import_kw", 1, 3, 60.0), K.IMPORT_LIMIT),  # 50 kW
        (lambda p: with_energy(p, "export_kw", 1, 3, 60.0), K.EXPORT_LIMIT),
        (lambda p: with_energy(p, "export_kw", 1, 3, -1.0), K.ENERGY_BALANCE),  # negative flow
        (lambda p: with_energy(p, "load_kw", 1, 3, 0.1), K.ENERGY_BALANCE),  # less than idle
        (lambda p: with_energy(p, "renewable_kw", 1, 0, 5.0), K.ENERGY_BALANCE),  # sun at midnight
        (lambda p: with_energy(p, "unserved_kw", 1, 3, 0.5), K.UNSERVED),
        (lambda p: with_energy(p, "it_kw", 1, 3, np.nan), K.ENERGY_BALANCE),
        (lambda p: replace(p, sites=("hall", "cabinet", "vault")), K.UNKNOWN_NAME),  # another order
        (lambda p: replace(p, horizon=replace(p.horizon, slots=23)), K.WINDOW),  # another time axis
    ],
)
def test_altered_plan_is_refused(alter: Callable[[Plan], Plan], expected: ViolationKind) -> None:
    """Each alteration of the good plan is found under the expected name."""
    scenario = small_scenario()
    assert expected in kinds(scenario, alter(good_plan(scenario)))


def test_dropping_needs_a_reason() -> None:
    """A job that is dropped with words passes, one that is dropped without words does not."""
    scenario = small_scenario()
    runs = tuple(run for run in good_runs() if run.job != "nightly")
    plan = hand_plan(scenario, runs, good_transfers())
    assert check_plan(scenario, plan) == ()
    silent = replace(plan, dropped=(Dropped("nightly", Reason(ReasonKind.NO_PLACE, "")),))
    assert kinds(scenario, silent) == {K.NOT_PLANNED}


def test_run_and_dropped_at_once_is_refused() -> None:
    """A plan that both runs and drops a job contradicts itself."""
    scenario = small_scenario()
    plan = good_plan(scenario)
    plan = replace(plan, dropped=(Dropped("nightly", Reason(ReasonKind.NO_PLACE, "no room")),))
    assert kinds(scenario, plan) == {K.NOT_PLANNED}


def test_runs_without_nodes_are_checked_in_the_pool() -> None:
    """Before node assignment five whole-node runs do not fit on four nodes."""
    scenario = small_scenario()
    runs = tuple(
        replace(run, nodes=(), start=8, end=11) if run.job == "render" else replace(run, nodes=()) for run in good_runs()
    )
    assert check_plan(scenario, hand_plan(scenario, runs, good_transfers())) == ()  # render 2, train 1, backup 1
    crowded = tuple(replace(run, start=8, end=9) if run.job == "nightly" else run for run in runs)
    assert K.CAPACITY in kinds(scenario, hand_plan(scenario, crowded, good_transfers()))


def test_staged_data_arrives_before_the_job() -> None:
    """A job may run after a staging copy has arrived at its site, and not before."""
    scenario = small_scenario()
    photos = replace(scenario.datasets[0], allowed_sites=("cabinet", "hall"), stageable=True)
    jobs = tuple(replace(job, sites=("cabinet", "hall")) if job.name == "index" else job for job in scenario.jobs)
    scenario = replace(scenario, datasets=(photos, scenario.datasets[1]), jobs=jobs)
    copy = Transfer("photos@hall", "photos", "cabinet", "hall", 3, 6, 1000.0)  # 1 TB needs 2.2 h at 1 Gbit/s
    runs = tuple(replace(run, site="hall", nodes=("hall.rack-3",)) if run.job == "index" else run for run in good_runs())
    assert check_plan(scenario, hand_plan(scenario, runs, (copy, *good_transfers()))) == ()
    early = tuple(replace(run, start=5, end=7) if run.job == "index" else run for run in runs)
    assert kinds(scenario, hand_plan(scenario, early, (copy, *good_transfers()))) == {K.DATA_MISSING}


def test_event_must_be_counted() -> None:
    """A plan may exceed an event's limit when its objective counts the penalty, and not when it does not."""
    event = CapacityEvent("peak-1", "hall", START + timedelta(hours=2), START + timedelta(hours=4), 0.3, 1.0, START)
    scenario = small_scenario(events=(event,))
    plan = good_plan(scenario)
    over = float(np.maximum(0.0, plan.energy.import_kw[1, 2:4] - 0.3).sum())
    assert over > 0
    assert kinds(scenario, replace(plan, breakdown_eur={"event_penalty": over})) == set()
    assert kinds(scenario, replace(plan, breakdown_eur={"event_penalty": 0.0})) == {K.EVENT_LIMIT}


def test_events_are_counted_together() -> None:
    """Two events that a plan exceeds are both owed: counting the dearer one alone is not enough."""
    hours = ((2, 4, 0.3, 1.0), (3, 5, 0.3, 2.0))
    events = tuple(
        CapacityEvent(f"peak-{n}", "hall", START + timedelta(hours=a), START + timedelta(hours=b), limit, eur, START)
        for n, (a, b, limit, eur) in enumerate(hours)
    )
    scenario = small_scenario(events=events)
    plan = good_plan(scenario)
    owed = [
        eur * float(np.maximum(0.0, (plan.energy.import_kw - plan.energy.export_kw)[1, a:b] - limit).sum())
        for a, b, limit, eur in hours
    ]
    assert min(owed) > 0
    assert kinds(scenario, replace(plan, breakdown_eur={"event_penalty": sum(owed)})) == set()
    for part in (max(owed), sum(owed) - 0.001):
        (violation,) = check_plan(scenario, replace(plan, breakdown_eur={"event_penalty": part}))
        assert (violation.kind, violation.subject) == (K.EVENT_LIMIT, f"peak-{owed.index(max(owed))}")


def test_the_peak_charge_of_a_site_must_be_counted() -> None:
    """Also where no capacity tariff is agreed: what a site's own charge bills is in the plan's objective, no more and no less."""
    scenario = small_scenario()
    charged = [replace(site, tariff=replace(site.tariff, peak_eur_per_kw=3.0, peak_reached_kw=0.1)) for site in scenario.sites]
    scenario = replace(scenario, sites=tuple(charged))
    plan = good_plan(scenario)
    owed = float(3.0 * np.maximum(0.0, plan.energy.import_kw.max(axis=1) - 0.1).sum())
    assert owed > 0
    assert kinds(scenario, replace(plan, breakdown_eur={"peak": owed})) == set()
    assert kinds(scenario, replace(plan, breakdown_eur={"peak": 0.0})) == {K.NOT_COUNTED}
    assert kinds(scenario, replace(plan, breakdown_eur={"peak": 2 * owed})) == {K.NOT_COUNTED}


def test_plan_of_the_rest_respects_what_was_observed() -> None:
    """A re-plan keeps a started rigid job on its nodes from the first slot and begins at the observed state of charge."""
    scenario = small_scenario()
    state = JobState("render", "hall", ("hall.rack-0", "hall.rack-1"), 2, running=True)
    observation = Observation(
        slot=10,
        moment=scenario.horizon.time(10),
        finished=frozenset({"nightly", "backup", "train"}),
        started=(state,),
        soc_kwh={"cabinet": 3.0},
        peak_kw={},
        moved_tb={},
        moved_to={},
    )
    runs = (
        Run("render", "hall", 0, 2, ("hall.rack-0", "hall.rack-1")),
        Run("index", "cabinet", 0, 2, ("cabinet.rack-0",)),
        Run("transcode", "hall", 1, 3, ("hall.rack-3",)),
    )
    transfers = (replace(good_transfers()[0], start=1, end=3),)
    rest = scenario.horizon.tail(10)
    plan = hand_plan(scenario, runs, transfers, horizon=rest, initial_soc_kwh={"cabinet": 3.0})
    assert check_plan(scenario, plan, observation) == ()
    late = hand_plan(
        scenario, (replace(runs[0], start=1, end=3), *runs[1:]), transfers, horizon=rest, initial_soc_kwh={"cabinet": 3.0}
    )
    assert {violation.kind for violation in check_plan(scenario, late, observation)} == {K.WINDOW}
    full = hand_plan(scenario, runs, transfers, horizon=rest)
    assert {violation.kind for violation in check_plan(scenario, full, observation)} == {K.STATE_OF_CHARGE}
