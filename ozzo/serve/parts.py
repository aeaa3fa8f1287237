"""What a session is made of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from grid.response.event import CapacityEvent
from ozzo.clock import AcceleratedClock
from ozzo.serve.documents import Document
from ozzo.serve.evidence import Mode
from ozzo.serve.fleet import StandingFleet
from ozzo.serve.options import ServeOptions
from ozzo.serve.planner import Planner
from ozzo.serve.state import ServeState
from ozzo.serve.world import Limited, Twin
from ozzo.web.events import EventInbox
from scheduler.scenario import Scenario


@dataclass
class Parts:
    """What a session works with.

    Attributes:
        options: how to serve; mode: of this session.
        scenario: with the events known so far; document: where it comes from.
        state: keeps everything; clock: scenario time.
        fleet: nodes, None in a shadow; planner: makes plans; twin: meters.
        inbox: events that were posted; lost: why this controller may not speak, or empty.
        stop: set it to leave.
        say: takes a line for people.
        understood: reads a posted object of a scenario at an instant.
        on_limit: answers a sudden limit instead of ``ozzo.serve.sudden`` (see ``ozzo.serve.world.Limited``).
        causes: why to plan first.
    """

    options: ServeOptions
    mode: Mode
    scenario: Scenario
    document: Document
    state: ServeState
    clock: AcceleratedClock
    fleet: StandingFleet | None
    planner: Planner
    twin: Twin
    inbox: EventInbox
    lost: Callable[[], str]
    stop: threading.Event
    say: Callable[[str], None]
    understood: Callable[[Scenario, Mapping[str, Any], datetime], tuple[CapacityEvent, ...]]
    on_limit: Limited | None = None
    causes: list[str] = field(default_factory=list)
