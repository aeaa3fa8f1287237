"""The command protocol between the controller and the nodes, free of input and output.

A command states an absolute desired state ("job 7 paused", "at most 0.3 kW"), so repeating it is harmless. Each one
carries an id, ``(epoch, sequence)``, a not-after and a lease. A node answers twice: *accepted* once it stands in the
node's journal, then *applied* with a measured value or *failed* with a reason; a job's end is reported as *ended*::

    controller                              node
        | -- command (epoch 4, seq 17) ------> | decide: fence, not-after, id seen before?
        | <------------------- accepted ------ | journal commit, then this
        | <------------- applied {pid} ------- | process runs
        | <---------- ended {exit_code} ------ | process is gone

The rules are pure functions (``ozzo.fence.decide``, and the cap's in ``ozzo.lease``); the agent carries out what they say.
Times in commands are wall-clock UTC, because nodes live in it; ``planned_for`` is the instant on the plan's time axis.
"""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote, unquote
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

VERSION = 1
"""Version of the protocol; part of every topic."""
MAX_BYTES = 16_384
"""Largest message that either side reads."""
ENDED_TOLD = 50
"""Ends of jobs that a node tells in each of its states."""
CLOCK_SKEW = timedelta(seconds=5)
"""How far in the future a command may have been issued before the node distrusts the clocks."""

Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=1000)]
Argument = Annotated[str, Field(max_length=500)]


class JobWish(StrEnum):
    """The state that a job on a node should be in."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


class Stage(StrEnum):
    """How far a command has come."""

    ACCEPTED = "accepted"
    """it stands in the node's journal"""
    APPLIED = "applied"
    """the state was reached; ``measured`` says what was found"""
    FAILED = "failed"
    """the state was not reached"""
    REFUSED = "refused"
    """not accepted; nothing was done"""
    ENDED = "ended"
    """the job that the command started is gone; ``measured`` holds its exit code"""


class RefusalCode(StrEnum):
    """Why a command was refused or failed."""

    WRONG_NODE = "wrong_node"
    STALE_EPOCH = "stale_epoch"
    """a newer controller has taken over"""
    STALE_SEQUENCE = "stale_sequence"
    """a later command of the same controller was seen first"""
    EXPIRED = "expired"
    """its not-after had passed"""
    CLOCK_SKEW = "clock_skew"
    """issued in the future of this node's clock"""
    PROGRAM_NOT_ALLOWED = "program_not_allowed"
    PROGRAM_FAILED_TO_START = "program_failed_to_start"
    UNKNOWN_JOB = "unknown_job"
    """asked to pause a job that this node never started"""
    NOT_CONFIRMED = "not_confirmed"
    """the operating system did not confirm the state in time"""
    TIME_LIMIT = "time_limit"
    """the job ran longer than the command allowed and was stopped"""
    TOO_MANY_JOBS = "too_many_jobs"


class Wire(BaseModel):
    """Base of everything on the wire: no unknown fields, no coercion, no infinities, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def encode(self) -> bytes:
        """The message as JSON bytes."""
        return self.model_dump_json(exclude_none=True).encode()


class JobState(Wire):
    """Desired state of one job on one node.

    Attributes:
        job: name of the job.
        state: what it should be.
        argv: program and arguments, needed to run (never a shell); the program is a name on the node's own allow-list.
        seconds: run time that the plan gives it on this node, wall seconds.
        limit_s: the node stops the job when it has run (pauses not counted) longer than this.
        power_kw: IT power that the job is planned to add to this node, for the cap; 0 when unknown.
    """

    kind: Literal["job"] = "job"
    job: Name
    state: JobWish
    argv: Annotated[tuple[Argument, ...], Field(max_length=32)] = ()
    seconds: Annotated[float, Field(ge=0, le=31 * 86400)] = 0.0
    limit_s: Annotated[float, Field(gt=0, le=62 * 86400)] | None = None
    power_kw: Annotated[float, Field(ge=0, le=1e6)] = 0.0

    @model_validator(mode="after")
    def _running_needs_a_program(self) -> JobState:
        if self.state is JobWish.RUNNING and not self.argv:
            raise ValueError("a running job needs argv")
        return self


class CapState(Wire):
    """Desired power cap of a node, valid for the lease of its command.

    Attributes:
        cap_kw: largest IT power.
    """

    kind: Literal["cap"] = "cap"
    cap_kw: Annotated[float, Field(ge=0, le=1e6)]


class Hello(Wire):
    """A heartbeat of the controller: renews the lease, asks for the node's state, changes nothing."""

    kind: Literal["hello"] = "hello"


class Command(Wire):
    """One command to one node.

    Attributes:
        id: UUIDv7; a node that sees it again repeats its stored answer.
        epoch: number of the controller's life, from its durable store.
        sequence: position in the epoch.
        issued_at: when it was issued, wall clock UTC; not_after: the node refuses it from then on.
        lease_s: for how long it speaks for the controller.
        plan_id: plan that it carries out.
        node: node that it is for.
        desired: the absolute state.
        reason: why, in words that a citizen can read.
        planned_for: instant on the plan's time axis.
    """

    id: UUID
    epoch: Annotated[int, Field(ge=1, le=2**53)]
    sequence: Annotated[int, Field(ge=1, le=2**53)]
    issued_at: AwareDatetime
    not_after: AwareDatetime
    lease_s: Annotated[float, Field(gt=0, le=86400)]
    plan_id: Annotated[str, Field(max_length=100)] = ""
    node: Name
    desired: Annotated[JobState | CapState | Hello, Field(discriminator="kind")]
    reason: Text = ""
    planned_for: AwareDatetime | None = None

    @field_validator("id")
    @classmethod
    def _is_version_7(cls, value: UUID) -> UUID:
        if value.version != 7:
            raise ValueError(f"UUID of version 7 expected, found version {value.version}")
        return value

    @model_validator(mode="after")
    def _expires_after_issue(self) -> Command:
        if self.not_after <= self.issued_at:
            raise ValueError("not_after is not after issued_at")
        return self


