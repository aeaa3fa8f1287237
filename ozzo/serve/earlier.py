"""What one life leaves to the next: the plan as far as it still fits the document, and events that are not over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from grid.errors import InputError
from grid.response.event import CapacityEvent
from ozzo.book import few
from scheduler.plan import Plan
from scheduler.plan_json import plan_from_dict
from scheduler.scenario import Scenario


def with_event(
    kept: Iterable[Mapping[str, Any]], events: Iterable[CapacityEvent], body: Mapping[str, Any], now: datetime
) -> list[dict[str, Any]]:
    """The posted objects that the next life must know of, with one more; those whose last event is over are left out.

    Args:
        kept: so far, each with ``until``, the end of its last event (ISO 8601; those of older states have none and stay).
        events: of the new one.
        body: the new one as it was posted.
        now: scenario instant at which it came.
    """
    there = [dict(item) for item in kept if "until" not in item or datetime.fromisoformat(item["until"]) > now]
    until = max((event.end for event in events), default=now)
    return [*there, {"at": now.isoformat(), "body": dict(body), "until": until.isoformat()}]


def of_document(plan: Plan, scenario: Scenario) -> Plan:
    """The plan without runs of jobs that a document does not name (it was written anew since)."""
    known = {job.name for job in scenario.jobs}
    return replace(plan, runs=tuple(run for run in plan.runs if run.job in known))


def plan_of(kept: Mapping[str, Any], scenario: Scenario, file: str, note: Callable[[str], None]) -> Plan | None:
    """The plan that was in force when an earlier life ended.

    Args:
        kept: the fact ``plan`` of the state.
        scenario: served now.
        file: of the state, for errors.
        note: takes what a person should know.

    Returns:
        Its runs of jobs that the document still names; None when it is for another horizon or other sites, or cannot be read.
    """
    horizon, sites = scenario.horizon, tuple(site.name for site in scenario.sites)
    if kept["scenario_start"] != horizon.start.isoformat():
        return None
    try:
        plan = plan_from_dict(kept["plan"], f"{file} (plan)")
    except InputError as error:  # such as one of another version of ozzo
        note(f"The plan of the earlier life cannot be read, so nothing new is commanded before the next one: {error}")
        return None
    if (plan.horizon.end, plan.horizon.step, plan.sites) != (horizon.end, horizon.step, sites):
        return None
    known = of_document(plan, scenario)
    gone = {run.job for run in plan.runs} - {run.job for run in known.runs}
    if gone:
        note(f"The document does not name these jobs of the plan in force any more: {few(gone)}.")
    return known
