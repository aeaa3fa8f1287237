"""How commands come from a plan to jobs and transfers: in order of time, each after a delay, until another plan takes over.

::

    plan commanded --its time comes--> former plan's work ends --step by step--> command sent --delay--> job hears it
                                                                                     |
                                                     a newer one was heard, or another plan took over: nothing

A command may arrive after one that was sent later; then it is too old and is not heeded. Transfers know their whole schedule, so
nothing delays them (``sim.world.migrations``).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
import simpy

from scheduler.plan import Plan
from scheduler.scenario import ErrorModel
from sim.world.migrations import Library
from sim.world.steps import steps_of
from sim.world.truth import Truth
from sim.world.work import SimulatedJob, Wish


class Dispatch:
    """Sends what the plans of a world want.

    Args:
        env: clock of the simulation.
        plans: the world's plans in the order of their commands, each with the instant (seconds after the world's start) at which
            it takes over; the world adds to it.
        jobs: all jobs of the world by name; not_done: those that are not done, kept by the world.
        library: the transfers.
        truth: draws the delays of commands; errors: says whether there are any.
        origin_s: Unix second of the world's start.
    """

    def __init__(
        self,
        env: simpy.Environment,
        plans: Sequence[tuple[float, Plan]],
        jobs: Mapping[str, SimulatedJob],
        not_done: Mapping[str, SimulatedJob],
        library: Library,
        truth: Truth,
        errors: ErrorModel,
        origin_s: float,
    ) -> None:
        self._env, self._plans, self._jobs, self._not_done = env, plans, jobs, not_done
        self._library, self._truth, self._errors, self._origin_s = library, truth, errors, origin_s
        self._sent: dict[str, int] = {}
        self._heard: dict[str, int] = {}
        self._delays: dict[str, np.random.Generator] = {}

    def carry_out(self, plan: Plan, begin_s: float) -> None:
        """Send what ``plan``, the last of the world's plans, wants from ``begin_s`` on."""
        self._env.process(self._live(plan, len(self._plans), begin_s))

    def _live(self, plan: Plan, epoch: int, begin_s: float) -> Generator[simpy.Event, Any, None]:
        """Send what ``plan`` wants when its time comes, until another plan has taken over."""
        yield self._env.timeout(begin_s - self._env.now)
        self._take_over(plan, epoch)
        for step in steps_of(plan, self._origin_s, begin_s, self._jobs):
            if step.moment_s > self._env.now:
                yield self._env.timeout(step.moment_s - self._env.now)
            if self._superseded(epoch):
                return
            if step.transfer is None:
                self._send(step.job, step.wish, epoch)
            elif step.order == 0:
                self._library.end(step.transfer.migration)
            else:
                self._library.open(step.transfer, step.length_s)

    def _superseded(self, epoch: int) -> bool:
        """True when a later plan has come into force."""
        return any(begin_s <= self._env.now for begin_s, _ in self._plans[epoch:])

    def _take_over(self, plan: Plan, epoch: int) -> None:
        """End what the former plan had under way: its transfers, and jobs that this plan runs later or not at all."""
        self._library.close_all()
        first = {run.job: run.start for run in reversed(plan.runs)}
        dropped = {item.name for item in plan.dropped}
        for name, job in self._not_done.items():
            if job.wish is not None and (first.get(name, 0) > 0 or (name in dropped and name not in first)):
                self._send(name, None, epoch)

    def _send(self, name: str, wish: Wish | None, epoch: int) -> None:
        """Send a command to a job; it arrives after a delay, and not at all when a newer one has arrived before."""
        self._sent[name] = sequence = self._sent.get(name, 0) + 1
        arrival = self._env.timeout(self._delay_s(name))

        def arrive(_: simpy.Event) -> None:
            if sequence <= self._heard.get(name, 0) or self._superseded(epoch):
                return
            self._heard[name] = sequence
            if wish is None:
                self._jobs[name].pause()
            else:
                self._jobs[name].begin_running(wish)

        arrival.callbacks = [arrive]

    def _delay_s(self, name: str) -> float:
        """Delay of the next command to a job; its stream of draws begins with the first one."""
        if self._errors.command_delay_s <= 0 and self._errors.command_loss <= 0:
            return 0.0
        if name not in self._delays:
            self._delays[name] = self._truth.command_stream(name)
        return self._truth.command_delay_s(self._delays[name])
