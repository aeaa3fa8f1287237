"""The book of jobs on nodes: the last order of each, how its process ended, and what that came to. No input or output."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ozzo.commands import JobWish
from ozzo.orders import Order

Key = tuple[str, str]
"""Job and node."""


def few(names: Iterable[str], most: int = 5) -> str:
    """Names in order, the first ones only: ``a, b and 3 more``."""
    known = sorted(names)
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")


@dataclass(slots=True)
class JobBook:
    """Orders given and ends told.

    Attributes:
        given: last order of each job on each node.
        exits: exit codes of processes that ended, -1 of those that could not be started.
        untold: jobs of a plan that name no node, so nobody could be told.
        sequences: sequence of the last command about each job on each node.
    """

    given: dict[Key, Order] = field(default_factory=dict)
    exits: dict[Key, int] = field(default_factory=dict)
    untold: set[str] = field(default_factory=set)
    sequences: dict[Key, int] = field(default_factory=dict)
    _here: dict[str, dict[str, None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for job, node in self.given:
            self._here.setdefault(node, {})[job] = None

    def give(self, order: Order) -> None:
        """An order is about to be sent."""
        self.given[order.key] = order
        self._here.setdefault(order.node, {})[order.desired.job] = None
        if order.desired.state is JobWish.RUNNING and self.exits.get(order.key, 0) != 0:
            del self.exits[order.key]  # it was stopped or failed, and starts again

    def stands(self, order: Order) -> bool:
        """True when the same was told before and the job has not ended since."""
        before = self.given.get(order.key)
        return before is not None and order.key not in self.exits and before.desired == order.desired

    def ended(self, key: Key, code: int) -> None:
        """A process ended."""
        self.exits[key] = code

    def heard(self, node: str, ends: Mapping[str, int], sequence: int) -> None:
        """A node tells what has ended there, having seen our commands up to ``sequence``: an end that got lost is booked."""
        for job, code in ends.items():
            key = (job, node)
            if key in self.given and key not in self.exits and self.sequences.get(key, sequence + 1) <= sequence:
                self.exits[key] = code

    def refused(self, key: Key) -> None:
        """A node did not start it; an end that was told before stands."""
        self.exits.setdefault(key, -1)

    def alive(self) -> dict[Key, Order]:
        """Orders whose process has not ended."""
        return {key: order for key, order in self.given.items() if key not in self.exits}

    def ending(self, silent: Collection[str]) -> bool:
        """True while a process is to end by itself on a node that still speaks."""
        return any(o.desired.state is JobWish.RUNNING and o.node not in silent for o in self.alive().values())

    def lost(self, node: str) -> list[Order]:
        """What a node should do that came back with another process."""
        keys = [(job, node) for job in self._here.get(node, ())]
        alive = [self.given[key] for key in keys if key in self.given and key not in self.exits]
        return [order for order in alive if order.desired.state is not JobWish.STOPPED]

    def outcome(self, now: datetime) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Jobs that ended well on all their nodes, and jobs that did not although their planned end is past.

        A job that a later plan took from a node is judged by its other nodes; one that it took from all counts as neither.
        """
        wanted: dict[str, list[Order]] = {}
        for order in self.given.values():
            if order.desired.state is not JobWish.STOPPED:
                wanted.setdefault(order.desired.job, []).append(order)
        run = {job for job, orders in wanted.items() if all(self.exits.get(order.key) == 0 for order in orders)}
        failed = {
            job
            for job, orders in wanted.items()
            if any(self.exits.get(order.key, 0 if order.until > now else -1) != 0 for order in orders)
        }
        return tuple(sorted(run)), tuple(sorted(failed | (self.untold - wanted.keys())))
