"""What a search for the jobs alone hands to those who plan the rest beside them (``staged``, ``in_turns``)."""

from __future__ import annotations

from typing import Protocol

from scheduler.optimiser.large.warm import Warm
from scheduler.policies.schedule import Schedule


class JobsFound(Protocol):
    """A plan of the jobs' part: its decisions and its prices."""

    @property
    def schedule(self) -> Schedule:
        """Its decisions."""

    @property
    def warm(self) -> Warm:
        """Its prices."""