class Acknowledgement(Wire):
    """An answer to one command.

    Attributes:
        command: id of the command; epoch, sequence: of the command.
        node: who answers.
        stage: how far it has come.
        code: why it was refused or failed.
        text: the same in words.
        measured: what was found, for example ``pid``, ``exit_code``, ``ran_s``, ``cap_kw``.
        at: wall clock UTC of the node.
    """

    command: UUID
    epoch: int
    sequence: int
    node: Name
    stage: Stage
    code: RefusalCode | None = None
    text: Text = ""
    measured: Annotated[dict[Annotated[str, Field(max_length=50)], float], Field(max_length=20)] = Field(default_factory=dict)
    at: AwareDatetime


class NodeState(Wire):
    """What a node says about itself: at birth, as a heartbeat, and (as its will) when it is gone.

    Attributes:
        node: name; pid: of its agent.
        event: birth, heartbeat, or death (sent by the broker as the will, or by the agent when it leaves).
        epoch, sequence: the fence: highest seen.
        position: number of commands in its journal.
        jobs: wish by job for the jobs that are not gone; at most 500 are listed.
        ended: exit code by job for the jobs that ended last, so that an end which nobody heard is heard of later.
        held: jobs that the cap keeps stopped although they should run.
        cap_kw: cap in force, or None when there is none.
        failsafe: the cap is the failsafe one.
        lease_left_s: lease left; 0 when it is lost or was never given.
        power_kw: mean IT power since its state before, None when nothing measures it; power_source: as in its settings.
        malformed: messages that could not be read.
        at: wall clock UTC.
    """

    node: Name
    pid: int
    event: Literal["birth", "heartbeat", "death"]
    epoch: int = 0
    sequence: int = 0
    position: int = 0
    jobs: Annotated[dict[str, JobWish], Field(max_length=500)] = Field(default_factory=dict)
    ended: Annotated[dict[str, int], Field(max_length=ENDED_TOLD)] = Field(default_factory=dict)
    held: Annotated[tuple[str, ...], Field(max_length=500)] = ()
    cap_kw: float | None = None
    failsafe: bool = False
    lease_left_s: float = 0.0
    power_kw: float | None = None
    power_source: Annotated[str, Field(max_length=20)] = ""
    malformed: int = 0
    at: AwareDatetime


Message = TypeVar("Message", bound=Wire)


def decode(kind: type[Message], payload: bytes, limit: int = MAX_BYTES) -> Message:
    """Read a message.

    Raises:
        ValueError: too large, no JSON, or not of this kind (a pydantic ``ValidationError`` is a ``ValueError``).
    """
    if len(payload) > limit:
        raise ValueError(f"a message of {len(payload)} bytes; the limit is {limit}")
    return kind.model_validate_json(payload)


def uuid7(now_ns: int | None = None) -> UUID:
    """A UUID of version 7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, then random bits."""
    milliseconds = (time.time_ns() if now_ns is None else now_ns) // 1_000_000
    bits = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | (bits >> 68 & 0xFFF) << 64 | 0b10 << 62 | bits & (2**62 - 1)
    return UUID(int=value)


class Channel(StrEnum):
    """The topics of a node."""

    COMMAND = "command"
    ACK = "ack"
    STATE = "state"


def label(name: str) -> str:
    """``name`` as one level of a topic and as a user name: everything but letters, digits and ``_.-~`` is quoted."""
    return quote(name, safe="")


def topic(scenario: str, node: str, channel: Channel) -> str:
    """Topic of a node; ``node`` may be ``+`` for all nodes."""
    return f"ozzo/{VERSION}/{label(scenario)}/node/{'+' if node == '+' else label(node)}/{channel}"


def node_of(name: str) -> tuple[str, Channel]:
    """Node and channel that a topic belongs to.

    Raises:
        ValueError: no topic of this protocol.
    """
    parts = name.split("/")
    if len(parts) != 6 or parts[:2] != ["ozzo", str(VERSION)] or parts[3] != "node":
        raise ValueError(f"{name!r} is no topic of this protocol")
    return unquote(parts[4]), Channel(parts[5])


def answer(
    command: Command,
    stage: Stage,
    at: datetime,
    *,
    code: RefusalCode | None = None,
    text: str = "",
    measured: dict[str, float] | None = None,
) -> Acknowledgement:
    """An acknowledgement of ``command`` by the node that it is for."""
    return Acknowledgement(
        command=command.id,
        epoch=command.epoch,
        sequence=command.sequence,
        node=command.node,
        stage=stage,
        code=code,
        text=text[:1000],
        measured=measured or {},
        at=at,
    )
