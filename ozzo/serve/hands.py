"""Overrides in a running session: taken from the state, obeyed at once, told to the planner."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime

from ozzo.commands import JobWish
from ozzo.serve.fleet import StandingFleet
from ozzo.serve.overrides import Action, Override, Rules, Target
from ozzo.serve.state import ServeState
from ozzo.serve.telling import places_of
from ozzo.serve.works import Stage
from scheduler.plan import Plan
from scheduler.scenario import Scenario
from scheduler.workload import JobKind
from scheduler.world import Observation


class Hands:
    """What people have ordered by hand.

    Attributes:
        rules: in force.
    """

    def __init__(
        self, state: ServeState, fleet: StandingFleet | None, say: Callable[[str], None], note: Callable[[str], None]
    ) -> None:
        self._state, self._fleet, self._say, self._note = state, fleet, say, note
        self._started: set[int] = set()
        self.rules = Rules()

    def begin(self, scenario: Scenario) -> None:
        """Know of what is in force already; the first ``obey`` states it again."""
        self.rules = Rules(self._state.overrides(), places_of(scenario))
        if self._fleet is not None:
            self._fleet.rule(self.rules, lambda *_: None)

    def obey(self, scenario: Scenario, plan: Plan | None, now: datetime) -> list[str]:
        """Take what has changed into force at once; why to plan again."""
        rules = Rules(self._state.overrides(), places_of(scenario))
        causes = []
        if rules.overrides != self.rules.overrides:
            said = [str(item) for item in rules.overrides if item not in self.rules.overrides]
            said += [f"released: {item}" for item in self.rules.overrides if item not in rules.overrides]
            for line in said:
                self._say(f"by hand: {line}")
            self._state.append("overrides", datetime.now(UTC), {"in_force": [str(item) for item in rules.overrides]})
            self.rules = rules
            if self._fleet is not None:
                self._fleet.rule(rules, lambda job, node: _wanted(plan, job, node, now))
            causes.append("by hand: " + "; ".join(said)[:300])
        for item in rules.overrides:
            self._start(item, plan, {job.name for job in scenario.jobs})
        return causes

    def _start(self, item: Override, plan: Plan | None, known: Collection[str]) -> None:
        """A job that a person wants to run and that has not begun starts at once."""
        if self._fleet is None or item.id in self._started or (item.target, item.action) != (Target.JOB, Action.RUN):
            return
        self._started.add(item.id)
        if item.name not in known:  # it was there when the person said so
            self._note(f"job {item.name} cannot be started by hand: the document does not name it any more")
            return
        work = self._fleet.works.get(item.name)
        if work is not None and work.stage is not Stage.STOPPED:
            return
        planned = plan.runs_of(item.name)[:1] if plan is not None else ()
        closed = self._fleet.closed_nodes()
        there = tuple(node for run in planned for node in run.nodes if node not in closed)
        nodes = there if planned and len(there) == len(planned[0].nodes) else self._fleet.room(item.name)
        if nodes:
            self._fleet.start_now(item.name, nodes, f"by hand: {item}")
        else:
            self._note(f"job {item.name} cannot be started by hand: no node that can hold it is there")

    def scenario(self, scenario: Scenario, seen: Observation) -> Scenario:
        """The scenario with jobs that a person lets run taken for rigid once they run, so that no plan pauses them."""
        forced = self.rules.jobs(Action.RUN) & {state.job for state in seen.started if state.running}
        jobs = tuple(replace(job, kind=JobKind.RIGID) if job.name in forced else job for job in scenario.jobs)
        return replace(scenario, jobs=jobs) if forced else scenario


def _wanted(plan: Plan | None, job: str, node: str, now: datetime) -> JobWish | None:
    """What a plan wants now of a job on a node; None when it has nothing for it there."""
    if plan is None:
        return None
    slot = plan.horizon.floor_slot(now)
    runs = [run for run in plan.runs_of(job) if node in run.nodes]
    if not runs:
        return None
    return JobWish.RUNNING if any(run.start <= slot < run.end for run in runs) else JobWish.PAUSED
