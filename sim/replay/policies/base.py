"""What every policy of the replay is."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Protocol

from sim.replay.batch import Batch, Runs


class Knows(StrEnum):
    """What a policy knows of the signal."""

    NOTHING = "nothing"
    """it does not look at it"""
    PAST = "past"
    """its values up to the moment of decision"""
    FUTURE = "future"
    """a perfect forecast over the time in which the job may run"""


class Policy(Protocol):
    """A rule that says when jobs run.

    Attributes:
        name: as on the command line.
        knows: what it knows of the signal.
        knows_length: whether it knows how long a job will run.
        follows: carbon, price, sun, or nothing.
        heeds_machines: whether it keeps to the size of the machine; the others act as if there were no limit.
        pauses: whether it interrupts jobs.
        source: where the rule comes from.
    """

    name: ClassVar[str]
    knows: ClassVar[Knows]
    knows_length: ClassVar[bool]
    follows: ClassVar[str]
    heeds_machines: ClassVar[bool]
    pauses: ClassVar[bool]
    source: ClassVar[str]

    def runs(self, batch: Batch) -> Runs:
        """When each job runs; every job runs to its end."""
        ...
