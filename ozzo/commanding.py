"""The command phase: the plan is carried out by node agents and by the twin at the same time (decision 0002).

Events arrive from files at the scenario instant they were issued, or by POST at the instant they come in. What is above its
limit then, or at any edge of a slot, is answered at once from the ladder of the plan in force (``ozzo.fast_path``); after that
the controller plans the rest of the horizon anew while the accelerated clock stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from grid.errors import InputError
from grid.response.event import CapacityEvent
from grid.response.openadr import parse_event
from ozzo.book import few
from ozzo.clock import AcceleratedClock
from ozzo.credentials import Credentials
from ozzo.fast_path import FastPath
from ozzo.fleet import specs_of
from ozzo.limit_watch import LimitWatch
from ozzo.live import NodeFleet, spare_the_collector
from ozzo.node_power import NodePower
from ozzo.remote import RemoteAgents
from ozzo.store import Journal
from ozzo.web.events import EventServer
from scheduler.controller import Controller, Decision
from scheduler.outcome import Outcome, Verdict
from scheduler.plan import Plan
from scheduler.policies import Policy
from scheduler.problem import Problem
from scheduler.scenario import Scenario
from scheduler.world import Observation
from sim.network_check import with_power_flow
from sim.record import Commanding, PlanInForce
from sim.rehearsal import rehearse
from sim.world.simulated import SimulatedWorld

Arrivals = list[tuple[CapacityEvent, ...]]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be commanded.

    Attributes:
        scenario: with the events known before the start; problem, plan, verdict: of the rehearsed first plan.
        expected: the rehearsed nominal outcome (the baseline of later events).
        policy: makes the plans after events; network: for the rehearsals, or None.
        later: groups of events with their arrival inside the horizon, in order.
        folder: run folder; day_seconds: wall seconds a day; nodes: real agents too; port: of the event endpoint.
        credentials: of a broker with agents that are there already; None: broker and agents of this run's own.
    """

    scenario: Scenario
    problem: Problem
    plan: Plan
    verdict: Verdict
    expected: Outcome
    policy: Policy
    network: Any
    later: Arrivals
    folder: Path
    day_seconds: float
    nodes: bool
    port: int
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """What carrying out came to; ``power``: what the nodes said that they draw."""

    plans: tuple[PlanInForce, ...]
    outcome: Outcome | None
    scenario: Scenario
    commanding: Commanding | None
    notes: tuple[str, ...]
    power: tuple[NodePower, ...] = ()


