"""Nodes that sleep in the simulated world: one SimPy process a node.

::

    busy --> idle --some time, unless needed too soon--> going down --> asleep --needed, or asked for--> waking --> idle
      ^       |
      +-------+ a job takes it

When a node is needed by plan, it is woken so early that it is ready then. A job that asks for a node which sleeps waits until it
is awake; one that asks while the node goes to sleep waits for that as well.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Generator
from enum import StrEnum
from typing import Any

import simpy

from scheduler.facility import NodeGroup

TINY_S = 1e-6


class NodeState(StrEnum):
    """What a node does."""

    AWAKE = "awake"
    GOING_DOWN = "going down"
    ASLEEP = "asleep"
    WAKING = "waking"


class Rest:
    """The rest of one node.

    Attributes:
        state: what it does now.
        busy: it holds jobs; down: it is out of order (both are set by its pool, which then calls ``look``).
        transitions: times it went to sleep.
    """

    def __init__(
        self, env: simpy.Environment, group: NodeGroup, *, asleep: bool, changed: Callable[[], None], ready: Callable[[], None]
    ) -> None:
        self.state = NodeState.ASLEEP if asleep else NodeState.AWAKE
        self.busy = self.down = False
        self.transitions = 0
        self._env, self._group = env, group
        self._changed, self._ready = changed, ready
        self._needs: list[float] = []
        self._asked = False
        self._idle_since_s = 0.0
        self._look: simpy.Event = env.event()
        if group.sleep is not None:
            env.process(self._live())

    @property
    def awake(self) -> bool:
        """It can take a job now."""
        return self.state is NodeState.AWAKE

    @property
    def idle_kw(self) -> float:
        """IT power that it draws beside its jobs."""
        sleep = self._group.sleep
        if sleep is None or self.state is NodeState.AWAKE:
            return self._group.idle_kw
        powers = {NodeState.GOING_DOWN: sleep.down_kw, NodeState.ASLEEP: sleep.power_kw, NodeState.WAKING: sleep.up_kw}
        return powers[self.state]

    def ask(self) -> None:
        """A job waits for it."""
        if not self._asked and not self.awake:
            self._asked = True
            self.look()

    def expect(self, needs_s: list[float]) -> None:
        """Instants at which the plan in force needs it, ascending."""
        self._needs = needs_s
        self.look()

    def look(self) -> None:
        """Something about it has changed."""
        look, self._look = self._look, self._env.event()
        look.succeed()

    def take(self, *, busy: bool) -> None:
        """It holds jobs from now on, or none any more."""
        if busy != self.busy:
            self.busy, self._idle_since_s = busy, self._env.now
            self.look()

    def needed_by_s(self, moment_s: float) -> float:
        """Next instant after ``moment_s`` at which it is needed, infinite when never."""
        index = bisect_right(self._needs, moment_s + TINY_S)
        return self._needs[index] if index < len(self._needs) else math.inf

    def _live(self) -> Generator[simpy.Event, Any, None]:
        env, sleep = self._env, self._group.sleep
        if sleep is None:
            return
        if self.state is NodeState.ASLEEP:
            yield from self._sleep()
        while True:
            need_s = self.needed_by_s(env.now)
            tired_s = self._idle_since_s + sleep.after_s
            if self.busy or self.down:
                yield self._look
                self._idle_since_s = env.now
            elif max(tired_s, env.now) + sleep.down_s + sleep.up_s > need_s + TINY_S:
                yield self._look | env.timeout(need_s - env.now)
                if env.now >= need_s - TINY_S:
                    self._idle_since_s = need_s  # the job that the plan has for it is on its way
            elif env.now < tired_s - TINY_S:
                yield self._look | env.timeout(tired_s - env.now)
            else:
                yield from self._turn(NodeState.GOING_DOWN, sleep.down_s)
                self.transitions += 1
                yield from self._sleep()

    def _sleep(self) -> Generator[simpy.Event, Any, None]:
        """Sleep until needed or asked for, then wake up."""
        env, sleep = self._env, self._group.sleep
        if sleep is None:
            return
        self.state = NodeState.ASLEEP
        self._changed()
        while not self._asked:
            wake_s = self.needed_by_s(env.now) - sleep.up_s
            if wake_s > env.now + TINY_S:
                yield self._look if wake_s == math.inf else self._look | env.timeout(wake_s - env.now)
            if env.now >= wake_s - TINY_S:
                break
        yield from self._turn(NodeState.WAKING, sleep.up_s)
        self.state, self._asked, self._idle_since_s = NodeState.AWAKE, False, env.now
        self._changed()
        self._ready()

    def _turn(self, state: NodeState, length_s: float) -> Generator[simpy.Event, Any, None]:
        """Go through a state that takes its time."""
        self.state = state
        self._changed()
        yield self._env.timeout(length_s)
