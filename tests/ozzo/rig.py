"""A controller's end for tests of agents: sends commands, remembers answers and states, waits for them."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ozzo.commands import (
    Acknowledgement,
    Channel,
    Command,
    Desired,
    JobState,
    JobWish,
    NodeState,
    Stage,
    decode,
    node_of,
    topic,
    uuid7,
)
from ozzo.transport import Delivery, Transport

PATIENCE_S = 15.0
"""Longest wait for anything; no test asserts how long something took."""


def eventually(true: Callable[[], bool], what: str) -> None:
    """Wait until ``true()``; fail when it does not become so in time."""
    until = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < until, f"{what}: not in {PATIENCE_S} s"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """True while a process exists and is no zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


class Rig:
    """The controller's side of one scenario over a transport."""

    def __init__(self, scenario: str, transport: Transport, epoch: int = 1) -> None:
        self.scenario, self.transport, self.epoch, self.sequence = scenario, transport, epoch, 0
        self.answers: list[Acknowledgement] = []
        self.states: list[NodeState] = []
        self._inbox: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        for channel in (Channel.ACK, Channel.STATE):
            transport.subscribe(topic(scenario, "+", channel), self._inbox.put)

    def command(self, node: str, desired: Desired, **changes: Any) -> Command:
        """The next command, valid for 10 s from now."""
        self.sequence += 1
        now = datetime.now(UTC)
        values: dict[str, Any] = {
            "id": uuid7(),
            "epoch": self.epoch,
            "sequence": self.sequence,
            "issued_at": now,
            "not_after": now + timedelta(seconds=10),
            "lease_s": 30.0,
            "node": node,
            "desired": desired,
        }
        return Command(**(values | changes))

    def send(self, command: Command) -> Command:
        """Publish a command on its node's topic."""
        self.transport.publish(topic(self.scenario, command.node, Channel.COMMAND), command.encode(), expiry_s=10)
        return command

    def ask(self, node: str, desired: Desired, *stages: Stage, **changes: Any) -> Acknowledgement:
        """Send and wait for an answer of one of ``stages`` (default: applied, failed or refused)."""
        return self.answer(self.send(self.command(node, desired, **changes)), *stages)

    def answer(self, command: Command, *stages: Stage) -> Acknowledgement:
        """Wait for an answer to a command."""
        wanted = stages or (Stage.APPLIED, Stage.FAILED, Stage.REFUSED)

        def found() -> bool:
            self.listen()
            return any(item.command == command.id and item.stage in wanted for item in self.answers)

        eventually(found, f"answer {wanted} to {command.desired}")
        return next(item for item in self.answers if item.command == command.id and item.stage in wanted)

    def stages(self, command: Command) -> list[Stage]:
        """Stages of all answers to a command so far."""
        self.listen()
        return [item.stage for item in self.answers if item.command == command.id]

    def state(self, node: str, true: Callable[[NodeState], bool], what: str) -> NodeState:
        """Wait for a state of a node."""

        def found() -> bool:
            self.listen()
            return any(item.node == node and true(item) for item in self.states)

        eventually(found, what)
        return next(item for item in reversed(self.states) if item.node == node and true(item))

    def birth(self, node: str) -> NodeState:
        """Wait until a node has announced itself."""
        return self.state(node, lambda state: state.event == "birth", f"birth of {node}")

    def listen(self) -> None:
        """Take what has come."""
        while True:
            try:
                delivery = self._inbox.get_nowait()
            except queue.Empty:
                return
            _, channel = node_of(delivery.topic)
            if channel is Channel.ACK:
                self.answers.append(decode(Acknowledgement, delivery.payload))
            else:
                self.states.append(decode(NodeState, delivery.payload))


def run(job: str, *argv: str, **more: Any) -> JobState:
    """The wish that a job runs."""
    return JobState(job=job, state=JobWish.RUNNING, argv=argv or ("sleep", "60"), **more)


def pause(job: str) -> JobState:
    """The wish that a job pauses."""
    return JobState(job=job, state=JobWish.PAUSED)


def stop(job: str) -> JobState:
    """The wish that a job is gone."""
    return JobState(job=job, state=JobWish.STOPPED)
