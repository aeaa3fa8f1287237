"""Carrying a plan out on node agents in accelerated time: due orders out, answers in, everything in the journal.

::

    plan --orders--> [due?] --command, journal, publish--> node
                                  ^                          |
          not answered: again,    '------- accepted, applied, ended, state
          until its not-after

The fleet is used by one thread; a second one only sends heartbeats, so that leases live while the controller plans.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from grid.errors import TransportError
from ozzo.clock import AcceleratedClock
from ozzo.commands import Acknowledgement, Channel, Command, JobWish, NodeState, topic
from ozzo.fleet import Agents, LocalAgents, missing, specs_of
from ozzo.hearing import Hearing
from ozzo.moves import Places
from ozzo.moving import Moves
from ozzo.node_power import PowerLog
from ozzo.orders import Brief, Order, in_order, orders_of, stopped, transition, without_nodes
from ozzo.sender import NOT_AFTER_S, Sender
from ozzo.store import Journal
from ozzo.tally import tally
from scheduler.plan import Plan
from scheduler.scenario import Scenario
from sim.record import Commanding

DATA_S = 60.0
"""Wall seconds that copies and releases which are due get at the end of a run."""
AGAIN_S = 0.3
"""Wall seconds after which a start that must wait, for data or for the end of another process, is tried again."""


def spare_the_collector() -> None:
    """Everything that is there now stays, so the cyclic garbage collector need not look at it again in the middle of a limit."""
    gc.collect()
    gc.freeze()


class NodeFleet(Hearing):
    """Node agents under one controller, a context manager; ``power``: what they drew."""

    def __init__(
        self,
        scenario: Scenario,
        journal: Journal,
        agents: Agents,
        clock: AcceleratedClock,
        *,
        progress: Callable[[str], None] = lambda _: None,
        run: str = "",
    ) -> None:
        """Prepare; ``start`` (or entering the context) starts everything.

        Args:
            scenario: jobs and nodes.
            journal: of the run; gives the epoch.
            agents: broker and agents.
            clock: scenario time.
            progress: takes a line whenever there is something to tell.
            run: goes before the names of jobs on nodes that outlive this run.
        """
        super().__init__(journal, agents, progress)
        core_kw = {
            f"{site.name}.{group.name}-{i}": group.core_kw
            for site in scenario.sites
            for group in site.nodes
            for i in range(group.count)
        }
        self._brief = Brief({job.name: job for job in scenario.jobs}, core_kw, clock.speed, run)
        self._clock = clock
        self._peak_kw = {spec.name: spec.peak_kw for spec in agents.nodes}
        self._pending: list[Order] = []
        self._moves = Moves(Places(scenario, self._data_nodes), clock.speed, run=run, say=progress)
        self.power = PowerLog(scenario.horizon)

    @classmethod
    def local(
        cls,
        scenario: Scenario,
        journal: Journal,
        folder: Path,
        clock: AcceleratedClock,
        *,
        nodes: Iterable[str] | None = None,
        memory: bool = False,
        progress: Callable[[str], None] = lambda _: None,
    ) -> NodeFleet:
        """A fleet on this machine: Mosquitto when it is installed, else in memory; one agent a node (or those in ``nodes``)."""
        agents = LocalAgents(scenario.name, specs_of(scenario, nodes), folder, memory=memory)
        return cls(scenario, journal, agents, clock, progress=progress)

    @property
    def _data_nodes(self) -> frozenset[str]:
        """Nodes that can be asked for data."""
        return frozenset(self._peak_kw) if self._agents.keeps_data else frozenset()

    @property
    def description(self) -> str:
        """Transport in words."""
        return self._agents.description

    def start(self, timeout_s: float = 20.0) -> None:
        """Start broker and agents and wait until every node has announced itself.

        Raises:
            TransportError: the broker does not start, or a node stays silent.
        """
        try:
            self._agents.start()
            scenario = self._agents.scenario
            for channel in (Channel.ACK, Channel.STATE):
                self._agents.transport.subscribe(topic(scenario, "+", channel), self._inbox.put)
            self._agents.launch()
            self._await_births(timeout_s)
            epoch = self._agents.next_epoch(self._journal, max((state.epoch for state in self.states.values()), default=0))
            self._sender = self._speaker(epoch)
            self._sender.needs_cap |= {node for node, state in self.states.items() if state.cap_kw is not None}
            self._connections = self._agents.transport.connections
            self._sender.begin_heartbeats()
        except BaseException:
            self.close()
            raise
        self._progress(f"{len(self.states)} node agents are there ({self.description})")

    def _speaker(self, epoch: int) -> Sender:
        """The voice of a new epoch."""
        return Sender(self._agents.scenario, self._agents.transport, self._journal, self._ledger, self._peak_kw, epoch)

    def _await_births(self, timeout_s: float) -> None:
        until = time.monotonic() + timeout_s
        while silent := self._peak_kw.keys() - self.states.keys():
            if time.monotonic() > until or self._agents.ended():
                raise missing(silent, self._agents.trouble(), timeout_s)
            self._take(0.1)

    def replace(self, plan: Plan, from_slot: int = 0, *, restate: bool = True) -> None:
        """Put a plan into force from its slot ``from_slot`` on; the first one, or one that replaces another in mid-run.

        Args:
            plan: the plan.
            from_slot: slot of its horizon.
            restate: also tell nodes what they were told before; without it only what changes is sent (the fast path).
        """
        mute = without_nodes(plan)
        if mute:
            self._notes.append(f"{len(mute)} runs of plan {plan.id} name no node, so nobody was told to run them.")
            self._book.untold |= {self._brief.run + run.job for run in mute}
        if self._book.given or self._pending:
            orders = transition(plan, self._brief, from_slot, self._book.alive(), self._pending)
        else:
            orders = orders_of(plan, self._brief, from_slot)
        unknown = {order.node for order in orders} - self._peak_kw.keys()
        if unknown:
            raise TransportError(f"plan {plan.id} uses nodes without an agent: {', '.join(sorted(unknown)[:5])}")
        if not restate:
            moment = plan.horizon.time(from_slot)
            orders = [order for order in orders if order.due > moment or not self._book.stands(order)]
        self._pending = orders
        self._moves.follow(plan, from_slot)
        self._journal.append(
            "plan_in_force",
            datetime.now(UTC),
            {"plan": plan.id, "orders": len(orders), "scenario_time": self._clock.now().isoformat()},
        )

    def cap(self, caps_kw: Mapping[str, float]) -> None:
        """State IT power caps and renew them with each heartbeat; nodes that had one before get their full power.

        Args:
            caps_kw: kW by node; nodes that are not of this fleet are left out.
        """
        voice = self._voice
        caps_kw = {node: cap_kw for node, cap_kw in caps_kw.items() if node in self._peak_kw}
        before, voice.caps_kw = voice.caps_kw, dict(caps_kw)
        for node in sorted(before.keys() | caps_kw.keys()):
            voice.needs_cap.add(node)
            if before.get(node) != caps_kw.get(node):
                voice.cap(node)

    def advance(self, until: datetime, wake: Callable[[], bool] = lambda: False) -> datetime:
        """Send what falls due and take answers until scenario instant ``until`` or until ``wake()`` is true.

        Returns:
            The scenario instant at which it returned.

        Raises:
            KeyboardInterrupt: a person pressed Ctrl-C; what was sent is in the journal.
        """
        while True:
            now = self.send_due(until)
            if now >= until or wake():
                return now
            target = min(until, self._pending[0].due) if self._pending else until
            self._take(min(0.05, self._clock.wall_s_until(target)))
            self._repeat()

    def send_due(self, until: datetime | None = None) -> datetime:
        """Send what is due now (and by ``until``); the scenario instant."""
        now = self._clock.now()
        last = now if until is None else min(now, until)
        due = 0
        while due < len(self._pending) and self._pending[due].due <= last:
            due += 1
        batch, self._pending = self._pending[:due], self._pending[due:]
        self._give(*batch)
        self._moves.look(last, self._voice, self._silent, self._at_nodes)
        return now

    def _at_nodes(self) -> list[tuple[str, str]]:
        """Jobs with a process, and its node."""
        return [(job.removeprefix(self._brief.run), node) for job, node in self._book.alive()]

    def _admit(self, order: Order) -> Order | None:
        """A job whose data is still to come waits for it."""
        if order.desired.state is JobWish.RUNNING and order.key not in self._book.given and self._lacks_data(order):
            self._later(order)
            return None
        return order

    def _lacks_data(self, order: Order) -> bool:
        return self._moves.lacks(order.desired.job.removeprefix(self._brief.run), order.node)

    def _later(self, order: Order) -> None:
        """Try an order again soon."""
        again = self._clock.now() + timedelta(seconds=AGAIN_S * self._clock.speed)
        self._pending = in_order([*self._pending, replace(order, due=again)])

    def settle(self, timeout_s: float = 10.0) -> None:
        """Wait (wall time) until all commands are answered and all that should end has ended; for silent nodes nobody waits.

        Copies and releases that are due get ``DATA_S``, and jobs that waited for one start then.
        """
        began = time.monotonic()
        while True:
            self.send_due()
            moving = self.moving
            if not moving and not self._book.ending(self._silent) and not self._ledger.is_open(self._silent):
                return
            if time.monotonic() > began + (max(DATA_S, timeout_s) if moving else timeout_s):
                self._notes.append(f"Not everything was answered {time.monotonic() - began:.0f} s after the end.")
                return
            self.listen(0.05)

    @property
    def moving(self) -> bool:
        """True while a copy or a release that is due now is under way on a node that speaks."""
        return self._moves.unfinished(self._clock.now(), self._silent)

    def answered(self, timeout_s: float) -> bool:
        """Take answers until every command has its final one, for at most so many wall seconds; whether that came about."""
        end = time.monotonic() + timeout_s
        while self._ledger.is_open(self._silent):
            if time.monotonic() > end:
                return False
            self.listen(0.05)
        return True

    def carry_out(self, plan: Plan, from_slot: int = 0, *, wake: Callable[[], bool] = lambda: False) -> Commanding:
        """``replace``, ``advance`` to the end of the plan's horizon (or until ``wake()``), and ``settle`` at that end."""
        self.replace(plan, from_slot)
        if self.advance(plan.horizon.end, wake) >= plan.horizon.end:
            self.settle()
        return self.commanding()

    def commanding(self) -> Commanding:
        """What commanding has come to so far (heartbeats are not counted)."""
        now = self._clock.now()
        self._book.untold |= {order.desired.job for order in self._pending if order.until <= now and self._lacks_data(order)}
        run, failed = self._book.outcome(now)
        ends = run, tuple(name.removeprefix(self._brief.run) for name in failed)
        about = (self.description, len(self.states), self._clock.speed)
        notes = [self._agents.note, *self._notes, *self._moves.notes(now)]
        done = tally(self._ledger.counts(), ends, notes, about, tuple(sorted(self._silent)))
        moved, unmoved = self._moves.outcome(now)
        return replace(done, migrations_done=len(moved), migrations_failed=len(unmoved))

    def close(self) -> None:
        """Stop heartbeats, agents and broker, and jobs on nodes that outlive us; twice does no harm."""
        if self._sender is not None:
            if self._agents.stays:
                with suppress(TransportError):
                    self._part()
            self._sender.close()
        self._agents.stop()

    def _part(self) -> None:
        """Stop what runs on nodes that outlive us, and wait until each node has taken its stops: nobody repeats them later."""
        left = [order for order in self._book.alive().values() if order.desired.state is not JobWish.STOPPED]
        self._give(*(stopped(order, "the run has ended") for order in left))
        self._moves.stop(self._clock.now(), self._voice, self._silent)
        until = time.monotonic() + NOT_AFTER_S
        while self._ledger.unheard(self._silent) and time.monotonic() < until:
            self._take(0.05)
            self._repeat()
        self._journal.append("parted", datetime.now(UTC), {"unanswered": self._ledger.unheard()})

    def _forgot(self, node: str) -> None:
        self._moves.restate(node)

    def _moved(self, command: Command, acknowledgement: Acknowledgement) -> None:
        self._moves.answered(command, acknowledgement)

    def _took(self, state: NodeState) -> None:
        self.power.take(state, self._clock.now())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
