"""A demand-response event as the planner sees it: a limit on a site's net import for a period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CapacityEvent:
    """A limit on import minus export at one site.

    Attributes:
        name: identifier of the event (and interval) that the grid operator gave.
        site: site whose connection is limited.
        start: first instant, UTC.
        end: first instant after it, UTC.
        limit_kw: largest net import (import minus export, import positive) in the period.
        penalty_eur_per_kwh: price of each kWh above the limit.
        received: when the event became known, UTC; a plan made before cannot know it.
    """

    name: str
    site: str
    start: datetime
    end: datetime
    limit_kw: float
    penalty_eur_per_kwh: float
    received: datetime

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"event {self.name}: end {self.end} is not after start {self.start}")
