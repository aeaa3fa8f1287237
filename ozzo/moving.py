"""The migrations of the plan in force, commanded: copies begin, pause, change their rate and end; replicas are released at last.

Nothing waits in a queue here. At every look each move is compared with what its node was told, and told anew what differs; what a
node refused or could not do is asked again after a while. Used by one thread.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from uuid import UUID

from ozzo.book import few
from ozzo.commands import Acknowledgement, Command, JobWish, RefusalCode, Stage, uuid7
from ozzo.moves import Cause, Ends, Move, Piece, Places, Proof, Wish, as_moved, followed, wish_at
from ozzo.sender import Sender
from ozzo.wire import CopyProof, ReleaseState, TransferState
from scheduler.plan import Plan
from scheduler.scenario import Scenario
from scheduler.world import Observation

PATIENCE_S, LONGEST_PATIENCE_S = 2.0, 3600.0
"""Wall seconds until what failed is asked again; twice as many each time, up to the longest."""
Busy = Callable[[], Iterable[tuple[str, str]]]
"""Jobs with a process, and its node."""
HARMLESS = frozenset({RefusalCode.STALE_SEQUENCE, RefusalCode.EXPIRED, RefusalCode.CLOCK_SKEW})
"""Why a command may be refused although the copy could be made: it is said again."""


@dataclass(slots=True)
class _Told:
    """What was said last about a copy or a release.

    Attributes:
        wish: state of a copy; of a release always running with no limit. None: to be said anew.
        command: that said it.
        again_s: monotonic instant before which nothing is said.
        failures: in a row; why: the last one in words, empty after success.
    """

    wish: Wish | None = None
    command: UUID | None = None
    again_s: float = 0.0
    failures: int = 0
    why: str = ""


class Moves:
    """Copies and releases under one controller.

    Attributes:
        moves: every copy that was asked for and that the document does not know of yet, by migration and target.
    """

    def __init__(
        self,
        places: Places,
        speed: float,
        *,
        run: str = "",
        say: Callable[[str], None] = lambda _: None,
        keep: Callable[[Iterable[Move]], None] = lambda _: None,
        moves: Iterable[Move] = (),
    ) -> None:
        """Prepare.

        Args:
            places: datasets and storages.
            speed: scenario seconds per wall second.
            run: goes before the names of transfers.
            say: takes a line for people.
            keep: takes all moves whenever one has changed, before its node is told.
            moves: of an earlier life.
        """
        self.places = places
        self._speed, self._run, self._say, self._keep = speed, run, say, keep
        self.moves = {move.key: move for move in moves if not places.stale(move)}
        self._pieces: dict[str, tuple[Piece, ...]] = {}
        self._dropped: frozenset[str] = frozenset()
        self._plan_id = ""
        self._told: dict[str, _Told] = {}
        self._alone: set[str] = set()

    def follow(self, plan: Plan, from_slot: int) -> None:
        """Take a plan into force from one of its slots on."""
        moment, dropped = plan.horizon.time(from_slot), {entry.name for entry in plan.dropped}
        cut = {migration for migration, pieces in self._pieces.items() if pieces[-1].end > moment}
        self._dropped = frozenset(dropped & (cut | self._dropped))  # others are late, and go on
        self._pieces = followed(self._pieces, plan, from_slot)
        self._plan_id = plan.id

    def use(self, scenario: Scenario, nodes: Iterable[str]) -> None:
        """Take another document of the same nodes into use; what it knows by itself is forgotten."""
        self.places = Places(scenario, nodes)
        known = {key: move for key, move in self.moves.items() if not self.places.stale(move)}
        if known != self.moves:
            self.moves = known
            self._keep(known.values())

    def look(self, now: datetime, voice: Sender, silent: Collection[str] = (), busy: Busy = tuple) -> None:
        """Tell nodes what differs from what they were told.

        Args:
            now: instant on the plan's time axis.
            voice: says it.
            silent: nodes that do not speak: they are told when they do again.
            busy: tells jobs with a process, and its node: while one reads a replica it is not released.
        """
        if voice.retired or not (self._pieces or self.moves):
            return
        self._begin(now)
        for move in list(self.moves.values()):
            ends = self.places.ends(move.source, move.target)
            if ends is None:
                continue
            wish = self._wish(move, now)
            if wish is not None and ends.target.node not in silent:
                self._copy(move, ends, wish, voice, now)
            if self._may_go(move, ends, now, busy) and ends.source.node not in silent:
                self._release(move, ends, voice, now)

    def _begin(self, now: datetime) -> None:
        """Make a move of each migration whose first piece begins."""
        for migration, pieces in self._pieces.items():
            piece = next((piece for piece in reversed(pieces) if piece.start <= now), None)
            if piece is None or piece.target != pieces[-1].target or (migration, piece.target) in self.moves:
                continue
            dataset = migration.partition("@")[0]
            if self.places.dataset(dataset) is None:
                continue
            if self.places.ends(piece.source, piece.target) is None:
                if migration not in self._alone and self.places.declared:
                    self._say(f"no node is told to move {dataset} from {piece.source} to {piece.target}: no storage at both ends")
                self._alone.add(migration)
                continue
            leaves = "@" not in migration and self.places.leaves(dataset, piece.source)
            until = self.places.scenario.horizon.end
            self._put(Move(migration, dataset, piece.source, piece.target, self._named(migration), leaves, until))

    def _named(self, migration: str) -> str:
        """A name that no transfer ever had."""
        return f"{self._run}{migration}"[:100] + f"-{uuid7()}"

    def _put(self, move: Move) -> None:
        self.moves[move.key] = move
        self._keep(self.moves.values())

    def _wish(self, move: Move, now: datetime) -> Wish | None:
        """What a copy should do now; None when there is nothing to say."""
        if move.proof is not None:
            return None
        if move.migration in self._dropped:
            return (JobWish.STOPPED, None)
        dataset, pieces = self.places.dataset(move.dataset), self._pieces.get(move.migration, ())
        wish = None if dataset is None else wish_at(now, pieces, move.target, self._speed, dataset.size_tb)
        return wish or move.wish

    def _copy(self, move: Move, ends: Ends, wish: Wish, voice: Sender, now: datetime) -> None:
        dataset = self.places.dataset(move.dataset)
        if dataset is None or not self._to_say(move.name, wish):
            return
        if move.wish != wish:
            self._put(replace(move, wish=wish))
        state, rate = wish
        desired = TransferState(
            transfer=move.name,
            state=state,
            peer=move.source,
            root=ends.target.root,
            path=dataset.folder,
            rate_mbit_per_s=rate,
        )
        words = {JobWish.RUNNING: "is to come", JobWish.PAUSED: "waits in the plan", JobWish.STOPPED: "is not in the plan"}
        reason = f"{move.dataset} {words[state]} from {move.source}"
        sent = voice.send(ends.target.node, desired, Cause(self._plan_id, now), reason)
        self._said(move.name, wish, sent)

    def _may_go(self, move: Move, ends: Ends, now: datetime, busy: Busy = tuple) -> bool:
        """True when the replica at the source is to be released now."""
        if move.proof is None or move.released or not move.leaves or not ends.source.release or now < move.until:
            return False
        if not self.places.leaves(move.dataset, move.source):
            return False  # by the present document it may stay
        read = (self.places.reads(job, node) for job, node in busy())
        return not any(site == move.source and move.dataset in {data.name for data in inputs} for site, inputs in read)

    def _release(self, move: Move, ends: Ends, voice: Sender, now: datetime) -> None:
        dataset, wish = self.places.dataset(move.dataset), (JobWish.RUNNING, None)
        if not move.release:
            move = replace(move, release=self._named(f"{move.migration}-release"))
            self._put(move)
        if dataset is None or move.proof is None or not self._to_say(move.release, wish):
            return
        proof = CopyProof(peer=move.target, **asdict(move.proof))
        desired = ReleaseState(release=move.release, root=ends.source.root, path=dataset.folder, proof=proof)
        reason = f"{move.dataset} has moved to {move.target}"
        self._said(move.release, wish, voice.send(ends.source.node, desired, Cause(self._plan_id, now), reason))

    def _to_say(self, name: str, wish: Wish) -> bool:
        said = self._told.get(name)
        return said is None or (said.wish != wish and time.monotonic() >= said.again_s)

    def _said(self, name: str, wish: Wish, sent: Command) -> None:
        said = self._told.setdefault(name, _Told())
        said.wish, said.command = wish, sent.id

    def restate(self, node: str) -> None:
        """A node may not know what it was told: it is told again."""
        for move in self.moves.values():
            ends = self.places.ends(move.source, move.target)
            for name, at in () if ends is None else ((move.name, ends.target.node), (move.release, ends.source.node)):
                if at == node and name in self._told:
                    self._told[name].wish = None

    def answered(self, command: Command, told: Acknowledgement) -> None:
        """Take an answer to a command about data, maybe of an earlier life."""
        desired = command.desired
        name = desired.transfer if isinstance(desired, TransferState) else getattr(desired, "release", "")
        move = next((move for move in self.moves.values() if name in (move.name, move.release)), None)
        if move is None:
            return
        over = told.measured.get("exit_code")
        if told.stage is Stage.ENDED:
            self._ended(move, name, told)
        elif name in self._told and told.command != self._told[name].command:
            return  # something else was said since
        elif told.stage is Stage.APPLIED and over == 0.0 and not told.measured.get("running"):
            self._had_ended(move, name)
        elif told.stage in {Stage.FAILED, Stage.REFUSED} and told.code is not RefusalCode.UNKNOWN_JOB:
            harmless = told.code in HARMLESS
            self._failed(move, name, told.node, "" if harmless else told.text or str(told.code))

    def _ended(self, move: Move, name: str, told: Acknowledgement) -> None:
        if told.measured.get("exit_code") != 0.0:
            stopped = bool(told.measured.get("stopped"))
            self._failed(move, name, told.node, "" if stopped else told.text or "it did not say why")
        elif name == move.release:
            self._gone(move)
        elif move.proof is None:
            try:
                proof = CopyProof(peer=move.source, **json.loads(told.text))
            except (ValueError, TypeError) as error:
                self._failed(move, name, told.node, f"its end tells no proof: {error}"[:300])
                return
            self._told.pop(name, None)
            self._put(replace(move, proof=Proof(proof.digest, proof.files, proof.bytes)))
            self._say(f"{move.dataset} is at {move.target} too: {proof.files} files, {proof.bytes} bytes, verified")

    def _had_ended(self, move: Move, name: str) -> None:
        """A node says that it was done before: a release is, and a copy is verified anew, because its proof was not heard."""
        if name == move.release:
            self._gone(move)
        elif move.proof is None:
            self._told.pop(name, None)
            self._put(replace(move, name=self._named(move.migration)))

    def _gone(self, move: Move) -> None:
        if not move.released:
            self._told.pop(move.release, None)
            self._put(replace(move, released=True))
            self._say(f"{move.dataset} was released at {move.source}")

    def _failed(self, move: Move, name: str, node: str, why: str) -> None:
        """It is said again after a while; ``why`` is empty when the copy itself has not failed."""
        said = self._told.setdefault(name, _Told())
        if said.wish is not None and said.wish[0] is JobWish.STOPPED and not why:
            return  # as it should be
        said.wish = None
        said.failures += bool(why)
        said.again_s = time.monotonic() + min(LONGEST_PATIENCE_S, PATIENCE_S * 2.0 ** max(0, said.failures - 1))
        if why and why != said.why:
            what = "released at" if name == move.release else "copied from"
            self._say(f"{node}: {move.dataset} was not {what} {move.source}: {why}")
        said.why = why or said.why

    def lacks(self, job: str, node: str) -> bool:
        """True when a job must wait: one of its datasets is to come to the node's site, and its copy is not proven."""
        site, inputs = self.places.reads(job, node)
        for dataset in inputs:
            if site in dataset.sites:
                continue
            for migration in (dataset.name, f"{dataset.name}@{site}"):
                move, pieces = self.moves.get((migration, site)), self._pieces.get(migration, ())
                if move is not None and move.proof is not None:
                    break
                coming = pieces[-1].source if pieces and pieces[-1].target == site else ""
                source = coming if move is None else move.source
                if source and self.places.ends(source, site) is not None:
                    return True
        return False

    def unfinished(self, now: datetime, silent: Collection[str] = ()) -> bool:
        """True while something that is due now is under way on nodes that speak."""
        for move in self.moves.values():
            ends = self.places.ends(move.source, move.target)
            if ends is None:
                continue
            wish = self._wish(move, now)
            copies = wish is not None and wish[0] is JobWish.RUNNING and ends.target.node not in silent
            goes = self._may_go(move, ends, now) and ends.source.node not in silent
            if (copies and not self._stuck(move.name)) or (goes and not self._stuck(move.release)):
                return True
        return False

    def _stuck(self, name: str) -> bool:
        return name in self._told and bool(self._told[name].why)

    def stop(self, now: datetime, voice: Sender, silent: Collection[str] = ()) -> None:
        """Copies that have not ended are to stop: nobody will hear of their end. What has come is kept."""
        for move in self.moves.values():
            ends = self.places.ends(move.source, move.target)
            begun = move.name in self._told and self._told[move.name].wish != (JobWish.STOPPED, None)
            if move.proof is None and ends is not None and begun and ends.target.node not in silent:
                self._told[move.name].again_s = 0.0
                self._copy(move, ends, (JobWish.STOPPED, None), voice, now)

    def outcome(self, now: datetime) -> tuple[tuple[str, ...], dict[str, str]]:
        """Migrations that are done by now, and of those that should be and are not, why."""
        done, failed = [], {}
        for move in self.moves.values():
            ends, pieces = self.places.ends(move.source, move.target), self._pieces.get(move.migration, ())
            if ends is None or (pieces and pieces[-1].target != move.target):
                continue
            goes = self._may_go(move, ends, now)
            if move.proof is not None and not goes:
                done.append(move.migration)
            elif move.proof is not None or (pieces and pieces[-1].end <= now and move.migration not in self._dropped):
                said = self._told.get(move.release if goes else move.name)
                failed[move.migration] = said.why if said is not None and said.why else "it had not ended"
        return tuple(sorted(done)), failed

    def notes(self, now: datetime) -> list[str]:
        """Sentences for a report."""
        _, failed = self.outcome(now)
        notes = [f"Migration {name} was not done: {why}." for name, why in sorted(failed.items())]
        if self._alone and self.places.declared:
            notes.append(
                f"Migrations without a storage of real data at both ends, which no node was told of: {few(self._alone)}."
            )
        return notes

    def observed(self, seen: Observation) -> Observation:
        """An observation with what is known of real copies."""
        return as_moved(seen, self.moves.values(), self.places)
