"""Migrations of a plan as copies between the storages of sites: what a node should do with each, and when. No input or output.

The node that keeps the target's data pulls the dataset from the peer that its settings call like the source's site; the node that
keeps the source's data later releases its replica on the proof of the peer that its settings call like the target's site. ::

    plan     ....[== piece ==]......[== piece ==]................
    copy         running      paused running  (late: until it ends)  proven
    source                                                           ........ end of the horizon: released, if its storage allows

A copy is stopped when a later plan drops what was still to come of its migration, or brings the dataset elsewhere; what has come
is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from ozzo.commands import JobWish
from scheduler.data import Dataset, Storage
from scheduler.data_tasks import MBIT_PER_TB
from scheduler.plan import Plan
from scheduler.scenario import Scenario
from scheduler.world import Observation

UNPROVEN = 1e-3
"""Share of a dataset that counts as not moved until its copy is proven: an assumption, for nodes tell no progress."""
SLOWEST_MBIT_PER_S, FASTEST_MBIT_PER_S = 0.01, 1e6
"""Rates that a command can hold; above the highest there is no limit."""

Wish = tuple[JobWish, float | None]
"""State of a copy and its highest rate, Mbit/s; None: no limit."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What a command about data comes from (``ozzo.sender.Origin``).

    Attributes:
        plan_id: plan; due: instant on its time axis.
    """

    plan_id: str
    due: datetime


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a migration, half-open in time, at a constant rate.

    Attributes:
        start, end: instants on the plan's time axis, UTC.
        rate_mbit_per_s: rate on that axis.
        source, target: sites.
    """

    start: datetime
    end: datetime
    rate_mbit_per_s: float
    source: str
    target: str

    @property
    def volume_tb(self) -> float:
        """Volume that it carries, decimal terabytes."""
        return self.rate_mbit_per_s * (self.end - self.start).total_seconds() / MBIT_PER_TB


