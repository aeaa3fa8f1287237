"""The book of jobs on nodes, kept in the state: what a controller's next life begins with."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ozzo.book import JobBook, Key
from ozzo.commands import JobWish
from ozzo.orders import Order, stopped
from ozzo.serve.state import ServeState
from ozzo.serve.works import Processes

GIVEN_UP = "its node was lost, so it was planned elsewhere"
"""Reason of the order to stop that a lost node gets when it is back."""


class KeptBook(JobBook):
    """A book whose every line is in the state before it counts.

    Attributes:
        nodes: nodes of each job, under its name on them.
        given_up: processes on lost nodes that count no more.
        touched: jobs with a new line since somebody emptied it; all of them at first.
    """

    def __init__(self, state: ServeState) -> None:
        super().__init__(given=state.orders(), exits=state.exits())
        self._state = state
        self.nodes: dict[str, set[str]] = {}
        for job, node in self.given:
            self.nodes.setdefault(job, set()).add(node)
        self.touched = set(self.nodes)
        self.given_up = {key for key, order in self.given.items() if order.reason == GIVEN_UP and key not in self.exits}

    def give(self, order: Order) -> None:
        """See ``JobBook``."""
        again = order.desired.state is JobWish.RUNNING and self.exits.get(order.key, 0) != 0
        self._state.keep_order(order, again=again)
        self.nodes.setdefault(order.desired.job, set()).add(order.node)
        self.touched.add(order.desired.job)
        super().give(order)

    def ended(self, key: Key, code: int) -> None:
        """See ``JobBook``."""
        if self.exits.get(key) != code:
            self._state.keep_exit(key, code)
            self.touched.add(key[0])
        super().ended(key, code)

    def heard(self, node: str, ends: Mapping[str, int], sequence: int) -> None:
        """See ``JobBook``."""
        open_before = [key for key in ((job, node) for job in ends) if key not in self.exits]
        super().heard(node, ends, sequence)
        for key in open_before:
            if key in self.exits:
                self._state.keep_exit(key, self.exits[key])
                self.touched.add(key[0])

    def refused(self, key: Key) -> None:
        """See ``JobBook``."""
        if key not in self.exits:
            self._state.keep_exit(key, -1)
            self.touched.add(key[0])
        super().refused(key)

    def give_up(self, key: Key) -> None:
        """A process on a lost node counts no more; its node gets the order to stop it before anything else when it is back."""
        order = self.given[key]
        self.given_up.add(key)
        self.give(stopped(order, GIVEN_UP))

    def processes(self, job: str) -> Processes:
        """The processes of one job, under its name on the nodes."""
        nodes = self.nodes.get(job, set())
        return Processes(
            {node: self.given[job, node] for node in nodes},
            {node: self.exits[job, node] for node in nodes if (job, node) in self.exits},
            frozenset(node for node in nodes if (job, node) in self.given_up),
        )

    def running_on(self, node: str) -> set[str]:
        """Jobs on a node that are to run and have not ended."""
        keys = ((job, node) for job in self._jobs.get(node, ()))
        return {key[0] for key in keys if key not in self.exits and self.given[key].desired.state is JobWish.RUNNING}

    def forget(self, jobs: Collection[str]) -> None:
        """Forget jobs that are over, in the state too."""
        self._state.forget_jobs(jobs)
        for job in jobs:
            for node in self.nodes.pop(job, set()):
                self._jobs[node].pop(job, None)
                for known in (self.given, self.exits, self.sequences):
                    known.pop((job, node), None)
