"""The command phase: the plan is carried out by node agents and by the twin at the same time (decision 0002).

Events arrive from files at the scenario instant they were issued, or by POST at the instant they come in. Each makes the
controller plan the rest of the horizon anew while the accelerated clock stands still.
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
from ozzo.fleet import specs_of
from ozzo.live import NodeFleet
from ozzo.node_power import NodePower
from ozzo.remote import RemoteAgents
from ozzo.store import Journal
from ozzo.web.events import EventServer
from scheduler.controller import Controller
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

    def advance(self, until: datetime, wake: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until ``until`` or ``wake()``: nodes first (wall time), then the twin up to the same instant."""
        reached = until if self.fleet is None else min(until, self.fleet.advance(until, wake))
        self.twin.advance(max(reached, self.twin.now()))


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

        controller = Controller(scenario, order.policy, world, judged, record, say)
        controller.adopt(order.problem, order.plan, order.verdict, "first plan")
        plans.append(PlanInForce(scenario.horizon.start, order.plan, order.verdict, "first plan"))
        if clock is not None:
            clock.resume()
        waiting = list(order.later)
        while world.now() < scenario.horizon.end:
            until = min([scenario.horizon.end, *(group[0].received for group in waiting[:1])])
            world.advance(until, wake=server.inbox.waiting if server is not None else lambda: False)
            arrived = [waiting.pop(0)] if waiting and world.now() >= waiting[0][0].received else []
            while server is not None and server.inbox.waiting():
                try:
                    arrived.append(understood(scenario, server.inbox.queue.get().body, world.now(), say))
                except InputError as error:  # its period ended between the check at the door and now
                    notes.append(f"A posted event came too late: {error}")
                    say(notes[-1])
            for group in arrived:
                _react(controller, group, world, plans, notes, say)
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


def _react(
    controller: Controller,
    events: tuple[CapacityEvent, ...],
    world: PilotWorld,
    plans: list[PlanInForce],
    notes: list[str],
    say: Callable[[str], None],
) -> None:
    """Plan anew for events, with the clock standing still; a plan that does not pass leaves the old one in force."""
    if world.clock is not None:
        world.clock.pause()
    try:
        moment = world.now()
        say(f"event {events[0].name} at {events[0].site} arrived at {moment:%H:%M} UTC: planning anew")
        decision = controller.on_event(events, moment)
    except ValueError as error:  # no slot left: the event cannot be planned for, and the report must say so
        notes.append(str(error))
        say(str(error))
    else:
        if decision.commanded:
            since = controller.scenario.horizon.time(decision.slot)
            plans.append(PlanInForce(since, decision.plan, decision.verdict, decision.cause))
        else:
            reasons = "; ".join(str(violation) for violation in decision.verdict.violations)
            notes.append(f"The plan for {decision.cause} did not pass its rehearsal and was not commanded: {reasons}")
            say(notes[-1])
    finally:
        if world.clock is not None:
            world.clock.resume()


__all__ = ["Carried", "Order", "PilotWorld", "carry_out", "understood"]
