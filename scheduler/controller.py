"""The controller: observe, plan, rehearse, command, record.

It knows a ``World`` and nothing else of where it acts, so the code that a researcher simulates is the code that
an operator runs. The rehearsal and the journal are handed to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from grid.errors import Interrupted, RehearsalRefused
from grid.response.event import CapacityEvent
from scheduler.build import build_problem
from scheduler.outcome import Verdict
from scheduler.placement import assign_nodes
from scheduler.plan import Plan, SolveStatus
from scheduler.policies import Policy, Progress, Replanning, silent
from scheduler.problem import Problem
from scheduler.scenario import Scenario
from scheduler.world import Observation, World

Record = Callable[[str, datetime, Mapping[str, object]], None]
"""Writes one entry of the journal: kind, instant (UTC), payload (plain JSON values)."""


Rehearse = Callable[[Scenario, Plan, Observation | None], Verdict]
"""The verdict on a plan, carried out from an observation on (None: from the start); how is not the controller's affair."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision of the controller.

    Attributes:
        slot: slot of the scenario's horizon from which it holds.
        cause: why it was made.
        problem: what was solved; plan: the answer, nodes assigned; verdict: of its rehearsal.
        commanded: whether the world was told to carry it out.
    """

    slot: int
    cause: str
    problem: Problem
    plan: Plan
    verdict: Verdict
    commanded: bool


class Controller:
    """Plans, rehearses and commands; remembers its decisions in order.

    Attributes:
        scenario: the scenario with every event known so far.
        decisions: all decisions, first first.
    """

    def __init__(
        self, scenario: Scenario, policy: Policy, world: World, rehearse: Rehearse, record: Record, progress: Progress = silent
    ) -> None:
        self.scenario = scenario
        self.decisions: list[Decision] = []
        self._policy = policy
        self._world = world
        self._rehearse = rehearse
        self._record = record
        self._progress = progress

    @property
    def in_force(self) -> Plan | None:
        """The plan that was commanded last."""
        return next((decision.plan for decision in reversed(self.decisions) if decision.commanded), None)

    def first_plan(self) -> Decision:
        """Plan the whole horizon, rehearse the plan, and command it when it passes."""
        return self._decide(None, "first plan")

    def adopt(self, problem: Problem, plan: Plan, verdict: Verdict, cause: str) -> Decision:
        """Command a first plan that was made and rehearsed elsewhere.

        Raises:
            RehearsalRefused: the verdict is not a pass, or belongs to another plan.
        """
        if not verdict.passed or verdict.plan_id != plan.id:
            raise RehearsalRefused(f"plan {plan.id} may not command nodes: its rehearsal did not pass")
        return self._finish(0, cause, problem, plan, verdict)

    def on_event(self, events: tuple[CapacityEvent, ...], moment: datetime) -> Decision:
        """Take in events that became known at ``moment`` and plan the rest of the horizon anew.

        The new plan decides from the first slot after ``moment`` plus the lead time that begins on a metering
        period. When it does not
        pass its rehearsal, the plan in force stays, and the decision says so (``commanded`` False).

        Raises:
            ValueError: no slot is left to decide.
        """
        self.scenario = replace(self.scenario, events=self.scenario.events + events)
        self._world.announce(self.scenario.events)
        for event in events:
            self._record("event", moment, {"name": event.name, "site": event.site, "limit_kw": event.limit_kw})
        slot = self.first_slot(moment)
        if slot >= self.scenario.horizon.slots:
            names = ", ".join(event.name for event in events)
            raise ValueError(f"event {names} became known at {moment:%Y-%m-%d %H:%M} UTC: no slot is left to plan")
        observation = self._world.observe(slot)
        cause = "event " + ", ".join(sorted({f"{event.name} at {event.site}" for event in events}))
        return self._decide(observation, cause)

    def replan(self, cause: str, slot: int) -> Decision:
        """Plan the horizon from ``slot`` on anew, without news of an event.

        When the plan does not pass its rehearsal, the plan in force stays, and the decision says so.

        Raises:
            ValueError: the slot lies outside the horizon.
        """
        return self._decide(self._world.observe(slot), cause)

    def resume(self, problem: Problem, plan: Plan, verdict: Verdict) -> None:
        """Know of a plan that is in force already: commanded before this controller began, and carried on by its world."""
        self.decisions.append(Decision(0, "in force before", problem, plan, verdict, commanded=True))

    def forget(self) -> None:
        """Forget decisions before the plan in force, so that months of them need no memory."""
        commanded = [number for number, decision in enumerate(self.decisions) if decision.commanded]
        del self.decisions[: commanded[-1] if commanded else max(0, len(self.decisions) - 1)]

    def first_slot(self, moment: datetime) -> int:
        """First slot that a plan made at ``moment`` may change; it begins a metering period, as the rest must be whole ones."""
        horizon = self.scenario.horizon
        slot = max(0, horizon.ceil_slot(moment)) + self.scenario.planning.lead_slots
        while slot < horizon.slots and (horizon.time(slot) - horizon.start) % self.scenario.settlement:
            slot += 1
        return slot

    def _decide(self, observation: Observation | None, cause: str) -> Decision:
        before = self.in_force
        problem = build_problem(self.scenario, observation, before)
        if before is not None and isinstance(self._policy, Replanning):
            plan = self._policy.replan(problem, before, self._progress)
        else:
            plan = self._policy.plan(problem, self._progress)
        plan = assign_nodes(self.scenario, plan, observation)
        if plan.status is SolveStatus.INTERRUPTED:
            raise Interrupted(f"interrupted while planning for: {cause}")
        verdict = self._rehearse(self.scenario, plan, observation)
        slot = observation.slot if observation else 0
        return self._finish(slot, cause, problem, plan, verdict)

    def _finish(self, slot: int, cause: str, problem: Problem, plan: Plan, verdict: Verdict) -> Decision:
        moment = self._world.now()
        self._record(
            "plan",
            moment,
            {
                "id": plan.id,
                "policy": plan.policy,
                "cause": cause,
                "from_slot": slot,
                "objective_eur": plan.objective_eur,
                "bound_eur": plan.bound_eur,
                "gap": plan.gap,
                "status": str(plan.status),
            },
        )
        self._record(
            "verdict",
            moment,
            {"plan": plan.id, "passed": verdict.passed, "violations": [str(violation) for violation in verdict.violations]},
        )
        if verdict.passed:
            self._world.command(plan)
            self._record("commanded", moment, {"plan": plan.id, "from_slot": slot})
        decision = Decision(slot, cause, problem, plan, verdict, verdict.passed)
        self.decisions.append(decision)
        return decision
