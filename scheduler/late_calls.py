"""Calls of capacity limitation contracts that come in during a run: a reason to plan again."""

from __future__ import annotations

from datetime import UTC, datetime

from grid.contracts.limits import Direction
from grid.response.event import CapacityEvent
from scheduler.scenario import Scenario


def late_calls(scenario: Scenario) -> list[tuple[CapacityEvent, ...]]:
    """Cuts and calls on import that are told after the horizon has begun, as events, in order of their arrival.

    The limit itself is the contract's: a plan made after it was told keeps it (``scheduler.allowed``). The event makes the
    controller plan again and brings the proof of delivery; it has no price of its own, since the contract has one.
    """
    found = []
    for contract in scenario.contracts.of_one_site:
        told = [limit for limit in contract.limits(scenario.horizon) if not limit.is_known(scenario.horizon.start)]
        for number, limit in enumerate(told, 1):
            if limit.direction is Direction.IMPORT and limit.known is not None:
                start, end = (datetime.fromtimestamp(moment, UTC) for moment in (limit.start_s, limit.end_s))
                name = f"{contract.name}-{number}"
                event = CapacityEvent(
                    name,
                    contract.site,
                    max(start, scenario.horizon.start),
                    min(end, scenario.horizon.end),
                    limit.limit_kw,
                    0.0,
                    limit.known,
                )
                found.append((event,))
    return sorted(found, key=lambda group: group[0].received)
