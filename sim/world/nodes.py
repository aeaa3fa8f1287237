"""The nodes of one site: named, shared by cores, GPUs and memory, with a queue, and able to fail.

A SimPy ``Resource`` counts one thing; a gang needs several named nodes at once and three things on each. ``NodePool``
therefore keeps what is free on each node and grants a request by succeeding a SimPy event. The queue is first come, first
served *on each node*: a request may overtake an earlier one only when the two share no node. Nodes that sleep (``resting``) are
woken for a request, which keeps them until they are awake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import simpy

from scheduler.facility import NodeGroup, Site
from scheduler.workload import Job
from sim.world.resting import NodeState, Rest

SLACK = 1e-9
"""Rounding allowed when memory (a real number) is added up."""


@dataclass(slots=True, eq=False)
class Request:
    """A wish for room on nodes.

    Attributes:
        job: who asks; nodes: which nodes, or empty for any that fit (decided when it is granted).
        granted: succeeds with the names of the nodes.
    """

    job: Job
    nodes: tuple[str, ...]
    granted: simpy.Event
    held: tuple[str, ...] = ()


@dataclass(slots=True)
class Node:
    """One node and what is free on it."""

    name: str
    group: NodeGroup
    cores: float
    gpus: float
    memory_gb: float
    rest: Rest
    down: bool = False
    holders: set[str] = field(default_factory=set)

    def fits(self, job: Job) -> bool:
        """True when the node works and has room for one member of the gang, also when it sleeps."""
        return not self.down and self.cores >= job.cores and self.gpus >= job.gpus and self.memory_gb + SLACK >= job.memory_gb

    def take(self, job: Job, sign: float) -> None:
        """Take (sign 1) or give back (sign -1) the room of one member of the gang."""
        self.cores -= sign * job.cores
        self.gpus -= sign * job.gpus
        self.memory_gb -= sign * job.memory_gb


class NodePool:
    """All nodes of one site.

    Attributes:
        nodes: by name, in order.
        busy: names of the jobs that hold nodes now, in the order in which they got them.
        closed_by: why nothing is granted now (the mains have failed, nodes restart), or empty.
    """

    def __init__(
        self,
        env: simpy.Environment,
        site: Site,
        power_changed: Callable[[str], None] = lambda _site: None,
        asleep: frozenset[str] = frozenset(),
    ) -> None:
        self._env = env
        self._queue: list[Request] = []
        self.busy: dict[str, None] = {}
        self.closed_by: list[str] = []
        self.nodes: dict[str, Node] = {}
        for group in site.nodes:
            for i in range(group.count):
                name = f"{site.name}.{group.name}-{i}"
                rest = Rest(env, group, asleep=name in asleep, changed=lambda: power_changed(site.name), ready=self._serve)
                self.nodes[name] = Node(name, group, group.cores, group.gpus, group.memory_gb, rest)
        self._sleeps = any(group.sleep is not None for group in site.nodes)
        self._down: frozenset[str] = frozenset()
        self._idle_kw = self._count_idle_kw()

    def request(self, job: Job, nodes: tuple[str, ...]) -> Request:
        """Ask for room; the request's ``granted`` succeeds when the job has it."""
        granted: simpy.Event = simpy.Event(self._env)
        wish = Request(job, nodes, granted)
        self._queue.append(wish)
        self._serve()
        return wish

    def release(self, wish: Request) -> None:
        """Give back what was granted, or withdraw the wish when it was not."""
        if wish.held:
            for name in wish.held:
                self.nodes[name].take(wish.job, -1.0)
                self.nodes[name].holders.discard(wish.job.name)
                self.nodes[name].rest.take(busy=bool(self.nodes[name].holders))
            wish.held = ()
            self.busy.pop(wish.job.name, None)
        elif wish in self._queue:
            self._queue.remove(wish)
        self._serve()

    def fail(self, node: str) -> frozenset[str]:
        """Take ``node`` out of order; the names of the jobs that ran on it."""
        self._set_down(node, down=True)
        return frozenset(self.nodes[node].holders)

    def repair(self, node: str) -> None:
        """Put ``node`` back to work."""
        self._set_down(node, down=False)
        self._serve()

    def expect(self, needs_s: Mapping[str, list[float]]) -> None:
        """Instants (ascending) at which the plan in force needs each node; the others it does not need."""
        for name, node in self.nodes.items():
            node.rest.expect(needs_s.get(name, []))

    def resting_nodes(self) -> frozenset[str]:
        """Names of the nodes that sleep, or are about to."""
        return frozenset(name for name, node in self.nodes.items() if node.rest.state in (NodeState.ASLEEP, NodeState.GOING_DOWN))

    def _set_down(self, node: str, *, down: bool) -> None:
        self.nodes[node].down = self.nodes[node].rest.down = down
        self._down = self._down | {node} if down else self._down - {node}
        self._idle_kw = self._count_idle_kw()
        self.nodes[node].rest.look()

    def close(self, why: str) -> None:
        """Grant nothing until every closing has been opened again."""
        self.closed_by.append(why)

    def open(self, why: str) -> None:
        """Take one closing back."""
        self.closed_by.remove(why)
        self._serve()

    def holders(self) -> frozenset[str]:
        """Names of the jobs that hold nodes."""
        return frozenset[str]().union(*(node.holders for node in self.nodes.values()))

    def free_nodes(self, job: Job, avoid: frozenset[str] = frozenset()) -> tuple[str, ...]:
        """Nodes of one group that can hold the whole gang now, outside ``avoid``; empty when there are not enough."""
        wanted = {name for wish in self._queue for name in wish.nodes}
        by_group: dict[str, list[str]] = {}
        for node in sorted(self.nodes.values(), key=lambda node: not node.rest.awake):  # those that sleep last
            if node.fits(job) and node.name not in avoid and node.name not in wanted:
                found = by_group.setdefault(node.group.name, [])
                found.append(node.name)
                if len(found) == job.nodes:
                    return tuple(found)
        return ()

    def down_nodes(self) -> frozenset[str]:
        """Names of the nodes that are out of order."""
        return self._down

    def core_kw(self, held: tuple[str, ...], job: Job) -> float:
        """IT power (kW) that ``job`` adds on the nodes it holds."""
        return sum(job.cores * self.nodes[name].group.core_kw for name in held)

    def idle_kw(self) -> float:
        """IT power (kW) of all working nodes beside their jobs; a node that is out of order draws nothing."""
        return self._count_idle_kw() if self._sleeps else self._idle_kw

    def _count_idle_kw(self) -> float:
        return sum(node.rest.idle_kw for node in self.nodes.values() if not node.down)

    def _serve(self) -> None:
        """Grant what can be granted, oldest wish first; a waiting wish keeps its nodes from later ones."""
        if self.closed_by:
            return
        blocked: set[str] = set()
        waiting: list[Request] = []
        for wish in self._queue:
            names = wish.nodes or self.free_nodes(wish.job, frozenset(blocked))
            fits = bool(names) and not blocked.intersection(names) and all(self.nodes[name].fits(wish.job) for name in names)
            if fits and self._awake(names):
                for name in names:
                    self.nodes[name].take(wish.job, 1.0)
                    self.nodes[name].holders.add(wish.job.name)
                    self.nodes[name].rest.take(busy=True)
                wish.held = names
                self.busy[wish.job.name] = None
                _succeed(wish.granted, names)
            else:
                blocked.update(names)
                waiting.append(wish)
        self._queue = waiting

    def _awake(self, names: tuple[str, ...]) -> bool:
        """All of them are awake; those that are not are asked to wake up."""
        for name in names:
            self.nodes[name].rest.ask()
        return all(self.nodes[name].rest.awake for name in names)


def _succeed(event: simpy.Event, value: Any) -> None:
    event.succeed(value)
