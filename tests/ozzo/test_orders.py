"""From plans to orders, and the clock that they are given by."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ozzo.clock import AcceleratedClock
from ozzo.commands import JobWish
from ozzo.orders import Brief, Order, in_order, orders_of, transition
from scheduler.plan import BatteryControl, Dropped, EnergySchedule, Plan, Reason, ReasonKind, Run, SolveStatus
from tests.factory import START, day_horizon, small_scenario

SPEED = 7200.0  # one slot of an hour is half a second
SCENARIO = small_scenario()
BRIEF = Brief({job.name: job for job in SCENARIO.jobs}, {"hall.rack-0": 0.025, "hall.rack-1": 0.025}, SPEED)


def plan_of(*runs: Run, first_slot: int = 0, name: str = "plan", dropped: tuple[Dropped, ...] = ()) -> Plan:
    """A plan with these runs; energy is of no concern here."""
    horizon = day_horizon(24) if not first_slot else day_horizon(24).tail(first_slot)
    return Plan(
        id=name,
        policy="test",
        horizon=horizon,
        sites=("cabinet", "hall", "vault"),
        runs=runs,
        transfers=(),
        energy=EnergySchedule.zeros(3, horizon.slots),
        dropped=dropped,
        reasons={"train": Reason(ReasonKind.LOCAL_SURPLUS, "the sun shines")},
        battery_control=BatteryControl.FOLLOW_PLAN,
        objective_eur=0.0,
        bound_eur=None,
        gap=None,
        status=SolveStatus.HEURISTIC,
        solver="",
        build_s=0.0,
        solve_s=0.0,
        breakdown_eur={},
    )


def train(start: int, end: int, node: str = "hall.rack-0") -> Run:
    """A piece of job train."""
    return Run("train", "hall", start, end, (node,))


def told(orders: list[Order]) -> list[tuple[float, str, str, str]]:
    """Hour, job, node and state of each order."""
    hours = [(order.due - START) / timedelta(hours=1) for order in orders]
    return [(hour, *order.key, str(order.desired.state)) for hour, order in zip(hours, orders, strict=True)]


def test_a_job_in_pieces_is_started_paused_and_resumed() -> None:
    """Run, pause, run; no order at its end, because the process ends by itself after the time of all its pieces."""
    orders = orders_of(plan_of(train(1, 3), train(6, 9)), BRIEF)
    assert told(orders) == [
        (1.0, "train", "hall.rack-0", "running"),
        (3.0, "train", "hall.rack-0", "paused"),
        (6.0, "train", "hall.rack-0", "running"),
    ]
    desired = orders[0].desired
    assert desired.argv == ("sleep", "2.500")
    assert desired.seconds == 2.5
    assert desired.power_kw == pytest.approx(16 * 0.025)
    assert orders[0].reason == "the sun shines"


def test_adjacent_pieces_are_one() -> None:
    """Two pieces that touch need no pause between them."""
    assert len(orders_of(plan_of(train(1, 3), train(3, 5)), BRIEF)) == 1


def test_every_node_of_a_gang_is_told() -> None:
    """A job of two nodes has one order for each."""
    run = Run("render", "hall", 0, 3, ("hall.rack-0", "hall.rack-1"))
    assert {order.node for order in orders_of(plan_of(run), BRIEF)} == {"hall.rack-0", "hall.rack-1"}


def test_a_process_lives_at_least_a_twentieth_of_a_second() -> None:
    """However short the slot, a process has 0.05 s."""
    brief = replace(BRIEF, speed=1e9)
    assert orders_of(plan_of(train(0, 1)), brief)[0].desired.seconds == 0.05


def test_what_lowers_power_goes_first() -> None:
    """At one instant a pause is given before a start."""
    orders = orders_of(plan_of(train(0, 2), train(4, 5), Run("backup", "hall", 2, 3, ("hall.rack-0",))), BRIEF)
    assert [state for hour, *_, state in told(orders) if hour == 2.0] == ["paused", "running"]


def taken_over(before: Plan, after: Plan, moment_h: float) -> list[tuple[float, str, str, str]]:
    """Orders after a take-over when everything due before ``moment_h`` was given."""
    orders = orders_of(before, BRIEF)
    split = START + timedelta(hours=moment_h)
    given_orders = {order.key: order for order in orders if order.due < split}
    return told(transition(after, BRIEF, 0, given_orders, [order for order in orders if order.due >= split]))


def test_a_new_plan_pauses_what_it_continues_later() -> None:
    """A running job that the new plan continues at hour 8 is paused at the take-over."""
    after = plan_of(train(4, 7), first_slot=4, name="new")
    assert taken_over(plan_of(train(1, 6)), after, 4.0) == [
        (4.0, "train", "hall.rack-0", "paused"),
        (8.0, "train", "hall.rack-0", "running"),
    ]


def test_a_new_plan_stops_what_it_drops_and_says_why() -> None:
    """A running job that is dropped is stopped at the take-over with the reason of the drop."""
    dropped = (Dropped("train", Reason(ReasonKind.EVENT, "no power during the event")),)
    orders = orders_of(plan_of(train(1, 6)), BRIEF)
    stop = transition(plan_of(first_slot=4, dropped=dropped), BRIEF, 0, {orders[0].key: orders[0]}, [])
    assert told(stop) == [(4.0, "train", "hall.rack-0", "stopped")]
    assert stop[0].reason == "no power during the event"


def test_a_job_that_ends_by_then_is_left_alone() -> None:
    """A job whose last piece ends at the take-over is not stopped: its process is about to end by itself."""
    assert taken_over(plan_of(train(1, 4)), plan_of(first_slot=4), 4.0) == []


def test_a_job_that_goes_on_keeps_its_process() -> None:
    """It is told to run again (harmless), with the run time and limit that it was started with."""
    before, after = plan_of(train(1, 6)), plan_of(train(0, 2), first_slot=4, name="new")
    orders = orders_of(before, BRIEF)
    again = transition(after, BRIEF, 0, {orders[0].key: orders[0]}, [])
    assert told(again) == [(4.0, "train", "hall.rack-0", "running")]
    assert again[0].desired == orders[0].desired
    assert again[0].plan_id == "new"


def test_orders_due_before_the_take_over_stay() -> None:
    """What the old plan wants before the new one decides is still given; what it wants later is not."""
    before = plan_of(train(1, 3), Run("backup", "hall", 7, 8, ("hall.rack-1",)))
    orders = transition(plan_of(first_slot=4), BRIEF, 0, {}, orders_of(before, BRIEF))
    assert told(orders) == [(1.0, "train", "hall.rack-0", "running")]


runs_strategy = st.lists(st.booleans(), min_size=24, max_size=24)


def pieces(slots: list[bool], node: str = "hall.rack-0") -> list[Run]:
    """Runs of job train in these slots."""
    return [train(i, i + 1, node) for i, busy in enumerate(slots) if busy]


@given(runs_strategy, runs_strategy, st.integers(1, 23))
def test_after_any_take_over_the_state_follows_the_new_plan(old: list[bool], new: list[bool], slot: int) -> None:
    """Replaying all orders, the job runs in exactly the slots of the old plan before the take-over and of the new one after.

    Its process may only stay in the running state beyond a planned end, where it ends by itself.
    """
    before = orders_of(plan_of(*pieces(old)), BRIEF)
    split = START + timedelta(hours=slot)
    given_orders = {order.key: order for order in before if order.due < split}
    after = plan_of(*pieces(new[slot:]), first_slot=slot, name="new")
    stream = [order for order in before if order.due < split]
    later = transition(after, BRIEF, 0, given_orders, [order for order in before if order.due >= split])
    stream = in_order([*stream, *later])
    state, until = JobWish.STOPPED, START
    for hour in range(24):
        for order in stream:
            if order.due == START + timedelta(hours=hour):
                state, until = order.desired.state, order.until
        wanted = old[hour] if hour < slot else new[hour]
        beyond = START + timedelta(hours=hour) >= until
        assert (state is JobWish.RUNNING) == wanted or (state is JobWish.RUNNING and beyond)


def test_the_clock_runs_fast_and_stands_still() -> None:
    """Speed 7200 makes two hours of a second; while paused (pauses nest) time stands still."""
    wall = [100.0]
    clock = AcceleratedClock(START, SPEED, monotonic=lambda: wall[0])
    wall[0] += 1.0
    assert clock.now() == START + timedelta(hours=2)
    assert clock.wall_s_until(START + timedelta(hours=4)) == pytest.approx(1.0)
    with clock.standing_still(), clock.standing_still():
        wall[0] += 50.0
        assert clock.now() == START + timedelta(hours=2)
        assert clock.wall_s_until(START + timedelta(hours=4)) == float("inf")
        assert clock.wall_s_until(START) == 0.0
    wall[0] += 0.5
    assert clock.now() == START + timedelta(hours=3)


def test_a_wrong_clock_is_refused() -> None:
    """A naive start, a speed that is not positive, or a resume too many raises."""
    with pytest.raises(ValueError, match="time zone"):
        AcceleratedClock(START.replace(tzinfo=None))
    with pytest.raises(ValueError, match="speed"):
        AcceleratedClock(START, 0.0)
    with pytest.raises(RuntimeError):
        AcceleratedClock(START).resume()
