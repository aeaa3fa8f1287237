"""How far jobs are, and what the controller sees of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ozzo.commands import JobWish
from ozzo.orders import Order
from ozzo.serve.observe import Seen, empty, observation_from_dict, observation_to_dict, observed
from ozzo.serve.works import Processes, Stage, Work, after, work_from_dict, work_to_dict
from tests.factory import START, job, small_scenario
from tests.ozzo.serve.test_reconcile import order

HOUR = timedelta(hours=1)
SCENARIO = small_scenario()


def test_a_node_that_the_document_names_no_more_is_no_place() -> None:
    """Its job is not told as begun, and it is aside for as long as it may be there; what was kept of energy leaves it out too."""
    works = {"train": Work(Stage.RUNNING, ("gone.rack-7",), 0.0, START)}
    seen, aside = observed(SCENARIO, empty(SCENARIO, 3), Seen(works, (), frozenset({"train"})), START)
    assert (seen.started, aside) == ((), frozenset({"train"}))
    kept = observation_to_dict(seen) | {"started": [["train", "gone", ["gone.rack-7"], 3, True], ["index", "hall", [], 1, True]]}
    assert [state.job for state in observation_from_dict(kept, SCENARIO, 3).started] == ["index"]


def stage(wishes: dict[str, JobWish], exits: dict[str, int], given_up: tuple[str, ...] = ()) -> Stage:
    """Stage of a job with these processes."""
    return Processes({node: order("job", node, wish) for node, wish in wishes.items()}, exits, given_up).stage()


RUN, PAUSE, STOP = JobWish.RUNNING, JobWish.PAUSED, JobWish.STOPPED


@pytest.mark.parametrize(
    ("wishes", "exits", "given_up", "expected"),
    [
        ({"a": RUN}, {}, (), Stage.RUNNING),
        ({"a": PAUSE}, {}, (), Stage.PAUSED),
        ({"a": RUN}, {"a": 0}, (), Stage.DONE),
        ({"a": RUN}, {"a": 3}, (), Stage.FAILED),
        ({"a": RUN, "b": RUN}, {"a": 0}, (), Stage.RUNNING),  # a gang is done when all of it is
        ({"a": RUN, "b": RUN}, {"a": 1}, (), Stage.ENDING),  # and over when the rest has ended too
        ({"a": STOP}, {}, (), Stage.ENDING),
        ({"a": STOP}, {"a": -15}, (), Stage.STOPPED),
        ({"a": STOP}, {"a": 0}, (), Stage.DONE),  # it had ended before it could be stopped
        ({"a": STOP}, {}, ("a",), Stage.STOPPED),  # on a node that is lost and surely in failsafe
        ({"a": STOP, "b": RUN}, {}, ("a",), Stage.RUNNING),  # planned elsewhere
        ({"a": STOP, "b": RUN}, {"b": 0}, ("a",), Stage.DONE),
    ],
)
def test_stages(wishes: dict[str, JobWish], exits: dict[str, int], given_up: tuple[str, ...], expected: Stage) -> None:
    """Each combination of orders, ends and lost nodes has one stage."""
    assert stage(wishes, exits, given_up) is expected


def test_time_worked_is_summed_over_pauses() -> None:
    """An hour of work, an hour of pause, and half an hour of work: an hour and a half; a stop throws it away."""
    work = after(None, Processes({"a": order("job", "a")}, {}), START)
    assert after(work, Processes({"a": order("job", "a")}, {}), START + HOUR) is work
    work = after(work, Processes({"a": order("job", "a", PAUSE)}, {}), START + HOUR)
    work = after(work, Processes({"a": order("job", "a")}, {}), START + 2 * HOUR)
    assert work.worked_at(START + 2.5 * HOUR) == 1.5 * 3600
    assert work_from_dict(json.loads(json.dumps(work_to_dict(work)))) == work
    gone = after(work, Processes({"a": order("job", "a", STOP)}, {"a": -15}), START + 3 * HOUR)
    assert (gone.stage, gone.worked_s, gone.since) == (Stage.STOPPED, 0.0, None)
    again = after(gone, Processes({"a": order("job", "a", STOP), "b": order("job", "b")}, {"a": -15}), START + 4 * HOUR)
    assert (again.stage, again.nodes, again.worked_s) == (Stage.RUNNING, ("b",), 0.0)


def test_the_controller_sees_jobs_as_nodes_tell_them() -> None:
    """Done, running with what is left, paused, foreseen to start, and aside: each as a planner needs it."""
    names = [item.name for item in SCENARIO.jobs]
    hour = {name: next(item for item in SCENARIO.jobs if item.name == name).duration / HOUR for name in names}
    slot, now = 3, START + 2 * HOUR
    works = {
        names[0]: Work(Stage.DONE, ("cabinet.rack-0",)),
        "train": Work(Stage.RUNNING, ("hall.rack-2",), 0.0, START + HOUR),
        "render": Work(Stage.PAUSED, ("hall.rack-0", "hall.rack-1"), 3600.0),
    }
    pending = (Order(now, "hall.rack-3", order("backup", "hall.rack-3").desired, "", "plan", now + HOUR),)
    seen, aside = observed(SCENARIO, empty(SCENARIO, slot), Seen(works, pending, frozenset({"render"})), now)
    assert seen.finished == {names[0], "render"} | ({"backup"} if hour["backup"] <= 1 else set())
    assert aside == {"render"}
    states = {state.job: state for state in seen.started}
    assert states["train"].remaining_slots == hour["train"] - 2
    assert (states["train"].site, states["train"].nodes, states["train"].running) == ("hall", ("hall.rack-2",), True)


def test_a_job_that_will_find_its_node_taken_has_not_begun() -> None:
    """One that runs longer than planned keeps its node: what was to begin there is for the planner to place again."""
    now = START + 2 * HOUR
    works = {"train": Work(Stage.RUNNING, ("hall.rack-2",), 30 * 3600.0, now)}
    pending = (Order(now, "hall.rack-2", order("transcode", "hall.rack-2").desired, "", "plan", now + 2 * HOUR),)
    seen, _ = observed(SCENARIO, empty(SCENARIO, 3), Seen(works, pending), now)
    assert [state.job for state in seen.started] == ["train"]
    assert "transcode" not in seen.finished


def test_what_comes_after_a_job_that_is_aside_waits_too() -> None:
    """A planner must not take a job that is aside for done and start its followers."""
    jobs = (job("first"), replace(job("second"), after=("first",)), replace(job("third"), after=("second",)))
    chained = small_scenario(jobs=jobs)
    seen, _ = observed(chained, empty(chained, 1), Seen({}, (), frozenset({"first"})), START)
    assert seen.finished == {"first", "second", "third"}


@given(st.integers(0, 23), st.floats(0.0, 30.0), st.floats(0.0, 23.9))
def test_a_job_that_lives_is_never_forgotten(slot: int, worked_h: float, now_h: float) -> None:
    """However long it has run, a job without an end has at least one slot left, unless the plan has it end by then."""
    now = START + timedelta(hours=now_h)
    if SCENARIO.horizon.time(slot) < now:
        return
    work = Work(Stage.RUNNING, ("hall.rack-2",), worked_h * 3600.0, now)
    seen, _ = observed(SCENARIO, empty(SCENARIO, slot), Seen({"train": work}), now)
    left = [state.remaining_slots for state in seen.started if state.job == "train"]
    asked_h = next(item for item in SCENARIO.jobs if item.name == "train").duration / HOUR
    ends = worked_h < asked_h and worked_h + (SCENARIO.horizon.time(slot) - now) / HOUR >= asked_h - 0.1
    assert left == [] if ends else left[0] >= 1


def test_an_observation_survives_json() -> None:
    """What the last life saw is what the next begins with."""
    seen, _ = observed(SCENARIO, empty(SCENARIO, 3), Seen({"train": Work(Stage.RUNNING, ("hall.rack-2",), 0.0, START)}), START)
    again = observation_from_dict(json.loads(json.dumps(observation_to_dict(seen))), SCENARIO, 3)
    assert again == seen
