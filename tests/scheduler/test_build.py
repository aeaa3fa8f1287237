"""From scenario and observation to problem."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from grid.response.event import CapacityEvent
from grid.series import Series
from scheduler.build import build_problem
from scheduler.data import Dataset, Tier
from scheduler.data_tasks import find_way
from scheduler.facility import FeederLine, Link, NodeGroup
from scheduler.plan import Run
from scheduler.policies.fifo import Fifo
from scheduler.problem import Mode
from scheduler.scenario import PlanningSettings, Scenario
from scheduler.workload import JobKind, PowerCap, Tenant
from scheduler.world import JobState, Observation
from tests.factory import START, job, small_scenario


def seen(scenario: Scenario, slot: int, **changes: object) -> Observation:
    """An observation at ``slot`` in which nothing has happened, with changes."""
    plain = Observation(slot, scenario.horizon.time(slot), frozenset(), (), {}, {}, {}, {})
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_arrays_by_hand() -> None:
    """Capacity, fixed power, limits with margin and prices of the small scenario are what one computes by hand."""
    scenario = small_scenario()
    problem = build_problem(scenario)
    assert problem.capacity[:, 1, 0].tolist() == [64.0, 0.0, 256.0]
    assert problem.fixed_kw[1, 0] == pytest.approx(0.1 + 1.2 * 4 * 0.1)
    assert problem.import_limit_kw[0, 5] == pytest.approx(50 * 0.95)
    assert problem.import_eur_per_kwh[0] == pytest.approx(scenario.sites[0].tariff.import_eur_per_mwh.values / 1000)
    assert problem.initial_soc_kwh.tolist() == problem.final_soc_kwh.tolist() == [5.0, 0.0, 0.0]
    assert problem.jobs[1].resources == (32.0, 0.0, 16.0)
    assert problem.jobs[1].options[0].power_kw == pytest.approx(2 * 16 * 0.025)


def test_margin_never_undercuts_the_fixed_load() -> None:
    """A limit just above the fixed load loses its margin only down to that load; one below it stays as it is."""
    scenario = small_scenario()
    fixed = scenario.sites[2].idle_kw
    for limit, expected in ((fixed * 1.01, fixed), (fixed * 0.9, fixed * 0.9), (fixed * 2, fixed * 1.9)):
        series = Series.constant(limit, scenario.horizon, "kW")
        vault = replace(scenario.sites[2], connection=replace(scenario.sites[2].connection, import_limit_kw=series))
        problem = build_problem(replace(scenario, sites=(*scenario.sites[:2], vault)))
        assert problem.import_limit_kw[2, 0] == pytest.approx(expected)


def test_windows_and_work_are_rounded_safely() -> None:
    """Release up, deadline down, work up, after the duration margin."""
    odd = job("odd", release_h=1.1, deadline_h=7.9, duration_h=2.0)
    scenario = small_scenario(jobs=(odd,), planning=PlanningSettings(duration_margin=0.1))
    task = build_problem(scenario).jobs[0]
    assert (task.release, task.deadline, task.work) == (2, 7, 3)


def test_power_of_several_groups_is_never_understated() -> None:
    """With two node groups that fit, the dearer core counts; one that cannot hold the job does not."""
    scenario = small_scenario(jobs=(job("j", cores=8),))
    groups = (
        NodeGroup("small", 2, 8, 32.0, 0, 0.1, 0.5, 0.2),
        NodeGroup("big", 2, 16, 64.0, 0, 0.1, 0.5, 0.2),
        NodeGroup("tiny", 9, 4, 64.0, 0, 0.1, 9.0, 0.2),
    )
    hall = replace(scenario.sites[1], nodes=groups)
    task = build_problem(replace(scenario, sites=(scenario.sites[0], hall, scenario.sites[2]))).jobs[0]
    assert task.options[0].power_kw == pytest.approx(8 * 0.4 / 8)


def test_data_decides_options() -> None:
    """Replica, required move and staging copy open options; anything else is an obstacle in words."""
    jobs = (
        job("home", sites=("cabinet",), inputs=("photos",)),
        job("away", sites=("hall",), inputs=("photos",)),
        job("after", sites=("vault",), inputs=("scans",)),
    )
    problem = build_problem(small_scenario(jobs=jobs))
    assert problem.jobs[0].options[0].migrations == ()
    assert problem.jobs[1].options == ()
    assert "no replica of photos" in problem.jobs[1].obstacles[0]
    after = problem.jobs[2].options[0]
    assert (after.migrations, after.earliest) == ((0,), 2)  # 0.9 TB at 0.45 TB an hour
    staged = replace(small_scenario().datasets[0], stageable=True, allowed_sites=("cabinet", "hall"))
    problem = build_problem(small_scenario(jobs=jobs, datasets=(staged, small_scenario().datasets[1])))
    assert problem.migrations[problem.jobs[1].options[0].migrations[0]].name == "photos@hall"


def test_fewest_hops() -> None:
    """The way with fewest links is taken, dead links are not, and an island has no way."""
    links = (Link("ab", ("a", "b"), 1.0), Link("bc", ("b", "c"), 1.0), Link("ca", ("c", "a"), 0.0), Link("cd", ("d", "c"), 1.0))
    assert find_way(links, "a", "d") == (0, 1, 3)
    assert find_way(links, "a", "e") is None


def test_observation_takes_over_the_state() -> None:
    """Tail of the horizon; finished left out; rigid pinned; interruptible keeps its site; charge, peak, data taken over."""
    scenario = small_scenario()
    started = (
        JobState("render", "hall", ("hall.rack-0", "hall.rack-1"), 2, True),
        JobState("train", "hall", ("hall.rack-2",), 4, False),
    )
    found = seen(
        scenario,
        10,
        finished=frozenset({"index", "nightly"}),
        started=started,
        soc_kwh={"cabinet": 3.0},
        peak_kw={"hall": 4.0},
        moved_tb={"scans": 0.5},
        moved_to={"scans": "vault"},
        failed_nodes=frozenset({"hall.rack-3"}),
    )
    problem = build_problem(scenario, found)
    tasks = {task.name: task for task in problem.jobs}
    assert problem.horizon.slots == 14
    assert set(tasks) == {"render", "train", "backup", "transcode"}
    assert (tasks["render"].pinned, tasks["render"].deadline) == ((0, 1), 2)
    assert (tasks["train"].pinned, tasks["train"].work, tasks["train"].deadline) == ((), 4, 13)  # room for a delay
    assert problem.capacity[0, 1].tolist() == [48.0] * 14
    assert problem.initial_soc_kwh[0] == 3.0
    assert problem.final_soc_kwh[0] == 5.0
    assert problem.peak_reached_kw.tolist() == [0.0, 4.0, 0.0]
    assert problem.migrations[0].size_tb == pytest.approx(0.4)
    assert problem.migrations[0].deadline == 10


def test_started_job_past_its_deadline_is_not_lost() -> None:
    """A running job whose deadline has passed keeps running: its window ends with its work."""
    scenario = small_scenario(jobs=(job("late", deadline_h=3, kind=JobKind.INTERRUPTIBLE),))
    found = seen(scenario, 5, started=(JobState("late", "hall", ("hall.rack-0",), 2, True),))
    task = build_problem(scenario, found).jobs[0]
    assert (task.release, task.deadline, task.work) == (0, 2, 2)


def test_pinned_jobs_never_exceed_capacity() -> None:
    """When the node of a running job has failed, the capacity still holds what was commanded (the world restarts it)."""
    scenario = small_scenario(jobs=(job("j"),))
    nodes = frozenset(scenario.site("hall").node_names())
    found = seen(scenario, 1, started=(JobState("j", "hall", ("hall.rack-0",), 2, True),), failed_nodes=nodes)
    problem = build_problem(scenario, found)
    assert problem.capacity[0, 1, :3].tolist() == [16.0, 16.0, 0.0]


def test_moved_data_is_there() -> None:
    """A finished move needs no task, and its target can be read at once."""
    scenario = small_scenario(jobs=(job("verify", sites=("vault",), inputs=("scans",)),))
    found = seen(scenario, 4, moved_tb={"scans": 0.9}, moved_to={"scans": "vault"})
    problem = build_problem(scenario, found)
    assert problem.migrations == ()
    assert problem.jobs[0].options[0].migrations == ()


def test_events_are_known_only_when_received() -> None:
    """An event received later is unknown to the first plan, and known (clipped, whole slots) to one after it."""
    event = CapacityEvent(
        "e", "hall", START + timedelta(hours=8.5), START + timedelta(hours=9.5), 1.0, 2.0, START + timedelta(hours=4)
    )
    scenario = small_scenario(events=(event,))
    assert build_problem(scenario).events == ()
    limit = build_problem(scenario, seen(scenario, 4)).events[0]
    assert (limit.site, limit.start, limit.end) == (1, 4, 6)


def test_replicas_everywhere_need_no_move() -> None:
    """A misplaced replica of which every allowed site holds one already asks for no migration."""
    data = (Dataset("d", Tier.HOT, 1.0, ("hall", "cabinet"), ("cabinet",)),)
    assert build_problem(small_scenario(datasets=data, jobs=())).migrations == ()


def test_step_does_not_change_means() -> None:
    """Hourly and 15-minute problems carry the same energy of sun."""
    coarse = build_problem(small_scenario())
    fine_scenario = small_scenario()
    fine = build_problem(replace(fine_scenario, horizon=fine_scenario.horizon.with_step(timedelta(minutes=15))))
    assert np.allclose(fine.renewable_kw.reshape(3, 24, 4).mean(axis=2), coarse.renewable_kw)


def test_terms_of_jobs_become_slots_and_indices() -> None:
    """Hours become slots (due down, least lengths up), prices follow them, names become indices; full speed stays a mode."""
    terms = {
        "train": {"min_run": timedelta(minutes=70), "min_gap": timedelta(minutes=30), "restart_eur": 0.4},
        "backup": {"due": START + timedelta(hours=9.5), "late_eur_per_h": 2.0, "after": ("nightly", "index"), "tenant": "t"},
        "transcode": {"kind": JobKind.MALLEABLE, "power_caps": (PowerCap(0.7, 0.55), PowerCap(1.0, 1.0))},
    }
    scenario = small_scenario(slots=48, minutes=30)
    jobs = tuple(replace(item, **terms.get(item.name, {})) for item in scenario.jobs)  # type: ignore[arg-type]
    problem = build_problem(replace(scenario, jobs=jobs, tenants=(Tenant("s", 0.5), Tenant("t", 0.25))))
    tasks = {task.name: task for task in problem.jobs}
    assert (tasks["train"].min_run, tasks["train"].min_gap, tasks["train"].restart_eur) == (3, 1, 0.4)
    assert (tasks["backup"].due, tasks["backup"].late_eur_per_slot) == (19, 1.0)
    assert [problem.jobs[j].name for j in tasks["backup"].after] == ["index", "nightly"]
    assert (tasks["backup"].tenant, tasks["index"].tenant) == (1, -1)
    assert [(tenant.name, tenant.share) for tenant in problem.tenants] == [("s", 0.5), ("t", 0.25)]
    assert tasks["transcode"].modes == (Mode(1.0, 1.0), Mode(0.7, 0.55))
    assert (tasks["index"].due, tasks["index"].min_run, tasks["index"].after) == (None, 1, ())


def test_a_new_plan_knows_what_has_ended() -> None:
    """Later, a job waits only for what is not done, one that has begun for nothing; a soft deadline may lie in the past."""
    jobs = (
        job("a", deadline_h=3),
        job("b", deadline_h=12),
        replace(job("c", kind=JobKind.INTERRUPTIBLE), after=("a",), due=START + timedelta(hours=2), late_eur_per_h=1.0),
        replace(job("d"), after=("a", "b")),
    )
    scenario = small_scenario(jobs=jobs)
    found = seen(scenario, 4, finished=frozenset({"a"}), started=(JobState("c", "hall", ("hall.rack-0",), 1, True),))
    problem = build_problem(scenario, found)
    assert [task.name for task in problem.jobs] == ["b", "c", "d"]
    assert [task.after for task in problem.jobs] == [(), (), (0,)]
    assert (problem.jobs[1].due, problem.jobs[1].min_run) == (-2, 1)


@pytest.mark.parametrize(
    ("kind", "move_eur", "expected"),
    [
        (JobKind.INTERRUPTIBLE, None, [("hall", 0.0)]),
        (JobKind.INTERRUPTIBLE, 4.0, [("hall", 0.0), ("cabinet", 4.0)]),
        (JobKind.MALLEABLE, 4.0, [("hall", 0.0), ("cabinet", 4.0)]),
        (JobKind.RIGID, 4.0, [("hall", 0.0)]),
    ],
)
def test_a_started_job_moves_only_at_a_price(kind: JobKind, move_eur: float | None, expected: list[tuple[str, float]]) -> None:
    """It goes on or pauses where it is for nothing; elsewhere among its sites at its price, its work kept; a rigid one never."""
    item = replace(job("soft", duration_h=4, kind=kind, sites=("cabinet", "hall")), move_eur=move_eur)
    scenario = small_scenario(jobs=(item,))
    state = JobState("soft", "hall", ("hall.rack-0",), 3, running=True)
    problem = build_problem(scenario, seen(scenario, 4, started=(state,)))
    (task,) = problem.jobs
    assert [(problem.sites[option.site], option.cost_eur) for option in task.options] == expected
    assert task.work == 3
    assert bool(task.pinned) == (kind is JobKind.RIGID)


def test_feeders_keep_the_margin_free_but_not_of_the_fixed_load() -> None:
    """A margin of 5 % is taken off rating and voltage band, down to what idle sites need and no further."""
    scenario = small_scenario()
    fixed = [site.idle_kw for site in scenario.sites]
    for limit, expected in ((100.0, 95.0), (1.02 * (fixed[1] + fixed[2]), fixed[1] + fixed[2]), (0.5, 0.5)):
        wide = FeederLine("street", ("hall", "vault"), limit, (0.01, 0.02), 0.5)
        (feeder,) = build_problem(replace(scenario, feeders=(wide,))).feeders
        assert (feeder.sites, feeder.drop_pu_per_kw) == ((1, 2), (0.01, 0.02))
        assert feeder.limit_kw == pytest.approx(expected)
        assert feeder.drop_limit_pu == pytest.approx(0.475)
    drop = 0.01 * (fixed[1] + fixed[2]) + 0.02 * fixed[2]
    tight = FeederLine("street", ("hall", "vault"), 100.0, (0.01, 0.02), 1.01 * drop)
    assert build_problem(replace(scenario, feeders=(tight,))).feeders[0].drop_limit_pu == pytest.approx(drop)


def test_job_that_has_not_begun_pays_for_another_site_than_in_force() -> None:
    """Only sites other than the one in force cost the price of a move; jobs with one site, or that have begun, pay nothing."""
    both = ("cabinet", "hall")
    jobs = (job("free", sites=both), job("fixed"), job("begun", sites=both, kind=JobKind.INTERRUPTIBLE), job("late", sites=both))
    scenario = small_scenario(jobs=jobs, datasets=(), planning=PlanningSettings(stability_eur_per_move=0.25))
    plan = Fifo().plan(build_problem(scenario))
    home = "hall"
    runs = tuple(replace(run, site=home, start=10, end=12) for run in plan.runs if run.job != "late")
    plan = replace(plan, runs=(*runs, Run("late", home, 1, 3)))
    begun = seen(scenario, 4, started=(JobState("begun", home, ("hall.rack-0",), 1, running=True),))
    problem = build_problem(scenario, begun, plan)
    cost = {task.name: {problem.sites[o.site]: o.cost_eur for o in task.options} for task in problem.jobs}
    assert cost == {
        "free": {"cabinet": 0.25, "hall": 0.0},
        "fixed": {"hall": 0.0},
        "begun": {"hall": 0.0},
        "late": {"cabinet": 0.0, "hall": 0.0},  # the plan in force has nothing of it any more
    }


def test_stability_may_be_worth_nothing_and_needs_a_plan_in_force() -> None:
    """Without a price, and without a plan, every site costs what it did."""
    jobs = (job("free", sites=("cabinet", "hall")),)
    for price, told in ((0.0, True), (1.0, False)):
        scenario = small_scenario(jobs=jobs, datasets=(), planning=PlanningSettings(stability_eur_per_move=price))
        plan = Fifo().plan(build_problem(scenario))
        problem = build_problem(scenario, None, plan if told else None)
        assert {option.cost_eur for option in problem.jobs[0].options} == {0.0}
