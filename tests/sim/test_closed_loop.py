"""The controller in simulated time: observe, plan, rehearse, command, record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from grid.errors import RehearsalRefused
from grid.response.event import CapacityEvent
from scheduler.build import build_problem
from scheduler.controller import Controller
from scheduler.facility import FeederLine
from scheduler.optimiser.policy import MilpPolicy
from scheduler.outcome import Verdict, ViolationKind
from scheduler.placement import assign_nodes
from scheduler.plan import Plan
from scheduler.policies import Progress, silent
from scheduler.policies.fifo import Fifo
from scheduler.policies.registry import BASELINES, POLICIES
from scheduler.problem import Problem
from scheduler.scenario import PlanningSettings, Scenario
from scheduler.workload import JobKind, PowerCap, Tenant
from scheduler.world import Observation
from sim.rehearsal import realise, rehearse
from sim.world.simulated import SimulatedWorld
from tests.factory import START, job, small_scenario


class Notes:
    """A journal in a list."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def __call__(self, kind: str, at: datetime, payload: Mapping[str, object]) -> None:
        """Take one entry."""
        assert at.tzinfo is not None
        assert payload
        self.kinds.append(kind)


def judged(scenario: Scenario, plan: Plan, observation: Observation | None) -> Verdict:
    """The real rehearsal."""
    return rehearse(scenario, plan, observation=observation).verdict


def event(start_h: float, end_h: float, limit_kw: float, received_h: float) -> CapacityEvent:
    """A limit on the hall; hours count from the start of the day."""
    hour = timedelta(hours=1)
    return CapacityEvent("peak", "hall", START + start_h * hour, START + end_h * hour, limit_kw, 2.0, START + received_h * hour)


def test_first_plan_is_rehearsed_commanded_and_recorded() -> None:
    """A plan that passes is in force at once, and the journal holds plan, verdict and command in this order."""
    scenario, notes = small_scenario(), Notes()
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    decision = Controller(scenario, Fifo(), world, judged, notes).first_plan()
    assert decision.commanded
    assert notes.kinds == ["plan", "verdict", "commanded"]
    outcome = world.outcome()
    assert outcome.plan_id == decision.plan.id
    assert all(job.finished is not None for job in outcome.jobs)


def test_refused_plan_commands_nothing() -> None:
    """When the rehearsal fails, the world never hears of the plan."""
    scenario, notes = small_scenario(), Notes()
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)

    def refused(_: Scenario, plan: Plan, __: Observation | None) -> Verdict:
        return Verdict(False, plan.id, ())

    decision = Controller(scenario, Fifo(), world, refused, notes).first_plan()
    assert not decision.commanded
    assert "commanded" not in notes.kinds
    assert world.plans == []


def test_only_a_plan_with_its_own_passed_verdict_is_adopted() -> None:
    """A failed verdict, or one of another plan, never commands anything."""
    scenario = small_scenario()
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    controller = Controller(scenario, Fifo(), world, judged, Notes())
    problem = build_problem(scenario)
    plan = assign_nodes(scenario, Fifo().plan(problem))
    for verdict in (Verdict(False, plan.id, ()), Verdict(True, "another plan", ())):
        with pytest.raises(RehearsalRefused):
            controller.adopt(problem, plan, verdict, "test")
    assert world.plans == []
    assert controller.adopt(problem, plan, Verdict(True, plan.id, ()), "test").commanded


def test_event_makes_a_second_plan_that_keeps_what_runs() -> None:
    """An event received at 9:30 is planned for from slot 11 on (lead of one slot); running rigid jobs go on where they are."""
    scenario, notes = small_scenario(), Notes()
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    controller = Controller(scenario, Fifo(), world, judged, notes)
    first = controller.first_plan()
    moment = START + timedelta(hours=9.5)
    world.advance(moment)
    second = controller.on_event((event(14, 16, 1.0, 9.5),), moment)
    assert second.slot == 11
    assert second.commanded
    assert second.plan.horizon.start == scenario.horizon.time(11)
    assert [limit.limit_kw for limit in second.problem.events] == [1.0]
    assert not first.problem.events
    running = {run.job: run.site for run in first.plan.runs if run.start < 11 < run.end}
    assert all(second.plan.runs_of(job)[0].site == site for job, site in running.items())
    outcome = world.outcome()
    assert len({item.job for item in outcome.jobs}) == len(scenario.jobs)
    assert sum(item.restarts for item in outcome.jobs) == 0


