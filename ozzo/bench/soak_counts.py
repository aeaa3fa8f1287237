"""What a soak came to: counters over what nodes and controllers have written down, none of which may be above zero.

The nodes' own record (``ozzo.agent.shared_journal``) says what was started, accepted and drawn; the controllers' wishes say what
should have been. Nothing here was taken part in by the code that it judges.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from ozzo.sender import LEASE_S

SLACK_S = 1.0
"""Assumption: a node may take this long to act on the end of a lease."""
TINY_KW = 1e-9
ENDS_WELL = (0, -15)
"""Exit codes that end a wish: done, or stopped as wished."""


@dataclass(frozen=True, slots=True)
class Draw:
    """From an instant on a node draws so much.

    Attributes:
        node: name; at: Unix time; kw: IT power; cap_kw: cap in force, or None; until: end of the lease, Unix time, or None.
    """

    node: str
    at: float
    kw: float
    cap_kw: float | None
    until: float | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command that a node has put into its journal.

    Attributes:
        node: name; epoch: of the command; at, not_after: instants.
    """

    node: str
    epoch: int
    at: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class SoakCounts:
    """Counters; all must be zero.

    Attributes:
        cap_exceeded: times a node drew more than its cap, or than its failsafe cap without a lease, for longer than a lease.
        jobs_lost: jobs that were wished and of which nobody knows the end, or whose end is told in two ways.
        effects_doubled: jobs that were started more than once on their node.
        stale_epoch_acted: commands that a node accepted although it had accepted a higher epoch before.
        expired_acted: commands that a node accepted at or after their not-after.
        crashes: processes that ended by themselves with a traceback.
    """

    cap_exceeded: int
    jobs_lost: int
    effects_doubled: int
    stale_epoch_acted: int
    expired_acted: int
    crashes: int

    @property
    def clean(self) -> bool:
        """All are zero."""
        return not any(asdict(self).values())


def caps_exceeded(draws: Iterable[Draw], failsafe_kw: float, end: float) -> int:
    """Stretches in which a node drew too much for longer than a lease.

    Args:
        draws: of all nodes, those of one node in order of time.
        failsafe_kw: cap without a lease.
        end: when the last of each node ends, Unix time.
    """
    count = 0
    for _, group in groupby(sorted(draws, key=lambda draw: (draw.node, draw.at)), key=lambda draw: draw.node):
        mine = list(group)
        ends = [*(draw.at for draw in mine[1:]), end]
        since: float | None = None
        for begin, until, over in _pieces(mine, ends, failsafe_kw):
            if not over:
                since = None
                continue
            already = since is not None and begin - since > LEASE_S + SLACK_S
            since = begin if since is None else since
            count += not already and until - since > LEASE_S + SLACK_S
    return count


def _pieces(draws: list[Draw], ends: list[float], failsafe_kw: float) -> Iterator[tuple[float, float, bool]]:
    """Begin and end of pieces of time, and whether too much was drawn in them."""
    for draw, end in zip(draws, ends, strict=True):
        lost = end if draw.until is None else min(max(draw.at, draw.until), end)
        if lost > draw.at:
            yield draw.at, lost, draw.cap_kw is not None and draw.kw > draw.cap_kw + TINY_KW
        if end > lost:
            yield lost, end, draw.kw > failsafe_kw + TINY_KW


def stale(accepted: Iterable[Accepted]) -> int:
    """Commands accepted after one of a higher epoch on the same node; ``accepted`` in the order of the journal."""
    highest: dict[str, int] = {}
    count = 0
    for item in accepted:
        count += item.epoch < highest.get(item.node, 0)
        highest[item.node] = max(item.epoch, highest.get(item.node, 0))
    return count


def lost(wishes: Iterable[tuple[str, str, int | None]], ended: dict[tuple[str, str], int], running: set[tuple[str, str]]) -> int:
    """Jobs whose end is not known, or told differently.

    Args:
        wishes: node, job and the exit code that the controller knows.
        ended: exit code by node and job, as the nodes know it.
        running: node and job of what still is on a node.
    """
    count = 0
    for node, job, code in wishes:
        known = ended.get((node, job))
        never_begun = code == ENDS_WELL[1] and known is None
        count += code not in ENDS_WELL or (node, job) in running or not (never_begun or known == code)
    return count


def counts_of(nodes: Path, wishes: Path, failsafe_kw: float, crashes: int) -> tuple[SoakCounts, dict[str, int]]:
    """The counters, and how much was done.

    Args:
        nodes: shared journal of the nodes, with draws.
        wishes: file of the controllers' wishes.
        failsafe_kw: of every node.
        crashes: processes that ended with a traceback.
    """
    with closing(sqlite3.connect(nodes)) as journal, closing(sqlite3.connect(wishes)) as book:
        draws = [Draw(*row) for row in journal.execute("SELECT node, at, kw, cap_kw, until FROM draws")]
        accepted = [
            Accepted(node, epoch, datetime.fromisoformat(at), datetime.fromisoformat(not_after))
            for node, epoch, at, not_after in journal.execute("SELECT node, epoch, at, not_after FROM commands ORDER BY position")
        ]
        (left_at,) = journal.execute("SELECT at FROM alive").fetchone()
        starts = journal.execute("SELECT count(*) FROM starts GROUP BY node, job").fetchall()
        ended = {(node, job): code for node, job, code in journal.execute("SELECT node, job, exit_code FROM ended")}
        running = set(journal.execute("SELECT node, job FROM runs"))
        wanted = book.execute("SELECT node, job, exit_code FROM wishes").fetchall()
    counts = SoakCounts(
        cap_exceeded=caps_exceeded(draws, failsafe_kw, left_at),
        jobs_lost=lost(wanted, ended, running),
        effects_doubled=sum(count > 1 for (count,) in starts),
        stale_epoch_acted=stale(accepted),
        expired_acted=sum(item.at >= item.not_after for item in accepted),
        crashes=crashes,
    )
    epochs = len({item.epoch for item in accepted})
    return counts, {"jobs": len(wanted), "starts": len(starts), "commands_accepted": len(accepted), "epochs": epochs}
