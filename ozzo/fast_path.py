"""A sudden limit is answered at once: climb the ladder that came with the plan, command what is left, and tell.

::

    limit, meter --> on_limit --> ladder.answer --> held plan --> hands (nodes, twin)
                                                         '--> journal, and the caller plans anew

Nothing is solved here and nothing waits for an answer of a node. It knows neither ``ozzo run`` nor ``ozzo serve``: whoever can
command a plan and state caps has the hands for it. What is held goes on by itself after some slots (the time that a new plan
needs to take over), or when the new plan takes over; a limit that is still exceeded then is answered again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ozzo.commands import uuid7
from scheduler.hold import Hold, held
from scheduler.ladder import Answer, Ladders, Step, StepKind
from scheduler.plan import Plan
from scheduler.problem import Problem
from scheduler.scenario import Scenario

Record = Callable[[str, datetime, Mapping[str, object]], object]
"""Writes one entry of the journal: kind, instant, payload."""


class Hands(Protocol):
    """Who carries out what the fast path decides."""

    def hold(self, plan: Plan) -> None:
        """Put a held plan into force now; only what it changes needs to be told."""

    def cap(self, caps_kw: Mapping[str, float]) -> None:
        """From now on these are the IT power caps of nodes (kW by name), and all other nodes are free of ours."""


@dataclass(slots=True)
class _InForce:
    """A plan with its ladders and what is held of it."""

    problem: Problem
    plan: Plan
    ladders: Ladders
    holds: dict[str, Hold] = field(default_factory=dict)


def hold_slots(scenario: Scenario) -> int:
    """Slots that a hold lasts: the present one, the lead of the next plan, and the rest of a metering period."""
    period = max(1, -(-scenario.settlement // scenario.horizon.step))
    return scenario.planning.lead_slots + period


class FastPath:
    """The ladders of the plans in force, and what was taken of them."""

    def __init__(
        self,
        scenario: Scenario,
        hands: Hands,
        record: Record,
        say: Callable[[str], None] = lambda _: None,
        *,
        must_run: Collection[str] = (),
        may_stop: bool = False,
    ) -> None:
        """Prepare; ``follow`` gives it plans.

        Args:
            scenario: sites and nodes.
            hands: carry out what is decided.
            record: takes entries of kind ``fast_path``.
            say: takes a line for people.
            must_run: jobs that are never touched.
            may_stop: rigid jobs may be ended and lose their work.
        """
        self._hands, self._record, self._say = hands, record, say
        self._must_run, self._may_stop, self._slots = frozenset(must_run), may_stop, hold_slots(scenario)
        self._idle_kw = {
            f"{site.name}.{group.name}-{i}": group.idle_kw
            for site in scenario.sites
            for group in site.nodes
            for i in range(group.count)
        }
        self._plans: list[_InForce] = []
        self._capped = False
        self._short: set[str] = set()

    def follow(self, problem: Problem, plan: Plan) -> None:
        """A plan was commanded: it counts from the start of its horizon. Its first ladders are made now, others by ``tick``."""
        ladders = Ladders(problem, plan, must_run=self._must_run, may_stop=self._may_stop, slots=self._slots)
        ladders.ready(0)
        self._plans.append(_InForce(problem, plan, ladders))

    def _now(self, now: datetime) -> _InForce | None:
        """What is in force; what was in force before is forgotten."""
        begun = [item for item in self._plans if item.plan.horizon.start <= now]
        if not begun:
            return None
        self._plans = [begun[-1], *(item for item in self._plans if item.plan.horizon.start > now)]
        return begun[-1]

    def on_limit(
        self, site: str, limit_kw: float, measured_kw: float, now: datetime, cause: str, *, battery: bool = True
    ) -> Answer | None:
        """Net import of a site must not be above a limit from now on: give up what brings it there.

        Args:
            site: its name.
            limit_kw: largest net import (import positive).
            measured_kw: net import now.
            now: instant on the plan's time axis, UTC.
            cause: in words, for people and for the journal.
            battery: there is a battery whose power is not in ``measured_kw`` yet; False when it has tripped or has answered.

        Returns:
            What was given up, empty when nothing had to be; None when no plan is in force.

        Raises:
            KeyError: no such site.
        """
        current = self._now(now)
        if current is None or now >= current.plan.horizon.end:
            return None
        slot = current.plan.horizon.floor_slot(now)
        ladder = current.ladders.at(site, slot)
        before = self._held(current, site, slot)
        answer = ladder.answer(
            limit_kw, measured_kw, without=() if battery else {StepKind.DISCHARGE}, taken={step.key for step in before}
        )
        if answer.steps:
            current.holds[site] = Hold(site, slot + ladder.slots, (*before, *answer.steps))
            self._hands.hold(held(current.plan, slot, current.holds.values(), str(uuid7())))
            self._state_caps(current, slot)
        if answer.steps or (answer.shortfall_kw and site not in self._short):  # that nothing is left to give is told once
            self._tell(site, limit_kw, measured_kw, now, cause, answer)
        (self._short.add if answer.shortfall_kw else self._short.discard)(site)
        return answer

    @staticmethod
    def _held(current: _InForce, site: str, slot: int) -> tuple[Step, ...]:
        """Steps that hold at a site now."""
        hold = current.holds.get(site)
        return hold.steps if hold is not None and hold.until > slot else ()

    def tick(self, now: datetime) -> None:
        """Let time pass: the ladders of this slot and the next are made, and caps of holds that are over are lifted.

        Jobs go on by the plan that is in force. After the end of its horizon nothing is held, so no cap is ours any more.
        """
        current = self._now(now)
        if current is None:
            return
        if now < current.plan.horizon.end:
            current.ladders.ready(current.plan.horizon.floor_slot(now))
        if self._capped:
            self._state_caps(current, current.plan.horizon.floor_slot(now))

    def _state_caps(self, current: _InForce, slot: int) -> None:
        caps = node_caps(current.problem, current.plan, slot, self._idle_kw, current.holds.values())
        if caps or self._capped:
            self._hands.cap(caps)
        self._capped = bool(caps)

    def _tell(self, site: str, limit_kw: float, measured_kw: float, now: datetime, cause: str, answer: Answer) -> None:
        steps = [{"name": step.name, "kind": str(step.kind), "kw": step.kw, "eur": step.cost_eur} for step in answer.steps]
        figures = {"limit_kw": limit_kw, "measured_kw": measured_kw, "released_kw": answer.released_kw}
        more = {"shortfall_kw": answer.shortfall_kw, "cost_eur": answer.cost_eur, "steps": steps}
        self._record("fast_path", now, {"site": site, "cause": cause, **figures, **more})
        short = f"; {answer.shortfall_kw:.3g} kW are missing, the rest must run" if answer.shortfall_kw else ""
        self._say(
            f"{cause}: {site} draws {measured_kw:.4g} kW, limit {limit_kw:.4g} kW: {len(answer.steps)} steps free "
            f"{answer.released_kw:.4g} kW for {answer.cost_eur:.2f} EUR{short}"
        )


def node_caps(problem: Problem, plan: Plan, slot: int, idle_kw: Mapping[str, float], holds: Iterable[Hold]) -> dict[str, float]:
    """IT power caps of the nodes on which a malleable job is held at less power, kW by name.

    A node's cap is its idle power, what the held job keeps on it, and the planned power of the others that run there.
    """
    tasks = {task.name: task for task in problem.jobs}
    deepest: dict[str, Step] = {}
    for hold in holds:
        if hold.until > slot:
            deepest |= {step.name: step for step in hold.steps if step.kind is not StepKind.DISCHARGE}
    caps = {node: idle_kw[node] for step in deepest.values() if step.kind is StepKind.CAP for node in step.nodes}
    for run in plan.runs:
        if not run.start <= slot < run.end or not caps.keys() & set(run.nodes):
            continue
        step = deepest.get(run.job)
        if step is None:
            site = problem.sites.index(run.site)
            power_kw = next((option.power_kw for option in tasks[run.job].options if option.site == site), 0.0)
            kept_kw = power_kw * run.power / len(run.nodes)
        else:
            kept_kw = step.it_kw if step.kind is StepKind.CAP else 0.0
        for node in run.nodes:
            if node in caps:
                caps[node] += kept_kw
    return caps