def test_event_after_the_last_slot_is_refused_in_words() -> None:
    """Nothing is left to plan in the last hour of the day: the controller says so and the old plan stays."""
    scenario = small_scenario()
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    controller = Controller(scenario, Fifo(), world, judged, Notes())
    controller.first_plan()
    moment = START + timedelta(hours=23.5)
    world.advance(moment)
    with pytest.raises(ValueError, match="no slot is left"):
        controller.on_event((event(23.6, 24, 1.0, 23.5),), moment)
    assert len(world.plans) == 1


def test_undisturbed_loop_equals_the_rehearsal() -> None:
    """What the twin meters without events is exactly the rehearsed nominal outcome, to the last digit."""
    scenario = small_scenario()
    plan = assign_nodes(scenario, Fifo().plan(build_problem(scenario)))
    rehearsed = rehearse(scenario, plan).nominal
    assert rehearsed is not None
    world = SimulatedWorld(replace(scenario), seed=scenario.seed, stressed=False)
    world.command(plan)
    for hour in range(1, 24):
        world.advance(START + timedelta(hours=hour))
    assert world.outcome().totals == rehearsed.totals


def test_a_new_plan_begins_on_a_metering_period() -> None:
    """With slots of five minutes an event received at 9:31 is planned for from 9:45 on, and the rest can be settled."""
    scenario = small_scenario(288, 5)
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    controller = Controller(scenario, Fifo(), world, judged, Notes())
    controller.first_plan()
    moment = START + timedelta(hours=9, minutes=31)
    world.advance(moment)
    second = controller.on_event((event(14, 16, 1.0, 9.5),), moment)
    assert second.plan.horizon.start == START + timedelta(hours=9, minutes=45)


@pytest.mark.parametrize(
    "limited", [event(14, 16, 0.7, 9.5), event(12, 15, 0.2, 6.2), event(18, 21, 0.6, 12.0), event(2, 8, 0.7, 1.0)]
)
def test_after_an_event_no_baseline_would_have_done_better(limited: CapacityEvent) -> None:
    """Planned anew in mid-run, the day's realised objective is not above that of either baseline under the same event."""
    scenario = small_scenario()
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    controller = Controller(scenario, POLICIES["milp"](), world, judged, Notes())
    assert controller.first_plan().commanded
    world.advance(limited.received)
    assert controller.on_event((limited,), limited.received).commanded
    realised_eur = world.outcome().totals.objective_eur
    told = replace(scenario, events=(limited,))
    for name in BASELINES:
        plan = assign_nodes(scenario, POLICIES[name]().plan(build_problem(scenario)))
        assert realised_eur <= realise(told, plan, scenario.seed).totals.objective_eur


def test_plans_with_every_term_pass_and_are_replaced_in_mid_run() -> None:
    """Workflow, pieces, power caps, soft deadlines, tenant, feeder, moves: the first plan passes, so does the one after an event.

    What really happened keeps the order of the jobs.
    """
    terms: dict[str, dict[str, Any]] = {
        "train": {"min_run": timedelta(hours=2), "min_gap": timedelta(hours=1), "restart_eur": 0.01, "move_eur": 0.02},
        "render": {"due": START + timedelta(hours=12), "late_eur_per_h": 0.05, "tenant": "studio"},
        "transcode": {"kind": JobKind.MALLEABLE, "power_caps": (PowerCap(0.7, 0.55),), "after": ("index",), "tenant": "studio"},
    }
    base = small_scenario()
    jobs = tuple(replace(job, **terms.get(job.name, {})) for job in base.jobs)
    jobs = tuple(replace(job, sites=("cabinet", "hall")) if job.name == "train" else job for job in jobs)
    feeder = FeederLine("street", ("cabinet", "hall"), 12.0, (0.001, 0.002), 0.05)
    scenario = replace(base, jobs=jobs, tenants=(Tenant("studio", 0.75),), feeders=(feeder,))
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    controller = Controller(scenario, MilpPolicy(), world, judged, Notes())
    first = controller.first_plan()
    assert first.verdict.violations == ()
    moment = START + timedelta(hours=11)
    world.advance(moment)
    second = controller.on_event((event(13, 17, 0.6, 11),), moment)
    assert second.verdict.violations == ()
    outcome = world.outcome()
    done = {job.job: job for job in outcome.jobs}
    assert all(job.finished is not None for job in outcome.jobs)
    assert [item for item in outcome.violations if item.kind is not ViolationKind.EVENT_LIMIT] == []
    ended, began = done["index"].finished, done["transcode"].started
    assert ended is not None
    assert began is not None
    assert ended <= began