@dataclass
class PilotWorld:
    """Nodes and their twin as one world: commands go to both, what is observed comes from the twin.

    Attributes:
        twin: simulated world that meters energy; fleet: node agents, or None; clock: scenario time of the nodes.
    """

    twin: SimulatedWorld
    fleet: NodeFleet | None
    clock: AcceleratedClock | None
    _commanded: list[Plan] = field(default_factory=list)

    def now(self) -> datetime:
        """Instant of the twin, UTC."""
        return self.twin.now()

    def observe(self, slot: int) -> Observation:
        """State at the start of ``slot``."""
        return self.twin.observe(slot)

    def announce(self, events: tuple[CapacityEvent, ...]) -> None:
        """Let the sites know of events."""
        self.twin.announce(events)

    def command(self, plan: Plan) -> None:
        """Put ``plan`` into force at the twin and at the nodes."""
        self.twin.command(plan)
        if self.fleet is not None:
            self.fleet.replace(plan)
        self._commanded.append(plan)

    def hold(self, plan: Plan) -> None:
        """Put a held plan into force now, at the twin and at the nodes; nodes are told what changes for them."""
        if self.fleet is not None:
            self.fleet.replace(plan, restate=False)
            self.fleet.send_due()
        self.twin.command(plan)
        for coming in self._commanded[-1:]:
            if coming.horizon.start > self.now():  # it takes over at its time all the same
                self.twin.command(coming)
                if self.fleet is not None:
                    self.fleet.replace(coming, restate=False)

    def cap(self, caps_kw: Mapping[str, float]) -> None:
        """State caps of nodes (the twin has the pace of its jobs from the held plan)."""
        if self.fleet is not None:
            self.fleet.cap(caps_kw)

    def reading(self, site: str) -> tuple[float, float]:
        """Net import of a site and the limit on it now, kW, by the twin's meter."""
        return self.twin.reading(site)

    def advance(self, until: datetime, wake: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until ``until`` or ``wake()``: nodes first (wall time), then the twin up to the same instant."""
        reached = until if self.fleet is None else min(until, self.fleet.advance(until, wake))
        self.twin.advance(max(reached, self.twin.now()))


@dataclass
class Reactions:
    """What happens when something becomes known: first the fast path, then a new plan.

    Attributes:
        world, controller, fast, watch: who acts.
        plans, notes: what came of it is added there; say: takes a line for people.
    """

    world: PilotWorld
    controller: Controller
    fast: FastPath
    watch: LimitWatch
    plans: list[PlanInForce]
    notes: list[str]
    say: Callable[[str], None]

    def to_event(self, events: tuple[CapacityEvent, ...]) -> None:
        """Events have arrived: what they limit now already is answered at once, then the rest of the horizon is planned anew."""
        self.world.announce(self.controller.scenario.events + events)
        self.watch.planned(self.watch.look(self.world.now(), f"event {events[0].name}"), self.world.now())
        self._plan_anew(f"event {events[0].name} at {events[0].site} arrived", partial(self.controller.on_event, events))

    def to_meters(self) -> None:
        """Time has passed: a site above its limit gives something up, and a plan that knows it follows."""
        now = self.world.now()
        shed = self.watch.to_plan(self.watch.look(now), now)
        if shed and now < self.controller.scenario.horizon.end:
            cause = f"meter above the limit at {', '.join(shed)}"
            self._plan_anew(cause, partial(self.controller.replan_at, cause=cause))

    def _plan_anew(self, what: str, decide: Callable[[datetime], Decision]) -> None:
        """Plan with the clock standing still; a plan that does not pass leaves the old one in force."""
        clock = self.world.clock
        if clock is not None:
            clock.pause()
        try:
            moment = self.world.now()
            self.say(f"{what} at {moment:%H:%M} UTC: planning anew")
            self._put(decide(moment))
        except ValueError as error:  # no slot left: nothing can be planned for it, and the report must say so
            self.notes.append(str(error))
            self.say(str(error))
        finally:
            if clock is not None:
                clock.resume()

    def _put(self, decision: Decision) -> None:
        """Remember a decision."""
        if decision.commanded:
            since = self.controller.scenario.horizon.time(decision.slot)
            self.plans.append(PlanInForce(since, decision.plan, decision.verdict, decision.cause))
            self.fast.follow(decision.problem, decision.plan)
            return
        reasons = "; ".join(str(violation) for violation in decision.verdict.violations)
        self.notes.append(f"The plan for {decision.cause} did not pass its rehearsal and was not commanded: {reasons}")
        self.say(self.notes[-1])


def carry_out(order: Order, journal: Journal, say: Callable[[str], None]) -> Carried:
    """Command the plan, take events as they come, and settle at the end of the horizon.

    Raises:
        KeyboardInterrupt: a person pressed Ctrl-C; nodes and broker are stopped, commands sent are in the journal.
        TransportError: the broker or a node could not be started.
    """
    scenario = order.scenario
    twin = SimulatedWorld(scenario, seed=scenario.seed, stressed=False)
    plans: list[PlanInForce] = []
    notes: list[str] = []
    with ExitStack() as stack:
        clock, fleet, server = None, None, None
        if order.nodes:
            clock = AcceleratedClock(scenario.horizon.start, 86400.0 / order.day_seconds)
            clock.pause()
            fleet = _fleet(order, journal, clock, say)
            stack.enter_context(fleet)
            server = stack.enter_context(EventServer(order.folder, port=order.port, check=partial(_check, scenario, clock)))
            say(f"POST OpenADR events to {server.url}/events (bearer token in {server.token_file})")
        world = PilotWorld(twin, fleet, clock)

        def judged(world_scenario: Scenario, plan: Plan, observation: Observation | None) -> Verdict:
            return rehearse(world_scenario, plan, observation=observation, network=order.network, progress=say).verdict

        def record(kind: str, at: datetime, payload: Mapping[str, object]) -> None:
            journal.append(kind, at, dict(payload))

        fast = FastPath(scenario, world, record, say)
        controller = Controller(scenario, order.policy, world, judged, record, say)
        watch = LimitWatch(world, fast, tuple(site.name for site in scenario.sites))
        reactions = Reactions(world, controller, fast, watch, plans, notes, say)
        controller.adopt(order.problem, order.plan, order.verdict, "first plan")
        fast.follow(order.problem, order.plan)
        plans.append(PlanInForce(scenario.horizon.start, order.plan, order.verdict, "first plan"))
        if clock is not None:
            spare_the_collector()
            clock.resume()
        waiting = list(order.later)
        while world.now() < scenario.horizon.end:
            until = min([_next_edge(scenario, world.now()), *(group[0].received for group in waiting[:1])])
            world.advance(until, wake=server.inbox.waiting if server is not None else lambda: False)
            arrived = [waiting.pop(0)] if waiting and world.now() >= waiting[0][0].received else []
            while server is not None and server.inbox.waiting():
                try:
                    arrived.append(understood(scenario, server.inbox.queue.get().body, world.now(), say))
                except InputError as error:  # its period ended between the check at the door and now
                    notes.append(f"A posted event came too late: {error}")
                    say(notes[-1])
            for group in arrived:
                reactions.to_event(group)
            reactions.to_meters()
        commanding = None
        if fleet is not None:
            fleet.settle()
            commanding = fleet.commanding()
            for note in _trouble(commanding):
                notes.append(note)
                say(note)
    outcome = with_power_flow(controller.scenario, twin.outcome(baseline=order.expected), order.network)
    power = () if fleet is None else fleet.power.means()
    return Carried(tuple(plans), outcome, controller.scenario, commanding, tuple(notes), power)


def _fleet(order: Order, journal: Journal, clock: AcceleratedClock, say: Callable[[str], None]) -> NodeFleet:
    """Agents of this run's own, or those behind the broker that was named."""
    if order.credentials is None:
        return NodeFleet.local(order.scenario, journal, order.folder / "agents", clock, progress=say)
    run = f"{order.folder.name}/"
    agents = RemoteAgents(order.credentials, specs_of(order.scenario))
    return NodeFleet(order.scenario, journal, agents, clock, progress=say, run=run)


def _trouble(commanding: Commanding) -> list[str]:
    """What the nodes did not do of what was planned, in sentences for the report; empty when all is well."""
    lost, failed = commanding.silent_nodes, commanding.jobs_failed
    notes = []
    if lost:
        notes.append(
            f"{len(lost)} of {commanding.nodes} nodes fell silent while the plan was carried out ({few(lost)}). Nothing was "
            "planned around them: the figures of this run come from the simulated world, where these nodes kept working."
        )
    if failed:
        all_jobs = failed + commanding.jobs_run
        notes.append(f"{failed} of the {all_jobs} jobs that the nodes were to do did not end well on them, or never ran.")
    if commanding.migrations_failed:
        all_moves = commanding.migrations_done + commanding.migrations_failed
        notes.append(
            f"{commanding.migrations_failed} of the {all_moves} migrations that nodes were told of were not done on them; in the "
            "simulated world, which the figures come from, the data arrived."
        )
    return notes


def understood(
    scenario: Scenario, body: Mapping[str, Any], now: datetime, say: Callable[[str], None] | None = None
) -> tuple[CapacityEvent, ...]:
    """The capacity events of a posted object, received at scenario instant ``now``; what of it is not heeded is said.

    Raises:
        InputError: it is not understood, or nothing of it is left to do.
    """
    sites = tuple(site.name for site in scenario.sites)
    events = parse_event(
        body, sites=sites, horizon=scenario.horizon, seed=scenario.seed, file="posted event", now=now, notice=say, lenient=False
    )
    return tuple(replace(event, received=now) for event in events)


def _check(scenario: Scenario, clock: AcceleratedClock, body: Mapping[str, Any]) -> None:
    """Refuse a posted object at the door (InputError with all findings)."""
    understood(scenario, body, clock.now())


def _next_edge(scenario: Scenario, now: datetime) -> datetime:
    """The next edge of a slot, where limits, plans and prices change."""
    horizon = scenario.horizon
    return min(horizon.end, horizon.time(horizon.floor_slot(now) + 1))


__all__ = ["Carried", "Order", "PilotWorld", "carry_out", "understood"]