@dataclass(frozen=True, slots=True)
class Proof:
    """What a verified copy holds.

    Attributes:
        digest: of all files; files, bytes: how many, and how large together.
    """

    digest: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Move:
    """A copy that was asked for, and the release of the replica that it came from.

    Attributes:
        migration, dataset, source, target: as in the plan.
        name: of the transfer on its node, for good; ``release``: of the release, or empty before.
        proof: of the copy, None before it is verified.
        leaves: the replica at the source has no place there, so it goes when its storage allows.
        until: end of the horizon that it was planned in: not before it the source is released, because jobs may read it.
        released: the replica at the source is gone.
        wish: what its node was told last, in this life or an earlier one.
    """

    migration: str
    dataset: str
    source: str
    target: str
    name: str
    leaves: bool
    until: datetime
    proof: Proof | None = None
    release: str = ""
    released: bool = False
    wish: Wish | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Migration and target."""
        return (self.migration, self.target)


def move_to_dict(move: Move) -> dict[str, Any]:
    """A move as JSON values."""
    return asdict(move) | {"until": move.until.isoformat()}


def move_from_dict(value: Mapping[str, Any]) -> Move:
    """The move again."""
    proof = None if value["proof"] is None else Proof(**value["proof"])
    wish = None if value["wish"] is None else (JobWish(value["wish"][0]), value["wish"][1])
    return Move(**{**value, "until": datetime.fromisoformat(value["until"]), "proof": proof, "wish": wish})


def pieces_of(plan: Plan, from_slot: int = 0) -> dict[str, tuple[Piece, ...]]:
    """Pieces of each migration of a plan from one of its slots on, in order of time."""
    found: dict[str, list[Piece]] = {}
    for part in sorted(plan.transfers, key=lambda part: part.start):
        if part.end > from_slot and part.rate_mbit_per_s > 0.0:
            start, end = plan.horizon.time(max(part.start, from_slot)), plan.horizon.time(part.end)
            piece = Piece(start, end, part.rate_mbit_per_s, part.source, part.target)
            found.setdefault(part.migration, []).append(piece)
    return {migration: tuple(pieces) for migration, pieces in found.items()}


def followed(before: Mapping[str, tuple[Piece, ...]], plan: Plan, from_slot: int) -> dict[str, tuple[Piece, ...]]:
    """Pieces when ``plan`` takes over at its slot ``from_slot``: what was planned until then stays.

    Without any before, as at a restart, what the plan itself had for earlier slots counts too: it may not have been done.
    """
    moment, fresh = plan.horizon.time(from_slot), pieces_of(plan, from_slot if before else 0)
    kept = {
        migration: tuple(replace(piece, end=min(piece.end, moment)) for piece in pieces if piece.start < moment)
        for migration, pieces in before.items()
    }
    joined = {migration: kept.get(migration, ()) + fresh.get(migration, ()) for migration in {**kept, **fresh}}
    return {migration: pieces for migration, pieces in joined.items() if pieces}


def wish_at(now: datetime, pieces: tuple[Piece, ...], target: str, speed: float, size_tb: float) -> Wish | None:
    """What a copy to ``target`` should do; None before its first piece, and when the plan knows nothing of it.

    A copy that is late is planned anew for the share that counts as missing (``UNPROVEN``), however much of it really is: such
    a piece does not lower its rate.

    Args:
        now: instant on the plan's time axis.
        pieces: of its migration.
        target: site that it goes to.
        speed: scenario seconds per wall second; a node copies so many times faster than the plan says.
        size_tb: of the dataset, decimal terabytes.
    """
    if not pieces:
        return None
    if pieces[-1].target != target:
        return (JobWish.STOPPED, None)  # a later plan brings the dataset elsewhere
    mine = [piece for piece in pieces if piece.target == target]
    begun = [piece for piece in mine if piece.start <= now]
    if not begun:
        return None
    last = begun[-1]
    if now >= last.end and last is not mine[-1]:
        return (JobWish.PAUSED, None)
    rest = mine[len(begun) - 1 :]
    is_rest = sum(part.volume_tb for part in rest) <= 2.0 * UNPROVEN * size_tb
    rate = speed * (max(part.rate_mbit_per_s for part in begun) if is_rest else last.rate_mbit_per_s)
    return (JobWish.RUNNING, None if rate > FASTEST_MBIT_PER_S else max(SLOWEST_MBIT_PER_S, rate))


@dataclass(frozen=True, slots=True)
class Ends:
    """The two storages of a move.

    Attributes:
        source, target: where the replica is, and where it shall be.
    """

    source: Storage
    target: Storage


class Places:
    """Datasets and storages of a scenario, and which of them nodes here can be asked about."""

    def __init__(self, scenario: Scenario, nodes: Iterable[str]) -> None:
        """Prepare.

        Args:
            scenario: sites, datasets, jobs.
            nodes: nodes that can be asked for data.
        """
        self.scenario = scenario
        self._nodes = frozenset(nodes)
        self._storages = {site.name: site.storage for site in scenario.sites if site.storage is not None}
        self._homes = {node: site.name for site in scenario.sites for node in site.node_names()}
        self._datasets = {dataset.name: dataset for dataset in scenario.datasets}
        self._inputs = {job.name: job.inputs for job in scenario.jobs}

    @property
    def declared(self) -> bool:
        """True when the document says of any site where its data lies."""
        return bool(self._storages)

    def dataset(self, name: str) -> Dataset | None:
        """The dataset of a name, None when the document has it no more."""
        return self._datasets.get(name)

    def ends(self, source: str, target: str) -> Ends | None:
        """The storages of two sites; None when one has none, or its node cannot be asked."""
        here, there = self._storages.get(source), self._storages.get(target)
        if here is None or there is None or not {here.node, there.node} <= self._nodes:
            return None
        return Ends(here, there)

    def leaves(self, dataset: str, source: str) -> bool:
        """True when a replica has no place at ``source`` by the document, so a migration from there is a move, not a copy."""
        known = self._datasets.get(dataset)
        return known is not None and source not in known.allowed_sites

    def reads(self, job: str, node: str) -> tuple[str, list[Dataset]]:
        """Site of a node, and the datasets that a job reads there."""
        return self._homes.get(node, ""), [self._datasets[name] for name in self._inputs.get(job, ()) if name in self._datasets]

    def stale(self, move: Move) -> bool:
        """True when the document knows as much as a move tells: the replica is where it shall be, or is no matter of it."""
        dataset = self._datasets.get(move.dataset)
        if dataset is None:
            return True
        waits = move.leaves and not move.released and move.source in dataset.sites
        return move.target in dataset.sites and not waits


def as_moved(seen: Observation, moves: Iterable[Move], places: Places) -> Observation:
    """An observation with what is known of real copies: a proven one has arrived, any other not quite."""
    moved_tb, moved_to = dict(seen.moved_tb), dict(seen.moved_to)
    for move in moves:
        dataset = places.dataset(move.dataset)
        if dataset is None:
            continue
        moved_to[move.migration] = move.target
        most_tb = dataset.size_tb * (1.0 if move.proof is not None else 1.0 - UNPROVEN)
        moved_tb[move.migration] = most_tb if move.proof is not None else min(moved_tb.get(move.migration, 0.0), most_tb)
    return replace(seen, moved_tb=moved_tb, moved_to=moved_to)