class Told(Fifo):
    """A rule that writes down which plan in force it was told of."""

    def __init__(self) -> None:
        self.before: list[str] = []

    def replan(self, problem: Problem, before: Plan, progress: Progress = silent) -> Plan:
        """Plan as usual."""
        self.before.append(before.id)
        return self.plan(problem, progress)


def test_policy_is_told_of_the_plan_that_was_commanded_last() -> None:
    """The first plan knows of none, the second is told of the first; when the second is refused, the third is too."""
    scenario, policy, verdicts = small_scenario(), Told(), [True, False, True]
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)

    def in_turn(_: Scenario, plan: Plan, __: Observation | None) -> Verdict:
        return Verdict(verdicts.pop(0), plan.id, ())

    controller = Controller(scenario, policy, world, in_turn, Notes())
    assert controller.in_force is None
    first = controller.first_plan()
    assert policy.before == []
    for hour in (3.5, 5.5):
        world.advance(START + timedelta(hours=hour))
        controller.on_event((event(14, 16, 1.0, hour),), START + timedelta(hours=hour))
    assert policy.before == [first.plan.id, first.plan.id]
    assert controller.in_force is controller.decisions[-1].plan


@pytest.mark.parametrize("lead", [1, 3])
def test_what_starts_within_the_lead_time_is_fixed(lead: int) -> None:
    """What begins before the slot of the new plan keeps site, start and slots; the new plan has only the rest of it."""
    planning = PlanningSettings(lead_slots=lead)
    jobs = (job("soon", duration_h=4, release_h=4, sites=("cabinet", "hall")), job("later", duration_h=2, release_h=9))
    scenario = small_scenario(jobs=jobs, datasets=(), planning=planning)
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    controller = Controller(scenario, MilpPolicy(), world, judged, Notes())
    problem = build_problem(scenario)
    first = assign_nodes(scenario, Fifo().plan(problem))
    controller.adopt(problem, first, judged(scenario, first, None), "first plan")
    (soon,) = first.runs_of("soon")
    assert soon.start == 4
    moment = START + timedelta(hours=3.5)
    world.advance(moment)
    second = controller.on_event((event(5, 9, 0.1, 3.5),), moment)
    assert second.slot == 4 + lead
    task = next(task for task in second.problem.jobs if task.name == "soon")
    assert task.pinned == tuple(range(4 - lead))
    assert [second.problem.sites[option.site] for option in task.options] == [soon.site]
    (rest,) = second.plan.runs_of("soon")
    assert (rest.site, rest.start + second.slot, rest.end + second.slot, rest.nodes) == (soon.site, 4 + lead, 8, soon.nodes)
    assert second.commanded
    outcome = {item.job: item for item in world.outcome().jobs}["soon"]
    assert outcome.restarts == 0


@pytest.mark.parametrize(("price", "moves"), [(0.01, True), (1000.0, False)])
def test_job_leaves_its_site_only_for_what_a_move_must_gain(price: float, moves: bool) -> None:
    """An event at the hall makes the cabinet cheaper: the job goes there, and its plan counts the price; at 1000 EUR it stays.

    The plan check accepts the price, and the outcome does not have it.
    """
    only = job("free", release_h=17, deadline_h=22, duration_h=3, sites=("cabinet", "hall"))
    planning = PlanningSettings(stability_eur_per_move=price, relative_gap=1e-4)
    scenario = small_scenario(jobs=(only,), datasets=(), planning=planning)
    world = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    controller = Controller(scenario, MilpPolicy(), world, judged, Notes())
    problem = build_problem(scenario)
    first = Fifo().plan(problem)
    first = assign_nodes(scenario, replace(first, runs=tuple(replace(run, site="hall", nodes=()) for run in first.runs)))
    controller.adopt(problem, first, Verdict(True, first.id, ()), "first plan")
    moment = START + timedelta(hours=3.5)
    world.advance(moment)
    second = controller.on_event((event(16, 23, 0.1, 3.5),), moment)
    assert [run.site for run in second.plan.runs] == (["cabinet"] if moves else ["hall"])
    assert second.plan.breakdown_eur["fixed"] == pytest.approx(price if moves else 0.0)
    assert second.commanded
    assert world.outcome().totals.breakdown_eur["fixed"] == 0.0
