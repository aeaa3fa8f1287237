"""Nodes that may be away, under a controller that may have been another process a moment ago.

What ``ozzo.live.NodeFleet`` does for one horizon, for months: the book of orders is in the state before a command leaves, and a
restart goes on from it and from what nodes say (``ozzo.serve.reconcile``).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from grid.errors import TransportError
from ozzo.book import Key
from ozzo.clock import AcceleratedClock
from ozzo.commands import Acknowledgement, Command, JobState, JobWish, NodeState, RefusalCode, Stage
from ozzo.fleet import Agents
from ozzo.live import NodeFleet
from ozzo.moves import Move, Places, move_from_dict, move_to_dict
from ozzo.moving import Moves
from ozzo.orders import Order, running_state, stopped
from ozzo.sender import LEASE_S, Sender, lease_for
from ozzo.serve.kept_book import KeptBook
from ozzo.serve.overrides import Rules
from ozzo.serve.presence import CERTAIN_S, NodeView, Presence
from ozzo.serve.reconcile import Reconciled, reconcile
from ozzo.serve.state import ServeState
from ozzo.serve.works import Processes, Work, after, work_from_dict, work_to_dict
from ozzo.serve.works import Stage as WorkStage
from ozzo.wire import ReleaseState, TransferState
from scheduler.scenario import Scenario
from scheduler.world import Observation

MEET_S = 5.0
"""Wall seconds that nodes get at the beginning to answer this controller."""

TRANSIENT = frozenset({RefusalCode.EXPIRED, RefusalCode.NOT_CONFIRMED, RefusalCode.CLOCK_SKEW})
"""Why a command may be refused or fail although the job could run."""


class RestoredFleet(NodeFleet):
    """Node agents whose orders and ends are kept in a state.

    Attributes:
        state: keeps everything.
        works: how far each job is, by its name in the scenario.
        wishes: why the loop should plan again, told by nodes; the loop empties it.
        doubled: jobs that ended well more often than they should have run.
        rules: overrides in force; what is restored is stated as it was, they are for new orders.
    """

    def __init__(
        self,
        scenario: Scenario,
        state: ServeState,
        agents: Agents,
        clock: AcceleratedClock,
        *,
        permit: Callable[[], str],
        run: str,
        certain_s: float = CERTAIN_S,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare.

        Args:
            scenario: jobs and nodes.
            state: keeps everything.
            agents: broker and agents.
            clock: scenario time.
            permit: why nothing may be said any more, or empty.
            run: goes before the names of jobs on nodes; the same in every life of this state.
            certain_s: see ``CERTAIN_S``.
            progress: takes a line.
        """
        super().__init__(scenario, state, agents, clock, progress=progress, run=run)
        self.state, self._permit = state, permit
        self._book = self._kept = KeptBook(state)
        kept = [move_from_dict(value) for value in state.fact("moves") or ()]
        places = Places(scenario, self._data_nodes)
        self._moves = Moves(places, clock.speed, run=run, say=progress, keep=self._keep_moves, moves=kept)
        self._scenario = scenario
        self._failsafe_kw = {spec.name: (spec.idle_kw, spec.failsafe_kw) for spec in agents.nodes}
        self._full_kw = dict(self._peak_kw)
        self._cores = {
            f"{site.name}.{group.name}-{i}": group.cores
            for site in scenario.sites
            for group in site.nodes
            for i in range(group.count)
        }
        longer_s = lease_for(len(self._peak_kw)) - LEASE_S  # where there are very many nodes
        self._presence = Presence(self._peak_kw, certain_s + longer_s)
        self._restored = set(self._peak_kw)
        self._looked_s = 0.0
        self._started = state.started()
        self._was_present: set[str] = set()
        self.rules = Rules()
        self.wishes: list[str] = []
        self.works: dict[str, Work] = {name: work_from_dict(value) for name, value in state.works().items()}
        self.doubled: set[str] = set(state.fact("doubled") or ())

    def _keep_moves(self, moves: Iterable[Move]) -> None:
        self.state.keep_facts(moves=[move_to_dict(move) for move in moves])

    def with_data(self, seen: Observation) -> Observation:
        """An observation with what is known of the copies on nodes."""
        return self._moves.observed(seen)

    @property
    def retired(self) -> str:
        """Why nothing is said any more, or empty."""
        return self._sender.retired if self._sender is not None else ""

    def _speaker(self, epoch: int) -> Sender:
        self.state.raise_epoch(epoch)
        about = (self._agents.scenario, self._agents.transport, self._journal, self._ledger, self._peak_kw)
        return Sender(*about, epoch, self._permit)

    def _await_births(self, timeout_s: float) -> None:
        """Wait for the nodes, but not for ever: those that are not there are planned around."""
        until = time.monotonic() + timeout_s
        while (silent := self._peak_kw.keys() - self.states.keys()) and time.monotonic() < until:
            if self._agents.ended():
                raise TransportError(f"the agents ended. {self._agents.trouble()}".strip())
            self._take(0.1)
        if silent:
            self._progress(f"{len(silent)} of {len(self._peak_kw)} nodes have not announced themselves; they are planned around")

    def meet(self, timeout_s: float = MEET_S) -> None:
        """Greet all nodes, and wait until those that have announced themselves have answered: the first plan shall know them."""
        self._voice.greet()
        until = time.monotonic() + timeout_s
        while self.states.keys() - self._presence.answered - self._silent and time.monotonic() < until:
            self._take(0.1)
        self._was_present = {name for name, view in self.views().items() if view.present}
        self._account()

    def _hear(self, state: NodeState, *, retained: bool) -> None:
        super()._hear(state, retained=retained)
        node = state.node
        if retained or state.event == "death" or node not in self._peak_kw:
            return
        self._presence.heard(node, answers=self._sender is not None and state.epoch == self._sender.epoch)
        self._note_held(state)

    def _note_held(self, state: NodeState) -> None:
        """A job that its node's cap holds still does not get on: its time stops until no node of it holds it any more."""
        now = self._clock.now()
        for job in state.jobs:
            name = job.removeprefix(self._brief.run)
            work = self.works.get(name)
            if work is None or work.stage is not WorkStage.RUNNING or not job.startswith(self._brief.run):
                continue
            last = (self.states.get(node) for node in work.nodes)
            held = any(job in said.held for said in last if said is not None)
            if held is (work.since is None):
                continue
            self.works[name] = replace(work, worked_s=work.worked_at(now), since=None if held else now)
            self.state.keep_work(name, work_to_dict(self.works[name]))

    def _reconcile(self, voice: Sender, state: NodeState) -> None:
        """As for any fleet; the first word of each node in this life settles what earlier lives had ordered there."""
        if state.epoch <= voice.epoch and state.node in self._restored and not voice.retired:
            self._restored.discard(state.node)
            self._unsure.discard(state.node)
            self._settle_birth(state)
        super()._reconcile(voice, state)

    def _settle_birth(self, state: NodeState) -> None:
        mine = self._brief.run
        found = reconcile(state, self._book.given, self._book.exits, started=self._started, mine=mine)
        self._journal.append(
            "reconciled",
            datetime.now(UTC),
            {
                "node": state.node,
                "ended": {job: code for (job, _), code in found.ended.items()},
                "restated": [order.desired.job for order in found.restate],
                "adopted": sorted(job for job, _ in found.adopt),
                "stopped": sorted(job for job, _ in found.stop),
            },
        )
        self._anew(state, found.restate)
        self._apply(found)

    def _apply(self, found: Reconciled) -> None:
        for key, code in found.ended.items():
            self._book.ended(key, code)
        for key, wish in found.adopt.items():
            order = self._made(key, wish)
            if order is not None:
                self._insist(order)
        for key in found.stop:
            order = self._made(key, JobWish.STOPPED)
            if order is not None:
                self._insist(order)
        for order in found.restate:
            self._insist(order)

    def _anew(self, state: NodeState, orders: tuple[Order, ...]) -> None:
        """What a node does not have any more begins from nothing."""
        for order in orders:
            name = order.desired.job.removeprefix(self._brief.run)
            work = self.works.get(name)
            if order.desired.job not in state.jobs and work is not None:
                self.works[name] = replace(work, worked_s=0.0, since=self._clock.now() if work.since else None)
                self.state.keep_work(name, work_to_dict(self.works[name]))

    def _made(self, key: Key, wish: JobWish) -> Order | None:
        """An order about a process that has none; None when the scenario does not know its job."""
        job = self._brief.jobs.get(key[0].removeprefix(self._brief.run))
        if job is None:
            return None
        now = self._clock.now()
        running = running_state(job, key[1], job.duration.total_seconds(), self._brief)
        desired = running.model_copy(update={"state": wish})
        return Order(now, key[1], desired, "found on the node", "", now + job.duration)

    def _lost_on(self, state: NodeState) -> list[Order]:
        """Also what must stop: a job that was given up while the node was away must never go on there."""
        found = reconcile(state, self._book.given, self._book.exits, mine=self._brief.run)
        for key, code in found.ended.items():
            self._book.ended(key, code)
        return list(found.restate)

    def views(self) -> dict[str, NodeView]:
        """What is known of each node now."""
        return self._presence.views(self._silent, self.states)

    def processes(self) -> dict[str, Processes]:
        """The processes of each job, by its name in the scenario."""
        mine, book = self._brief.run, self._kept
        return {job.removeprefix(mine): book.processes(job) for job in book.nodes if job.startswith(mine)}

    def _account(self) -> None:
        """Bring ``works`` up to date, and count what ran more often than it should."""
        touched, self._kept.touched = self._kept.touched, set()
        now, mine = self._clock.now(), self._brief.run
        for told in sorted(touched & self._kept.nodes.keys()):
            if not told.startswith(mine):
                continue
            name, processes = told.removeprefix(mine), self._kept.processes(told)
            before = self.works.get(name)
            work = after(before, processes, now)
            if work is not before:
                self.works[name] = work
                self.state.keep_work(name, work_to_dict(work))
            job = self._brief.jobs.get(name)
            well = sum(code == 0 for code in processes.exits.values())
            if job is not None and well > job.nodes and name not in self.doubled:
                self.doubled.add(name)
                self.state.keep_facts(doubled=sorted(self.doubled))
                self._told_doubled(name, processes)

    def _told_doubled(self, name: str, processes: Processes) -> None:
        nodes = sorted(node for node, code in processes.exits.items() if code == 0)
        self._progress(f"job {name} ended well on {', '.join(nodes)}: more often than it should have run")
        self._journal.append("doubled", datetime.now(UTC), {"job": name, "nodes": nodes})

    def _answered(self, acknowledgement: Acknowledgement) -> None:
        """Also the end of a job that an earlier life had started."""
        known, node = self.state.command(acknowledgement.command), acknowledgement.node
        before = known is not None and self._sender is not None and known.epoch < self._sender.epoch
        if known is not None and before and isinstance(known.desired, TransferState | ReleaseState):
            self._moved(known, acknowledgement)
            return
        if acknowledgement.stage is Stage.ENDED and known is not None and isinstance(known.desired, JobState):
            self._ended_by((known.desired.job, node), acknowledgement)
            return
        if before:
            return  # a late answer to an earlier life
        super()._answered(acknowledgement)
        if known is not None and isinstance(known.desired, JobState):
            self._gone((known.desired.job, node), known.desired.state, acknowledgement)

    def _failed(self, command: Command, acknowledgement: Acknowledgement, desired: JobState) -> None:
        """What came too late, or was not confirmed, is no failure of the job: it is stated again when its node speaks next."""
        order = self._book.given.get((desired.job, acknowledgement.node))
        if acknowledgement.code in TRANSIENT and order is not None and order.desired == desired:
            self._unsure.add(acknowledgement.node)
            return
        super()._failed(command, acknowledgement, desired)

    def _ended_by(self, key: Key, told: Acknowledgement) -> None:
        """A process has ended. One that its agent ended without our word, because it left, has not failed: it may run again."""
        order, code = self._book.given.get(key), int(told.measured.get("exit_code", -1))
        left = bool(told.measured.get("stopped")) and told.code is not RefusalCode.TIME_LIMIT and code != 0
        if order is not None and left and order.desired.state is not JobWish.STOPPED:
            self._book.give(stopped(order, "its agent left and took it along"))
        self._book.ended(key, code)

    def _gone(self, key: Key, wish: JobWish, told: Acknowledgement) -> None:
        """A node that was told to stop or pause something says that it has nothing of it: it may begin from nothing elsewhere."""
        order = self._book.given.get(key)
        is_gone = wish is JobWish.STOPPED and told.stage is Stage.APPLIED and not told.measured.get("running")
        unknown = wish is JobWish.PAUSED and told.code is RefusalCode.UNKNOWN_JOB
        if order is None or key in self._book.exits or order.desired.state is not wish or not (is_gone or unknown):
            return
        if unknown:
            self._book.give(stopped(order, "its node does not have it any more"))
        self._book.ended(key, -signal.SIGTERM)

    def close(self) -> None:
        """Fall silent; jobs on nodes that outlive us go on. Twice does no harm."""
        if self._sender is not None:
            self._sender.close()
        self._agents.stop()
