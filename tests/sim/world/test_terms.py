"""Order, lateness, restarts, moves and feeders in the simulated world, computed by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from scheduler.facility import FeederLine
from scheduler.outcome import ViolationKind
from scheduler.plan import Run
from scheduler.workload import JobKind, PowerCap
from sim.rehearsal import realise
from sim.world import SimulatedWorld
from sim.world.failures import Failure
from tests.factory import job, small_scenario
from tests.sim.hand import exact, good_plan, good_transfers, hand_plan
from tests.sim.world.test_simulated import at, failing, hall_only, long_factor, result

FIRST = Run("first", "hall", 4, 6, ("hall.rack-0",))
SECOND = Run("second", "hall", 6, 8, ("hall.rack-1",))


@pytest.mark.parametrize(("factor", "start_h"), [(0.5, 6.0), (1.0, 6.0), (1.25, 6.5)])
def test_a_job_waits_for_those_before_it(factor: float, start_h: float) -> None:
    """A job that comes after one that takes longer than planned begins when that has ended, and never before its own time."""
    jobs = job("first", duration_h=2), replace(job("second", duration_h=2), after=("first",))
    scenario = hall_only(*jobs, errors=long_factor(factor))
    outcome = realise(scenario, hand_plan(scenario, (FIRST, SECOND), good_transfers()), 1)
    assert result(outcome, "second").started == at(start_h)
    assert result(outcome, "second").finished == at(start_h + 2 * factor)


def test_a_failure_excuses_those_after_it() -> None:
    """A job that waits for one whose node failed is late because of that failure, and says so."""
    jobs = job("first", duration_h=2), replace(job("second", duration_h=2, deadline_h=8), after=("first",))
    scenario = hall_only(*jobs)
    world = failing(SimulatedWorld(scenario, seed=1, stressed=False), Failure("hall.rack-0", 5 * 3600.0, 23 * 3600.0))
    world.command(hand_plan(scenario, (FIRST, SECOND), good_transfers()))
    outcome = world.outcome()
    second = result(outcome, "second")
    assert second.started == at(7)  # the first began again at 5 on another node
    assert (second.missed, second.failures) == (True, ("hall.rack-0",))


@pytest.mark.parametrize(
    ("kind", "late_h"),
    [
        (JobKind.RIGID, 2.5),  # it ends at 10, half an hour past 9.5 and two hours past 7.5
        (JobKind.INTERRUPTIBLE, 1.5),  # it works in 6-7 and from 8.5 to 10, the last of it after 7.5
        (JobKind.MALLEABLE, 0.8),  # of two hours from 8 on it works two fifths of the time
    ],
)
def test_lateness(kind: JobKind, late_h: float) -> None:
    """Hours late against a due at 7:30, and their price of 2 EUR an hour in the realised objective."""
    due = {"due": at(7.5), "late_eur_per_h": 2.0}
    runs = {
        JobKind.RIGID: (Run("late", "hall", 8, 10, ("hall.rack-0",)),),
        JobKind.INTERRUPTIBLE: (Run("late", "hall", 6, 7, ("hall.rack-0",)), Run("late", "hall", 8, 10, ("hall.rack-0",))),
        JobKind.MALLEABLE: (
            Run("late", "hall", 6, 7, ("hall.rack-0",)),
            Run("late", "hall", 8, 10, ("hall.rack-0",), 0.2, 0.16, 0.4),
        ),
    }[kind]
    asked_h = {JobKind.RIGID: 2.0, JobKind.INTERRUPTIBLE: 2.5, JobKind.MALLEABLE: 1.4}[kind]
    item = replace(job("late", duration_h=asked_h, kind=kind), power_caps=(PowerCap(0.5, 0.4),), **due)  # type: ignore[arg-type]
    scenario = hall_only(item)
    outcome = realise(scenario, hand_plan(scenario, runs, good_transfers()), 1)
    assert result(outcome, "late").late_h == pytest.approx(late_h)
    assert outcome.totals.breakdown_eur["lateness"] == pytest.approx(2.0 * late_h)


def test_pieces_are_counted_and_paid() -> None:
    """Two pauses are two restarts; a change of nodes without a pause is none."""
    item = replace(job("soft", duration_h=5, kind=JobKind.INTERRUPTIBLE), restart_eur=0.5)
    scenario = hall_only(item)
    pieces = ((4, 5, 0), (5, 6, 1), (8, 9, 1), (10, 12, 1))
    runs = tuple(Run("soft", "hall", start, end, (f"hall.rack-{node}",)) for start, end, node in pieces)
    outcome = realise(scenario, hand_plan(scenario, runs, good_transfers()), 1)
    assert (result(outcome, "soft").pieces, result(outcome, "soft").finished) == (3, at(12))
    assert outcome.totals.breakdown_eur["fixed"] == pytest.approx(1.0)


@pytest.mark.parametrize("move_eur", [None, 3.0])
def test_a_move_keeps_the_work(move_eur: float | None) -> None:
    """A new plan has the other half of the job in the cabinet: it goes there at its price, or stays where it has to."""
    item = replace(job("soft", duration_h=4, kind=JobKind.INTERRUPTIBLE, sites=("cabinet", "hall")), move_eur=move_eur)
    scenario = hall_only(item)
    world = SimulatedWorld(scenario, seed=1, stressed=False)
    world.command(hand_plan(scenario, (Run("soft", "hall", 4, 8, ("hall.rack-0",)),), good_transfers()))
    world.advance(at(6))
    rest = scenario.horizon.tail(6)
    runs = (Run("soft", "cabinet", 1, 3, ("cabinet.rack-0",)),)
    moves = (replace(good_transfers()[0], start=5, end=7),)
    world.command(hand_plan(scenario, runs, moves, horizon=rest))
    if move_eur is not None:
        assert world.observe(8).started[0].site == "cabinet"
    outcome = world.outcome()
    done = result(outcome, "soft")
    if move_eur is None:
        assert (done.site, done.moves, outcome.totals.breakdown_eur["fixed"]) == ("hall", 0, 0.0)
        assert any("belongs to hall" in text for _, text in outcome.log)
    else:
        assert (done.site, done.moves, done.finished) == ("cabinet", 1, at(9))
        assert outcome.totals.breakdown_eur["fixed"] == pytest.approx(3.0)


def test_feeders_are_settled() -> None:
    """The flow through the head of a feeder and the drop along it, as realised, against their limits."""
    scenario = exact(small_scenario())
    plan = good_plan(scenario)
    net = (plan.energy.import_kw - plan.energy.export_kw)[1:]
    head = float(abs(net.sum(axis=0)).max())
    first = 0.001 * net.sum(axis=0)
    drop = float(max(abs(first).max(), abs(first + 0.002 * net[1]).max()))
    fine = FeederLine("street", ("hall", "vault"), head + 1e-3, (0.001, 0.002), drop + 1e-6)
    for feeder, broken in (
        (fine, []),
        (replace(fine, limit_kw=head - 1e-3), [("street", head)]),
        (replace(fine, drop_limit_pu=drop - 1e-6), [("street voltage", drop)]),
    ):
        outcome = realise(replace(scenario, feeders=(feeder,)), plan, 1)
        found = [item for item in outcome.violations if item.kind is ViolationKind.FEEDER]
        assert [item.subject for item in found] == [name for name, _ in broken]
        assert [item.value for item in found] == pytest.approx([value for _, value in broken])


def test_a_due_before_the_start_counts() -> None:
    """A world that begins from an observation knows a due that has passed."""
    scenario = hall_only(replace(job("late", duration_h=1), due=at(1), late_eur_per_h=1.0))
    outcome = realise(scenario, hand_plan(scenario, (Run("late", "hall", 4, 5, ("hall.rack-0",)),), good_transfers()), 1)
    assert result(outcome, "late").late_h == pytest.approx(4.0)
    assert at(1) + timedelta(hours=4) == result(outcome, "late").finished
