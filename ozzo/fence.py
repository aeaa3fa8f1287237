"""Whether a node carries a command out: the rules of the command plane as pure functions.

A fencing token, ``(epoch, sequence)``, keeps a controller that was replaced from acting; an id that was seen before is answered
from the journal and does nothing; a command past its not-after is refused, because the world has moved on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ozzo.commands import CLOCK_SKEW, Acknowledgement, Command, RefusalCode, Stage, answer


@dataclass(frozen=True, slots=True, order=True)
class Fence:
    """The highest ``(epoch, sequence)`` that a node has seen; kept on its disk."""

    epoch: int = 0
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What a node does with a command.

    Attributes:
        act: carry it out (after the journal commit).
        acknowledgement: the answer to send now.
        fence: the fence to keep from now on; it never falls.
    """

    act: bool
    acknowledgement: Acknowledgement
    fence: Fence


def decide(command: Command, *, node: str, now: datetime, fence: Fence, stored: Acknowledgement | None) -> Decision:
    """What node ``node`` does with ``command``.

    Args:
        command: the command.
        node: name of this node.
        now: wall clock UTC of this node.
        fence: highest epoch and sequence seen.
        stored: the last answer given to this command's id, or None when it is new.

    In this order: a command for another node is refused; one whose id was seen before gets its stored answer and
    nothing else happens; one of a lower epoch, or of this epoch with a sequence not above the fence, is refused;
    one that was issued in the future or whose not-after has passed is refused, but raises the fence all the same.
    """
    if command.node != node:
        return _refusal(command, now, fence, RefusalCode.WRONG_NODE, f"this is node {node}")
    if stored is not None:
        return Decision(act=False, acknowledgement=stored, fence=fence)
    if command.epoch < fence.epoch:
        return _refusal(command, now, fence, RefusalCode.STALE_EPOCH, f"epoch {fence.epoch} has taken over")
    seen = Fence(command.epoch, command.sequence)
    if seen <= fence:
        return _refusal(command, now, fence, RefusalCode.STALE_SEQUENCE, f"sequence {fence.sequence} was seen before")
    if command.issued_at > now + CLOCK_SKEW:
        ahead_s = (command.issued_at - now).total_seconds()
        return _refusal(command, now, seen, RefusalCode.CLOCK_SKEW, f"issued {ahead_s:.1f} s in the future")
    if now >= command.not_after:
        late_s = (now - command.not_after).total_seconds()
        return _refusal(command, now, seen, RefusalCode.EXPIRED, f"{late_s:.3f} s after its not-after")
    return Decision(act=True, acknowledgement=answer(command, Stage.ACCEPTED, now), fence=seen)


def _refusal(command: Command, now: datetime, fence: Fence, code: RefusalCode, text: str) -> Decision:
    refused = answer(command, Stage.REFUSED, now, code=code, text=text)
    return Decision(act=False, acknowledgement=refused, fence=fence)
